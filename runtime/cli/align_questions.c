#include "runtime/cli/align_questions.h"

#include <string.h>

#include "models/template/chat_prompt.h"
#include "runtime/base/json_lines.h"
#include "runtime/base/mem.h"
#include "runtime/cli/eval_batch.h"

/* --- reading --- */

static int parse(struct align_question *q, bool need_expect, struct err *e)
{
    const cJSON *skill = cJSON_GetObjectItemCaseSensitive(q->json, "skill");
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(q->json, "answer");
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(q->json, "expect");
    q->messages = cJSON_GetObjectItemCaseSensitive(q->json, "messages");
    q->skill = cJSON_IsString(skill) ? skill->valuestring : "all";
    q->answer = cJSON_IsString(answer) ? answer->valuestring : NULL;
    q->has_expect = expect != NULL;
    if (!cJSON_IsArray(q->messages) || !q->messages->child) {
        return err_set(e, ERR_INVALID,
                       "\"messages\" must be a list with the question at its end");
    }
    if (expect ? !cJSON_IsObject(expect) : need_expect) {
        return err_set(e, ERR_INVALID,
                       "\"expect\" must be an object that says what a right answer holds");
    }
    return expect ? eval_expect_parse(&q->expect, expect, e) : 0;
}

static int add_line(struct align_questions *q, const char *line, size_t len, bool need_expect,
                    struct err *e)
{
    struct align_question *items = mem_realloc_array(q->items, q->count + 1, sizeof(*q->items));
    if (!items) {
        return err_nomem(e);
    }
    q->items = items;
    struct align_question *item = &items[q->count];
    *item = (struct align_question){.json = json_parse(line, len, e)};
    if (!item->json) {
        return -1;
    }
    q->count++;
    return parse(item, need_expect, e);
}

int align_questions_read(struct align_questions *q, const char *path, bool need_expect,
                         struct err *e)
{
    struct json_lines lines;
    int rc;
    *q = (struct align_questions){0};
    if (json_lines_open(&lines, path, false, e)) {
        return -1;
    }
    while ((rc = json_lines_next(&lines, e)) > 0) {
        if (add_line(q, lines.text, lines.len, need_expect, e)) {
            rc = json_lines_blame(&lines, e);
            break;
        }
    }
    json_lines_close(&lines);
    if (!rc && q->count == 0) {
        rc = err_set(e, ERR_INVALID, "%s: no question in it", path);
    }
    return rc;
}

static int render(struct align_question *q, const struct chat_template *t,
                  const struct tokenizer *tokenizer, struct err *e)
{
    size_t n = 0;
    struct chat_message *list =
        mem_zarray((size_t)cJSON_GetArraySize(q->messages), sizeof(*list));
    if (!list) {
        return err_nomem(e);
    }
    int rc = 0;
    for (const cJSON *m = q->messages->child; m && !rc; m = m->next) {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(m, "role");
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(m, "content");
        if (!cJSON_IsString(role) || !cJSON_IsString(content)) {
            rc = err_set(e, ERR_INVALID, "messages[%zu]: role and content must be texts", n);
        } else {
            list[n++] = (struct chat_message){.role = role->valuestring,
                                              .content = content->valuestring,
                                              .content_len = strlen(content->valuestring)};
        }
    }
    rc = rc ? rc : chat_prompt_tokens(t, tokenizer, list, n, &q->prompt, e);
    mem_free(list);
    return rc;
}

int align_questions_render(struct align_questions *q, const struct chat_template *t,
                           const struct tokenizer *tokenizer, struct err *e)
{
    for (size_t i = 0; i < q->count; i++) {
        if (render(&q->items[i], t, tokenizer, e)) {
            return err_prefix(e, "question %zu", i + 1);
        }
    }
    return 0;
}

void align_questions_deinit(struct align_questions *q)
{
    for (size_t i = 0; i < q->count; i++) {
        token_list_deinit(&q->items[i].prompt);
        cJSON_Delete(q->items[i].json);
    }
    mem_free(q->items);
    *q = (struct align_questions){0};
}

/* --- asking --- */

struct asking {
    struct align_ask *asks;
    size_t n, next;
};

static int next_job(void *ctx, struct eval_job *job, struct err *e)
{
    struct asking *a = ctx;
    if (a->next == a->n) {
        return 0;
    }
    const struct align_ask *ask = &a->asks[a->next];
    job->item = a->next++;
    job->max_tokens = ask->max_tokens;
    job->sampling =
        (struct sampling){.temperature = ask->temperature, .top_p = 1.0f, .seed = ask->seed};
    return token_list_append(&job->prompt, ask->prompt->ids, ask->prompt->count) == 0
               ? 1
               : err_nomem(e);
}

static int take_answer(void *ctx, struct eval_job *job, struct err *e)
{
    struct asking *a = ctx;
    struct align_ask *ask = &a->asks[job->item];
    (void)e;
    ask->tokens = job->tokens;
    ask->text = job->answer;
    ask->is_cut = job->is_cut;
    job->tokens = (struct token_list){0};
    buf_init(&job->answer, 0);
    return 0;
}

int align_ask_all(struct local_model *l, struct align_ask *asks, size_t n, struct err *e)
{
    struct asking a = {.asks = asks, .n = n};
    const struct eval_source source = {next_job, take_answer, &a};
    return eval_batch_run(l, &source, e);
}

void align_asks_clear(struct align_ask *asks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        token_list_deinit(&asks[i].tokens);
        buf_deinit(&asks[i].text);
        asks[i] = (struct align_ask){0};
    }
}

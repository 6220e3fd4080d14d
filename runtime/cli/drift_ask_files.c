#include <stdio.h>
#include <string.h>

#include "models/template/chat_prompt.h"
#include "models/tokenizer/whole_text.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/cli/drift_ask.h"
#include "runtime/cli/local_model.h"

#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define ROWS             256

struct run {
    struct local_model model;
    int max_tokens;
};

static int keep_text(void *ctx, const char *text, size_t len)
{
    return buf_append(ctx, text, len);
}

static int conversation_tokens(const struct model *m, const cJSON *messages,
                               struct token_list *out, struct err *e)
{
    size_t n = (size_t)cJSON_GetArraySize(messages), i = 0;
    struct chat_message *turns = mem_zarray(n, sizeof(*turns));
    const cJSON *item;
    if (!turns) {
        return err_nomem(e);
    }
    cJSON_ArrayForEach(item, messages)
    {
        const char *content =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "content"));
        turns[i++] = (struct chat_message){
            .role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "role")),
            .content = content,
            .content_len = strlen(content)};
    }
    int rc = m->chat_template
                 ? chat_prompt_tokens(m->chat_template, m->tokenizer, turns, n, out, e)
                 : err_set(e, ERR_UNSUPPORTED, "the model has no chat template");
    mem_free(turns);
    return rc;
}

static int prompt_tokens(const struct model *m, const struct drift_prompt *p,
                         struct token_list *out, struct err *e)
{
    return p->messages
               ? conversation_tokens(m, p->messages, out, e)
               : whole_text_encode(m->tokenizer, p->prompt, strlen(p->prompt), false, out, e);
}

static int answer(struct run *run, const struct drift_prompt *p, struct drift_answer *out,
                  struct buf *text, struct err *e)
{
    const struct sampling greedy = {.top_p = 1.0f};
    struct token_list tokens = {0};
    struct local_answer_end end = {0};
    double begin = clock_now_s();
    int rc = prompt_tokens(run->model.model, p, &tokens, e);
    rc = rc == 0 ? local_model_answer_tokens(&run->model, &tokens, &greedy, run->max_tokens,
                                             keep_text, text, &end, e)
                 : rc;
    token_list_deinit(&tokens);
    out->seconds = clock_now_s() - begin;
    out->tokens = end.n_tokens;
    out->end = end.is_cut ? DRIFT_LENGTH : DRIFT_STOP;
    return rc;
}

/* What one prompt cannot have is that answer's failure. */
static int ask(struct run *run, const struct drift_prompt *p, struct drift_answer *out,
               struct err *e)
{
    struct err why = {0};
    struct buf text;
    buf_init(&text, ANSWER_BYTES_MAX);
    int rc = answer(run, p, out, &text, &why);
    bool is_failed = rc != 0 && (why.kind == ERR_LIMIT || why.kind == ERR_UNSUPPORTED);
    if (is_failed) {
        out->end = DRIFT_FAILED;
        buf_clear(&text);
        buf_append_str(&text, why.message);
    } else if (rc != 0) {
        *e = why;
    }
    if (rc == 0 || is_failed) {
        out->text = buf_take(&text, &out->len);
        rc = out->text ? 0 : err_nomem(e);
    }
    buf_deinit(&text);
    return rc;
}

static int ask_file(int side, const char *path, int max_tokens,
                    const struct drift_prompts *prompts, const struct drift_progress *progress,
                    struct drift_pair *pairs, struct err *e)
{
    struct run run = {.max_tokens = max_tokens};
    const struct local_model_settings set = {.path = path,
                                             .cpu = "auto",
                                             .threads = (int)local_core_count(),
                                             .max_rows = ROWS,
                                             .n_slots = 1};
    int rc = local_model_open(&run.model, &set, e);
    for (size_t i = 0; rc == 0 && i < prompts->n; i++) {
        rc = ask(&run, &prompts->items[i], &pairs[i].of[side], e);
        if (rc == 0 && progress->told) {
            progress->told(progress->ctx, (size_t)side * prompts->n + i + 1, 2 * prompts->n);
        }
    }
    local_model_close(&run.model);
    return rc;
}

int drift_ask_files(const char *const paths[2], int max_tokens,
                    const struct drift_prompts *prompts, const struct drift_progress *progress,
                    struct drift_pair *pairs, char ids[2][DRIFT_ID_MAX], struct err *e)
{
    for (int side = 0; side < 2; side++) {
        snprintf(ids[side], DRIFT_ID_MAX, "%s", paths[side]);
        if (ask_file(side, paths[side], max_tokens, prompts, progress, pairs, e) != 0) {
            return -1;
        }
    }
    return 0;
}

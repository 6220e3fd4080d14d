#include "runtime/cli/publish_golden.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/local_model.h"
#include "runtime/registry/model_manifest.h"

#define FILE_BYTES_MAX   ((size_t)1 << 30)
#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define STEP_ROWS        256

/* --- questions --- */

/* One message with a role and a content and nothing else, as golden prompts have them. */
static cJSON *plain_message(const cJSON *m)
{
    const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "role"));
    const char *content = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "content"));
    cJSON *out = cJSON_CreateObject();
    if (!role || !content || !cJSON_AddStringToObject(out, "role", role) ||
        !cJSON_AddStringToObject(out, "content", content)) {
        cJSON_Delete(out);
        return NULL;
    }
    return out;
}

static bool is_assistants(const cJSON *m)
{
    const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "role"));
    return role && strcmp(role, "assistant") == 0;
}

/* All but an answer at the end, as training examples have it. */
static bool add_messages(cJSON *question, const cJSON *messages)
{
    const cJSON *m;
    cJSON *list = cJSON_AddArrayToObject(question, "messages");
    bool fits = list && cJSON_GetArraySize(messages) > 0 &&
                cJSON_GetArraySize(messages) <= MODEL_GOLDEN_TURNS_MAX;
    cJSON_ArrayForEach(m, messages)
    {
        bool is_answer = !m->next && m != messages->child && is_assistants(m);
        fits = fits && (is_answer || cJSON_AddItemToArray(list, plain_message(m)));
    }
    return fits;
}

/* {"messages"} or {"prompt"} of a line. */
static cJSON *read_question(const char *line, size_t len, struct err *e)
{
    cJSON *json = json_parse(line, len, e);
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(json, "messages");
    const char *prompt = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "prompt"));
    cJSON *question = json ? cJSON_CreateObject() : NULL;
    bool fits = messages ? add_messages(question, messages)
                         : prompt && cJSON_AddStringToObject(question, "prompt", prompt);
    cJSON_Delete(json);
    if (question && fits) {
        return question;
    }
    cJSON_Delete(question);
    if (e->kind == ERR_NONE) {
        err_set(e, ERR_FORMAT,
                "\"messages\" (1 to %d with the texts role and content) or \"prompt\" is "
                "wanted",
                MODEL_GOLDEN_TURNS_MAX);
    }
    return NULL;
}

/* --- answers --- */

static int keep_text(void *ctx, const char *text, size_t len)
{
    return buf_append(ctx, text, len);
}

static int answer_messages(struct local_model *l, const cJSON *list, int max_tokens,
                           struct buf *answer, struct err *e)
{
    const struct sampling greedy = {.top_p = 1.0f};
    struct chat_message messages[MODEL_GOLDEN_TURNS_MAX];
    size_t n = 0;
    const cJSON *m;
    cJSON_ArrayForEach(m, list)
    {
        const char *content =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "content"));
        messages[n++] = (struct chat_message){
            .role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "role")),
            .content = content,
            .content_len = strlen(content),
        };
    }
    return local_model_answer(l, messages, n, &greedy, max_tokens, keep_text, answer, e);
}

static int answer_prompt(struct local_model *l, const char *prompt, int max_tokens,
                         struct buf *answer, struct err *e)
{
    const struct sampling greedy = {.top_p = 1.0f};
    const struct tokenizer *t = l->model->tokenizer;
    struct token_list tokens = {0};
    int rc = 0;
    if (tokenizer_bos(t) != TOKEN_NONE && tokenizer_add_bos(t) &&
        token_list_push(&tokens, tokenizer_bos(t)) != 0) {
        rc = err_nomem(e);
    }
    rc = rc == 0 ? tokenizer_encode(t, prompt, strlen(prompt), false, &tokens, e) : rc;
    rc = rc == 0 ? local_model_answer_tokens(l, &tokens, &greedy, max_tokens, keep_text, answer,
                                             NULL, e)
                 : rc;
    token_list_deinit(&tokens);
    return rc;
}

/* Adds max_tokens and text. */
static int record(struct local_model *l, cJSON *question, int max_tokens, struct err *e)
{
    struct buf answer;
    buf_init(&answer, ANSWER_BYTES_MAX);
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(question, "messages");
    int rc = messages ? answer_messages(l, messages, max_tokens, &answer, e)
                      : answer_prompt(l, cJSON_GetObjectItem(question, "prompt")->valuestring,
                                      max_tokens, &answer, e);
    if (rc == 0 &&
        (!cJSON_AddNumberToObject(question, "max_tokens", max_tokens) ||
         !cJSON_AddStringToObject(question, "text", answer.data ? answer.data : ""))) {
        rc = err_nomem(e);
    }
    buf_deinit(&answer);
    return rc;
}

/* --- files --- */

struct golden {
    struct local_model model;
    cJSON *list;
    size_t wanted, lines, seen; /* questions; lines of all files, and those gone by */
    int max_tokens;
};

static size_t count_lines(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t at = 0; at < len; n++) {
        const char *end = memchr(text + at, '\n', len - at);
        at = end ? (size_t)(end - text) + 1 : len;
    }
    return n;
}

/* Whether a question is taken of line i of n, so that `wanted` of them lie evenly. */
static bool is_taken(const struct golden *g, size_t i)
{
    return (i + 1) * g->wanted / g->lines > i * g->wanted / g->lines;
}

static int record_line(struct golden *g, const char *line, size_t len, struct err *e)
{
    cJSON *question = read_question(line, len, e);
    if (!question || record(&g->model, question, g->max_tokens, e) != 0 ||
        !cJSON_AddItemToArray(g->list, question)) {
        cJSON_Delete(question);
        return e->kind == ERR_NONE ? err_nomem(e) : -1;
    }
    return 0;
}

static int record_file(struct golden *g, const char *path, const char *text, size_t len,
                       struct err *e)
{
    size_t number = 1;
    for (size_t at = 0; at < len; number++, g->seen++) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = (end ? (size_t)(end - text) : len) - at;
        if (n > 0 && is_taken(g, g->seen) && record_line(g, text + at, n, e) != 0) {
            return err_prefix(e, "%s: line %zu", path, number);
        }
        at += n + 1;
    }
    return 0;
}

static int record_all(struct golden *g, const struct option_strings *files, char **texts,
                      const size_t *sizes, struct err *e)
{
    for (size_t i = 0; i < files->count; i++) {
        if (record_file(g, files->items[i], texts[i], sizes[i], e) != 0) {
            return -1;
        }
    }
    return 0;
}

cJSON *publish_golden_record(const char *model, const struct option_strings *files,
                             size_t count, int max_tokens, struct err *e)
{
    struct golden g = {.list = cJSON_CreateArray(), .max_tokens = max_tokens};
    char *texts[OPTION_STRINGS_MAX] = {0};
    size_t sizes[OPTION_STRINGS_MAX] = {0};
    int rc = g.list ? 0 : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < files->count; i++) {
        texts[i] = file_read(files->items[i], FILE_BYTES_MAX, &sizes[i], e);
        rc = texts[i] ? 0 : -1;
        g.lines += texts[i] ? count_lines(texts[i], sizes[i]) : 0;
    }
    g.wanted = count < g.lines ? count : g.lines;
    if (rc == 0 && g.wanted > 0) {
        const struct local_model_settings s = {.path = model,
                                               .cpu = "auto",
                                               .threads = (int)local_core_count(),
                                               .max_rows = STEP_ROWS,
                                               .n_slots = 1};
        rc = local_model_open(&g.model, &s, e);
        if (rc == 0) {
            rc = record_all(&g, files, texts, sizes, e);
            local_model_close(&g.model);
        }
    }
    for (size_t i = 0; i < files->count; i++) {
        mem_free(texts[i]);
    }
    if (rc != 0) {
        cJSON_Delete(g.list);
        return NULL;
    }
    return g.list;
}

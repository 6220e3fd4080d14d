#include "models/train/align_data.h"

#include <string.h>

#include "models/train/dataset.h"
#include "models/train/sft_example.h"
#include "runtime/base/json_lines.h"
#include "runtime/base/mem.h"

void align_set_init(struct align_set *s)
{
    *s = (struct align_set){0};
    buf_init(&s->tokens, SIZE_MAX / 2);
    buf_init(&s->pairs, SIZE_MAX / 2);
}

void align_set_deinit(struct align_set *s)
{
    buf_deinit(&s->tokens);
    buf_deinit(&s->pairs);
}

size_t align_set_count(const struct align_set *s)
{
    return s->pairs.len / sizeof(struct align_pair);
}

const struct align_pair *align_set_pair(const struct align_set *s, size_t i)
{
    return (const struct align_pair *)(const void *)s->pairs.data + i;
}

const uint32_t *align_set_tokens(const struct align_set *s, const struct align_doc *doc)
{
    return (const uint32_t *)(const void *)s->tokens.data + doc->first;
}

void align_set_clear(struct align_set *s)
{
    buf_clear(&s->tokens);
    buf_clear(&s->pairs);
    s->longest = 0;
}

int align_set_add_tokens(struct align_set *s, const int32_t *prompt, size_t n_prompt,
                         const int32_t *answer, size_t n_answer, struct align_doc *doc,
                         struct err *e)
{
    size_t n = n_prompt + n_answer, first = s->tokens.len / sizeof(uint32_t);
    for (size_t i = 0; i < n; i++) {
        uint32_t token =
            i < n_prompt ? (uint32_t)prompt[i] : (uint32_t)answer[i - n_prompt] | DATASET_LEARN;
        if (buf_append(&s->tokens, &token, sizeof(token))) {
            s->tokens.len = first * sizeof(uint32_t);
            return err_nomem(e);
        }
    }
    *doc = (struct align_doc){.first = first, .n = (uint32_t)n, .n_answer = (uint32_t)n_answer};
    s->longest = n > s->longest ? (uint32_t)n : s->longest;
    return 0;
}

/* --- slices --- */

void align_slice_add(struct train_slice *slice, const struct align_set *s,
                     const struct align_doc *doc)
{
    dataset_slice_add(slice, align_set_tokens(s, doc), doc->n);
}

void align_slice_add_end(struct train_slice *slice, const struct align_set *s,
                         const struct align_doc *doc)
{
    const uint32_t *tokens = align_set_tokens(s, doc);
    for (uint32_t i = 0; i < doc->n; i++) {
        uint32_t at = slice->n_tokens++;
        slice->tokens[at] = tokens[i] & ~DATASET_LEARN;
        slice->targets[at] = i + 1 == doc->n ? 0 : TRAIN_NO_TARGET;
        slice->positions[at] = i;
    }
    slice->n_targets++;
    slice->doc_ends[slice->n_docs++] = slice->n_tokens;
}

/* --- one document --- */

struct rendered {
    struct align_set *set;
    struct align_doc *doc;
};

/* Documents of earlier turns have nothing to learn: theirs have weight 0. */
static int keep(void *ctx, const uint32_t *tokens, size_t n, struct err *e)
{
    struct rendered *r = ctx;
    uint32_t n_answer = 0;
    for (size_t i = 1; i < n; i++) {
        n_answer += (tokens[i] & DATASET_LEARN) != 0;
    }
    if (n_answer == 0) {
        return 0;
    }
    size_t first = r->set->tokens.len / sizeof(*tokens);
    *r->doc = (struct align_doc){.first = first, .n = (uint32_t)n, .n_answer = n_answer};
    r->set->longest = n > r->set->longest ? (uint32_t)n : r->set->longest;
    return buf_append(&r->set->tokens, tokens, n * sizeof(*tokens)) ? err_nomem(e) : 0;
}

static int render(struct align_set *s, struct sft_renderer *r, const cJSON *example,
                  struct align_doc *doc, struct err *e)
{
    char *text = cJSON_PrintUnformatted(example);
    struct sft_example x;
    struct rendered to = {s, doc};
    *doc = (struct align_doc){0};
    if (!text) {
        return err_nomem(e);
    }
    int rc = sft_example_parse(&x, text, strlen(text), e);
    if (!rc) {
        rc = sft_render(r, &x, keep, &to, e);
        sft_example_deinit(&x);
    }
    cJSON_free(text);
    if (!rc && doc->n_answer == 0) {
        rc = err_set(e, ERR_INVALID, "the template leaves the answer out");
    }
    return rc;
}

/* Only the last answer counts. */
static bool only_last_learns(cJSON *messages)
{
    for (cJSON *m = messages->child; m && m->next; m = m->next) {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(m, "role");
        if (cJSON_IsString(role) && strcmp(role->valuestring, "assistant") == 0) {
            cJSON_DeleteItemFromObjectCaseSensitive(m, "weight");
            if (!cJSON_AddNumberToObject(m, "weight", 0)) {
                return false;
            }
        }
    }
    return true;
}

int align_set_add_doc(struct align_set *s, struct sft_renderer *r, const cJSON *messages,
                      struct align_doc *doc, struct err *e)
{
    cJSON *example = cJSON_CreateObject();
    cJSON *copy = cJSON_Duplicate(messages, true);
    int rc = -1;
    if (!example || !copy || !only_last_learns(copy) ||
        !cJSON_AddItemToObject(example, "messages", copy)) {
        cJSON_Delete(copy);
        cJSON_Delete(example);
        return err_nomem(e);
    }
    rc = render(s, r, example, doc, e);
    cJSON_Delete(example);
    return rc;
}

cJSON *align_with_answer(const cJSON *messages, const char *answer)
{
    cJSON *list = cJSON_Duplicate(messages, true), *m = cJSON_CreateObject();
    if (!list || !m || !cJSON_AddStringToObject(m, "role", "assistant") ||
        !cJSON_AddStringToObject(m, "content", answer) || !cJSON_AddItemToArray(list, m)) {
        cJSON_Delete(list);
        cJSON_Delete(m);
        return NULL;
    }
    return list;
}

/* --- one pair --- */

/* The prompt of a line as a new list; empty where chosen and rejected are whole conversations.
 */
static cJSON *prompt_of(const cJSON *line, struct err *e)
{
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(line, "messages");
    const cJSON *prompt =
        messages ? messages : cJSON_GetObjectItemCaseSensitive(line, "prompt");
    cJSON *list = NULL;
    if (!prompt) {
        list = cJSON_CreateArray();
    } else if (cJSON_IsArray(prompt)) {
        list = cJSON_Duplicate(prompt, true);
    } else if (cJSON_IsString(prompt) && !messages) {
        cJSON *m = cJSON_CreateObject();
        list = cJSON_CreateArray();
        if (!list || !m || !cJSON_AddStringToObject(m, "role", "user") ||
            !cJSON_AddStringToObject(m, "content", prompt->valuestring) ||
            !cJSON_AddItemToArray(list, m)) {
            cJSON_Delete(m);
            cJSON_Delete(list);
            list = NULL;
        }
    } else {
        err_set(e, ERR_INVALID, "\"%s\" must be a list of messages%s",
                messages ? "messages" : "prompt", messages ? "" : " or a text");
        return NULL;
    }
    if (!list) {
        err_nomem(e);
    }
    return list;
}

/* The whole conversation with the answer under `key`, as a new list. */
static cJSON *conversation_of(const cJSON *line, const char *key, struct err *e)
{
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(line, key);
    cJSON *list = prompt_of(line, e);
    if (!list) {
        return NULL;
    }
    cJSON *out = list;
    if (cJSON_IsString(answer)) {
        out = align_with_answer(list, answer->valuestring);
        cJSON_Delete(list);
    } else if (cJSON_IsObject(answer) || cJSON_IsArray(answer)) {
        const cJSON *m = cJSON_IsArray(answer) ? answer->child : answer;
        /* Whole conversations repeat the prompt where the line has one too. */
        if (cJSON_IsArray(answer) && cJSON_GetArraySize(answer) > 1) {
            cJSON_Delete(list);
            out = list = cJSON_CreateArray();
        }
        for (bool more = m != NULL; more && out;
             m = m->next, more = cJSON_IsArray(answer) && m) {
            cJSON *copy = cJSON_Duplicate(m, true);
            if (!copy || !cJSON_AddItemToArray(list, copy)) {
                cJSON_Delete(copy);
                cJSON_Delete(list);
                out = NULL;
            }
        }
    } else {
        cJSON_Delete(list);
        err_set(e, ERR_INVALID,
                "\"%s\" %s: a text, a message of the assistant's or a list of messages is "
                "needed",
                key, answer ? "is something else" : "is missing");
        return NULL;
    }
    if (!out) {
        err_nomem(e);
    }
    return out;
}

static int add_answer(struct align_set *s, struct sft_renderer *r, const cJSON *line,
                      const char *key, struct align_doc *doc, struct err *e)
{
    cJSON *list = conversation_of(line, key, e);
    if (!list) {
        return -1;
    }
    int rc = align_set_add_doc(s, r, list, doc, e);
    cJSON_Delete(list);
    return rc ? err_prefix(e, "\"%s\"", key) : 0;
}

static bool same_tokens(const struct align_set *s, const struct align_pair *p)
{
    return p->chosen.n == p->rejected.n &&
           memcmp(align_set_tokens(s, &p->chosen), align_set_tokens(s, &p->rejected),
                  p->chosen.n * sizeof(uint32_t)) == 0;
}

static int add_pair(struct align_set *s, const struct align_doc *chosen,
                    const struct align_doc *rejected, struct err *e)
{
    const struct align_pair pair = {*chosen, *rejected};
    if (same_tokens(s, &pair)) {
        return err_set(e, ERR_INVALID, "\"chosen\" and \"rejected\" are the same");
    }
    return buf_append(&s->pairs, &pair, sizeof(pair)) ? err_nomem(e) : 0;
}

#define RANKING_MAX 32

static int add_ranked(struct align_set *s, struct sft_renderer *r, const cJSON *line,
                      const cJSON *text, struct align_doc *doc, struct err *e)
{
    cJSON *prompt = cJSON_IsString(text)
                        ? prompt_of(line, e)
                        : (err_set(e, ERR_INVALID, "its answers must be texts"), NULL);
    cJSON *list = prompt ? align_with_answer(prompt, text->valuestring) : NULL;
    int rc = -1;
    if (list) {
        rc = align_set_add_doc(s, r, list, doc, e);
    } else if (prompt) {
        err_nomem(e);
    }
    cJSON_Delete(list);
    cJSON_Delete(prompt);
    return rc;
}

/* From the best to the worst: each answer is preferred to all behind it. */
static int add_ranking(struct align_set *s, struct sft_renderer *r, const cJSON *line,
                       const cJSON *ranking, struct err *e)
{
    struct align_doc docs[RANKING_MAX];
    int n = cJSON_IsArray(ranking) ? cJSON_GetArraySize(ranking) : 0, at = 0, rc = 0;
    if (n < 2 || n > RANKING_MAX) {
        return err_set(e, ERR_INVALID,
                       "\"ranking\" must be a list of 2 to %d answers, the best one first",
                       RANKING_MAX);
    }
    for (const cJSON *a = ranking->child; a && !rc; a = a->next, at++) {
        rc = add_ranked(s, r, line, a, &docs[at], e);
        if (rc) {
            err_prefix(e, "\"ranking\"[%d]", at);
        }
    }
    for (int i = 0; i < n && !rc; i++) {
        for (int k = i + 1; k < n && !rc; k++) {
            rc = add_pair(s, &docs[i], &docs[k], e);
        }
    }
    return rc;
}

int align_set_add_pair(struct align_set *s, struct sft_renderer *r, const cJSON *line,
                       struct err *e)
{
    struct align_doc chosen, rejected;
    size_t begin = s->tokens.len, begin_pairs = s->pairs.len;
    const cJSON *ranking = cJSON_GetObjectItemCaseSensitive(line, "ranking");
    int rc = !cJSON_IsObject(line) ? err_set(e, ERR_INVALID, "not a JSON object") : 0;
    if (!rc && ranking) {
        rc = add_ranking(s, r, line, ranking, e);
    } else {
        rc = rc ? rc : add_answer(s, r, line, "chosen", &chosen, e);
        rc = rc ? rc : add_answer(s, r, line, "rejected", &rejected, e);
        rc = rc ? rc : add_pair(s, &chosen, &rejected, e);
    }
    if (rc) {
        s->tokens.len = begin;
        s->pairs.len = begin_pairs;
    }
    return rc;
}

/* --- a file --- */

static uint32_t longest_of(const struct align_set *s, size_t first)
{
    uint32_t n = 0;
    for (size_t i = first; i < align_set_count(s); i++) {
        const struct align_pair *p = align_set_pair(s, i);
        n = p->chosen.n > n ? p->chosen.n : n;
        n = p->rejected.n > n ? p->rejected.n : n;
    }
    return n;
}

static int read_line(struct align_set *s, const char *line, size_t len, struct sft_renderer *r,
                     uint32_t row, struct err *e)
{
    size_t begin = s->tokens.len, first = align_set_count(s);
    cJSON *json = json_parse(line, len, e);
    if (!json) {
        return -1;
    }
    int rc = align_set_add_pair(s, r, json, e);
    cJSON_Delete(json);
    uint32_t n = rc ? 0 : longest_of(s, first);
    if (n > row) {
        s->pairs.len = first * sizeof(struct align_pair);
        s->tokens.len = begin;
        rc = err_set(e, ERR_LIMIT, "%u tokens, at most %u are read (--row)", n, row);
    }
    return rc;
}

int align_set_read(struct align_set *s, const char *path, struct sft_renderer *r,
                   const struct align_read_options *o, struct align_counts *counts,
                   struct err *e)
{
    struct json_lines lines;
    int rc;
    *counts = (struct align_counts){0};
    size_t before = align_set_count(s);
    if (json_lines_open(&lines, path, false, e)) {
        return -1;
    }
    while ((rc = json_lines_next(&lines, e)) > 0) {
        if (!read_line(s, lines.text, lines.len, r, o->row, e)) {
            continue;
        }
        json_lines_blame(&lines, e);
        if (e->kind == ERR_NOMEM || !o->skip_malformed) {
            rc = -1;
            break;
        }
        counts->skipped++;
        if (o->say) {
            o->say(o->ctx, e->message);
        }
    }
    json_lines_close(&lines);
    counts->pairs = align_set_count(s) - before;
    if (!rc && counts->pairs == 0) {
        rc = err_set(e, ERR_INVALID, "%s: no pair in it", path);
    }
    s->longest = longest_of(s, 0);
    return rc;
}

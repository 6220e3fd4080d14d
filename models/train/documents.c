#include "models/train/documents.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/json_lines.h"
#include "runtime/base/mem.h"

struct documents {
    const struct tokenizer *tokenizer;
    enum documents_learn learn;
    int32_t end_of_text, im_start, im_end;
    struct token_list ids; /* scratch */
    uint32_t *tokens;      /* (count) the document, with DATASET_LEARN */
    size_t count, cap;
};

static int find_control_tokens(struct documents *r, struct err *e)
{
    const char *names[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    int32_t *ids[] = {&r->end_of_text, &r->im_start, &r->im_end};
    for (size_t i = 0; i < 3; i++) {
        *ids[i] = tokenizer_find_special(r->tokenizer, names[i]);
        if (*ids[i] == TOKEN_NONE) {
            return err_set(e, ERR_UNSUPPORTED, "the vocabulary has no control token %s",
                           names[i]);
        }
    }
    return 0;
}

static int push(struct documents *r, int32_t id, bool learn, struct err *e)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 1024;
        uint32_t *grown = mem_realloc_array(r->tokens, cap, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        r->tokens = grown;
        r->cap = cap;
    }
    r->tokens[r->count++] = (uint32_t)id | (learn ? DATASET_LEARN : 0);
    return 0;
}

static int push_text(struct documents *r, const char *text, bool learn, struct err *e)
{
    token_list_clear(&r->ids);
    if (tokenizer_encode(r->tokenizer, text, strlen(text), false, &r->ids, e)) {
        return -1;
    }
    for (size_t i = 0; i < r->ids.count; i++) {
        if (push(r, r->ids.ids[i], learn, e)) {
            return -1;
        }
    }
    return 0;
}

static int render_message(struct documents *r, const char *role, const char *content,
                          struct err *e)
{
    bool all = r->learn == DOCUMENTS_LEARN_ALL, answer = all || strcmp(role, "assistant") == 0;
    char head[16];
    snprintf(head, sizeof(head), "%s\n", role);
    return push(r, r->im_start, all, e) || push_text(r, head, all, e) ||
                   push_text(r, content, answer, e) || push(r, r->im_end, answer, e) ||
                   push_text(r, "\n", all, e)
               ? -1
               : 0;
}

static int render_messages(struct documents *r, const cJSON *messages, struct err *e)
{
    const cJSON *message;
    size_t index = 0;
    cJSON_ArrayForEach(message, messages)
    {
        const char *role =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "role"));
        const char *content =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content"));
        if (!role || (strcmp(role, "system") != 0 && strcmp(role, "user") != 0 &&
                      strcmp(role, "assistant") != 0)) {
            return err_set(e, ERR_FORMAT,
                           "messages[%zu].role must be system, user or assistant", index);
        }
        if (!content) {
            return err_set(e, ERR_FORMAT, "messages[%zu].content must be a string", index);
        }
        if (render_message(r, role, content, e)) {
            return -1;
        }
        index++;
    }
    return index > 0 ? 0 : err_set(e, ERR_FORMAT, "messages is empty");
}

static int render_line(struct documents *r, const char *line, size_t len, struct err *e)
{
    cJSON *json = json_parse(line, len, e);
    if (!json) {
        return -1;
    }
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(json, "messages");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "text"));
    int rc;
    r->count = 0;
    if (cJSON_IsArray(messages) && !text) {
        rc = render_messages(r, messages, e);
    } else if (text && !messages) {
        rc = push_text(r, text, true, e) || push(r, r->end_of_text, true, e) ? -1 : 0;
    } else {
        rc = err_set(e, ERR_FORMAT,
                     "must have either \"text\", a string, or \"messages\", an array");
    }
    cJSON_Delete(json);
    return rc;
}

struct documents *documents_create(const struct tokenizer *tokenizer,
                                   enum documents_learn learn, struct err *e)
{
    struct documents *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    d->tokenizer = tokenizer;
    d->learn = learn;
    if (find_control_tokens(d, e)) {
        documents_destroy(d);
        return NULL;
    }
    return d;
}

void documents_destroy(struct documents *d)
{
    if (d) {
        token_list_deinit(&d->ids);
        mem_free(d->tokens);
        mem_free(d);
    }
}

int documents_add(struct documents *d, const char *line, size_t len,
                  struct dataset_writer *writer, struct err *e)
{
    return render_line(d, line, len, e) || dataset_writer_add(writer, d->tokens, d->count, e)
               ? -1
               : 0;
}

int documents_tokenize(const char *path, const struct tokenizer *tokenizer,
                       enum documents_learn learn, struct dataset_writer *writer, struct err *e)
{
    struct json_lines lines;
    struct documents *documents = documents_create(tokenizer, learn, e);
    if (!documents || json_lines_open(&lines, path, true, e)) {
        documents_destroy(documents);
        return -1;
    }
    int rc;
    while ((rc = json_lines_next(&lines, e)) > 0) {
        if (documents_add(documents, lines.text, lines.len, writer, e)) {
            rc = json_lines_blame(&lines, e);
            break;
        }
    }
    json_lines_close(&lines);
    documents_destroy(documents);
    return rc;
}

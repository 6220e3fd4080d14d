#include "runtime/serve/conversation.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

static size_t leading_system(const struct chat_message *messages, size_t n)
{
    size_t count = 0;
    while (count < n && strcmp(messages[count].role, "system") == 0) {
        count++;
    }
    return count;
}

/* The system message, "" for none; NULL after an error. */
static char *join_system(const struct answer_prompt_source *s, size_t n_system, struct err *e)
{
    const struct chat_message *messages = s->request->messages;
    bool has_own = s->prompt->mode != PROMPT_DEFAULT || n_system == 0;
    bool has_clients = s->prompt->mode != PROMPT_OVERRIDE;
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    char *joined = NULL;
    if (has_own && prompt_render(s->prompt, s->values, s->n_values, &text, NULL, e) != 0) {
        goto cleanup;
    }
    for (size_t i = 0; has_clients && i < n_system; i++) {
        if (text.len > 0) {
            buf_append_char(&text, '\n');
        }
        buf_append(&text, messages[i].content, messages[i].content_len);
    }
    joined = buf_take(&text, NULL);
    if (!joined) {
        err_nomem(e);
    }
cleanup:
    buf_deinit(&text);
    return joined;
}

static int add_example_text(struct conversation *c, const struct answer_prompt_source *s,
                            const char *role, const char *text, struct err *e)
{
    struct buf out;
    buf_init(&out, PROMPT_RENDERED_MAX);
    int rc = prompt_fill(s->prompt, text, s->values, s->n_values, &out, e);
    char *filled = rc == 0 ? buf_take(&out, NULL) : NULL;
    buf_deinit(&out);
    if (!filled) {
        return rc == 0 ? err_nomem(e) : -1;
    }
    c->filled[c->n_filled++] = filled;
    c->messages[c->n_messages++] =
        (struct chat_message){.role = role, .content = filled, .content_len = strlen(filled)};
    return 0;
}

static int add_examples(struct conversation *c, const struct answer_prompt_source *s,
                        struct err *e)
{
    for (size_t i = 0; i < s->prompt->n_examples; i++) {
        const struct prompt_example *example = &s->prompt->examples[i];
        if (add_example_text(c, s, "user", example->user, e) != 0 ||
            add_example_text(c, s, "assistant", example->assistant, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int fill(struct conversation *c, const struct answer_prompt_source *s, struct err *e)
{
    const struct chat_message *messages = s->request->messages;
    size_t n_system = leading_system(messages, s->request->n_messages);
    c->system = join_system(s, n_system, e);
    if (!c->system) {
        return -1;
    }
    /* A client may send one that says nothing; the template decides what to make of it. */
    bool has_clients = n_system > 0 && s->prompt->mode != PROMPT_OVERRIDE;
    if (c->system[0] || has_clients) {
        c->messages[c->n_messages++] = (struct chat_message){
            .role = "system", .content = c->system, .content_len = strlen(c->system)};
    }
    if (add_examples(c, s, e) != 0) {
        return -1;
    }
    c->first = c->n_messages;
    for (size_t i = n_system; i < s->request->n_messages; i++) {
        if (s->prompt->mode != PROMPT_OVERRIDE || strcmp(messages[i].role, "system") != 0) {
            c->messages[c->n_messages++] = messages[i];
        }
    }
    return 0;
}

int conversation_init(struct conversation *c, const struct answer_prompt_source *s,
                      struct err *e)
{
    size_t n_examples = 2 * s->prompt->n_examples;
    *c = (struct conversation){0};
    c->messages = mem_zarray(s->request->n_messages + n_examples + 1, sizeof(*c->messages));
    c->filled = mem_zarray(n_examples + 1, sizeof(*c->filled));
    int rc = c->messages && c->filled ? fill(c, s, e) : err_nomem(e);
    if (rc != 0) {
        conversation_deinit(c);
    }
    return rc;
}

size_t conversation_droppable(const struct chat_message *messages, size_t n)
{
    size_t n_system = leading_system(messages, n);
    return n > n_system + 1 ? n - n_system - 1 : 0;
}

size_t conversation_excess(const struct chat_message *messages, size_t n, size_t max_bytes)
{
    size_t total = n - leading_system(messages, n);
    size_t bytes = 0, kept = 0;
    while (kept < total && bytes + messages[n - 1 - kept].content_len <= max_bytes) {
        bytes += messages[n - 1 - kept++].content_len;
    }
    if (kept == total) {
        return 0;
    }
    return total - (kept > 0 ? kept : 1);
}

void conversation_drop_oldest(struct conversation *c, size_t n)
{
    c->n_messages -= n;
    memmove(c->messages + c->first, c->messages + c->first + n,
            (c->n_messages - c->first) * sizeof(*c->messages));
}

void conversation_deinit(struct conversation *c)
{
    for (size_t i = 0; i < c->n_filled; i++) {
        mem_free(c->filled[i]);
    }
    mem_free(c->filled);
    mem_free(c->messages);
    mem_free(c->system);
    *c = (struct conversation){0};
}

#include "runtime/serve/conversation.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/serve/filter_text.h"

static size_t leading_system(const struct chat_message *messages, size_t n)
{
    size_t count = 0;
    while (count < n && strcmp(messages[count].role, "system") == 0) {
        count++;
    }
    return count;
}

static char *join_system(const struct prompt *prompt, const struct chat_message *messages,
                         size_t n)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    buf_append(&text, prompt->text, prompt->text_len);
    for (size_t i = 0; i < n; i++) {
        if (text.len > 0) {
            buf_append_char(&text, '\n');
        }
        buf_append(&text, messages[i].content, messages[i].content_len);
    }
    char *joined = buf_take(&text, NULL);
    buf_deinit(&text);
    return joined;
}

int conversation_init(struct conversation *c, const struct prompt *prompt,
                      const struct chat_message *messages, size_t n, struct err *e)
{
    *c = (struct conversation){0};
    size_t n_system = leading_system(messages, n);
    bool has_system = n_system > 0 || prompt->text_len > 0;
    c->messages = mem_zarray(n + 1, sizeof(*c->messages));
    if (!c->messages) {
        return err_nomem(e);
    }
    if (has_system) {
        c->system = join_system(prompt, messages, n_system);
        if (!c->system) {
            conversation_deinit(c);
            return err_nomem(e);
        }
        c->messages[0] = (struct chat_message){
            .role = "system", .content = c->system, .content_len = strlen(c->system)};
        c->n_messages = 1;
    }
    for (size_t i = n_system; i < n; i++) {
        c->messages[c->n_messages++] = messages[i];
    }
    return 0;
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
    size_t first = c->system ? 1 : 0;
    c->n_messages -= n;
    memmove(c->messages + first, c->messages + first + n,
            (c->n_messages - first) * sizeof(*c->messages));
}

void conversation_deinit(struct conversation *c)
{
    mem_free(c->messages);
    mem_free(c->system);
    *c = (struct conversation){0};
}

static int filter_message(struct answer_request *r, size_t i, struct chain *chain,
                          struct moderation_result *findings, struct err *e)
{
    struct chat_message *m = &r->messages[i];
    char where[48];
    snprintf(where, sizeof(where), "messages[%zu].content", i);
    char *text =
        filter_text(chain, m->content, m->content_len, where, &m->content_len, findings, e);
    if (!text || answer_request_own(r, text, e) != 0) {
        return -1;
    }
    m->content = text;
    return 0;
}

static int filter_prompt(struct answer_request *r, size_t i, struct chain *chain,
                         struct moderation_result *findings, struct err *e)
{
    struct answer_prompt *p = &r->prompts[i];
    char *text = filter_text(chain, p->text, p->text_len, "prompt", &p->text_len, findings, e);
    if (!text || answer_request_own(r, text, e) != 0) {
        return -1;
    }
    p->text = text;
    return 0;
}

int conversation_filter_input(struct answer_request *r, struct chain *chain,
                              struct moderation_result *findings, struct err *e)
{
    if (!chain_has_side(chain, FILTER_INPUT)) {
        return 0;
    }
    for (size_t i = 0; i < r->n_messages; i++) {
        const struct chat_message *m = &r->messages[i];
        if (m->content && strcmp(m->role, "assistant") != 0 &&
            filter_message(r, i, chain, findings, e) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < r->n_prompts; i++) {
        if (!r->prompts[i].text) {
            return err_set_param(e, ERR_UNSUPPORTED, "prompt",
                                 "\"prompt\": filters read text, send text and not tokens");
        }
        if (filter_prompt(r, i, chain, findings, e) != 0) {
            return -1;
        }
    }
    return 0;
}

#include "runtime/serve/shared_prefix.h"

#include <string.h>

#include "models/template/chat_prompt.h"
#include "runtime/base/log.h"
#include "runtime/serve/conversation.h"

#define BEFORE_ALL_OTHERS (-1000000)
#define SHARED_PIN        1

static int render(const struct server *s, const char *question, struct token_list *out,
                  struct err *e)
{
    const struct model *m = s->generation->model;
    struct chat_message message = {
        .role = "user", .content = question, .content_len = strlen(question)};
    struct conversation c;
    if (conversation_init(&c, s->prompt, &message, 1, e) != 0) {
        return -1;
    }
    int rc =
        chat_prompt_tokens(m->chat_template, m->tokenizer, c.messages, c.n_messages, out, e);
    conversation_deinit(&c);
    return rc;
}

/* What is common to two questions that have nothing in common. */
static int find(struct server *s, struct err *e)
{
    struct token_list other = {0};
    s->shared_prefix.count = 0;
    if (render(s, "a", &s->shared_prefix, e) != 0 || render(s, "9 %", &other, e) != 0) {
        s->shared_prefix.count = 0;
        token_list_deinit(&other);
        return -1;
    }
    size_t n = 0;
    while (n < s->shared_prefix.count && n < other.count &&
           s->shared_prefix.ids[n] == other.ids[n]) {
        n++;
    }
    s->shared_prefix.count = n;
    token_list_deinit(&other);
    return 0;
}

void shared_prefix_update(struct server *s)
{
    struct err e = {0};
    if (!s->generation || !s->generation->engine || !s->prompt) {
        return;
    }
    struct engine_request r = {.max_tokens = 1,
                               .options = {.pin = SHARED_PIN, .priority = BEFORE_ALL_OTHERS}};
    uint64_t id;
    int rc = find(s, &e);
    r.prompt = s->shared_prefix.ids;
    r.n_prompt = r.options.n_shared = s->shared_prefix.count;
    if (rc == 0 && r.n_prompt > 0) {
        rc = engine_submit(s->generation->engine, &r, &id, &e);
    }
    if (rc != 0) {
        log_warn("the system prompt is not read ahead: %s", e.message);
    }
}

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/serve/exchange_parts.h"
#include "runtime/serve/feedback.h"

static int append_text(struct buf *out, const char *name, const char *text, size_t len)
{
    buf_printf(out, "\"%s\":", name);
    return json_append_string(out, text, len);
}

static void append_message(struct buf *out, const struct chat_message *m)
{
    buf_append_char(out, '{');
    append_text(out, "role", m->role, strlen(m->role));
    buf_append_char(out, ',');
    append_text(out, "content", m->content ? m->content : "", m->content ? m->content_len : 0);
    if (m->tool_calls) {
        buf_printf(out, ",\"tool_calls\":%s", m->tool_calls);
    }
    if (m->tool_call_id) {
        buf_append_char(out, ',');
        append_text(out, "tool_call_id", m->tool_call_id, strlen(m->tool_call_id));
    }
    buf_append_char(out, '}');
}

/* What was asked, as struct feedback has it; NULL where it is no one text or conversation, or
 * there is no room for it. */
static char *asked(const struct answer_request *r)
{
    struct buf out;
    buf_init(&out, FEEDBACK_TEXT_MAX);
    if (r->n_prompts == 1 && r->prompts[0].text) {
        json_append_string(&out, r->prompts[0].text, r->prompts[0].text_len);
    } else if (r->n_prompts == 0) {
        buf_append_char(&out, '[');
        for (size_t i = 0; i < r->n_messages; i++) {
            buf_append_str(&out, i ? "," : "");
            append_message(&out, &r->messages[i]);
        }
        buf_append_char(&out, ']');
    }
    char *text = out.failed || out.len == 0 ? NULL : buf_take(&out, NULL);
    buf_deinit(&out);
    return text;
}

/* Only whole answers are examples of anything. */
static char *answered(const struct answer_choice *c)
{
    bool is_whole = c->finish == ANSWER_FINISH_STOP && c->n_calls == 0 && c->content.len > 0 &&
                    c->content.len <= FEEDBACK_TEXT_MAX;
    return is_whole ? mem_strndup(c->content.data, c->content.len) : NULL;
}

/* Without memory less is kept, which costs an example. */
static void keep_texts(const struct exchange *x, struct remembered_answer *a)
{
    a->texts = mem_zarray(x->n_choices, sizeof(char *));
    a->messages = a->texts ? asked(&x->request) : NULL;
    a->bytes = a->messages ? strlen(a->messages) : 0;
    for (size_t i = 0; a->messages && i < x->n_choices; i++) {
        a->texts[i] = answered(&x->answers[i]);
        a->bytes += a->texts[i] ? strlen(a->texts[i]) : 0;
    }
}

static bool is_given(const struct exchange *x)
{
    bool is_whole = x->n_choices > 0 && x->failure == ERR_NONE && !x->has_left;
    for (size_t i = 0; i < x->n_choices && is_whole; i++) {
        is_whole = x->choices[i].ended;
    }
    return is_whole;
}

void exchange_remember(const struct exchange *x)
{
    struct feedback_desk *desk = x->server->feedback;
    struct remembered_answer *a = desk && is_given(x) ? mem_zalloc(sizeof(*a)) : NULL;
    if (!a) {
        return;
    }
    a->tenant = x->tenant;
    a->mark = x->drift_mark;
    a->time_ns = clock_now_ns();
    a->n_choices = x->n_choices;
    snprintf(a->id, sizeof(a->id), "%s", x->reply.id);
    snprintf(a->model, sizeof(a->model), "%s", x->generation->id);
    if (feedback_desk_keeps_texts(desk)) {
        keep_texts(x, a);
    }
    feedback_desk_remember(desk, a);
}

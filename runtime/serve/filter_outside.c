#include "runtime/serve/filter_outside.h"

#include <stdio.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"

/* One question under way. */
struct asked {
    struct http_call *call;
    void (*answered)(void *user, const struct filter_answer *answer);
    void *user;
};

static void on_done(void *user, const struct http_call_answer *answer)
{
    const struct asked asked = *(struct asked *)user;
    const struct filter_answer told = {.size = sizeof(told),
                                       .status = (uint32_t)answer->status,
                                       .body = answer->body ? answer->body : "",
                                       .len = answer->len,
                                       .error = answer->error};
    mem_free(user);
    asked.answered(asked.user, &told);
}

static struct http_calls *calls_of(struct filter_outside *o)
{
    struct err e = {0};
    if (!o->calls && !o->is_closed) {
        o->calls = http_calls_create(o->loop, &e);
        if (!o->calls) {
            log_error("filters can ask nobody: %s", e.message);
        }
    }
    return o->calls;
}

/* headers: (n) beside the body's own. */
static void *send_question(struct filter_outside *o, const struct filter_question *q,
                           const char *const *headers, size_t n,
                           void (*answered)(void *user, const struct filter_answer *answer),
                           void *user)
{
    struct http_calls *calls = calls_of(o);
    struct asked *asked = calls ? mem_zalloc(sizeof(*asked)) : NULL;
    if (!asked) {
        return NULL;
    }
    const struct http_call_request request = {.url = q->url,
                                              .headers = headers,
                                              .header_count = n,
                                              .body = q->body,
                                              .body_len = q->body_len,
                                              .trusted = q->trusted,
                                              .trusted_len = q->trusted_len,
                                              .delay_ms = q->delay_ms,
                                              .timeout_ms = q->timeout_ms,
                                              .answer_max = q->max_answer};
    asked->answered = answered;
    asked->user = user;
    asked->call = http_call_begin(calls, &request, on_done, asked);
    if (!asked->call) {
        mem_free(asked);
        return NULL;
    }
    return asked;
}

static void *ask(struct chain_outside *outside, const struct filter_question *q,
                 void (*answered)(void *user, const struct filter_answer *answer), void *user)
{
    return send_question((struct filter_outside *)outside, q, q->headers, q->header_count,
                         answered, user);
}

static void *ask_traced(struct chain_outside *outside, const struct filter_question *q,
                        void (*answered)(void *user, const struct filter_answer *answer),
                        void *user)
{
    const struct filter_outside_traced *t = (struct filter_outside_traced *)outside;
    const char **headers = mem_array(q->header_count + 1, sizeof(*headers));
    if (!headers) {
        return NULL;
    }
    for (size_t i = 0; i < q->header_count; i++) {
        headers[i] = q->headers[i];
    }
    headers[q->header_count] = t->header;
    void *asked = send_question(t->to, q, headers, q->header_count + (t->header[0] != '\0'),
                                answered, user);
    mem_free(headers);
    return asked;
}

static void take_back(struct chain_outside *outside, void *question)
{
    (void)outside;
    struct asked *asked = question;
    http_call_cancel(asked->call);
    mem_free(asked);
}

void filter_outside_init(struct filter_outside *o, uv_loop_t *loop)
{
    *o = (struct filter_outside){.face = {.ask = ask, .take_back = take_back}, .loop = loop};
}

void filter_outside_trace(struct filter_outside_traced *t, struct filter_outside *to,
                          const char *parent)
{
    *t = (struct filter_outside_traced){.face = {.ask = ask_traced, .take_back = take_back},
                                        .to = to};
    if (parent[0]) {
        snprintf(t->header, sizeof(t->header), "traceparent: %s", parent);
    }
}

void filter_outside_close(struct filter_outside *o)
{
    o->is_closed = true;
    http_calls_close(o->calls);
    o->calls = NULL;
}

#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/net/sse.h"
#include "runtime/serve/exchange_parts.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/respond.h"

#define EVENT_BYTES_MAX ((size_t)4 << 20)

/* Output that waits for a client: beyond this the engine makes no more of it for now. */
#define PAUSE_BYTES ((size_t)256 << 10)

/* Text that waits for filters: the same. */
#define HELD_BYTES ((size_t)16 << 10)

static void pause_choice(struct choice *c)
{
    bool paused = c->exchange->paused || c->held_back;
    if (paused != c->paused && c->engine_running) {
        c->paused = paused;
        engine_pause(c->exchange->generation->engine, c->engine_id, paused);
    }
}

/* While a client reads slower than the model writes, its answers wait in the engine and not in
 * memory here. */
void exchange_pause(struct exchange *x, bool paused)
{
    if (x->paused == paused) {
        return;
    }
    x->paused = paused;
    for (size_t i = 0; i < x->n_choices; i++) {
        pause_choice(&x->choices[i]);
    }
}

void exchange_hold_back(struct choice *c)
{
    c->held_back =
        answer_text_is_waiting(&c->text) && chain_stream_held(c->text.filters) > HELD_BYTES;
    pause_choice(c);
}

void exchange_write(struct exchange *x, const void *data, size_t len)
{
    http_stream_write(x->http, data, len);
    x->sent_ns = clock_now_ns();
    if (http_exchange_queued_bytes(x->http) > PAUSE_BYTES) {
        exchange_pause(x, true);
    }
}

/* Sends one JSON text as an event and releases it. A client that cannot be written to is seen
 * by exchange_abort, so failures need no handling here. */
void exchange_send_event(void *ctx, const char *name, char *json, size_t len)
{
    struct exchange *x = ctx;
    struct buf event;
    buf_init(&event, EVENT_BYTES_MAX);
    if (!x->http) {
        /* An event before this one has ended it. */
    } else if (json && sse_append_event(&event, name, json, len) == 0) {
        exchange_write(x, event.data, event.len);
    } else {
        /* A stream with a hole in it must not look complete. */
        struct http_exchange *http = x->http;
        exchange_leave_client(x);
        http_exchange_cut(http);
    }
    buf_deinit(&event);
    mem_free(json);
}

void exchange_begin_stream(struct exchange *x)
{
    if (x->streaming) {
        return;
    }
    struct http_header headers[2 + PROVENANCE_HEADERS] = {{"Content-Type", "text/event-stream"},
                                                          {"Cache-Control", "no-cache"}};
    provenance_headers(&x->made_by, headers + 2);
    x->streaming = true;
    http_stream_begin(x->http, 200, headers, 2 + PROVENANCE_HEADERS);
    x->reply.format->begin(&x->reply);
}

/* Streams what has been released; a whole answer lets it gather. */
void exchange_take_piece(void *user, const struct answer_piece *piece)
{
    struct choice *c = user;
    struct exchange *x = c->exchange;
    if (x->request.stream && x->http) {
        exchange_begin_stream(x);
        x->reply.format->piece(&x->reply, c->index, piece);
    }
}

static bool all_ended(const struct exchange *x)
{
    for (size_t i = 0; i < x->n_choices; i++) {
        if (!x->choices[i].ended) {
            return false;
        }
    }
    return true;
}

/* What the filters found, as the client wants to be told. Without memory it is not told. */
static void tell_findings(struct exchange *x)
{
    if (x->request.moderation.input == MODERATION_UNTOLD) {
        return;
    }
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < x->n_choices; i++) {
        filter_findings_take(&x->found_output, x->choices[i].text.filters);
        filter_findings_take_spans(&x->found_output, i, x->choices[i].text.filters);
    }
    buf_append_str(&text, "{\"input\":");
    moderation_append_side(&text, chain_name(x->chain), &x->found_input);
    buf_append_str(&text, ",\"output\":");
    moderation_append_side(&text, chain_name(x->chain), &x->found_output);
    buf_append_char(&text, '}');
    x->reply.moderation = x->moderation = text.failed ? NULL : buf_take(&text, NULL);
    buf_deinit(&text);
}

static void end_stream(struct exchange *x)
{
    x->reply.format->end(&x->reply);
    struct http_exchange *http = x->http;
    if (http) {
        const char *last = x->reply.format->last;
        http_stream_write(http, last, strlen(last));
        exchange_leave_client(x);
        http_stream_end(http);
    }
}

static void send_whole(struct exchange *x)
{
    struct http_header headers[PROVENANCE_HEADERS];
    size_t len = 0;
    char *json = x->reply.format->whole(&x->reply, &len);
    struct http_exchange *http = x->http;
    provenance_headers(&x->made_by, headers);
    exchange_leave_client(x);
    respond_json(http, 200, json, len, headers, PROVENANCE_HEADERS);
}

void exchange_end_choice(struct choice *c, enum answer_finish finish)
{
    struct exchange *x = c->exchange;
    enum answer_finish as = answer_text_finish_as(&c->text, finish);
    x->answers[c->index].finish = as;
    c->ended = true;
    if (c->index == 0) {
        shadow_take_end(x->shadow, reply_finish_name(as), as == ANSWER_FINISH_CONTENT_FILTER);
    }
    if (c->engine_running) {
        engine_cancel(x->generation->engine, c->engine_id);
    }
    if (x->request.stream && x->http) {
        exchange_begin_stream(x);
        x->reply.format->finish(&x->reply, c->index);
    }
    if (x->http && all_ended(x)) {
        tell_findings(x);
        (x->request.stream ? end_stream : send_whole)(x);
    }
}

/* Something broke inside an answer: a whole one becomes an error. A streamed one gets an event
 * that says so, and no end that could be taken for a good one. */
void exchange_fail(struct exchange *x, const struct err *e)
{
    if (!x->http) {
        return; /* it was cut before, when there was no memory for what it had */
    }
    if (!x->streaming) {
        exchange_refuse(x, e);
        return;
    }
    request_watch_log_error(x->http, "a streamed answer was cut: %s", e->message);
    struct api_error error = api_error_from(e);
    x->failure = e->kind;
    x->reply.format->failed(&x->reply, &error);
    struct http_exchange *http = x->http;
    if (http) {
        exchange_leave_client(x);
        http_stream_end(http);
    }
}

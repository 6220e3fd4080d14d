#include "runtime/serve/filter_run.h"

#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/serve/filter_findings.h"
#include "runtime/serve/server.h"

/* So long others on the loop may be kept. */
#define TURN_NS 5000000u

static int emit(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)channel;
    return buf_append(context, text, len);
}

static void close_text(struct filter_run *run)
{
    chain_stream_destroy(run->stream);
    run->stream = NULL;
    buf_deinit(&run->out);
}

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void end_rest(struct filter_run *run)
{
    if (run->rest) {
        uv_close((uv_handle_t *)run->rest, on_closed);
        run->rest = NULL;
    }
}

static void close_run(struct filter_run *run)
{
    end_rest(run);
    close_text(run);
    chain_unref(run->chain);
    run->chain = NULL;
}

static int set_refused(const struct filter_run *run, struct err *e)
{
    const char *refusal = chain_refusal(run->chain);
    const char *param = run->text.param;
    return refusal ? err_set_param(e, ERR_FILTERED, param, "%s", refusal)
                   : err_set_param(e, ERR_FILTERED, param, "a filter refused \"%s\": %s", param,
                                   chain_stream_stop(run->stream)->message);
}

/* The filters are through with the text: status is what the chain returned. */
static int end_text(struct filter_run *run, int status, struct err *e)
{
    const struct filter_run_text *text = &run->text;
    size_t len = 0;
    char *filtered = NULL;
    filter_record_text(&run->origin, text->param, run->chain, text->side, run->stream,
                       text->text, text->len);
    if (status < 0) {
        return -1;
    }
    if (text->findings && filter_findings_take(text->findings, run->stream) != 0) {
        return err_nomem(e);
    }
    if (status == CHAIN_STOPPED && text->param[0]) {
        return set_refused(run, e);
    }
    filtered = buf_take(&run->out, &len);
    close_text(run);
    return filtered ? run->owner->take(run->user, run->index, filtered, len, e) : err_nomem(e);
}

static void on_wake(void *user);

/* What the chain returned, or -1. */
static int begin_text(struct filter_run *run, struct err *e)
{
    const struct filter_run_text *text = &run->text;
    const struct chain_sink sink = {.emit = emit, .context = &run->out};
    buf_init(&run->out, SIZE_MAX / 2);
    run->stream = chain_stream_create(run->chain, text->side, e);
    if (!run->stream) {
        return -1;
    }
    chain_stream_set_outside(run->stream, &run->origin.server->outside.face, on_wake, run);
    int status = chain_feed(run->stream, FILTER_CONTENT, text->text, text->len, &sink, e);
    return status == CHAIN_GOES_ON ? chain_finish(run->stream, &sink, e) : status;
}

static void on_turn(uv_idle_t *rest);

/* Until the loop has seen to the others. */
static int take_rest(struct filter_run *run, struct err *e)
{
    uv_idle_t *rest = mem_zalloc(sizeof(*rest));
    if (!rest) {
        return err_nomem(e);
    }
    uv_idle_init(&run->origin.server->loop, rest);
    rest->data = run;
    run->rest = rest;
    uv_idle_start(rest, on_turn);
    return FILTER_RUN_WAITS;
}

/* From the text with run->index on. */
static int go_on(struct filter_run *run, struct err *e)
{
    for (; run->index < run->count; run->index++) {
        if (clock_now_ns() > run->turn_end_ns) {
            return take_rest(run, e);
        }
        run->text = (struct filter_run_text){.side = FILTER_INPUT};
        int found = run->owner->get(run->user, run->index, &run->text, e);
        if (found < 0) {
            return -1;
        }
        if (found == 0 || !chain_has_side(run->chain, run->text.side)) {
            continue;
        }
        int status = begin_text(run, e);
        if (status == CHAIN_GOES_ON && chain_stream_is_waiting(run->stream)) {
            return FILTER_RUN_WAITS;
        }
        if (end_text(run, status, e) != 0) {
            return -1;
        }
    }
    return FILTER_RUN_OVER;
}

static int resume(struct filter_run *run, struct err *e)
{
    const struct chain_sink sink = {.emit = emit, .context = &run->out};
    int status = chain_resume(run->stream, &sink, e);
    if (status == CHAIN_GOES_ON && chain_stream_is_waiting(run->stream)) {
        return FILTER_RUN_WAITS;
    }
    if (end_text(run, status, e) != 0) {
        return -1;
    }
    run->index++;
    return go_on(run, e);
}

/* It had to wait, and has gone on. */
static void settle(struct filter_run *run, int status, struct err *e)
{
    if (status != FILTER_RUN_WAITS) {
        close_run(run);
        run->owner->done(run->user, status == FILTER_RUN_OVER ? NULL : e);
    }
}

static void begin_turn(struct filter_run *run)
{
    run->turn_end_ns = clock_now_ns() + TURN_NS;
}

static void on_turn(uv_idle_t *rest)
{
    struct filter_run *run = rest->data;
    struct err e = {0};
    end_rest(run);
    begin_turn(run);
    settle(run, go_on(run, &e), &e);
}

static void on_wake(void *user)
{
    struct filter_run *run = user;
    struct err e = {0};
    begin_turn(run);
    settle(run, resume(run, &e), &e);
}

int filter_run_start(struct filter_run *run, const struct filter_run_owner *owner, void *user,
                     struct chain *chain, const struct filter_origin *origin, size_t count,
                     struct err *e)
{
    *run = (struct filter_run){.owner = owner,
                               .user = user,
                               .chain = chain_ref(chain),
                               .origin = *origin,
                               .count = count};
    begin_turn(run);
    int status = go_on(run, e);
    if (status != FILTER_RUN_WAITS) {
        close_run(run);
    }
    return status;
}

bool filter_run_is_waiting(const struct filter_run *run)
{
    return run->stream || run->rest;
}

void filter_run_cancel(struct filter_run *run)
{
    if (filter_run_is_waiting(run)) {
        close_run(run);
    }
}

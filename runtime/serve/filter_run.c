#include "runtime/serve/filter_run.h"

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/serve/filter_findings.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/server.h"

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

static void close_run(struct filter_run *run)
{
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
    if (!text->is_untold) {
        filter_record_text(&run->origin, text->param, run->chain, text->side, run->stream,
                           text->text, text->len);
    }
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

/* Feeding goes in pieces of this size; after each the clock is looked at. */
#define PIECE_BYTES ((size_t)4096)

static bool is_late(const struct filter_run *run)
{
    return clock_now_ns() - run->turn_began > LOOP_TURN_NS;
}

static int open_text(struct filter_run *run, struct err *e)
{
    buf_init(&run->out, SIZE_MAX / 2);
    run->fed = 0;
    run->stream = chain_stream_create(run->chain, run->text.side, e);
    if (!run->stream) {
        return -1;
    }
    chain_stream_set_outside(run->stream, &run->outside.face, on_wake, run);
    return 0;
}

static size_t next_piece(const struct filter_run *run)
{
    const char *text = run->text.text + run->fed;
    size_t left = run->text.len - run->fed;
    return left <= PIECE_BYTES ? left : PIECE_BYTES - utf8_incomplete_tail(text, PIECE_BYTES);
}

/* What is left of the text, up to where it has to wait for an answer or for the next turn: what
 * the chain returned. At the end of the text run->is_fed. */
static int feed_text(struct filter_run *run, struct err *e)
{
    const struct chain_sink sink = {.emit = emit, .context = &run->out};
    int status = CHAIN_GOES_ON;
    while (status == CHAIN_GOES_ON && run->fed < run->text.len &&
           !chain_stream_is_waiting(run->stream) && !is_late(run)) {
        size_t n = next_piece(run);
        status =
            chain_feed(run->stream, FILTER_CONTENT, run->text.text + run->fed, n, &sink, e);
        run->fed += n;
    }
    if (status == CHAIN_GOES_ON && run->fed == run->text.len && !run->is_fed &&
        !chain_stream_is_waiting(run->stream)) {
        run->is_fed = true;
        status = chain_finish(run->stream, &sink, e);
    }
    return status;
}

static void on_turn(struct loop_turn *turn);

/* The text that is open, as far as it goes: FILTER_RUN_OVER: it is through, and closed. */
static int pass_text(struct filter_run *run, int status, struct err *e)
{
    if (status == CHAIN_GOES_ON) {
        status = feed_text(run, e);
    }
    if (status == CHAIN_GOES_ON && chain_stream_is_waiting(run->stream)) {
        return FILTER_RUN_WAITS;
    }
    if (status == CHAIN_GOES_ON && !run->is_fed) {
        loop_turn_wait(&run->origin.server->turns, &run->turn, on_turn);
        return FILTER_RUN_WAITS;
    }
    run->is_fed = false;
    return end_text(run, status, e) == 0 ? FILTER_RUN_OVER : -1;
}

/* From the text with run->index on. */
static int go_on(struct filter_run *run, struct err *e)
{
    for (; run->index < run->count; run->index++) {
        if (is_late(run)) {
            loop_turn_wait(&run->origin.server->turns, &run->turn, on_turn);
            return FILTER_RUN_WAITS;
        }
        run->text = (struct filter_run_text){.side = FILTER_INPUT};
        int found = run->owner->get(run->user, run->index, &run->text, e);
        if (found < 0) {
            return -1;
        }
        if (found == 0 || !chain_has_side(run->chain, run->text.side)) {
            continue;
        }
        int status = open_text(run, e) == 0 ? pass_text(run, CHAIN_GOES_ON, e) : -1;
        if (status != FILTER_RUN_OVER) {
            return status;
        }
    }
    return FILTER_RUN_OVER;
}

/* With the text that is open, if there is one: status is what its chain returned. */
static void resume(struct filter_run *run, int status, struct err *e)
{
    int rc = FILTER_RUN_OVER;
    if (run->stream) {
        rc = pass_text(run, status, e);
        run->index += rc == FILTER_RUN_OVER;
    }
    rc = rc == FILTER_RUN_OVER ? go_on(run, e) : rc;
    if (rc == FILTER_RUN_WAITS) {
        return;
    }
    close_run(run);
    run->owner->done(run->user, rc == FILTER_RUN_OVER ? NULL : e);
}

static void on_wake(void *user)
{
    struct filter_run *run = user;
    const struct chain_sink sink = {.emit = emit, .context = &run->out};
    struct err e = {0};
    run->turn_began = clock_now_ns();
    resume(run, chain_resume(run->stream, &sink, &e), &e);
}

static void on_turn(struct loop_turn *turn)
{
    struct filter_run *run =
        (struct filter_run *)((char *)turn - offsetof(struct filter_run, turn));
    struct err e = {0};
    run->turn_began = clock_now_ns();
    resume(run, CHAIN_GOES_ON, &e);
}

int filter_run_start(struct filter_run *run, const struct filter_run_owner *owner, void *user,
                     struct chain *chain, const struct filter_origin *origin, size_t count,
                     struct err *e)
{
    *run = (struct filter_run){.owner = owner,
                               .user = user,
                               .chain = chain_ref(chain),
                               .origin = *origin,
                               .count = count,
                               .turn_began = clock_now_ns()};
    char parent[TRACE_PARENT_LEN + 1];
    request_watch_parent(origin->http, parent);
    filter_outside_trace(&run->outside, &origin->server->outside, parent);
    int status = go_on(run, e);
    if (status != FILTER_RUN_WAITS) {
        close_run(run);
    }
    return status;
}

bool filter_run_is_waiting(const struct filter_run *run)
{
    return run->stream != NULL || loop_turn_is_waiting(&run->turn);
}

void filter_run_cancel(struct filter_run *run)
{
    if (filter_run_is_waiting(run)) {
        loop_turn_cancel(&run->turn);
        close_run(run);
    }
}

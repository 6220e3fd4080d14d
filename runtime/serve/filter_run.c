#include "runtime/serve/filter_run.h"

#include <stdint.h>

#include "runtime/base/mem.h"
#include "runtime/serve/filter_findings.h"
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

/* From the text with run->index on. */
static int go_on(struct filter_run *run, struct err *e)
{
    for (; run->index < run->count; run->index++) {
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

static void on_wake(void *user)
{
    struct filter_run *run = user;
    struct err e = {0};
    int status = resume(run, &e);
    if (status == FILTER_RUN_WAITS) {
        return;
    }
    close_run(run);
    run->owner->done(run->user, status == 0 ? NULL : &e);
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
    int status = go_on(run, e);
    if (status != FILTER_RUN_WAITS) {
        close_run(run);
    }
    return status;
}

bool filter_run_is_waiting(const struct filter_run *run)
{
    return run->stream != NULL;
}

void filter_run_cancel(struct filter_run *run)
{
    if (filter_run_is_waiting(run)) {
        close_run(run);
    }
}

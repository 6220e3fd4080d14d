#include "tests/unit/filters/outside_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/utf8.h"

static int log_bytes(struct outside_run *run, int channel, const char *text, size_t len)
{
    assert_int_not_equal(run->status, CHAIN_STOPPED);
    if (run->channel != channel) {
        buf_printf(&run->log, "[%d]", channel);
        run->channel = channel;
    }
    return buf_append(&run->log, text, len);
}

static int emit(void *context, enum filter_channel channel, const char *text, size_t len)
{
    assert_true(len > 0 && utf8_is_valid(text, len));
    return log_bytes(context, (int)channel, text, len);
}

static int around(void *context, uint64_t tag, const char *bytes, size_t len)
{
    assert_int_equal(tag, 7);
    return log_bytes(context, 9, bytes, len);
}

struct chain_sink outside_run_sink(struct outside_run *run)
{
    return (struct chain_sink){.emit = emit, .around = around, .context = run};
}

static void resume(struct outside_run *run)
{
    struct chain_sink sink = outside_run_sink(run);
    struct err e;
    int status = chain_resume(run->stream, &sink, &e);
    run->woken = false;
    run->status = status;
}

void outside_run_wake(void *ctx)
{
    struct outside_run *run = ctx;
    run->woken = true;
    if (!run->resumes_later) {
        resume(run);
    }
}

void outside_run_answer_one(struct outside_run *run)
{
    fake_outside_answer(&run->outside, rng_below(run->rng, (uint32_t)run->outside.count));
    if (run->woken) {
        resume(run);
    }
}

static void answer_all(struct outside_run *run)
{
    while (run->outside.count > 0) {
        assert_true(chain_stream_is_waiting(run->stream));
        outside_run_answer_one(run);
    }
}

static void after_call(struct outside_run *run)
{
    if (run->pace == AT_ONCE) {
        answer_all(run);
    } else if (run->pace == NOW_AND_THEN) {
        uint32_t n = rng_below(run->rng, 4);
        while (n-- > 0 && run->outside.count > 0) {
            outside_run_answer_one(run);
        }
    }
}

static size_t next_cut(const char *text, size_t at, size_t len, enum trace_cuts cuts,
                       struct rng *rng)
{
    size_t n = cuts == TRACE_WHOLE        ? len - at
               : cuts == TRACE_CHARACTERS ? 1
                                          : 1 + rng_below(rng, 9);
    n = n < len - at ? n : len - at;
    while (at + n < len && ((unsigned char)text[at + n] & 0xC0u) == 0x80u) {
        n++;
    }
    return at + n;
}

void outside_run_feed(struct outside_run *run, const struct outside_op *op,
                      enum trace_cuts cuts)
{
    struct chain_sink sink = outside_run_sink(run);
    struct err e;
    size_t len = strlen(op->text);
    if (op->around) {
        run->status = chain_around(run->stream, 7, op->text, len, &sink, &e);
        after_call(run);
    } else if (len == 0) {
        run->status = chain_end_text(run->stream, op->channel, &sink, &e);
        after_call(run);
    }
    for (size_t at = 0; !op->around && at < len && run->status == CHAIN_GOES_ON;) {
        size_t end = next_cut(op->text, at, len, cuts, run->rng);
        run->status = chain_feed(run->stream, op->channel, op->text + at, end - at, &sink, &e);
        at = end;
        after_call(run);
    }
}

static void write_events(struct outside_run *run)
{
    size_t count;
    bool truncated;
    const struct chain_event *events = chain_stream_events(run->stream, &count, &truncated);
    for (size_t i = 0; i < count; i++) {
        const struct chain_event *v = &events[i];
        buf_printf(&run->events, "%s%s %zu %d#%u %ju-%ju @%ju %s: %s\n",
                   v->is_recorded ? "recorded " : "", chain_event_name(v->kind), v->filter,
                   (int)v->channel, v->ordinal, (uintmax_t)v->from, (uintmax_t)v->to,
                   (uintmax_t)v->at, v->code, v->message);
    }
}

void outside_run_begin(struct outside_run *run, struct chain *chain, enum outside_pace pace,
                       struct rng *rng,
                       uint32_t (*serve)(const struct fake_question *, char *, void *),
                       void *ctx)
{
    *run = (struct outside_run){.pace = pace, .rng = rng, .channel = -1};
    struct err e;
    run->stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_non_null(run->stream);
    fake_outside_init(&run->outside, serve, ctx);
    chain_stream_set_outside(run->stream, &run->outside.face, outside_run_wake, run);
    buf_init(&run->log, 1 << 24);
    buf_init(&run->events, 1 << 24);
}

void outside_run_end(struct outside_run *run)
{
    chain_stream_destroy(run->stream);
    assert_int_equal(run->outside.count, 0); /* what was under way was taken back */
    buf_deinit(&run->log);
    buf_deinit(&run->events);
}

void outside_run_ops(struct outside_run *run, const struct outside_op *ops, size_t count,
                     enum trace_cuts cuts)
{
    struct chain_sink sink = outside_run_sink(run);
    struct err e;
    for (size_t i = 0; i < count && run->status == CHAIN_GOES_ON; i++) {
        outside_run_feed(run, &ops[i], cuts);
    }
    if (run->status == CHAIN_GOES_ON) {
        run->status = chain_finish(run->stream, &sink, &e);
    }
    answer_all(run);
    assert_false(chain_stream_is_waiting(run->stream));
    assert_int_equal(run->status == CHAIN_STOPPED, chain_stream_stop(run->stream) != NULL);
    assert_int_equal(run->outside.count, 0);
    write_events(run);
}

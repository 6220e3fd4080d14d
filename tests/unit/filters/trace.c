#include "tests/unit/filters/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/utf8.h"

void trace_init(struct trace *trace)
{
    memset(trace, 0, sizeof(*trace));
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        buf_init(&trace->text[i], 1 << 24);
    }
    buf_init(&trace->events, 1 << 24);
    buf_init(&trace->put, 1 << 20);
}

void trace_deinit(struct trace *trace)
{
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        buf_deinit(&trace->text[i]);
    }
    buf_deinit(&trace->events);
    buf_deinit(&trace->put);
}

const char *trace_string(const struct buf *b)
{
    return b->data ? b->data : "";
}

static int emit(void *context, enum filter_channel channel, const char *text, size_t len)
{
    struct trace *trace = context;
    assert_true(len > 0);
    assert_true(utf8_is_valid(text, len));
    trace->emitted_after_stop |= trace->status == CHAIN_STOPPED;
    return buf_append(&trace->text[channel], text, len);
}

/* The end of the next chunk of text[at, len). */
static size_t next_cut(const char *text, size_t at, size_t len, enum trace_cuts cuts,
                       struct rng *rng)
{
    if (cuts == TRACE_WHOLE) {
        return len;
    }
    size_t characters = cuts == TRACE_CHARACTERS ? 1 : 1 + rng_below(rng, 6);
    while (characters-- > 0 && at < len) {
        uint32_t code_point;
        int n = utf8_decode(text + at, len - at, &code_point);
        assert_true(n > 0);
        at += (size_t)n;
    }
    return at;
}

static void feed(struct trace *trace, struct chain_stream *stream, enum filter_channel channel,
                 const struct buf *text, enum trace_cuts cuts, struct rng *rng)
{
    struct chain_sink sink = {.emit = emit, .context = trace};
    struct err e;
    for (size_t at = 0; at < text->len;) {
        size_t end = next_cut(text->data, at, text->len, cuts, rng);
        trace->status = chain_feed(stream, channel, text->data + at, end - at, &sink, &e);
        at = end;
    }
}

static void write_events(struct trace *trace, const struct chain_stream *stream)
{
    size_t count;
    bool truncated;
    const struct chain_event *events = chain_stream_events(stream, &count, &truncated);
    for (size_t i = 0; i < count; i++) {
        const struct chain_event *v = &events[i];
        assert_non_null(v->name);
        buf_printf(&trace->events, "%s%s %zu/%s %s#%u %ju-%ju @%ju %s: %s\n",
                   v->is_recorded ? "recorded " : "", chain_event_name(v->kind), v->filter,
                   v->type, chain_channel_name(v->channel), v->ordinal, (uintmax_t)v->from,
                   (uintmax_t)v->to, (uintmax_t)v->at, v->code, v->message);
        buf_printf(&trace->put, "%u ", v->put);
    }
    if (truncated) {
        buf_append_str(&trace->events, "truncated\n");
    }
}

void trace_run(struct trace *trace, struct chain *chain, enum filter_side side,
               const struct trace_step *steps, size_t count, enum trace_cuts cuts,
               struct rng *rng)
{
    trace_init(trace);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, side, &e);
    assert_non_null(stream);
    struct chain_sink sink = {.emit = emit, .context = trace};
    struct buf joined;
    buf_init(&joined, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        if (steps[i].text[0] == '\0') {
            trace->status = chain_end_text(stream, steps[i].channel, &sink, &e);
            continue;
        }
        buf_append_str(&joined, steps[i].text);
        if (i + 1 == count || steps[i + 1].channel != steps[i].channel ||
            steps[i + 1].text[0] == '\0') {
            feed(trace, stream, steps[i].channel, &joined, cuts, rng);
            buf_clear(&joined);
        }
    }
    trace->status = chain_finish(stream, &sink, &e);
    assert_int_equal(trace->status == CHAIN_STOPPED, chain_stream_stop(stream) != NULL);
    write_events(trace, stream);
    assert_false(trace->emitted_after_stop);
    buf_deinit(&joined);
    chain_stream_destroy(stream);
}

void trace_run_text(struct trace *trace, struct chain *chain, const char *text,
                    enum trace_cuts cuts, struct rng *rng)
{
    struct trace_step step = {.channel = FILTER_CONTENT};
    assert_true(strlen(text) < sizeof(step.text));
    snprintf(step.text, sizeof(step.text), "%s", text);
    trace_run(trace, chain, FILTER_OUTPUT, &step, 1, cuts, rng);
}

void trace_assert_equal(const struct trace *a, const struct trace *b)
{
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        assert_string_equal(trace_string(&a->text[i]), trace_string(&b->text[i]));
    }
    assert_string_equal(trace_string(&a->events), trace_string(&b->events));
    assert_string_equal(trace_string(&a->put), trace_string(&b->put));
    assert_int_equal(a->status, b->status);
}

struct chain *trace_chain(const char *json, const struct filter_type *const *types)
{
    struct chain_options options = {.types = types};
    struct err e;
    struct chain *chain = chain_from_json(json, strlen(json), &options, &e);
    if (!chain) {
        fail_msg("%s", e.message);
    }
    return chain;
}

void trace_expect_releases(struct chain *chain, const char *in, const char *releases)
{
    struct buf out;
    buf_init(&out, 1000);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    for (; *in; in++) {
        chain_feed(stream, FILTER_CONTENT, in, 1, &sink, &e);
        buf_append_char(&out, '|');
    }
    chain_finish(stream, &sink, &e);
    assert_string_equal(trace_string(&out), releases);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

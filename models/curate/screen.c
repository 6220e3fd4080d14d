#include "models/curate/screen.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)32768)

const char screen_default_chain[] =
    "{\"name\": \"curate-default\", \"filters\": ["
    "{\"type\": \"secrets\", \"side\": \"both\", \"action\": \"replace\"},"
    "{\"type\": \"pii\", \"side\": \"both\", \"action\": \"replace\"},"
    "{\"type\": \"classifier\", \"side\": \"output\", \"action\": \"stop\", "
    "\"harassment\": 0.95, \"violence\": 0.95, \"self_harm\": 0.95, \"sexual\": 0.95, "
    "\"illicit\": 0.95, \"injection\": 0.95}]}";

static size_t chunk_len(const char *text, size_t len)
{
    size_t n = len < CHUNK_BYTES ? len : CHUNK_BYTES;
    while (n > 0 && n < len && ((unsigned char)text[n] & 0xc0u) == 0x80u) {
        n--;
    }
    return n;
}

static int feed_segment(struct chain_stream *stream, const char *text, size_t len,
                        const struct chain_sink *sink, struct err *e)
{
    int status = CHAIN_GOES_ON;
    for (size_t at = 0; at < len && status == CHAIN_GOES_ON;) {
        size_t n = chunk_len(text + at, len - at);
        status = chain_feed(stream, FILTER_CONTENT, text + at, n, sink, e);
        at += n;
    }
    return status == CHAIN_GOES_ON ? chain_end_text(stream, FILTER_CONTENT, sink, e) : status;
}

static void give_reason(struct screen_result *result, const struct chain_event *why)
{
    if (strcmp(why->name, why->code) == 0) {
        snprintf(result->reason, sizeof(result->reason), "%s", why->name);
    } else {
        snprintf(result->reason, sizeof(result->reason), "%s: %s", why->name, why->code);
    }
}

/* What the filters of one side said; a stop outweighs what the other side redacted. */
static void judge(const struct chain_stream *stream, struct screen_result *result)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    const struct chain_event *stop = chain_stream_stop(stream);
    if (stop && result->verdict != SCREEN_DROPPED) {
        result->verdict = SCREEN_DROPPED;
        give_reason(result, stop);
    }
    for (size_t i = 0; i < count && result->verdict == SCREEN_KEPT; i++) {
        if (events[i].kind == CHAIN_REPLACE && !events[i].is_recorded) {
            result->verdict = SCREEN_REDACTED;
            give_reason(result, &events[i]);
        }
    }
}

static bool is_output(const struct segment *s, bool all_output)
{
    return all_output || s->role[0] == '\0' || strcmp(s->role, "assistant") == 0;
}

/* The parts that go through one side. */
static int screen_side(struct chain *chain, bool output, bool all_output,
                       const struct document *d, struct buf *texts,
                       struct screen_result *result, struct err *e)
{
    enum filter_side side = output ? FILTER_OUTPUT : FILTER_INPUT;
    struct chain_stream *stream = chain_stream_create(chain, side, e);
    if (!stream) {
        return -1;
    }
    chain_stream_leave_out_asking(stream);
    int status = CHAIN_GOES_ON;
    for (size_t i = 0; i < d->n_segments && status == CHAIN_GOES_ON; i++) {
        const struct segment *s = &d->segments[i];
        if (is_output(s, all_output) == output) {
            struct chain_sink sink = chain_sink_buf(&texts[i]);
            status = feed_segment(stream, d->text.data + s->begin, s->len, &sink, e);
        }
    }
    if (status >= 0) {
        judge(stream, result);
    }
    chain_stream_destroy(stream);
    return status < 0 ? -1 : 0;
}

int screen_document(struct chain *chain, bool all_output, const struct document *d,
                    struct buf *texts, struct screen_result *result, struct err *e)
{
    *result = (struct screen_result){.verdict = SCREEN_KEPT};
    if (screen_side(chain, true, all_output, d, texts, result, e)) {
        return -1;
    }
    bool done = all_output || result->verdict == SCREEN_DROPPED;
    return done ? 0 : screen_side(chain, false, all_output, d, texts, result, e);
}

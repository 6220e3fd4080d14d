#include "models/curate/screen.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)32768)

const char screen_default_chain[] =
    "{\"name\": \"curate-default\", \"filters\": ["
    "{\"type\": \"secrets\", \"side\": \"both\", \"action\": \"replace\"},"
    "{\"type\": \"pii\", \"side\": \"both\", \"action\": \"replace\"},"
    "{\"type\": \"classifier\", \"side\": \"both\", \"action\": \"stop\"}]}";

static int ignore(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)context;
    (void)channel;
    (void)text;
    (void)len;
    return 0;
}

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

static void judge(const struct chain_stream *stream, struct screen_result *result)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    const struct chain_event *why = chain_stream_stop(stream);
    result->verdict = why ? SCREEN_DROPPED : SCREEN_KEPT;
    for (size_t i = 0; i < count && !why; i++) {
        if (events[i].kind == CHAIN_REPLACE && !events[i].is_recorded) {
            why = &events[i];
            result->verdict = SCREEN_REDACTED;
        }
    }
    if (why && strcmp(why->name, why->code) == 0) {
        snprintf(result->reason, sizeof(result->reason), "%s", why->name);
    } else if (why) {
        snprintf(result->reason, sizeof(result->reason), "%s: %s", why->name, why->code);
    }
}

int screen_document(struct chain *chain, enum filter_side side, const struct document *d,
                    struct buf *texts, struct screen_result *result, struct err *e)
{
    *result = (struct screen_result){.verdict = SCREEN_KEPT};
    struct chain_stream *stream = chain_stream_create(chain, side, e);
    if (!stream) {
        return -1;
    }
    chain_stream_leave_out_asking(stream);
    int status = CHAIN_GOES_ON;
    for (size_t i = 0; i < d->n_segments && status == CHAIN_GOES_ON; i++) {
        struct chain_sink sink =
            texts ? chain_sink_buf(&texts[i]) : (struct chain_sink){.emit = ignore};
        const struct segment *s = &d->segments[i];
        status = feed_segment(stream, d->text.data + s->begin, s->len, &sink, e);
    }
    if (status >= 0) {
        judge(stream, result);
    }
    chain_stream_destroy(stream);
    return status < 0 ? -1 : 0;
}

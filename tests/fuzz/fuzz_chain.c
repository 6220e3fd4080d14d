/* Chains of built-in filters on any text: whatever the text, and however it is cut and spread
 * over channels, what comes out, what is told and where it stops are the same.
 *
 * Input: how many filters; for each its number in the table and its keys; a seed for the cuts;
 * the text, in which a byte of 0 to 3 ends a piece: 0 the text of the channel too, the others
 * go on with another channel.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/chain.h"
#include "runtime/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_CHAIN 4u
#define LARGEST   ((size_t)1 << 24)

static const char *const filters[] = {
    "\"wordlist\",\"words\":[\"bad\",\"bad day\",\"a b\",\"c++\",\"caf\u00e9\"]",
    "\"wordlist\",\"words\":[\"bad\",\"ad d\",\"\u00e9\"],\"action\":\"replace\","
    "\"word_boundaries\":false",
    "\"wordlist\",\"words\":[\"bad\",\"bad day ok\",\"day\"],\"action\":\"mask\"",
    "\"wordlist\",\"words\":[\"bad\",\"day\",\"a\"],\"action\":\"note\",\"case_sensitive\":"
    "true",
    "\"regex\",\"patterns\":[\"b[a-z]*d\",\"(?m)^#.*$\",\"\\\\d{3,}\"],\"action\":\"replace\"",
    "\"regex\",\"patterns\":[\"(?<=a )day\",\"stop\"]",
    "\"regex\",\"patterns\":[\"\\\\w+@\\\\w+\"],\"action\":\"mask\",\"mask\":\"\u00e9\"",
    "\"pii\"",
    "\"pii\",\"action\":\"stop\"",
    "\"secrets\"",
    "\"secrets\",\"action\":\"mask\"",
    "\"json\",\"paths\":[\"a\",\"bad.*\"]",
    "\"json\",\"paths\":[\"a\"],\"action\":\"mask\",\"invalid\":\"quote\"",
    "\"length\",\"max_characters\":40,\"action\":\"cut\"",
    "\"length\",\"max_bytes\":60",
    "\"repetition\",\"word_repeats\":2,\"line_repeats\":2,\"character_repeats\":4",
    "\"repetition\",\"word_repeats\":1,\"character_repeats\":3,\"action\":\"note\"",
    "\"prompt_leak\",\"text\":[\"you are a bad day helper of a stop\"],\"words\":3,"
    "\"action\":\"mask\"",
    "\"classifier\",\"action\":\"replace\",\"harassment\":0.1,\"violence\":0.1",
    "\"classifier\",\"action\":\"note\",\"illicit\":0.05",
};
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

static const char *const keys[] = {
    "",
    "",
    ",\"mode\":\"record\"",
    ",\"view\":\"normalised\"",
    ",\"mode\":\"record\",\"view\":\"normalised\"",
    ",\"channels\":[\"content\"]",
    ",\"channels\":[\"reasoning\",\"tool_args\"],\"view\":\"normalised\"",
    ",\"fail\":\"open\"",
};

struct outcome {
    struct buf text[FILTER_CHANNELS];
    struct buf events;
    int status;
};

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static struct chain *make_chain(const uint8_t *data, size_t count)
{
    char json[4096] = "{\"name\":\"t\",\"filters\":[";
    size_t len = strlen(json);
    for (size_t i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(json + len, sizeof(json) - len, "%s{\"type\":%s%s}", i ? "," : "",
                             filters[data[2 * i] % FILTERS], keys[data[2 * i + 1] % 8]);
    }
    len += (size_t)snprintf(json + len, sizeof(json) - len, "]}");
    struct err e;
    struct chain *chain = chain_from_json(json, len, NULL, &e);
    check(chain, chain ? "" : e.message);
    return chain;
}

static int emit(void *context, enum filter_channel channel, const char *text, size_t len)
{
    struct outcome *o = context;
    check(o->status == CHAIN_GOES_ON, "text after the stop");
    check(len > 0 && utf8_is_valid(text, len), "no whole characters");
    return buf_append(&o->text[channel], text, len);
}

/* The length of the next chunk: all of it when there is no seed, else some characters. */
static size_t next_len(const char *text, size_t len, uint32_t *seed)
{
    if (*seed == 0) {
        return len;
    }
    *seed = *seed * 1103515245u + 12345u;
    size_t n = 1 + (*seed >> 16) % (*seed >> 29 ? 4 : 90);
    n = n < len ? n : len;
    while (n < len && ((unsigned char)text[n] & 0xC0u) == 0x80u) {
        n++;
    }
    return n;
}

static void feed(struct outcome *o, struct chain_stream *stream, enum filter_channel channel,
                 const char *text, size_t len, uint32_t *seed)
{
    const struct chain_sink sink = {.emit = emit, .context = o};
    struct err e = {0};
    while (len > 0 && o->status == CHAIN_GOES_ON) {
        size_t n = next_len(text, len, seed);
        o->status = chain_feed(stream, channel, text, n, &sink, &e);
        check(o->status >= 0, e.message);
        text += n;
        len -= n;
    }
}

static void write_events(struct outcome *o, const struct chain_stream *stream)
{
    size_t count;
    bool is_truncated;
    const struct chain_event *events = chain_stream_events(stream, &count, &is_truncated);
    for (size_t i = 0; i < count; i++) {
        const struct chain_event *v = &events[i];
        buf_printf(&o->events, "%s%s %zu %d#%u %ju-%ju @%ju %s: %s\n",
                   v->is_recorded ? "recorded " : "", chain_event_name(v->kind), v->filter,
                   (int)v->channel, v->ordinal, (uintmax_t)v->from, (uintmax_t)v->to,
                   (uintmax_t)v->at, v->code, v->message);
    }
    buf_printf(&o->events, "%d %d\n", o->status, is_truncated);
}

/* Text behind a stop may have been judged or not, that hangs on the cut; all else has been. */
static void write_scores(struct outcome *o, const struct chain_stream *stream)
{
    size_t n = chain_filter_count(chain_stream_chain(stream));
    for (size_t i = 0; o->status == CHAIN_GOES_ON && i < n; i++) {
        size_t count;
        const struct chain_score *scores = chain_stream_scores(stream, i, &count);
        for (size_t k = 0; k < count; k++) {
            buf_printf(&o->events, "%zu %s %.9g\n", i, scores[k].category, scores[k].score);
        }
    }
}

static void run(struct outcome *o, struct chain *chain, const char *text, size_t len,
                uint32_t seed)
{
    const struct chain_sink sink = {.emit = emit, .context = o};
    struct err e = {0};
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    check(stream, "no stream");
    *o = (struct outcome){.status = CHAIN_GOES_ON};
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        buf_init(&o->text[i], LARGEST);
    }
    buf_init(&o->events, LARGEST);
    enum filter_channel channel = FILTER_CONTENT;
    for (size_t at = 0; at < len && o->status == CHAIN_GOES_ON;) {
        size_t n = 0;
        while (at + n < len && (unsigned char)text[at + n] > 3) {
            n++;
        }
        feed(o, stream, channel, text + at, n, &seed);
        if (at + n < len && text[at + n] == 0 && o->status == CHAIN_GOES_ON) {
            o->status = chain_end_text(stream, channel, &sink, &e);
        } else if (at + n < len) {
            channel = (enum filter_channel)(text[at + n] - 1);
        }
        at += n + 1;
    }
    if (o->status == CHAIN_GOES_ON) {
        o->status = chain_finish(stream, &sink, &e);
    }
    check(o->status >= 0, e.message);
    write_events(o, stream);
    write_scores(o, stream);
    chain_stream_destroy(stream);
}

static void release(struct outcome *o)
{
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        buf_deinit(&o->text[i]);
    }
    buf_deinit(&o->events);
}

static void expect_same(const struct buf *a, const struct buf *b, const char *what)
{
    if (a->len != b->len || (a->len > 0 && memcmp(a->data, b->data, a->len) != 0)) {
        fprintf(stderr, "%s\nwhole:\n%.*s\ncut:\n%.*s\n", what, (int)a->len, a->data,
                (int)b->len, b->data);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = size > 0 ? 1 + data[0] % MAX_CHAIN : 0;
    if (size < 2 + 2 * count) {
        return 0;
    }
    struct chain *chain = make_chain(data + 1, count);
    uint32_t seed = data[1 + 2 * count];
    const char *text = (const char *)data + 2 + 2 * count;
    size_t len = utf8_valid_prefix(text, size - 2 - 2 * count);
    struct outcome whole;
    run(&whole, chain, text, len, 0);
    for (uint32_t i = 1; i <= 2; i++) {
        struct outcome cut;
        run(&cut, chain, text, len, seed * 2 + i);
        for (int channel = 0; channel < FILTER_CHANNELS; channel++) {
            expect_same(&whole.text[channel], &cut.text[channel], "another text");
        }
        expect_same(&whole.events, &cut.events, "other events");
        release(&cut);
    }
    release(&whole);
    chain_unref(chain);
    return 0;
}

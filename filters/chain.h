/* chain.h: the filters an operator put in order, and a request's way through them.
 *
 * `struct chain` is configuration: name, version, content hash, and for each filter its type,
 * settings, side and fail mode. It is immutable and reference-counted, so that a new one can be
 * published while requests finish on the one they began with.
 *
 * `struct chain_stream` is one side of one request. Text goes in by channel, in any chunks, and
 * comes out through a sink: after every call exactly the longest prefix has been released on
 * which no filter can still change its mind. Text, events and stop are the same for every way
 * of cutting the input into chunks.
 *
 * When a filter stops, the text before that point still passes the filters after it, as if it
 * had ended there; they may stop earlier yet, and then theirs is the verdict. What other
 * channels still hold is dropped. After a stop nothing is emitted, ever.
 *
 * Threads: a chain may be used from any thread; a stream belongs to one thread at a time.
 * Ownership: a stream holds a reference to its chain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/filter.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define CHAIN_MAX_FILTERS 32
#define CHAIN_MAX_NAME    64
#define CHAIN_MAX_JSON    ((size_t)8 << 20)  /* bytes of a chain's JSON text */
#define CHAIN_MAX_FILE    ((size_t)16 << 20) /* bytes of a file that a filter's settings name */
#define CHAIN_MAX_EVENTS  64                 /* by filter and stream; see truncated below */
#define CHAIN_MAX_FLOW    ((size_t)8 << 20)  /* bytes between two filters, else ERR_LIMIT */

/* ---- configuration ---- */

struct chain;

struct chain_options {
    const char *folder; /* where relative paths start; NULL: settings may not name files */
    uint32_t version;   /* overrides "version" of the JSON when not 0 */
    /* NULL-terminated, must outlive the chain; NULL: filter_registry_builtin. */
    const struct filter_type *const *types;
};

/* Reads
 *   {"name": "default", "version": 3, "filters": [{"type": "wordlist", "side": "output",
 *    "fail": "closed", "words": ["..."]}]}
 * where version, side ("input", "output" or "both"; default output) and fail ("closed" or
 * "open"; default closed) may be left out, and the rest are the keys of the filter's type.
 * Errors name the path at fault: filters[0].action. `options` may be NULL. Returns a chain
 * with one reference, or NULL. */
struct chain *chain_from_json(const char *text, size_t len, const struct chain_options *options,
                              struct err *e);

/* The same from a file; relative paths in it start from its folder. */
struct chain *chain_from_file(const char *path, struct err *e);

struct chain *chain_ref(struct chain *chain);
void chain_unref(struct chain *chain); /* accepts NULL */

const char *chain_name(const struct chain *chain);
uint32_t chain_version(const struct chain *chain); /* 0: not numbered */
/* SHA-256 in hex of what the chain does: types, sides, fail modes, and all settings with
 * their fallbacks and the content of files. Layout of the JSON, name and version do not
 * count. */
const char *chain_hash(const struct chain *chain);
size_t chain_filter_count(const struct chain *chain);
const struct filter_type *chain_filter_type(const struct chain *chain, size_t filter);
/* Whether any filter stands on this side. */
bool chain_has_side(const struct chain *chain, enum filter_side side);

/* ---- one side of one request ---- */

struct chain_stream;

/* Where released text goes: whole characters, in order by channel, never empty. emit returns
 * 0, or -1 to give up; it must not call back into the stream. */
struct chain_sink {
    int (*emit)(void *context, enum filter_channel channel, const char *text, size_t len);
    void *context;
};

/* A sink that appends to a buffer, whatever the channel. */
struct chain_sink chain_sink_buf(struct buf *out);

enum chain_event_kind {
    CHAIN_NOTE,    /* something was noticed, the text is unchanged */
    CHAIN_REPLACE, /* text was changed */
    CHAIN_STOP,    /* a filter ended the answer */
    CHAIN_FAIL,    /* a filter failed: the answer ended, or it was left out from there on */
};

struct chain_event {
    enum chain_event_kind kind;
    size_t filter;    /* index in the chain */
    const char *type; /* the filter's type; lives as long as the stream */
    enum filter_channel channel;
    uint32_t ordinal;  /* which text of the channel, from 0 */
    uint64_t from, to; /* the range it rests on, in the text as that filter saw it */
    uint64_t at;       /* where in the released text it stands */
    char code[FILTER_MAX_CODE + 1];
    char message[FILTER_MAX_MESSAGE + 1];
};

struct chain_cost {
    uint64_t ns;    /* spent in the filter */
    uint64_t bytes; /* shown to the filter */
    uint64_t calls;
};

/* How sure a filter is that what it was shown belongs to a category, at the most. */
struct chain_score {
    char category[FILTER_MAX_CODE + 1];
    double score; /* 0 to 1 */
};

struct chain_stream *chain_stream_create(struct chain *chain, enum filter_side side,
                                         struct err *e);
void chain_stream_destroy(struct chain_stream *stream); /* accepts NULL */

/* Tells the filters the owner's prompt (struct filter_text), before the first chunk. Borrowed
 * for the life of the stream. */
void chain_stream_set_prompt(struct chain_stream *stream, const char *text, size_t len);

/* What the calls below return. -1 is not a verdict: memory or CHAIN_MAX_FLOW ran out, the
 * sink gave up, or the call was wrong (text that is not whole characters, a call after
 * chain_finish). It is final: every later call fails in the same way, and the answer must be
 * ended as an error. */
enum chain_status { CHAIN_GOES_ON = 0, CHAIN_STOPPED = 1 };

/* More text on a channel. Feeding a stopped stream does nothing. */
int chain_feed(struct chain_stream *stream, enum filter_channel channel, const char *text,
               size_t len, const struct chain_sink *sink, struct err *e);

/* The text on this channel has ended, what was held is decided and released; the next chunk
 * on it begins another text, on which filters start afresh. */
int chain_end_text(struct chain_stream *stream, enum filter_channel channel,
                   const struct chain_sink *sink, struct err *e);

/* All channels have ended, in the order of their numbers. */
int chain_finish(struct chain_stream *stream, const struct chain_sink *sink, struct err *e);

/* The verdict that ended the answer (CHAIN_STOP or CHAIN_FAIL), or NULL. */
const struct chain_event *chain_stream_stop(const struct chain_stream *stream);

/* What happened in the text released so far, in its order; a stop is the last. Valid until
 * the next call on the stream. *truncated (may be NULL) says that a filter had more than
 * CHAIN_MAX_EVENTS; those beyond are not listed. */
const struct chain_event *chain_stream_events(const struct chain_stream *stream, size_t *count,
                                              bool *truncated);

/* Bytes that filters hold now, over all channels. */
size_t chain_stream_held(const struct chain_stream *stream);
const struct chain_cost *chain_stream_cost(const struct chain_stream *stream, size_t filter);

const struct chain *chain_stream_chain(const struct chain_stream *stream);

/* What a filter told of categories, over all texts so far, released or not; *count is 0 for
 * most filters. Valid until the next call on the stream. */
const struct chain_score *chain_stream_scores(const struct chain_stream *stream, size_t filter,
                                              size_t *count);

/* "content", "reasoning", "tool_args"; "note", "replace", "stop", "fail". */
const char *chain_channel_name(enum filter_channel channel);
const char *chain_event_name(enum chain_event_kind kind);

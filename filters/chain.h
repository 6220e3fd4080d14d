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
 * A filter may have to wait for a service outside (struct filter_question). Its stream then
 * waits: what is fed meanwhile, on whichever channel, gathers in front of the chain in its
 * order, and goes on when the answer is there. Text, events and stop are the same however long
 * an answer takes. A chain without such filters never waits.
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
#define CHAIN_MAX_REFUSAL 500                /* bytes */
#define CHAIN_MAX_JSON    ((size_t)8 << 20)  /* bytes of a chain's JSON text */
#define CHAIN_MAX_FILE    ((size_t)16 << 20) /* bytes of a file that a filter's settings name */
#define CHAIN_MAX_EVENTS  64                 /* by filter and stream; see truncated below */
#define CHAIN_MAX_FLOW    ((size_t)8 << 20)  /* bytes between two filters, else ERR_LIMIT */

/* ---- configuration ---- */

struct chain;

struct chain_options {
    const char *folder; /* where relative paths start; NULL: settings may not name files */
    const char *name;   /* replaces "name" of the JSON, which may then be missing; or NULL */
    uint32_t version;   /* overrides "version" of the JSON when not 0 */
    /* NULL-terminated, must outlive the chain; NULL: filter_registry_builtin. */
    const struct filter_type *const *types;
};

/* Reads
 *   {"name": "default", "version": 3, "filters": [{"type": "wordlist", "side": "output",
 *    "fail": "closed", "words": ["..."]}]}
 * where version, side ("input", "output" or "both"; default output) and fail ("closed" or
 * "open"; default closed) may be left out, and so may, of every filter,
 *   name      what it is called; its type unless given, and unlike any other if given
 *   channels  a list out of "content", "reasoning" and "tool_args"; default all. Texts of other
 *             channels pass by it
 *   mode      "enforce", or "record": its verdicts are recorded and not done
 *   view      "as_written", or "normalised": the filter is shown what view.h makes of the text
 * The rest are the keys of the filter's type.
 * "refusal" beside "name", which may be left out, is for people: chain_refusal.
 * The chain may also have "author" and "note", two strings that mean nothing here.
 * Errors name the path at fault: filters[0].action. `options` may be NULL. Returns a chain
 * with one reference, or NULL. */
struct chain *chain_from_json(const char *text, size_t len, const struct chain_options *options,
                              struct err *e);

/* The same from a file; relative paths in it start from its folder. */
struct chain *chain_from_file(const char *path, struct err *e);

struct chain *chain_ref(struct chain *chain);
void chain_unref(struct chain *chain); /* accepts NULL */

/* Says which version it is, before anybody else has it. */
void chain_set_version(struct chain *chain, uint32_t version);

const char *chain_name(const struct chain *chain);
uint32_t chain_version(const struct chain *chain); /* 0: not numbered */
/* SHA-256 in hex of what the chain does: its refusal, types, sides, fail modes, channels,
 * modes, views, and all settings with their fallbacks and the content of files. Layout of the
 * JSON, version and the names of the chain and of its filters do not count. */
const char *chain_hash(const struct chain *chain);
/* What the owner wants people to read where a filter has ended an answer or refused a message;
 * NULL: nothing. The chain itself does not put it anywhere. */
const char *chain_refusal(const struct chain *chain);
size_t chain_filter_count(const struct chain *chain);
const struct filter_type *chain_filter_type(const struct chain *chain, size_t filter);
/* What events, metrics and audit call it. */
const char *chain_filter_name(const struct chain *chain, size_t filter);
/* Whether it sees texts of the channel. */
bool chain_filter_has_channel(const struct chain *chain, size_t filter,
                              enum filter_channel channel);
/* Whether it may ask a service outside. */
bool chain_filter_asks(const struct chain *chain, size_t filter);
/* Whether any filter stands on this side. */
bool chain_has_side(const struct chain *chain, enum filter_side side);

/* ---- one side of one request ---- */

struct chain_stream;

/* Where released text goes: whole characters, in order by channel, never empty. around gets
 * what chain_around was given; it may be NULL where that is not used. Both return 0, or -1 to
 * give up; they must not call back into the stream. */
struct chain_sink {
    int (*emit)(void *context, enum filter_channel channel, const char *text, size_t len);
    int (*around)(void *context, uint64_t tag, const char *bytes, size_t len);
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
    const char *name; /* the filter's name, the type's unless one was written; as long */
    enum filter_channel channel;
    uint32_t ordinal;  /* which text of the channel, from 0 */
    uint64_t from, to; /* the range it rests on, in the text as that filter saw it */
    uint64_t at;       /* where in the released text it stands */
    /* Bytes that a replacement put there when it began, escapes of JSON not counted; what goes
     * on after that, as a mask does character by character, is not in it. Else 0. */
    uint32_t put;
    bool is_recorded; /* of a filter in mode "record": nothing of it was done */
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

/* Is told what is fed, before any filter sees it: for records of the text. */
struct chain_tap {
    void (*fed)(void *context, enum filter_channel channel, uint32_t ordinal, const char *text,
                size_t len);
    void *context;
};
void chain_stream_set_tap(struct chain_stream *stream, struct chain_tap tap);
/* Says that the content is one JSON text, before the first chunk: filters that read what people
 * read (FILTER_DECODED) are shown what the escapes in its strings mean. */
void chain_stream_set_json(struct chain_stream *stream);

/* Who carries the questions of filters to services outside. It lives as long as the streams
 * that use it. */
struct chain_outside {
    /* Sends it. answered is called exactly once, later, on the stream's thread, unless the
     * question is taken back. NULL when it cannot be sent. */
    void *(*ask)(struct chain_outside *outside, const struct filter_question *question,
                 void (*answered)(void *user, const struct filter_answer *answer), void *user);
    void (*take_back)(struct chain_outside *outside, void *asked);
};

/* Before the first chunk; without it filters that ask fail. wake is called when an answer has
 * come, and the owner then calls chain_resume, there or later. It may also destroy the stream
 * there. */
void chain_stream_set_outside(struct chain_stream *stream, struct chain_outside *outside,
                              void (*wake)(void *ctx), void *ctx);

/* In its place: filters that ask are left out, text passes by them. For trials of a chain, in
 * which no service is to be asked. */
void chain_stream_leave_out_asking(struct chain_stream *stream);

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

/* Bytes that are not for filters (the JSON between strings, a mark) come out through around:
 * behind what the calls before this one release, and before what later ones do. */
int chain_around(struct chain_stream *stream, uint64_t tag, const char *bytes, size_t len,
                 const struct chain_sink *sink, struct err *e);

/* Whether an answer from outside is awaited: what was given to the calls above is not through
 * yet, and their CHAIN_GOES_ON not the last word. After chain_finish the end has come when this
 * is false. */
bool chain_stream_is_waiting(const struct chain_stream *stream);

/* Goes on after an answer; sink and result as above. Does nothing while it is still awaited. */
int chain_resume(struct chain_stream *stream, const struct chain_sink *sink, struct err *e);

/* The verdict that ended the answer (CHAIN_STOP or CHAIN_FAIL), or NULL. Never a recorded one.
 */
const struct chain_event *chain_stream_stop(const struct chain_stream *stream);

/* What happened in the text released so far, in its order; a stop is the last. A recorded
 * verdict, of a filter in mode "record", stands where the text had come when it was given, and
 * that text may have been released long before: `at` is behind the word that decided it (at
 * most 64 bytes that end in a blank, a newline or the end of the text), `from` and `to` say
 * what it is about. A stop of another filter that comes before that place comes before the
 * verdict, which then is not given. Valid until the next call on the stream. *truncated (may be
 * NULL) says that a filter had more than CHAIN_MAX_EVENTS; those beyond are not listed. */
const struct chain_event *chain_stream_events(const struct chain_stream *stream, size_t *count,
                                              bool *truncated);

/* Bytes that filters hold now, over all channels, and that wait in front of them. */
size_t chain_stream_held(const struct chain_stream *stream);
/* Appends what filters hold of a channel's text, as each of them has it before it: what would
 * leave next comes first. 0, or -1 as buf.h. */
int chain_stream_held_text(const struct chain_stream *stream, enum filter_channel channel,
                           struct buf *out);
const struct chain_cost *chain_stream_cost(const struct chain_stream *stream, size_t filter);

const struct chain *chain_stream_chain(const struct chain_stream *stream);

/* What a filter told of categories, over all texts so far, released or not; *count is 0 for
 * most filters. Valid until the next call on the stream. */
const struct chain_score *chain_stream_scores(const struct chain_stream *stream, size_t filter,
                                              size_t *count);

/* "content", "reasoning", "tool_args"; "note", "replace", "stop", "fail". */
const char *chain_channel_name(enum filter_channel channel);
const char *chain_event_name(enum chain_event_kind kind);

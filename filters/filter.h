/* filter.h: what a text filter is. This header is the whole ABI; a filter needs nothing else.
 *
 * A filter reads text as it is written, a few characters at a time, and decides about it: let
 * it pass, replace a range, make a note of something, or stop the answer. It sees decoded text
 * only: no tokens, no JSON, no wire format. Each filter works on one text at a time: what was
 * written on one channel, from its beginning to its end. It never meets its neighbours in the
 * chain, other channels or other requests.
 *
 *   type     static and constant: a name, the keys that configure it, five callbacks
 *   config   made once from the operator's settings, then read-only and shared by all threads
 *   state    made for one text, used by one thread at a time, gone when that text has ended
 *
 * The cursor. Offsets count the bytes of the text that this filter sees, from 0 at its
 * beginning; with other filters before it in the chain that is their output. The cursor is the
 * offset before which everything is decided. The four verbs of `struct filter_host` move it
 * forward, never back:
 *
 *   pass(upto)            the text from the cursor up to `upto` goes on unchanged
 *   replace(upto, text)   `text` goes on instead of the text from the cursor up to `upto`
 *   note(upto, why)       passes up to `upto`, and records something there
 *   stop(at, why)         passes up to `at`, and ends the answer: nothing after it ever leaves
 *
 * What lies between the cursor and the end of the text so far is held: the chain keeps those
 * bytes and shows them again at the next call, so a filter needs no buffer of its own. Hold
 * only what a later character can still make you change, and pass the rest at once: every held
 * byte waits for it.
 *
 * What the chain does for every filter:
 *   - spans are whole characters, valid UTF-8 (RFC 3629); assume nothing more about them
 *   - text that a filter puts in is seen by the filters after it, not by itself or those before
 *   - it is fed one character at a time, so that it can not matter how the stream was cut into
 *     chunks (FILTER_ANY_CUT changes that)
 *   - the operator says what a failure means: the answer ends there (closed, the default), or
 *     the filter is left out for the rest of that text (open)
 *   - the operator may keep it from some channels, have it look at a normalised text, or
 *     have it only record what it says; the filter does not notice
 *   - time and bytes are counted; a filter that holds more than FILTER_MAX_HOLD has failed
 *
 * Waiting. A filter that cannot decide alone asks a service outside (`ask` of the host) and
 * returns. The chain feeds it nothing more, holds what is not decided, and calls `answered`
 * when the answer is there or will not come. There is one question at a time for each text, so
 * that questions and verdicts come in the order of the text.
 *
 * What a filter owes:
 *   - open, feed, finish, answered and close run on the event loop thread: they must not block,
 *     sleep, do I/O or take long. All work is linear in the text or under a hard step limit
 *   - decisions depend on the config, the text and answers alone: no clock, no randomness, no
 *     globals. What is asked depends on the text, never on how it was cut or when it came
 *   - offsets given to the verbs lie on character boundaries, and replacements are valid UTF-8
 *   - codes and messages never contain the user's text: they end up in logs
 *
 * Growth. FILTER_ABI changes only when something here stops meaning what it meant. Structs that
 * begin with `size` may get fields at their end within one ABI number: who fills one sets size
 * to its sizeof, who reads one does not touch fields beyond that. The other structs are fixed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FILTER_ABI         1u
#define FILTER_MAX_HOLD    65536u /* bytes between the cursor and the end of the text */
#define FILTER_MAX_REPLACE 4096u  /* bytes put in by one call of replace */
#define FILTER_MAX_CODE    31u    /* bytes; longer codes are cut */
#define FILTER_MAX_MESSAGE 159u   /* bytes; longer messages are cut between characters */
#define FILTER_MAX_KEY     63u    /* bytes of filter_error.key */
#define FILTER_MAX_ERROR   255u   /* bytes of filter_error.message */
#define FILTER_MAX_SCORES  32u    /* categories that one filter gives scores for */

/* Bits: where a filter stands. */
enum filter_side {
    FILTER_INPUT = 1,  /* what the user wrote, before the model reads it */
    FILTER_OUTPUT = 2, /* what the model writes, before the client reads it */
};

enum filter_channel {
    FILTER_CONTENT = 0,
    FILTER_REASONING = 1,
    FILTER_TOOL_ARGS = 2, /* the decoded value of one string in a tool call's arguments */
};
#define FILTER_CHANNELS 3

/* The text that a state is made for. One channel may carry several texts one after another,
 * such as the messages of a conversation or the arguments of tool calls; each gets its own
 * state. */
struct filter_text {
    uint32_t size;
    uint32_t side;    /* enum filter_side, one bit */
    uint32_t channel; /* enum filter_channel */
    uint32_t ordinal; /* 0 for the first text of this channel in the request */

    /* The owner's prompt that the model read, UTF-8 with its variables as they are written
     * there; "" when there is none or the host does not say. Valid during open. */
    const char *prompt;
    size_t prompt_len;

    /* Where the filter stands: the chain's name and version (0: not numbered), and its own
     * place among the chain's filters, from 0. Valid for the life of the state. */
    const char *chain;
    uint32_t chain_version;
    uint32_t filter;
};

/* Everything between the cursor and the end of the text so far. Valid during the call. */
struct filter_span {
    uint32_t size;
    const char *text; /* not NUL-terminated */
    size_t len;
    size_t fresh;   /* text[fresh, len) was not shown before */
    uint64_t start; /* offset of text[0]: the cursor when the call began */
};

/* Why a verdict was given. Borrowed for the call. */
struct filter_reason {
    uint32_t size;
    const char *code;    /* for programs: "wordlist", "email"; NULL means the type's name */
    const char *message; /* for people; NULL means "" */
    uint64_t from, to;   /* the range that the decision rests on; it may begin before the
                            cursor and must end within the text shown */
};

/* A question to a service outside: an HTTP POST. Borrowed for the call of ask. */
struct filter_question {
    uint32_t size;
    uint32_t delay_ms;          /* it is sent so much later: for another try */
    uint32_t timeout_ms;        /* from then to the end of the answer */
    uint32_t max_answer;        /* bytes; a longer answer is none */
    const char *url;            /* http or https; redirects are not followed */
    const char *const *headers; /* (header_count) "Name: value" */
    size_t header_count;
    const char *body;
    size_t body_len;
    const char *trusted; /* PEM certificates in place of the system's, or NULL */
    size_t trusted_len;
};

/* What came back. Borrowed for the call. */
struct filter_answer {
    uint32_t size;
    uint32_t status;  /* of HTTP, whichever; 0: there is no answer */
    const char *body; /* (len), not NUL-terminated */
    size_t len;
    const char *error; /* why there is none, in words that may be shown; else NULL */
};

/* The chain, as feed, finish and answered see it. All functions return 0, or -1 when the call
 * was wrong (an offset before the cursor or after the end, a cut character, a replacement that
 * is too long or not UTF-8, a reason without its size). A wrong call fails the filter, and
 * calls after it or after stop do nothing; results may be ignored, the chain knows. */
struct filter_host {
    uint32_t size;
    int (*pass)(struct filter_host *host, uint64_t upto);

    /* `text` may be NULL when len is 0. Replacing an empty range inserts. A `why` of NULL
     * directly after another replace continues that change: both are one event. */
    int (*replace)(struct filter_host *host, uint64_t upto, const char *text, size_t len,
                   const struct filter_reason *why);
    int (*note)(struct filter_host *host, uint64_t upto, const struct filter_reason *why);
    int (*stop)(struct filter_host *host, uint64_t at, const struct filter_reason *why);

    /* Fails the filter with a message, and returns -1: `return host->fail(host, "...")`. */
    int (*fail)(struct filter_host *host, const char *message);

    /* Asks, for a type that has `answered`; the last verb of a call. The question is copied. */
    int (*ask)(struct filter_host *host, const struct filter_question *question);

    /* Tells how sure the filter is, 0 to 1, that the text shown belongs to a category. It
     * changes nothing about the text; of several scores of one category the greatest is kept,
     * of at most FILTER_MAX_SCORES categories. */
    int (*score)(struct filter_host *host, const char *category, double score);
};

/* Settings. A type lists its keys; the chain reads the operator's JSON against that list,
 * refuses unknown keys, wrong types and missing values by name, fills in fallbacks, and hands
 * over plain C values. What a filter reads is thus also what the chain's content hash covers.
 */
enum filter_key_kind {
    FILTER_KEY_STRING = 1,
    FILTER_KEY_BOOL = 2,
    FILTER_KEY_NUMBER = 3,
    FILTER_KEY_CHOICE = 4, /* one string out of `choices` */
    FILTER_KEY_LIST = 5,   /* list of strings */
    FILTER_KEY_FILE = 6,   /* path of a file; the filter gets its bytes, as they are */
};

struct filter_key {
    const char *name; /* not "type", "side", "fail", "name", "channels", "mode" or "view";
                         NULL ends the list */
    uint32_t kind;    /* enum filter_key_kind */
    uint32_t is_required;
    const char *fallback;       /* as text; none for LIST and FILE; NULL: nothing */
    const char *const *choices; /* CHOICE: NULL-terminated; else NULL */
    const char *help;           /* one line for the reference */
};

struct filter_string {
    const char *data; /* NUL-terminated as well */
    size_t len;
};

/* One value for each key, in the order of the list. Borrowed until configure returns. */
struct filter_value {
    uint32_t is_set;                     /* 1: the operator wrote it; 0: fallback, or nothing */
    uint32_t choice;                     /* CHOICE: index into choices; BOOL: 0 or 1 */
    double number;                       /* NUMBER */
    const struct filter_string *strings; /* STRING, FILE: one; LIST: count */
    size_t count; /* of strings; 0 when there is neither value nor fallback */
};

/* What is wrong with the settings; filled by configure before it returns non-zero. */
struct filter_error {
    uint32_t size;
    char key[FILTER_MAX_KEY + 1];       /* "words[3]", or "" for the filter as a whole */
    char message[FILTER_MAX_ERROR + 1]; /* UTF-8: what is wrong and what to do */
};

/* Flags of a type. */
enum filter_flag {
    /* feed may be given many characters in one call, which is faster. In return the filter
     * promises to make the same calls, with the same offsets, however the text is cut (only
     * pass may be called less often), and is tested for that. */
    FILTER_ANY_CUT = 1,
    /* The strings of its keys of kind LIST and FILE are text to look for. Where the operator
     * has the filter look at the normalised view of the text, it gets the strings normalised
     * too. */
    FILTER_TEXT_SETTINGS = 2,
    /* It reads what people read. Of an answer that is JSON as a whole it is shown the text with
     * the escapes in its strings decoded, and what it puts in is escaped. */
    FILTER_DECODED = 4,
};

struct filter_type {
    uint32_t abi;  /* FILTER_ABI */
    uint32_t size; /* sizeof(struct filter_type) */
    const char *name;
    const char *summary;           /* one line */
    uint32_t sides;                /* FILTER_INPUT | FILTER_OUTPUT: where it may stand */
    uint32_t flags;                /* enum filter_flag */
    const struct filter_key *keys; /* NULL: no settings */

    /* Callbacks that return int return 0, and anything else when they failed. All but feed
     * may be NULL, which means that there is nothing to do. */

    /* Makes the config: off the loop, may take its time. */
    int (*configure)(void **config, const struct filter_value *values,
                     struct filter_error *error);
    void (*release)(void *config);

    /* Makes the state for one text, when its first character arrives. */
    int (*open)(void **state, const void *config, const struct filter_text *text);
    /* There is more text. */
    int (*feed)(void *state, const struct filter_span *span, struct filter_host *host);
    /* The text has ended. What is still held when finish returns passes. */
    int (*finish)(void *state, const struct filter_span *span, struct filter_host *host);
    /* Always the last call, also after a stop or a failure, unless open failed. A question
     * that is under way is taken back. */
    void (*close)(void *state);

    /* What the question brought. The span is all that is held, nothing in it fresh. If the text
     * has ended and finish has been called, what is still held when this returns passes, unless
     * it asks again. */
    int (*answered)(void *state, const struct filter_span *span, struct filter_host *host,
                    const struct filter_answer *answer);
};

/* What a type of ABI 1 has at least: the fields before `answered`. */
#define FILTER_TYPE_MIN_SIZE offsetof(struct filter_type, answered)

/* A filter in a shared object of its own defines its type with
 *
 *   FILTER_PLUGIN = {.abi = FILTER_ABI, .size = sizeof(struct filter_type), ...};
 *
 * and is built with `cc -shared -fPIC -I <Weir's sources>`. Its keys may not be named "path",
 * which says where the chain finds it. */
#define FILTER_PLUGIN_SYMBOL weir_filter
#define FILTER_PLUGIN                                     \
    extern const struct filter_type FILTER_PLUGIN_SYMBOL; \
    __attribute__((visibility("default"))) const struct filter_type FILTER_PLUGIN_SYMBOL

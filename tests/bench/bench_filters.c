/* What filters cost on clean text, and how long they make it wait, on one thread.
 *
 *     bench_filters TEXT_FILE [SECONDS [DECODE_TOKENS_PER_S [NAME]]]
 *
 * Runs the text through a chain of each filter and through one of all of them: in pieces of
 * 4,096 bytes, and in pieces as tokens are (a blank and a word, or a part of one), about
 * SECONDS (0.5) each. Prints the best rate of each, the time of one piece, how many bytes are
 * held behind a piece, and how many verdicts there were, which is 0 if the text is clean. With
 * the rate at which a model decodes (`weir bench`), also the part of a token's time that goes
 * to the filters (0: not known). NAME: only the rows that begin so, or the file of a chain, for
 * a row of that alone. The time is the processor's on this thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filters/chain.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"

#define TEXT_MAX   ((size_t)64 << 20)
#define BIG_PIECE  ((size_t)4096)
#define TOKEN_MAX  ((size_t)7) /* bytes of a word in one piece */
#define HELD_COUNT 4097        /* held bytes are counted up to here */

struct text {
    char *data;
    size_t len;
    size_t *ends; /* of the token-like pieces */
    size_t count;
};

static double cpu_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- text ---- */

static bool is_letter(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (unsigned char)c >= 0x80;
}

static size_t piece_end(const struct text *t, size_t at)
{
    size_t end = at + (t->data[at] == ' ');
    while (end < t->len && end - at < TOKEN_MAX && is_letter(t->data[end])) {
        end++;
    }
    if (end == at) {
        end++;
    }
    return end - utf8_incomplete_tail(t->data + at, end - at);
}

static int text_read(struct text *t, const char *path, struct err *e)
{
    t->data = file_read(path, TEXT_MAX, &t->len, e);
    if (!t->data) {
        return -1;
    }
    if (t->len == 0 || !utf8_is_valid(t->data, t->len)) {
        return err_set(e, ERR_FORMAT, "%s: is empty, or not UTF-8", path);
    }
    t->ends = mem_array(t->len, sizeof(*t->ends));
    if (!t->ends) {
        return err_nomem(e);
    }
    for (size_t at = 0; at < t->len; t->count++) {
        at = t->ends[t->count] = piece_end(t, at);
    }
    return 0;
}

/* ---- chains ---- */

/* A word that no text has but that looks like one. */
static void append_word(struct buf *json, struct rng *rng)
{
    static const char *const syllables[] = {"ba", "con", "de", "ex", "fro", "ga", "hi",  "in",
                                            "jo", "ka",  "li", "mo", "ne",  "or", "pra", "qui",
                                            "re", "sto", "ti", "un", "ve",  "wi", "the", "za"};
    uint32_t n = 3 + rng_below(rng, 2);
    for (uint32_t i = 0; i < n; i++) {
        buf_append_str(json, syllables[rng_below(rng, 24)]);
    }
    buf_append_str(json, "x");
}

/* One word of ten is a phrase. */
static void append_wordlist(struct buf *json, int count, const char *more)
{
    struct rng rng;
    rng_seed(&rng, 7);
    buf_append_str(json, "{\"type\":\"wordlist\",\"action\":\"replace\",\"words\":[");
    for (int i = 0; i < count; i++) {
        buf_append_str(json, i ? ",\"" : "\"");
        append_word(json, &rng);
        if (rng_below(&rng, 10) == 0) {
            buf_append_char(json, ' ');
            append_word(json, &rng);
        }
        buf_append_char(json, '"');
    }
    buf_printf(json, "]%s}", more);
}

/* The worst list: its phrases begin with words of the text itself. */
static void append_phrases(struct buf *json, const struct text *t, int count)
{
    struct rng rng;
    rng_seed(&rng, 8);
    buf_append_str(json, "{\"type\":\"wordlist\",\"action\":\"replace\",\"words\":[\"");
    for (int i = 0; i < count; i++) {
        size_t at = rng_below(&rng, (uint32_t)t->len);
        while (at > 0 && (!is_letter(t->data[at]) || is_letter(t->data[at - 1]))) {
            at--;
        }
        for (; at < t->len && is_letter(t->data[at]); at++) {
            buf_append_char(json, t->data[at]);
        }
        buf_append_char(json, ' ');
        append_word(json, &rng);
        buf_append_str(json, i + 1 < count ? "\",\"" : "\"]}");
    }
}

static void append_prompt(struct buf *json)
{
    struct rng rng;
    rng_seed(&rng, 9);
    buf_append_str(json, "{\"type\":\"prompt_leak\",\"text\":[\"You are an assistant who");
    for (size_t len = json->len; json->len < len + 1000;) {
        buf_append_char(json, ' ');
        append_word(json, &rng);
        buf_append_str(json, " and the");
    }
    buf_append_str(json, "\"]}");
}

static const char regex_json[] = "{\"type\":\"regex\",\"action\":\"replace\",\"patterns\":["
                                 "\"\\\\bACME-[0-9]{4,8}\\\\b\",\"(?i)internal use "
                                 "only\",\"\\\\bkey\\\\s*=\\\\s*[a-f0-9]{8,64}\","
                                 "\"https?://intranet\\\\.[a-z0-9./-]{1,200}\"]}";

enum kind {
    WORDS_20,
    WORDS_1000,
    WORDS_100000,
    WORDS_ANYWHERE,
    WORDS_PHRASES,
    REGEX,
    PII,
    SECRETS,
    PATTERNS, /* 1,000 words, regex, pii, secrets */
    PROMPT_LEAK,
    REPETITION,
    LENGTH,
    JSON,
    ALL,
    KINDS
};
static const char *const kind_names[KINDS] = {
    [WORDS_20] = "wordlist, 20",
    [WORDS_1000] = "wordlist, 1,000",
    [WORDS_100000] = "wordlist, 100,000",
    [WORDS_ANYWHERE] = "1,000, not whole words",
    [WORDS_PHRASES] = "1,000 phrases, worst",
    [REGEX] = "regex, 4 patterns",
    [PII] = "pii",
    [SECRETS] = "secrets",
    [PATTERNS] = "all patterns",
    [PROMPT_LEAK] = "prompt_leak",
    [REPETITION] = "repetition",
    [LENGTH] = "length",
    [JSON] = "json",
    [ALL] = "all filters",
};

static void append_filter(struct buf *json, enum kind kind, const struct text *t)
{
    switch (kind) {
    case WORDS_20:
        append_wordlist(json, 20, "");
        break;
    case WORDS_1000:
        append_wordlist(json, 1000, "");
        break;
    case WORDS_100000:
        append_wordlist(json, 100000, "");
        break;
    case WORDS_ANYWHERE:
        append_wordlist(json, 1000, ",\"word_boundaries\":false");
        break;
    case WORDS_PHRASES:
        append_phrases(json, t, 1000);
        break;
    case REGEX:
        buf_append_str(json, regex_json);
        break;
    case PII:
        buf_append_str(json, "{\"type\":\"pii\"}");
        break;
    case SECRETS:
        buf_append_str(json, "{\"type\":\"secrets\"}");
        break;
    case PROMPT_LEAK:
        append_prompt(json);
        break;
    case REPETITION:
        buf_append_str(json, "{\"type\":\"repetition\"}");
        break;
    case LENGTH:
        buf_append_str(json, "{\"type\":\"length\",\"max_bytes\":1000000000}");
        break;
    case JSON:
        buf_append_str(json, "{\"type\":\"json\",\"paths\":[\"password\",\"$.user.email\"]}");
        break;
    case PATTERNS:
    case ALL:
    case KINDS:
        break;
    }
}

static struct chain *make_chain(enum kind kind, const struct text *t, struct err *e)
{
    static const enum kind patterns[] = {WORDS_1000, REGEX, PII, SECRETS};
    static const enum kind all[] = {WORDS_1000,  REGEX,      PII,    SECRETS,
                                    PROMPT_LEAK, REPETITION, LENGTH, JSON};
    const enum kind *parts = kind == PATTERNS ? patterns : kind == ALL ? all : &kind;
    size_t count = kind == PATTERNS ? 4 : kind == ALL ? 8 : 1;
    struct buf json;
    buf_init(&json, CHAIN_MAX_JSON);
    buf_append_str(&json, "{\"name\":\"bench\",\"filters\":[");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(&json, i ? "," : "");
        append_filter(&json, parts[i], t);
    }
    buf_append_str(&json, "]}");
    struct chain *chain =
        json.failed ? (err_nomem(e), NULL) : chain_from_json(json.data, json.len, NULL, e);
    buf_deinit(&json);
    return chain;
}

/* ---- runs ---- */

struct result {
    double seconds;          /* of the fastest run */
    size_t pieces;           /* in one run */
    size_t held[HELD_COUNT]; /* held[n]: pieces behind which n bytes were held */
    size_t events;
};

static int ignore(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)context;
    (void)channel;
    (void)text;
    (void)len;
    return 0;
}

/* The whole text once. */
static int run_once(struct chain *chain, const struct text *t, bool tokens, bool counts_held,
                    struct result *r, struct err *e)
{
    const struct chain_sink sink = {.emit = ignore};
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, e);
    if (!stream) {
        return -1;
    }
    r->pieces = 0;
    int status = CHAIN_GOES_ON;
    for (size_t at = 0; at < t->len && status == CHAIN_GOES_ON; r->pieces++) {
        size_t end = tokens                    ? t->ends[r->pieces]
                     : t->len - at > BIG_PIECE ? at + BIG_PIECE
                                               : t->len;
        end -= utf8_incomplete_tail(t->data + at, end - at);
        status = chain_feed(stream, FILTER_CONTENT, t->data + at, end - at, &sink, e);
        at = end;
        if (counts_held) {
            size_t held = chain_stream_held(stream);
            r->held[held < HELD_COUNT ? held : HELD_COUNT - 1]++;
        }
    }
    if (status == CHAIN_GOES_ON) {
        status = chain_finish(stream, &sink, e);
    }
    if (status == CHAIN_STOPPED) {
        status = err_set(e, ERR_INVALID, "a filter stopped the text: \"%s\" %s",
                         chain_stream_stop(stream)->type, chain_stream_stop(stream)->message);
    }
    chain_stream_events(stream, &r->events, NULL);
    chain_stream_destroy(stream);
    return status;
}

static int run(struct chain *chain, const struct text *t, bool tokens, double seconds,
               struct result *r, struct err *e)
{
    memset(r, 0, sizeof(*r));
    if (run_once(chain, t, tokens, true, r, e) != 0) {
        return -1;
    }
    double begin = clock_now_s();
    do {
        double before = cpu_now_s();
        if (run_once(chain, t, tokens, false, r, e) != 0) {
            return -1;
        }
        double took = cpu_now_s() - before;
        r->seconds = r->seconds == 0 || took < r->seconds ? took : r->seconds;
    } while (clock_now_s() - begin < seconds);
    return 0;
}

/* The most that was held behind the given share of the pieces. */
static size_t held_at(const struct result *r, double share)
{
    size_t seen = 0;
    size_t n = 0;
    while (n < HELD_COUNT - 1 &&
           (seen += r->held[n], (double)seen < share * (double)r->pieces)) {
        n++;
    }
    return n;
}

/* Takes the chain. */
static int measure(const char *name, struct chain *chain, const struct text *t, double seconds,
                   double tokens_per_s, struct err *e)
{
    static struct result big, small;
    if (!chain || run(chain, t, false, seconds, &big, e) != 0 ||
        run(chain, t, true, seconds, &small, e) != 0) {
        chain_unref(chain);
        return -1;
    }
    chain_unref(chain);
    double piece_s = small.seconds / (double)small.pieces;
    printf("%-24s %7.0f %9.0f %9.0f %6zu %5zu %6zu %7zu", name,
           (double)t->len / big.seconds / 1e6, (double)t->len / small.seconds / 1e6,
           piece_s * 1e9, held_at(&small, 0.5), held_at(&small, 0.99), held_at(&small, 1),
           big.events);
    if (tokens_per_s > 0) {
        printf(" %8.4f %%", 100 * piece_s * tokens_per_s);
    }
    printf("\n");
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 5) {
        fprintf(stderr,
                "usage: bench_filters TEXT_FILE [SECONDS [DECODE_TOKENS_PER_S [NAME]]]\n");
        return 2;
    }
    double seconds = argc > 2 ? atof(argv[2]) : 0.5;
    double tokens_per_s = argc > 3 ? atof(argv[3]) : 0;
    struct err e = {0};
    struct text t = {0};
    int rc = text_read(&t, argv[1], &e);
    if (rc == 0) {
        printf("%zu bytes, %zu pieces as tokens\n", t.len, t.count);
        printf("%-24s %7s %9s %9s %6s %5s %6s %7s%s\n", "", "MB/s", "tokens:", "ns each",
               "held:", "p99", "most", "events", tokens_per_s > 0 ? " of decode" : "");
    }
    const char *name = argc > 4 ? argv[4] : "";
    if (rc == 0 && strstr(name, ".json")) {
        rc = measure(name, chain_from_file(name, &e), &t, seconds, tokens_per_s, &e);
    }
    for (int i = 0; rc == 0 && i < KINDS; i++) {
        if (strncmp(kind_names[i], name, strlen(name)) == 0) {
            struct chain *chain = make_chain((enum kind)i, &t, &e);
            rc = measure(kind_names[i], chain, &t, seconds, tokens_per_s, &e);
        }
    }
    if (rc != 0) {
        fprintf(stderr, "bench_filters: %s\n", e.message);
    }
    mem_free(t.data);
    mem_free(t.ends);
    return rc == 0 ? 0 : 1;
}

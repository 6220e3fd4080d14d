#include "filters/repetition.h"

#include <stdbool.h>
#include <stdio.h>

#include "filters/letters.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_REPEATS 100000u
#define NOTHING     UINT64_MAX

/* FNV-1a, 64 bits, over code points in place of bytes. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

enum action { ACTION_STOP, ACTION_NOTE };
static const char *const action_names[] = {"stop", "note", NULL};

enum { KEY_WORDS, KEY_LONGEST, KEY_LINES, KEY_CHARACTERS, KEY_ACTION };
static const struct filter_key keys[] = {
    [KEY_WORDS] = {.name = "word_repeats",
                   .kind = FILTER_KEY_NUMBER,
                   .fallback = "16",
                   .help = "the same words may stand so many times in a row; 0: any number"},
    [KEY_LONGEST] = {.name = "longest",
                     .kind = FILTER_KEY_NUMBER,
                     .fallback = "16",
                     .help = "the most words that are looked at as one piece, 1 to 32"},
    [KEY_LINES] = {.name = "line_repeats",
                   .kind = FILTER_KEY_NUMBER,
                   .fallback = "8",
                   .help = "the same line may stand so many times in a row; 0: any number"},
    [KEY_CHARACTERS] = {.name = "character_repeats",
                        .kind = FILTER_KEY_NUMBER,
                        .fallback = "256",
                        .help =
                            "one character may stand so many times in a row; 0: any number"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "stop",
                    .choices = action_names,
                    .help = "what happens where there is one too many"},
    {.name = NULL},
};

/* The config. */
struct repetition {
    uint32_t word_repeats;
    uint32_t longest;
    uint32_t line_repeats;
    uint32_t character_repeats;
    enum action action;
};

struct word {
    uint64_t hash;
    uint64_t from;
};

/* How long the text has repeated itself with one distance between equal words. */
struct period {
    uint64_t run;  /* words just before here that equal the one a distance before them */
    uint64_t from; /* where the first copy began */
};

struct line {
    uint64_t hash;
    uint64_t from;
    bool has_letter;
};

/* The state. */
struct repetition_text {
    const struct repetition *limits;

    struct word words[REPETITION_MAX_WORDS]; /* word i is at i % REPETITION_MAX_WORDS */
    uint64_t word_count;
    uint64_t letter_word; /* the last word with a letter; NOTHING: none yet */
    struct period periods[REPETITION_MAX_WORDS + 1];
    uint32_t known_period; /* of the loop that was acted on and still goes on; 0: none */
    struct word open_word; /* from: NOTHING between words */
    bool open_has_letter;

    struct line line;      /* the one that is being written */
    uint64_t line_end;     /* after its last character that is not blank */
    uint64_t line_written; /* its hash with the blanks at its end */
    uint64_t last_line;    /* hash of the one before, blank ones left out */
    uint64_t lines_from;
    uint64_t line_count; /* how often it stands in a row */

    uint32_t character;
    uint64_t character_from;
    uint64_t character_count;
};

static int repetition_configure(void **config, const struct filter_value *values,
                                struct filter_error *error)
{
    struct repetition read = {.action = (enum action)values[KEY_ACTION].choice};
    const struct {
        uint32_t key, min, max;
        uint32_t *number;
    } numbers[] = {
        {KEY_WORDS, 0, MAX_REPEATS, &read.word_repeats},
        {KEY_LONGEST, 1, REPETITION_MAX_WORDS, &read.longest},
        {KEY_LINES, 0, MAX_REPEATS, &read.line_repeats},
        {KEY_CHARACTERS, 0, MAX_REPEATS, &read.character_repeats},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (setting_whole(&values[numbers[i].key], keys[numbers[i].key].name, numbers[i].min,
                          numbers[i].max, numbers[i].number, error) != 0) {
            return -1;
        }
    }
    if (read.word_repeats == 0 && read.line_repeats == 0 && read.character_repeats == 0) {
        return setting_refuse(error, "", "looks for nothing: all three repeats are 0");
    }
    struct repetition *limits = mem_alloc(sizeof(*limits));
    if (!limits) {
        return setting_refuse(error, "", "out of memory");
    }
    *limits = read;
    *config = limits;
    return 0;
}

static int repetition_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    struct repetition_text *t = mem_zalloc(sizeof(*t));
    if (!t) {
        return -1;
    }
    t->limits = config;
    t->letter_word = NOTHING;
    t->open_word.from = NOTHING;
    t->line = (struct line){.hash = HASH_BEGIN};
    t->line_written = HASH_BEGIN;
    *state = t;
    return 0;
}

static uint64_t hash_add(uint64_t hash, uint32_t code_point)
{
    return (hash ^ code_point) * HASH_PRIME;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x3000;
}

/* Beyond ASCII everything is taken for a letter but the blocks of punctuation, arrows and box
 * drawing (U+2000 to U+2BFF), of which tables are drawn. */
static bool counts_as_letter(uint32_t c)
{
    if (c < 0x80) {
        return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    }
    return !is_blank(c) && (c < 0x2000 || c > 0x2BFF);
}

/* Returns 1 when the text was stopped, 0 when it goes on, -1 when the chain refused. */
static int act(const struct repetition_text *t, uint64_t from, uint64_t at, const char *message,
               struct filter_host *host)
{
    struct filter_reason why = {
        .size = sizeof(why), .code = "repetition", .message = message, .from = from, .to = at};
    if (t->limits->action == ACTION_NOTE) {
        return host->note(host, at, &why);
    }
    return host->stop(host, at, &why) == 0 ? 1 : -1;
}

/* ---- words ---- */

/* The first distance at which there is one copy too many, or 0. */
static uint32_t find_loop(struct repetition_text *t, uint64_t index, const struct word *word)
{
    uint32_t found = 0;
    for (uint32_t p = 1; p <= t->limits->longest && p <= index; p++) {
        struct period *period = &t->periods[p];
        const struct word *before = &t->words[(index - p) % REPETITION_MAX_WORDS];
        if (before->hash != word->hash) {
            period->run = 0;
            continue;
        }
        if (period->run++ == 0) {
            period->from = before->from;
        }
        if (found == 0 && period->run >= (uint64_t)p * t->limits->word_repeats &&
            t->letter_word != NOTHING && index - t->letter_word < p) {
            found = p;
        }
    }
    return found;
}

static int end_word(struct repetition_text *t, const struct word *word, bool has_letter,
                    uint64_t at, struct filter_host *host)
{
    uint64_t index = t->word_count++;
    if (has_letter) {
        t->letter_word = index;
    }
    uint32_t period = find_loop(t, index, word);
    t->words[index % REPETITION_MAX_WORDS] = *word;
    if (t->known_period != 0 && t->periods[t->known_period].run > 0) {
        return 0; /* the same loop goes on */
    }
    t->known_period = period;
    if (period == 0) {
        return 0;
    }
    char message[64];
    snprintf(message, sizeof(message), "%u words more than %u times in a row", period,
             t->limits->word_repeats);
    return act(t, t->periods[period].from, at, message, host);
}

static int end_open_word(struct repetition_text *t, uint64_t at, struct filter_host *host)
{
    struct word word = t->open_word;
    t->open_word.from = NOTHING;
    return word.from == NOTHING ? 0 : end_word(t, &word, t->open_has_letter, at, host);
}

static int feed_word(struct repetition_text *t, uint32_t c, uint64_t from, uint64_t to,
                     struct filter_host *host)
{
    if (!letter_is_in_word(c)) {
        struct word word = {.hash = hash_add(HASH_BEGIN, c), .from = from};
        return is_blank(c) ? 0 : end_word(t, &word, counts_as_letter(c), to, host);
    }
    if (t->open_word.from == NOTHING) {
        t->open_word = (struct word){.hash = HASH_BEGIN, .from = from};
        t->open_has_letter = false;
    }
    t->open_word.hash = hash_add(t->open_word.hash, letter_fold(c));
    t->open_has_letter = t->open_has_letter || counts_as_letter(c);
    return 0;
}

/* ---- lines and characters ---- */

/* A line ends at `at`; the next begins at `next`. Blanks at its end do not count, and a line
 * of nothing else is as if it were not there. */
static int end_line(struct repetition_text *t, uint64_t at, uint64_t next,
                    struct filter_host *host)
{
    struct line line = t->line;
    bool is_empty = t->line_end == 0;
    t->line = (struct line){.hash = HASH_BEGIN, .from = next};
    t->line_written = HASH_BEGIN;
    t->line_end = 0;
    if (is_empty) {
        return 0;
    }
    if (t->line_count == 0 || t->last_line != line.hash) {
        t->last_line = line.hash;
        t->lines_from = line.from;
        t->line_count = 0;
    }
    t->line_count++;
    if (!line.has_letter || t->line_count != (uint64_t)t->limits->line_repeats + 1) {
        return 0;
    }
    char message[64];
    snprintf(message, sizeof(message), "a line more than %u times in a row",
             t->limits->line_repeats);
    return act(t, t->lines_from, at, message, host);
}

static void feed_line(struct repetition_text *t, uint32_t c, uint64_t to)
{
    t->line_written = hash_add(t->line_written, c);
    if (!is_blank(c)) {
        t->line.hash = t->line_written;
        t->line.has_letter = t->line.has_letter || counts_as_letter(c);
        t->line_end = to;
    }
}

static int feed_run(struct repetition_text *t, uint32_t c, uint64_t from,
                    struct filter_host *host)
{
    if (t->character_count == 0 || t->character != c) {
        t->character = c;
        t->character_from = from;
        t->character_count = 0;
    }
    t->character_count++;
    if (t->character_count != (uint64_t)t->limits->character_repeats + 1) {
        return 0;
    }
    char message[64];
    snprintf(message, sizeof(message), "a character more than %u times in a row",
             t->limits->character_repeats);
    return act(t, t->character_from, from, message, host);
}

/* ---- one text ---- */

/* One character. What has ended before it comes first, so that offsets never go back. */
static int feed_character(struct repetition_text *t, uint32_t c, uint64_t from, uint64_t to,
                          struct filter_host *host)
{
    const struct repetition *limits = t->limits;
    int rc = 0;
    if (limits->word_repeats > 0 && !letter_is_in_word(c)) {
        rc = end_open_word(t, from, host);
    }
    if (rc == 0 && limits->line_repeats > 0 && c == '\n') {
        rc = end_line(t, from, to, host);
    } else if (rc == 0 && limits->line_repeats > 0) {
        feed_line(t, c, to);
    }
    if (rc == 0 && limits->character_repeats > 0) {
        rc = feed_run(t, c, from, host);
    }
    if (rc == 0 && limits->word_repeats > 0) {
        rc = feed_word(t, c, from, to, host);
    }
    return rc;
}

static int repetition_feed(void *state, const struct filter_span *span,
                           struct filter_host *host)
{
    struct repetition_text *t = state;
    for (size_t at = span->fresh; at < span->len;) {
        uint32_t c;
        int n = utf8_decode(span->text + at, span->len - at, &c);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        uint64_t from = span->start + at;
        at += (size_t)n;
        int rc = feed_character(t, c, from, span->start + at, host);
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    return host->pass(host, span->start + span->len);
}

static int repetition_finish(void *state, const struct filter_span *span,
                             struct filter_host *host)
{
    struct repetition_text *t = state;
    uint64_t end = span->start + span->len;
    int rc = end_open_word(t, end, host);
    if (rc == 0 && t->limits->line_repeats > 0) {
        rc = end_line(t, end, end, host);
    }
    return rc < 0 ? -1 : 0;
}

const struct filter_type filter_repetition = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "repetition",
    .summary = "notices words, lines or characters that are repeated without end",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT | FILTER_DECODED,
    .keys = keys,
    .configure = repetition_configure,
    .release = mem_free,
    .open = repetition_open,
    .feed = repetition_feed,
    .finish = repetition_finish,
    .close = mem_free,
};

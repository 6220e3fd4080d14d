#include "models/curate/quality.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "models/curate/quality_characters.h"
#include "models/curate/spam.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

struct measure {
    const char *name, *summary;
    struct quality_bound shorter, web;
};

#define ANY INFINITY

static const struct measure measures[QUALITY_MEASURES] = {
    [QUALITY_WORDS] = {"words", "words of a text", {1, 100000}, {50, 100000}},
    [QUALITY_MEAN_WORD] = {"mean_word", "characters of a word, on average", {1, 14}, {3, 10}},
    [QUALITY_LETTERS] = {"letters", "share of letters and digits", {0.45, ANY}, {0.7, ANY}},
    [QUALITY_DIGITS] = {"digits", "share of digits", {0, 0.75}, {0, 0.3}},
    [QUALITY_SYMBOLS] = {"symbols", "share of # * { } | ~ and the like", {0, 0.25}, {0, 0.1}},
    [QUALITY_STOP_WORDS] = {"stop_words",
                            "share of \"the\", \"of\", \"you\" (English)",
                            {0, ANY},
                            {0.06, ANY}},
    [QUALITY_REPEATED_LINES] = {"repeated_lines",
                                "share of characters in repeated lines",
                                {0, 0.5},
                                {0, 0.2}},
    [QUALITY_TOP_NGRAM] = {"top_ngram",
                           "share of words in the commonest 2, 3 or 4",
                           {0, 0.5},
                           {0, 0.2}},
    [QUALITY_REPEATED_NGRAMS] = {"repeated_ngrams",
                                 "share of repeated runs of 5 words",
                                 {0, 0.6},
                                 {0, 0.15}},
    [QUALITY_REPEATED_WORDS] = {"repeated_words",
                                "share of words like the one before",
                                {0, 0.25},
                                {0, 0.1}},
    [QUALITY_MARKUP] = {"markup", "share of characters in tags and script", {0, 0.2}, {0, 0.1}},
    [QUALITY_MOJIBAKE] = {"mojibake",
                          "share of wrongly decoded characters",
                          {0, 0.01},
                          {0, 0.005}},
    [QUALITY_PLACEHOLDER] = {"placeholder", "how often \"lorem ipsum\" occurs", {0, 0}, {0, 0}},
    [QUALITY_SPAM] = {"spam", "score of an advertisement, 0 to 1", {0, 0.5}, {0, 0.5}},
};

const char *quality_name(enum quality_measure m)
{
    return measures[m].name;
}

const char *quality_summary(enum quality_measure m)
{
    return measures[m].summary;
}

int quality_preset(struct quality_options *o, const char *name)
{
    bool is_web = strcmp(name, "web") == 0, is_off = strcmp(name, "off") == 0;
    if (!is_web && !is_off && strcmp(name, "short") != 0) {
        return -1;
    }
    for (size_t m = 0; m < QUALITY_MEASURES; m++) {
        o->bounds[m] = is_off   ? (struct quality_bound){-ANY, ANY}
                       : is_web ? measures[m].web
                                : measures[m].shorter;
    }
    return 0;
}

int quality_parse(struct quality_options *o, const char *bound, struct err *e)
{
    const char *sign = strpbrk(bound, "<>");
    if (sign && sign[1] == '=') {
        char *end;
        double value = strtod(sign + 2, &end);
        for (size_t m = 0; m < QUALITY_MEASURES; m++) {
            size_t n = (size_t)(sign - bound);
            if (strlen(measures[m].name) != n || strncmp(measures[m].name, bound, n) != 0) {
                continue;
            }
            if (end == sign + 2 || *end != '\0' || isnan(value)) {
                break;
            }
            *(*sign == '<' ? &o->bounds[m].max : &o->bounds[m].min) = value;
            return 0;
        }
    }
    return err_set_param(e, ERR_INVALID, "bound",
                         "--bound \"%.60s\": a measure, <= or >=, and a number are wanted, as "
                         "mean_word<=12; --help lists the measures",
                         bound);
}

/* ---- runs of words ---- */

struct counts {
    uint64_t *keys; /* (cap), 0: free */
    uint32_t *n;
    size_t cap; /* a power of two */
};

static int counts_init(struct counts *c, size_t items, struct err *e)
{
    c->cap = 64;
    while (c->cap < 2 * items) {
        c->cap *= 2;
    }
    c->keys = mem_zarray(c->cap, sizeof(*c->keys));
    c->n = mem_zarray(c->cap, sizeof(*c->n));
    return c->keys && c->n ? 0 : err_nomem(e);
}

static void counts_deinit(struct counts *c)
{
    mem_free(c->keys);
    mem_free(c->n);
}

/* How often the key has been seen, this time included. */
static uint32_t counts_add(struct counts *c, uint64_t key)
{
    key |= key == 0;
    size_t i = (size_t)key & (c->cap - 1);
    while (c->keys[i] && c->keys[i] != key) {
        i = (i + 1) & (c->cap - 1);
    }
    c->keys[i] = key;
    return ++c->n[i];
}

/* Of all runs of n words: how many stood before, and how often the commonest is there. */
static int count_runs(const struct words *w, size_t n, double *repeated, uint32_t *top,
                      struct err *e)
{
    struct counts counts = {0};
    struct ngrams g;
    uint64_t hash;
    size_t all = 0, again = 0;
    int rc = counts_init(&counts, w->count, e);
    ngrams_init(&g, w->items, w->count, n);
    *top = 0;
    while (!rc && ngrams_next(&g, &hash)) {
        uint32_t seen = counts_add(&counts, hash);
        *top = seen > *top ? seen : *top;
        again += seen > 1;
        all++;
    }
    *repeated = all ? (double)again / (double)all : 0;
    counts_deinit(&counts);
    return rc;
}

static void set(struct quality *q, enum quality_measure m, double value)
{
    q->values[m] = value;
    q->is_measured[m] = true;
}

static int measure_runs(struct quality *q, const struct words *w, struct err *e)
{
    size_t same = 0;
    for (size_t i = 1; i < w->count; i++) {
        same += w->items[i] == w->items[i - 1];
    }
    if (w->count >= 8) {
        set(q, QUALITY_REPEATED_WORDS, (double)same / (double)w->count);
    }
    if (w->count < QUALITY_NGRAM_WORDS) {
        return 0;
    }
    double repeated, share = 0;
    uint32_t top;
    for (size_t n = 2; n <= 4; n++) {
        if (count_runs(w, n, &repeated, &top, e)) {
            return -1;
        }
        double mine = top > 2 ? (double)top * (double)n / (double)w->count : 0;
        share = mine > share ? mine : share;
    }
    set(q, QUALITY_TOP_NGRAM, share > 1 ? 1 : share);
    if (count_runs(w, 5, &repeated, &top, e)) {
        return -1;
    }
    set(q, QUALITY_REPEATED_NGRAMS, repeated);
    return 0;
}

/* ---- lines ---- */

static uint64_t hash_bytes(const char *s, size_t len)
{
    return words_mix(fnv64(len + 1, s, len));
}

static int measure_lines(struct quality *q, const char *text, size_t len, struct err *e)
{
    struct counts counts = {0};
    size_t lines = 1, repeated = 0;
    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
    }
    if (lines < 4) {
        return 0;
    }
    int rc = counts_init(&counts, lines, e);
    for (size_t at = 0; !rc && at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        if (n > 0 && counts_add(&counts, hash_bytes(text + at, n)) > 1) {
            repeated += n;
        }
        at += n + 1;
    }
    set(q, QUALITY_REPEATED_LINES, (double)repeated / (double)len);
    counts_deinit(&counts);
    return rc;
}

int quality_measure(struct quality *q, const char *text, size_t len, const struct words *words,
                    bool is_english, struct err *e)
{
    struct quality_characters c;
    *q = (struct quality){0};
    quality_characters_count(&c, text, len);
    set(q, QUALITY_WORDS, (double)words->count);
    if (c.shown > 0) {
        double shown = (double)c.shown;
        set(q, QUALITY_LETTERS, (double)c.letters / shown);
        set(q, QUALITY_SYMBOLS, (double)c.symbols / shown);
        set(q, QUALITY_MARKUP, (double)c.markup / shown);
        set(q, QUALITY_MOJIBAKE, (double)c.mojibake / shown);
        set(q, QUALITY_DIGITS, (double)c.digits / shown);
    }
    if (c.runs >= 3 && !c.is_unspaced) {
        set(q, QUALITY_MEAN_WORD, (double)c.shown / (double)c.runs);
    }
    if (is_english && c.runs >= QUALITY_NGRAM_WORDS) {
        set(q, QUALITY_STOP_WORDS, (double)c.stop_words / (double)c.runs);
    }
    set(q, QUALITY_PLACEHOLDER, (double)c.placeholders);
    set(q, QUALITY_SPAM, spam_score(text, len));
    return measure_runs(q, words, e) || measure_lines(q, text, len, e) ? -1 : 0;
}

enum quality_measure quality_judge(const struct quality *q, const struct quality_options *o)
{
    size_t m = 0;
    while (m < QUALITY_MEASURES && (!q->is_measured[m] || (q->values[m] >= o->bounds[m].min &&
                                                           q->values[m] <= o->bounds[m].max))) {
        m++;
    }
    return (enum quality_measure)m;
}

/* Random chains on random texts with random cuts, held against an oracle that sees the whole
 * text: what is released is at each moment a beginning of what the oracle makes of the text,
 * so that no byte of a match ever leaves; text, events and stop are the oracle's; and where all
 * futures of a text can be tried, no byte waits that need not.
 *
 *     test_chain_oracle [CASES [SEED]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filters/view.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"
#include "tests/unit/filters/chain_oracle.h"

#define MAX_TEXT 1024

static uint64_t cases = 20000;
static uint64_t first_seed = 1;

static const char *const narrow[] = {"a", "b", " "};
static const char *const wide[] = {"a",
                                   "A",
                                   "b",
                                   "c",
                                   "k",
                                   "K",
                                   "s",
                                   "_",
                                   "1",
                                   " ",
                                   " ",
                                   "-",
                                   ".",
                                   "\xC3\xA9",
                                   "\xC3\x89",
                                   "i",
                                   "+",
                                   "#",
                                   "\xE2\x84\xAA",
                                   "\xC5\xBF",
                                   "\xC3\x9F",
                                   "\xE1\xBA\x9E",
                                   "\xC4\xB0",
                                   "\xC4\xB1",
                                   "\xCC\x81",
                                   "\xE2\x80\x99",
                                   "\xE5\xAD\x97",
                                   "\xF0\x9F\x99\x82"};
#define WIDE (sizeof(wide) / sizeof(wide[0]))

/* What a text is made of besides: words that are on no list. */
static const char *const filler[] = {
    "the ", "of ", "information ", "quite, ",           "incomprehensibilities ", "X-ray ",
    "42 ",  "\n",  "(see below) ", "don\xE2\x80\x99t ", "\xC3\xA9tude "};
#define FILLER (sizeof(filler) / sizeof(filler[0]))

static const char *const atoms[] = {
    "a",     "b",       "c",        "k",      "ab",       ".",     "[ab]", "[^a]",   "\\w",
    "\\d",   "\\s",     "\\b",      "\\B",    "\xC3\xA9", "s",     "i",    "(?<=a)", "(?=b)",
    "(?!c)", "(?<!b )", "(?:a|bc)", "(a|ab)", "(?m)^",    "(?m)$", "-",    "1"};
#define ATOMS (sizeof(atoms) / sizeof(atoms[0]))
static const char *const quantifiers[] = {"",  "",  "",    "",      "",  "?",
                                          "+", "*", "{2}", "{1,3}", "+?"};
#define QUANTIFIERS (sizeof(quantifiers) / sizeof(quantifiers[0]))

struct random_case {
    struct oracle_filter filters[ORACLE_FILTERS];
    size_t count;
    bool is_narrow; /* one list of short words of few letters */
    bool is_recorded;
    bool is_normalised; /* the view is the text itself */
    char json[8192];
    char text[MAX_TEXT];
    size_t len;
};

/* ---- making one ---- */

static void append(char *out, size_t room, const char *text)
{
    if (strlen(out) + strlen(text) < room) {
        strcat(out, text);
    }
}

static const char *random_letter(struct rng *rng, bool is_narrow)
{
    return is_narrow ? narrow[rng_below(rng, 3)] : wide[rng_below(rng, WIDE)];
}

static void random_words(struct rng *rng, struct oracle_filter *f, bool is_narrow)
{
    f->kind = ORACLE_WORDS;
    f->count = 1 + rng_below(rng, is_narrow ? 4 : ORACLE_ITEMS);
    f->whole_words = rng_below(rng, 3) > 0;
    uint32_t longest = is_narrow || rng_below(rng, 2) ? 3 : 12;
    for (size_t i = 0; i < f->count; i++) {
        f->items[i][0] = '\0';
        for (uint32_t n = 1 + rng_below(rng, longest); n > 0; n--) {
            append(f->items[i], ORACLE_ITEM_MAX, random_letter(rng, is_narrow));
        }
    }
}

static void random_patterns(struct rng *rng, struct oracle_filter *f)
{
    f->kind = ORACLE_REGEX;
    f->count = 1 + rng_below(rng, 3);
    for (size_t i = 0; i < f->count; i++) {
        f->items[i][0] = '\0';
        for (uint32_t n = 1 + rng_below(rng, 4); n > 0; n--) {
            const char *atom = atoms[rng_below(rng, ATOMS)];
            bool is_fixed = strstr("\\b \\B (?m)^ (?m)$", atom) != NULL;
            append(f->items[i], ORACLE_ITEM_MAX, atom);
            append(f->items[i], ORACLE_ITEM_MAX,
                   is_fixed ? "" : quantifiers[rng_below(rng, QUANTIFIERS)]);
        }
    }
}

static void random_filter(struct rng *rng, struct oracle_filter *f, bool is_narrow)
{
    static const char *const replacements[] = {"***", "", "a", "a b"};
    *f = (struct oracle_filter){
        .action = (enum oracle_action)rng_below(rng, 4),
        .case_sensitive = rng_below(rng, 2),
    };
    /* Where futures are compared, what is put in must not look like the text. */
    uint32_t choice = is_narrow ? 0 : rng_below(rng, 4);
    f->replacement = f->action == ORACLE_REPLACE ? replacements[choice]
                     : choice < 2                ? "*"
                                                 : "b";
    uint32_t kind = is_narrow ? 0 : rng_below(rng, 8);
    if (kind < 4) {
        random_words(rng, f, is_narrow);
    } else if (kind < 7) {
        random_patterns(rng, f);
    } else {
        f->kind = ORACLE_LENGTH;
        f->limit = rng_below(rng, 200);
        f->action = rng_below(rng, 2) ? ORACLE_STOP : ORACLE_REPLACE;
    }
}

static void append_json_string(char *json, size_t room, const char *text)
{
    append(json, room, "\"");
    for (; *text; text++) {
        char one[3] = {*text == '\\' ? '\\' : *text, *text == '\\' ? '\\' : '\0', '\0'};
        append(json, room, one);
    }
    append(json, room, "\"");
}

/* What is said of every filter: here of all alike. */
static void append_keys(char *json, size_t room, const struct random_case *c)
{
    append(json, room, c->is_recorded ? ",\"mode\":\"record\"" : "");
    append(json, room, c->is_normalised ? ",\"view\":\"normalised\"" : "");
    append(json, room, "}");
}

static void append_filter(char *json, size_t room, const struct oracle_filter *f)
{
    static const char *const types[] = {"wordlist\",\"words\":[", "regex\",\"patterns\":["};
    static const char *const actions[] = {"stop", "replace", "mask", "note"};
    char limit[96];
    append(json, room, "{\"type\":\"");
    if (f->kind == ORACLE_LENGTH) {
        snprintf(limit, sizeof(limit), "length\",\"max_characters\":%zu,\"action\":\"%s\"",
                 f->limit, f->action == ORACLE_STOP ? "stop" : "cut");
        append(json, room, limit);
        return;
    }
    append(json, room, types[f->kind]);
    for (size_t i = 0; i < f->count; i++) {
        append(json, room, i ? "," : "");
        append_json_string(json, room, f->items[i]);
    }
    append(json, room, "],\"action\":\"");
    append(json, room, actions[f->action]);
    if (f->action == ORACLE_REPLACE || f->action == ORACLE_MASK) {
        append(json, room,
               f->action == ORACLE_MASK ? "\",\"mask\":\"" : "\",\"replacement\":\"");
        append(json, room, f->replacement);
    }
    append(json, room, "\",\"case_sensitive\":");
    append(json, room, f->case_sensitive ? "true" : "false");
    if (f->kind == ORACLE_WORDS) {
        append(json, room, ",\"word_boundaries\":");
        append(json, room, f->whole_words ? "true" : "false");
    }
}

/* A word or pattern of the chain, whole or cut off, with another letter in it or not. */
static void append_near_match(struct rng *rng, struct random_case *c)
{
    const struct oracle_filter *f = &c->filters[rng_below(rng, (uint32_t)c->count)];
    if (f->kind != ORACLE_WORDS) {
        return;
    }
    const char *word = f->items[rng_below(rng, (uint32_t)f->count)];
    size_t whole = strlen(word);
    size_t end = rng_below(rng, 3) ? whole : rng_below(rng, (uint32_t)whole + 1);
    end -= utf8_incomplete_tail(word, end);
    size_t odd = rng_below(rng, 3) ? whole : rng_below(rng, (uint32_t)whole);
    for (size_t at = 0; at < end;) {
        uint32_t code_point;
        size_t n = (size_t)utf8_decode(word + at, whole - at, &code_point);
        char letter[5] = {0};
        memcpy(letter, word + at, n);
        if (n == 1 && letter[0] >= 'a' && letter[0] <= 'z' && rng_below(rng, 5) == 0) {
            letter[0] -= 'a' - 'A';
        }
        append(c->text, MAX_TEXT,
               at <= odd && odd < at + n ? random_letter(rng, false) : letter);
        at += n;
    }
}

static void random_text(struct rng *rng, struct random_case *c)
{
    c->text[0] = '\0';
    uint32_t pieces = rng_below(rng, c->is_narrow ? 10 : rng_below(rng, 4) ? 30 : 90);
    uint32_t style = rng_below(rng, 3); /* much of the list, of other words, or of letters */
    while (pieces-- > 0) {
        uint32_t kind = rng_below(rng, 4);
        kind = c->is_narrow ? 3 : kind == 3 ? style : kind;
        if (kind == 0) {
            append_near_match(rng, c);
            append(c->text, MAX_TEXT, rng_below(rng, 2) ? " " : "");
        } else if (kind == 1) {
            append(c->text, MAX_TEXT, filler[rng_below(rng, FILLER)]);
        } else {
            append(c->text, MAX_TEXT, random_letter(rng, c->is_narrow));
        }
    }
    c->len = strlen(c->text);
}

static void drop_all_but_ascii(char *text)
{
    size_t n = 0;
    for (size_t i = 0; text[i]; i++) {
        if ((unsigned char)text[i] < 0x80) {
            text[n++] = text[i];
        }
    }
    text[n] = '\0';
}

static bool is_shown_as_it_is(const char *text)
{
    struct buf shown;
    size_t len = strlen(text);
    buf_init(&shown, 1 << 16);
    bool is_same = view_normalise(text, len, &shown) == 0 && shown.len == len &&
                   (len == 0 || memcmp(shown.data, text, len) == 0);
    buf_deinit(&shown);
    return is_same;
}

/* Of one filter some cases are recorded, and some looked at through the view: of a text, and
 * of words, that it changes nothing about the oracle's word holds. */
static void choose_keys(struct rng *rng, struct random_case *c)
{
    c->is_recorded = c->is_normalised = false;
    if (c->is_narrow || c->count > 1) {
        return;
    }
    struct oracle_filter *f = &c->filters[0];
    c->is_recorded = rng_below(rng, 4) == 0;
    c->is_normalised = rng_below(rng, 4) == 0;
    if (!c->is_normalised) {
        return;
    }
    drop_all_but_ascii(c->text);
    c->len = strlen(c->text);
    c->is_normalised = is_shown_as_it_is(c->text);
    for (size_t i = 0; i < f->count && f->kind == ORACLE_WORDS; i++) {
        drop_all_but_ascii(f->items[i]);
        append(f->items[i], ORACLE_ITEM_MAX, f->items[i][0] ? "" : "a");
        c->is_normalised = c->is_normalised && is_shown_as_it_is(f->items[i]);
    }
}

/* Returns the chain; NULL when a pattern of it is refused, as some are. */
static struct chain *random_chain(struct rng *rng, struct random_case *c)
{
    c->is_narrow = rng_below(rng, 24) == 0;
    c->count = c->is_narrow || rng_below(rng, 2) ? 1 : 2 + rng_below(rng, ORACLE_FILTERS - 1);
    for (size_t i = 0; i < c->count; i++) {
        random_filter(rng, &c->filters[i], c->is_narrow);
    }
    random_text(rng, c);
    choose_keys(rng, c);
    strcpy(c->json, "{\"name\":\"t\",\"filters\":[");
    bool is_compiled = true;
    for (size_t i = 0; i < c->count; i++) {
        append(c->json, sizeof(c->json), i ? "," : "");
        append_filter(c->json, sizeof(c->json), &c->filters[i]);
        append_keys(c->json, sizeof(c->json), c);
        is_compiled = is_compiled && (c->filters[i].kind != ORACLE_REGEX ||
                                      oracle_compile(&c->filters[i]) == 0);
    }
    append(c->json, sizeof(c->json), "]}");
    struct err e;
    return is_compiled ? chain_from_json(c->json, strlen(c->json), NULL, &e) : NULL;
}

/* ---- checking one ---- */

struct run {
    struct chain_stream *stream;
    struct buf out;
    int status;
};

static void fail_case(const struct random_case *c, const char *what, const struct buf *wanted,
                      const struct buf *got)
{
    fail_msg("%s\n%s\ntext:   \"%s\"\nwanted: \"%s\"\ngot:    \"%s\"", what, c->json, c->text,
             wanted->data ? wanted->data : "", got->data ? got->data : "");
}

static void start(struct run *run, struct chain *chain)
{
    struct err e;
    buf_init(&run->out, 1 << 20);
    run->stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    run->status = CHAIN_GOES_ON;
    assert_non_null(run->stream);
}

static void end(struct run *run)
{
    chain_stream_destroy(run->stream);
    buf_deinit(&run->out);
}

static void feed(struct run *run, const char *text, size_t len)
{
    struct chain_sink sink = chain_sink_buf(&run->out);
    struct err e;
    int status = chain_feed(run->stream, FILTER_CONTENT, text, len, &sink, &e);
    assert_true(status >= 0);
    run->status = status;
}

static void finish(struct run *run)
{
    struct chain_sink sink = chain_sink_buf(&run->out);
    struct err e;
    run->status = chain_finish(run->stream, &sink, &e);
    assert_true(run->status >= 0);
}

static size_t next_cut(struct rng *rng, const struct random_case *c, size_t at,
                       uint32_t longest)
{
    size_t n = 1 + rng_below(rng, longest);
    size_t cut = c->len - at > n ? at + n : c->len;
    return cut - utf8_incomplete_tail(c->text + at, cut - at) > at
               ? cut - utf8_incomplete_tail(c->text + at, cut - at)
               : next_cut(rng, c, at, longest + 3);
}

static bool is_beginning(const struct buf *part, const struct buf *whole)
{
    return part->len <= whole->len &&
           (part->len == 0 || memcmp(part->data, whole->data, part->len) == 0);
}

/* Shortens `common` to what it shares with what becomes of text[0, len) and each continuation
 * of up to `depth` letters. A stop is a mark at the end. */
static void intersect_futures(const struct random_case *c, char *text, size_t len, int depth,
                              struct buf *common, bool is_first)
{
    struct oracle_result future;
    oracle_result_init(&future);
    assert_true(oracle_run(c->filters, 1, text, len, &future));
    buf_append_str(&future.text, future.stopped ? "!" : "");
    if (is_first) {
        buf_append(common, future.text.data, future.text.len);
    }
    size_t n = 0;
    while (n < common->len && n < future.text.len && common->data[n] == future.text.data[n]) {
        n++;
    }
    common->len = n;
    oracle_result_deinit(&future);
    for (size_t i = 0; depth > 0 && i < 3; i++) {
        text[len] = narrow[i][0];
        intersect_futures(c, text, len + 1, depth - 1, common, false);
    }
}

/* No word is longer than three letters, so four more reach all futures. */
static void check_futures(const struct random_case *c, const struct run *run, size_t fed)
{
    char text[MAX_TEXT + 8];
    memcpy(text, c->text, fed);
    struct buf common, got;
    buf_init(&common, 1 << 16);
    buf_init(&got, 1 << 16);
    intersect_futures(c, text, fed, 4, &common, true);
    buf_append(&got, run->out.data, run->out.len);
    buf_append_str(&got, run->status == CHAIN_STOPPED ? "!" : "");
    if (common.len != got.len || !is_beginning(&got, &common)) {
        buf_append(&common, "", 0);
        fail_case(c, "what all futures share is not what was released", &common, &got);
    }
    buf_deinit(&common);
    buf_deinit(&got);
}

static size_t label_of(const struct chain_event *event)
{
    const char *bracket = strchr(event->message, '[');
    return bracket ? strtoul(bracket + 1, NULL, 10) : 0;
}

static bool is_event(const struct oracle_event *wanted, const struct chain_event *got)
{
    return wanted->kind == got->kind && wanted->filter == got->filter &&
           wanted->from == got->from && wanted->label == label_of(got);
}

/* The events of one filter. A mask tells of more where it acts before a longer word joins two
 * hits; of a filter before the one that stopped only the first may have happened; and no more
 * than CHAIN_MAX_EVENTS are listed. */
static bool are_events(const struct random_case *c, const struct oracle_result *wanted,
                       const struct chain_stream *stream, size_t filter)
{
    const struct oracle_event *w = (const void *)wanted->events.data;
    size_t wanted_count = wanted->events.len / sizeof(*w);
    size_t got_count;
    const struct chain_event *got = chain_stream_events(stream, &got_count, NULL);
    const struct oracle_filter *f = &c->filters[filter];
    bool may_be_more = f->kind == ORACLE_WORDS && f->action == ORACLE_MASK;
    bool may_be_less = wanted->stopped && filter < wanted->stop.filter;
    size_t seen = 0;
    size_t k = 0;
    for (size_t i = 0; i < got_count; i++) {
        if (got[i].filter != filter || (got[i].kind == CHAIN_STOP && !got[i].is_recorded)) {
            continue;
        }
        seen++;
        size_t next = k;
        while (next < wanted_count && w[next].filter != filter) {
            next++;
        }
        bool is_it = next < wanted_count && is_event(&w[next], &got[i]);
        if (!is_it && !may_be_more) {
            return false;
        }
        k = is_it ? next + 1 : k;
    }
    while (k < wanted_count && w[k].filter != filter) {
        k++;
    }
    return k == wanted_count || may_be_less || seen >= CHAIN_MAX_EVENTS;
}

static void check_end(const struct random_case *c, const struct run *run,
                      const struct oracle_result *wanted)
{
    if (run->out.len != wanted->text.len || !is_beginning(&run->out, &wanted->text)) {
        fail_case(c, "another text came out", &wanted->text, &run->out);
    }
    const struct chain_event *stop = chain_stream_stop(run->stream);
    if ((run->status == CHAIN_STOPPED) != wanted->stopped ||
        (stop && !is_event(&wanted->stop, stop))) {
        fail_case(c, "another stop", &wanted->text, &run->out);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!are_events(c, wanted, run->stream, i)) {
            fail_case(c, "other events", &wanted->text, &run->out);
        }
    }
}

/* Random patterns may need more steps than a search is allowed; then the filter says so. */
static bool has_given_up(const struct run *run)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(run->stream, &count, NULL);
    return count > 0 && events[count - 1].kind == CHAIN_FAIL &&
           strstr(events[count - 1].message, "too many steps") != NULL;
}

/* Whatever is recorded, nothing of it is done. */
static void expect_record(const struct random_case *c, struct oracle_result *wanted)
{
    if (!c->is_recorded) {
        return;
    }
    buf_clear(&wanted->text);
    buf_append(&wanted->text, c->text, c->len);
    if (wanted->stopped) {
        buf_append(&wanted->events, &wanted->stop, sizeof(wanted->stop));
    }
    wanted->stopped = false;
}

struct tally {
    uint64_t recorded, normalised;
    uint64_t cases, refused, undecided, filters, pieces, futures, stops, events, bytes;
};

static void check_case(struct rng *rng, const struct random_case *c, struct chain *chain,
                       struct tally *tally)
{
    static const uint32_t longest[] = {1, 6, 40, 200, MAX_TEXT};
    struct oracle_result wanted;
    oracle_result_init(&wanted);
    struct run run;
    start(&run, chain);
    bool told = oracle_run(c->filters, c->count, c->text, c->len, &wanted);
    expect_record(c, &wanted);
    uint32_t cut = longest[rng_below(rng, 5)];
    for (size_t at = 0; told && at < c->len && run.status == CHAIN_GOES_ON;) {
        size_t next = next_cut(rng, c, at, cut);
        feed(&run, c->text + at, next - at);
        at = next;
        tally->pieces++;
        if (has_given_up(&run)) {
            told = false;
        } else if (!is_beginning(&run.out, &wanted.text)) {
            fail_case(c, "a byte was released that must not be", &wanted.text, &run.out);
        }
        if (c->is_narrow) {
            check_futures(c, &run, at);
            tally->futures++;
        }
    }
    if (told && run.status == CHAIN_GOES_ON) {
        finish(&run);
        told = !has_given_up(&run);
    }
    if (told) {
        check_end(c, &run, &wanted);
        size_t events;
        chain_stream_events(run.stream, &events, NULL);
        tally->cases++;
        tally->filters += c->count;
        tally->stops += wanted.stopped;
        tally->events += events;
        tally->bytes += c->len;
        tally->recorded += c->is_recorded;
        tally->normalised += c->is_normalised;
    }
    tally->undecided += !told;
    end(&run);
    oracle_result_deinit(&wanted);
}

static void random_chains_do_what_a_look_at_the_whole_text_says(void **state)
{
    (void)state;
    static struct random_case c;
    struct tally tally = {0};
    for (uint64_t seed = first_seed; tally.cases < cases; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct chain *chain = random_chain(&rng, &c);
        if (chain) {
            check_case(&rng, &c, chain, &tally);
        }
        tally.refused += !chain;
        chain_unref(chain);
        for (size_t i = 0; i < c.count; i++) {
            oracle_release(&c.filters[i]);
        }
    }
    print_message("%ju cases (%ju only recorded, %ju in the view) of %ju filters, %ju bytes in "
                  "%ju pieces, %ju events, %ju stops; "
                  "all futures tried %ju times; left out: %ju refused, %ju too many steps\n",
                  (uintmax_t)tally.cases, (uintmax_t)tally.recorded,
                  (uintmax_t)tally.normalised, (uintmax_t)tally.filters, (uintmax_t)tally.bytes,
                  (uintmax_t)tally.pieces, (uintmax_t)tally.events, (uintmax_t)tally.stops,
                  (uintmax_t)tally.futures, (uintmax_t)tally.refused,
                  (uintmax_t)tally.undecided);
    assert_true(tally.refused < tally.cases);
    assert_true(tally.undecided <= tally.cases / 100);
    assert_true(tally.recorded > tally.cases / 20 && tally.normalised > tally.cases / 40);
    assert_true(tally.events > tally.cases && tally.stops > tally.cases / 20);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cases = strtoull(argv[1], NULL, 10);
    }
    if (argc > 2) {
        first_seed = strtoull(argv[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_chains_do_what_a_look_at_the_whole_text_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The normalised view: each trick, against a naive implementation, for every way of cutting the
 * text, and exactly as far as the text decides it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/view.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"
#include "tests/unit/filters/view_oracle.h"

#define MAX ((size_t)1 << 20)

#define ZWSP  "\xE2\x80\x8B"
#define ZWNJ  "\xE2\x80\x8C"
#define ACUTE "\xCC\x81"
#define SHY   "\xC2\xAD"

static const char *string_of(const struct buf *b)
{
    return b->data ? b->data : "";
}

static void expect(const char *text, const char *shown)
{
    struct buf out;
    buf_init(&out, MAX);
    assert_int_equal(view_normalise(text, strlen(text), &out), 0);
    if (strcmp(string_of(&out), shown) != 0) {
        fail_msg("\"%s\" is shown as \"%s\" and not \"%s\"", text, string_of(&out), shown);
    }
    buf_deinit(&out);
}

/* ---- the tricks ---- */

static void plain_text_is_shown_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "I am. A b is a word; it's 5 o'clock, e.g. now (AT&T, R & D) x-y a1 b2 c3!",
        "a b and a.b, but c-d or e_f: I & you",
        "\xD0\xBF\xD1\x8B\xD0\xBB\xD1\x8C \xD0\xB8\xD0\xB4\xD0\xB9", /* no look-alikes */
        "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4 \xE4\xB8\xAD\xE6\x96\x87",
        "\xE3\x81\x8C\xE3\x81\x8E \xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8",
        "&unknown; &#; &#x; &#55296; &#x110000; &#1; & &&",
        "\xF0\x9F\x98\x80 ok",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect(texts[i], texts[i]);
    }
}

static void what_has_no_appearance_is_not_there(void **state)
{
    (void)state;
    expect("b" ZWSP "a" ZWNJ "d", "bad");
    expect("b\x01"
           "a\x7F"
           "d\x1B \xC2\x9F\xEF\xBF\xB9x\xC2\x85\t\n\v\f\r",
           "bad x\xC2\x85\t\n\v\f\r");
    expect(
        "a text that is longer than what is judged at a time, with a b\x08"
        "ad word in it and more behind",
        "a text that is longer than what is judged at a time, with a bad word in it and more "
        "behind");
    expect(SHY "b" SHY "a" SHY "d" SHY, "bad");
    expect("b\xE2\x80\xAE"
           "a\xE2\x81\xA0"
           "d\xEF\xBB\xBF",
           "bad"); /* RLO, WJ, BOM */
    expect("b\xEF\xB8\x8F"
           "a\xCD\x8F"
           "d\xF3\xA0\x81\xA1",
           "bad"); /* VS16, CGJ, tag */
}

static void forms_are_plain(void **state)
{
    (void)state;
    expect("\xEF\xBD\x82\xEF\xBD\x81\xEF\xBD\x84", "bad");             /* fullwidth */
    expect("\xF0\x9D\x90\x9B\xF0\x9D\x92\xB6\xF0\x9D\x95\x95", "bad"); /* mathematical */
    expect("\xE2\x93\x91\xE2\x93\x90\xE2\x93\x93", "bad");             /* circled */
    expect("\xEF\xAC\x81sh \xE3\x8E\x8F", "fish kg");                  /* ligature, square */
    expect("a\xC2\xA0"
           "b",
           "a b");
}

static void look_alikes_are_ascii(void **state)
{
    (void)state;
    expect("b\xD0\xB0"
           "d",
           "bad");                                 /* Cyrillic a */
    expect("\xD0\x90\xCE\x92\xE1\x8F\x9F", "ABC"); /* Cyrillic, Greek, Cherokee */
    expect("\xD5\xBD\xD6\x85\xEA\x93\x93", "uoD"); /* Armenian, Lisu */
    expect("\xE1\xB4\x84\xE1\xB4\x80\xCA\x99 \xC5\x82\xC3\xB8", "cab lo");
    expect("\xF0\x9F\x85\xB1\xF0\x9F\x87\xA6\xF0\x9F\x85\x93", "BAD");
    expect("don\xE2\x80\x99t \xE2\x80\x9Cx\xE2\x80\x9D", "don't \"x\"");
}

static void marks_are_not_shown_over_latin_letters(void **state)
{
    (void)state;
    expect("b" ACUTE "a\xCC\xB6\xCC\xB7\xCC\x80"
           "d\xE2\x83\x9D",
           "bad");
    expect("b\xC3\xA1\xE1\xB8\x8D", "bad"); /* composed */
    expect("\xD1\x91", "e");                /* composed Cyrillic io, a look-alike */
    /* Of others they stay, in the one form that NFKC has. */
    expect("\xD0\xB8\xCC\x86", "\xD0\xB9");
    expect("\xE3\x81\x8B\xE3\x82\x99", "\xE3\x81\x8C");
    expect("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C");
    expect("\xE4\xB8\xAD\xCC\x81\xCC\xA3", "\xE4\xB8\xAD\xCC\xA3\xCC\x81");
}

static void entities_are_what_they_stand_for(void **state)
{
    (void)state;
    expect("&#98;&#x61;&#X64;", "bad");
    expect("&#98&#097&#x64", "bad");
    expect("&#98 &lt;b&gt; &amp;#98; &#0000000000000098;", "b <b> &#98; b");
    expect("b&shy;a&ZeroWidthSpace;d b&aacute;d", "bad bad");
    expect("&#00000000000000000000000000000098;", "&#00000000000000000000000000000098;");
    expect("&&#98;&am&amp;", "&b&am&");
    expect("b&#x430;d", "bad");
    expect("a&#769;", "a");
}

static void spaced_letters_are_joined(void **state)
{
    (void)state;
    expect("b a d", "bad");
    expect("very b.a.d, b-a-d or b_a_d!", "very bad, bad or bad!");
    expect("b a d  w o r d s.", "bad  words.");
    expect("a b", "a b");
    expect("a b.c", "a b.c");
    expect("a b.c.d", "a bcd");
    expect("a b c de f", "abc de f");
    expect("xa b c d", "xa bcd");
    expect("1a b c", "1a b c");
    expect("a b c1", "a b c1");
    expect("a b c-d e f", "abc-def");
    expect("(b a d)", "(bad)");
    expect("b" ZWSP " " ACUTE "\xD0\xB0&#32;d", "bad");
    expect("U.S.A. is", "USA. is");
}

static void names_of_accents_need_their_letter(void **state)
{
    (void)state;
    expect("&;acute;", "&;acute;");
    expect("&acute;", "&acute;");
    expect("&eacut", "&eacut");
}

/* ---- against the oracle ---- */

static const char *const pieces[] = {
    "a",
    "b",
    "B",
    "c",
    " ",
    " ",
    ".",
    "-",
    "_",
    "x9",
    ",",
    "\n",
    ZWSP,
    ZWNJ,
    SHY,
    "\x01",
    "\x7F",
    ACUTE,
    "\xCC\xA3",
    "\xCC\xB8",
    "\xC3\xA1",
    "\xC3\xB8",
    "\xD0\xB0",
    "\xD1\x81",
    "\xD0\xB8",
    "\xD0\xB9",
    "\xCC\x86",
    "\xCE\xBF",
    "\xD1\x97",
    "\xEF\xBD\x81",
    "\xF0\x9D\x90\x9B",
    "\xEF\xAC\x81",
    "&",
    "&#",
    "&#98;",
    "&#x61",
    "&amp;",
    "&lt;",
    "&shy;",
    "&aacute;",
    "&period;",
    "&nbsp;",
    "&x",
    ";",
    "\xED\x95\x9C",
    "\xE1\x84\x92",
    "\xE1\x85\xA1",
    "\xE1\x86\xAB",
    "\xE3\x81\x8B",
    "\xE3\x82\x99",
    "\xE4\xB8\xAD",
    "\xE0\xA7\x87",
    "\xE0\xA6\xBE",
    "\xE2\x80\x99",
    "\xC2\xA0",
    "\xEF\xB7\xBA",
    "\xF0\x9F\x85\xB0",
    "\xF0\x9F\x98\x80",
    "\xE2\x83\x9D",
    "\xCD\x84",
    "\xE0\xBD\xB3",
    "\xE2\x89\xA0",
    "\xC2\xA8",
    "\xEF\xBE\x9E",
    "d e f",
    "clean words",
};

static size_t random_text(struct rng *rng, char *out, size_t room, uint32_t length)
{
    size_t len = 0;
    uint32_t first = rng_below(rng, 2) ? 0 : rng_below(rng, 40);
    uint32_t kinds = first == 0 ? sizeof(pieces) / sizeof(pieces[0]) : 8;
    for (uint32_t i = 0; i < length; i++) {
        const char *piece = pieces[first + rng_below(rng, kinds)];
        size_t n = strlen(piece);
        if (len + n >= room) {
            break;
        }
        memcpy(out + len, piece, n);
        len += n;
    }
    out[len] = '\0';
    return len;
}

static void whole_texts_are_as_the_oracle_has_them(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 20000; i++) {
        char text[600];
        size_t len = random_text(&rng, text, sizeof(text), rng_below(&rng, 24));
        struct buf wanted;
        buf_init(&wanted, MAX);
        view_oracle(text, len, &wanted);
        expect(text, string_of(&wanted));
        buf_deinit(&wanted);
    }
}

static int32_t code_points[] = {0x0308, 0x0301, 0x0323, 0x3099, 0x1161, 0x11A8, 0x09BE, '1'};

/* The next one that is no surrogate, for private use or an ideograph like many others. */
static uint32_t next_assigned(uint32_t c)
{
    static const struct {
        uint32_t last, next;
    } gaps[] = {{0x4E10, 0x9FF0},
                {0xAC40, 0xD790},
                {0xD7FF, 0xF8F0},
                {0x1FBFF, 0x2F7F0},
                {0x2FA20, 0xDFFF0}};
    for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        if (c == gaps[i].last) {
            return gaps[i].next;
        }
    }
    return c + 1;
}

/* Every character there is, alone and with what may change it behind it. The oracle knows few
 * look-alikes, so that only characters count that look like no ASCII. */
static void every_character_is_as_the_oracle_has_it(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0xE1000; c = next_assigned(c)) {
        char text[16];
        size_t n = (size_t)utf8_encode(c, text);
        struct buf alone;
        buf_init(&alone, MAX);
        text[n] = '\0';
        view_oracle(text, n, &alone);
        struct buf shown;
        buf_init(&shown, MAX);
        view_normalise(text, n, &shown);
        bool is_known = strcmp(string_of(&alone), string_of(&shown)) == 0;
        bool is_look_alike = shown.len > 0 && (unsigned char)shown.data[0] < 0x80;
        buf_deinit(&shown);
        buf_deinit(&alone);
        if (!is_known && !is_look_alike) {
            expect(text, "as the oracle has it");
        }
        for (size_t i = 0; is_known && i < sizeof(code_points) / sizeof(code_points[0]); i++) {
            size_t m = n + (size_t)utf8_encode((uint32_t)code_points[i], text + n);
            text[m] = '\0';
            struct buf wanted;
            buf_init(&wanted, MAX);
            view_oracle(text, m, &wanted);
            expect(text, string_of(&wanted));
            buf_deinit(&wanted);
        }
    }
}

/* ---- streams ---- */

static size_t next_character(const char *text, size_t len)
{
    uint32_t code_point;
    return (size_t)utf8_decode(text, len, &code_point);
}

/* The map says of every place the same as that of `whole`. */
static void assert_same_map(const struct view *a, const struct view *whole)
{
    assert_int_equal(view_end(a), view_end(whole));
    for (uint64_t at = 0; at <= view_end(whole); at++) {
        uint64_t floor = view_floor(whole, at);
        uint64_t ceil = view_ceil(whole, at);
        assert_int_equal(view_floor(a, at), floor);
        assert_int_equal(view_ceil(a, at), ceil);
        assert_int_equal(view_before(a, floor), view_before(whole, floor));
        assert_int_equal(view_begin(a, floor), view_begin(whole, floor));
        assert_true(view_before(whole, floor) <= view_begin(whole, floor));
    }
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 6);
    for (int i = 0; i < 20000; i++) {
        char text[2000];
        size_t len = random_text(&rng, text, sizeof(text), rng_below(&rng, i % 10 ? 30 : 300));
        struct view whole, cut;
        view_init(&whole, true, false, MAX, MAX);
        view_init(&cut, true, false, MAX, MAX);
        assert_int_equal(view_feed(&whole, text, len), 0);
        assert_int_equal(view_finish(&whole), 0);
        for (size_t at = 0; at < len;) {
            size_t end = at;
            for (uint32_t k = 1 + rng_below(&rng, i % 3 ? 4 : 200); k > 0 && end < len; k--) {
                end += next_character(text + end, len - end);
            }
            assert_int_equal(view_feed(&cut, text + at, end - at), 0);
            at = end;
        }
        assert_int_equal(view_finish(&cut), 0);
        assert_memory_equal(view_text(&cut), view_text(&whole), (size_t)view_end(&whole));
        assert_same_map(&cut, &whole);
        view_deinit(&cut);
        view_deinit(&whole);
    }
}

/* What is shown as it is is the same in the text, and nothing comes twice or in another order.
 */
static void the_map_leads_to_the_text(void **state)
{
    (void)state;
    struct view view;
    const char *text = ZWSP "b" ZWSP "a" ACUTE " \xEF\xAC\x81" SHY "x. d e f";
    view_init(&view, true, false, MAX, MAX);
    view_feed(&view, text, strlen(text));
    view_finish(&view);
    assert_string_equal(view_text(&view), "ba fix. def");
    static const struct {
        uint64_t at, floor, ceil, before, begin;
    } places[] = {
        {0, 0, 0, 0, 3},   {1, 1, 1, 4, 7},      {2, 2, 2, 8, 10},     {3, 3, 3, 11, 11},
        {4, 3, 5, 11, 11}, {5, 5, 5, 14, 16},    {6, 6, 6, 17, 17},    {8, 8, 8, 19, 19},
        {9, 9, 9, 20, 21}, {10, 10, 10, 22, 23}, {11, 11, 11, 24, 24},
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        assert_int_equal(view_floor(&view, places[i].at), places[i].floor);
        assert_int_equal(view_ceil(&view, places[i].at), places[i].ceil);
        assert_int_equal(view_before(&view, places[i].floor), places[i].before);
        assert_int_equal(view_begin(&view, places[i].floor), places[i].begin);
    }
    view_deinit(&view);
}

/* ---- exactness ---- */

static void shorten(struct buf *common, const char *text, size_t len)
{
    struct buf future;
    buf_init(&future, MAX);
    view_oracle(text, len, &future);
    size_t n = 0;
    while (n < common->len && n < future.len && common->data[n] == future.data[n]) {
        n++;
    }
    common->len = n;
    buf_deinit(&future);
}

static const char *const narrow[] = {"a", "b", " ",   ".",        "&#", "9",
                                     "8", ";", ACUTE, "\xD0\xB0", ZWSP};
#define NARROW (sizeof(narrow) / sizeof(narrow[0]))

static void shorten_by_futures(struct buf *common, char *text, size_t len, int depth)
{
    shorten(common, text, len);
    for (size_t i = 0; depth > 0 && i < NARROW; i++) {
        strcpy(text + len, narrow[i]);
        shorten_by_futures(common, text, len + strlen(narrow[i]), depth - 1);
        text[len] = '\0';
    }
}

/* After every character that is shown which all futures share. Whole characters only: what
 * futures share may end within one. (A letter of another script that marks could be composed
 * with waits for the next character whatever it is.) */
static void what_is_shown_is_what_all_futures_share(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 16; i++) {
        char text[256] = "x";
        struct view view;
        view_init(&view, true, false, MAX, MAX);
        view_feed(&view, text, 1);
        for (size_t len = 1, k = 0; k < 7; k++) {
            const char *piece = narrow[rng_below(&rng, NARROW)];
            strcpy(text + len, piece);
            len += strlen(piece);
            assert_int_equal(view_feed(&view, piece, strlen(piece)), 0);
            struct buf common;
            buf_init(&common, MAX);
            view_oracle(text, len, &common);
            shorten_by_futures(&common, text, len, 3);
            size_t whole = utf8_valid_prefix(string_of(&common), common.len);
            if (view_end(&view) != whole ||
                memcmp(view_text(&view), string_of(&common), whole) != 0) {
                fail_msg("after \"%s\" %zu bytes are shown and not %zu", text,
                         (size_t)view_end(&view), whole);
            }
            buf_deinit(&common);
        }
        view_deinit(&view);
    }
}

static void expect_waiting(const char *text, size_t waiting)
{
    struct view view;
    view_init(&view, true, false, MAX, MAX);
    view_feed(&view, text, strlen(text));
    size_t waits = strlen(text) - (size_t)view_end(&view);
    if (waits != waiting) {
        fail_msg("\"%s\": %zu bytes wait and not %zu", text, waits, waiting);
    }
    view_deinit(&view);
}

static void on_plain_text_little_waits(void **state)
{
    (void)state;
    expect_waiting("a word", 0);
    expect_waiting("a word ", 0);
    expect_waiting("I", 0);
    expect_waiting("I ", 1);
    expect_waiting("I a", 2);
    expect_waiting("I am", 0);
    expect_waiting("a b ", 3);
    expect_waiting("a b c", 4);
    expect_waiting("a b cd", 0);
    expect_waiting("AT&", 1);
    expect_waiting("AT&T", 2);
    expect_waiting("AT&T ", 1);
    expect_waiting("AT&T is", 0);
    expect_waiting("a &", 2);
    expect_waiting("&#000", 5);
}

/* ---- bounds ---- */

static void long_runs_of_tricks_are_linear_and_bounded(void **state)
{
    (void)state;
    static const char *const runs[] = {ZWSP,    ACUTE,   "\xD0\xB8\xCC\x86", "\xCC\x86",
                                       "&#",    "a ",    "\xE1\x85\xA1",     "\xEF\xB7\xBA",
                                       "&#98;", " " ZWSP};
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        struct view view;
        view_init(&view, true, false, MAX, 0);
        for (int k = 0; k < 100000; k++) {
            assert_int_equal(view_feed(&view, runs[i], strlen(runs[i])), 0);
            view_drop(&view, view_end(&view));
            view_compact(&view);
        }
        assert_true(view.join.map.cap <= 64);
        assert_true(view.join.shown.cap <= 4096);
        assert_int_equal(view_finish(&view), 0);
        view_deinit(&view);
    }
}

/* Marks of a letter that is not Latin go with it up to a bound, and nothing is lost. */
static void many_marks_are_many_units(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, MAX);
    buf_append_str(&text, "\xD0\xB8");
    for (int i = 0; i < 1000; i++) {
        buf_append_str(&text, i % 2 ? "\xCC\x86" : "\xCC\xA3");
    }
    struct buf out;
    buf_init(&out, MAX);
    assert_int_equal(view_normalise(text.data, text.len, &out), 0);
    assert_int_equal(out.len, text.len - 2); /* one became a part of the letter */
    buf_deinit(&out);
    buf_deinit(&text);
}

/* Escapes are one character each, however they come, with and without the rest of the view. */
static void escapes_of_json_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"{\"a\":\"\\nbad\"}", "{\"a\":\"\nbad\"}"},
        {"\\\"x\\\\n\\/\\t", "\"x\\n/\t"},
        {"\\u0062ad \\u00e9 \\u20AC", "bad \xC3\xA9 \xE2\x82\xAC"},
        {"\\ud83d\\ude42!", "\xF0\x9F\x99\x82!"},
        {"\\ud83dx\\ude42\\u0000", "\xEF\xBF\xBDx\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\\x \\u12 \\u12g4 \\", "\\x \\u12 \\u12g4 \\"},
        {"\\ud83d\\", "\xEF\xBF\xBD\\"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece < 20; piece++) {
            struct view view;
            size_t len = strlen(cases[i].text);
            view_init(&view, false, true, MAX, MAX);
            for (size_t at = 0; at < len; at += piece) {
                size_t n = piece < len - at ? piece : len - at;
                assert_int_equal(view_feed(&view, cases[i].text + at, n), 0);
                /* What is shown stays, and little waits. */
                assert_memory_equal(view_text(&view), cases[i].shown, view_end(&view));
            }
            assert_int_equal(view_finish(&view), 0);
            assert_int_equal(view_end(&view), strlen(cases[i].shown));
            assert_memory_equal(view_text(&view), cases[i].shown, view_end(&view));
            assert_int_equal(view_before(&view, view_end(&view)), len);
            view_deinit(&view);
        }
    }
    struct view view;
    const char *text = "\\u0062.a.\\u0064\\u200b";
    view_init(&view, true, true, MAX, MAX);
    view_feed(&view, text, strlen(text));
    view_finish(&view);
    assert_int_equal(view_end(&view), 3);
    assert_memory_equal(view_text(&view), "bad", 3);
    view_deinit(&view);
}

static void what_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct view view;
    view_init(&view, true, false, 10, MAX);
    assert_int_equal(view_feed(&view, "0123456789", 10), 0);
    assert_int_equal(view_feed(&view, "0", 1), -1);
    view_deinit(&view);
}

static void failed_allocations_are_survived(void **state)
{
    (void)state;
    size_t before = mem_live();
    const char *text = ZWSP "b" ZWSP "a" ACUTE " \xEF\xAC\x81" SHY "x. d e f & \xD0\xB8";
    for (size_t nth = 1;; nth++) {
        struct buf out;
        buf_init(&out, MAX);
        mem_fail_at(nth);
        int rc = view_normalise(text, strlen(text), &out);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        buf_deinit(&out);
        assert_int_equal(mem_live(), before);
        assert_int_equal(rc, reached ? -1 : 0);
        if (!reached) {
            break;
        }
    }
}

/* Valid UTF-8 of any kind, with every trick more often than chance has it. */
static void random_characters_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 8);
    for (int i = 0; i < 3000; i++) {
        struct view view;
        view_init(&view, true, false, MAX, MAX);
        uint64_t fed = 0;
        for (uint32_t k = rng_below(&rng, 300); k > 0; k--) {
            char text[64];
            size_t n;
            if (rng_below(&rng, 2)) {
                n = random_text(&rng, text, sizeof(text), 3);
            } else {
                uint32_t c = rng_below(&rng, rng_below(&rng, 2) ? 0x110000 : 0x3100);
                n = (size_t)utf8_encode(c >= 0xD800 && c < 0xE000 ? 'x' : c, text);
            }
            fed += n;
            assert_int_equal(view_feed(&view, text, n), 0);
        }
        assert_int_equal(view_finish(&view), 0);
        assert_true(utf8_is_valid(view_text(&view), (size_t)view_end(&view)));
        assert_int_equal(view.read, fed);
        assert_int_equal(view.join.map.text_end, fed);
        assert_int_equal(view.join.map.view_end, view_end(&view));
        view_deinit(&view);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_shown_as_it_is),
        cmocka_unit_test(what_has_no_appearance_is_not_there),
        cmocka_unit_test(forms_are_plain),
        cmocka_unit_test(look_alikes_are_ascii),
        cmocka_unit_test(marks_are_not_shown_over_latin_letters),
        cmocka_unit_test(entities_are_what_they_stand_for),
        cmocka_unit_test(spaced_letters_are_joined),
        cmocka_unit_test(names_of_accents_need_their_letter),
        cmocka_unit_test(whole_texts_are_as_the_oracle_has_them),
        cmocka_unit_test(every_character_is_as_the_oracle_has_it),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(the_map_leads_to_the_text),
        cmocka_unit_test(what_is_shown_is_what_all_futures_share),
        cmocka_unit_test(on_plain_text_little_waits),
        cmocka_unit_test(long_runs_of_tricks_are_linear_and_bounded),
        cmocka_unit_test(many_marks_are_many_units),
        cmocka_unit_test(escapes_of_json_are_decoded),
        cmocka_unit_test(what_does_not_fit_is_an_error),
        cmocka_unit_test(failed_allocations_are_survived),
        cmocka_unit_test(random_characters_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

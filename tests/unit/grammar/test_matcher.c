/* Masks beside a naive recogniser, and the life of a matcher. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/grammar/matching.h"

/* The naive recogniser: derivatives of regular expressions (Brzozowski 1964). After the bytes
 * of a text the expression that is left tells whether the text may go on or end. Expressions
 * live in an array that is never freed but reset. */
enum kind { NOTHING, EMPTY, BYTE, THEN, OR, REPEAT };

struct re {
    enum kind kind;
    unsigned char byte;
    const struct re *a, *b;
    int lo, hi; /* hi < 0: without end */
};

#define POOL 200000
static struct re pool[POOL];
static size_t n_pool;
static bool overflowed; /* derivatives of ambiguous expressions grow without bound */

static const struct re nothing = {.kind = NOTHING}, empty = {.kind = EMPTY};

static const struct re *re(struct re x)
{
    if (n_pool == POOL) {
        overflowed = true;
        n_pool--;
    }
    pool[n_pool] = x;
    return &pool[n_pool++];
}

static const struct re *then(const struct re *a, const struct re *b)
{
    if (a->kind == NOTHING || b->kind == NOTHING) {
        return &nothing;
    }
    return a->kind == EMPTY ? b : re((struct re){.kind = THEN, .a = a, .b = b});
}

static const struct re *either(const struct re *a, const struct re *b)
{
    return a->kind == NOTHING   ? b
           : b->kind == NOTHING ? a
                                : re((struct re){.kind = OR, .a = a, .b = b});
}

static bool nullable(const struct re *x)
{
    switch (x->kind) {
    case EMPTY:
        return true;
    case THEN:
        return nullable(x->a) && nullable(x->b);
    case OR:
        return nullable(x->a) || nullable(x->b);
    case REPEAT:
        return x->lo == 0 || nullable(x->a);
    default:
        return false;
    }
}

static const struct re *derive(const struct re *x, unsigned char byte)
{
    switch (x->kind) {
    case BYTE:
        return x->byte == byte ? &empty : &nothing;
    case THEN: {
        const struct re *first = then(derive(x->a, byte), x->b);
        return nullable(x->a) ? either(first, derive(x->b, byte)) : first;
    }
    case OR:
        return either(derive(x->a, byte), derive(x->b, byte));
    case REPEAT: {
        if (x->hi == 0) {
            return &nothing;
        }
        /* A nullable body may leave turns out, so none of them must come. */
        const int lo = nullable(x->a) || x->lo == 0 ? 0 : x->lo - 1;
        const struct re rest = {
            .kind = REPEAT, .a = x->a, .lo = lo, .hi = x->hi < 0 ? -1 : x->hi - 1};
        return then(derive(x->a, byte), re(rest));
    }
    default:
        return &nothing;
    }
}

static const struct re *derive_bytes(const struct re *x, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && !overflowed; i++) {
        x = derive(x, (unsigned char)bytes[i]);
    }
    return x;
}

/* A random expression, and the same as GBNF. */
struct writer {
    struct rng rng;
    struct buf body, rules;
    int n_rules;
};

static const struct re *bytes_of(const char *s)
{
    const struct re *x = &empty;
    for (size_t i = strlen(s); i > 0; i--) {
        x = then(re((struct re){.kind = BYTE, .byte = (unsigned char)s[i - 1]}), x);
    }
    return x;
}

static const struct re *random_chars(struct writer *w)
{
    static const struct {
        const char *text;
        const char *members[4];
    } classes[] = {{"\"a\"", {"a"}},
                   {"\"ab\"", {"ab"}},
                   {"\"\\u00e9\"", {"\xC3\xA9"}},
                   {"[abc]", {"a", "b", "c"}},
                   {"[b\\u00e9\\u20ac]", {"b", "\xC3\xA9", "\xE2\x82\xAC"}},
                   {"[\\u00e8-\\u00ea]", {"\xC3\xA8", "\xC3\xA9", "\xC3\xAA"}}};
    const size_t i = rng_below(&w->rng, sizeof(classes) / sizeof(classes[0]));
    const struct re *x = &nothing;
    buf_append_str(&w->body, classes[i].text);
    for (int k = 0; k < 4 && classes[i].members[k]; k++) {
        x = either(x, bytes_of(classes[i].members[k]));
    }
    return x;
}

static const struct re *random_re(struct writer *w, int depth)
{
    const uint32_t choice = depth == 0 ? 0 : rng_below(&w->rng, 5);
    if (choice == 0) {
        return random_chars(w);
    }
    struct buf outer = w->body;
    const bool as_rule = rng_below(&w->rng, 4) == 0;
    if (as_rule) {
        buf_init(&w->body, 1 << 16);
    } else {
        buf_append_char(&w->body, '(');
    }
    const struct re *x = random_re(w, depth - 1);
    if (choice == 1 || choice == 2) {
        buf_append_str(&w->body, choice == 1 ? " " : " | ");
        const struct re *y = random_re(w, depth - 1);
        x = choice == 1 ? then(x, y) : either(x, y);
    } else {
        const int lo = (int)rng_below(&w->rng, 4);
        const int hi = rng_below(&w->rng, 3) == 0 ? -1 : lo + (int)rng_below(&w->rng, 30);
        x = re((struct re){.kind = REPEAT, .a = x, .lo = lo, .hi = hi});
        buf_printf(&w->body, hi < 0 ? "{%d,}" : "{%d,%d}", lo, hi);
    }
    if (as_rule) {
        buf_printf(&w->rules, "r%d ::= %s\n", w->n_rules, w->body.data);
        buf_deinit(&w->body);
        w->body = outer;
        buf_printf(&w->body, "r%d", w->n_rules++);
    } else {
        buf_append_char(&w->body, ')');
    }
    return x;
}

/* Random tokens over the bytes that the expressions have. */
#define N_TOKENS 40
static struct grammar_vocab *random_vocab(struct rng *rng, char texts[N_TOKENS][40],
                                          struct grammar_token tokens[N_TOKENS])
{
    static const char bytes[] = "abc\xC3\xA9\xA8\xAA\xE2\x82\xAC";
    struct err e = {0};
    for (int i = 0; i < N_TOKENS; i++) {
        size_t len = i < 10 ? 1 : 1 + rng_below(rng, 4);
        if (i > N_TOKENS - 6) {
            len = 15 + rng_below(rng, 20); /* around VOCAB_SHORT_MAX */
        }
        for (size_t k = 0; k < len; k++) {
            texts[i][k] = i < 10    ? bytes[i]
                          : len > 9 ? (char)('a' + (rng_below(rng, 9) == 0))
                                    : bytes[rng_below(rng, sizeof(bytes) - 1)];
        }
        tokens[i] = (struct grammar_token){.bytes = texts[i], .len = len};
    }
    tokens[N_TOKENS - 1].ends = true;
    tokens[N_TOKENS - 2].len = 0;
    struct grammar_vocab *v = grammar_vocab_from_tokens(tokens, N_TOKENS, &e);
    assert_non_null(v);
    return v;
}

static bool has(const uint32_t *mask, int32_t token)
{
    return mask[token / 32] >> (token % 32) & 1;
}

/* Every bit of a mask is what the recogniser says. Lists the tokens that are allowed. False
 * when the recogniser gave up. */
static bool check_mask(struct grammar_matcher *m, const char *text, const struct re *x,
                       char texts[N_TOKENS][40], const struct grammar_token *tokens,
                       int32_t allowed[N_TOKENS], int32_t *n)
{
    uint32_t mask[2];
    const int32_t counted = grammar_matcher_mask(m, mask);
    *n = 0;
    assert_int_equal(grammar_matcher_may_end(m), nullable(x));
    for (int32_t t = 0; t < N_TOKENS; t++) {
        const size_t len = tokens[t].len, mark = n_pool;
        const bool expected = tokens[t].ends
                                  ? nullable(x)
                                  : len > 0 && derive_bytes(x, texts[t], len)->kind != NOTHING;
        if (overflowed) {
            return false;
        }
        n_pool = mark;
        if (has(mask, t) != expected || grammar_matcher_allows(m, t) != expected) {
            fail_msg("%s: token %d \"%.*s\": %d", text, t, (int)len, texts[t], expected);
        }
        if (expected) {
            allowed[(*n)++] = t;
        }
    }
    assert_int_equal(counted, *n);
    return true;
}

/* Walks down one answer. False when the recogniser gave up early. */
static bool check_walk(struct grammar *g, const char *text, const struct re *x, struct rng *rng)
{
    char texts[N_TOKENS][40];
    struct grammar_token tokens[N_TOKENS];
    struct err e = {0};
    int32_t allowed[N_TOKENS], n;
    struct grammar_vocab *v = random_vocab(rng, texts, tokens);
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    int step = 0;
    assert_non_null(m);
    overflowed = false;
    while (step < 25 && check_mask(m, text, x, texts, tokens, allowed, &n)) {
        step++;
        if (n == 0) {
            break;
        }
        const int32_t t = allowed[rng_below(rng, (uint32_t)n)];
        assert_int_equal(grammar_matcher_accept(m, t, &e), 0);
        if (tokens[t].ends) {
            uint32_t mask[2];
            assert_int_equal(grammar_matcher_mask(m, mask), 0);
            break;
        }
        x = derive_bytes(x, texts[t], tokens[t].len);
    }
    grammar_matcher_destroy(m);
    grammar_vocab_release(v);
    return step > 1 || !overflowed;
}

static void masks_are_those_of_a_naive_recogniser(void **state)
{
    (void)state;
    struct writer w = {0};
    int checked = 0;
    rng_seed(&w.rng, 5);
    for (int round = 0; round < 400; round++) {
        n_pool = 0;
        w.n_rules = 0;
        buf_init(&w.body, 1 << 16);
        buf_init(&w.rules, 1 << 16);
        const struct re *x = random_re(&w, 4);
        buf_printf(&w.rules, "root ::= %s\n", w.body.data);
        struct grammar *g = gbnf(w.rules.data);
        const size_t made = n_pool;
        for (int walk = 0; walk < 4; walk++) {
            n_pool = made;
            checked += check_walk(g, w.rules.data, x, &w.rng);
        }
        grammar_release(g);
        buf_deinit(&w.body);
        buf_deinit(&w.rules);
    }
    assert_in_range(checked, 1300, 1600);
}

static void a_character_may_be_split_over_tokens(void **state)
{
    (void)state;
    static const struct grammar_token tokens[] = {
        {"\xE2", 1, false}, {"\x82\xAC", 2, false},
        {"\x82", 1, false}, {"\xAC\xE2\x82", 3, false},
        {"\xAC", 1, false}, {"\xC3", 1, false},
        {"", 0, true}};
    struct err e = {0};
    uint32_t mask;
    struct grammar *g = gbnf("root ::= [\\u20ac]{2}");
    struct grammar_vocab *v = grammar_vocab_from_tokens(tokens, 7, &e);
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    static const struct {
        int32_t token;
        uint32_t mask;
    } steps[] = {{0, 1U << 0},
                 {2, 1U << 1 | 1U << 2},
                 {3, 1U << 3 | 1U << 4},
                 {4, 1U << 4},
                 {6, 1U << 6}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        (void)grammar_matcher_mask(m, &mask);
        assert_int_equal(mask, steps[i].mask);
        assert_int_equal(grammar_matcher_accept(m, steps[i].token, &e), 0);
    }
    assert_int_equal(grammar_matcher_mask(m, &mask), 0);
    grammar_matcher_destroy(m);
    grammar_vocab_release(v);
    grammar_release(g);
}

static void a_refused_token_changes_nothing(void **state)
{
    (void)state;
    struct err e = {0};
    struct grammar *g = gbnf("root ::= \"ab\"");
    struct grammar_vocab *v = byte_vocab();
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    struct grammar_matcher *saved = grammar_matcher_create(g, v, &e);
    assert_int_equal(grammar_matcher_accept(m, 'a', &e), 0);
    grammar_matcher_copy(saved, m);
    static const int32_t wrong[] = {'a', 256, -1, 257, INT32_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(grammar_matcher_accept(m, wrong[i], &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_false(grammar_matcher_allows(m, wrong[i]));
    }
    assert_int_equal(grammar_matcher_accept(m, 'b', &e), 0);
    assert_true(grammar_matcher_may_end(m));
    grammar_matcher_copy(m, saved);
    assert_false(grammar_matcher_may_end(m));
    assert_true(grammar_matcher_allows(m, 'b'));
    grammar_matcher_reset(m);
    assert_true(grammar_matcher_allows(m, 'a'));
    grammar_matcher_destroy(saved);
    grammar_matcher_destroy(m);
    grammar_vocab_release(v);
    grammar_release(g);
}

static void deep_nesting_ends_at_the_bound(void **state)
{
    (void)state;
    struct err e = {0};
    struct grammar *g = gbnf("root ::= \"[\" root \"]\" | \"x\"");
    struct grammar_vocab *v = byte_vocab();
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    int depth = 0;
    while (grammar_matcher_accept(m, '[', &e) == 0) {
        depth++;
    }
    assert_in_range(depth, GRAMMAR_DEPTH_MAX - 1, GRAMMAR_DEPTH_MAX);
    assert_int_equal(grammar_matcher_accept(m, 'x', &e), 0);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(grammar_matcher_accept(m, ']', &e), 0);
    }
    assert_true(grammar_matcher_may_end(m));
    grammar_matcher_destroy(m);
    grammar_vocab_release(v);
    grammar_release(g);
}

/* Every count is a state of its own; enough of them fill the cache several times. */
static void a_full_cache_is_forgotten_and_nothing_changes(void **state)
{
    (void)state;
    struct err e = {0};
    struct grammar *g = gbnf("root ::= ([a-c]{0,1000000} \",\"){1,1000000} \"end\"");
    struct grammar_vocab *v = byte_vocab();
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    struct grammar_matcher *other = grammar_matcher_create(g, v, &e);
    assert_int_equal(grammar_matcher_accept_bytes(other, "abc", 3, &e), 0);
    for (int i = 0; i < 300000; i++) {
        assert_int_equal(grammar_matcher_accept(m, 'a' + i % 3, &e), 0);
    }
    assert_int_equal(grammar_matcher_accept_bytes(m, ",end", 4, &e), 0);
    assert_true(grammar_matcher_may_end(m));
    assert_int_equal(grammar_matcher_accept_bytes(other, ",end", 4, &e), 0);
    assert_true(grammar_matcher_may_end(other));
    grammar_matcher_destroy(other);
    grammar_matcher_destroy(m);
    grammar_vocab_release(v);
    grammar_release(g);
}

/* So ambiguous that states are cut down to STATE_ITEMS_MAX positions. */
static void what_was_asked_before_changes_no_mask(void **state)
{
    (void)state;
    static const char text[] = "root ::= ([ab]{1,3} | \"ab\" | [a]){0,100000} \"c\"";
    struct err e = {0};
    struct rng rng;
    struct grammar *fresh = gbnf(text), *used = gbnf(text);
    struct grammar_vocab *v = byte_vocab();
    struct grammar_matcher *m[2] = {grammar_matcher_create(fresh, v, &e),
                                    grammar_matcher_create(used, v, &e)};
    rng_seed(&rng, 9);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(grammar_matcher_accept(m[1], 'a' + (int)rng_below(&rng, 2), &e), 0);
    }
    grammar_matcher_reset(m[1]);
    for (int i = 0; i < 800; i++) {
        uint32_t masks[2][9] = {{0}};
        const int32_t token = 'a' + (int)rng_below(&rng, 2);
        for (int k = 0; k < 2; k++) {
            (void)grammar_matcher_mask(m[k], masks[k]);
            assert_int_equal(grammar_matcher_accept(m[k], token, &e), 0);
        }
        assert_memory_equal(masks[0], masks[1], sizeof(masks[0]));
    }
    for (int k = 0; k < 2; k++) {
        assert_int_equal(grammar_matcher_accept(m[k], 'c', &e), 0);
        assert_true(grammar_matcher_may_end(m[k]));
        grammar_matcher_destroy(m[k]);
    }
    grammar_vocab_release(v);
    grammar_release(used);
    grammar_release(fresh);
}

static void a_failed_allocation_leaves_the_matcher_as_it_was(void **state)
{
    (void)state;
    uint32_t wanted[9], mask[9];
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        struct grammar *g = gbnf("root ::= (\"a\" | [b-d]{2,30} \"a\"){2,} | \"x\" root");
        struct grammar_vocab *v = byte_vocab();
        struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
        assert_int_equal(grammar_matcher_accept(m, 'b', &e), 0);
        mem_fail_at(nth);
        const int32_t n = grammar_matcher_mask(m, mask);
        const int rc = grammar_matcher_accept(m, 'c', &e);
        const bool reached = mem_fail_reached();
        mem_fail_at(0);
        if (n < 0) {
            assert_int_equal(rc, 0);
            grammar_matcher_reset(m);
            assert_int_equal(grammar_matcher_accept(m, 'b', &e), 0);
            assert_true(grammar_matcher_mask(m, mask) > 0);
        }
        if (nth == 1) {
            memcpy(wanted, mask, sizeof(mask));
        }
        assert_memory_equal(mask, wanted, sizeof(mask));
        grammar_matcher_destroy(m);
        grammar_vocab_release(v);
        grammar_release(g);
        if (!reached) {
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_those_of_a_naive_recogniser),
        cmocka_unit_test(a_character_may_be_split_over_tokens),
        cmocka_unit_test(a_refused_token_changes_nothing),
        cmocka_unit_test(deep_nesting_ends_at_the_bound),
        cmocka_unit_test(a_full_cache_is_forgotten_and_nothing_changes),
        cmocka_unit_test(what_was_asked_before_changes_no_mask),
        cmocka_unit_test(a_failed_allocation_leaves_the_matcher_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

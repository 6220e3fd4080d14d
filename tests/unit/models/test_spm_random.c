/* SentencePiece BPE on random vocabularies, beside its definition carried out step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"
#include "tests/unit/models/encode_checks.h"
#include "tests/unit/models/small_vocab.h"

#define N_BYTES   256
#define MAX_WORDS 40
#define N_TOKENS  (1 + N_BYTES + MAX_WORDS)
#define MAX_TEXT  3000

/* What texts and tokens are made of: a space, and bytes that begin or end no character too. */
static const char *const atoms[] = {"a", "b", "c", " ", "\xc3\xa4", "\xc3\xa9", "\xff", "\xa4"};

#define N_ATOMS (sizeof(atoms) / sizeof(atoms[0]))

struct toy {
    char words[MAX_WORDS][16]; /* "" where the slot is not used; a space stands for itself */
    float scores[MAX_WORDS];
};

static size_t random_atoms(struct rng *r, size_t n, size_t size, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *atom = atoms[rng_below(r, N_ATOMS)];
        if (len + strlen(atom) < size) {
            memcpy(out + len, atom, strlen(atom));
            len += strlen(atom);
        }
    }
    out[len] = '\0';
    return len;
}

static int find_word(const struct toy *v, const char *text, size_t len)
{
    for (int i = 0; i < MAX_WORDS; i++) {
        if (v->words[i][0] && strlen(v->words[i]) == len &&
            memcmp(v->words[i], text, len) == 0) {
            return i;
        }
    }
    return -1;
}

/* Most atoms are tokens, some are not though longer tokens hold them; few different scores. */
static void make_toy(struct rng *r, struct toy *v)
{
    memset(v, 0, sizeof(*v));
    for (size_t i = 0; i < MAX_WORDS; i++) {
        if (i < N_ATOMS) {
            if (rng_below(r, 3) > 0) {
                memcpy(v->words[i], atoms[i], strlen(atoms[i]));
            }
        } else {
            random_atoms(r, 2 + rng_below(r, 3), sizeof(v->words[i]), v->words[i]);
        }
        v->scores[i] = -(float)rng_below(r, 8);
    }
}

static void mark_spaces(const char *text, char *out)
{
    for (; *text; text++) {
        size_t n = *text == ' ' ? 3 : 1;
        memcpy(out, *text == ' ' ? "\xe2\x96\x81" : text, n);
        out += n;
    }
    *out = '\0';
}

static struct tokenizer *open_toy(const struct toy *v, bool space_before)
{
    static char names[N_TOKENS][64];
    struct gguf_str tokens[N_TOKENS];
    int32_t kinds[N_TOKENS];
    float scores[N_TOKENS] = {0};
    struct err e = {0};
    for (size_t i = 0; i < N_TOKENS; i++) {
        size_t word = i - 1 - N_BYTES;
        if (i == 0) {
            strcpy(names[i], "<unk>");
        } else if (i <= N_BYTES) {
            snprintf(names[i], sizeof(names[i]), "<0x%02X>", (unsigned)i - 1);
        } else {
            mark_spaces(v->words[word], names[i]);
            scores[i] = v->scores[word];
        }
        tokens[i] = (struct gguf_str){names[i], strlen(names[i])};
        kinds[i] = i == 0 ? 2 : i <= N_BYTES ? 6 : 1;
    }
    struct gguf_writer *w = gguf_writer_create(&e);
    assert_non_null(w);
    gguf_put_str(w, "tokenizer.ggml.model", "llama");
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kinds, N_TOKENS);
    gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, N_TOKENS);
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", space_before);
    return encode_open(small_vocab_reopen(w));
}

/* --- the definition --- */

struct steps {
    const struct toy *toy;
    const char *text;
    size_t at[MAX_TEXT + 1]; /* (n + 1): where the pieces begin, and the end */
    int joined[MAX_TEXT];    /* (n - 1): the word that pieces i and i + 1 make, or -1 */
    size_t n;
};

static void look_at_pair(struct steps *s, size_t i)
{
    s->joined[i] = find_word(s->toy, s->text + s->at[i], s->at[i + 2] - s->at[i]);
}

static void join_in_order(struct steps *s)
{
    for (size_t i = 0; i + 1 < s->n; i++) {
        look_at_pair(s, i);
    }
    for (;;) {
        size_t best = s->n;
        for (size_t i = 0; i + 1 < s->n; i++) {
            if (s->joined[i] >= 0 && (best == s->n || s->toy->scores[s->joined[i]] >
                                                          s->toy->scores[s->joined[best]])) {
                best = i;
            }
        }
        if (best == s->n) {
            return;
        }
        memmove(s->at + best + 1, s->at + best + 2, (s->n - best - 1) * sizeof(*s->at));
        memmove(s->joined + best, s->joined + best + 1, (s->n - best - 1) * sizeof(int));
        s->n--;
        if (best > 0) {
            look_at_pair(s, best - 1);
        }
        if (best + 1 < s->n) {
            look_at_pair(s, best);
        }
    }
}

static size_t encode_by_definition(const struct toy *v, const char *text, size_t len,
                                   int32_t *ids)
{
    static struct steps s;
    size_t count = 0, at = 0;
    s.toy = v;
    s.text = text;
    for (s.n = 0; at < len; s.n++) {
        uint32_t c;
        int size = utf8_decode(text + at, len - at, &c);
        s.at[s.n] = at;
        at += size > 0 ? (size_t)size : 1;
    }
    s.at[s.n] = len;
    join_in_order(&s);
    for (size_t i = 0; i < s.n; i++) {
        int word = find_word(v, text + s.at[i], s.at[i + 1] - s.at[i]);
        if (word >= 0) {
            ids[count++] = 1 + N_BYTES + word;
            continue;
        }
        for (size_t k = s.at[i]; k < s.at[i + 1]; k++) {
            ids[count++] = 1 + (unsigned char)text[k];
        }
    }
    return count;
}

static void expect_definition(const struct toy *v, const struct tokenizer *t, const char *text,
                              size_t len, bool space_before)
{
    static char spaced[MAX_TEXT + 1];
    static int32_t ids[MAX_TEXT + 1];
    struct token_list list = {0};
    struct err e = {0};
    if (tokenizer_encode(t, text, len, false, &list, &e) != 0) {
        fail_msg("%s", e.message);
    }
    spaced[0] = ' ';
    memcpy(spaced + 1, text, len);
    size_t n = len == 0       ? 0
               : space_before ? encode_by_definition(v, spaced, len + 1, ids)
                              : encode_by_definition(v, text, len, ids);
    assert_int_equal(list.count, n);
    if (n > 0) {
        assert_memory_equal(list.ids, ids, n * sizeof(*ids));
    }
    token_list_deinit(&list);
}

/* Long texts have words that come again, and so ones that the cache of words knows. */
static void random_vocabularies_encode_by_the_definition(void **state)
{
    (void)state;
    static char text[MAX_TEXT];
    struct toy v;
    struct rng r;
    rng_seed(&r, 5);
    for (int round = 0; round < 200; round++) {
        bool space_before = rng_below(&r, 2);
        make_toy(&r, &v);
        struct tokenizer *t = open_toy(&v, space_before);
        for (int i = 0; i < 50; i++) {
            size_t len = random_atoms(&r, rng_below(&r, 40), sizeof(text), text);
            expect_definition(&v, t, text, len, space_before);
        }
        size_t len = random_atoms(&r, sizeof(text), sizeof(text), text);
        expect_definition(&v, t, text, len, space_before);
        tokenizer_destroy(t);
    }
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_vocabularies_encode_by_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

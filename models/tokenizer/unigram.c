#include "models/tokenizer/unigram.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define KEY_SCORES "tokenizer.ggml.scores"
#define KEY_TOKENS "tokenizer.ggml.tokens"

/* --- loading --- */

static int read_scores(struct unigram *u, const struct gguf *g, struct err *e)
{
    const struct gguf_kv *scores;
    size_t n, n_tokens = (size_t)u->vocab->n_tokens;
    if (gguf_get_array(g, KEY_SCORES, GGUF_F32, &scores, &n, e) != 0) {
        return -1;
    }
    if (n != n_tokens) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %zu scores for %zu tokens",
                       gguf_path(g), KEY_SCORES, n, n_tokens);
    }
    u->scores = mem_array(n, sizeof(*u->scores));
    if (!u->scores) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        u->scores[i] = gguf_array_f32(scores, i);
        if (!isfinite(u->scores[i])) {
            return err_set(e, ERR_FORMAT,
                           "%s: metadata key \"%s\": score %zu is not a finite number",
                           gguf_path(g), KEY_SCORES, i);
        }
    }
    return 0;
}

static int compare_bytes(const void *a, const void *b)
{
    return strcmp((*(const struct vocab_token *const *)a)->bytes,
                  (*(const struct vocab_token *const *)b)->bytes);
}

/* The tokens that a text may be cut into; of those with the same text the first. */
static size_t list_tokens(struct unigram *u, const struct vocab_token **list)
{
    size_t n = 0;
    double lowest = 0.0;
    for (int32_t id = 0; id < u->vocab->n_tokens; id++) {
        const struct vocab_token *t = &u->vocab->tokens[id];
        if (t->kind == TOKEN_BYTE && t->n_bytes == 1) {
            u->byte_ids[(unsigned char)t->bytes[0]] = id;
        }
        if (t->kind == TOKEN_NORMAL && t->n_bytes > 0 &&
            vocab_find_bytes(u->vocab, t->bytes, t->n_bytes) == id) {
            lowest = n == 0 || u->scores[id] < lowest ? u->scores[id] : lowest;
            byte_pairs_add(&u->joined, t->bytes, t->n_bytes);
            list[n++] = t;
        }
    }
    u->unknown_score = lowest - UNIGRAM_PENALTY;
    return n;
}

static int sort_tokens(struct unigram *u, const struct gguf *g, struct err *e)
{
    const struct vocab_token **list = mem_array((size_t)u->vocab->n_tokens, sizeof(*list));
    u->order = mem_array((size_t)u->vocab->n_tokens, sizeof(*u->order));
    int rc = list && u->order ? 0 : err_nomem(e);
    if (rc != 0) {
        goto cleanup;
    }
    u->n_order = list_tokens(u, list);
    qsort(list, u->n_order, sizeof(*list), compare_bytes);
    for (size_t i = 0; i < u->n_order; i++) {
        u->order[i] = (int32_t)(list[i] - u->vocab->tokens);
        u->first[(unsigned char)list[i]->bytes[0] + 1] = i + 1;
        if (list[i]->n_bytes > UNIGRAM_MAX_TOKEN) {
            rc = err_set(e, ERR_FORMAT,
                         "%s: metadata key \"%s\": token %" PRId32 " has %" PRIu32
                         " bytes, at most %d are allowed",
                         gguf_path(g), KEY_TOKENS, u->order[i], list[i]->n_bytes,
                         UNIGRAM_MAX_TOKEN);
            goto cleanup;
        }
    }
    for (size_t b = 1; b <= 256; b++) {
        u->first[b] = u->first[b] > u->first[b - 1] ? u->first[b] : u->first[b - 1];
    }
cleanup:
    mem_free(list);
    return rc;
}

int unigram_init(struct unigram *u, const struct vocab *vocab, int32_t unknown,
                 const struct gguf *g, struct err *e)
{
    *u = (struct unigram){.vocab = vocab, .unknown = unknown};
    for (size_t i = 0; i < 256; i++) {
        u->byte_ids[i] = -1;
    }
    if (normalizer_init(&u->normalizer, g, e) != 0 || read_scores(u, g, e) != 0) {
        return -1;
    }
    return sort_tokens(u, g, e);
}

void unigram_deinit(struct unigram *u)
{
    normalizer_deinit(&u->normalizer);
    mem_free(u->scores);
    mem_free(u->order);
    u->scores = NULL;
    u->order = NULL;
}

/* --- encoding --- */

/* The best way to the end of a token. */
struct step {
    double score;
    uint32_t from; /* where its last token begins */
    int32_t id;    /* of that token; UNKNOWN: a character that is none; NO_WAY */
};

#define NO_WAY  (-1)
#define UNKNOWN (-2)

struct encoding {
    const struct unigram *u;
    struct word_cache *cache;
    struct step *steps; /* (cap): by the place in the word */
    size_t cap;
    struct token_list *out;
    size_t begin; /* of this text's ids in out */
    struct err *e;
};

static void offer(struct step *step, double score, size_t from, int32_t id)
{
    if (step->id == NO_WAY || score > step->score) {
        *step = (struct step){.score = score, .from = (uint32_t)from, .id = id};
    }
}

/* The first token of order[lo, hi), which agree before `depth`, whose byte there is at least
 * `byte`. Those that end there have a NUL, which is less than any. */
static size_t lower_bound(const struct unigram *u, size_t lo, size_t hi, size_t depth,
                          unsigned byte)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)u->vocab->tokens[u->order[mid]].bytes[depth] < byte) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* All tokens that stand at `at` lead on from there. */
static void offer_tokens(const struct encoding *c, const char *word, size_t len, size_t at,
                         size_t character)
{
    const struct unigram *u = c->u;
    unsigned byte = (unsigned char)word[at];
    size_t lo = u->first[byte], hi = u->first[byte + 1];
    bool alone = false;
    for (size_t n = 1; lo < hi; n++) {
        int32_t id = u->order[lo];
        if (u->vocab->tokens[id].n_bytes == n) {
            offer(&c->steps[at + n], c->steps[at].score + (double)u->scores[id], at, id);
            alone = alone || n == character;
        }
        if (at + n == len) {
            break;
        }
        byte = (unsigned char)word[at + n];
        if (byte == 0) {
            break; /* tokens hold none */
        }
        lo = lower_bound(u, lo, hi, n, byte);
        hi = lower_bound(u, lo, hi, n, byte + 1);
    }
    if (!alone) {
        offer(&c->steps[at + character], c->steps[at].score + u->unknown_score, at, UNKNOWN);
    }
}

static int reserve(struct encoding *c, size_t n)
{
    if (c->steps && n <= c->cap) {
        return 0;
    }
    mem_free(c->steps);
    c->cap = n < 64 ? 64 : n;
    c->steps = mem_array(c->cap, sizeof(*c->steps));
    c->cap = c->steps ? c->cap : 0;
    return c->steps ? 0 : err_nomem(c->e);
}

static void find_best_way(const struct encoding *c, const char *word, size_t len)
{
    for (size_t i = 0; i <= len; i++) {
        c->steps[i].id = NO_WAY;
    }
    c->steps[0] = (struct step){.id = 0};
    for (size_t at = 0; at < len;) {
        uint32_t ignored;
        int size = utf8_decode(word + at, len - at, &ignored);
        size_t character = size > 0 ? (size_t)size : 1;
        if (c->steps[at].id != NO_WAY) {
            offer_tokens(c, word, len, at, character);
        }
        at += character;
    }
}

/* The ids of a character that is no token, into ids from the end on; how many. */
static size_t spell_out(const struct unigram *u, const char *bytes, size_t len, int32_t *end)
{
    for (size_t i = 0; i < len; i++) {
        int32_t id = u->byte_ids[(unsigned char)bytes[i]];
        if (id < 0) {
            end[-1] = u->unknown;
            return 1;
        }
        end[(ptrdiff_t)i - (ptrdiff_t)len] = id;
    }
    return len;
}

/* Follows the steps back; ids has room for len and is filled from its end. The number of ids.
 */
static size_t collect(const struct encoding *c, const char *word, size_t len, int32_t *ids)
{
    int32_t *next = ids + len;
    for (size_t at = len; at > 0; at = c->steps[at].from) {
        const struct step *s = &c->steps[at];
        if (s->id == UNKNOWN) {
            next -= spell_out(c->u, word + s->from, at - s->from, next);
        } else {
            *--next = s->id;
        }
    }
    size_t n = (size_t)(ids + len - next);
    memmove(ids, next, n * sizeof(*ids));
    return n;
}

/* One unknown token stands for a run. */
static size_t merge_unknown(const struct unigram *u, int32_t *ids, size_t n, bool after_unknown)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_unknown = ids[i] == u->unknown;
        if (!(is_unknown && after_unknown)) {
            ids[kept++] = ids[i];
        }
        after_unknown = is_unknown;
    }
    return kept;
}

static int encode_word(struct encoding *c, const char *word, size_t len)
{
    size_t n;
    if (token_list_reserve(c->out, len) != 0) {
        return err_nomem(c->e);
    }
    int32_t *ids = c->out->ids + c->out->count;
    const int32_t *known = word_cache_find(c->cache, word, len, &n);
    if (known) {
        memcpy(ids, known, n * sizeof(*ids));
    } else {
        if (reserve(c, len + 1) != 0) {
            return -1;
        }
        find_best_way(c, word, len);
        n = collect(c, word, len, ids);
        word_cache_put(c->cache, word, len, ids, n);
    }
    bool after_unknown = c->out->count > c->begin && ids[-1] == c->u->unknown;
    c->out->count += merge_unknown(c->u, ids, n, after_unknown);
    return 0;
}

int unigram_encode(const struct unigram *u, const char *text, size_t len,
                   struct word_cache *cache, struct token_list *out, struct err *e)
{
    struct encoding c = {.u = u, .cache = cache, .out = out, .begin = out->count, .e = e};
    struct buf even;
    int rc = 0;
    buf_init(&even, UNIGRAM_MAX_TEXT);
    if (len >= UNIGRAM_MAX_TEXT) {
        return err_set(e, ERR_LIMIT, "a text of %zu bytes is too long to encode", len);
    }
    if (normalizer_apply(&u->normalizer, text, len, &even) != 0) {
        rc = err_nomem(e);
    }
    for (size_t at = 0, end; rc == 0 && at < even.len; at = end) {
        end = byte_pairs_part_end(&u->joined, even.data, even.len, at);
        rc = encode_word(&c, even.data + at, end - at);
    }
    buf_deinit(&even);
    mem_free(c.steps);
    return rc;
}

#include "models/tokenizer/spm.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define KEY_SCORES "tokenizer.ggml.scores"
#define KEY_PREFIX "tokenizer.ggml.add_space_prefix"
#define NONE       UINT32_MAX

/* --- loading --- */

static int read_scores(struct spm *s, const struct gguf *g, struct err *e)
{
    const struct gguf_kv *scores;
    size_t n, n_tokens = (size_t)s->vocab->n_tokens;
    if (gguf_get_array(g, KEY_SCORES, GGUF_F32, &scores, &n, e) != 0) {
        return -1;
    }
    if (n != n_tokens) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %zu scores for %zu tokens",
                       gguf_path(g), KEY_SCORES, n, n_tokens);
    }
    s->scores = mem_array(n, sizeof(*s->scores));
    if (!s->scores) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        s->scores[i] = gguf_array_f32(scores, i);
        if (isnan(s->scores[i])) {
            return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": score %zu is not a number",
                           gguf_path(g), KEY_SCORES, i);
        }
    }
    return 0;
}

/* Whether a space stands behind something else in the token. */
static bool goes_on_with_space(const struct vocab_token *t)
{
    const char *word = t->bytes + strspn(t->bytes, " ");
    return strchr(word, ' ') != NULL;
}

static void look_at_tokens(struct spm *s)
{
    for (size_t i = 0; i < 256; i++) {
        s->byte_ids[i] = -1;
    }
    s->words_apart = true;
    for (int32_t id = 0; id < s->vocab->n_tokens; id++) {
        const struct vocab_token *t = &s->vocab->tokens[id];
        if (t->kind == TOKEN_BYTE && t->n_bytes == 1) {
            s->byte_ids[(unsigned char)t->bytes[0]] = id;
        } else if (t->kind == TOKEN_NORMAL && goes_on_with_space(t)) {
            s->words_apart = false;
        }
    }
}

int spm_init(struct spm *s, const struct vocab *vocab, const struct gguf *g, struct err *e)
{
    *s = (struct spm){.vocab = vocab, .space_before = true};
    if (read_scores(s, g, e) != 0 ||
        (gguf_has(g, KEY_PREFIX) && gguf_get_bool(g, KEY_PREFIX, &s->space_before, e) != 0)) {
        return -1;
    }
    look_at_tokens(s);
    return 0;
}

void spm_deinit(struct spm *s)
{
    mem_free(s->scores);
    s->scores = NULL;
}

/* --- encoding --- */

/* A piece of the word: characters at first, tokens when they have been joined. */
struct symbol {
    uint32_t at, len;    /* in the word; len 0: joined to the one before */
    uint32_t prev, next; /* NONE at the ends */
    int32_t id;          /* -1: no token */
};

struct join {
    float score;
    uint32_t left, right; /* symbols */
    uint32_t len; /* of both when they were looked at: another length, and it is stale */
    int32_t id;
};

struct merging {
    const struct spm *spm;
    const char *word;
    struct symbol *symbols; /* (cap) */
    uint32_t n_symbols;
    struct join *heap; /* (2 * cap): one a pair to begin with, and each join takes one away and
                          offers two at the most */
    size_t n_joins;
    size_t cap;
};

static bool before(const struct join *a, const struct join *b)
{
    return a->score > b->score || (a->score == b->score && a->left < b->left);
}

static void heap_push(struct merging *m, struct join j)
{
    size_t i = m->n_joins++;
    for (; i > 0 && before(&j, &m->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        m->heap[i] = m->heap[(i - 1) / 2];
    }
    m->heap[i] = j;
}

static struct join heap_pop(struct merging *m)
{
    struct join top = m->heap[0], last = m->heap[--m->n_joins];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->n_joins; i = child) {
        if (child + 1 < m->n_joins && before(&m->heap[child + 1], &m->heap[child])) {
            child++;
        }
        if (!before(&m->heap[child], &last)) {
            break;
        }
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

static void offer(struct merging *m, uint32_t left, uint32_t right)
{
    if (left == NONE || right == NONE) {
        return;
    }
    const struct symbol *l = &m->symbols[left], *r = &m->symbols[right];
    int32_t id = vocab_find_bytes(m->spm->vocab, m->word + l->at, l->len + r->len);
    if (id >= 0) {
        heap_push(m, (struct join){.score = m->spm->scores[id],
                                   .left = left,
                                   .right = right,
                                   .len = l->len + r->len,
                                   .id = id});
    }
}

/* Each character, or byte that begins none, is a symbol. */
static void cut_into_characters(struct merging *m, size_t len)
{
    m->n_symbols = 0;
    m->n_joins = 0;
    for (uint32_t at = 0; at < len;) {
        uint32_t c;
        int size = utf8_decode(m->word + at, len - at, &c);
        uint32_t n = size > 0 ? (uint32_t)size : 1;
        m->symbols[m->n_symbols] =
            (struct symbol){.at = at,
                            .len = n,
                            .prev = m->n_symbols == 0 ? NONE : m->n_symbols - 1,
                            .next = at + n < len ? m->n_symbols + 1 : NONE,
                            .id = vocab_find_bytes(m->spm->vocab, m->word + at, n)};
        m->n_symbols++;
        at += n;
    }
}

static void join_all(struct merging *m)
{
    for (uint32_t i = 1; i < m->n_symbols; i++) {
        offer(m, i - 1, i);
    }
    while (m->n_joins > 0) {
        struct join j = heap_pop(m);
        struct symbol *left = &m->symbols[j.left], *right = &m->symbols[j.right];
        if (left->len == 0 || right->len == 0 || left->len + right->len != j.len) {
            continue;
        }
        left->len = j.len;
        left->id = j.id;
        left->next = right->next;
        right->len = 0;
        if (right->next != NONE) {
            m->symbols[right->next].prev = j.left;
        }
        offer(m, left->prev, j.left);
        offer(m, j.left, left->next);
    }
}

static int push_bytes(const struct merging *m, const struct symbol *s, struct token_list *out,
                      struct err *e)
{
    for (size_t i = 0; i < s->len; i++) {
        unsigned char byte = (unsigned char)m->word[s->at + i];
        int32_t id = m->spm->byte_ids[byte];
        if (id < 0) {
            return err_set(e, ERR_UNSUPPORTED,
                           "the vocabulary has no token for the byte 0x%02x", byte);
        }
        if (token_list_push(out, id) != 0) {
            return err_nomem(e);
        }
    }
    return 0;
}

static int reserve(struct merging *m, size_t len, struct err *e)
{
    if (len <= m->cap) {
        return 0;
    }
    mem_free(m->symbols);
    mem_free(m->heap);
    m->cap = len < 64 ? 64 : len;
    m->symbols = mem_array(m->cap, sizeof(*m->symbols));
    m->heap = mem_array(m->cap, 2 * sizeof(*m->heap));
    if (!m->symbols || !m->heap) {
        m->cap = 0;
        return err_nomem(e);
    }
    return 0;
}

static int encode_word(struct merging *m, const char *word, size_t len, struct token_list *out,
                       struct err *e)
{
    m->word = word;
    if (reserve(m, len, e) != 0) {
        return -1;
    }
    cut_into_characters(m, len);
    join_all(m);
    for (uint32_t i = 0; i != NONE; i = m->symbols[i].next) {
        const struct symbol *s = &m->symbols[i];
        if (s->id < 0 ? push_bytes(m, s, out, e) != 0 : token_list_push(out, s->id) != 0) {
            return s->id < 0 ? -1 : err_nomem(e);
        }
    }
    return 0;
}

/* The end of the word that begins at `at`: spaces, then what is none. */
static size_t word_end(const struct spm *s, const char *text, size_t len, size_t at)
{
    if (!s->words_apart) {
        return len;
    }
    while (at < len && text[at] == ' ') {
        at++;
    }
    const char *space = at < len ? memchr(text + at, ' ', len - at) : NULL;
    return space ? (size_t)(space - text) : len;
}

static int encode_text(struct merging *m, const char *text, size_t len, struct token_list *out,
                       struct err *e)
{
    for (size_t at = 0; at < len;) {
        size_t end = word_end(m->spm, text, len, at);
        if (encode_word(m, text + at, end - at, out, e) != 0) {
            return -1;
        }
        at = end;
    }
    return 0;
}

int spm_encode(const struct spm *s, const char *text, size_t len, struct token_list *out,
               struct err *e)
{
    struct merging m = {.spm = s};
    char *copy = NULL;
    if (len == 0) {
        return 0;
    }
    if (len >= SPM_MAX_TEXT) {
        return err_set(e, ERR_LIMIT, "a text of %zu bytes is too long to encode", len);
    }
    if (s->space_before) {
        copy = mem_alloc(len + 1);
        if (!copy) {
            return err_nomem(e);
        }
        copy[0] = ' ';
        memcpy(copy + 1, text, len++);
    }
    int rc = encode_text(&m, copy ? copy : text, len, out, e);
    mem_free(copy);
    mem_free(m.symbols);
    mem_free(m.heap);
    return rc;
}

#include "models/tokenizer/word_bpe.h"

#include <inttypes.h>
#include <string.h>

#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/white_space.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define KEY_RULE   "tokenizer.ggml.pre"
#define KEY_MERGES "tokenizer.ggml.merges"
#define MARK       "\xe2\x96\x81" /* U+2581 */
#define MARK_LEN   3

/* --- loading --- */

static int load_rule(struct word_bpe *w, const struct gguf *g, struct err *e)
{
    struct gguf_str name = {"default", 7};

    if (gguf_has(g, KEY_RULE) && gguf_get_str(g, KEY_RULE, &name, e) != 0) {
        return -1;
    }
    w->rule = split_rule_find(name.data, name.len);
    if (!w->rule) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: metadata key \"%s\": no split rule \"%.*s\" is known", gguf_path(g),
                       KEY_RULE, (int)(name.len < 64 ? name.len : 64), name.data);
    }
    w->splitter = splitter_create(w->rule, e);
    if (!w->splitter) {
        return err_prefix(e, "%s", gguf_path(g));
    }
    return 0;
}

/* The bytes of a piece of a merge, as the id of the token that stands for them. */
static int32_t find_piece(const struct word_bpe *w, const char *text, size_t len, char *bytes,
                          size_t *n_bytes)
{
    if (len == 0 || !byte_alphabet_decode(text, len, bytes, n_bytes)) {
        return -1;
    }
    return vocab_find_bytes(w->vocab, bytes, *n_bytes);
}

/* Adds the merge "left right"; `bytes` has room for its length. */
static bool add_merge(struct word_bpe *w, const struct gguf_str *text, uint32_t rank,
                      char *bytes)
{
    const char *space = text->len > 1 ? memchr(text->data + 1, ' ', text->len - 1) : NULL;
    size_t n_left;
    size_t n_right;

    if (!space) {
        return false;
    }
    const size_t left_len = (size_t)(space - text->data);
    const int32_t left = find_piece(w, text->data, left_len, bytes, &n_left);
    if (left < 0) {
        return false;
    }
    const int32_t right =
        find_piece(w, space + 1, text->len - left_len - 1, bytes + n_left, &n_right);
    const int32_t merged = right < 0 ? -1 : vocab_find_bytes(w->vocab, bytes, n_left + n_right);
    if (merged < 0) {
        return false;
    }
    bpe_table_add(&w->merges, left, right, rank, merged);
    return true;
}

static int init_merges(struct word_bpe *w, size_t n, const char *key, const struct gguf *g,
                       struct err *e)
{
    if (n >= BPE_NO_RANK) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": too many merges", gguf_path(g),
                       key);
    }
    return bpe_table_init(&w->merges, n) == 0 ? 0 : err_nomem(e);
}

static int load_named_merges(struct word_bpe *w, const struct gguf *g, struct err *e)
{
    const struct gguf_str *merges;
    size_t longest = 1;
    size_t n;

    if (gguf_get_strs(g, KEY_MERGES, &merges, &n, e) != 0 ||
        init_merges(w, n, KEY_MERGES, g, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (merges[i].len > longest) {
            longest = merges[i].len;
        }
    }
    char *bytes = mem_alloc(longest);
    int rc = bytes ? 0 : err_nomem(e);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!add_merge(w, &merges[i], (uint32_t)i, bytes)) {
            rc = err_set(e, ERR_FORMAT,
                         "%s: metadata key \"%s\": merge %zu is not two tokens of the "
                         "vocabulary that make a third",
                         gguf_path(g), KEY_MERGES, i);
        }
    }
    mem_free(bytes);
    return rc;
}

/* Three ids for each. */
static int load_numbered_merges(struct word_bpe *w, const struct gguf *g, struct err *e)
{
    const struct gguf_kv *ids;
    size_t n;

    if (gguf_get_array(g, TOKENIZER_KEY_MERGES, GGUF_I32, &ids, &n, e) != 0 ||
        init_merges(w, n / 3, TOKENIZER_KEY_MERGES, g, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t id = gguf_array_i32(ids, i);

        if (id < 0 || id >= w->vocab->n_tokens || n % 3 != 0) {
            return err_set(e, ERR_FORMAT,
                           "%s: metadata key \"%s\": merge %zu is not three tokens of the "
                           "vocabulary",
                           gguf_path(g), TOKENIZER_KEY_MERGES, i / 3);
        }
        if (i % 3 == 2) {
            bpe_table_add(&w->merges, gguf_array_i32(ids, i - 2), gguf_array_i32(ids, i - 1),
                          (uint32_t)(i / 3), id);
        }
    }
    return 0;
}

static int load_unknown(struct word_bpe *w, const struct gguf *g, struct err *e)
{
    struct gguf_str how;

    w->unknown = w->vocab->n_tokens - 1;
    while (w->unknown >= 0 && w->vocab->tokens[w->unknown].kind != TOKEN_UNKNOWN) {
        w->unknown--;
    }
    if (!gguf_has(g, TOKENIZER_KEY_UNKNOWN)) {
        return 0;
    }
    if (gguf_get_str(g, TOKENIZER_KEY_UNKNOWN, &how, e) != 0) {
        return -1;
    }
    const bool fused = how.len == 4 && memcmp(how.data, "fuse", 4) == 0;
    if (!fused && !(how.len == 4 && memcmp(how.data, "drop", 4) == 0)) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: metadata key \"%s\" must be \"fuse\" or \"drop\"", gguf_path(g),
                       TOKENIZER_KEY_UNKNOWN);
    }
    w->how = fused ? UNKNOWN_FUSED : UNKNOWN_DROPPED;
    return 0;
}

static void index_bytes(struct word_bpe *w)
{
    for (int i = 0; i < 256; i++) {
        const char byte = (char)i;

        w->byte_ids[i] = vocab_find_bytes(w->vocab, &byte, 1);
    }
}

int word_bpe_init(struct word_bpe *w, const struct vocab *vocab,
                  enum word_bpe_alphabet alphabet, const struct gguf *g, struct err *e)
{
    *w = (struct word_bpe){.vocab = vocab, .alphabet = alphabet};
    if (load_rule(w, g, e) != 0 || load_unknown(w, g, e) != 0) {
        return -1;
    }
    index_bytes(w);
    return alphabet == WORD_BPE_BYTES ? load_named_merges(w, g, e)
                                      : load_numbered_merges(w, g, e);
}

void word_bpe_deinit(struct word_bpe *w)
{
    splitter_destroy(w->splitter);
    bpe_table_deinit(&w->merges);
    w->splitter = NULL;
}

void word_bpe_scratch_deinit(struct word_bpe_scratch *s)
{
    buf_deinit(&s->marked);
    split_words_deinit(&s->words);
    bpe_scratch_deinit(&s->merging);
}

/* --- encoding --- */

struct encoding {
    const struct word_bpe *w;
    struct word_cache *cache;
    struct word_bpe_scratch *scratch;
    struct token_list *out;
    struct err *e;
};

/* The id of the first symbol of a text, or -1; its length in *size. */
static int32_t first_symbol(const struct word_bpe *w, const char *text, size_t len,
                            size_t *size)
{
    uint32_t ignored;

    if (w->alphabet == WORD_BPE_BYTES || (unsigned char)text[0] < 0x80) {
        *size = 1;
        return w->byte_ids[(unsigned char)text[0]];
    }
    const int n = utf8_decode(text, len, &ignored);
    *size = n > 0 ? (size_t)n : 1;
    return vocab_find_bytes(w->vocab, text, *size);
}

/* False where the vocabulary lacks one. ids: room for len. */
static bool cut_into_bytes(const struct word_bpe *w, const char *word, size_t len, int32_t *ids)
{
    int32_t signs = 0;

    for (size_t i = 0; i < len; i++) {
        ids[i] = w->byte_ids[(unsigned char)word[i]];
        signs |= ids[i];
    }
    return signs >= 0;
}

/* ids: room for len. */
static int cut_into_symbols(const struct encoding *c, const char *word, size_t len,
                            int32_t *ids, size_t *n_ids)
{
    const struct word_bpe *w = c->w;
    bool after_unknown = false;
    size_t n = 0;
    size_t size;

    if (w->alphabet == WORD_BPE_BYTES && cut_into_bytes(w, word, len, ids)) {
        *n_ids = len;
        return 0;
    }
    for (size_t at = 0; at < len; at += size) {
        const int32_t id = first_symbol(w, word + at, len - at, &size);

        if (id >= 0) {
            ids[n++] = id;
        } else if (w->how != UNKNOWN_DROPPED && w->unknown < 0) {
            return err_set(c->e, ERR_UNSUPPORTED,
                           "the vocabulary has no token for the byte 0x%02x",
                           (unsigned)(unsigned char)word[at]);
        } else if (w->how == UNKNOWN_EACH || (w->how == UNKNOWN_FUSED && !after_unknown)) {
            ids[n++] = w->unknown;
        }
        after_unknown = id < 0;
    }
    *n_ids = n;
    return 0;
}

/* ids: room for len. */
static int merge_word(const struct encoding *c, const char *word, size_t len, int32_t *ids,
                      size_t *n_ids)
{
    const struct word_bpe *w = c->w;

    if (w->rule->ignore_merges) {
        const int32_t id = vocab_find_bytes(w->vocab, word, len);

        if (id >= 0) {
            ids[0] = id;
            *n_ids = 1;
            return 0;
        }
    }
    if (cut_into_symbols(c, word, len, ids, n_ids) != 0) {
        return -1;
    }
    return bpe_merge_word(&w->merges, ids, n_ids, &c->scratch->merging) == 0 ? 0
                                                                             : err_nomem(c->e);
}

static int encode_word(const struct encoding *c, const char *word, size_t len)
{
    size_t n;
    const int32_t *known = word_cache_find(c->cache, word, len, &n);

    if (known) {
        return token_list_append(c->out, known, n) == 0 ? 0 : err_nomem(c->e);
    }
    if (token_list_reserve(c->out, len) != 0) {
        return err_nomem(c->e);
    }
    int32_t *ids = c->out->ids + c->out->count;
    if (merge_word(c, word, len, ids, &n) != 0) {
        return -1;
    }
    word_cache_put(c->cache, word, len, ids, n);
    c->out->count += n;
    return 0;
}

/* Whether a word is a gap that the rule leaves out: of white space alone, as its first
 * character tells. */
static bool is_left_out(const struct split_rule *rule, const char *word, size_t len)
{
    uint32_t c;

    return rule->drops_space && utf8_decode(word, len, &c) > 0 && is_white_space(c);
}

static int encode_words(const struct encoding *c, const char *text, size_t len)
{
    const struct split_words *words = &c->scratch->words;
    size_t start = 0;

    if (splitter_split(c->w->splitter, text, len, &c->scratch->words, c->e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < words->count; i++) {
        const size_t end = words->ends[i];

        if (!is_left_out(c->w->rule, text + start, end - start) &&
            encode_word(c, text + start, end - start) != 0) {
            return -1;
        }
        start = end;
    }
    return 0;
}

/* Makes a mark of each space, into scratch->marked. */
static int mark_spaces(const struct encoding *c, const char *text, size_t len)
{
    struct buf *marked = &c->scratch->marked;

    if (len > SPLIT_MAX_TEXT / MARK_LEN) {
        return err_set(c->e, ERR_LIMIT, "a text of %zu bytes is too long to encode", len);
    }
    marked->max = SPLIT_MAX_TEXT;
    buf_clear(marked);
    for (size_t at = 0; at < len;) {
        const char *space = memchr(text + at, ' ', len - at);
        const size_t n = space ? (size_t)(space - text) - at : len - at;

        buf_append(marked, text + at, n);
        if (space) {
            buf_append(marked, MARK, MARK_LEN);
        }
        at += n + (space ? 1 : 0);
    }
    return marked->failed ? err_nomem(c->e) : 0;
}

bool word_bpe_begins_with_space(const struct word_bpe *w, const char *text, size_t len)
{
    return (len > 0 && text[0] == ' ') ||
           (w->rule->marks_spaces && len >= MARK_LEN && memcmp(text, MARK, MARK_LEN) == 0);
}

int word_bpe_encode(const struct word_bpe *w, const char *text, size_t len,
                    struct word_cache *cache, struct word_bpe_scratch *scratch,
                    struct token_list *out, struct err *e)
{
    const struct encoding c = {.w = w, .cache = cache, .scratch = scratch, .out = out, .e = e};

    if (!w->rule->marks_spaces) {
        return encode_words(&c, text, len);
    }
    return mark_spaces(&c, text, len) == 0
               ? encode_words(&c, scratch->marked.data, scratch->marked.len)
               : -1;
}

#include "models/tokenizer/spm.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define KEY_PREFIX "tokenizer.ggml.add_space_prefix"

/* --- loading --- */

static void index_symbols(struct spm *s)
{
    for (size_t i = 0; i < 256; i++) {
        s->byte_ids[i] = -1;
    }
    for (int32_t id = 0; id < s->vocab->n_tokens; id++) {
        const struct vocab_token *t = &s->vocab->tokens[id];
        if (t->kind == TOKEN_BYTE && t->n_bytes == 1) {
            s->byte_ids[(unsigned char)t->bytes[0]] = id;
        }
    }
    for (int c = 0; c < 128; c++) {
        char byte = (char)c;
        s->ascii_symbols[c] = spm_symbol(s, &byte, 1);
    }
}

int spm_init(struct spm *s, const struct vocab *vocab, const struct gguf *g, struct err *e)
{
    *s = (struct spm){.vocab = vocab, .space_before = true};
    if (spm_read_merges(s, g, e) != 0 ||
        (gguf_has(g, KEY_PREFIX) && gguf_get_bool(g, KEY_PREFIX, &s->space_before, e) != 0)) {
        return -1;
    }
    index_symbols(s);
    return 0;
}

void spm_deinit(struct spm *s)
{
    bpe_table_deinit(&s->merges);
    mem_free(s->loose);
    s->loose = NULL;
}

/* --- encoding --- */

struct encoding {
    const struct spm *spm;
    struct word_cache *cache;
    struct bpe_scratch *scratch;
    struct token_list *out;
    struct err *e;
};

size_t spm_character(const char *text, size_t len)
{
    uint32_t c;
    int size = utf8_decode(text, len, &c);
    return size > 0 ? (size_t)size : 1;
}

static int put_bytes(const struct encoding *c, const char *bytes, size_t len, int32_t *ids)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        ids[i] = c->spm->byte_ids[byte];
        if (ids[i] < 0) {
            return err_set(c->e, ERR_UNSUPPORTED,
                           "the vocabulary has no token for the byte 0x%02x", byte);
        }
    }
    return 0;
}

/* The symbols of a word's characters. What is in no token is bytes at once: they are in no
 * merge. ids: room for len. */
static int cut_into_symbols(const struct encoding *c, const char *word, size_t len,
                            int32_t *ids, size_t *n_ids)
{
    size_t n = 0, size;
    for (size_t at = 0; at < len; at += size) {
        bool ascii = (unsigned char)word[at] < 128;
        size = ascii ? 1 : spm_character(word + at, len - at);
        int32_t symbol = ascii ? c->spm->ascii_symbols[(unsigned char)word[at]]
                               : spm_symbol(c->spm, word + at, size);
        if (symbol >= 0) {
            ids[n++] = symbol;
            continue;
        }
        if (put_bytes(c, word + at, size, ids + n) != 0) {
            return -1;
        }
        n += size;
    }
    *n_ids = n;
    return 0;
}

static const struct spm_loose *loose_at(const struct spm *s, int32_t symbol)
{
    return symbol < s->vocab->n_tokens ? NULL : &s->loose[symbol - s->vocab->n_tokens];
}

/* Loose characters that were not merged become bytes, from the end on, for they need more
 * places. */
static int spell_out_loose(const struct encoding *c, int32_t *ids, size_t *n_ids)
{
    size_t n = 0;
    for (size_t i = 0; i < *n_ids; i++) {
        const struct spm_loose *loose = loose_at(c->spm, ids[i]);
        n += loose ? loose->len : 1;
    }
    size_t to = n;
    for (size_t i = *n_ids; i-- > 0;) {
        const struct spm_loose *loose = loose_at(c->spm, ids[i]);
        to -= loose ? loose->len : 1;
        if (!loose) {
            ids[to] = ids[i];
        } else if (put_bytes(c, loose->bytes, loose->len, ids + to) != 0) {
            return -1;
        }
    }
    *n_ids = n;
    return 0;
}

/* ids: room for len. */
static int merge_word(const struct encoding *c, const char *word, size_t len, int32_t *ids,
                      size_t *n_ids)
{
    if (cut_into_symbols(c, word, len, ids, n_ids) != 0) {
        return -1;
    }
    if (bpe_merge_word(&c->spm->merges, ids, n_ids, c->scratch) != 0) {
        return err_nomem(c->e);
    }
    return c->spm->n_loose > 0 ? spell_out_loose(c, ids, n_ids) : 0;
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

/* The space before the text, and with it the word that it may be joined to, which ends at *end.
 */
static int encode_first(const struct encoding *c, const char *text, size_t len, size_t *end)
{
    const struct byte_pairs *joined = &c->spm->joined;
    *end = byte_pairs_has(joined, ' ', text[0]) ? byte_pairs_part_end(joined, text, len, 0) : 0;
    char *word = mem_alloc(*end + 1);
    if (!word) {
        return err_nomem(c->e);
    }
    word[0] = ' ';
    memcpy(word + 1, text, *end);
    int rc = encode_word(c, word, *end + 1);
    mem_free(word);
    return rc;
}

int spm_encode(const struct spm *s, const char *text, size_t len, struct word_cache *cache,
               struct bpe_scratch *scratch, struct token_list *out, struct err *e)
{
    struct encoding c = {.spm = s, .cache = cache, .scratch = scratch, .out = out, .e = e};
    size_t at = 0;
    if (len == 0) {
        return 0;
    }
    if (len >= SPM_MAX_TEXT) {
        return err_set(e, ERR_LIMIT, "a text of %zu bytes is too long to encode", len);
    }
    if (s->space_before && encode_first(&c, text, len, &at) != 0) {
        return -1;
    }
    while (at < len) {
        size_t end = byte_pairs_part_end(&s->joined, text, len, at);
        if (encode_word(&c, text + at, end - at) != 0) {
            return -1;
        }
        at = end;
    }
    return 0;
}

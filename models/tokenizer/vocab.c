#include "models/tokenizer/vocab.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES  "tokenizer.ggml.token_type"

static bool is_ordinary(enum token_kind kind)
{
    return kind == TOKEN_NORMAL || kind == TOKEN_BYTE;
}

static bool is_special(enum token_kind kind)
{
    return kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_USER_DEFINED;
}

static size_t hash_bytes(const char *bytes, size_t len)
{
    uint64_t h = fnv64(FNV64_BASIS, bytes, len);
    return (size_t)(h ^ h >> 32);
}

static int read_kinds(struct vocab *v, const struct gguf *g, struct err *e)
{
    const struct gguf_kv *kinds;
    size_t n;

    for (int32_t i = 0; i < v->n_tokens; i++) {
        v->tokens[i].kind = TOKEN_NORMAL;
    }
    if (!gguf_has(g, KEY_TYPES)) {
        return 0;
    }
    if (gguf_get_array(g, KEY_TYPES, GGUF_I32, &kinds, &n, e) != 0) {
        return -1;
    }
    if (n != (size_t)v->n_tokens) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": %zu types for %" PRId32 " tokens",
                       gguf_path(g), KEY_TYPES, n, v->n_tokens);
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t kind = gguf_array_i32(kinds, i);

        if (kind < TOKEN_NORMAL || kind > TOKEN_BYTE) {
            return err_set(e, ERR_FORMAT,
                           "%s: metadata key \"%s\": token %zu has type %" PRId32
                           ", must be 1 to 6",
                           gguf_path(g), KEY_TYPES, i, kind);
        }
        v->tokens[i].kind = (enum token_kind)kind;
    }
    return 0;
}

static int check_name(const struct gguf *g, const struct gguf_str *name,
                      const struct vocab_token *t, size_t id, struct err *e)
{
    if (name->len > UINT32_MAX || memchr(name->data, 0, name->len)) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": token %zu holds a NUL or is too long",
                       gguf_path(g), KEY_TOKENS, id);
    }
    if (is_special(t->kind) && (name->len == 0 || name->len > VOCAB_MAX_SPECIAL_LEN)) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": special token %zu has %zu bytes, must "
                       "have 1 to %d",
                       gguf_path(g), KEY_TOKENS, id, name->len, VOCAB_MAX_SPECIAL_LEN);
    }
    return 0;
}

/* The space of SentencePiece, U+2581, becomes a space; out has room for len bytes. */
static size_t unmark_spaces(const char *name, size_t len, char *out)
{
    static const char mark[] = "\xe2\x96\x81";
    size_t n = 0;

    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && memcmp(name + i, mark, 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = name[i++];
        }
    }
    return n;
}

/* The byte that "<0x0A>" names. */
static bool named_byte(const struct vocab_token *t, char *byte)
{
    unsigned value;
    char end;

    if (t->name_len != 6 || sscanf(t->name, "<0x%2X%c", &value, &end) != 2 || end != '>') {
        return false;
    }
    *byte = (char)value;
    return true;
}

/* What an ordinary token stands for, into out, which has room for its name and a space. */
static size_t derive_bytes(const struct vocab *v, const struct vocab_token *t, char *out)
{
    size_t n;

    if (v->notation == VOCAB_CHARACTERS && v->decoder != DECODER_MARKS) {
        const size_t space = v->decoder == DECODER_SPACES;
        memset(out, ' ', space);
        memcpy(out + space, t->name, t->name_len);
        return space + t->name_len;
    }
    if (v->notation == VOCAB_SENTENCE_PIECE && t->kind == TOKEN_BYTE && named_byte(t, out)) {
        return 1;
    }
    if (v->notation != VOCAB_BYTE_LEVEL) {
        return unmark_spaces(t->name, t->name_len, out);
    }
    if (!byte_alphabet_decode(t->name, t->name_len, out, &n)) {
        memcpy(out, t->name, t->name_len);
        return t->name_len;
    }
    return n;
}

/* Copies names and derives bytes. An ordinary token outside the byte alphabet stands for its
 * name. */
static int read_texts(struct vocab *v, const struct gguf *g, const struct gguf_str *names,
                      struct err *e)
{
    size_t total = 0;
    char *next;

    for (int32_t i = 0; i < v->n_tokens; i++) {
        if (check_name(g, &names[i], &v->tokens[i], (size_t)i, e) != 0) {
            return -1;
        }
        total += 2 * (names[i].len + 1) + 1;
    }
    v->text = next = mem_alloc(total);
    if (!next) {
        return err_nomem(e);
    }
    for (int32_t i = 0; i < v->n_tokens; i++) {
        struct vocab_token *t = &v->tokens[i];
        size_t n_bytes = names[i].len;

        t->name = next;
        t->name_len = (uint32_t)names[i].len;
        memcpy(next, names[i].data, names[i].len);
        next[names[i].len] = '\0';
        next += names[i].len + 1;
        t->bytes = next;
        if (t->kind == TOKEN_CONTROL || t->kind == TOKEN_UNKNOWN) {
            n_bytes = 0;
        } else if (is_ordinary(t->kind)) {
            n_bytes = derive_bytes(v, t, next);
        } else {
            memcpy(next, t->name, t->name_len);
        }
        t->n_bytes = (uint32_t)n_bytes;
        next[n_bytes] = '\0';
        next += n_bytes + 1;
    }
    return 0;
}

/* What an ordinary token is found by. */
static const char *key_of(const struct vocab *v, const struct vocab_token *t, size_t *len)
{
    const bool by_name = v->notation == VOCAB_CHARACTERS;
    *len = by_name ? t->name_len : t->n_bytes;
    return by_name ? t->name : t->bytes;
}

static int index_bytes(struct vocab *v, struct err *e)
{
    size_t n_slots = 16;

    while (n_slots < 2 * (size_t)v->n_tokens) {
        n_slots *= 2;
    }
    v->slots = mem_array(n_slots, sizeof *v->slots);
    if (!v->slots) {
        return err_nomem(e);
    }
    v->mask = n_slots - 1;
    for (size_t i = 0; i < n_slots; i++) {
        v->slots[i] = -1;
    }
    for (int32_t id = 0; id < v->n_tokens; id++) {
        const struct vocab_token *t = &v->tokens[id];

        size_t len;
        const char *key = key_of(v, t, &len);
        const bool fallback = v->notation == VOCAB_SENTENCE_PIECE && t->kind == TOKEN_BYTE;
        if (!is_ordinary(t->kind) || fallback || len == 0 ||
            vocab_find_bytes(v, key, len) >= 0) {
            continue;
        }
        size_t i = hash_bytes(key, len) & v->mask;
        while (v->slots[i] >= 0) {
            i = (i + 1) & v->mask;
        }
        v->slots[i] = id;
    }
    return 0;
}

static int compare_tokens(const void *a, const void *b)
{
    return strcmp((*(const struct vocab_token *const *)a)->name,
                  (*(const struct vocab_token *const *)b)->name);
}

static int index_specials(struct vocab *v, struct err *e)
{
    const struct vocab_token **order = mem_array((size_t)v->n_tokens + 1, sizeof *order);
    size_t n = 0;

    if (!order) {
        return err_nomem(e);
    }
    for (int32_t id = 0; id < v->n_tokens; id++) {
        if (is_special(v->tokens[id].kind)) {
            order[n++] = &v->tokens[id];
        }
    }
    qsort(order, n, sizeof *order, compare_tokens);
    v->specials = mem_array(n + 1, sizeof *v->specials);
    if (!v->specials) {
        mem_free(order);
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        v->specials[i] = (int32_t)(order[i] - v->tokens);
    }
    v->n_specials = n;
    mem_free(order);
    return 0;
}

static int read_decoder(struct vocab *v, const struct gguf *g, struct err *e)
{
    static const char *const names[] = {[DECODER_SPACES] = "spaces", [DECODER_MARKS] = "marks"};
    struct gguf_str said;

    if (!gguf_has(g, TOKENIZER_KEY_DECODER)) {
        return 0;
    }
    if (gguf_get_str(g, TOKENIZER_KEY_DECODER, &said, e) != 0) {
        return -1;
    }
    for (int i = DECODER_SPACES; i <= DECODER_MARKS; i++) {
        if (said.len == strlen(names[i]) && memcmp(said.data, names[i], said.len) == 0) {
            v->decoder = (enum vocab_decoder)i;
            return 0;
        }
    }
    return err_set(e, ERR_UNSUPPORTED,
                   "%s: metadata key \"%s\" must be \"spaces\" or \"marks\"", gguf_path(g),
                   TOKENIZER_KEY_DECODER);
}

int vocab_init(struct vocab *v, const struct gguf *g, enum vocab_notation notation,
               struct err *e)
{
    const struct gguf_str *names;
    size_t n;

    *v = (struct vocab){.notation = notation};
    if (notation == VOCAB_CHARACTERS && read_decoder(v, g, e) != 0) {
        return -1;
    }
    if (gguf_get_strs(g, KEY_TOKENS, &names, &n, e) != 0) {
        return -1;
    }
    if (n == 0 || n > VOCAB_MAX_TOKENS) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %zu tokens, must be 1 to %d",
                       gguf_path(g), KEY_TOKENS, n, VOCAB_MAX_TOKENS);
    }
    v->tokens = mem_zarray(n, sizeof *v->tokens);
    if (!v->tokens) {
        return err_nomem(e);
    }
    v->n_tokens = (int32_t)n;
    if (read_kinds(v, g, e) != 0 || read_texts(v, g, names, e) != 0 || index_bytes(v, e) != 0) {
        return -1;
    }
    return index_specials(v, e);
}

void vocab_deinit(struct vocab *v)
{
    mem_free(v->tokens);
    mem_free(v->text);
    mem_free(v->slots);
    mem_free(v->specials);
    *v = (struct vocab){0};
}

int32_t vocab_find_bytes(const struct vocab *v, const char *bytes, size_t len)
{
    for (size_t i = hash_bytes(bytes, len) & v->mask; v->slots[i] >= 0; i = (i + 1) & v->mask) {
        size_t key_len;
        const char *key = key_of(v, &v->tokens[v->slots[i]], &key_len);

        if (key_len == len && memcmp(key, bytes, len) == 0) {
            return v->slots[i];
        }
    }
    return -1;
}

/* The byte at `depth` of the i-th special name; names end with a NUL, which sorts first. */
static unsigned char special_byte(const struct vocab *v, size_t i, size_t depth)
{
    return (unsigned char)v->tokens[v->specials[i]].name[depth];
}

/* Narrows [*begin, *end), whose names agree before depth, to those with `byte` there. */
static void narrow(const struct vocab *v, size_t *begin, size_t *end, size_t depth,
                   unsigned char byte)
{
    size_t bounds[2];

    for (int upper = 0; upper < 2; upper++) {
        size_t lo = *begin;
        size_t hi = *end;

        while (lo < hi) {
            const size_t mid = lo + (hi - lo) / 2;
            const unsigned char b = special_byte(v, mid, depth);

            if (b < byte || (upper && b == byte)) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        bounds[upper] = lo;
    }
    *begin = bounds[0];
    *end = bounds[1];
}

static bool may_match(const struct vocab_token *t, bool with_control, enum vocab_stage stage)
{
    return (with_control || t->kind == TOKEN_USER_DEFINED) &&
           (stage == VOCAB_ANY_STAGE || t->normalized == (stage == VOCAB_NORMALIZED));
}

int32_t vocab_match_special(const struct vocab *v, const char *text, size_t len,
                            bool with_control, enum vocab_stage stage)
{
    size_t begin = 0;
    size_t end = v->n_specials;
    int32_t found = -1;

    for (size_t depth = 0; depth < len && text[depth] != '\0'; depth++) {
        narrow(v, &begin, &end, depth, (unsigned char)text[depth]);
        if (begin == end) {
            break;
        }
        /* A name that ends here sorts before those that go on. */
        for (size_t i = begin; i < end && special_byte(v, i, depth + 1) == '\0'; i++) {
            if (may_match(&v->tokens[v->specials[i]], with_control, stage)) {
                found = v->specials[i];
                break;
            }
        }
    }
    return found;
}

int32_t vocab_find_special(const struct vocab *v, const char *name, size_t len)
{
    const int32_t id = vocab_match_special(v, name, len, true, VOCAB_ANY_STAGE);

    return id >= 0 && v->tokens[id].name_len == len ? id : -1;
}

int vocab_read_ids(const struct vocab *v, const struct gguf *g, const char *key, bool *flags,
                   struct err *e)
{
    const struct gguf_kv *ids;
    size_t n;

    if (gguf_get_array(g, key, GGUF_I32, &ids, &n, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t id = gguf_array_i32(ids, i);

        if (id < 0 || id >= v->n_tokens) {
            return err_set(e, ERR_FORMAT,
                           "%s: metadata key \"%s\": token %" PRId32
                           " is outside the vocabulary of %" PRId32,
                           gguf_path(g), key, id, v->n_tokens);
        }
        flags[id] = true;
    }
    return 0;
}

/* Any tables as a vocabulary, of each kind of model, and any bytes as a text for it: both stay
 * inside their memory, and ids inside the vocabulary. A file of random bytes seldom gets as far
 * as this (fuzz_gguf.c); here the file is right and what it says is not. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/format/gguf.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/buf.h"

#define MAX_TOKENS 64
#define MAX_NAME   24
#define MAX_FILE   (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t left;
};

static unsigned take(struct input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

static void put_u32(struct buf *b, uint32_t v)
{
    buf_append(b, (const char *)&v, sizeof(v));
}

static void put_u64(struct buf *b, uint64_t v)
{
    buf_append(b, (const char *)&v, sizeof(v));
}

static void put_string(struct buf *b, const char *s, size_t len)
{
    put_u64(b, len);
    buf_append(b, s, len);
}

static void put_key(struct buf *b, const char *key, enum gguf_type type)
{
    put_string(b, key, strlen(key));
    put_u32(b, type);
}

static void put_array(struct buf *b, const char *key, enum gguf_type type, uint64_t count)
{
    put_key(b, key, GGUF_ARRAY);
    put_u32(b, type);
    put_u64(b, count);
}

/* Names as they come, "<0x41>" and "<unk>" where a byte says so. */
static void put_name(struct buf *b, struct input *in)
{
    static const char *const known[] = {
        "<unk>", "[UNK]", "</s>", "<|im_end|>", "\xe2\x96\x81", "\xe2\x96\x81\xe2\x96\x81"};
    char name[MAX_NAME];
    unsigned how = take(in);
    if (how >= 250) {
        put_string(b, known[how - 250], strlen(known[how - 250]));
        return;
    }
    if (how >= 230) {
        static const char hex[] = "0123456789ABCDEF";
        unsigned byte = take(in);
        const char text[] = {'<', '0', 'x', hex[byte / 16], hex[byte % 16], '>'};
        put_string(b, text, sizeof(text));
        return;
    }
    size_t len = how % MAX_NAME;
    for (size_t i = 0; i < len; i++) {
        name[i] = (char)take(in);
    }
    put_string(b, name, len);
}

static void put_tables(struct buf *b, struct input *in)
{
    unsigned tokens = 1 + take(in) % MAX_TOKENS, merges = take(in) % MAX_TOKENS;
    put_array(b, "tokenizer.ggml.tokens", GGUF_STRING, tokens);
    for (unsigned i = 0; i < tokens; i++) {
        put_name(b, in);
    }
    put_array(b, "tokenizer.ggml.token_type", GGUF_I32, tokens);
    for (unsigned i = 0; i < tokens; i++) {
        put_u32(b, take(in) % 8);
    }
    put_array(b, "tokenizer.ggml.scores", GGUF_F32, tokens);
    for (unsigned i = 0; i < tokens; i++) {
        float score = (float)(int8_t)take(in);
        buf_append(b, (const char *)&score, sizeof(score));
    }
    put_array(b, "tokenizer.ggml.merges", GGUF_STRING, merges);
    for (unsigned i = 0; i < merges; i++) {
        put_name(b, in);
    }
    unsigned table = take(in);
    put_array(b, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, table);
    for (unsigned i = 0; i < table; i++) {
        buf_append_char(b, (char)take(in));
    }
}

static void put_ids(struct buf *b, struct input *in, const char *key)
{
    unsigned ids = take(in) % 8;
    put_array(b, key, GGUF_I32, ids);
    for (unsigned i = 0; i < ids; i++) {
        put_u32(b, take(in) % MAX_TOKENS);
    }
}

/* Steps of a text form, and what is looked for behind them. */
static unsigned put_text_form(struct buf *b, struct input *in)
{
    static const char *const steps[] = {"NFC",    "NFD",       "NFKC",
                                        "NFKD",   "Lowercase", "StripAccents",
                                        "Spaces", "Replace",   "other"};
    unsigned how = take(in), n = how >> 4 & 3; /* the tables of a Unicode form take a while */
    if (how & 1) {
        put_array(b, TOKENIZER_KEY_TEXT_FORM, GGUF_STRING, n);
        for (unsigned i = 0; i < n; i++) {
            unsigned which = take(in);
            if (which >= 128) { /* of a replacement */
                put_name(b, in);
            } else {
                put_string(b, steps[which % 9], strlen(steps[which % 9]));
            }
        }
    }
    if (how & 8) {
        put_ids(b, in, TOKENIZER_KEY_NORMALIZED);
    }
    return (how & 1) + (how >> 3 & 1);
}

/* What BPE of characters has, and what it does without. */
static unsigned put_word_bpe(struct buf *b, struct input *in)
{
    static const char *const unknown[] = {"fuse", "drop", "other"};
    static const char *const decoders[] = {"spaces", "marks", "other"};
    unsigned how = take(in), n = take(in) % MAX_TOKENS;
    put_array(b, TOKENIZER_KEY_MERGES, GGUF_I32, 3 * (uint64_t)n + (how == 0));
    for (unsigned i = 0; i < 3 * n + (how == 0); i++) {
        put_u32(b, take(in) % MAX_TOKENS);
    }
    if (how & 1) {
        const char *name = unknown[(how >> 1) % 3];
        put_key(b, TOKENIZER_KEY_UNKNOWN, GGUF_STRING);
        put_string(b, name, strlen(name));
    }
    if (how & 8) {
        const char *name = decoders[(how >> 4) % 3];
        put_key(b, TOKENIZER_KEY_DECODER, GGUF_STRING);
        put_string(b, name, strlen(name));
    }
    return 1 + (how & 1) + (how >> 3 & 1);
}

/* What only some files have: Weir's own keys, and what a WordPiece normalises. */
static unsigned put_own_keys(struct buf *b, struct input *in)
{
    static const char *const schemes[] = {"first", "always", "never"};
    static const char *const flags[] = {"tokenizer.ggml.normalizer.lowercase",
                                        "tokenizer.ggml.normalizer.strip_accents"};
    unsigned how = take(in), n = put_text_form(b, in) + put_word_bpe(b, in);
    if (how & 1) {
        const char *scheme = schemes[(how >> 1) % 3];
        put_key(b, TOKENIZER_KEY_SPACE_SCHEME, GGUF_STRING);
        put_string(b, scheme, strlen(scheme));
        n++;
    }
    if (how & 8) {
        put_ids(b, in, TOKENIZER_KEY_RSTRIP);
        put_ids(b, in, TOKENIZER_KEY_LSTRIP);
        n += 2;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (how >> (4 + i) & 1) {
            put_key(b, flags[i], GGUF_BOOL);
            buf_append_char(b, (char)(how >> (6 + i) & 1));
            n++;
        }
    }
    return n;
}

static void put_file(struct buf *b, struct input *in)
{
    static const char *const models[] = {"gpt2", "llama", "bert", "t5", "weir.characters"};
    static const char *const rules[] = {
        "gpt-2",           "llama-bpe",      "weir-whitespace",     "weir-whitespace-split",
        "weir-whole-text", "weir-metaspace", "weir-metaspace-whole"};
    static const char *const flags[] = {
        "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.remove_extra_whitespaces",
        "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"};
    static const char *const ids[] = {"tokenizer.ggml.bos_token_id",
                                      "tokenizer.ggml.eos_token_id",
                                      "tokenizer.ggml.unknown_token_id"};
    unsigned how = take(in), set = take(in);
    const char *model = models[how % 5], *rule = rules[how / 5 % 7];
    buf_append(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, 0);
    struct buf own;
    buf_init(&own, MAX_FILE);
    put_u64(b, 2 + 5 + 4 + 3 + put_own_keys(&own, in));
    buf_append(b, own.data, own.len);
    buf_deinit(&own);
    put_key(b, "tokenizer.ggml.model", GGUF_STRING);
    put_string(b, model, strlen(model));
    put_key(b, "tokenizer.ggml.pre", GGUF_STRING);
    put_string(b, rule, strlen(rule));
    for (unsigned i = 0; i < 4; i++) {
        put_key(b, flags[i], GGUF_BOOL);
        buf_append_char(b, (char)(set >> i & 1));
    }
    for (unsigned i = 0; i < 3; i++) {
        put_key(b, ids[i], GGUF_U32);
        put_u32(b, take(in) % MAX_TOKENS);
    }
    put_tables(b, in);
}

static void encode(const struct tokenizer *t, const char *text, size_t len, bool special)
{
    struct err e = {0};
    struct token_list list = {0};
    struct decoder decoder;
    struct buf out;
    buf_init(&out, MAX_FILE);
    decoder_init(&decoder, t);
    if (tokenizer_encode(t, text, len, special, &list, &e) == 0) {
        for (size_t i = 0; i < list.count; i++) {
            if (list.ids[i] < 0 || list.ids[i] >= tokenizer_vocab_size(t)) {
                abort();
            }
            decoder_feed(&decoder, list.ids[i], &out);
        }
        decoder_flush(&decoder, &out);
    }
    buf_deinit(&out);
    token_list_deinit(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct err e = {0};
    struct buf file;
    buf_init(&file, MAX_FILE);
    put_file(&file, &in);
    struct gguf *g = gguf_open_memory(file.data, file.len, "fuzz", &e);
    struct tokenizer *t = g ? tokenizer_from_gguf(g, &e) : NULL;
    if (t) {
        struct token_list list = {0};
        encode(t, (const char *)in.data, in.left, true);
        encode(t, (const char *)in.data, in.left, false);
        (void)tokenizer_encode_inner(t, (const char *)in.data, in.left, &list, &e);
        token_list_deinit(&list);
    }
    tokenizer_destroy(t);
    gguf_close(g);
    buf_deinit(&file);
    return 0;
}

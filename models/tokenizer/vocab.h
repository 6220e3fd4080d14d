/* vocab.h: the tokens of a vocabulary: their texts, bytes and kinds, and the ways back from
 * them.
 *
 * Private to the tokenizer. A token's name is its text in the file; its bytes are what it
 * stands for: nothing for control tokens, the name itself for user-defined ones. Of ordinary
 * ones it depends on the notation: the name through byte_alphabet_decode (VOCAB_BYTE_LEVEL), or
 * with a space for each U+2581, and of kind byte the byte that "<0x0A>" names
 * (VOCAB_SENTENCE_PIECE; WordPiece in GGUF too). Or what the file's key for it makes of the
 * name (VOCAB_CHARACTERS): there tokens are found by their names.
 *
 * Threads: immutable after vocab_init.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/format/gguf.h"

#define VOCAB_MAX_TOKENS      (1 << 24)
#define VOCAB_MAX_SPECIAL_LEN 256

/* `tokenizer.ggml.token_type`, GGUF specification. */
enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

enum vocab_decoder { DECODER_NAMES, DECODER_SPACES, DECODER_MARKS };
enum vocab_notation { VOCAB_BYTE_LEVEL, VOCAB_SENTENCE_PIECE, VOCAB_CHARACTERS };

struct vocab_token {
    const char *name;  /* NUL-terminated; NUL inside was refused */
    const char *bytes; /* NUL-terminated too */
    uint32_t name_len;
    uint32_t n_bytes;
    enum token_kind kind;
    bool normalized; /* of a special token: looked for when the text has its form (text_form.h)
                        already, not in the text as it came */
};

/* When a special token is looked for. */
enum vocab_stage { VOCAB_AS_WRITTEN, VOCAB_NORMALIZED, VOCAB_ANY_STAGE };

struct vocab {
    enum vocab_notation notation;
    enum vocab_decoder decoder; /* of VOCAB_CHARACTERS */
    struct vocab_token *tokens; /* (n_tokens) */
    int32_t n_tokens;
    char *text;     /* names and bytes */
    int32_t *slots; /* (mask + 1): ids by hash of bytes, -1 empty; ordinary tokens only, of
                       VOCAB_SENTENCE_PIECE without those of kind byte */
    size_t mask;
    int32_t *specials; /* (n_specials): control, unknown and user-defined ids, by name */
    size_t n_specials;
};

/* Reads tokenizer.ggml.tokens and token_type. On failure v can be passed to vocab_deinit too.
 */
int vocab_init(struct vocab *v, const struct gguf *g, enum vocab_notation notation,
               struct err *e);
void vocab_deinit(struct vocab *v);

/* The ordinary token that stands for these bytes, or with VOCAB_CHARACTERS is called so, the
 * lowest if several do, or -1. */
int32_t vocab_find_bytes(const struct vocab *v, const char *bytes, size_t len);

/* The control, unknown or user-defined token with this name, or -1. */
int32_t vocab_find_special(const struct vocab *v, const char *name, size_t len);

/* The longest special token of a stage that text begins with, or -1. with_control: control
 * tokens and the unknown token count too. */
int32_t vocab_match_special(const struct vocab *v, const char *text, size_t len,
                            bool with_control, enum vocab_stage stage);

/* The tokens that a key of the file lists by their ids: flags[id] is set, (n_tokens). */
int vocab_read_ids(const struct vocab *v, const struct gguf *g, const char *key, bool *flags,
                   struct err *e);

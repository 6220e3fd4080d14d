/* tokenizer.h: text to token ids and back, by the vocabulary that a GGUF file carries.
 *
 * Byte-level byte-pair encoding as GPT-2 introduced it (Radford et al. 2019, section 2.2;
 * Sennrich et al. 2016): text is split into words by a regular expression, each word begins as
 * its bytes, and the adjacent pair that the training merged first is merged until none is left.
 * In the file `tokenizer.ggml.model` is "gpt2" and `tokenizer.ggml.pre` names the expression
 * (split.h). Or it is "llama": SentencePiece's BPE (spm.h). Or "bert": WordPiece
 * (wordpiece.h), whose [CLS] and [SEP] are bos and eos here. Or "t5": SentencePiece's unigram
 * models (unigram.h). Or "weir.characters", which only files made by Weir have: byte-pair
 * encoding of characters (word_bpe.h).
 *
 * Any bytes may be encoded. With the BPE models, bytes that are not UTF-8 are split off and
 * become byte tokens, and decoding an encoding gives back exactly the bytes that went in, but
 * for bytes that the vocabulary lacks, which become the unknown token where there is one, and
 * for what the file says to change first (text_form.h). Time is O(n log n) in the length of the
 * text whatever the text is.
 *
 * Ownership: a tokenizer copies what it needs from the file. Threads: immutable after loading;
 * any number of threads may use one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/format/gguf.h"
#include "runtime/base/err.h"

#define TOKEN_NONE (-1)

/* Keys of our own, under "tokenizer." to go where the vocabulary goes. Beside
 * tokenizer.ggml.add_space_prefix: a space stands before a text only
 * where the text begins with none, "always" before each text between special tokens, "first"
 * before the first alone (Metaspace and ByteLevel of tokenizer.json). */
#define TOKENIZER_KEY_SPACE_SCHEME "tokenizer.weir.space_scheme"
/* And ids of special tokens that take the white space behind them, or in front of them
 * (strip_around.h). */
#define TOKENIZER_KEY_RSTRIP "tokenizer.weir.rstrip"
#define TOKENIZER_KEY_LSTRIP "tokenizer.weir.lstrip"
/* How a text is changed before it is split (text_form.h), and ids of the special tokens that
 * are looked for afterwards, the others being found in the text as it came. */
#define TOKENIZER_KEY_TEXT_FORM  "tokenizer.weir.text_form"
#define TOKENIZER_KEY_NORMALIZED "tokenizer.weir.normalized"
/* Of word_bpe.h: merges by ids, and what becomes of what the vocabulary lacks. */
#define TOKENIZER_KEY_MERGES  "tokenizer.weir.merges"
#define TOKENIZER_KEY_UNKNOWN "tokenizer.weir.unknown"
/* What ordinary tokens of that model stand for in a text, where it is not their names:
 * "spaces", with a space in front of each ("decoder" of tokenizer.json is null), or "marks",
 * with a space for each U+2581 (Metaspace). */
#define TOKENIZER_KEY_DECODER "tokenizer.weir.decoder"

/* A growable list of ids. All-zero is an empty list; token_list_deinit releases it. */
struct token_list {
    int32_t *ids; /* (count) */
    size_t count;
    size_t cap;
};

/* All three: 0, or -1 when out of memory. */
int token_list_reserve(struct token_list *list, size_t more); /* room for so many more */
int token_list_push(struct token_list *list, int32_t id);
int token_list_append(struct token_list *list, const int32_t *ids, size_t n);
void token_list_clear(struct token_list *list); /* keeps the memory */
void token_list_deinit(struct token_list *list);

struct tokenizer;

/* NULL on failure: the message names the file and the key at fault. */
struct tokenizer *tokenizer_from_gguf(const struct gguf *g, struct err *e);
void tokenizer_destroy(struct tokenizer *t); /* accepts NULL */

/* Appends the ids of `text` to *out; on failure *out is as it was. With parse_special the texts
 * of control tokens ("<|im_end|>") become those tokens; without it they are text like any
 * other, which is what everything that a user wrote must be. Adds no bos or eos. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                     bool parse_special, struct token_list *out, struct err *e);
/* The same for a text that stands behind other tokens of one prompt. */
int tokenizer_encode_inner(const struct tokenizer *t, const char *text, size_t len,
                           struct token_list *out, struct err *e);

/* The bytes that a token stands for, borrowed and NUL-terminated; "" with *len 0 for control
 * tokens and for ids outside the vocabulary. Not always whole UTF-8 characters: see decoder.h.
 */
const char *tokenizer_token_bytes(const struct tokenizer *t, int32_t id, size_t *len);

/* The text of the token in the vocabulary, control tokens included, for display. NULL when id
 * is outside the vocabulary. */
const char *tokenizer_token_name(const struct tokenizer *t, int32_t id);

int32_t tokenizer_vocab_size(const struct tokenizer *t);
int32_t
tokenizer_bos(const struct tokenizer *t); /* TOKEN_NONE when the file names none; also below */
int32_t tokenizer_eos(const struct tokenizer *t);
int32_t tokenizer_eot(const struct tokenizer *t);
bool tokenizer_add_bos(
    const struct tokenizer *t); /* a text begins with bos; the caller adds it */
bool tokenizer_add_eos(const struct tokenizer *t); /* and ends with eos */
/* Every text is encoded as if a space stood before it, so decoding gives that space too. */
bool tokenizer_space_before(const struct tokenizer *t);

/* The control token with this text, or TOKEN_NONE. */
int32_t tokenizer_find_special(const struct tokenizer *t, const char *text);
/* The longest control or user-defined token whose text stands at the beginning of `text`, and
 * its length in *special_len; TOKEN_NONE when there is none. */
int32_t tokenizer_match_special(const struct tokenizer *t, const char *text, size_t len,
                                size_t *special_len);
/* How much of a text that stands behind a special token is white space that belongs to it. */
size_t tokenizer_space_after(const struct tokenizer *t, int32_t special, const char *text,
                             size_t len);
/* The same of a text that stands in front of one. */
size_t tokenizer_space_in_front(const struct tokenizer *t, int32_t special, const char *text,
                                size_t len);
bool tokenizer_is_control(const struct tokenizer *t, int32_t id);
/* Ends a generation: eos, eot, <|endoftext|>, <|im_end|>, <|eot_id|>, <|eom_id|> or
 * <|end_of_text|>. */
bool tokenizer_is_eog(const struct tokenizer *t, int32_t id);

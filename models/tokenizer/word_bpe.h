/* word_bpe.h: byte-pair encoding by a list of merges, within the words that a rule cuts
 * (split.h).
 *
 * A word begins as its bytes: byte-level BPE as GPT-2 has it, whose merges are pairs of names
 * in `tokenizer.ggml.merges`. Or it begins as its characters, as Hugging Face's library trains
 * vocabularies too. GGUF has no such model; ours is "weir.characters", with merges in
 * `tokenizer.weir.merges`, since its names may hold blanks: three ids for each, of the two
 * tokens and of what they become.
 *
 * What the vocabulary lacks becomes the unknown token; `tokenizer.weir.unknown` may say that a
 * run of it becomes one ("fuse") or that it is left out ("drop"). Without that and without an
 * unknown token encoding fails.
 *
 * Private to the tokenizer. Threads: immutable after word_bpe_init; any number of threads may
 * encode. */
#pragma once

#include "models/tokenizer/bpe.h"
#include "models/tokenizer/split.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocab.h"
#include "models/tokenizer/word_cache.h"
#include "runtime/base/buf.h"

enum word_bpe_alphabet { WORD_BPE_BYTES, WORD_BPE_CHARACTERS };
enum word_bpe_unknown { UNKNOWN_EACH, UNKNOWN_FUSED, UNKNOWN_DROPPED };

struct word_bpe {
    const struct vocab *vocab; /* borrowed */
    enum word_bpe_alphabet alphabet;
    const struct split_rule *rule;
    struct splitter *splitter;
    struct bpe_table merges;
    int32_t byte_ids[256]; /* of single bytes; -1 where the vocabulary lacks one */
    int32_t unknown;       /* -1: none */
    enum word_bpe_unknown how;
};

/* What one encoding keeps between texts. All-zero is empty. */
struct word_bpe_scratch {
    struct buf marked; /* the text with U+2581 for each space */
    struct split_words words;
    struct bpe_scratch merging;
};

void word_bpe_scratch_deinit(struct word_bpe_scratch *s);

/* Reads tokenizer.ggml.pre and the keys above. On failure w can be passed to word_bpe_deinit
 * too. */
int word_bpe_init(struct word_bpe *w, const struct vocab *vocab,
                  enum word_bpe_alphabet alphabet, const struct gguf *g, struct err *e);
void word_bpe_deinit(struct word_bpe *w);

/* Whether a text begins with a space, or what the rule makes of one. */
bool word_bpe_begins_with_space(const struct word_bpe *w, const char *text, size_t len);

/* Appends the ids of a text without special tokens. On failure *out may hold some of them. The
 * cache has seen texts of this tokenizer only. */
int word_bpe_encode(const struct word_bpe *w, const char *text, size_t len,
                    struct word_cache *cache, struct word_bpe_scratch *scratch,
                    struct token_list *out, struct err *e);

/* bpe_train.h: learns a byte-level byte-pair vocabulary from text.
 *
 * Feed texts, then train. Texts are split into words as the "qwen2" expression does (split.h)
 * and the distinct words counted; then the most frequent adjacent pair becomes a token, again
 * and again (Sennrich et al. 2016, algorithm 1). Among equally frequent pairs the one with the
 * smaller left id wins, then the smaller right id, so that the same text gives the same
 * vocabulary.
 *
 * Pair counts are kept up to date from the words that hold the merged pair, in a heap whose
 * stale entries are corrected when they come up: the time follows the number of distinct words,
 * not the text.
 *
 * Ids: the control tokens first (bpe_special_tokens), then the 256 bytes, then one for each
 * merge.
 *
 * Threads: none; a trainer belongs to its caller.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define BPE_N_SPECIAL 3
#define BPE_MIN_VOCAB (BPE_N_SPECIAL + 256)
#define BPE_MAX_VOCAB (1 << 20)

/* 0 <|endoftext|> (bos, padding), 1 <|im_start|>, 2 <|im_end|> (eos) */
extern const char *const bpe_special_tokens[BPE_N_SPECIAL];

/* The chat template that goes with them: ChatML, as Jinja. */
extern const char bpe_chat_template[];

struct bpe_trainer;

struct bpe_trainer *bpe_trainer_create(struct err *e);
void bpe_trainer_destroy(struct bpe_trainer *t); /* accepts NULL */

/* Counts the words of a text (UTF-8). */
int bpe_trainer_feed(struct bpe_trainer *t, const char *text, size_t len, struct err *e);

/* Feeds every line of a JSONL file: {"text": ...} or {"messages": [{"content": ...}, ...]};
 * empty lines are skipped. Errors name the file and the line. */
int bpe_trainer_feed_jsonl(struct bpe_trainer *t, const char *path, struct err *e);

/* Merges until the vocabulary has vocab_size tokens. Fewer result when no pair occurs twice any
 * more. Call once, after all feeding. */
int bpe_trainer_run(struct bpe_trainer *t, size_t vocab_size, struct err *e);

size_t bpe_trainer_word_count(const struct bpe_trainer *t); /* distinct words */
size_t bpe_trainer_vocab_size(const struct bpe_trainer *t); /* after the run */

/* Writes a GGUF with the vocabulary and the ChatML template, and no tensors. */
int bpe_trainer_write(const struct bpe_trainer *t, const char *path, struct err *e);

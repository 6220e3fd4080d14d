/* split.h: cuts text into the words that a tokenizer merges within.
 *
 * A vocabulary was trained on words cut by certain regular expressions and is only right for
 * words cut by the same ones. GGUF files name them in `tokenizer.ggml.pre`; split_rule_find has
 * the table. A rule is a list of expressions: each cuts every piece that the one before left
 * into matches and the gaps between them.
 *
 * Rules of our own, whose names begin with "weir-", are for what llama.cpp has no name for.
 *
 * Bytes that are not UTF-8 never reach an expression; each run of them is a word.
 *
 * Threads: a splitter is immutable; split_words belongs to its caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

#define SPLIT_MAX_STAGES 6
#define SPLIT_MAX_TEXT   ((size_t)1 << 30)

struct split_rule {
    const char *names;                          /* as in tokenizer.ggml.pre, parted by blanks */
    const char *patterns[SPLIT_MAX_STAGES + 1]; /* PCRE2, ends with NULL */
    bool ignore_merges; /* a word that is in the vocabulary is that token, whatever the merges
                           say */
    bool add_bos;       /* when the file does not say */
    bool drops_space;   /* gaps, of white space, are no words */
    bool marks_spaces;  /* spaces are U+2581 before anything is cut; whoever splits does it */
};

/* NULL when no rule has this name. */
const struct split_rule *split_rule_find(const char *name, size_t len);

struct splitter;

struct splitter *splitter_create(const struct split_rule *rule, struct err *e);
void splitter_destroy(struct splitter *s); /* accepts NULL */

/* Where the words of a text end, in bytes: word i is [ends[i - 1], ends[i]). All-zero is empty.
 */
struct split_words {
    size_t *ends; /* (count) */
    size_t count;
    size_t cap;
    size_t *scratch; /* the other half of a pass */
    size_t scratch_cap;
};

void split_words_deinit(struct split_words *w);

/* Fills *out; what it held is forgotten. Every byte of the text is in exactly one word. */
int splitter_split(const struct splitter *s, const char *text, size_t len,
                   struct split_words *out, struct err *e);

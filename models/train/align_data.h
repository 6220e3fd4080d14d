/* align_data.h: answers to learn from by comparison: conversations as tokens, and pairs of
 * them.
 *
 * A file of preference pairs has a JSON object a line, in one of the forms in which they are
 * found:
 *
 *     {"messages": [...], "chosen": "...", "rejected": "..."}
 *     {"prompt": "..." or [...], "chosen": "...", "rejected": "..."}      (TRL)
 *     {"chosen": [...], "rejected": [...]}       whole conversations that end differently
 *     {"messages": [...], "ranking": ["best", ..., "worst"]}              each with each
 *
 * chosen and rejected may be texts, messages {"role": "assistant", "content": ...} or lists of
 * messages. Both are rendered by the model's own template as the server would (sft_render.h);
 * only the last answer and its end count.
 *
 * Ownership: a set owns its tokens. Threads: none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/train/sft_render.h"
#include "models/train/transformer.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"

/* A conversation that ends with an answer. */
struct align_doc {
    size_t first;      /* in the set's tokens */
    uint32_t n;        /* tokens */
    uint32_t n_answer; /* of them the answer's, with its end: what is compared */
};

struct align_pair {
    struct align_doc chosen, rejected;
};

struct align_set {
    struct buf tokens; /* uint32_t, with DATASET_LEARN at the answers */
    struct buf pairs;  /* struct align_pair */
    uint32_t longest;  /* tokens of the longest document */
};

void align_set_init(struct align_set *s);
void align_set_deinit(struct align_set *s);
size_t align_set_count(const struct align_set *s);
const struct align_pair *align_set_pair(const struct align_set *s, size_t i);

/* Adds the document of messages that end with the assistant's turn (borrowed). */
int align_set_add_doc(struct align_set *s, struct sft_renderer *r, const cJSON *messages,
                      struct align_doc *doc, struct err *e);

/* One line of a file of pairs; of a ranking of K answers all K (K - 1) / 2 pairs. */
int align_set_add_pair(struct align_set *s, struct sft_renderer *r, const cJSON *line,
                       struct err *e);

struct align_read_options {
    bool skip_malformed; /* else the first bad line is an error */
    uint32_t row;        /* longest document, tokens; longer ones count as malformed */
    void (*say)(void *ctx, const char *message); /* told of each line that is skipped; NULL */
    void *ctx;
};

struct align_counts {
    size_t pairs, skipped;
};

/* Reads a file of pairs; messages name file and line. A file without a pair is an error. */
int align_set_read(struct align_set *s, const char *path, struct sft_renderer *r,
                   const struct align_read_options *o, struct align_counts *counts,
                   struct err *e);

/* Adds a document whose tokens are known already: a prompt, and an answer of n_answer tokens
 * as it was sampled. */
int align_set_add_tokens(struct align_set *s, const int32_t *prompt, size_t n_prompt,
                         const int32_t *answer, size_t n_answer, struct align_doc *doc,
                         struct err *e);
void align_set_clear(struct align_set *s);

/* The document's tokens, n of them, with DATASET_LEARN at the answer's. */
const uint32_t *align_set_tokens(const struct align_set *s, const struct align_doc *doc);

/* Appends the document to the slice, whose capacity has room; targets are the answer's tokens.
 */
void align_slice_add(struct train_slice *slice, const struct align_set *s,
                     const struct align_doc *doc);
/* The same with a target at the document's last token alone: the one whose features are wanted
 * (transformer_features). */
void align_slice_add_end(struct train_slice *slice, const struct align_set *s,
                         const struct align_doc *doc);

/* The messages of a prompt as a new list with one more answer, to be rendered. NULL: no memory.
 */
cJSON *align_with_answer(const cJSON *messages, const char *answer);

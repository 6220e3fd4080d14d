/* transformer.h: loss and gradients of a llama-shaped transformer on one slice of documents.
 *
 * A slice is a run of whole documents, back to back, with no padding: positions restart and
 * attention stays inside each document, so nothing else needs to know where documents end. Rows
 * are tokens.
 *
 * What parameters have decides what is computed: low-rank pairs beside matrices (lora.h) are
 * gone through where there are any. What gradients point to decides what is learnt: those that
 * are NULL are not computed.
 *
 * Ownership: a workspace holds every activation for one slice at a time; it borrows parameters
 * and gradients on each call. Threads: one workspace a thread; nothing is allocated after
 * transformer_create.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/train/shape.h"
#include "runtime/base/err.h"

#define TRAIN_NO_TARGET UINT32_MAX

struct train_slice {
    uint32_t capacity; /* tokens there is room for */
    uint32_t n_tokens;
    uint32_t n_docs;
    uint32_t n_targets; /* how many targets are not TRAIN_NO_TARGET */
    uint32_t *tokens;   /* (n_tokens) */
    uint32_t
        *targets; /* (n_tokens) the next token, or TRAIN_NO_TARGET where nothing is learnt */
    uint32_t *positions;  /* (n_tokens) from 0 in each document */
    uint32_t *doc_ends;   /* (n_docs) index after the last token of each */
    const float *weights; /* (n_tokens) by which a target's loss and gradient are multiplied;
                             NULL: all 1. The caller's, never released here. */
};

int train_slice_init(struct train_slice *s, uint32_t capacity, struct err *e);
void train_slice_deinit(struct train_slice *s);

struct transformer;

/* Room for slices of at most max_tokens tokens and documents of at most shape->context. Where
 * what layers compute for so many tokens is more than TRANSFORMER_KEPT_BYTES, less of it is
 * kept, and made once more on the way back: the same numbers, later. The caller's, released
 * with transformer_destroy. */
#define TRANSFORMER_KEPT_BYTES (768u << 20)
struct transformer *transformer_create(const struct train_shape *shape, uint32_t max_tokens,
                                       struct err *e);

/* Without what norms and SwiGLU make, by a third less and hardly slower; or with most, keeping
 * only each layer's input and attention: by about a quarter slower. */
struct transformer *transformer_create_frugal(const struct train_shape *shape,
                                              uint32_t max_tokens, bool most, struct err *e);
void transformer_destroy(struct transformer *m);

/* The largest max_tokens for which everything is kept, at least 1. */
uint32_t transformer_kept_tokens(const struct train_shape *shape);

/* What a workspace for max_tokens tokens holds. */
size_t transformer_bytes(const struct train_shape *shape, uint32_t max_tokens);

/* Dropout of low-rank pairs (train_linear.dropout) in the calls that follow: another seed for
 * each slice of each step; 0, as at first, drops nothing. */
void transformer_set_dropout(struct transformer *m, uint64_t seed);

/* Returns the sum over targets of weight * -log p(target). */
double transformer_loss(struct transformer *m, const struct train_params *params,
                        const struct train_slice *slice);

/* The same, and adds to grads the gradient of scale * (that sum). */
double transformer_gradients(struct transformer *m, const struct train_params *params,
                             const struct train_params *grads, const struct train_slice *slice,
                             float scale);

/* out (n_tokens): log p of each token's target, and 0 where there is none. Weights do not
 * count. */
void transformer_logprobs(struct transformer *m, const struct train_params *params,
                          const struct train_slice *slice, float *out);

/* out (n_targets, vocab): logits at the tokens that have a target, in rising order. */
void transformer_logits(struct transformer *m, const struct train_params *params,
                        const struct train_slice *slice, float *out);

/* For losses of one's own: the residual stream behind the last norm at the tokens that have a
 * target, (n_targets, d_model), valid until the next call; then the gradient with regard to it
 * goes the way back, with the same parameters and slice and no call between. */
const float *transformer_features(struct transformer *m, const struct train_params *params,
                                  const struct train_slice *slice);
void transformer_features_backward(struct transformer *m, const struct train_params *params,
                                   const struct train_params *grads,
                                   const struct train_slice *slice, const float *dfeatures);

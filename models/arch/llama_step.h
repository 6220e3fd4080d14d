/* llama_step.h: the forward pass of a llama model over a batch of token rows.
 *
 * A step takes rows of any mix: chunks of prompts and single tokens of running sequences. It
 * stores each row's keys and values in its sequence's slot and leaves logits for the rows that
 * ask for them. A row's result depends on its token and the positions before it in its own
 * slot, on its adapter, and on nothing else in the batch (quant/q8.h and quant/ops.h say how
 * sums are ordered).
 *
 * Architecture: Touvron et al. 2023, with RMSNorm (Zhang and Sennrich 2019), rotary positions
 * on adjacent pairs (Su et al. 2021), grouped-query attention (Ainslie et al. 2023), SwiGLU
 * (Shazeer 2020); llama_config.h has the variants.
 *
 * Where ranks share the model (parallel.ranks) all of them call llama_step with the same rows,
 * in the same order, on caches with the same tables; rank 0 alone has logits afterwards, and
 * its give_up alone counts, for all.
 *
 * Threads: one step at a time for a state; work inside is shared out by `parallel`. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/arch/kv_cache.h"
#include "models/arch/llama_adapter.h"
#include "models/arch/llama_config.h"
#include "models/arch/llama_weights.h"
#include "models/parallel.h"
#include "quant/q8_kernel.h"

struct llama_row {
    int32_t token; /* 0 .. vocab - 1 */
    int32_t
        position; /* in the sequence, 0-based; those before it were stored by earlier rows */
    int32_t slot; /* of the KV cache */
    bool want_logits;
    /* Made for this model's configuration, or NULL. All rows of a slot have the same one, for
     * keys and values depend on it. Only where settings.adapters is set. */
    const struct llama_adapter *adapter;
};

struct llama_state; /* scratch for steps of up to max_rows rows */

struct llama_state_settings {
    int max_rows;
    int max_logits; /* rows of one step that may want logits, or vectors */
    int context;    /* positions; rotary tables and attention scratch are sized by it */
    enum llama_precision precision; /* that of the weights */
    const struct q8_kernel *kernel;
    const struct ops *ops;
    struct parallel parallel;
    const atomic_bool *give_up; /* set from any thread: the step ends early. NULL: never */
    bool adapters;              /* rows may have some */
    bool vectors; /* no logits are made: rows that want them get vectors, as in an encoder */
};

struct llama_state *llama_state_create(const struct llama_config *c,
                                       const struct llama_state_settings *s, struct err *e);
void llama_state_destroy(struct llama_state *s); /* accepts NULL */
int llama_state_max_rows(const struct llama_state *s);

/* Rows of one sequence must be adjacent and ascending in position; a position that is left out
 * was stored by others. Those of an encoder are a whole text, from position 0 on. n_rows: 1 ..
 * max_rows. The logits of the i-th row that wanted them are then llama_logits(s, i), (vocab)
 * floats, until the next step; of an encoder, or where settings.vectors is set, its vector is
 * llama_vector(s, i), (d_model) floats: the residual stream behind the last norm. False when
 * the step was given up: then there are no logits, and of keys and values only those of earlier
 * steps are there. */
bool llama_step(struct llama_state *s, const struct llama_weights *w, struct kv_cache *kv,
                const struct llama_row *rows, int n_rows);
const float *llama_logits(const struct llama_state *s, int i);
const float *llama_vector(const struct llama_state *s, int i);

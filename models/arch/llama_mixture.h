/* llama_mixture.h: a mixture of experts in a step: each row goes through the few feed-forward
 * networks that a router likes best for it (Shazeer et al. 2017; Jiang et al. 2024, Mixtral).
 * Private to models/arch.
 *
 * Rows are put in order of their experts, so that an expert's weights are read once a step for
 * all of its rows. A row's result depends on itself alone: its experts' outputs are added in
 * the order in which the router likes them, and of equals the first comes first.
 *
 * Where ranks share the model each has a part of every expert, so that all do the same work
 * whichever experts are liked.
 *
 * Threads: one step at a time; llama_mixture_run and llama_mixture_add are called by every
 * worker of the team. */
#pragma once

#include "models/arch/llama_exchange.h"
#include "models/arch/llama_step.h"

struct llama_mixture; /* scratch for steps of up to max_rows rows */

/* exchange: borrowed; it has room for llama_mixture_numbers. */
struct llama_mixture *llama_mixture_create(const struct llama_config *c,
                                           const struct llama_state_settings *s,
                                           struct llama_exchange *exchange, struct err *e);

/* That ranks exchange at once in a step of so many rows. */
size_t llama_mixture_numbers(const struct llama_config *c, size_t rows);
void llama_mixture_destroy(struct llama_mixture *m); /* accepts NULL */

/* normed: (n_rows, d_model), what the router looks at; in: the same rows, to be multiplied.
 * Every worker's rows must be there before, and all outputs are there when it returns. */
void llama_mixture_run(struct llama_mixture *m, const struct llama_experts *w,
                       const float *normed, const struct llama_input *in, size_t n_rows,
                       int worker, int n_workers);

/* Rows [r0, r1): update becomes what the experts made, and what it was, the shared network's
 * output, times the shared gate where there is one. */
void llama_mixture_add(struct llama_mixture *m, const struct llama_experts *w,
                       const float *normed, float *update, size_t r0, size_t r1);

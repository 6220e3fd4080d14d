/* llama_adapt.h: what adapters add to the products of a step. Private to models/arch:
 * llama_step.c calls it.
 *
 * Rows are put in order of their adapters once a step, so that a pair is read once for all rows
 * that want it. Each product takes two stages, with a barrier between: A x of all rows, then
 * B (A x) added to the outputs of a worker's own tiles. In what company a row is, and which
 * worker has it, changes no bit (quant/ops.h).
 *
 * Threads: begin and the choice of rows by one worker while the others wait; the stages by all
 * at the same time. */
#pragma once

#include "models/arch/llama_adapter.h"
#include "models/arch/llama_loader.h"
#include "models/arch/llama_step.h"

struct llama_adapt;

/* Scratch for steps of up to max_rows rows. NULL: no memory. */
struct llama_adapt *llama_adapt_create(int max_rows);
void llama_adapt_destroy(struct llama_adapt *a); /* accepts NULL */

/* Rows `which` of a step stand one after another from now on; NULL: all of them do. */
void llama_adapt_rows(struct llama_adapt *a, const struct llama_row *rows, const size_t *which,
                      size_t n);

/* Whether any of them has an adapter. */
bool llama_adapt_any(const struct llama_adapt *a);

/* This worker's share of A x. x: [rows][x_stride], the product's input before it is quantised.
 */
void llama_adapt_down(struct llama_adapt *a, const struct ops *ops, int layer,
                      enum llama_product product, const float *x, size_t x_stride, int worker,
                      int n_workers);

/* Adds B (A x) to outputs [16 tile0, 16 tile1) of y, [rows][y_stride]. */
void llama_adapt_up(const struct llama_adapt *a, const struct ops *ops, int layer,
                    enum llama_product product, float *y, size_t y_stride, size_t tile0,
                    size_t tile1);

/* self_test.h: does a freshly loaded model compute at all?
 *
 * Runs a short prompt through the model, once in one chunk and once token by token, and demands
 * finite logits that are bit for bit the same both ways; of an encoder, a text alone and beside
 * another one, and finite vectors. It also brings the weights into the
 * caches. */
#pragma once

#include "models/model.h"

/* ranks: those that share the model, which all come here; NULL: there are none. Rank 0 alone
 * has logits to look at. */
int self_test_run(const struct model *m, const struct ranks *ranks, uint32_t cpu_features,
                  struct err *e);

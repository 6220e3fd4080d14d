/* train_shape.h: a model's shape as a command line has it. */
#pragma once

#include <stdint.h>

#include "models/train/shape.h"

#define TRAIN_SHAPE_DEFAULT "256,6,8,4,704,1024"
#define TRAIN_SHAPE_HELP    "d_model, layers, heads, kv_heads, ffn, context"

/* "D,L,H,KV,FFN,CTX", a plain llama. */
int cli_parse_train_shape(const char *text, uint32_t vocab, struct train_shape *s,
                          struct err *e);

/* The tokens that a shard should work on at a time where nobody said: 2048, or as many as a
 * workspace holds without computing anything twice, and at least a document. */
uint32_t cli_default_slice(const struct train_shape *s, uint32_t row);

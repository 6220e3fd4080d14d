#include "runtime/cli/train_shape.h"

#include <stdio.h>

#include "models/train/transformer.h"

#define SLICE_TOKENS 2048

int cli_parse_train_shape(const char *text, uint32_t vocab, struct train_shape *s,
                          struct err *e)
{
    char rest;
    *s = (struct train_shape){.vocab = vocab, .rope_base = 10000.0f, .norm_eps = 1e-5f};
    if (sscanf(text, "%u,%u,%u,%u,%u,%u%c", &s->d_model, &s->n_layers, &s->n_heads,
               &s->n_kv_heads, &s->ffn, &s->context, &rest) != 6) {
        return err_set_param(e, ERR_INVALID, "shape",
                             "--shape \"%s\": six whole numbers are needed, "
                             "d_model,layers,heads,kv_heads,ffn,context",
                             text);
    }
    return train_shape_check(s, e);
}

uint32_t cli_default_slice(const struct train_shape *s, uint32_t row)
{
    uint32_t kept = transformer_kept_tokens(s);
    uint32_t slice = kept < SLICE_TOKENS ? kept : SLICE_TOKENS;
    return slice > row ? slice : row;
}

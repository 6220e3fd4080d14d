/* llama_loader.h: matrices and vectors of a model, out of a file. Private to models/arch:
 * llama_weights.c says which ones a model has.
 *
 * A model is walked through twice in the same order: first with `block` NULL, which adds up
 * sizes and checks shapes, then with memory, which fills it. Whatever fails leaves a message
 * that begins with the path. */
#pragma once

#include "models/arch/llama_config.h"
#include "models/arch/llama_matrix.h"
#include "models/arch/llama_weights.h"
#include "models/format/gguf.h"
#include "models/parallel.h"

struct llama_loader {
    const struct llama_config *c;
    const struct gguf *g;
    const struct parallel *p;
    struct err *e;
    enum llama_precision precision; /* of matrices */
    bool packed;                    /* matrices stay in the file */
    unsigned char *block;           /* NULL while sizes are added up */
    size_t at;                      /* bytes of the block handed out */
    size_t tensors_used;
};

/* Takes Q8_ALIGN-aligned bytes of the block; NULL while sizes are added up. */
void *llama_load_take(struct llama_loader *l, size_t bytes);

/* Whose rows lie in heads: those of queries and keys may have to be put into pairs. Of a vector
 * in head rows the tensor has a row for each head. */
enum llama_heads { LLAMA_NO_HEADS, LLAMA_HEADS, LLAMA_HEAD_ROWS };

/* Rows [first, first + rows) of a tensor. */
struct llama_part {
    const char *tensor; /* "attn_q" */
    size_t rows;        /* 0: no part */
    size_t first, of;   /* of how many rows, if the tensor has others too; 0: it has not */
    enum llama_heads heads;
};

/* A matrix that is made of up to three runs of rows, or lies as one tensor in a packed file.
 * All runs but the last have a multiple of Q8_TILE rows, so that each begins with a tile of its
 * own. */
#define LLAMA_PARTS_MAX 3
struct llama_source {
    int layer;          /* -1: of none */
    const char *packed; /* tensor in a packed file, without ".packed" */
    bool in_heads;      /* runs of query, key and value heads, by which they are shared out */
    bool bias;          /* the tensors have biases beside the weights */
    struct llama_part parts[LLAMA_PARTS_MAX];
};

/* The matrices of a layer that all tokens go through. */
enum llama_product {
    LLAMA_PRODUCT_QKV,
    LLAMA_PRODUCT_OUT,
    LLAMA_PRODUCT_GATE_UP,
    LLAMA_PRODUCT_DOWN,
    LLAMA_PRODUCTS
};

/* What one of them is made of. Returns the numbers of a row, its inputs. */
size_t llama_source_of(const struct llama_config *c, int layer, enum llama_product product,
                       struct llama_source *from);

/* n rows of k floats of the tensor "blk.LAYER.PART.SUFFIX". */
int llama_load_floats(struct llama_loader *l, int layer, const char *part, const char *suffix,
                      size_t n, size_t k, enum llama_heads heads, const float **out);

int llama_load_matrix(struct llama_loader *l, struct llama_matrix *out, size_t k,
                      const struct llama_source *from);

/* The matrix and, where the source says so, its bias. */
int llama_load_linear(struct llama_loader *l, struct llama_linear *out, size_t k,
                      const struct llama_source *from);

/* guard_model.h: a small text classifier: what it is made of, its file, its scores.
 *
 * A sentence's words become hashes (guard_words.h), each hash a row of a table of int8. Three
 * vectors are made of the rows, with exact integers: the sum over the words as such, the sum
 * over the runs of letters, and the greatest of all words in each dimension, so that one word
 * counts however long the sentence is. They go through one hidden layer to a probability for
 * each category. Categories do not exclude each other.
 *
 *     x = [ words * scale / sqrt(n_words) | runs * scale / sqrt(n_runs) | greatest * scale ]
 *     h = max(0, hidden_bias + x * hidden)            sums in ascending order of x
 *     p = 1 / (1 + exp(-(output_bias + h * output)))  sums in ascending order of h
 *
 * Everything but integers is IEEE float and double without fused operations, exp is a
 * polynomial of our own, so a sentence has the same scores on every machine.
 *
 * The file, little-endian:
 *
 *     8 bytes    "WEIRGRD1"
 *     u32        dims: numbers in a row, a multiple of 8 up to GUARD_DIMS_MAX
 *     u32        bits: the table has 1 << bits rows, GUARD_BITS_MIN to GUARD_BITS_MAX
 *     u32        hidden: a multiple of 8 up to GUARD_HIDDEN_MAX
 *     u32        GUARD_CATEGORIES
 *     f32        thresholds [categories], each above 0 and below 1
 *     f32        scale
 *     f32        hidden [3 * dims][hidden], hidden_bias [hidden]
 *     f32        output [hidden][categories], output_bias [categories]
 *     i8         table [1 << bits][dims]
 *     64 bytes   SHA-256 in hex of all bytes before
 *
 * Threads: a model is read-only once it is made. Ownership: the caller's, guard_model_destroy.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum guard_category {
    GUARD_HARASSMENT,
    GUARD_VIOLENCE,
    GUARD_SELF_HARM,
    GUARD_SEXUAL,
    GUARD_ILLICIT,
    GUARD_INJECTION,
    GUARD_CATEGORIES,
};

/* "harassment", "violence", "self-harm" ...: as OpenAI's moderations call them, where they do.
 */
extern const char *const guard_category_names[GUARD_CATEGORIES];

#define GUARD_DIMS_MAX   64
#define GUARD_BITS_MIN   4
#define GUARD_BITS_MAX   20
#define GUARD_HIDDEN_MAX 128

struct guard_shape {
    uint32_t dims, bits, hidden;
};

/* All of it, for those who make one. Arrays as in the file. */
struct guard_model {
    struct guard_shape shape;
    float thresholds[GUARD_CATEGORIES]; /* recommended */
    float scale;
    float *hidden, *hidden_bias;
    float *output, *output_bias;
    int8_t *table;
};

/* Zeroed arrays of this shape. NULL when out of memory. */
struct guard_model *guard_model_create(const struct guard_shape *shape);
void guard_model_destroy(struct guard_model *model); /* accepts NULL */

/* Reads a file's bytes, which are not kept. Whatever is wrong with them is an error: wrong
 * sizes, numbers that are not finite, another checksum. */
struct guard_model *guard_model_read(const void *data, size_t len, struct err *e);
/* Appends the file. 0, or -1 with *e. */
int guard_model_write(const struct guard_model *model, struct buf *out, struct err *e);

/* The scores, 0 to 1, of a text of any length; meant for a sentence. A text without words is
 * 0 in all. */
void guard_model_score(const struct guard_model *model, const char *text, size_t len,
                       float scores[GUARD_CATEGORIES]);

/* The same before the sigmoid; -infinity without words. */
void guard_model_logits(const struct guard_model *model, const char *text, size_t len,
                        float z[GUARD_CATEGORIES]);

/* The layers behind the table, of x [3 * dims]: h [hidden] and, before the sigmoid, z. */
void guard_model_layers(const struct guard_model *model, const float *x, float *h,
                        float z[GUARD_CATEGORIES]);

/* 1 / (1 + exp(-z)), the same bits everywhere. */
float guard_sigmoid(float z);

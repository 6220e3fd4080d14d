/* tensor_type.h: the number formats that a GGUF tensor may have.
 *
 * A tensor is stored as rows along its first dimension; each row is cut into blocks of
 * `block_size` numbers that take `block_bytes` bytes. The table names every type of the GGUF
 * specification, so that any file can be described; those of enum tensor_type but I8 can be
 * turned into numbers (block_types.h has the formulas).
 *
 * Source: GGUF v3 specification, "enum ggml_type". Threads: all functions are pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tensor_type {
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q5_0 = 6,
    TENSOR_Q5_1 = 7,
    TENSOR_Q8_0 = 8,
    TENSOR_Q2_K = 10,
    TENSOR_Q3_K = 11,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_IQ4_NL = 20,
    TENSOR_IQ4_XS = 23,
    TENSOR_I8 = 24, /* bytes of no numeric meaning here */
    TENSOR_BF16 = 30,
    TENSOR_MXFP4 = 39,
};

struct tensor_type_info {
    uint32_t type;        /* as in the file */
    const char *name;     /* "q8_0" */
    uint32_t block_size;  /* numbers in a block */
    uint32_t block_bytes; /* bytes of a block */
};

/* NULL when no such type is known. */
const struct tensor_type_info *tensor_type_info(uint32_t type);

/* The type called `name` ("f32", "q8_0"), letter case ignored; NULL when there is none. */
const struct tensor_type_info *tensor_type_find(const char *name);

/* Bytes of a row of n numbers. 0 when the type is unknown, n is not a whole number of blocks,
 * or the product overflows. */
uint64_t tensor_type_row_bytes(uint32_t type, uint64_t n);

/* Whether tensor_row_to_f32 knows the type, and the names of all that it knows, for messages.
 */
bool tensor_type_readable(uint32_t type);
#define TENSOR_READABLE_NAMES                                                              \
    "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, " \
    "iq4_xs and mxfp4"

/* Turns n numbers that begin at src into f32. src: tensor_type_row_bytes(type, n) bytes at any
 * address; dst: (n). Returns 0, or -1 when the type is not readable or n is not a whole number
 * of blocks. */
int tensor_row_to_f32(uint32_t type, const void *src, float *dst, size_t n);

/* Stores n numbers as f32, f16 or q8_0. src: (n); dst: tensor_type_row_bytes(type, n) bytes at
 * any address. Returns 0, or -1 when a number is not finite or too large for the type, the type
 * is another one or n is not a whole number of blocks. */
int tensor_row_from_f32(uint32_t type, const float *src, void *dst, size_t n);

float f16_to_f32(uint16_t h); /* IEEE 754 binary16, subnormals, infinities and NaN included */
uint16_t
f16_from_f32(float f); /* rounds to nearest, ties to even; too large becomes infinity */
float bf16_to_f32(uint16_t h);

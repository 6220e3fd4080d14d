/* block_types.h: numbers out of the block formats of GGUF files.
 *
 * A block holds 32 or 256 numbers of few bits with scales, some with minima:
 *
 *     q4_0 q5_0          scale * (q - offset)                      one f16 scale for 32
 *     q4_1 q5_1          scale * q + minimum                       both f16, for 32
 *     q2_k q4_k q5_k     scale * part_scale * q - min * part_min   parts of 16 or 32 in 256
 *     q3_k q6_k          scale * part_scale * (q - offset)         parts of 16 in 256
 *     iq4_nl iq4_xs      scale * part_scale * table[q]             table of 16 uneven steps
 *     mxfp4              2^exponent * table[q]                     OCP MX 1.0: e2m1 for 32
 *
 * Products and sums are taken in float in the order written above, each rounded.
 *
 * Source: GGUF v3 specification; layouts as ggml-common.h gives them. Threads: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether block_row_to_f32 knows the type, given as in the file. */
bool block_type_known(uint32_t type);

/* Turns a row of n numbers, whole blocks, into f32: src at any address, dst (n). 0, or -1 when
 * the type is not known. */
int block_row_to_f32(uint32_t type, const unsigned char *src, float *dst, size_t n);

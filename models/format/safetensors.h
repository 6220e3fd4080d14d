/* safetensors.h: reads the tensors of a folder as Hugging Face lays models out:
 * model.safetensors, or the files that model.safetensors.index.json names.
 *
 * A file is a length, a JSON table of tensors and their bytes. It is untrusted: every length,
 * shape, type and offset is checked against the bytes that are there.
 *
 * Ownership: everything returned is borrowed and lives until safetensors_close; files are
 * mapped and must not be rewritten in place until then. Threads: immutable after opening.
 * Source: github.com/huggingface/safetensors, "Format".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/format/tensor_type.h"
#include "runtime/base/err.h"

#define SAFETENSORS_MAX_DIMS 4

struct safetensor {
    const char *name;
    uint32_t type;                       /* TENSOR_F32, TENSOR_F16 or TENSOR_BF16 */
    size_t n_dims;                       /* 1..SAFETENSORS_MAX_DIMS */
    uint64_t dims[SAFETENSORS_MAX_DIMS]; /* outermost first: a matrix is {n_out, n_in} */
    const unsigned char *data;           /* at any address */
};

struct safetensors;

/* NULL on failure; the message begins with the path at fault. */
struct safetensors *safetensors_open(const char *folder, struct err *e);
void safetensors_close(struct safetensors *s); /* accepts NULL */

/* -1 when a file was cut short since it was opened: what is gone was read as zeroes. */
int safetensors_check_whole(const struct safetensors *s, struct err *e);

size_t safetensors_count(const struct safetensors *s);
const struct safetensor *safetensors_at(const struct safetensors *s, size_t i);

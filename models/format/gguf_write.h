/* gguf_write.h: builds a GGUF v3 file in memory and writes it in one step.
 *
 * Make a writer, put metadata, add tensors, write. The file appears under its name only when it
 * is whole: the bytes go to PATH.tmp, which is synced and renamed.
 *
 * Errors stick: after a put or an add failed, the others do nothing and gguf_writer_write
 * reports the first failure. So a run of puts needs no checks between them.
 *
 * Ownership: keys, values and names are copied. Tensor data is borrowed and must live until the
 * write. Threads: none; a writer belongs to its caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/format/gguf.h"
#include "runtime/base/err.h"

struct gguf_writer;

struct gguf_writer *gguf_writer_create(struct err *e);
void gguf_writer_destroy(struct gguf_writer *w); /* accepts NULL */

/* Tensors begin at multiples of `alignment` bytes, a power of two of 32 to
 * GGUF_WRITE_ALIGNMENT_MAX; GGUF_DEFAULT_ALIGNMENT without this call. At most once. */
#define GGUF_WRITE_ALIGNMENT_MAX 4096
void gguf_writer_align(struct gguf_writer *w, uint32_t alignment);

/* Metadata. Putting a key a second time is a failure. `general.alignment` may not be put:
 * gguf_writer_align does it. */
void gguf_put_u8(struct gguf_writer *w, const char *key, uint8_t v);
void gguf_put_i8(struct gguf_writer *w, const char *key, int8_t v);
void gguf_put_u16(struct gguf_writer *w, const char *key, uint16_t v);
void gguf_put_i16(struct gguf_writer *w, const char *key, int16_t v);
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_i32(struct gguf_writer *w, const char *key, int32_t v);
void gguf_put_u64(struct gguf_writer *w, const char *key, uint64_t v);
void gguf_put_i64(struct gguf_writer *w, const char *key, int64_t v);
void gguf_put_f32(struct gguf_writer *w, const char *key, float v);
void gguf_put_f64(struct gguf_writer *w, const char *key, double v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_str(struct gguf_writer *w, const char *key, const char *v);
void gguf_put_bytes(struct gguf_writer *w, const char *key, const char *v, size_t len);
void gguf_put_strs(struct gguf_writer *w, const char *key, const struct gguf_str *v,
                   size_t count);
/* item_type: any number type or GGUF_BOOL; v: (count) items as C has them. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type item_type,
                    const void *v, size_t count);

/* Copies every key that begins with `prefix` ("tokenizer.", or "" for all) and that has not
 * been put yet, but not general.alignment nor split.*, which describe a file and not the model.
 */
void gguf_put_copies(struct gguf_writer *w, const struct gguf *from, const char *prefix);

/* Adds a tensor. dims: (n_dims), innermost first; data: the rows, as tensor_type_row_bytes
 * counts them, borrowed. */
void gguf_add_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
                     const uint64_t *dims, const void *data);

/* Writes the file. Returns 0, or -1 with the first failure of all; then PATH is as it was
 * before. */
int gguf_writer_write(struct gguf_writer *w, const char *path, struct err *e);

/* gguf.h: reads GGUF model files, versions 2 and 3, little-endian.
 *
 * A GGUF file is a header, typed key-value metadata, a table of tensors, padding, and the
 * tensors' bytes. The whole file is untrusted: gguf_open checks every count, length, type,
 * offset and size against the bytes that are there before it uses them, and allocates in
 * proportion to the file, never to what the file claims. After it returned, everything
 * reachable through this header is inside the mapping.
 *
 * The file is mapped read-only and private. Tensor data stays in the mapping, so the file must
 * not be rewritten in place while it is open (replace it by rename instead). What is cut off
 * meanwhile reads as zeroes: gguf_check_whole tells afterwards. Users that outlive the file
 * copy what they need, or gguf_detach.
 *
 * Ownership: everything returned is borrowed from the struct gguf and lives until gguf_close.
 * Threads: immutable after gguf_open; any number of threads may read.
 * Source: GGUF specification (ggml/docs/gguf.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/format/tensor_type.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define GGUF_MAX_DIMS          4
#define GGUF_DEFAULT_ALIGNMENT 32
#define GGUF_MAX_KEY           65535 /* bytes, as the specification has it */
#define GGUF_MAX_TENSOR_NAME   64

enum gguf_type {
    GGUF_U8 = 0,
    GGUF_I8 = 1,
    GGUF_U16 = 2,
    GGUF_I16 = 3,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10,
    GGUF_I64 = 11,
    GGUF_F64 = 12,
};

/* Bytes from the file; may hold any byte, and is not NUL-terminated. */
struct gguf_str {
    const char *data;
    size_t len;
};

struct gguf_kv {
    const char *key; /* NUL-terminated copy, without NUL inside */
    enum gguf_type type;
    enum gguf_type item_type;  /* GGUF_ARRAY: type of the items, never GGUF_ARRAY */
    uint64_t count;            /* GGUF_ARRAY: number of items; else 1 */
    const unsigned char *data; /* encoded value or first item, little-endian, unaligned */
    uint64_t size;             /* bytes at data */
    struct gguf_str *strings;  /* (count) for strings and arrays of strings; else NULL */
};

struct gguf_tensor {
    const char *name; /* NUL-terminated copy */
    uint32_t type;    /* enum tensor_type, or another type that tensor_type_info knows */
    uint32_t n_dims;  /* 1..GGUF_MAX_DIMS */
    uint64_t
        dims[GGUF_MAX_DIMS]; /* innermost first: a matrix is {n_in, n_out}; unused ones are 1 */
    uint64_t n_elements;
    uint64_t offset; /* from the beginning of the file */
    uint64_t size;   /* bytes */
    const void *data;
};

struct gguf;

/* Maps and checks a file, and where it is the first of several that hold a model
 * (NAME-00001-of-00003.gguf) the others beside it: their tensors are then among its own. NULL
 * on failure; the message begins with the path. */
struct gguf *gguf_open(const char *path, struct err *e);

/* The same for bytes in memory, which are borrowed until gguf_close; `name` stands in for the
 * path in messages and is copied. */
struct gguf *gguf_open_memory(const void *data, size_t len, const char *name, struct err *e);

void gguf_close(struct gguf *g); /* accepts NULL */

const char *gguf_path(const struct gguf *g);
uint64_t gguf_file_size(const struct gguf *g); /* of all files of the model */
uint32_t gguf_version(const struct gguf *g);
uint32_t gguf_alignment(const struct gguf *g);

/* The SHA-256 of the whole file, of several one after another, in hex. Reads every byte: slow
 * for a large file. Pages that it brought in are given back; those of a mapping that is in use
 * come again. */
int gguf_sha256(const struct gguf *g, char out[HASH_HEX_LEN + 1], struct err *e);

/* Whether all that was read so far was there: -1 when the file was cut short meanwhile. */
int gguf_check_whole(const struct gguf *g, struct err *e);

/* Copies the file into memory; all pointers into it stay. From now on nothing that happens to
 * the file is seen. On failure it is as usable as before, and no more. */
int gguf_detach(struct gguf *g, struct err *e);

/* `len` bytes of the file were read and will not be for a while: a mapped file's pages go back
 * to the system, so that a model that is copied out of its file is not in memory twice. They
 * can still be read. */
void gguf_give_back(const struct gguf *g, const void *data, size_t len);

/* --- metadata --- */

size_t gguf_kv_count(const struct gguf *g);
const struct gguf_kv *gguf_kv_at(const struct gguf *g,
                                 size_t i); /* file order; i < gguf_kv_count */
const struct gguf_kv *gguf_kv_find(const struct gguf *g,
                                   const char *key); /* NULL when absent */
const char *gguf_type_name(enum gguf_type type);     /* "u32", "string", "array" */
size_t
gguf_type_size(enum gguf_type type); /* bytes; 0 for strings, arrays and what is no type */

/* Each puts the value of `key` in *out. Returns 0, or -1 with a message that names the file and
 * the key: ERR_NOT_FOUND when it is absent, ERR_FORMAT when it has another type or does not
 * fit. Integers are taken from any integer type whose value fits; the floats from F32 or F64.
 * *out is untouched on failure, so that a default set before stands (see gguf_has for optional
 * keys). */
int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, struct err *e);
int gguf_get_u64(const struct gguf *g, const char *key, uint64_t *out, struct err *e);
int gguf_get_i32(const struct gguf *g, const char *key, int32_t *out, struct err *e);
int gguf_get_f32(const struct gguf *g, const char *key, float *out, struct err *e);
int gguf_get_bool(const struct gguf *g, const char *key, bool *out, struct err *e);
int gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *out, struct err *e);

bool gguf_has(const struct gguf *g, const char *key);

/* Arrays. The strings are a borrowed array of *count. The numbers are read one by one from the
 * checked entry that gguf_get_array found, because the file does not align them; the item type
 * must be exactly `item_type`. */
int gguf_get_strs(const struct gguf *g, const char *key, const struct gguf_str **out,
                  size_t *count, struct err *e);
int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type item_type,
                   const struct gguf_kv **out, size_t *count, struct err *e);
int32_t gguf_array_i32(const struct gguf_kv *kv, size_t i); /* item type I32; i < count */
float gguf_array_f32(const struct gguf_kv *kv, size_t i);   /* item type F32; i < count */

/* Writes item i (0 for a scalar) of numbers or bools as text: "-3", "0.5", "nan", "true".
 * Floats have as few digits as give the same number back. kv is not a string or an array of
 * strings; i < count. */
#define GGUF_NUMBER_TEXT 32
void gguf_format_number(const struct gguf_kv *kv, size_t i, char out[GGUF_NUMBER_TEXT]);

/* --- tensors --- */

size_t gguf_tensor_count(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i); /* file order */
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g,
                                           const char *name); /* or NULL */

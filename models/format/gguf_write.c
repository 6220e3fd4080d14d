#include "models/format/gguf_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

struct writer_tensor {
    char *name;
    uint32_t type;
    uint32_t n_dims;
    uint64_t dims[GGUF_MAX_DIMS];
    uint64_t size;
    const void *data; /* borrowed */
};

struct gguf_writer {
    struct buf metadata; /* key-value pairs as in the file */
    char **keys;         /* (n_keys), for finding duplicates */
    size_t n_keys;
    struct writer_tensor *tensors;
    size_t n_tensors;
    uint32_t alignment;
    bool failed;
    struct err first; /* meaningful when failed */
};

struct gguf_writer *gguf_writer_create(struct err *e)
{
    struct gguf_writer *w = mem_zalloc(sizeof *w);

    if (!w) {
        err_nomem(e);
        return NULL;
    }
    buf_init(&w->metadata, SIZE_MAX / 2);
    w->alignment = GGUF_DEFAULT_ALIGNMENT;
    return w;
}

void gguf_writer_destroy(struct gguf_writer *w)
{
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->n_keys; i++) {
        mem_free(w->keys[i]);
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        mem_free(w->tensors[i].name);
    }
    mem_free(w->keys);
    mem_free(w->tensors);
    buf_deinit(&w->metadata);
    mem_free(w);
}

static void fail_nomem(struct gguf_writer *w)
{
    w->failed = true;
    err_nomem(&w->first);
}

static void append_u32(struct buf *b, uint32_t v)
{
    const unsigned char bytes[4] = {(unsigned char)v, (unsigned char)(v >> 8),
                                    (unsigned char)(v >> 16), (unsigned char)(v >> 24)};

    buf_append(b, bytes, sizeof bytes);
}

static void append_u64(struct buf *b, uint64_t v)
{
    append_u32(b, (uint32_t)v);
    append_u32(b, (uint32_t)(v >> 32));
}

static void append_str(struct buf *b, const char *s, size_t len)
{
    append_u64(b, len);
    buf_append(b, s, len);
}

/* Numbers of 1, 2, 4 or 8 bytes, written little-endian whatever the machine is. */
static void append_number(struct buf *b, const void *v, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    buf_append(b, v, size);
#else
    for (size_t i = size; i-- > 0;)
        buf_append_char(b, ((const char *)v)[i]);
#endif
}

static bool has_key(const struct gguf_writer *w, const char *key)
{
    for (size_t i = 0; i < w->n_keys; i++) {
        if (strcmp(w->keys[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static const char alignment_key[] = "general.alignment";

/* Writes the key and the type; false when the value must not follow. */
static bool add_key(struct gguf_writer *w, const char *key, enum gguf_type type)
{
    char **keys = mem_realloc_array(w->keys, w->n_keys + 1, sizeof *keys);
    if (!keys) {
        fail_nomem(w);
        return false;
    }
    w->keys = keys;
    keys[w->n_keys] = mem_strdup(key);
    if (!keys[w->n_keys]) {
        fail_nomem(w);
        return false;
    }
    w->n_keys++;
    append_str(&w->metadata, key, strlen(key));
    append_u32(&w->metadata, type);
    return true;
}

/* The same for a key of the caller's. */
static bool begin_kv(struct gguf_writer *w, const char *key, enum gguf_type type)
{
    if (w->failed) {
        return false;
    }
    if (key[0] == '\0' || strcmp(key, alignment_key) == 0 || has_key(w, key)) {
        w->failed = true;
        err_set(&w->first, ERR_INVALID, "metadata key \"%s\" is empty, reserved or put twice",
                key);
        return false;
    }
    return add_key(w, key, type);
}

static void end_kv(struct gguf_writer *w)
{
    if (w->metadata.failed) {
        fail_nomem(w);
    }
}

void gguf_writer_align(struct gguf_writer *w, uint32_t alignment)
{
    const bool sane = alignment >= GGUF_DEFAULT_ALIGNMENT &&
                      alignment <= GGUF_WRITE_ALIGNMENT_MAX &&
                      (alignment & (alignment - 1)) == 0 && !has_key(w, alignment_key);

    if (!w->failed && !sane) {
        w->failed = true;
        err_set(&w->first, ERR_INVALID,
                "tensors can be aligned once, to a power of two of 32 to 4096, not to %u",
                alignment);
    }
    if (!w->failed && add_key(w, alignment_key, GGUF_U32)) {
        append_u32(&w->metadata, alignment);
        w->alignment = alignment;
        end_kv(w);
    }
}

static void put_number(struct gguf_writer *w, const char *key, enum gguf_type type,
                       const void *v, size_t size)
{
    if (!begin_kv(w, key, type)) {
        return;
    }
    append_number(&w->metadata, v, size);
    end_kv(w);
}

void gguf_put_u8(struct gguf_writer *w, const char *key, uint8_t v)
{
    put_number(w, key, GGUF_U8, &v, sizeof v);
}

void gguf_put_i8(struct gguf_writer *w, const char *key, int8_t v)
{
    put_number(w, key, GGUF_I8, &v, sizeof v);
}

void gguf_put_u16(struct gguf_writer *w, const char *key, uint16_t v)
{
    put_number(w, key, GGUF_U16, &v, sizeof v);
}

void gguf_put_i16(struct gguf_writer *w, const char *key, int16_t v)
{
    put_number(w, key, GGUF_I16, &v, sizeof v);
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    put_number(w, key, GGUF_U32, &v, sizeof v);
}

void gguf_put_i32(struct gguf_writer *w, const char *key, int32_t v)
{
    put_number(w, key, GGUF_I32, &v, sizeof v);
}

void gguf_put_u64(struct gguf_writer *w, const char *key, uint64_t v)
{
    put_number(w, key, GGUF_U64, &v, sizeof v);
}

void gguf_put_i64(struct gguf_writer *w, const char *key, int64_t v)
{
    put_number(w, key, GGUF_I64, &v, sizeof v);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float v)
{
    put_number(w, key, GGUF_F32, &v, sizeof v);
}

void gguf_put_f64(struct gguf_writer *w, const char *key, double v)
{
    put_number(w, key, GGUF_F64, &v, sizeof v);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    const uint8_t byte = v;

    put_number(w, key, GGUF_BOOL, &byte, sizeof byte);
}

void gguf_put_str(struct gguf_writer *w, const char *key, const char *v)
{
    gguf_put_bytes(w, key, v, strlen(v));
}

void gguf_put_bytes(struct gguf_writer *w, const char *key, const char *v, size_t len)
{
    if (!begin_kv(w, key, GGUF_STRING)) {
        return;
    }
    append_str(&w->metadata, v, len);
    end_kv(w);
}

void gguf_put_strs(struct gguf_writer *w, const char *key, const struct gguf_str *v,
                   size_t count)
{
    if (!begin_kv(w, key, GGUF_ARRAY)) {
        return;
    }
    append_u32(&w->metadata, GGUF_STRING);
    append_u64(&w->metadata, count);
    for (size_t i = 0; i < count; i++) {
        append_str(&w->metadata, v[i].data, v[i].len);
    }
    end_kv(w);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type item_type,
                    const void *v, size_t count)
{
    const size_t size = gguf_type_size(item_type);

    if (size == 0 && !w->failed) {
        w->failed = true;
        err_set(&w->first, ERR_INVALID, "metadata key \"%s\": items of type %s", key,
                gguf_type_name(item_type));
    }
    if (!begin_kv(w, key, GGUF_ARRAY)) {
        return;
    }
    append_u32(&w->metadata, item_type);
    append_u64(&w->metadata, count);
    for (size_t i = 0; i < count; i++) {
        append_number(&w->metadata, (const char *)v + i * size, size);
    }
    end_kv(w);
}

void gguf_put_copies(struct gguf_writer *w, const struct gguf *from, const char *prefix)
{
    const size_t prefix_len = strlen(prefix);

    for (size_t i = 0; i < gguf_kv_count(from); i++) {
        const struct gguf_kv *kv = gguf_kv_at(from, i);

        if (strncmp(kv->key, prefix, prefix_len) != 0 || has_key(w, kv->key) ||
            strcmp(kv->key, alignment_key) == 0 || strncmp(kv->key, "split.", 6) == 0) {
            continue;
        }
        if (!begin_kv(w, kv->key, kv->type)) {
            return;
        }
        if (kv->type == GGUF_ARRAY) {
            append_u32(&w->metadata, kv->item_type);
            append_u64(&w->metadata, kv->count);
        }
        buf_append(&w->metadata, kv->data, kv->size);
        end_kv(w);
    }
}

/* Checks a tensor's shape and counts its bytes; 0 when it can not be written. */
static uint64_t tensor_bytes(uint32_t type, uint32_t n_dims, const uint64_t *dims)
{
    if (n_dims < 1 || n_dims > GGUF_MAX_DIMS) {
        return 0;
    }
    uint64_t bytes = tensor_type_row_bytes(type, dims[0]);
    for (uint32_t i = 1; i < n_dims; i++) {
        if (__builtin_mul_overflow(bytes, dims[i], &bytes)) {
            return 0;
        }
    }
    return bytes;
}

void gguf_add_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
                     const uint64_t *dims, const void *data)
{
    if (w->failed) {
        return;
    }
    const uint64_t size = tensor_bytes(type, n_dims, dims);
    if (size == 0 || name[0] == '\0' || strlen(name) > GGUF_MAX_TENSOR_NAME) {
        w->failed = true;
        err_set(&w->first, ERR_INVALID, "tensor \"%s\": bad name, type or dimensions", name);
        return;
    }
    struct writer_tensor *tensors =
        mem_realloc_array(w->tensors, w->n_tensors + 1, sizeof *tensors);
    if (!tensors) {
        fail_nomem(w);
        return;
    }
    w->tensors = tensors;
    struct writer_tensor *t = &tensors[w->n_tensors];
    *t = (struct writer_tensor){
        .name = mem_strdup(name), .type = type, .n_dims = n_dims, .size = size, .data = data};
    if (!t->name) {
        fail_nomem(w);
        return;
    }
    memcpy(t->dims, dims, n_dims * sizeof *dims);
    w->n_tensors++;
}

static uint64_t padded(const struct gguf_writer *w, uint64_t n)
{
    return (n + w->alignment - 1) / w->alignment * w->alignment;
}

/* Everything before the tensors' bytes. */
static int build_head(const struct gguf_writer *w, struct buf *head)
{
    uint64_t offset = 0;

    buf_append(head, "GGUF", 4);
    append_u32(head, 3);
    append_u64(head, w->n_tensors);
    append_u64(head, w->n_keys);
    buf_append(head, w->metadata.data, w->metadata.len);
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct writer_tensor *t = &w->tensors[i];

        append_str(head, t->name, strlen(t->name));
        append_u32(head, t->n_dims);
        for (uint32_t d = 0; d < t->n_dims; d++) {
            append_u64(head, t->dims[d]);
        }
        append_u32(head, t->type);
        append_u64(head, offset);
        offset += padded(w, t->size);
    }
    while (head->len % w->alignment != 0 && !head->failed) {
        buf_append_char(head, 0);
    }
    return head->failed ? -1 : 0;
}

static int write_all(int fd, const void *data, uint64_t len)
{
    const char *p = data;

    while (len > 0) {
        const ssize_t n = write(fd, p, len < 1 << 30 ? (size_t)len : 1 << 30);

        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        p += n;
        len -= (uint64_t)n;
    }
    return 0;
}

static int write_body(const struct gguf_writer *w, int fd, const struct buf *head)
{
    static const char zeros[GGUF_WRITE_ALIGNMENT_MAX];

    if (write_all(fd, head->data, head->len) != 0) {
        return -1;
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct writer_tensor *t = &w->tensors[i];

        if (write_all(fd, t->data, t->size) != 0 ||
            write_all(fd, zeros, padded(w, t->size) - t->size) != 0) {
            return -1;
        }
    }
    return fsync(fd);
}

int gguf_writer_write(struct gguf_writer *w, const char *path, struct err *e)
{
    struct buf head;
    char *temporary = NULL;
    int fd = -1;
    int rc = -1;

    buf_init(&head, SIZE_MAX / 2);
    if (w->failed) {
        *e = w->first;
        err_prefix(e, "%s", path);
        goto cleanup;
    }
    const size_t path_len = strlen(path);
    temporary = mem_alloc(path_len + sizeof ".tmp");
    if (!temporary || build_head(w, &head) != 0) {
        err_nomem(e);
        goto cleanup;
    }
    memcpy(temporary, path, path_len);
    memcpy(temporary + path_len, ".tmp", sizeof ".tmp");
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        err_set_errno(e, errno, "%s: cannot create", temporary);
        goto cleanup;
    }
    if (write_body(w, fd, &head) != 0) {
        err_set_errno(e, errno, "%s: cannot write", temporary);
        goto cleanup;
    }
    if (close(fd) != 0) {
        fd = -1;
        err_set_errno(e, errno, "%s: cannot write", temporary);
        goto cleanup;
    }
    fd = -1;
    if (rename(temporary, path) != 0) {
        err_set_errno(e, errno, "%s: cannot put in place", path);
        goto cleanup;
    }
    rc = 0;
cleanup:
    if (fd >= 0) {
        close(fd);
    }
    if (rc != 0 && temporary) {
        unlink(temporary);
    }
    mem_free(temporary);
    buf_deinit(&head);
    return rc;
}

#include "models/format/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define INDEX_FILE   "model.safetensors.index.json"
#define ONE_FILE     "model.safetensors"
#define MAX_HEADER   ((uint64_t)100 << 20) /* as the reference implementation has it */
#define MAX_INDEX    ((size_t)100 << 20)
#define MAX_EXACT    9007199254740992.0 /* 2^53: integers beyond are not exact in JSON */
#define PATH_MAX_LEN 4096

struct shard {
    const unsigned char *data;
    uint64_t size;
    cJSON *table; /* owns the tensors' names */
};

struct safetensors {
    struct shard *shards; /* (n_shards) */
    size_t n_shards, cap_shards;
    struct safetensor *tensors; /* (count) */
    size_t count, cap;
};

/* --- one file --- */

static int get_integer(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > MAX_EXACT ||
        floor(item->valuedouble) < item->valuedouble) {
        return -1;
    }
    *out = (uint64_t)item->valuedouble;
    return 0;
}

/* UINT32_MAX when it is none of ours. */
static uint32_t type_named(const char *name)
{
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {{"F32", TENSOR_F32}, {"F16", TENSOR_F16}, {"BF16", TENSOR_BF16}};
    for (size_t i = 0; name && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return types[i].type;
        }
    }
    return UINT32_MAX;
}

static int read_shape(const cJSON *shape, struct safetensor *t, uint64_t *n)
{
    const cJSON *dim;
    int n_dims = cJSON_GetArraySize(shape);
    if (!cJSON_IsArray(shape) || n_dims < 1 || n_dims > SAFETENSORS_MAX_DIMS) {
        return -1;
    }
    *n = 1;
    cJSON_ArrayForEach(dim, shape)
    {
        uint64_t *to = &t->dims[t->n_dims++];
        if (get_integer(dim, to) != 0 || *to == 0 || __builtin_mul_overflow(*n, *to, n)) {
            return -1;
        }
    }
    return 0;
}

static int read_tensor(const cJSON *entry, const unsigned char *bytes, uint64_t n_bytes,
                       struct safetensor *t, const char *path, struct err *e)
{
    const char *dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "dtype"));
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    uint64_t n, begin, end;
    *t = (struct safetensor){.name = entry->string, .type = type_named(dtype)};
    if (t->type == UINT32_MAX) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: tensor \"%.64s\" has type %.16s; F32, F16 and BF16 can be read",
                       path, t->name, dtype ? dtype : "none");
    }
    if (read_shape(cJSON_GetObjectItemCaseSensitive(entry, "shape"), t, &n) != 0 ||
        cJSON_GetArraySize(at) != 2 || get_integer(cJSON_GetArrayItem(at, 0), &begin) != 0 ||
        get_integer(cJSON_GetArrayItem(at, 1), &end) != 0 || begin > end || end > n_bytes ||
        end - begin != tensor_type_row_bytes(t->type, n)) {
        return err_set(
            e, ERR_FORMAT,
            "%s: tensor \"%.64s\": shape and offsets do not fit each other or the file", path,
            t->name);
    }
    t->data = bytes + begin;
    return 0;
}

static struct safetensor *add_tensor(struct safetensors *s)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct safetensor *tensors = mem_realloc_array(s->tensors, cap, sizeof(*tensors));
        if (!tensors) {
            return NULL;
        }
        s->tensors = tensors;
        s->cap = cap;
    }
    return &s->tensors[s->count++];
}

static struct shard *add_shard(struct safetensors *s)
{
    if (s->n_shards == s->cap_shards) {
        size_t cap = s->cap_shards ? 2 * s->cap_shards : 8;
        struct shard *shards = mem_realloc_array(s->shards, cap, sizeof(*shards));
        if (!shards) {
            return NULL;
        }
        s->shards = shards;
        s->cap_shards = cap;
    }
    s->shards[s->n_shards] = (struct shard){0};
    return &s->shards[s->n_shards++];
}

static uint64_t load_u64(const unsigned char *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        v |= (uint64_t)p[i] << 8 * i;
    }
    return v;
}

static int read_shard(struct safetensors *s, const char *path, struct err *e)
{
    struct shard *shard = add_shard(s);
    if (!shard) {
        return err_nomem(e);
    }
    if (file_map(path, &shard->data, &shard->size, e) != 0) {
        return -1;
    }
    uint64_t header = shard->size >= 8 ? load_u64(shard->data) : 0;
    if (shard->size < 8 || header > MAX_HEADER || header > shard->size - 8) {
        return err_set(e, ERR_FORMAT, "%s: no safetensors file, or cut short", path);
    }
    shard->table = json_parse_large((const char *)shard->data + 8, (size_t)header, e);
    if (!shard->table) {
        return err_prefix(e, "%s", path);
    }
    const unsigned char *bytes = shard->data + 8 + header;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, shard->table)
    {
        if (strcmp(entry->string, "__metadata__") == 0) {
            continue;
        }
        struct safetensor *t = add_tensor(s);
        if (!t) {
            return err_nomem(e);
        }
        if (read_tensor(entry, bytes, shard->size - 8 - header, t, path, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the folder --- */

/* Each file once, in the order of their first tensor. */
static int read_indexed(struct safetensors *s, const char *folder, const char *index,
                        struct err *e)
{
    char path[PATH_MAX_LEN];
    cJSON *root = json_parse_regular(index, MAX_INDEX, e);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map");
    const cJSON *entry, *seen;
    cJSON *files = cJSON_CreateObject();
    int rc = root && !files ? err_nomem(e) : 0;
    if (!root) {
        rc = -1;
    } else if (rc == 0 && !cJSON_IsObject(map)) {
        rc = err_set(e, ERR_FORMAT, "%s: \"weight_map\" is missing", index);
    }
    for (entry = rc == 0 ? map->child : NULL; entry && rc == 0; entry = entry->next) {
        const char *name = cJSON_GetStringValue(entry);
        if (!name || !*name || strchr(name, '/') || strcmp(name, "..") == 0) {
            rc = err_set(e, ERR_FORMAT, "%s: \"%.64s\" is in no file beside it", index,
                         entry->string);
            break;
        }
        seen = cJSON_GetObjectItemCaseSensitive(files, name);
        if (!seen) {
            rc = cJSON_AddNullToObject(files, name)
                     ? file_join(path, sizeof(path), folder, name, e)
                     : err_nomem(e);
            rc = rc == 0 ? read_shard(s, path, e) : rc;
        }
    }
    cJSON_Delete(files);
    cJSON_Delete(root);
    return rc;
}

struct safetensors *safetensors_open(const char *folder, struct err *e)
{
    char path[PATH_MAX_LEN];
    struct safetensors *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    int rc = file_join(path, sizeof(path), folder, INDEX_FILE, e);
    if (rc == 0 && access(path, F_OK) == 0) {
        rc = read_indexed(s, folder, path, e);
    } else if (rc == 0) {
        rc = file_join(path, sizeof(path), folder, ONE_FILE, e) != 0 ||
                     read_shard(s, path, e) != 0
                 ? -1
                 : 0;
    }
    if (rc != 0) {
        safetensors_close(s);
        return NULL;
    }
    return s;
}

void safetensors_close(struct safetensors *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->n_shards; i++) {
        cJSON_Delete(s->shards[i].table);
        file_unmap(s->shards[i].data, s->shards[i].size);
    }
    mem_free(s->shards);
    mem_free(s->tensors);
    mem_free(s);
}

int safetensors_check_whole(const struct safetensors *s, struct err *e)
{
    for (size_t i = 0; i < s->n_shards; i++) {
        if (file_map_is_cut(s->shards[i].data)) {
            return err_set(e, ERR_FORMAT,
                           "a file of safetensors was cut short while it was "
                           "read");
        }
    }
    return 0;
}

size_t safetensors_count(const struct safetensors *s)
{
    return s->count;
}

const struct safetensor *safetensors_at(const struct safetensors *s, size_t i)
{
    return &s->tensors[i];
}

#include "models/arch/llama_adapter.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "models/arch/llama_loader.h"
#include "models/arch/llama_packed.h"
#include "models/format/tensor_type.h"
#include "quant/ops.h"
#include "runtime/base/mem.h"

_Static_assert((int)LLAMA_PRODUCTS == LLAMA_ADAPTER_PRODUCTS, "a pair for every product");
_Static_assert(LLAMA_PARTS_MAX == LLAMA_ADAPTER_PARTS, "a pair for every matrix of a product");

/* An adapter is walked through twice, as a model is (llama_loader.h). */
struct adapter_reader {
    const struct gguf *g;
    const struct llama_config *c;
    struct llama_adapter *out;
    bool *used;   /* (tensors of the file) */
    float *block; /* NULL while sizes are added up */
    size_t at;    /* floats of it handed out */
    struct err *e;
};

static int fail(const struct adapter_reader *r, enum err_kind kind, const char *what)
{
    return err_set(r->e, kind, "%s: %s", gguf_path(r->g), what);
}

/* --- metadata --- */

static bool is_text(const struct gguf *g, const char *key, const char *wanted,
                    struct gguf_str *found)
{
    struct err ignored;
    return gguf_get_str(g, key, found, &ignored) == 0 && found->len == strlen(wanted) &&
           memcmp(found->data, wanted, found->len) == 0;
}

bool llama_adapter_is(const struct gguf *g)
{
    struct gguf_str found;
    return is_text(g, "general.type", "adapter", &found);
}

static int check_text(const struct adapter_reader *r, const char *key, const char *wanted,
                      const char *otherwise)
{
    struct gguf_str found;
    if (gguf_get_str(r->g, key, &found, r->e) != 0) {
        return -1;
    }
    if (is_text(r->g, key, wanted, &found)) {
        return 0;
    }
    int len = found.len < 64 ? (int)found.len : 64;
    return err_set(r->e, ERR_UNSUPPORTED, "%s: \"%s\" is \"%.*s\", not \"%s\": %s",
                   gguf_path(r->g), key, len, found.data, wanted, otherwise);
}

/* Our own key: what the adapter was trained for. */
static int check_base(const struct adapter_reader *r, const char *base_sha256)
{
    const char *key = "weir.adapter.base_sha256";
    struct gguf_str hash;
    if (!gguf_has(r->g, key)) {
        return 0;
    }
    if (gguf_get_str(r->g, key, &hash, r->e) != 0) {
        return -1;
    }
    bool hex = hash.len == HASH_HEX_LEN;
    for (size_t i = 0; i < hash.len && hex; i++) {
        hex = hash.data[i] != '\0' && strchr("0123456789abcdef", hash.data[i]) != NULL;
    }
    if (!hex) {
        return err_set(r->e, ERR_FORMAT, "%s: \"%s\" is not 64 lower-case hex digits",
                       gguf_path(r->g), key);
    }
    memcpy(r->out->base_sha256, hash.data, HASH_HEX_LEN);
    if (base_sha256[0] && strcmp(base_sha256, r->out->base_sha256) != 0) {
        return err_set(
            r->e, ERR_INVALID,
            "%s: is for another base model: \"%s\" is %.12s..., the SHA-256 of the "
            "model's file %.12s...; --any-base (model.json: \"any_base\": true) takes "
            "the same model in another number format",
            gguf_path(r->g), key, r->out->base_sha256, base_sha256);
    }
    return 0;
}

static int read_metadata(const struct adapter_reader *r, const char *base_sha256)
{
    if (check_text(r, "general.type", "adapter", "the file is no adapter") != 0 ||
        check_text(r, "adapter.type", "lora", "other kinds cannot be applied") != 0 ||
        check_text(r, "general.architecture", r->c->arch,
                   "the adapter is for another kind of model") != 0 ||
        check_base(r, base_sha256) != 0 ||
        gguf_get_f32(r->g, "adapter.lora.alpha", &r->out->alpha, r->e) != 0) {
        return -1;
    }
    if (!isfinite(r->out->alpha)) {
        return fail(r, ERR_FORMAT, "\"adapter.lora.alpha\" is not a finite number");
    }
    if (gguf_has(r->g, "adapter.alora.invocation_tokens")) {
        return fail(r, ERR_UNSUPPORTED,
                    "\"adapter.alora.invocation_tokens\": an adapter that begins at certain "
                    "tokens cannot be applied");
    }
    return 0;
}

/* --- tensors --- */

static const struct gguf_tensor *find(struct adapter_reader *r, const char *name)
{
    for (size_t i = 0; i < gguf_tensor_count(r->g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(r->g, i);
        if (strcmp(t->name, name) == 0) {
            r->used[i] = true;
            return t;
        }
    }
    return NULL;
}

static int check_shape(const struct adapter_reader *r, const struct gguf_tensor *t,
                       uint64_t rows, uint64_t width)
{
    if (t->dims[0] != width || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1) {
        return err_set(r->e, ERR_FORMAT,
                       "%s: tensor \"%s\" is %llu x %llu, %llu x %llu was expected",
                       gguf_path(r->g), t->name,
                       (unsigned long long)(t->dims[1] * t->dims[2] * t->dims[3]),
                       (unsigned long long)t->dims[0], (unsigned long long)rows,
                       (unsigned long long)width);
    }
    if (!tensor_type_readable(t->type)) {
        const struct tensor_type_info *info = tensor_type_info(t->type);
        return err_set(r->e, ERR_UNSUPPORTED,
                       "%s: tensor \"%s\" has type %s; " TENSOR_READABLE_NAMES " can be read",
                       gguf_path(r->g), t->name, info ? info->name : "unknown");
    }
    return 0;
}

static int read_row(const struct adapter_reader *r, const struct gguf_tensor *t, size_t row,
                    float *to, size_t n)
{
    size_t row_bytes = (size_t)tensor_type_row_bytes(t->type, n);
    const unsigned char *from = (const unsigned char *)t->data + row * row_bytes;
    bool good = tensor_row_to_f32(t->type, from, to, n) == 0;
    for (size_t i = 0; i < n && good; i++) {
        good = isfinite(to[i]);
    }
    return good ? 0
                : err_set(r->e, ERR_FORMAT,
                          "%s: tensor \"%s\" has broken rows, or a number that is not finite",
                          gguf_path(r->g), t->name);
}

static float *take(struct adapter_reader *r, size_t floats)
{
    float *p = r->block ? r->block + r->at : NULL;
    r->at += (floats + OPS_LOW_RANK_TILE - 1) / OPS_LOW_RANK_TILE * OPS_LOW_RANK_TILE;
    return p;
}

/* Output o of the part, whose rows lie elsewhere in heads that were put into pairs. */
static size_t row_in_file(const struct adapter_reader *r, const struct llama_part *part,
                          size_t o)
{
    bool moved = part->heads != LLAMA_NO_HEADS && r->c->rope == LLAMA_ROPE_HALVES;
    return part->first +
           (moved ? llama_row_in_halves(o, (size_t)r->c->head_dim, (size_t)r->c->rope_dims)
                  : o);
}

static int read_pair(struct adapter_reader *r, const struct llama_part *part,
                     struct llama_pair *pair, const struct gguf_tensor *a,
                     const struct gguf_tensor *b)
{
    size_t tiles = (pair->n_out + OPS_LOW_RANK_TILE - 1) / OPS_LOW_RANK_TILE;
    float *to_a = take(r, pair->rank * pair->n_in);
    float *to_b = take(r, tiles * OPS_LOW_RANK_TILE * pair->rank);
    if (!to_a) {
        return 0;
    }
    for (size_t i = 0; i < pair->rank; i++) {
        if (read_row(r, a, i, to_a + i * pair->n_in, pair->n_in) != 0) {
            return -1;
        }
    }
    for (size_t o = 0; o < pair->n_out; o++) {
        float row[LLAMA_ADAPTER_RANK_MAX];
        if (read_row(r, b, row_in_file(r, part, o), row, pair->rank) != 0) {
            return -1;
        }
        float *tile = to_b + o / OPS_LOW_RANK_TILE * OPS_LOW_RANK_TILE * pair->rank;
        for (size_t i = 0; i < pair->rank; i++) {
            tile[i * OPS_LOW_RANK_TILE + o % OPS_LOW_RANK_TILE] = row[i];
        }
    }
    pair->a = to_a;
    pair->b = to_b;
    return 0;
}

/* The pair of a matrix, where the file has one. */
static int read_part(struct adapter_reader *r, int layer, const struct llama_part *part,
                     size_t n_in, size_t first, struct llama_pair *pair)
{
    char name_a[LLAMA_TENSOR_NAME_MAX], name_b[LLAMA_TENSOR_NAME_MAX];
    llama_tensor_name(name_a, layer, part->tensor, "weight.lora_a");
    llama_tensor_name(name_b, layer, part->tensor, "weight.lora_b");
    const struct gguf_tensor *a = find(r, name_a), *b = find(r, name_b);
    if (!a || !b) {
        return !a && !b
                   ? 0
                   : err_set(r->e, ERR_FORMAT, "%s: tensor \"%s\" is missing, \"%s\" is there",
                             gguf_path(r->g), a ? name_b : name_a, a ? name_a : name_b);
    }
    uint64_t rank = a->dims[1];
    if (rank > LLAMA_ADAPTER_RANK_MAX) {
        return err_set(r->e, ERR_LIMIT, "%s: tensor \"%s\" has rank %llu, at most %d is served",
                       gguf_path(r->g), name_a, (unsigned long long)rank,
                       LLAMA_ADAPTER_RANK_MAX);
    }
    if (check_shape(r, a, rank, n_in) != 0 ||
        check_shape(r, b, part->of ? part->of : part->rows, rank) != 0) {
        return -1;
    }
    float alpha = r->out->alpha;
    *pair = (struct llama_pair){.rank = (size_t)rank,
                                .n_in = n_in,
                                .n_out = part->rows,
                                .first = first,
                                .scale = r->out->strength *
                                         (alpha != 0.0f ? alpha / (float)rank : 1.0f)};
    return read_pair(r, part, pair, a, b);
}

static int read_layer(struct adapter_reader *r, int layer)
{
    struct llama_adapter_layer *to = &r->out->layers[layer];
    for (int product = 0; product < LLAMA_ADAPTER_PRODUCTS; product++) {
        struct llama_source from;
        size_t n_in = llama_source_of(r->c, layer, (enum llama_product)product, &from);
        size_t first = 0;
        for (size_t i = 0; i < LLAMA_ADAPTER_PARTS && from.parts[i].rows > 0; i++) {
            if (read_part(r, layer, &from.parts[i], n_in, first, &to->pairs[product][i]) != 0) {
                return -1;
            }
            first += from.parts[i].rows;
        }
    }
    return 0;
}

static int read_layers(struct adapter_reader *r)
{
    r->at = 0;
    for (int i = 0; i < r->c->n_layers; i++) {
        if (read_layer(r, i) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Names the first tensor that belongs to no matrix which can have a pair. */
static int check_all_used(const struct adapter_reader *r)
{
    for (size_t i = 0; i < gguf_tensor_count(r->g); i++) {
        if (!r->used[i]) {
            return err_set(r->e, ERR_UNSUPPORTED,
                           "%s: tensor \"%s\": the base model has no such matrix that an "
                           "adapter can be applied to (attention and feed-forward network of "
                           "its %d layers can)",
                           gguf_path(r->g), gguf_tensor_at(r->g, i)->name, r->c->n_layers);
        }
    }
    return 0;
}

static void count(struct llama_adapter *a, int n_layers)
{
    for (int i = 0; i < n_layers; i++) {
        const struct llama_pair *pairs = a->layers[i].pairs[0];
        for (size_t k = 0; k < (size_t)LLAMA_ADAPTER_PRODUCTS * LLAMA_ADAPTER_PARTS; k++) {
            a->n_pairs += pairs[k].rank > 0;
            a->rank = pairs[k].rank > a->rank ? pairs[k].rank : a->rank;
            a->parameters += pairs[k].rank * (pairs[k].n_in + pairs[k].n_out);
        }
    }
}

static int read_all(struct adapter_reader *r, const char *base_sha256)
{
    struct llama_adapter *a = r->out;
    if (r->c->encoder) {
        return fail(r, ERR_UNSUPPORTED,
                    "adapters can be applied to models that make text, not to encoders");
    }
    a->layers = mem_zarray((size_t)r->c->n_layers, sizeof(*a->layers));
    r->used = mem_zarray(gguf_tensor_count(r->g) + 1, sizeof(*r->used));
    if (!a->layers || !r->used) {
        return err_nomem(r->e);
    }
    if (read_metadata(r, base_sha256) != 0 || read_layers(r) != 0 || check_all_used(r) != 0) {
        return -1;
    }
    if (r->at == 0) {
        return fail(r, ERR_FORMAT, "has no tensors");
    }
    a->block_bytes = r->at * sizeof(float);
    a->block = r->block = mem_zalloc_aligned(a->block_bytes);
    if (!a->block) {
        return err_nomem(r->e);
    }
    if (read_layers(r) != 0 || gguf_sha256(r->g, a->sha256, r->e) != 0 ||
        gguf_check_whole(r->g, r->e) != 0) {
        return -1;
    }
    count(a, r->c->n_layers);
    a->file_bytes = gguf_file_size(r->g);
    return 0;
}

struct llama_adapter *llama_adapter_from_gguf(const struct gguf *g,
                                              const struct llama_config *base,
                                              const char *base_sha256, float strength,
                                              struct err *e)
{
    static atomic_uint_fast64_t last_id;
    struct llama_adapter *a = mem_zalloc(sizeof(*a));
    if (!a) {
        err_nomem(e);
        return NULL;
    }
    a->id = atomic_fetch_add(&last_id, 1) + 1;
    a->strength = strength;
    struct adapter_reader r = {.g = g, .c = base, .out = a, .e = e};
    int rc = read_all(&r, base_sha256);
    mem_free(r.used);
    if (rc != 0) {
        llama_adapter_close(a);
        return NULL;
    }
    return a;
}

struct llama_adapter *llama_adapter_open(const char *path, const struct llama_config *base,
                                         const char *base_sha256, float strength, struct err *e)
{
    struct gguf *g = gguf_open(path, e);
    struct llama_adapter *a =
        g ? llama_adapter_from_gguf(g, base, base_sha256, strength, e) : NULL;
    gguf_close(g);
    return a;
}

void llama_adapter_close(struct llama_adapter *a)
{
    if (a) {
        mem_free(a->layers);
        mem_free_aligned(a->block);
        mem_free(a);
    }
}

#include "models/arch/llama_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/arch/llama_packed.h"
#include "models/format/tensor_type.h"
#include "runtime/base/mem.h"

/* Loading walks the model twice in the same order: first adding up sizes, then filling. */
struct loader {
    const struct llama_config *c;
    const struct gguf *g;
    const struct parallel *p;
    struct err *e;
    unsigned char *block; /* NULL while sizes are added up */
    size_t at;            /* bytes of the block handed out */
    size_t tensors_used;
    bool packed; /* matrices stay in the file */
};

static void *take(struct loader *l, size_t bytes)
{
    void *p = l->block ? l->block + l->at : NULL;
    l->at += (bytes + Q8_ALIGN - 1) / Q8_ALIGN * Q8_ALIGN;
    return p;
}

/* A tensor of n rows by k, found and known. */
static const struct gguf_tensor *find(struct loader *l, const char *name, size_t n, size_t k)
{
    const struct gguf_tensor *t = gguf_tensor_find(l->g, name);
    if (!t) {
        err_set(l->e, ERR_FORMAT, "%s: tensor \"%s\" is missing", gguf_path(l->g), name);
        return NULL;
    }
    uint64_t rows = t->dims[1] * t->dims[2] * t->dims[3];
    if (t->dims[0] != k || rows != n) {
        err_set(l->e, ERR_FORMAT, "%s: tensor \"%s\" is %llu x %llu, %zu x %zu was expected",
                gguf_path(l->g), name, (unsigned long long)rows, (unsigned long long)t->dims[0],
                n, k);
        return NULL;
    }
    if (!tensor_type_readable(t->type)) {
        const struct tensor_type_info *info = tensor_type_info(t->type);
        err_set(l->e, ERR_UNSUPPORTED,
                "%s: tensor \"%s\" has type %s; " TENSOR_READABLE_NAMES " can be served",
                gguf_path(l->g), name, info ? info->name : "unknown");
        return NULL;
    }
    if (l->block) {
        l->tensors_used++;
    }
    return t;
}

/* The model whose heads of queries and keys have rows that change places; NULL: they stay. In a
 * packed file they have done so. */
static const struct llama_config *paired_heads(const struct loader *l)
{
    return l->c->rope == LLAMA_ROPE_HALVES && !l->packed ? l->c : NULL;
}

/* Row `row` of a matrix or number of a vector, which lies elsewhere in heads to put into pairs.
 */
static size_t row_in_file(size_t row, const struct llama_config *heads)
{
    return heads ? llama_row_in_halves(row, (size_t)heads->head_dim, (size_t)heads->rope_dims)
                 : row;
}

static int check_finite(struct loader *l, const char *name, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return err_set(l->e, ERR_FORMAT,
                           "%s: tensor \"%s\" holds a number that is not finite",
                           gguf_path(l->g), name);
        }
    }
    return 0;
}

/* Into values, which is NULL while sizes are added up. */
static int read_vector(struct loader *l, const char *name, size_t n,
                       const struct llama_config *heads, float *values)
{
    const struct gguf_tensor *t = find(l, name, 1, n);
    if (!t || !values) {
        return t ? 0 : -1;
    }
    float *as_stored = mem_array(n, sizeof(float));
    if (!as_stored) {
        return err_nomem(l->e);
    }
    int rc = tensor_row_to_f32(t->type, t->data, as_stored, n) == 0
                 ? check_finite(l, name, as_stored, n)
                 : err_set(l->e, ERR_FORMAT, "%s: tensor \"%s\" has broken rows",
                           gguf_path(l->g), name);
    for (size_t i = 0; i < n && rc == 0; i++) {
        values[i] = as_stored[row_in_file(i, heads)];
    }
    mem_free(as_stored);
    return rc;
}

static int load_vector(struct loader *l, const char *name, size_t n,
                       const struct llama_config *heads, const float **out)
{
    float *values = take(l, n * sizeof(float));
    *out = values;
    return read_vector(l, name, n, heads, values);
}

struct pack_job {
    void *block;
    struct q8_packed packed;
    const struct gguf_tensor *tensor;
    size_t row_bytes;                 /* of the tensor in the file */
    const struct llama_config *heads; /* those to put into pairs, or NULL */
    size_t first_row;                 /* of the tensor */
    unsigned char *rows; /* (workers, scratch_bytes): a tile's rows, in order and as floats */
    size_t scratch_bytes;
    bool *bad; /* (workers): met a number that is not finite */
};

static const unsigned char *row_at(const struct pack_job *job, size_t row)
{
    const unsigned char *data = job->tensor->data;
    return data + (job->first_row + row_in_file(row, job->heads)) * job->row_bytes;
}

static size_t rows_in_tile(const struct pack_job *job, size_t tile)
{
    size_t left = job->packed.n - tile * Q8_TILE;
    return left < Q8_TILE ? left : Q8_TILE;
}

/* Floats are packed a tile at a time: a whole matrix in float would double the memory of
 * loading. */
static void pack_float_tile(const struct pack_job *job, float *rows, size_t tile, bool *bad)
{
    size_t k = job->packed.k;
    size_t n = rows_in_tile(job, tile);
    for (size_t r = 0; r < n; r++) {
        const unsigned char *from = row_at(job, tile * Q8_TILE + r);
        if (tensor_row_to_f32(job->tensor->type, from, rows + r * k, k) != 0) {
            *bad = true;
        }
    }
    for (size_t i = 0; i < n * k; i++) {
        if (!isfinite(rows[i])) {
            *bad = true;
            return;
        }
    }
    struct q8_packed one;
    unsigned char *at = (unsigned char *)job->block + tile * job->packed.tile_bytes;
    q8_packed_init(&one, at, n, k);
    q8_pack_floats(at, &one, rows, 0, 1);
}

/* Blocks whose rows change places. */
static void pack_block_tile(const struct pack_job *job, unsigned char *rows, size_t tile)
{
    size_t n = rows_in_tile(job, tile);
    for (size_t r = 0; r < n; r++) {
        memcpy(rows + r * job->row_bytes, row_at(job, tile * Q8_TILE + r), job->row_bytes);
    }
    struct q8_packed one;
    unsigned char *at = (unsigned char *)job->block + tile * job->packed.tile_bytes;
    q8_packed_init(&one, at, n, job->packed.k);
    q8_pack_blocks(at, &one, rows, 0, 1);
}

static void check_scales(const struct pack_job *job, size_t tile0, size_t tile1, bool *bad)
{
    size_t blocks = job->packed.k / Q8_GROUP;
    size_t end = tile1 * Q8_TILE < job->packed.n ? tile1 * Q8_TILE : job->packed.n;
    const unsigned char *data = job->tensor->data;
    data += job->first_row * job->row_bytes;
    for (size_t i = tile0 * Q8_TILE * blocks; i < end * blocks; i++) {
        uint16_t scale;
        memcpy(&scale, data + i * Q8_BLOCK_BYTES, sizeof(scale));
        if ((scale & 0x7C00u) == 0x7C00u) {
            *bad = true;
            return;
        }
    }
}

static void pack_share(void *ctx, int worker, int n_workers)
{
    const struct pack_job *job = ctx;
    size_t tile0;
    size_t tile1;
    parallel_share(q8_tiles(&job->packed), worker, n_workers, &tile0, &tile1);
    unsigned char *scratch = job->rows + (size_t)worker * job->scratch_bytes;
    bool blocks = job->tensor->type == TENSOR_Q8_0;
    if (blocks) {
        check_scales(job, tile0, tile1, &job->bad[worker]);
    }
    if (blocks && !job->heads) {
        const unsigned char *data = job->tensor->data;
        q8_pack_blocks(job->block, &job->packed, data + job->first_row * job->row_bytes, tile0,
                       tile1);
        return;
    }
    for (size_t tile = tile0; tile < tile1 && !job->bad[worker]; tile++) {
        if (blocks) {
            pack_block_tile(job, scratch, tile);
        } else {
            pack_float_tile(job, (float *)(void *)scratch, tile, &job->bad[worker]);
        }
    }
}

/* Where a matrix of the model comes from: up to three runs of rows, or one tensor of a packed
 * file. All runs but the last have a multiple of Q8_TILE rows, so that each begins with a tile
 * of its own. */
#define PARTS_MAX 3

struct part {
    const char *name;
    size_t rows;      /* 0: no more parts */
    size_t first, of; /* where in a tensor of how many rows, if it has others too */
    bool heads;       /* heads may have to be put into pairs */
};

struct source {
    const char *packed; /* name in a packed file */
    struct part parts[PARTS_MAX];
};

/* Packs a run of rows into `block`, which has room for whole tiles. */
static int pack_part(struct loader *l, const struct part *part, void *block, size_t k)
{
    const char *name = part->name;
    size_t n = part->rows;
    const struct gguf_tensor *t = find(l, name, part->of ? part->of : n, k);
    if (!t || !block) {
        return t ? 0 : -1;
    }
    if (part->first > 0) {
        l->tensors_used--; /* was counted with its first rows */
    }
    struct pack_job job = {.block = block,
                           .tensor = t,
                           .first_row = part->first,
                           .heads = part->heads ? paired_heads(l) : NULL};
    job.row_bytes = (size_t)tensor_type_row_bytes(t->type, k);
    q8_packed_init(&job.packed, block, n, k);
    size_t workers = (size_t)l->p->n_workers;
    job.bad = mem_zarray(workers, sizeof(*job.bad));
    job.scratch_bytes = Q8_TILE * k * sizeof(float); /* no format takes more */
    job.rows = mem_array(workers, job.scratch_bytes);
    int rc = 0;
    if (!job.bad || !job.rows) {
        rc = err_nomem(l->e);
        goto cleanup;
    }
    l->p->run(l->p->team, pack_share, &job);
    if (part->first + n == (part->of ? part->of : n)) {
        gguf_give_back(l->g, t->data, (size_t)t->size);
    }
    for (size_t i = 0; i < workers; i++) {
        if (job.bad[i]) {
            rc =
                err_set(l->e, ERR_FORMAT, "%s: tensor \"%s\" holds a number that is not finite",
                        gguf_path(l->g), name);
        }
    }
cleanup:
    mem_free(job.rows);
    mem_free(job.bad);
    return rc;
}

static int load_matrix(struct loader *l, struct q8_packed *out, size_t k,
                       const struct source *from)
{
    size_t n = from->parts[0].rows + from->parts[1].rows + from->parts[2].rows;
    if (l->packed && !l->block) {
        return 0; /* nothing to make room for */
    }
    if (l->packed) {
        l->tensors_used++;
        return llama_packed_matrix(l->g, from->packed, n, k, l->p, out, l->e);
    }
    size_t bytes = q8_packed_bytes(n, k);
    if (bytes == 0) {
        return err_set(l->e, ERR_LIMIT, "%s: tensor \"%s\" is too large", gguf_path(l->g),
                       from->parts[0].name);
    }
    unsigned char *block = take(l, bytes);
    q8_packed_init(out, block, n, k);
    size_t first = 0;
    for (size_t i = 0; i < PARTS_MAX && from->parts[i].rows > 0; i++) {
        unsigned char *at = block ? block + first / Q8_TILE * out->tile_bytes : NULL;
        if (pack_part(l, &from->parts[i], at, k) != 0) {
            return -1;
        }
        first += from->parts[i].rows;
    }
    return 0;
}

/* What only some architectures have. */
static int load_attention_vectors(struct loader *l, int i, struct llama_layer *layer)
{
    static const char *const parts[] = {"attn_q", "attn_k", "attn_v"};
    char name[LLAMA_TENSOR_NAME_MAX];
    size_t hd = (size_t)l->c->head_dim;
    size_t q = (size_t)l->c->n_heads * hd, kv = (size_t)l->c->n_kv_heads * hd;
    const size_t rows[] = {q, kv, kv};
    if (l->c->qk_norm != LLAMA_QK_NORM_NONE) {
        bool per_head = l->c->qk_norm == LLAMA_QK_NORM_HEAD;
        llama_tensor_name(name, i, "attn_q_norm", "weight");
        if (load_vector(l, name, per_head ? hd : q, paired_heads(l), &layer->q_norm) != 0) {
            return -1;
        }
        llama_tensor_name(name, i, "attn_k_norm", "weight");
        if (load_vector(l, name, per_head ? hd : kv, paired_heads(l), &layer->k_norm) != 0) {
            return -1;
        }
    }
    if (!l->c->qkv_bias) {
        return 0;
    }
    float *bias = take(l, (q + 2 * kv) * sizeof(float));
    layer->qkv_bias = bias;
    for (size_t part = 0; part < 3; part++) {
        llama_tensor_name(name, i, parts[part], "bias");
        if (read_vector(l, name, rows[part], part < 2 ? paired_heads(l) : NULL, bias) != 0) {
            return -1;
        }
        bias += bias ? rows[part] : 0;
    }
    return 0;
}

/* The norms of a layer around its two blocks, where it has them. */
static int load_norms(struct loader *l, int i, struct llama_layer *layer)
{
    const struct {
        const char *part;
        bool there;
        const float **to;
    } norms[] = {
        {"attn_norm", l->c->pre_norm, &layer->attn_norm},
        {"post_attention_norm", l->c->post_norm, &layer->attn_post_norm},
        {"ffn_norm", l->c->pre_norm, &layer->ffn_norm},
        {"post_ffw_norm", l->c->post_norm, &layer->ffn_post_norm},
    };
    char name[LLAMA_TENSOR_NAME_MAX];
    for (size_t k = 0; k < sizeof(norms) / sizeof(norms[0]); k++) {
        llama_tensor_name(name, i, norms[k].part, "weight");
        if (norms[k].there &&
            load_vector(l, name, (size_t)l->c->d_model, NULL, norms[k].to) != 0) {
            return -1;
        }
    }
    return 0;
}

static int load_qkv(struct loader *l, int i, struct llama_layer *layer)
{
    size_t q = (size_t)l->c->n_heads * (size_t)l->c->head_dim;
    size_t kv = (size_t)l->c->n_kv_heads * (size_t)l->c->head_dim;
    char packed[LLAMA_TENSOR_NAME_MAX], names[3][LLAMA_TENSOR_NAME_MAX];
    struct source from = {
        .packed = llama_tensor_name(packed, i, "attn_qkv", "packed"),
        .parts = {{.name = llama_tensor_name(names[0], i, "attn_q", "weight"),
                   .rows = q,
                   .heads = true},
                  {.name = llama_tensor_name(names[1], i, "attn_k", "weight"),
                   .rows = kv,
                   .heads = true},
                  {.name = llama_tensor_name(names[2], i, "attn_v", "weight"), .rows = kv}}};
    if (l->c->fused) {
        const char *all = llama_tensor_name(names[0], i, "attn_qkv", "weight");
        size_t of = q + 2 * kv;
        from.parts[0] = (struct part){all, q, 0, of, .heads = true};
        from.parts[1] = (struct part){all, kv, q, of, .heads = true};
        from.parts[2] = (struct part){all, kv, q + kv, of, .heads = false};
    }
    return load_matrix(l, &layer->qkv, (size_t)l->c->d_model, &from);
}

static int load_layer(struct loader *l, int i, struct llama_layer *layer)
{
    size_t d = (size_t)l->c->d_model;
    size_t ff = (size_t)l->c->d_ff;
    size_t q = (size_t)l->c->n_heads * (size_t)l->c->head_dim;
    char a[LLAMA_TENSOR_NAME_MAX], b[LLAMA_TENSOR_NAME_MAX], packed[LLAMA_TENSOR_NAME_MAX];
    if (load_norms(l, i, layer) != 0 || load_attention_vectors(l, i, layer) != 0 ||
        load_qkv(l, i, layer) != 0) {
        return -1;
    }
    struct source out = {
        .packed = llama_tensor_name(packed, i, "attn_output", "packed"),
        .parts = {{.name = llama_tensor_name(a, i, "attn_output", "weight"), .rows = d}}};
    if (load_matrix(l, &layer->out, q, &out) != 0) {
        return -1;
    }
    struct source gate_up = {
        .packed = llama_tensor_name(packed, i, "ffn_gate_up", "packed"),
        .parts = {{.name = llama_tensor_name(a, i, "ffn_gate", "weight"), .rows = ff},
                  {.name = llama_tensor_name(b, i, "ffn_up", "weight"), .rows = ff}}};
    if (l->c->fused) {
        gate_up.parts[0] = (struct part){b, 2 * ff, .heads = false};
        gate_up.parts[1] = (struct part){0};
    }
    if (load_matrix(l, &layer->gate_up, d, &gate_up) != 0) {
        return -1;
    }
    struct source down = {
        .packed = llama_tensor_name(packed, i, "ffn_down", "packed"),
        .parts = {{.name = llama_tensor_name(a, i, "ffn_down", "weight"), .rows = d}}};
    return load_matrix(l, &layer->down, ff, &down);
}

static int load_all(struct loader *l, struct llama_weights *w)
{
    size_t d = (size_t)l->c->d_model;
    size_t vocab = (size_t)l->c->vocab;
    const struct source embedding = {.packed = "token_embd.packed",
                                     .parts = {{.name = "token_embd.weight", .rows = vocab}}};
    const struct source output = {.packed = "output.packed",
                                  .parts = {{.name = "output.weight", .rows = vocab}}};
    if (load_matrix(l, &w->embedding, d, &embedding) != 0 ||
        load_vector(l, "output_norm.weight", d, NULL, &w->output_norm) != 0) {
        return -1;
    }
    w->output = w->embedding;
    if (gguf_tensor_find(l->g, l->packed ? output.packed : output.parts[0].name) &&
        load_matrix(l, &w->output, d, &output) != 0) {
        return -1;
    }
    for (int i = 0; i < l->c->n_layers; i++) {
        if (load_layer(l, i, &w->layers[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

int llama_weights_init(struct llama_weights *w, const struct llama_config *c,
                       const struct gguf *g, const struct parallel *p, struct err *e)
{
    *w = (struct llama_weights){0};
    struct loader l = {.c = c, .g = g, .p = p, .e = e};
    w->layers = mem_zarray((size_t)c->n_layers, sizeof(*w->layers));
    if (!w->layers) {
        return err_nomem(e);
    }
    if (llama_packed_check(g, &l.packed, e) != 0 || load_all(&l, w) != 0) {
        goto fail;
    }
    w->in_file = l.packed;
    w->block_bytes = l.at;
    w->block = mem_zalloc_aligned(l.at);
    if (!w->block) {
        err_set(e, ERR_NOMEM, "%s: %zu bytes for the weights could not be had", gguf_path(g),
                l.at);
        goto fail;
    }
    l.block = w->block;
    l.at = 0;
    if (load_all(&l, w) != 0) {
        goto fail;
    }
    l.tensors_used += (size_t)c->rope_tensors; /* their numbers are in the configuration */
    if (l.tensors_used != gguf_tensor_count(g)) {
        err_set(
            e, ERR_UNSUPPORTED,
            "%s: has %zu tensors, a %s model of this shape has %zu; it needs something that "
            "is not supported",
            gguf_path(g), gguf_tensor_count(g), c->arch, l.tensors_used);
        goto fail;
    }
    return 0;
fail:
    llama_weights_deinit(w);
    return -1;
}

void llama_weights_deinit(struct llama_weights *w)
{
    mem_free_aligned(w->block);
    mem_free(w->layers);
    *w = (struct llama_weights){0};
}

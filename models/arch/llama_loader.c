#include "models/arch/llama_loader.h"

#include <math.h>
#include <string.h>

#include "models/arch/llama_packed.h"
#include "models/arch/llama_share.h"
#include "models/format/tensor_type.h"
#include "runtime/base/mem.h"

void *llama_load_take(struct llama_loader *l, size_t bytes)
{
    void *p = l->block ? l->block + l->at : NULL;
    l->at += (bytes + Q8_ALIGN - 1) / Q8_ALIGN * Q8_ALIGN;
    return p;
}

/* A tensor of n rows by k, found and known. */
static const struct gguf_tensor *find(struct llama_loader *l, const char *name, size_t n,
                                      size_t k)
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
    return t;
}

/* A tensor is used once, however many runs of its rows are. */
static void count_once(struct llama_loader *l, const struct llama_part *part)
{
    l->tensors_used += part->first == 0;
}

/* The model whose heads have rows that change places; NULL: they stay. In a packed file they
 * have done so. */
static const struct llama_config *paired_heads(const struct llama_loader *l,
                                               enum llama_heads heads)
{
    bool moved = heads != LLAMA_NO_HEADS && l->c->rope == LLAMA_ROPE_HALVES && !l->packed;
    return moved ? l->c : NULL;
}

/* Row `row` of a matrix or number of a vector, which lies elsewhere in heads to put into pairs.
 */
static size_t row_in_file(size_t row, const struct llama_config *heads)
{
    return heads ? llama_row_in_halves(row, (size_t)heads->head_dim, (size_t)heads->rope_dims)
                 : row;
}

static int check_finite(struct llama_loader *l, const char *name, const float *values, size_t n)
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

/* Those of a run's rows that are loaded. */
struct slice {
    size_t first, n;
};

static struct slice whole_of(const struct llama_part *part)
{
    return (struct slice){0, part->rows};
}

static struct slice share_of(const struct llama_loader *l, const struct llama_source *from,
                             const struct llama_part *part)
{
    enum llama_rows what = !from->in_heads           ? LLAMA_ROWS_PLAIN
                           : part == &from->parts[0] ? LLAMA_ROWS_QUERIES
                                                     : LLAMA_ROWS_KV;
    if (part->rows == 0) {
        return (struct slice){0};
    }
    struct llama_range own = llama_share_rows(l->c, part->rows, what);
    return (struct slice){own.first, own.end - own.first};
}

/* A slice of a run of rows of k numbers, into values, which is NULL while sizes are added up.
 * Of a vector, k = 1, the numbers are the rows. */
static int read_floats(struct llama_loader *l, const char *name, const struct llama_part *part,
                       struct slice slice, size_t k, float *values)
{
    size_t of = part->of ? part->of : part->rows;
    bool vector = k == 1;
    size_t hd = part->heads == LLAMA_HEAD_ROWS ? (size_t)l->c->head_dim : of;
    const struct gguf_tensor *t = vector ? find(l, name, of / hd, hd) : find(l, name, of, k);
    if (!t || !values) {
        return t ? 0 : -1;
    }
    count_once(l, part);
    size_t row = vector ? of : k, rows = vector ? 1 : of;
    size_t row_bytes = (size_t)tensor_type_row_bytes(t->type, row);
    float *as_stored = mem_array(rows * row, sizeof(float));
    if (!as_stored) {
        return err_nomem(l->e);
    }
    int rc = 0;
    for (size_t r = 0; r < rows && rc == 0; r++) {
        const unsigned char *from = (const unsigned char *)t->data + r * row_bytes;
        if (tensor_row_to_f32(t->type, from, as_stored + r * row, row) != 0) {
            rc = err_set(l->e, ERR_FORMAT, "%s: tensor \"%s\" has broken rows", gguf_path(l->g),
                         name);
        }
    }
    rc = rc == 0 ? check_finite(l, name, as_stored, rows * row) : rc;
    const struct llama_config *heads = paired_heads(l, part->heads);
    for (size_t i = 0; i < slice.n && rc == 0; i++) {
        size_t at = part->first + row_in_file(slice.first + i, heads);
        memcpy(values + i * k, as_stored + at * k, k * sizeof(*values));
    }
    mem_free(as_stored);
    return rc;
}

int llama_load_floats(struct llama_loader *l, int layer, const char *part, const char *suffix,
                      size_t n, size_t k, enum llama_heads heads, const float **out)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    struct llama_part all = {.tensor = part, .rows = n, .heads = heads};
    float *values = llama_load_take(l, n * k * sizeof(float));
    *out = values;
    return read_floats(l, llama_tensor_name(name, layer, part, suffix), &all, whole_of(&all), k,
                       values);
}

struct pack_job {
    void *block;
    struct llama_matrix matrix; /* the rows as they will lie in the block */
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
    size_t left = job->matrix.n - tile * Q8_TILE;
    return left < Q8_TILE ? left : Q8_TILE;
}

/* The rows of a tile as floats, in order. */
static void read_tile(const struct pack_job *job, float *rows, size_t tile, bool *bad)
{
    size_t k = job->matrix.k;
    size_t n = rows_in_tile(job, tile);
    for (size_t r = 0; r < n; r++) {
        const unsigned char *from = row_at(job, tile * Q8_TILE + r);
        if (tensor_row_to_f32(job->tensor->type, from, rows + r * k, k) != 0) {
            *bad = true;
            return;
        }
    }
    for (size_t i = 0; i < n * k; i++) {
        if (!isfinite(rows[i])) {
            *bad = true;
            return;
        }
    }
}

/* Floats are packed a tile at a time: a whole matrix in float would double the memory of
 * loading. */
static void pack_float_tile(const struct pack_job *job, float *rows, size_t tile, bool *bad)
{
    read_tile(job, rows, tile, bad);
    if (*bad) {
        return;
    }
    size_t n = rows_in_tile(job, tile);
    struct q8_packed one;
    unsigned char *at = (unsigned char *)job->block + tile * job->matrix.q8.tile_bytes;
    q8_packed_init(&one, at, n, job->matrix.k);
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
    unsigned char *at = (unsigned char *)job->block + tile * job->matrix.q8.tile_bytes;
    q8_packed_init(&one, at, n, job->matrix.k);
    q8_pack_blocks(at, &one, rows, 0, 1);
}

static void check_scales(const struct pack_job *job, size_t tile0, size_t tile1, bool *bad)
{
    size_t blocks = job->matrix.k / Q8_GROUP;
    size_t end = tile1 * Q8_TILE < job->matrix.n ? tile1 * Q8_TILE : job->matrix.n;
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

static void keep_floats(const struct pack_job *job, size_t tile0, size_t tile1, bool *bad)
{
    float *to = job->block;
    for (size_t tile = tile0; tile < tile1 && !*bad; tile++) {
        read_tile(job, to + tile * Q8_TILE * job->matrix.k, tile, bad);
    }
}

static void pack_share(void *ctx, int worker, int n_workers)
{
    const struct pack_job *job = ctx;
    size_t tile0;
    size_t tile1;
    parallel_share(llama_matrix_tiles(&job->matrix), worker, n_workers, &tile0, &tile1);
    unsigned char *scratch = job->rows + (size_t)worker * job->scratch_bytes;
    bool *bad = &job->bad[worker];
    if (job->matrix.f32) {
        keep_floats(job, tile0, tile1, bad);
        return;
    }
    bool blocks = job->tensor->type == TENSOR_Q8_0;
    if (blocks) {
        check_scales(job, tile0, tile1, bad);
    }
    if (blocks && !job->heads) {
        const unsigned char *data = job->tensor->data;
        q8_pack_blocks(job->block, &job->matrix.q8, data + job->first_row * job->row_bytes,
                       tile0, tile1);
        return;
    }
    for (size_t tile = tile0; tile < tile1 && !*bad; tile++) {
        if (blocks) {
            pack_block_tile(job, scratch, tile);
        } else {
            pack_float_tile(job, (float *)(void *)scratch, tile, bad);
        }
    }
}

/* Packs a slice of a run of rows into `block`, which has room for whole tiles. */
static int pack_part(struct llama_loader *l, int layer, const struct llama_part *part,
                     struct slice slice, void *block, size_t k)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    size_t of = part->of ? part->of : part->rows;
    llama_tensor_name(name, layer, part->tensor, "weight");
    const struct gguf_tensor *t = find(l, name, of, k);
    if (!t || !block) {
        return t ? 0 : -1;
    }
    count_once(l, part);
    struct pack_job job = {.block = block,
                           .tensor = t,
                           .first_row = part->first + slice.first,
                           .heads = paired_heads(l, part->heads)};
    job.row_bytes = (size_t)tensor_type_row_bytes(t->type, k);
    llama_matrix_init(&job.matrix, l->precision, block, slice.n, k);
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
    if (part->first + part->rows == of) {
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

/* Of all runs, those that are loaded. */
static size_t count_rows(const struct llama_loader *l, const struct llama_source *from)
{
    size_t n = 0;
    for (size_t i = 0; i < LLAMA_PARTS_MAX; i++) {
        n += share_of(l, from, &from->parts[i]).n;
    }
    return n;
}

/* Where the share of a run begins in a block, behind `first` rows. */
static size_t offset_of(const struct llama_loader *l, const struct llama_matrix *m,
                        size_t first)
{
    return l->precision == LLAMA_F32 ? first * m->k * sizeof(float)
                                     : first / Q8_TILE * m->q8.tile_bytes;
}

/* The share of a matrix that lies packed in the file: whole tiles, copied out of it. */
static int copy_packed(struct llama_loader *l, struct llama_matrix *out, unsigned char *block,
                       const char *name, const struct llama_source *from)
{
    struct q8_packed all;
    size_t before = 0, at = 0, n = 0;
    for (size_t i = 0; i < LLAMA_PARTS_MAX; i++) {
        n += from->parts[i].rows;
    }
    if (llama_packed_matrix(l->g, name, n, out->k, l->p, &all, l->e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < LLAMA_PARTS_MAX && from->parts[i].rows > 0; i++) {
        struct slice own = share_of(l, from, &from->parts[i]);
        size_t tiles = (own.n + Q8_TILE - 1) / Q8_TILE;
        memcpy(block + at, all.data + (before + own.first) / Q8_TILE * all.tile_bytes,
               tiles * all.tile_bytes);
        at += tiles * all.tile_bytes;
        before += from->parts[i].rows;
    }
    gguf_give_back(l->g, all.data, q8_packed_bytes(n, out->k));
    return 0;
}

int llama_load_matrix(struct llama_loader *l, struct llama_matrix *out, size_t k,
                      const struct llama_source *from)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    size_t n = count_rows(l, from);
    bool in_file = l->packed && l->c->n_ranks <= 1;
    if (in_file && !l->block) {
        return 0; /* nothing to make room for */
    }
    if (l->packed) {
        l->tensors_used += l->block != NULL;
        llama_tensor_name(name, from->layer, from->packed, "packed");
    }
    if (in_file) {
        llama_matrix_init(out, LLAMA_INT8, NULL, n, k);
        return llama_packed_matrix(l->g, name, n, k, l->p, &out->q8, l->e);
    }
    size_t bytes = llama_matrix_bytes(l->precision, n, k);
    if (bytes == 0) {
        llama_tensor_name(name, from->layer, from->parts[0].tensor, "weight");
        return err_set(l->e, ERR_LIMIT, "%s: tensor \"%s\" is too large", gguf_path(l->g),
                       name);
    }
    unsigned char *block = llama_load_take(l, bytes);
    llama_matrix_init(out, l->precision, block, n, k);
    if (l->packed) {
        return block ? copy_packed(l, out, block, name, from) : 0;
    }
    size_t first = 0;
    for (size_t i = 0; i < LLAMA_PARTS_MAX && from->parts[i].rows > 0; i++) {
        struct slice own = share_of(l, from, &from->parts[i]);
        unsigned char *at = block ? block + offset_of(l, out, first) : NULL;
        if (pack_part(l, from->layer, &from->parts[i], own, at, k) != 0) {
            return -1;
        }
        first += own.n;
    }
    return 0;
}

int llama_load_linear(struct llama_loader *l, struct llama_linear *out, size_t k,
                      const struct llama_source *from)
{
    if (llama_load_matrix(l, &out->matrix, k, from) != 0) {
        return -1;
    }
    if (!from->bias) {
        return 0;
    }
    float *bias = llama_load_take(l, count_rows(l, from) * sizeof(float));
    out->bias = bias;
    for (size_t i = 0; i < LLAMA_PARTS_MAX && from->parts[i].rows > 0; i++) {
        char name[LLAMA_TENSOR_NAME_MAX];
        struct slice own = share_of(l, from, &from->parts[i]);
        llama_tensor_name(name, from->layer, from->parts[i].tensor, "bias");
        if (read_floats(l, name, &from->parts[i], own, 1, bias) != 0) {
            return -1;
        }
        bias += bias ? own.n : 0;
    }
    return 0;
}

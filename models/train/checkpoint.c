#include "models/train/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

static const char magic[8] = "WEIRCKP2";

_Static_assert(sizeof(struct checkpoint_header) == 8 + 564 + 28 + 96,
               "the header has no padding");

int checkpoint_save(const char *path, struct trainer *t, const struct dataset *data,
                    struct err *e)
{
    size_t block = train_shape_param_count(trainer_shape(t)) * sizeof(float);
    struct checkpoint_header h = {
        .shape = *trainer_shape(t),
        .data_docs = dataset_doc_count(data),
        .data_tokens = dataset_token_count(data),
        .data_hash = dataset_hash(data),
        .options = *trainer_options(t),
        .step = trainer_step_count(t),
        .position = trainer_position(t),
    };
    memcpy(h.magic, magic, sizeof(magic));
    const struct file_part parts[] = {
        {&h, sizeof(h)},
        {trainer_params(t), block},
        {trainer_moment1(t), block},
        {trainer_moment2(t), block},
    };
    return file_write_atomic_parts(path, parts, 4, e);
}

static FILE *open_checked(const char *path, struct checkpoint_header *h, struct err *e)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        err_set_errno(e, errno, "%s: cannot open", path);
        return NULL;
    }
    if (fread(h, sizeof(*h), 1, f) != 1 || memcmp(h->magic, magic, sizeof(magic)) != 0) {
        err_set(e, ERR_FORMAT, "%s: not a checkpoint: it does not begin with \"WEIRCKP2\"",
                path);
        goto fail;
    }
    if (train_shape_check(&h->shape, e)) {
        err_prefix(e, "%s", path);
        goto fail;
    }
    if (h->options.optimizer.shards < 1 || h->options.optimizer.shards > TRAIN_MAX_SHARDS) {
        err_set(e, ERR_FORMAT, "%s: shards is %u", path, h->options.optimizer.shards);
        goto fail;
    }
    long expected = (long)(sizeof(*h) + 3 * sizeof(float) * train_shape_param_count(&h->shape));
    if (fseek(f, 0, SEEK_END) || ftell(f) != expected || fseek(f, (long)sizeof(*h), SEEK_SET)) {
        err_set(e, ERR_FORMAT, "%s: not %ld bytes long as its header says: cut off or damaged",
                path, expected);
        goto fail;
    }
    return f;
fail:
    fclose(f);
    return NULL;
}

bool checkpoint_is_one(const char *path)
{
    char found[sizeof(magic)];
    FILE *f = fopen(path, "rbe");
    bool is =
        f && fread(found, sizeof(found), 1, f) == 1 && memcmp(found, magic, sizeof(magic)) == 0;
    if (f) {
        fclose(f);
    }
    return is;
}

int checkpoint_read_header(const char *path, struct checkpoint_header *h, struct err *e)
{
    FILE *f = open_checked(path, h, e);
    if (!f) {
        return -1;
    }
    fclose(f);
    return 0;
}

float *checkpoint_read_params(const char *path, struct checkpoint_header *h, struct err *e)
{
    FILE *f = open_checked(path, h, e);
    if (!f) {
        return NULL;
    }
    size_t n = train_shape_param_count(&h->shape);
    float *params = mem_zalloc_aligned(n * sizeof(float));
    if (!params) {
        err_nomem(e);
    } else if (fread(params, sizeof(float), n, f) != n) {
        err_set(e, ERR_IO, "%s: cannot read", path);
        mem_free_aligned(params);
        params = NULL;
    }
    fclose(f);
    return params;
}

static int write_params(const char *path, const struct checkpoint_header *h,
                        const float *params, struct err *e)
{
    size_t block = train_shape_param_count(&h->shape) * sizeof(float);
    float *zeros = mem_zalloc_aligned(block);
    if (!zeros) {
        return err_nomem(e);
    }
    const struct file_part parts[] = {
        {h, sizeof(*h)}, {params, block}, {zeros, block}, {zeros, block}};
    int rc = file_write_atomic_parts(path, parts, 4, e);
    mem_free_aligned(zeros);
    return rc;
}

int checkpoint_average(const char *a, const char *b, float weight, const char *out,
                       struct err *e)
{
    struct checkpoint_header ha, hb;
    float *pa = checkpoint_read_params(a, &ha, e);
    float *pb = pa ? checkpoint_read_params(b, &hb, e) : NULL;
    int rc = pb ? 0 : -1;
    if (rc == 0 && memcmp(&ha.shape, &hb.shape, sizeof(ha.shape)) != 0) {
        rc = err_set(e, ERR_INVALID, "%s: its model has another shape than %s", b, a);
    }
    if (rc == 0) {
        size_t n = train_shape_param_count(&ha.shape);
        for (size_t i = 0; i < n; i++) {
            pa[i] += (pb[i] - pa[i]) * weight;
        }
        rc = write_params(out, &hb, pa, e);
    }
    mem_free_aligned(pa);
    mem_free_aligned(pb);
    return rc;
}

static int read_blocks(const char *path, struct trainer *t, struct checkpoint_header *h,
                       bool moments, struct err *e)
{
    FILE *f = open_checked(path, h, e);
    if (!f) {
        return -1;
    }
    int rc = 0;
    size_t n = train_shape_param_count(trainer_shape(t));
    if (memcmp(&h->shape, trainer_shape(t), sizeof(h->shape)) != 0) {
        rc = err_set(e, ERR_INVALID, "%s: its model has another shape", path);
    } else if (fread(trainer_params(t), sizeof(float), n, f) != n ||
               (moments && (fread(trainer_moment1(t), sizeof(float), n, f) != n ||
                            fread(trainer_moment2(t), sizeof(float), n, f) != n))) {
        rc = err_set(e, ERR_IO, "%s: cannot read", path);
    }
    fclose(f);
    return rc;
}

int checkpoint_load_params(const char *path, struct trainer *t, struct err *e)
{
    struct checkpoint_header h;
    return read_blocks(path, t, &h, false, e);
}

int checkpoint_resume(const char *path, struct trainer *t, const struct dataset *data,
                      struct err *e)
{
    struct checkpoint_header h;
    if (read_blocks(path, t, &h, true, e)) {
        return -1;
    }
    if (h.data_docs != dataset_doc_count(data) || h.data_tokens != dataset_token_count(data) ||
        h.data_hash != dataset_hash(data)) {
        return err_set(
            e, ERR_INVALID,
            "%s: that run reads %llu documents of %llu tokens (hash %016llx), this data has "
            "%llu of %llu (%016llx): name the same files in the same order, or start a new run "
            "with --init",
            path, (unsigned long long)h.data_docs, (unsigned long long)h.data_tokens,
            (unsigned long long)h.data_hash, (unsigned long long)dataset_doc_count(data),
            (unsigned long long)dataset_token_count(data),
            (unsigned long long)dataset_hash(data));
    }
    if (trainer_restore(t, h.step, h.position, e)) {
        return err_prefix(e, "%s", path);
    }
    return 0;
}

int checkpoint_write_params(const char *path, const struct train_shape *shape,
                            const float *params, struct err *e)
{
    struct checkpoint_header h;
    memset(&h, 0, sizeof(h));
    memcpy(h.magic, magic, sizeof(magic));
    h.shape = *shape;
    h.options = train_options_default();
    h.options.row = shape->context;
    return write_params(path, &h, params, e);
}

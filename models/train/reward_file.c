#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "models/train/dataset.h"
#include "models/train/reward.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

static const char magic[8] = {'W', 'E', 'I', 'R', 'R', 'W', 'D', '1'};

struct reward_model {
    struct train_shape shape;
    float *params; /* then the head */
    const float *head;
    struct train_params bound;
    struct transformer *transformer;
    struct train_slice slice;
};

static size_t head_offset(const struct train_shape *s)
{
    return (train_shape_param_count(s) + 15) / 16 * 16;
}

static size_t block_floats(const struct train_shape *s)
{
    return head_offset(s) + (s->d_model + 15) / 16 * 16;
}

int reward_save(const struct align_policy *p, const char *path, uint64_t mark, struct err *e)
{
    struct reward_header h;
    memset(&h, 0, sizeof(h));
    memcpy(h.magic, magic, sizeof(magic));
    h.shape = p->shape;
    h.optimizer = *optimizer_options(p->optimizer);
    h.mark = mark;
    h.step = optimizer_steps_done(p->optimizer);
    h.blocks = h.step < h.optimizer.steps ? 3 : 1;
    size_t block = p->block * sizeof(float);
    const struct file_part parts[] = {{&h, sizeof(h)},
                                      {p->params, block},
                                      {optimizer_moment1(p->optimizer), block},
                                      {optimizer_moment2(p->optimizer), block}};
    return file_write_atomic_parts(path, parts, 1 + (size_t)h.blocks, e);
}

/* Opens and checks; what follows are h->blocks blocks. */
static FILE *open_checked(const char *path, struct reward_header *h, struct err *e)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        err_set_errno(e, errno, "%s: cannot open", path);
        return NULL;
    }
    bool is_one =
        fread(h, sizeof(*h), 1, f) == 1 && memcmp(h->magic, magic, sizeof(magic)) == 0;
    if (!is_one || (h->blocks != 1 && h->blocks != 3)) {
        err_set(e, ERR_FORMAT, "%s: not a reward model (weir align reward writes them)", path);
    } else if (train_shape_check(&h->shape, e)) {
        err_prefix(e, "%s", path);
    } else {
        long want = (long)(sizeof(*h) + h->blocks * block_floats(&h->shape) * sizeof(float));
        if (!fseek(f, 0, SEEK_END) && ftell(f) == want &&
            !fseek(f, (long)sizeof(*h), SEEK_SET)) {
            return f;
        }
        err_set(e, ERR_FORMAT, "%s: its length is not that of its model, it is cut or damaged",
                path);
    }
    fclose(f);
    return NULL;
}

int reward_resume(struct align_policy *p, const char *path, uint64_t mark, struct err *e)
{
    struct reward_header h;
    FILE *f = open_checked(path, &h, e);
    int rc = 0;
    if (!f) {
        return -1;
    }
    if (memcmp(&h.shape, &p->shape, sizeof(h.shape)) != 0 || h.mark != mark ||
        memcmp(&h.optimizer, optimizer_options(p->optimizer), sizeof(h.optimizer)) != 0) {
        rc = err_set(e, ERR_INVALID,
                     "%s: that run began with other data or other options; give the same, or "
                     "begin a new one without --resume",
                     path);
    } else if (h.blocks != 3) {
        rc = err_set(e, ERR_INVALID, "%s: that run is at its end", path);
    } else if (fread(p->params, sizeof(float), p->block, f) != p->block ||
               fread(optimizer_moment1(p->optimizer), sizeof(float), p->block, f) != p->block ||
               fread(optimizer_moment2(p->optimizer), sizeof(float), p->block, f) != p->block) {
        rc = err_set(e, ERR_IO, "%s: cannot read", path);
    } else {
        optimizer_set_steps_done(p->optimizer, h.step);
    }
    fclose(f);
    return rc;
}

static int read_model(struct reward_model *m, const char *path, uint32_t capacity,
                      struct err *e)
{
    struct reward_header h;
    FILE *f = open_checked(path, &h, e);
    if (!f) {
        return -1;
    }
    m->shape = h.shape;
    size_t n = block_floats(&m->shape);
    capacity = capacity > 0 ? capacity : m->shape.context;
    m->params = mem_zalloc_aligned(n * sizeof(float));
    int rc = !m->params ? err_nomem(e) : 0;
    if (!rc && fread(m->params, sizeof(float), n, f) != n) {
        rc = err_set(e, ERR_IO, "%s: cannot read", path);
    }
    fclose(f);
    if (rc || !(m->transformer = transformer_create(&m->shape, capacity, e)) ||
        train_slice_init(&m->slice, capacity, e)) {
        return -1;
    }
    m->head = m->params + head_offset(&m->shape);
    train_params_bind(&m->bound, &m->shape, m->params);
    return 0;
}

struct reward_model *reward_open(const char *path, uint32_t capacity, struct err *e)
{
    struct reward_model *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
    } else if (read_model(m, path, capacity, e)) {
        reward_close(m);
        m = NULL;
    }
    return m;
}

void reward_close(struct reward_model *m)
{
    if (!m) {
        return;
    }
    transformer_destroy(m->transformer);
    train_slice_deinit(&m->slice);
    mem_free_aligned(m->params);
    mem_free(m);
}

const struct train_shape *reward_shape(const struct reward_model *m)
{
    return &m->shape;
}

double reward_of(struct reward_model *m, const struct align_set *set,
                 const struct align_doc *doc)
{
    dataset_slice_clear(&m->slice);
    align_slice_add_end(&m->slice, set, doc);
    const float *features = transformer_features(m->transformer, &m->bound, &m->slice);
    double sum = 0.0;
    for (uint32_t i = 0; i < m->shape.d_model; i++) {
        sum += (double)features[i] * (double)m->head[i];
    }
    return sum;
}

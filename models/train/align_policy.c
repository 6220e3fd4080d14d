#include "models/train/align_policy.h"

#include <string.h>

#include "models/train/import.h"
#include "runtime/base/mem.h"

static int allocate(struct align_policy *p, const struct optimizer_options *options,
                    struct err *e)
{
    for (uint32_t i = 0; i < options->shards; i++) {
        p->models[i] = transformer_create(&p->shape, p->capacity, e);
        if (!p->models[i] || train_slice_init(&p->slices[i], p->capacity, e)) {
            return -1;
        }
        p->weights[i] = mem_zarray(p->capacity, sizeof(float));
        p->logprobs[i] = mem_zarray(p->capacity, sizeof(float));
        if (!p->weights[i] || !p->logprobs[i]) {
            return err_nomem(e);
        }
    }
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    struct optimizer_tensor list[TRAIN_MAX_TENSORS + 1];
    size_t n = train_shape_tensors(&p->shape, tensors);
    for (size_t i = 0; i < n; i++) {
        /* The gradients' block is laid out as the parameters' is. */
        list[i] = (struct optimizer_tensor){
            .param = p->params + tensors[i].offset,
            .count = (size_t)tensors[i].rows * tensors[i].cols,
            .offset = tensors[i].offset,
            .decays = tensors[i].rows > 1,
        };
    }
    if (p->head) {
        list[n++] = (struct optimizer_tensor){
            .param = p->head, .count = p->n_head, .offset = p->head_offset, .decays = false};
    }
    p->optimizer = optimizer_create(options, list, n, e);
    return p->optimizer ? 0 : -1;
}

int align_start_shape(const struct align_start *start, struct train_shape *shape, struct err *e)
{
    struct checkpoint_header h;
    if (start->checkpoint) {
        if (checkpoint_read_header(start->checkpoint, &h, e)) {
            return -1;
        }
        *shape = h.shape;
        return 0;
    }
    struct gguf *g = import_open(start->model, e);
    int rc = g ? import_shape(g, start->context, shape, e) : -1;
    gguf_close(g);
    return rc;
}

static int read_weights(struct align_policy *p, const struct align_start *start, struct err *e)
{
    if (!start->checkpoint) {
        struct gguf *g = import_open(start->model, e);
        int rc = g ? import_params(g, &p->shape, p->params, e) : -1;
        gguf_close(g);
        return rc;
    }
    struct checkpoint_header h;
    float *params = checkpoint_read_params(start->checkpoint, &h, e);
    if (!params) {
        return -1;
    }
    memcpy(p->params, params, p->n_params * sizeof(float));
    mem_free_aligned(params);
    return 0;
}

static int open_weights(struct align_policy *p, const struct align_start *start, size_t n_head,
                        struct err *e)
{
    if (align_start_shape(start, &p->shape, e)) {
        return -1;
    }
    p->n_params = train_shape_param_count(&p->shape);
    p->n_head = n_head;
    p->head_offset = (p->n_params + 15) / 16 * 16;
    p->block = n_head > 0 ? p->head_offset + (n_head + 15) / 16 * 16 : p->n_params;
    p->params = mem_zalloc_aligned(p->block * sizeof(float));
    if (!p->params) {
        return err_nomem(e);
    }
    train_params_bind(&p->bound, &p->shape, p->params);
    p->head = n_head > 0 ? p->params + p->head_offset : NULL;
    return read_weights(p, start, e);
}

struct align_policy *align_policy_create(const struct align_start *start,
                                         const struct optimizer_options *options,
                                         uint32_t capacity, size_t n_head, struct err *e)
{
    if (optimizer_options_check(options, e)) {
        return NULL;
    }
    struct align_policy *p = mem_zalloc(sizeof(*p));
    if (!p) {
        err_nomem(e);
        return NULL;
    }
    p->capacity = capacity;
    if (open_weights(p, start, n_head, e) || allocate(p, options, e)) {
        align_policy_destroy(p);
        return NULL;
    }
    return p;
}

void align_policy_destroy(struct align_policy *p)
{
    if (!p) {
        return;
    }
    optimizer_destroy(p->optimizer);
    for (size_t i = 0; i < TRAIN_MAX_SHARDS; i++) {
        transformer_destroy(p->models[i]);
        train_slice_deinit(&p->slices[i]);
        mem_free(p->weights[i]);
        mem_free(p->logprobs[i]);
    }
    mem_free_aligned(p->params);
    mem_free(p);
}

void align_policy_bind_grads(const struct align_policy *p, float *block,
                             struct train_params *grads)
{
    train_params_bind(grads, &p->shape, block);
}

int align_policy_save(const struct align_policy *p, const char *path, uint64_t mark,
                      struct err *e)
{
    struct checkpoint_header h = {
        .shape = p->shape,
        .options = {.optimizer = *optimizer_options(p->optimizer), .seed = mark},
        .step = optimizer_steps_done(p->optimizer),
    };
    return checkpoint_write(path, &h, p->params, optimizer_moment1(p->optimizer),
                            optimizer_moment2(p->optimizer), e);
}

int align_policy_resume(struct align_policy *p, const char *path, uint64_t mark, struct err *e)
{
    struct checkpoint_header h;
    if (checkpoint_read(path, &p->shape, &h, p->params, optimizer_moment1(p->optimizer),
                        optimizer_moment2(p->optimizer), e)) {
        return -1;
    }
    if (h.options.seed != mark || memcmp(&h.options.optimizer, optimizer_options(p->optimizer),
                                         sizeof(h.options.optimizer)) != 0) {
        return err_set(e, ERR_INVALID,
                       "%s: that run began with other data or other options; give the same, or "
                       "begin a new one without --resume",
                       path);
    }
    optimizer_set_steps_done(p->optimizer, h.step);
    return 0;
}

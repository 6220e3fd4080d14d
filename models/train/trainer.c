#include "models/train/trainer.h"

#include <string.h>

#include "models/train/bf16.h"
#include "models/train/transformer.h"
#include "runtime/base/mem.h"

#define MAX_BATCH_TOKENS (1u << 23)

struct trainer {
    struct train_shape shape;
    struct train_options options;
    struct batcher *batcher;
    struct optimizer *optimizer;
    size_t n_params;
    float *params; /* (n_params) */
    uint32_t slices_per_shard;
    struct train_slice *slices; /* (shards * slices_per_shard), those of a shard side by side */
    struct transformer *models[TRAIN_MAX_SHARDS]; /* one a shard */
    float scale;                                  /* of the step that is running */
};

struct train_options train_options_default(void)
{
    return (struct train_options){
        .optimizer = optimizer_options_default(),
        .seed = 1,
        .batch_tokens = 16384,
        .row = 512,
        .slice_tokens = 2048,
    };
}

int trainer_check(const struct train_shape *s, const struct train_options *o, struct err *e)
{
    uint32_t shards = o->optimizer.shards;
    if (train_shape_check(s, e) || optimizer_options_check(&o->optimizer, e)) {
        return -1;
    }
    if (o->row < 2 || o->row > s->context) {
        return err_set_param(e, ERR_INVALID, "row",
                             "row is %u; the model's context allows 2 to %u", o->row,
                             s->context);
    }
    if (o->bf16 && !train_bf16_available()) {
        return err_set_param(e, ERR_UNSUPPORTED, "bf16",
                             "bfloat16 needs a processor with AVX512_BF16: leave out --bf16");
    }
    if (o->batch_tokens / shards < o->row || o->batch_tokens > MAX_BATCH_TOKENS) {
        return err_set_param(
            e, ERR_INVALID, "batch-tokens",
            "batch-tokens is %u; it must be at least shards * row = %u and at most %u",
            o->batch_tokens, shards * o->row, MAX_BATCH_TOKENS);
    }
    return 0;
}

/* How many slices a shard's part is cut into, none larger than slice_tokens unless a document
 * needs it; the tokens of one go to *capacity. */
static uint32_t cut_batch(const struct train_options *o, uint32_t *capacity)
{
    uint32_t per_shard = o->batch_tokens / o->optimizer.shards;
    uint32_t target = o->row > o->slice_tokens ? o->row : o->slice_tokens;
    uint32_t slices = (per_shard + target - 1) / target;
    if (per_shard / slices < o->row) {
        slices = per_shard / o->row;
    }
    *capacity = per_shard / slices;
    return slices;
}

static int allocate_slices(struct trainer *t, struct err *e)
{
    uint32_t capacity, shards = t->options.optimizer.shards;
    t->slices_per_shard = cut_batch(&t->options, &capacity);
    size_t n = (size_t)t->slices_per_shard * shards;
    t->slices = mem_zarray(n, sizeof(*t->slices));
    if (!t->slices) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        if (train_slice_init(&t->slices[i], capacity, e)) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < shards; i++) {
        if (!(t->models[i] = transformer_create(&t->shape, capacity, e))) {
            return -1;
        }
    }
    return 0;
}

static int create_optimizer(struct trainer *t, struct err *e)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    struct optimizer_tensor list[TRAIN_MAX_TENSORS];
    size_t n = train_shape_tensors(&t->shape, tensors);
    for (size_t i = 0; i < n; i++) {
        /* The gradients' block is laid out as the parameters' is. */
        list[i] = (struct optimizer_tensor){
            .param = t->params + tensors[i].offset,
            .count = (size_t)tensors[i].rows * tensors[i].cols,
            .offset = tensors[i].offset,
            .decays = tensors[i].rows > 1,
        };
    }
    t->optimizer = optimizer_create(&t->options.optimizer, list, n, e);
    return t->optimizer ? 0 : -1;
}

static int allocate(struct trainer *t, const struct dataset *data, struct err *e)
{
    t->params = mem_zalloc_aligned(t->n_params * sizeof(float));
    if (!t->params) {
        return err_nomem(e);
    }
    if (!data) {
        return 0;
    }
    if (dataset_vocab(data) > t->shape.vocab) {
        return err_set(e, ERR_INVALID,
                       "the token file has a vocabulary of %u, the model one of %u",
                       dataset_vocab(data), t->shape.vocab);
    }
    t->batcher = batcher_create(data, t->options.row, t->options.seed, true, e);
    return !t->batcher || allocate_slices(t, e) || create_optimizer(t, e) ? -1 : 0;
}

struct trainer *trainer_create(const struct train_shape *shape,
                               const struct train_options *options, const struct dataset *data,
                               struct err *e)
{
    if (trainer_check(shape, options, e)) {
        return NULL;
    }
    struct trainer *t = mem_zalloc(sizeof(*t));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    train_bf16_use(options->bf16 != 0);
    t->shape = *shape;
    t->options = *options;
    t->n_params = train_shape_param_count(shape);
    if (allocate(t, data, e)) {
        trainer_destroy(t);
        return NULL;
    }
    train_params_init(shape, t->params, options->seed);
    return t;
}

void trainer_destroy(struct trainer *t)
{
    if (!t) {
        return;
    }
    optimizer_destroy(t->optimizer);
    for (uint32_t i = 0; i < t->options.optimizer.shards; i++) {
        transformer_destroy(t->models[i]);
        for (uint32_t k = 0; t->slices && k < t->slices_per_shard; k++) {
            train_slice_deinit(&t->slices[i * t->slices_per_shard + k]);
        }
    }
    mem_free(t->slices);
    batcher_destroy(t->batcher);
    mem_free_aligned(t->params);
    mem_free(t);
}

uint64_t trainer_memory(const struct train_shape *shape, const struct train_options *options)
{
    uint32_t capacity;
    size_t n = train_shape_param_count(shape);
    cut_batch(options, &capacity);
    return n * sizeof(float) + optimizer_memory(&options->optimizer, n) +
           options->optimizer.shards * (uint64_t)transformer_bytes(shape, capacity) +
           4 * sizeof(uint32_t) * (uint64_t)options->batch_tokens;
}

/* One shard's slices, one after the other into the same gradients. */
static double run_shard(void *ctx, uint32_t shard, float *block)
{
    struct trainer *t = ctx;
    struct train_params params, grads;
    double loss = 0.0;
    train_params_bind(&params, &t->shape, t->params);
    if (block) {
        train_params_bind(&grads, &t->shape, block);
    }
    for (uint32_t i = 0; i < t->slices_per_shard; i++) {
        const struct train_slice *slice = &t->slices[shard * t->slices_per_shard + i];
        if (slice->n_targets == 0) {
            continue;
        }
        loss += block
                    ? transformer_gradients(t->models[shard], &params, &grads, slice, t->scale)
                    : transformer_loss(t->models[shard], &params, slice);
    }
    return loss;
}

static double batch_flops(const struct trainer *t)
{
    const struct train_shape *s = &t->shape;
    double d = s->d_model, layers = s->n_layers, heads = train_shape_q_dim(s);
    double qkv = d * train_shape_qkv_dim(s), rest = heads * d + 3.0 * d * s->ffn;
    double tokens = 0.0, targets = 0.0, pairs = 0.0;
    size_t n_slices = (size_t)t->slices_per_shard * t->options.optimizer.shards;
    for (size_t i = 0; i < n_slices; i++) {
        const struct train_slice *slice = &t->slices[i];
        tokens += slice->n_tokens;
        targets += slice->n_targets;
        for (uint32_t doc = 0, begin = 0; doc < slice->n_docs; begin = slice->doc_ends[doc++]) {
            double n = slice->doc_ends[doc] - begin;
            pairs += n * (n + 1.0) / 2.0;
        }
    }
    /* Behind the last layer's attention only rows with a target go on. */
    double through = tokens * (layers * qkv + (layers - 1.0) * rest) +
                     targets * (rest + d * (double)s->vocab);
    return 6.0 * through + 12.0 * layers * heads * pairs;
}

int trainer_step(struct trainer *t, struct train_stats *stats, struct err *e)
{
    size_t n_slices = (size_t)t->slices_per_shard * t->options.optimizer.shards;
    struct optimizer_stats done;
    uint32_t targets = batcher_fill(t->batcher, t->slices, n_slices, false);
    *stats = (struct train_stats){.targets = targets};
    for (size_t i = 0; i < n_slices; i++) {
        stats->tokens += t->slices[i].n_tokens;
    }
    t->scale = 1.0f / (float)targets;
    if (optimizer_step(t->optimizer, run_shard, t, &done, e)) {
        return -1;
    }
    stats->loss = done.loss / targets;
    stats->grad_norm = done.grad_norm;
    stats->lr = done.lr;
    stats->flops = batch_flops(t);
    return 0;
}

int trainer_validate(struct trainer *t, const struct dataset *data, uint64_t max_tokens,
                     double *loss, struct err *e)
{
    if (dataset_vocab(data) > t->shape.vocab) {
        return err_set(e, ERR_INVALID,
                       "the validation file has a vocabulary of %u, the model one of %u",
                       dataset_vocab(data), t->shape.vocab);
    }
    struct batcher *batcher = batcher_create(data, t->options.row, 0, false, e);
    if (!batcher) {
        return -1;
    }
    size_t n_slices = (size_t)t->slices_per_shard * t->options.optimizer.shards;
    uint64_t tokens = 0, targets = 0;
    uint32_t count;
    double total = 0.0;
    while (tokens < max_tokens &&
           (count = batcher_fill(batcher, t->slices, n_slices, true)) > 0) {
        total += optimizer_evaluate(t->optimizer, run_shard, t);
        for (size_t i = 0; i < n_slices; i++) {
            tokens += t->slices[i].n_tokens;
        }
        targets += count;
    }
    *loss = total / (double)targets;
    batcher_destroy(batcher);
    return 0;
}

uint64_t trainer_step_count(const struct trainer *t)
{
    return t->optimizer ? optimizer_steps_done(t->optimizer) : 0;
}

double trainer_epochs(const struct trainer *t)
{
    struct batcher_position at = batcher_tell(t->batcher);
    return (double)at.epoch + (double)at.next / (double)batcher_doc_count(t->batcher);
}

const struct train_shape *trainer_shape(const struct trainer *t)
{
    return &t->shape;
}

const struct train_options *trainer_options(const struct trainer *t)
{
    return &t->options;
}

float *trainer_params(struct trainer *t)
{
    return t->params;
}

float *trainer_moment1(struct trainer *t)
{
    return optimizer_moment1(t->optimizer);
}

float *trainer_moment2(struct trainer *t)
{
    return optimizer_moment2(t->optimizer);
}

struct batcher_position trainer_position(const struct trainer *t)
{
    return t->batcher ? batcher_tell(t->batcher) : (struct batcher_position){0};
}

int trainer_restore(struct trainer *t, uint64_t step, struct batcher_position at, struct err *e)
{
    if (t->optimizer) {
        optimizer_set_steps_done(t->optimizer, step);
    }
    return t->batcher ? batcher_seek(t->batcher, at, e) : 0;
}

#include "models/train/sft.h"

#include <math.h>
#include <string.h>

#include "models/train/sft_run.h"
#include "runtime/base/mem.h"

/* --- defaults --- */

static uint32_t clamp(double x, double least, double most)
{
    return (uint32_t)(x < least ? least : x > most ? most : x + 0.5);
}

/* Learning rates that suit a width of 4096 rise with the square root of how much narrower a
 * model is; an adapter takes ten times what all weights take (Schulman 2025, "LoRA without
 * regret"). */
static float default_rate(const struct train_shape *shape, bool full)
{
    float narrower = sqrtf(4096.0f / (float)shape->d_model);
    narrower = narrower < 1.0f ? 1.0f : narrower;
    return (full ? 2e-5f : 2e-4f) * narrower;
}

struct sft_options sft_options_default(const struct train_shape *shape,
                                       const struct sft_size *size, bool full)
{
    double n = (double)size->documents;
    uint32_t examples = clamp(n / 25.0, 4.0, 32.0); /* of a step */
    struct sft_options o = {
        .seed = 1,
        .optimizer = optimizer_options_default(),
        .row = size->longest,
        .slice_tokens = 1024,
        .epochs = clamp(2.0 + 1200.0 / n, 2.0, 10.0),
        .patience = 2,
    };
    if (!full) {
        o.lora = (struct lora){.rank = 16, .alpha = 32.0f, .targets = LORA_ALL};
    }
    double mean = (double)size->tokens / n;
    uint32_t least = o.optimizer.shards * size->longest;
    o.batch_tokens = clamp(examples * mean, least, 1u << 20);
    o.optimizer.lr = default_rate(shape, full);
    o.optimizer.min_lr = o.optimizer.lr / 10.0f;
    o.optimizer.weight_decay = full ? 0.01f : 0.0f;
    o.optimizer.warmup = 0; /* a twentieth of the steps, once they are known */
    return o;
}

/* --- making a run --- */

static int check_options(const struct sft_options *o, const struct train_shape *shape,
                         struct err *e)
{
    uint32_t shards = o->optimizer.shards;
    if (o->epochs < 1) {
        return err_set_param(e, ERR_INVALID, "epochs", "epochs is 0; at least 1 is needed");
    }
    if (o->row < 2 || o->row > shape->context) {
        return err_set_param(e, ERR_INVALID, "row",
                             "row is %u; the model's context allows 2 to %u", o->row,
                             shape->context);
    }
    if (shards < 1 || shards > TRAIN_MAX_SHARDS || o->batch_tokens / shards < o->row) {
        return err_set_param(e, ERR_INVALID, "batch-tokens",
                             "batch-tokens is %u; at least threads * longest example = %u is "
                             "needed",
                             o->batch_tokens, shards * o->row);
    }
    return o->lora.rank > 0 ? lora_check(&o->lora, e) : 0;
}

static uint32_t cut_batch(const struct sft_options *o, uint32_t *capacity)
{
    uint32_t per_shard = o->batch_tokens / o->optimizer.shards;
    uint32_t target = o->row > o->slice_tokens ? o->row : o->slice_tokens;
    uint32_t slices = per_shard / target > 0 ? per_shard / target : 1;
    *capacity = per_shard / slices;
    return slices;
}

static int allocate_slices(struct sft *s, struct err *e)
{
    uint32_t capacity, shards = s->options.optimizer.shards;
    s->slices_per_shard = cut_batch(&s->options, &capacity);
    size_t n = (size_t)s->slices_per_shard * shards;
    s->slices = mem_zarray(n, sizeof(*s->slices));
    if (!s->slices) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        if (train_slice_init(&s->slices[i], capacity, e)) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < shards; i++) {
        if (!(s->models[i] = transformer_create(&s->shape, capacity, e))) {
            return -1;
        }
    }
    return 0;
}

static size_t slice_count(const struct sft *s)
{
    return (size_t)s->slices_per_shard * s->options.optimizer.shards;
}

/* Fills the batches of all epochs, to know how many there are. */
static int count_steps(struct sft *s, struct err *e)
{
    uint64_t steps = 0;
    for (uint32_t epoch = 0; epoch < s->options.epochs; epoch++) {
        if (batcher_seek(s->batcher, (struct batcher_position){.epoch = epoch}, e)) {
            return -1;
        }
        while (batcher_fill(s->batcher, s->slices, slice_count(s), true) > 0) {
            steps++;
        }
    }
    s->options.optimizer.steps = steps;
    if (s->options.optimizer.warmup == 0) {
        s->options.optimizer.warmup = (uint32_t)(steps / 20 + 1);
    }
    return batcher_seek(s->batcher, (struct batcher_position){0}, e);
}

static size_t list_tensors(const struct sft *s, struct optimizer_tensor *out)
{
    if (s->adapter) {
        out[0] = (struct optimizer_tensor){
            .param = s->adapter, .count = s->n_trained, .decays = true};
        return 1;
    }
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t n = train_shape_tensors(&s->shape, tensors);
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct optimizer_tensor){
            .param = s->base.params + tensors[i].offset,
            .count = (size_t)tensors[i].rows * tensors[i].cols,
            .offset = tensors[i].offset,
            .decays = tensors[i].rows > 1,
        };
    }
    return n;
}

static int allocate(struct sft *s, const struct dataset *train, struct err *e)
{
    struct optimizer_tensor tensors[TRAIN_MAX_TENSORS];
    const struct lora *lora = &s->options.lora;
    if (lora->rank > 0) {
        s->n_trained = lora_param_count(&s->shape, lora);
        s->adapter = mem_zalloc_aligned(s->n_trained * sizeof(float));
        if (!s->adapter) {
            return err_nomem(e);
        }
        lora_init(&s->shape, lora, s->adapter, s->options.seed);
    } else {
        s->n_trained = train_shape_param_count(&s->shape);
    }
    s->trained = s->adapter ? s->adapter : s->base.params;
    if (s->held_out && !(s->best = mem_zalloc_aligned(s->n_trained * sizeof(float)))) {
        return err_nomem(e);
    }
    s->batcher = batcher_create(train, s->options.row, s->options.seed, true, e);
    if (!s->batcher || allocate_slices(s, e) || count_steps(s, e)) {
        return -1;
    }
    s->optimizer =
        optimizer_create(&s->options.optimizer, tensors, list_tensors(s, tensors), e);
    return s->optimizer ? 0 : -1;
}

struct sft *sft_create(const struct train_shape *shape, const struct sft_base *base,
                       const struct sft_options *options, const struct dataset *train,
                       const struct dataset *held_out, struct err *e)
{
    if (check_options(options, shape, e)) {
        return NULL;
    }
    struct sft *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    s->shape = *shape;
    s->options = *options;
    s->base = *base;
    s->held_out = held_out;
    s->best_loss = NAN;
    if (allocate(s, train, e)) {
        sft_destroy(s);
        return NULL;
    }
    return s;
}

void sft_destroy(struct sft *s)
{
    if (!s) {
        return;
    }
    optimizer_destroy(s->optimizer);
    for (uint32_t i = 0; i < s->options.optimizer.shards; i++) {
        transformer_destroy(s->models[i]);
    }
    for (size_t i = 0; s->slices && i < slice_count(s); i++) {
        train_slice_deinit(&s->slices[i]);
    }
    mem_free(s->slices);
    batcher_destroy(s->batcher);
    mem_free_aligned(s->adapter);
    mem_free_aligned(s->best);
    mem_free(s);
}

uint64_t sft_memory(const struct train_shape *shape, const struct sft_options *options,
                    bool frozen, bool held_out)
{
    uint32_t capacity;
    bool lora = options->lora.rank > 0;
    size_t model = train_shape_param_count(shape);
    size_t trained = lora ? lora_param_count(shape, &options->lora) : model;
    size_t floats = (frozen ? 0 : model) + (lora ? trained : 0) + (held_out ? trained : 0);
    cut_batch(options, &capacity);
    return floats * sizeof(float) + optimizer_memory(&options->optimizer, trained) +
           options->optimizer.shards * (uint64_t)transformer_bytes(shape, capacity);
}

/* --- steps --- */

/* Another seed for each slice of each step; not 0. */
static uint64_t dropout_seed(const struct sft *s, size_t slice)
{
    if (!(s->options.lora.dropout > 0.0f)) {
        return 0;
    }
    uint64_t step = optimizer_steps_done(s->optimizer);
    return (s->options.seed * 0x9e3779b97f4a7c15u + step * TRAIN_MAX_SHARDS * 64 + slice) |
           1u << 31;
}

static void bind(const struct sft *s, float *block, struct train_params *params,
                 struct train_params *grads)
{
    if (s->base.frozen) {
        *params = *s->base.frozen;
    } else {
        train_params_bind(params, &s->shape, s->base.params);
    }
    if (!s->adapter) {
        if (block) {
            train_params_bind(grads, &s->shape, block);
        }
        return;
    }
    lora_bind(params, &s->shape, &s->options.lora, s->adapter);
    if (block) {
        train_params_clear(grads, &s->shape);
        lora_bind(grads, &s->shape, &s->options.lora, block);
    }
}

/* One shard's slices, one after the other into the same gradients. */
static double run_shard(void *ctx, uint32_t shard, float *block)
{
    struct sft *s = ctx;
    struct train_params params, grads;
    struct transformer *model = s->models[shard];
    double loss = 0.0;
    bind(s, block, &params, &grads);
    for (uint32_t i = 0; i < s->slices_per_shard; i++) {
        size_t at = (size_t)shard * s->slices_per_shard + i;
        const struct train_slice *slice = &s->slices[at];
        if (slice->n_targets == 0) {
            continue;
        }
        transformer_set_dropout(model, block ? dropout_seed(s, at) : 0);
        loss += block ? transformer_gradients(model, &params, &grads, slice, s->scale)
                      : transformer_loss(model, &params, slice);
    }
    return loss;
}

bool sft_is_over(const struct sft *s)
{
    return s->epochs_done == s->options.epochs ||
           (s->options.patience > 0 && s->bad >= s->options.patience);
}

int sft_step(struct sft *s, struct sft_stats *stats, struct err *e)
{
    struct optimizer_stats done;
    uint32_t targets = batcher_fill(s->batcher, s->slices, slice_count(s), true);
    *stats = (struct sft_stats){.targets = targets};
    for (size_t i = 0; i < slice_count(s); i++) {
        stats->tokens += s->slices[i].n_tokens;
        stats->documents += s->slices[i].n_docs;
    }
    s->scale = 1.0f / (float)targets;
    if (optimizer_step(s->optimizer, run_shard, s, &done, e)) {
        return -1;
    }
    stats->loss = done.loss / targets;
    stats->grad_norm = done.grad_norm;
    stats->lr = done.lr;
    if (batcher_tell(s->batcher).next == batcher_doc_count(s->batcher)) {
        s->epochs_done++;
        return batcher_seek(s->batcher, (struct batcher_position){.epoch = s->epochs_done}, e);
    }
    return 0;
}

int sft_evaluate(struct sft *s, const struct dataset *data, double *loss, struct err *e)
{
    struct batcher *batcher = batcher_create(data, s->options.row, 0, false, e);
    uint64_t targets = 0;
    uint32_t count;
    double total = 0.0;
    if (!batcher) {
        return -1;
    }
    while ((count = batcher_fill(batcher, s->slices, slice_count(s), true)) > 0) {
        total += optimizer_evaluate(s->optimizer, run_shard, s);
        targets += count;
    }
    *loss = total / (double)targets;
    batcher_destroy(batcher);
    return 0;
}

bool sft_is_judgement_due(const struct sft *s)
{
    return s->held_out && s->judged < s->epochs_done;
}

int sft_judge(struct sft *s, double *loss, struct err *e)
{
    if (sft_evaluate(s, s->held_out, loss, e)) {
        return -1;
    }
    s->judged = s->epochs_done;
    s->bad++;
    if (isnan(s->best_loss) || *loss < s->best_loss) {
        s->best_loss = *loss;
        s->best_epoch = s->epochs_done;
        s->bad = 0;
        memcpy(s->best, s->trained, s->n_trained * sizeof(float));
    }
    return 0;
}

void sft_take_best(struct sft *s)
{
    if (s->best && s->best_epoch > 0) {
        memcpy(s->trained, s->best, s->n_trained * sizeof(float));
    }
}

uint64_t sft_steps_done(const struct sft *s)
{
    return optimizer_steps_done(s->optimizer);
}

uint64_t sft_steps(const struct sft *s)
{
    return s->options.optimizer.steps;
}

uint32_t sft_epochs_done(const struct sft *s)
{
    return s->epochs_done;
}

double sft_best_loss(const struct sft *s)
{
    return s->best_loss;
}

uint32_t sft_best_epoch(const struct sft *s)
{
    return s->best_epoch;
}

const struct sft_options *sft_options(const struct sft *s)
{
    return &s->options;
}

const float *sft_adapter(const struct sft *s)
{
    return s->adapter;
}

uint64_t sft_trained_count(const struct sft *s)
{
    return s->n_trained;
}

#include "models/train/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/train/matmul.h"
#include "runtime/base/rng.h"

int lora_check(const struct lora *lora, struct err *e)
{
    if (lora->rank < 1 || lora->rank > TRAIN_MAX_RANK) {
        return err_set_param(e, ERR_INVALID, "rank", "LoRA: rank is %u; 1 to %d are allowed",
                             lora->rank, TRAIN_MAX_RANK);
    }
    if (!(lora->alpha > 0.0f && lora->alpha <= 65536.0f)) {
        return err_set_param(e, ERR_INVALID, "alpha",
                             "LoRA: alpha must be above 0 and at most 65536");
    }
    if (!(lora->dropout >= 0.0f && lora->dropout < 1.0f)) {
        return err_set_param(e, ERR_INVALID, "dropout",
                             "LoRA: dropout must be 0 or more and below 1");
    }
    if (lora->targets == 0 || (lora->targets & ~(uint32_t)LORA_ALL) != 0) {
        return err_set_param(e, ERR_INVALID, "targets",
                             "LoRA: targets are some of q, k, v, out, gate, up, down");
    }
    return 0;
}

static const struct {
    const char *names[4]; /* ours, GGUF's and Hugging Face's */
    uint32_t targets;
} target_names[] = {
    {{"q", "attn_q", "q_proj"}, LORA_Q},
    {{"k", "attn_k", "k_proj"}, LORA_K},
    {{"v", "attn_v", "v_proj"}, LORA_V},
    {{"out", "attn_output", "o_proj", "o"}, LORA_OUT},
    {{"gate", "ffn_gate", "gate_proj"}, LORA_GATE},
    {{"up", "ffn_up", "up_proj"}, LORA_UP},
    {{"down", "ffn_down", "down_proj"}, LORA_DOWN},
    {{"attention"}, LORA_ATTENTION},
    {{"all", "all-linear"}, LORA_ALL},
};

static uint32_t find_target(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(target_names) / sizeof(target_names[0]); i++) {
        for (size_t j = 0; j < 4 && target_names[i].names[j]; j++) {
            const char *known = target_names[i].names[j];
            if (strlen(known) == len && memcmp(known, name, len) == 0) {
                return target_names[i].targets;
            }
        }
    }
    return 0;
}

int lora_parse_targets(const char *text, uint32_t *targets, struct err *e)
{
    uint32_t all = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        uint32_t one = find_target(at, len);
        if (one == 0) {
            return err_set_param(e, ERR_INVALID, "targets",
                                 "LoRA: targets: \"%.*s\" is not known; some of q, k, v, out, "
                                 "gate, up, down with commas between, or attention, or all",
                                 (int)(len < 40 ? len : 40), at);
        }
        all |= one;
        at += len;
        if (!*at) {
            *targets = all;
            return 0;
        }
    }
}

/* One matrix of a layer that has a pair: its place in the layer's fused matrix. */
struct place {
    uint32_t target;
    const char *name;
    uint32_t first, rows;
};

/* The fused matrices of a layer, in the block's order. */
#define GROUPS 4
struct group {
    uint32_t n_in, count;
    struct place places[TRAIN_MAX_PARTS];
};

static void groups_of(const struct train_shape *s, const struct lora *lora,
                      struct group out[GROUPS])
{
    uint32_t d = s->d_model, q = train_shape_q_dim(s), kv = train_shape_kv_dim(s);
    uint32_t ffn = s->ffn;
    const struct group all[GROUPS] = {
        {d,
         3,
         {{LORA_Q, "attn_q", 0, q}, {LORA_K, "attn_k", q, kv}, {LORA_V, "attn_v", q + kv, kv}}},
        {q, 1, {{LORA_OUT, "attn_output", 0, d}}},
        {d, 2, {{LORA_GATE, "ffn_gate", 0, ffn}, {LORA_UP, "ffn_up", ffn, ffn}}},
        {ffn, 1, {{LORA_DOWN, "ffn_down", 0, d}}},
    };
    for (size_t g = 0; g < GROUPS; g++) {
        out[g] = (struct group){.n_in = all[g].n_in};
        for (uint32_t i = 0; i < all[g].count; i++) {
            if (lora->targets & all[g].places[i].target) {
                out[g].places[out[g].count++] = all[g].places[i];
            }
        }
    }
}

static void add_tensor(struct train_tensor *out, size_t *count, size_t *offset, uint32_t layer,
                       const char *name, char part, uint32_t rows, uint32_t cols)
{
    struct train_tensor *t = &out[(*count)++];
    *t = (struct train_tensor){.offset = *offset, .rows = rows, .cols = cols};
    snprintf(t->name, sizeof(t->name), "blk.%u.%s.weight.lora_%c", layer, name, part);
    *offset += (size_t)rows * cols;
}

size_t lora_tensors(const struct train_shape *s, const struct lora *lora,
                    struct train_tensor out[LORA_MAX_TENSORS])
{
    size_t count = 0, offset = 0;
    struct group groups[GROUPS];
    groups_of(s, lora, groups);
    for (uint32_t layer = 0; layer < s->n_layers; layer++) {
        for (size_t g = 0; g < GROUPS; g++) {
            for (uint32_t i = 0; i < groups[g].count; i++) {
                add_tensor(out, &count, &offset, layer, groups[g].places[i].name, 'a',
                           lora->rank, groups[g].n_in);
            }
            for (uint32_t i = 0; i < groups[g].count; i++) {
                add_tensor(out, &count, &offset, layer, groups[g].places[i].name, 'b',
                           groups[g].places[i].rows, lora->rank);
            }
        }
    }
    return count;
}

size_t lora_param_count(const struct train_shape *s, const struct lora *lora)
{
    struct group groups[GROUPS];
    size_t layer = 0;
    groups_of(s, lora, groups);
    for (size_t g = 0; g < GROUPS; g++) {
        for (uint32_t i = 0; i < groups[g].count; i++) {
            layer += (size_t)lora->rank * (groups[g].n_in + groups[g].places[i].rows);
        }
    }
    return layer * s->n_layers;
}

/* Returns where the next linear layer's pairs begin. */
static float *bind_linear(struct train_linear *l, const struct group *g,
                          const struct lora *lora, uint32_t salt, float *at)
{
    l->n_pairs = g->count;
    if (g->count == 0) {
        return at;
    }
    l->rank = lora->rank;
    l->scale = lora->alpha / (float)lora->rank;
    l->dropout = lora->dropout;
    l->salt = salt;
    l->a = at;
    at += (size_t)g->count * lora->rank * g->n_in;
    for (uint32_t i = 0; i < g->count; i++) {
        l->pairs[i] = (struct train_pair){
            .first = g->places[i].first, .rows = g->places[i].rows, .b = at};
        at += (size_t)g->places[i].rows * lora->rank;
    }
    return at;
}

void lora_bind(struct train_params *p, const struct train_shape *s, const struct lora *lora,
               float *block)
{
    struct group groups[GROUPS];
    groups_of(s, lora, groups);
    for (uint32_t i = 0; i < s->n_layers; i++) {
        struct train_layer *l = &p->layers[i];
        struct train_linear *linears[GROUPS] = {&l->qkv, &l->out, &l->gate_up, &l->down};
        for (uint32_t g = 0; g < GROUPS; g++) {
            block = bind_linear(linears[g], &groups[g], lora, i * GROUPS + g, block);
        }
    }
}

void lora_init(const struct train_shape *s, const struct lora *lora, float *block,
               uint64_t seed)
{
    struct train_tensor tensors[LORA_MAX_TENSORS];
    size_t count = lora_tensors(s, lora, tensors);
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        const struct train_tensor *t = &tensors[i];
        size_t n = (size_t)t->rows * t->cols, len = strlen(t->name);
        float spread = t->name[len - 1] == 'a' ? 1.0f / sqrtf((float)t->cols) : 0.0f;
        for (size_t j = 0; j < n; j++) {
            block[t->offset + j] = spread * (2.0f * rng_uniform(&rng) - 1.0f);
        }
    }
}

static void merge_linear(const struct train_linear *l)
{
    for (uint32_t i = 0; i < l->n_pairs; i++) {
        const struct train_pair *p = &l->pairs[i];
        product_nn(l->weight + (size_t)p->first * l->n_in, l->n_in, p->b, l->rank,
                   l->a + (size_t)i * l->rank * l->n_in, l->n_in, p->rows, l->n_in, l->rank,
                   l->scale, 1.0f);
    }
}

void lora_merge(const struct train_shape *s, const struct lora *lora, float *block,
                float *params)
{
    struct train_params p;
    train_params_bind(&p, s, params);
    lora_bind(&p, s, lora, block);
    for (uint32_t i = 0; i < s->n_layers; i++) {
        merge_linear(&p.layers[i].qkv);
        merge_linear(&p.layers[i].out);
        merge_linear(&p.layers[i].gate_up);
        merge_linear(&p.layers[i].down);
    }
}

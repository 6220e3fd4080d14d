/* align_dpo.h, align_grpo.h, reward.h: losses and whole steps against central differences of a
 * double-precision model, toy runs that have to learn, runs that stop and go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/train/align_dpo.h"
#include "models/train/align_grpo.h"
#include "models/train/dataset.h"
#include "models/train/reward.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/train/reference_model.h"

#define PROMPT  3
#define ANSWER  4
#define PAIRS   12
#define CONTEXT 12

static const struct train_shape shape = {
    .d_model = 16,
    .n_layers = 1,
    .n_heads = 4,
    .n_kv_heads = 2,
    .ffn = 16,
    .vocab = 16,
    .context = CONTEXT,
    .rope_base = 100.0f,
    .norm_eps = 1e-5f,
};

struct fixture {
    char start[48], state[48];
    struct align_start from;
    struct optimizer_options options;
    struct align_set pairs;
    double *block; /* the weights, in double */
    size_t n_params;
};

static void add_pair(struct align_set *s, struct rng *rng)
{
    struct align_pair p;
    struct err e;
    int32_t prompt[PROMPT], good[ANSWER], bad[ANSWER];
    for (size_t i = 0; i < PROMPT; i++) {
        prompt[i] = (int32_t)rng_below(rng, 16);
    }
    /* The chosen answer's tokens are even, the rejected one's odd and shorter. */
    for (size_t i = 0; i < ANSWER; i++) {
        good[i] = 2 * (int32_t)rng_below(rng, 8);
        bad[i] = 2 * (int32_t)rng_below(rng, 8) + 1;
    }
    assert_int_equal(align_set_add_tokens(s, prompt, PROMPT, good, ANSWER, &p.chosen, &e), 0);
    assert_int_equal(align_set_add_tokens(s, prompt, PROMPT, bad, ANSWER - 1, &p.rejected, &e),
                     0);
    assert_int_equal(buf_append(&s->pairs, &p, sizeof(p)), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err e;
    struct rng rng;
    *state = f;
    snprintf(f->start, sizeof(f->start), "/tmp/weir-align-%d.ckpt", (int)getpid());
    snprintf(f->state, sizeof(f->state), "/tmp/weir-align-%d.out", (int)getpid());
    f->from.checkpoint = f->start;
    f->n_params = train_shape_param_count(&shape);
    float *params = mem_zalloc_aligned(f->n_params * sizeof(float));
    f->block = calloc(f->n_params, sizeof(double));
    train_params_init(&shape, params, 3);
    for (size_t i = 0; i < f->n_params; i++) {
        params[i] *= 3.0f;
        f->block[i] = (double)params[i];
    }
    int rc = checkpoint_write_params(f->start, &shape, params, &e);
    mem_free_aligned(params);
    f->options = optimizer_options_default();
    f->options.steps = 8;
    f->options.warmup = 1;
    f->options.lr = f->options.min_lr = 0.01f;
    f->options.weight_decay = 0.0f;
    f->options.clip = 1e9f;
    align_set_init(&f->pairs);
    rng_seed(&rng, 5);
    for (int i = 0; i < PAIRS; i++) {
        add_pair(&f->pairs, &rng);
    }
    return rc;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->start);
    unlink(f->state);
    align_set_deinit(&f->pairs);
    free(f->block);
    free(f);
    return 0;
}

static struct align_policy *policy_of(struct fixture *f, size_t n_head)
{
    struct err e = {0};
    struct align_policy *p = align_policy_create(&f->from, &f->options, 64, n_head, &e);
    if (!p) {
        fail_msg("%s", e.message);
    }
    return p;
}

/* --- losses --- */

static void gradients_of_a_pair_are_differences(void **state)
{
    (void)state;
    const double h = 1e-6;
    for (int k = 0; k < 8; k++) {
        const struct dpo_options o = {
            .beta = 0.3f, .sft_weight = k & 1 ? 0.2f : 0.0f, .per_token = (k & 2) != 0};
        struct dpo_logprobs c = {-4.0 + k, -5.0, 5}, r = {-9.0, -7.0 - k, 3};
        double dc, dr, unused, up, down;
        dpo_pair_loss(&o, &c, &r, &dc, &dr);
        c.policy += h;
        up = dpo_pair_loss(&o, &c, &r, &unused, &unused);
        c.policy -= 2 * h;
        down = dpo_pair_loss(&o, &c, &r, &unused, &unused);
        c.policy += h;
        assert_true(fabs((up - down) / (2 * h) - dc) < 1e-8);
        r.policy += h;
        up = dpo_pair_loss(&o, &c, &r, &unused, &unused);
        r.policy -= 2 * h;
        down = dpo_pair_loss(&o, &c, &r, &unused, &unused);
        assert_true(fabs((up - down) / (2 * h) - dr) < 1e-8);
    }
    /* Where policy and reference agree nothing is preferred: log 2. */
    const struct dpo_options o = {.beta = 0.1f};
    struct dpo_logprobs same = {-3.0, -3.0, 2};
    double dc, dr;
    assert_true(fabs(dpo_pair_loss(&o, &same, &same, &dc, &dr) - log(2.0)) < 1e-12);
}

static void gradients_of_rewards_are_differences(void **state)
{
    (void)state;
    const struct reward_options o = {.center = 0.05f};
    const double h = 1e-6;
    for (int k = -3; k <= 3; k++) {
        double c = 0.7 * k, r = 0.4, dc, dr, unused;
        reward_pair_loss(&o, c, r, &dc, &dr);
        double up = reward_pair_loss(&o, c + h, r, &unused, &unused);
        double down = reward_pair_loss(&o, c - h, r, &unused, &unused);
        assert_true(fabs((up - down) / (2 * h) - dc) < 1e-8);
        up = reward_pair_loss(&o, c, r + h, &unused, &unused);
        down = reward_pair_loss(&o, c, r - h, &unused, &unused);
        assert_true(fabs((up - down) / (2 * h) - dr) < 1e-8);
    }
}

static void gradients_of_a_token_are_differences(void **state)
{
    (void)state;
    const struct grpo_options o = {.clip = 0.2f, .beta = 0.1f};
    const double h = 1e-6, moved[] = {-0.5, -0.1, 0.0, 0.1, 0.5};
    int n_clipped = 0;
    for (size_t k = 0; k < 10; k++) {
        double old = -1.5, policy = old + moved[k / 2], a = k & 1 ? 1.3 : -0.8, d, unused;
        bool clipped, ignored;
        grpo_token_loss(&o, policy, old, -1.2, a, &d, &clipped);
        double up = grpo_token_loss(&o, policy + h, old, -1.2, a, &unused, &ignored);
        double down = grpo_token_loss(&o, policy - h, old, -1.2, a, &unused, &ignored);
        assert_true(fabs((up - down) / (2 * h) - d) < 1e-7);
        n_clipped += clipped;
    }
    /* A good token is held above 1.2, a bad one below 0.8; nothing else is. */
    assert_int_equal(n_clipped, 2);
}

static void advantages_are_within_groups(void **state)
{
    (void)state;
    struct grpo_answer a[6] = {{.reward = 1}, {.reward = 0}, {.reward = 1},
                               {.reward = 5}, {.reward = 5}, {.reward = 5}};
    assert_int_equal(grpo_advantages(a, 6, 3), 1);
    assert_true(fabs(a[0].advantage - sqrt(0.5)) < 1e-9);
    assert_true(fabs(a[1].advantage + sqrt(2.0)) < 1e-9);
    assert_true(a[3].advantage == 0.0 && a[5].advantage == 0.0);
}

/* --- whole steps --- */

static double reference_logprob(const struct fixture *f, const struct align_doc *doc)
{
    struct train_slice slice;
    struct err e;
    train_slice_init(&slice, CONTEXT, &e);
    dataset_slice_clear(&slice);
    align_slice_add(&slice, &f->pairs, doc);
    double loss = reference_loss(&shape, f->block, &slice);
    train_slice_deinit(&slice);
    return -loss;
}

/* The gradient of the step before, which was the first, from its moment. */
static double gradient_at(const struct align_policy *p, size_t i)
{
    return (double)optimizer_moment1(p->optimizer)[i] /
           (1.0 - (double)optimizer_options(p->optimizer)->beta1);
}

typedef double (*reference)(struct fixture *f, const void *ctx);

static void compare_gradient(struct fixture *f, const struct align_policy *p, reference loss,
                             const void *ctx)
{
    const double h = 1e-4;
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < f->n_params; i += 7) {
        double kept = f->block[i];
        f->block[i] = kept + h;
        double up = loss(f, ctx);
        f->block[i] = kept - h;
        double down = loss(f, ctx);
        f->block[i] = kept;
        double want = (up - down) / (2 * h), off = fabs(want - gradient_at(p, i));
        worst = off > worst ? off : worst;
        largest = fabs(want) > largest ? fabs(want) : largest;
    }
    assert_true(largest > 1e-4);
    if (worst > 2e-4 * largest + 1e-6) {
        fail_msg("gradient off by %g, largest %g", worst, largest);
    }
}

struct dpo_case {
    struct dpo_options o;
    double said[PAIRS][2];
};

static double dpo_reference_loss(struct fixture *f, const void *ctx)
{
    const struct dpo_case *c = ctx;
    double sum = 0.0, unused;
    for (size_t i = 0; i < PAIRS; i++) {
        const struct align_pair *p = align_set_pair(&f->pairs, i);
        const struct dpo_logprobs a = {reference_logprob(f, &p->chosen), c->said[i][0], ANSWER};
        const struct dpo_logprobs b = {reference_logprob(f, &p->rejected), c->said[i][1],
                                       ANSWER - 1};
        sum += dpo_pair_loss(&c->o, &a, &b, &unused, &unused) / PAIRS;
    }
    return sum;
}

static void a_step_of_dpo_has_the_gradient_of_its_loss(void **state)
{
    struct fixture *f = *state;
    struct dpo_case c = {
        .o = {.beta = 0.5f, .sft_weight = 0.3f, .batch_pairs = PAIRS, .seed = 1}};
    struct err e;
    struct dpo_stats stats;
    struct optimizer_stats s;
    for (size_t i = 0; i < PAIRS; i++) {
        c.said[i][0] = reference_logprob(f, &align_set_pair(&f->pairs, i)->chosen);
        c.said[i][1] = reference_logprob(f, &align_set_pair(&f->pairs, i)->rejected);
    }
    struct align_policy *p = policy_of(f, 0);
    struct dpo *d = dpo_create(p, &c.o, &f->pairs, NULL, &e);
    assert_int_equal(dpo_step(d, &stats, &s, &e), 0);
    assert_true(fabs(s.loss - dpo_reference_loss(f, &c)) < 1e-5);
    compare_gradient(f, p, dpo_reference_loss, &c);
    dpo_destroy(d);
    align_policy_destroy(p);
}

static const double advantages[4] = {1.0, -1.0, 0.5, -0.5};

static double grpo_reference_loss(struct fixture *f, const void *ctx)
{
    const struct grpo_answer *a = ctx;
    double sum = 0.0;
    /* At the policy that sampled the derivative of a ratio is that of its log. */
    for (size_t i = 0; i < 4; i++) {
        sum -= a[i].advantage * reference_logprob(f, &a[i].doc) / a[i].doc.n_answer / 4.0;
    }
    return sum;
}

static void a_step_of_grpo_has_the_gradient_of_its_loss(void **state)
{
    struct fixture *f = *state;
    const struct grpo_options o = {.clip = 0.2f, .beta = 0.1f, .updates = 1};
    struct grpo_answer a[4];
    struct grpo_stats stats;
    struct err e;
    for (size_t i = 0; i < 4; i++) {
        const struct align_pair *p = align_set_pair(&f->pairs, i);
        a[i] = (struct grpo_answer){.doc = i & 1 ? p->rejected : p->chosen,
                                    .advantage = advantages[i]};
    }
    struct align_policy *p = policy_of(f, 0);
    struct grpo *g = grpo_create(p, &o, &e);
    assert_int_equal(grpo_round(g, &f->pairs, a, 4, &stats, &e), 0);
    assert_true(fabs(stats.kl) < 1e-9);
    compare_gradient(f, p, grpo_reference_loss, a);
    /* The second round has moved away from the reference. */
    assert_int_equal(grpo_round(g, &f->pairs, a, 4, &stats, &e), 0);
    assert_true(stats.kl > 1e-6);
    grpo_destroy(g);
    align_policy_destroy(p);
}

/* A small move of all weights against the gradient lowers the loss by as much as it says. */
static void a_step_of_the_reward_model_has_the_gradient_of_its_loss(void **state)
{
    struct fixture *f = *state;
    const struct reward_options o = {.center = 0.05f, .batch_pairs = PAIRS, .seed = 1};
    const double h = 1e-2;
    struct reward_stats stats, up, down;
    struct optimizer_stats s;
    struct err e;
    f->options.lr = f->options.min_lr = 1e-12f; /* so that weights stay */
    struct align_policy *p = policy_of(f, shape.d_model);
    struct reward_training *t = reward_create(p, &o, &f->pairs, &e);
    for (size_t i = 0; i < p->n_head; i++) {
        p->head[i] = 0.3f * (float)((int)(i % 5) - 2);
    }
    assert_int_equal(reward_step(t, &stats, &s, &e), 0);
    double norm = s.grad_norm, square = 0.0;
    for (size_t i = 0; i < p->block; i++) {
        square += gradient_at(p, i) * gradient_at(p, i);
    }
    assert_true(fabs(sqrt(square) - norm) < 1e-3 * norm);
    for (size_t i = 0; i < p->block; i++) {
        p->params[i] += (float)(h * gradient_at(p, i) / norm);
    }
    assert_int_equal(reward_judge(t, &f->pairs, &up, NULL, &e), 0);
    for (size_t i = 0; i < p->block; i++) {
        p->params[i] -= (float)(2 * h * gradient_at(p, i) / norm);
    }
    assert_int_equal(reward_judge(t, &f->pairs, &down, NULL, &e), 0);
    double slope = (up.loss - down.loss) / (2 * h);
    if (fabs(slope - norm) > 0.01 * norm) {
        fail_msg("slope %g, norm of the gradient %g", slope, norm);
    }
    reward_destroy(t);
    align_policy_destroy(p);
}

/* --- toy runs --- */

static const struct dpo_options toy = {.beta = 0.2f, .batch_pairs = 4, .seed = 9};

static void run_dpo(struct align_policy *p, struct dpo *d, uint64_t until,
                    struct dpo_stats *stats)
{
    struct optimizer_stats s;
    struct err e;
    while (optimizer_steps_done(p->optimizer) < until) {
        assert_int_equal(dpo_step(d, stats, &s, &e), 0);
    }
}

static void dpo_learns_what_is_preferred(void **state)
{
    struct fixture *f = *state;
    struct dpo_stats stats;
    struct err e;
    f->options.steps = 40;
    struct align_policy *p = policy_of(f, 0);
    struct dpo *d = dpo_create(p, &toy, &f->pairs, &f->pairs, &e);
    dpo_validate(d, &stats);
    assert_true(fabs(stats.loss - log(2.0)) < 1e-6);
    run_dpo(p, d, 40, &stats);
    dpo_validate(d, &stats);
    assert_true(stats.accuracy == 1.0);
    assert_true(stats.chosen > stats.rejected + 2.0);
    dpo_destroy(d);
    align_policy_destroy(p);
}

static void a_run_that_stopped_goes_on_to_the_same_weights(void **state)
{
    struct fixture *f = *state;
    struct dpo_stats stats;
    struct err e;
    struct align_policy *whole = policy_of(f, 0), *half = policy_of(f, 0);
    struct dpo *d = dpo_create(whole, &toy, &f->pairs, NULL, &e);
    run_dpo(whole, d, 8, &stats);
    dpo_destroy(d);
    d = dpo_create(half, &toy, &f->pairs, NULL, &e);
    run_dpo(half, d, 3, &stats);
    assert_int_equal(align_policy_save(half, f->state, 77, &e), 0);
    dpo_destroy(d);
    align_policy_destroy(half);

    half = policy_of(f, 0);
    d = dpo_create(half, &toy, &f->pairs, NULL, &e);
    assert_int_equal(align_policy_resume(half, f->state, 78, &e), -1);
    assert_non_null(strstr(e.message, "other data or other options"));
    assert_int_equal(align_policy_resume(half, f->state, 77, &e), 0);
    run_dpo(half, d, 8, &stats);
    assert_memory_equal(half->params, whole->params, f->n_params * sizeof(float));
    dpo_destroy(d);
    align_policy_destroy(half);
    align_policy_destroy(whole);
}

/* One token of an answer to the document's prompt, from the policy as it is. */
static int32_t draw(struct align_policy *p, const int32_t *prompt, struct rng *rng)
{
    struct train_slice *s = &p->slices[0];
    float logits[16], most = -INFINITY, sum = 0.0f;
    dataset_slice_clear(s);
    for (uint32_t i = 0; i < PROMPT; i++) {
        s->tokens[i] = (uint32_t)prompt[i];
        s->targets[i] = i + 1 == PROMPT ? 0 : TRAIN_NO_TARGET;
        s->positions[i] = i;
    }
    s->n_tokens = s->doc_ends[0] = PROMPT;
    s->n_docs = s->n_targets = 1;
    transformer_logits(p->models[0], &p->bound, s, logits);
    for (int i = 0; i < 16; i++) {
        most = logits[i] > most ? logits[i] : most;
    }
    for (int i = 0; i < 16; i++) {
        sum += expf(logits[i] - most);
    }
    float at = rng_uniform(rng) * sum;
    for (int i = 0; i < 16; i++) {
        at -= expf(logits[i] - most);
        if (at < 0.0f) {
            return i;
        }
    }
    return 15;
}

static double sample_round(struct align_policy *p, struct align_set *set, struct rng *rng,
                           struct grpo_answer *a, size_t n, size_t group)
{
    int32_t prompt[PROMPT] = {0};
    double mean = 0.0;
    struct err e;
    align_set_clear(set);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < PROMPT && i % group == 0; k++) {
            prompt[k] = (int32_t)rng_below(rng, 16);
        }
        int32_t token = draw(p, prompt, rng);
        a[i].reward = token % 2 == 0;
        mean += a[i].reward / (double)n;
        assert_int_equal(align_set_add_tokens(set, prompt, PROMPT, &token, 1, &a[i].doc, &e),
                         0);
    }
    grpo_advantages(a, n, group);
    return mean;
}

static void grpo_raises_the_reward(void **state)
{
    struct fixture *f = *state;
    const struct grpo_options o = {.clip = 0.2f, .beta = 0.01f, .updates = 2};
    struct grpo_answer a[32];
    struct grpo_stats stats;
    struct align_set set;
    struct rng rng;
    struct err e;
    double first = 0.0, last = 0.0;
    f->options.steps = 60;
    struct align_policy *p = policy_of(f, 0);
    struct grpo *g = grpo_create(p, &o, &e);
    align_set_init(&set);
    rng_seed(&rng, 8);
    for (int round = 0; round < 30; round++) {
        last = sample_round(p, &set, &rng, a, 32, 8);
        first = round == 0 ? last : first;
        assert_int_equal(grpo_round(g, &set, a, 32, &stats, &e), 0);
        assert_true(stats.kl >= 0.0 && stats.entropy > 0.0);
    }
    assert_true(first < 0.75);
    assert_true(last > 0.9);
    align_set_deinit(&set);
    grpo_destroy(g);
    align_policy_destroy(p);
}

static void a_reward_model_learns_and_is_what_its_file_says(void **state)
{
    struct fixture *f = *state;
    const struct reward_options o = {.center = 0.01f, .batch_pairs = PAIRS, .seed = 1};
    struct reward_stats stats;
    struct reward_calibration c;
    struct optimizer_stats s;
    struct err e;
    f->options.steps = 40;
    struct align_policy *p = policy_of(f, shape.d_model), *q = policy_of(f, shape.d_model);
    struct reward_training *t = reward_create(p, &o, &f->pairs, &e);
    for (int i = 0; i < 40; i++) {
        if (i == 20) { /* killed here, and gone on with by q below */
            assert_int_equal(reward_save(p, f->state, 5, &e), 0);
        }
        assert_int_equal(reward_step(t, &stats, &s, &e), 0);
    }
    assert_int_equal(reward_judge(t, &f->pairs, &stats, &c, &e), 0);
    assert_true(stats.accuracy == 1.0 && stats.loss < 0.3);
    assert_true(c.error >= 0.0 && c.error < 0.5);
    reward_destroy(t);

    assert_int_equal(reward_resume(q, f->state, 6, &e), -1);
    assert_int_equal(reward_resume(q, f->state, 5, &e), 0);
    t = reward_create(q, &o, &f->pairs, &e);
    for (int i = 20; i < 40; i++) {
        assert_int_equal(reward_step(t, &stats, &s, &e), 0);
    }
    assert_memory_equal(p->params, q->params, p->block * sizeof(float));
    assert_int_equal(reward_save(q, f->state, 5, &e), 0);
    assert_int_equal(reward_resume(q, f->state, 5, &e), -1);
    assert_non_null(strstr(e.message, "at its end"));

    struct reward_model *m = reward_open(f->state, 0, &e);
    assert_non_null(m);
    for (size_t i = 0; i < PAIRS; i++) {
        const struct align_pair *pair = align_set_pair(&f->pairs, i);
        assert_true(reward_of(m, &f->pairs, &pair->chosen) >
                    reward_of(m, &f->pairs, &pair->rejected));
    }
    reward_close(m);
    assert_int_equal(truncate(f->state, 3000), 0);
    assert_null(reward_open(f->state, 0, &e));
    assert_non_null(strstr(e.message, "cut or damaged"));
    assert_null(reward_open(f->start, 0, &e));
    assert_non_null(strstr(e.message, "not a reward model"));
    reward_destroy(t);
    align_policy_destroy(p);
    align_policy_destroy(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_a_pair_are_differences),
        cmocka_unit_test(gradients_of_rewards_are_differences),
        cmocka_unit_test(gradients_of_a_token_are_differences),
        cmocka_unit_test(advantages_are_within_groups),
        cmocka_unit_test_setup_teardown(a_step_of_dpo_has_the_gradient_of_its_loss, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_step_of_grpo_has_the_gradient_of_its_loss, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_step_of_the_reward_model_has_the_gradient_of_its_loss,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(dpo_learns_what_is_preferred, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_that_stopped_goes_on_to_the_same_weights, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(grpo_raises_the_reward, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reward_model_learns_and_is_what_its_file_says, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

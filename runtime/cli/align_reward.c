/* weir align reward */
#include <stdio.h>
#include <string.h>

#include "models/lineage/lineage.h"
#include "models/train/align_dpo.h"
#include "models/train/reward.h"
#include "models/train/run_log.h"
#include "runtime/base/fnv.h"
#include "runtime/cli/align.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/stop_signal.h"

#define VALUES 8

struct request {
    const char *init, *base, *pairs, *validate, *out, *log, *on_error;
    bool resume;
    long steps, batch_pairs, warmup, seed, shards, row, checkpoint_every, validate_every;
    double lr, min_lr, center, epochs;
};

struct run {
    const struct request *r;
    struct align_base base;
    struct align_set pairs, validation;
    struct align_policy *policy;
    struct reward_training *training;
    struct run_log *log;
    uint64_t mark; /* of data and options, to notice others on --resume */
    struct reward_stats last, checked;
    bool was_checked;
};

static long steps_of(const struct run *run)
{
    const struct request *r = run->r;
    double n = r->epochs * (double)align_set_count(&run->pairs) / (double)r->batch_pairs;
    return r->steps > 0 ? r->steps : n < 1.0 ? 1 : (long)(n + 0.5);
}

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    const struct align_start start = {r->init, r->base, (uint32_t)r->row};
    bool skip = strcmp(r->on_error, "skip") == 0;
    struct train_shape shape;
    if (align_base_open(&run->base, r->base, e) ||
        align_base_check(&run->base, &start, (uint32_t)r->row, e) ||
        align_read_pairs(&run->base, r->pairs, (uint32_t)r->row, skip, &run->pairs, e) ||
        (r->validate && align_read_pairs(&run->base, r->validate, (uint32_t)r->row, skip,
                                         &run->validation, e)) ||
        align_start_shape(&start, &shape, e)) {
        return -1;
    }
    const double marked[] = {(double)r->seed, (double)r->batch_pairs, r->center};
    run->mark = fnv64(FNV64_BASIS, marked, sizeof(marked));
    run->mark = fnv64(run->mark, run->pairs.tokens.data, run->pairs.tokens.len);
    struct optimizer_options o = optimizer_options_default();
    o.steps = (uint64_t)steps_of(run);
    o.shards = (uint32_t)r->shards;
    o.warmup = (uint32_t)r->warmup;
    o.lr = (float)r->lr;
    o.min_lr = (float)r->min_lr;
    o.weight_decay = 0.0f;
    uint32_t longest = run->pairs.longest > run->validation.longest ? run->pairs.longest
                                                                    : run->validation.longest;
    const struct reward_options w = {.center = (float)r->center,
                                     .batch_pairs = (uint32_t)r->batch_pairs,
                                     .seed = (uint64_t)r->seed};
    run->policy = align_policy_create(&start, &o, dpo_capacity(longest), shape.d_model, e);
    run->training = run->policy ? reward_create(run->policy, &w, &run->pairs, e) : NULL;
    if (!run->training) {
        return -1;
    }
    return r->resume ? reward_resume(run->policy, r->out, run->mark, e) : 0;
}

static int open_log(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    if (!r->log) {
        return 0;
    }
    cJSON *d = cJSON_CreateObject();
    bool ok = d && cJSON_AddStringToObject(d, "tool", "align reward") &&
              cJSON_AddStringToObject(d, "init", r->init ? r->init : r->base) &&
              cJSON_AddStringToObject(d, "pairs", r->pairs) &&
              cJSON_AddNumberToObject(d, "n_pairs", (double)align_set_count(&run->pairs)) &&
              cJSON_AddNumberToObject(d, "steps", (double)steps_of(run)) &&
              cJSON_AddNumberToObject(d, "lr", r->lr) &&
              cJSON_AddNumberToObject(d, "center", r->center) &&
              cJSON_AddNumberToObject(d, "seed", (double)r->seed);
    if (ok) {
        uint64_t done = optimizer_steps_done(run->policy->optimizer);
        run->log = done > 0 ? run_log_resume(r->log, d, done, e) : run_log_create(r->log, d, e);
    }
    cJSON_Delete(d);
    return ok ? (run->log ? 0 : -1) : err_nomem(e);
}

static int log_step(struct run *run, uint64_t step, const struct optimizer_stats *s,
                    struct err *e)
{
    const struct reward_stats *l = &run->last, *v = &run->checked;
    const struct run_log_value values[VALUES] = {
        {"loss", s->loss},         {"lr", (double)s->lr},         {"grad_norm", s->grad_norm},
        {"margin", l->margin},     {"accuracy", l->accuracy},     {"val_loss", v->loss},
        {"val_margin", v->margin}, {"val_accuracy", v->accuracy},
    };
    size_t n = run->was_checked ? VALUES : VALUES - 3;
    return run->log ? run_log_step(run->log, step, values, n, e) : 0;
}

static int draw_log(const struct run *run, struct err *e)
{
    static const struct run_log_plot plots[] = {
        {"Loss", "loss", false, {"loss", "val_loss"}},
        {"Difference of rewards", "margin", false, {"margin", "val_margin"}},
        {"Share of pairs in the right order", "accuracy", false, {"accuracy", "val_accuracy"}},
    };
    char svg[4096];
    if (!run->r->log) {
        return 0;
    }
    snprintf(svg, sizeof(svg), "%s.svg", run->r->log);
    return run_log_draw(run->r->log, plots, sizeof(plots) / sizeof(plots[0]), svg, e);
}

static int one_step(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    struct optimizer *o = run->policy->optimizer;
    struct optimizer_stats s;
    if (reward_step(run->training, &run->last, &s, e)) {
        return -1;
    }
    uint64_t done = optimizer_steps_done(o), steps = optimizer_options(o)->steps;
    run->was_checked =
        r->validate && (done % (uint64_t)r->validate_every == 0 || done == steps);
    if (run->was_checked &&
        reward_judge(run->training, &run->validation, &run->checked, NULL, e)) {
        return -1;
    }
    if (log_step(run, done, &s, e)) {
        return -1;
    }
    bool saves =
        done % (uint64_t)r->checkpoint_every == 0 || done == steps || stop_signal_number();
    return saves ? reward_save(run->policy, r->out, run->mark, e) : 0;
}

static int run_steps(struct run *run, struct err *e)
{
    struct optimizer *o = run->policy->optimizer;
    uint64_t steps = optimizer_options(o)->steps;
    struct progress p;
    double pairs = 0.0;
    int rc = 0;
    progress_begin(&p, "reward", "pairs", steps, optimizer_steps_done(o));
    while (!rc && optimizer_steps_done(o) < steps && !stop_signal_number()) {
        char note[120];
        rc = one_step(run, e);
        pairs += (double)run->r->batch_pairs;
        snprintf(note, sizeof(note), "loss %.4f  accuracy %.2f", run->last.loss,
                 run->last.accuracy);
        progress_update(&p, optimizer_steps_done(o), pairs, note);
    }
    progress_end(&p);
    if (!rc && stop_signal_number()) {
        fprintf(stderr, "stopped by signal %d; %s is written, go on with --resume\n",
                stop_signal_number(), run->r->out);
    }
    return rc;
}

static int write_lineage(const struct run *run, const struct reward_calibration *c,
                         struct err *e)
{
    const struct request *r = run->r;
    struct lineage *l = lineage_create("align reward");
    if (r->init) {
        lineage_parent(l, "checkpoint", r->init);
    }
    lineage_parent(l, "base", r->base);
    lineage_parent(l, "pairs", r->pairs);
    lineage_option_number(l, "steps", (double)steps_of(run));
    lineage_option_number(l, "batch_pairs", (double)r->batch_pairs);
    lineage_option_number(l, "lr", r->lr);
    lineage_option_number(l, "center", r->center);
    lineage_option_number(l, "seed", (double)r->seed);
    lineage_metric(l, "loss", run->last.loss);
    lineage_metric(l, "accuracy", run->last.accuracy);
    if (r->validate) {
        lineage_metric(l, "val_loss", run->checked.loss);
        lineage_metric(l, "val_accuracy", run->checked.accuracy);
        lineage_metric(l, "val_calibration_error", c->error);
    }
    int rc = lineage_write(l, r->out, e);
    lineage_destroy(l);
    return rc;
}

/* What held-out pairs say at the end. */
static int report(struct run *run, struct err *e)
{
    struct reward_calibration c = {0};
    if (stop_signal_number()) {
        return 0;
    }
    if (run->r->validate) {
        if (reward_judge(run->training, &run->validation, &run->checked, &c, e)) {
            return -1;
        }
        printf("held-out pairs %zu  accuracy %.4f  loss %.4f  calibration error %.4f\n",
               align_set_count(&run->validation), run->checked.accuracy, run->checked.loss,
               c.error);
        printf("%8s %8s %8s\n", "pairs", "said", "right");
        for (size_t i = 0; i < REWARD_BINS; i++) {
            if (c.bins[i].pairs > 0) {
                printf("%8zu %8.3f %8.3f\n", c.bins[i].pairs, c.bins[i].said, c.bins[i].right);
            }
        }
    }
    return write_lineage(run, &c, e);
}

static int run_reward(const struct request *r, struct err *e)
{
    struct run run = {.r = r};
    stop_signal_catch();
    align_set_init(&run.pairs);
    align_set_init(&run.validation);
    int rc = open_run(&run, e) || open_log(&run, e) || run_steps(&run, e) ||
                     draw_log(&run, e) || report(&run, e)
                 ? -1
                 : 0;
    run_log_close(run.log);
    reward_destroy(run.training);
    align_policy_destroy(run.policy);
    align_set_deinit(&run.pairs);
    align_set_deinit(&run.validation);
    align_base_close(&run.base);
    return rc;
}

int cli_align_reward(int argc, char **argv)
{
    struct request r = {.on_error = "stop",
                        .epochs = 1.0,
                        .batch_pairs = 32,
                        .warmup = 10,
                        .seed = 1,
                        .shards = 2,
                        .checkpoint_every = 100,
                        .validate_every = 50,
                        .lr = 1e-4,
                        .center = 0.01};
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &r.base, "FILE.gguf",
         "tokenizer, chat template and, without --init, the weights to begin with", 0, 0},
        {"init", 0, OPTION_STRING, &r.init, "FILE.ckpt", "weights to begin with", 0, 0},
        {"pairs", 0, OPTION_STRING, &r.pairs, "FILE.jsonl", "preference pairs or rankings", 0,
         0},
        {"validate", 0, OPTION_STRING, &r.validate, "FILE.jsonl",
         "pairs kept apart: accuracy and calibration", 0, 0},
        {"out", 'o', OPTION_STRING, &r.out, "FILE.reward", "the reward model", 0, 0},
        {"resume", 0, OPTION_FLAG, &r.resume, NULL, "go on where --out stopped", 0, 0},
        {"epochs", 0, OPTION_DOUBLE, &r.epochs, "X", "times through the pairs [1]", 0, 0},
        {"steps", 0, OPTION_INT, &r.steps, "N", "instead of --epochs", 0, 100000000},
        {"batch-pairs", 0, OPTION_INT, &r.batch_pairs, "N", "pairs of a step [32]", 1, 65536},
        {"center", 0, OPTION_DOUBLE, &r.center, "X",
         "how firmly the rewards of a pair are held around 0 [0.01]", 0, 0},
        {"lr", 0, OPTION_DOUBLE, &r.lr, "X", "highest learning rate [1e-4]", 0, 0},
        {"min-lr", 0, OPTION_DOUBLE, &r.min_lr, "X", "learning rate at the end [0]", 0, 0},
        {"warmup", 0, OPTION_INT, &r.warmup, "N", "steps of linear rise [10]", 0, 1000000},
        {"seed", 0, OPTION_INT, &r.seed, "N", "of the order of pairs [1]", 0, 2147483647},
        {"shards", 't', OPTION_INT, &r.shards, "N", "threads; results depend on it [2]", 1,
         TRAIN_MAX_SHARDS},
        {"row", 0, OPTION_INT, &r.row, "N",
         "longest conversation, tokens [context, at most 1024]", 2, 65536},
        {"on-error", 0, OPTION_STRING, &r.on_error, "stop|skip", "at a line that is no pair", 0,
         0},
        {"checkpoint-every", 0, OPTION_INT, &r.checkpoint_every, "N", "steps [100]", 1,
         1000000},
        {"validate-every", 0, OPTION_INT, &r.validate_every, "N", "steps [50]", 1, 1000000},
        {"log", 0, OPTION_STRING, &r.log, "FILE.jsonl",
         "a line a step; FILE.jsonl.svg is drawn from it", 0, 0},
        {0},
    };
    const struct options options = {
        "weir align reward -m FILE.gguf [--init FILE.ckpt] --pairs FILE.jsonl --out "
        "FILE.reward "
        "[options]",
        "Trains a model that says by a number how good an answer is (Bradley and Terry), for "
        "weir align score and grpo. A line is {\"messages\": [...], \"chosen\": \"...\", "
        "\"rejected\": \"...\"} or {\"messages\": [...], \"ranking\": [\"best\", ...]}.",
        table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    bool known = strcmp(r.on_error, "stop") == 0 || strcmp(r.on_error, "skip") == 0;
    if (!r.base || !r.pairs || !r.out || positional > 0 || !known || !(r.epochs > 0.0) ||
        r.center < 0.0) {
        fprintf(stderr,
                "weir align reward: --model, --pairs and --out are needed; --epochs above 0, "
                "--center 0 or more, --on-error stop or skip\nusage: %s\n",
                options.usage);
        return 2;
    }
    const struct align_start start = {r.init, r.base, 0};
    rc = align_default_row(&start, &r.row, &e) || run_reward(&r, &e);
    return rc ? cli_fail("align reward", &e) : 0;
}

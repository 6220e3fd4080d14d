/* weir align reward */
#include <stdio.h>

#include "models/train/align_dpo.h"
#include "models/train/reward.h"
#include "runtime/cli/align_tuning.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/stop_signal.h"

#define VALUES 8

/* What the command line said. */
struct request {
    struct align_tuning_request tuning;
    double center;
};

struct run {
    const struct request *r;
    struct align_tuning tuning;
    struct reward_training *training;
    uint64_t mark;
    struct reward_stats last, checked;
    bool was_checked;
};

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    const struct align_tuning_request *q = &r->tuning;
    struct align_tuning *t = &run->tuning;
    struct train_shape shape;
    if (align_tuning_open(t, q, e)) {
        return -1;
    }
    const struct align_start start = align_tuning_start(t);
    if (align_start_shape(&start, &shape, e)) {
        return -1;
    }
    const double marked[] = {(double)q->seed, (double)q->batch_pairs, r->center};
    run->mark = align_tuning_mark(t, marked, sizeof(marked));
    const struct optimizer_options o = align_tuning_optimizer(t);
    const struct reward_options w = {.center = (float)r->center,
                                     .batch_pairs = (uint32_t)q->batch_pairs,
                                     .seed = (uint64_t)q->seed};
    t->policy = align_policy_create(&start, &o, dpo_capacity(align_tuning_longest(t)),
                                    shape.d_model, e);
    run->training = t->policy ? reward_create(t->policy, &w, &t->pairs, e) : NULL;
    if (!run->training) {
        return -1;
    }
    return q->resume ? reward_resume(t->policy, q->out, run->mark, e) : 0;
}

static int open_log(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    if (!r->tuning.log) {
        return 0;
    }
    cJSON *d = align_tuning_describe(&run->tuning, "align reward");
    if (!cJSON_AddNumberToObject(d, "center", r->center)) {
        cJSON_Delete(d);
        return err_nomem(e);
    }
    return align_tuning_open_log(&run->tuning, d, e);
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
    struct run_log *log = run->tuning.log;
    return log ? run_log_step(log, step, values, n, e) : 0;
}

static int draw_log(const struct run *run, struct err *e)
{
    static const struct run_log_plot plots[] = {
        {"Loss", "loss", false, {"loss", "val_loss"}},
        {"Difference of rewards", "margin", false, {"margin", "val_margin"}},
        {"Share of pairs in the right order", "accuracy", false, {"accuracy", "val_accuracy"}},
    };
    return align_tuning_draw_log(&run->tuning, plots, sizeof(plots) / sizeof(plots[0]), e);
}

static int one_step(void *ctx, char *note, size_t size, struct err *e)
{
    struct run *run = ctx;
    const struct align_tuning *t = &run->tuning;
    struct optimizer_stats s;
    if (reward_step(run->training, &run->last, &s, e)) {
        return -1;
    }
    uint64_t done = optimizer_steps_done(t->policy->optimizer);
    run->was_checked = align_tuning_validates(t, done);
    if (run->was_checked &&
        reward_judge(run->training, &t->validation, &run->checked, NULL, e)) {
        return -1;
    }
    snprintf(note, size, "loss %.4f  accuracy %.2f", run->last.loss, run->last.accuracy);
    return log_step(run, done, &s, e);
}

static int save(void *ctx, struct err *e)
{
    const struct run *run = ctx;
    return reward_save(run->tuning.policy, run->r->tuning.out, run->mark, e);
}

static int write_lineage(const struct run *run, const struct reward_calibration *c,
                         struct err *e)
{
    const struct request *r = run->r;
    struct lineage *l = align_tuning_lineage(&run->tuning, "align reward");
    lineage_option_number(l, "center", r->center);
    lineage_metric(l, "loss", run->last.loss);
    lineage_metric(l, "accuracy", run->last.accuracy);
    if (r->tuning.validate) {
        lineage_metric(l, "val_loss", run->checked.loss);
        lineage_metric(l, "val_accuracy", run->checked.accuracy);
        lineage_metric(l, "val_calibration_error", c->error);
    }
    int rc = lineage_write(l, r->tuning.out, e);
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
    if (run->r->tuning.validate) {
        if (reward_judge(run->training, &run->tuning.validation, &run->checked, &c, e)) {
            return -1;
        }
        printf("held-out pairs %zu  accuracy %.4f  loss %.4f  calibration error %.4f\n",
               align_set_count(&run->tuning.validation), run->checked.accuracy,
               run->checked.loss, c.error);
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
    const struct align_tuning_work steps = {"reward", one_step, save, &run};
    stop_signal_catch();
    int rc = open_run(&run, e) || open_log(&run, e) ||
                     align_tuning_run(&run.tuning, &steps, e) || draw_log(&run, e) ||
                     report(&run, e)
                 ? -1
                 : 0;
    reward_destroy(run.training);
    align_tuning_close(&run.tuning);
    return rc;
}

int cli_align_reward(int argc, char **argv)
{
    struct request r = {.tuning = align_tuning_request_default(1e-4), .center = 0.01};
    struct option table[ALIGN_TUNING_OPTIONS + 4] = {
        {"init", 0, OPTION_STRING, &r.tuning.init, "FILE.ckpt", "weights to begin with", 0, 0},
        {"out", 'o', OPTION_STRING, &r.tuning.out, "FILE.reward", "the reward model", 0, 0},
        {"center", 0, OPTION_DOUBLE, &r.center, "X",
         "how firmly the rewards of a pair are held around 0 [0.01]", 0, 0},
        {"lr", 0, OPTION_DOUBLE, &r.tuning.lr, "X", "highest learning rate [1e-4]", 0, 0},
    };
    align_tuning_options(table, &r.tuning);
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
    if (positional > 0 || !align_tuning_request_holds(&r.tuning) || r.center < 0.0) {
        fprintf(stderr,
                "weir align reward: --model, --pairs and --out are needed; --epochs above 0, "
                "--center 0 or more, --on-error stop or skip\nusage: %s\n",
                options.usage);
        return 2;
    }
    const struct align_start start = {r.tuning.init, r.tuning.base, 0};
    rc = align_default_row(&start, &r.tuning.row, &e) || run_reward(&r, &e);
    return rc ? cli_fail("align reward", &e) : 0;
}

/* weir align dpo */
#include <stdio.h>

#include "models/train/align_dpo.h"
#include "runtime/cli/align_tuning.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/stop_signal.h"

#define VALUES 10

/* What the command line said. */
struct request {
    struct align_tuning_request tuning;
    bool per_token;
    double beta, sft_weight;
};

struct run {
    const struct request *r;
    struct align_tuning tuning;
    struct dpo *dpo;
    uint64_t mark;
    struct dpo_stats last, checked;
    bool was_checked;
};

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    const struct align_tuning_request *q = &r->tuning;
    struct align_tuning *t = &run->tuning;
    if (align_tuning_open(t, q, e)) {
        return -1;
    }
    const double marked[] = {(double)q->seed, (double)q->batch_pairs, r->beta, r->sft_weight,
                             (double)r->per_token};
    run->mark = align_tuning_mark(t, marked, sizeof(marked));
    const struct align_start start = align_tuning_start(t);
    const struct optimizer_options o = align_tuning_optimizer(t);
    t->policy = align_policy_create(&start, &o, dpo_capacity(align_tuning_longest(t)), 0, e);
    if (!t->policy) {
        return -1;
    }
    const struct dpo_options d = {.beta = (float)r->beta,
                                  .sft_weight = (float)r->sft_weight,
                                  .per_token = r->per_token,
                                  .batch_pairs = (uint32_t)q->batch_pairs,
                                  .seed = (uint64_t)q->seed};
    run->dpo = dpo_create(t->policy, &d, &t->pairs, q->validate ? &t->validation : NULL, e);
    if (!run->dpo) {
        return -1;
    }
    return q->resume ? align_policy_resume(t->policy, q->out, run->mark, e) : 0;
}

static int open_log(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    if (!r->tuning.log) {
        return 0;
    }
    cJSON *d = align_tuning_describe(&run->tuning, "align dpo");
    if (!cJSON_AddNumberToObject(d, "beta", r->beta) ||
        !cJSON_AddNumberToObject(d, "sft_weight", r->sft_weight)) {
        cJSON_Delete(d);
        return err_nomem(e);
    }
    return align_tuning_open_log(&run->tuning, d, e);
}

static int log_step(struct run *run, uint64_t step, const struct optimizer_stats *s,
                    struct err *e)
{
    const struct dpo_stats *l = &run->last, *v = &run->checked;
    const struct run_log_value values[VALUES] = {
        {"loss", s->loss},           {"lr", (double)s->lr},
        {"grad_norm", s->grad_norm}, {"margin", l->margin},
        {"accuracy", l->accuracy},   {"chosen", l->chosen},
        {"rejected", l->rejected},   {"val_loss", v->loss},
        {"val_margin", v->margin},   {"val_accuracy", v->accuracy},
    };
    size_t n = run->was_checked ? VALUES : VALUES - 3;
    struct run_log *log = run->tuning.log;
    return log ? run_log_step(log, step, values, n, e) : 0;
}

static int draw_log(const struct run *run, struct err *e)
{
    static const struct run_log_plot plots[] = {
        {"Loss", "loss", false, {"loss", "val_loss"}},
        {"Preferred by", "margin, nats", false, {"margin", "val_margin"}},
        {"Share of pairs that are preferred the right way",
         "accuracy",
         false,
         {"accuracy", "val_accuracy"}},
        {"Log probability beside the reference's",
         "nats an answer",
         false,
         {"chosen", "rejected"}},
    };
    return align_tuning_draw_log(&run->tuning, plots, sizeof(plots) / sizeof(plots[0]), e);
}

static int one_step(void *ctx, char *note, size_t size, struct err *e)
{
    struct run *run = ctx;
    const struct align_tuning *t = &run->tuning;
    struct optimizer_stats s;
    if (dpo_step(run->dpo, &run->last, &s, e)) {
        return -1;
    }
    uint64_t done = optimizer_steps_done(t->policy->optimizer);
    run->was_checked = align_tuning_validates(t, done);
    if (run->was_checked) {
        dpo_validate(run->dpo, &run->checked);
    }
    snprintf(note, size, "loss %.4f  margin %.3f  accuracy %.2f", run->last.loss,
             run->last.margin, run->last.accuracy);
    return log_step(run, done, &s, e);
}

static int save(void *ctx, struct err *e)
{
    const struct run *run = ctx;
    return align_policy_save(run->tuning.policy, run->r->tuning.out, run->mark, e);
}

static int write_lineage(const struct run *run, struct err *e)
{
    const struct request *r = run->r;
    struct lineage *l = align_tuning_lineage(&run->tuning, "align dpo");
    lineage_option_number(l, "beta", r->beta);
    lineage_option_number(l, "sft_weight", r->sft_weight);
    lineage_metric(l, "loss", run->last.loss);
    lineage_metric(l, "accuracy", run->last.accuracy);
    if (r->tuning.validate) {
        lineage_metric(l, "val_loss", run->checked.loss);
        lineage_metric(l, "val_accuracy", run->checked.accuracy);
    }
    int rc = lineage_write(l, r->tuning.out, e);
    lineage_destroy(l);
    return rc;
}

static int run_dpo(const struct request *r, struct err *e)
{
    struct run run = {.r = r};
    const struct align_tuning_work steps = {"dpo", one_step, save, &run};
    stop_signal_catch();
    int rc = open_run(&run, e) || open_log(&run, e) ||
                     align_tuning_run(&run.tuning, &steps, e) || draw_log(&run, e) ||
                     (!stop_signal_number() && write_lineage(&run, e))
                 ? -1
                 : 0;
    dpo_destroy(run.dpo);
    align_tuning_close(&run.tuning);
    return rc;
}

int cli_align_dpo(int argc, char **argv)
{
    struct request r = {.tuning = align_tuning_request_default(5e-6), .beta = 0.1};
    struct option table[ALIGN_TUNING_OPTIONS + 6] = {
        {"init", 0, OPTION_STRING, &r.tuning.init, "FILE.ckpt",
         "the fine-tuned model: policy to begin with, and reference [--model's weights]", 0, 0},
        {"out", 'o', OPTION_STRING, &r.tuning.out, "FILE.ckpt", "checkpoint to write", 0, 0},
        {"beta", 0, OPTION_DOUBLE, &r.beta, "X",
         "how firmly the reference holds the policy [0.1]", 0, 0},
        {"sft-weight", 0, OPTION_DOUBLE, &r.sft_weight, "X",
         "of the chosen answer's own likelihood [0]", 0, 0},
        {"per-token", 0, OPTION_FLAG, &r.per_token, NULL,
         "compare means over tokens: length does not count", 0, 0},
        {"lr", 0, OPTION_DOUBLE, &r.tuning.lr, "X", "highest learning rate [5e-6]", 0, 0},
    };
    align_tuning_options(table, &r.tuning);
    const struct options options = {
        "weir align dpo -m FILE.gguf [--init FILE.ckpt] --pairs FILE.jsonl --out FILE.ckpt "
        "[options]",
        "Trains a model to prefer the chosen answer of each pair (Rafailov et al. 2023). A "
        "line "
        "is {\"messages\": [...], \"chosen\": \"...\", \"rejected\": \"...\"}.",
        table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional > 0 || !align_tuning_request_holds(&r.tuning) || !(r.beta > 0.0) ||
        r.sft_weight < 0.0) {
        fprintf(
            stderr,
            "weir align dpo: --model, --pairs and --out are needed; --beta and "
            "--epochs above 0, --sft-weight 0 or more, --on-error stop or skip\nusage: %s\n",
            options.usage);
        return 2;
    }
    const struct align_start start = {r.tuning.init, r.tuning.base, 0};
    rc = align_default_row(&start, &r.tuning.row, &e) || run_dpo(&r, &e);
    return rc ? cli_fail("align dpo", &e) : 0;
}

/* weir align dpo */
#include <stdio.h>
#include <string.h>

#include "models/lineage/lineage.h"
#include "models/train/align_dpo.h"
#include "models/train/run_log.h"
#include "runtime/base/fnv.h"
#include "runtime/cli/align.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/stop_signal.h"

#define VALUES 10

/* What the command line said. */
struct request {
    const char *init, *base, *pairs, *validate, *out, *log, *on_error;
    bool resume, per_token;
    long steps, batch_pairs, warmup, seed, shards, row, checkpoint_every, validate_every;
    double lr, min_lr, beta, sft_weight, epochs;
};

struct run {
    const struct request *r;
    struct align_base base;
    struct align_set pairs, validation;
    struct align_policy *policy;
    struct dpo *dpo;
    struct run_log *log;
    uint64_t mark; /* of the pairs' tokens */
    struct dpo_stats last, checked;
    bool was_checked;
};

static long steps_of(const struct run *run)
{
    const struct request *r = run->r;
    if (r->steps > 0) {
        return r->steps;
    }
    double n = r->epochs * (double)align_set_count(&run->pairs) / (double)r->batch_pairs;
    return n < 1.0 ? 1 : (long)(n + 0.5);
}

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    const struct align_start start = {r->init, r->base, (uint32_t)r->row};
    struct optimizer_options o = optimizer_options_default();
    if (align_base_open(&run->base, r->base, e) ||
        align_base_check(&run->base, &start, (uint32_t)r->row, e)) {
        return -1;
    }
    bool skip = strcmp(r->on_error, "skip") == 0;
    if (align_read_pairs(&run->base, r->pairs, (uint32_t)r->row, skip, &run->pairs, e) ||
        (r->validate && align_read_pairs(&run->base, r->validate, (uint32_t)r->row, skip,
                                         &run->validation, e))) {
        return -1;
    }
    const double marked[] = {(double)r->seed, (double)r->batch_pairs, r->beta, r->sft_weight,
                             (double)r->per_token};
    run->mark = fnv64(FNV64_BASIS, marked, sizeof(marked));
    run->mark = fnv64(run->mark, run->pairs.tokens.data, run->pairs.tokens.len);
    o.steps = (uint64_t)steps_of(run);
    o.shards = (uint32_t)r->shards;
    o.warmup = (uint32_t)r->warmup;
    o.lr = (float)r->lr;
    o.min_lr = (float)r->min_lr;
    o.weight_decay = 0.0f; /* the policy is held by its reference, not drawn to zero */
    uint32_t longest = run->pairs.longest > run->validation.longest ? run->pairs.longest
                                                                    : run->validation.longest;
    if (!(run->policy = align_policy_create(&start, &o, dpo_capacity(longest), 0, e))) {
        return -1;
    }
    const struct dpo_options d = {.beta = (float)r->beta,
                                  .sft_weight = (float)r->sft_weight,
                                  .per_token = r->per_token,
                                  .batch_pairs = (uint32_t)r->batch_pairs,
                                  .seed = (uint64_t)r->seed};
    run->dpo =
        dpo_create(run->policy, &d, &run->pairs, r->validate ? &run->validation : NULL, e);
    if (!run->dpo) {
        return -1;
    }
    return r->resume ? align_policy_resume(run->policy, r->out, run->mark, e) : 0;
}

static int open_log(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    if (!r->log) {
        return 0;
    }
    cJSON *d = cJSON_CreateObject();
    bool ok = d && cJSON_AddStringToObject(d, "tool", "align dpo") &&
              cJSON_AddStringToObject(d, "init", r->init ? r->init : r->base) &&
              cJSON_AddStringToObject(d, "pairs", r->pairs) &&
              cJSON_AddNumberToObject(d, "n_pairs", (double)align_set_count(&run->pairs)) &&
              cJSON_AddNumberToObject(d, "batch_pairs", (double)r->batch_pairs) &&
              cJSON_AddNumberToObject(d, "steps", (double)steps_of(run)) &&
              cJSON_AddNumberToObject(d, "lr", r->lr) &&
              cJSON_AddNumberToObject(d, "beta", r->beta) &&
              cJSON_AddNumberToObject(d, "sft_weight", r->sft_weight) &&
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
    const struct dpo_stats *l = &run->last, *v = &run->checked;
    const struct run_log_value values[VALUES] = {
        {"loss", s->loss},           {"lr", (double)s->lr},
        {"grad_norm", s->grad_norm}, {"margin", l->margin},
        {"accuracy", l->accuracy},   {"chosen", l->chosen},
        {"rejected", l->rejected},   {"val_loss", v->loss},
        {"val_margin", v->margin},   {"val_accuracy", v->accuracy},
    };
    size_t n = run->was_checked ? VALUES : VALUES - 3;
    return run->log ? run_log_step(run->log, step, values, n, e) : 0;
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
    char svg[4096];
    if (!run->r->log) {
        return 0;
    }
    snprintf(svg, sizeof(svg), "%s.svg", run->r->log);
    return run_log_draw(run->r->log, plots, sizeof(plots) / sizeof(plots[0]), svg, e);
}

static int run_steps(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    struct optimizer *o = run->policy->optimizer;
    uint64_t steps = optimizer_options(o)->steps;
    struct progress p;
    int rc = 0;
    progress_begin(&p, "dpo", "pairs", steps, optimizer_steps_done(o));
    double pairs = 0.0;
    while (!rc && optimizer_steps_done(o) < steps && !stop_signal_number()) {
        struct optimizer_stats s;
        char note[120];
        rc = dpo_step(run->dpo, &run->last, &s, e);
        uint64_t done = optimizer_steps_done(o);
        pairs += (double)r->batch_pairs;
        run->was_checked =
            !rc && r->validate && (done % (uint64_t)r->validate_every == 0 || done == steps);
        if (run->was_checked) {
            dpo_validate(run->dpo, &run->checked);
        }
        rc = rc ? rc : log_step(run, done, &s, e);
        if (!rc && (done % (uint64_t)r->checkpoint_every == 0 || done == steps)) {
            rc = align_policy_save(run->policy, r->out, run->mark, e);
        }
        snprintf(note, sizeof(note), "loss %.4f  margin %.3f  accuracy %.2f", run->last.loss,
                 run->last.margin, run->last.accuracy);
        progress_update(&p, done, pairs, note);
    }
    progress_end(&p);
    if (!rc && stop_signal_number()) {
        rc = align_policy_save(run->policy, r->out, run->mark, e);
        fprintf(stderr, "stopped by signal %d; %s is written, go on with --resume\n",
                stop_signal_number(), r->out);
    }
    return rc;
}

static int write_lineage(const struct run *run, struct err *e)
{
    const struct request *r = run->r;
    struct lineage *l = lineage_create("align dpo");
    if (r->init) {
        lineage_parent(l, "checkpoint", r->init);
    }
    lineage_parent(l, "base", r->base);
    lineage_parent(l, "pairs", r->pairs);
    lineage_option_number(l, "steps", (double)steps_of(run));
    lineage_option_number(l, "batch_pairs", (double)r->batch_pairs);
    lineage_option_number(l, "lr", r->lr);
    lineage_option_number(l, "min_lr", r->min_lr);
    lineage_option_number(l, "beta", r->beta);
    lineage_option_number(l, "sft_weight", r->sft_weight);
    lineage_option_number(l, "seed", (double)r->seed);
    lineage_metric(l, "loss", run->last.loss);
    lineage_metric(l, "accuracy", run->last.accuracy);
    if (r->validate) {
        lineage_metric(l, "val_loss", run->checked.loss);
        lineage_metric(l, "val_accuracy", run->checked.accuracy);
    }
    int rc = lineage_write(l, r->out, e);
    lineage_destroy(l);
    return rc;
}

static int run_dpo(const struct request *r, struct err *e)
{
    struct run run = {.r = r};
    stop_signal_catch();
    align_set_init(&run.pairs);
    align_set_init(&run.validation);
    int rc = open_run(&run, e) || open_log(&run, e) || run_steps(&run, e) ||
                     draw_log(&run, e) || (!stop_signal_number() && write_lineage(&run, e))
                 ? -1
                 : 0;
    run_log_close(run.log);
    dpo_destroy(run.dpo);
    align_policy_destroy(run.policy);
    align_set_deinit(&run.pairs);
    align_set_deinit(&run.validation);
    align_base_close(&run.base);
    return rc;
}

int cli_align_dpo(int argc, char **argv)
{
    struct request r = {.on_error = "stop",
                        .epochs = 1.0,
                        .batch_pairs = 32,
                        .warmup = 10,
                        .seed = 1,
                        .shards = 2,
                        .checkpoint_every = 100,
                        .validate_every = 50,
                        .lr = 5e-6,
                        .beta = 0.1};
    const struct option table[] = {
        {"init", 0, OPTION_STRING, &r.init, "FILE.ckpt",
         "the fine-tuned model: policy to begin with, and reference [--model's weights]", 0, 0},
        {"model", 'm', OPTION_STRING, &r.base, "FILE.gguf",
         "tokenizer and chat template: the model that it began as, or its vocabulary", 0, 0},
        {"pairs", 0, OPTION_STRING, &r.pairs, "FILE.jsonl", "preference pairs", 0, 0},
        {"validate", 0, OPTION_STRING, &r.validate, "FILE.jsonl", "pairs kept apart", 0, 0},
        {"out", 'o', OPTION_STRING, &r.out, "FILE.ckpt", "checkpoint to write", 0, 0},
        {"resume", 0, OPTION_FLAG, &r.resume, NULL, "go on where --out stopped", 0, 0},
        {"epochs", 0, OPTION_DOUBLE, &r.epochs, "X", "times through the pairs [1]", 0, 0},
        {"steps", 0, OPTION_INT, &r.steps, "N", "instead of --epochs", 0, 100000000},
        {"batch-pairs", 0, OPTION_INT, &r.batch_pairs, "N", "pairs of a step [32]", 1, 65536},
        {"beta", 0, OPTION_DOUBLE, &r.beta, "X",
         "how firmly the reference holds the policy [0.1]", 0, 0},
        {"sft-weight", 0, OPTION_DOUBLE, &r.sft_weight, "X",
         "of the chosen answer's own likelihood [0]", 0, 0},
        {"per-token", 0, OPTION_FLAG, &r.per_token, NULL,
         "compare means over tokens: length does not count", 0, 0},
        {"lr", 0, OPTION_DOUBLE, &r.lr, "X", "highest learning rate [5e-6]", 0, 0},
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
    bool known = strcmp(r.on_error, "stop") == 0 || strcmp(r.on_error, "skip") == 0;
    if (!r.base || !r.pairs || !r.out || positional > 0 || !known || !(r.beta > 0.0) ||
        !(r.epochs > 0.0) || r.sft_weight < 0.0) {
        fprintf(
            stderr,
            "weir align dpo: --model, --pairs and --out are needed; --beta and "
            "--epochs above 0, --sft-weight 0 or more, --on-error stop or skip\nusage: %s\n",
            options.usage);
        return 2;
    }
    const struct align_start start = {r.init, r.base, 0};
    rc = align_default_row(&start, &r.row, &e) || run_dpo(&r, &e);
    return rc ? cli_fail("align dpo", &e) : 0;
}

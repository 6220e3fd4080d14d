#include "runtime/cli/align_tuning.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/fnv.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/stop_signal.h"

#define STEPS_MAX 100000000

/* --- the command line --- */

struct align_tuning_request align_tuning_request_default(double lr)
{
    return (struct align_tuning_request){.on_error = "stop",
                                         .epochs = 1.0,
                                         .batch_pairs = 32,
                                         .warmup = 10,
                                         .seed = 1,
                                         .shards = 2,
                                         .checkpoint_every = 100,
                                         .validate_every = 50,
                                         .lr = lr};
}

void align_tuning_options(struct option *table, struct align_tuning_request *r)
{
    const struct option more[ALIGN_TUNING_OPTIONS] = {
        {"model", 'm', OPTION_STRING, &r->base, "FILE.gguf",
         "tokenizer, chat template and, without --init, the weights to begin with", 0, 0},
        {"pairs", 0, OPTION_STRING, &r->pairs, "FILE.jsonl", "preference pairs, as above", 0,
         0},
        {"validate", 0, OPTION_STRING, &r->validate, "FILE.jsonl", "pairs kept apart", 0, 0},
        {"resume", 0, OPTION_FLAG, &r->resume, NULL, "go on where --out stopped", 0, 0},
        {"epochs", 0, OPTION_DOUBLE, &r->epochs, "X", "times through the pairs [1]", 0, 0},
        {"steps", 0, OPTION_INT, &r->steps, "N", "instead of --epochs", 0, STEPS_MAX},
        {"batch-pairs", 0, OPTION_INT, &r->batch_pairs, "N", "pairs of a step [32]", 1, 65536},
        {"min-lr", 0, OPTION_DOUBLE, &r->min_lr, "X", "learning rate at the end [0]", 0, 0},
        {"warmup", 0, OPTION_INT, &r->warmup, "N", "steps of linear rise [10]", 0, 1000000},
        {"seed", 0, OPTION_INT, &r->seed, "N", "of the order of pairs [1]", 0, 2147483647},
        {"shards", 't', OPTION_INT, &r->shards, "N", "threads; results depend on it [2]", 1,
         TRAIN_MAX_SHARDS},
        {"row", 0, OPTION_INT, &r->row, "N",
         "longest conversation, tokens [context, at most 1024]", 2, 65536},
        {"on-error", 0, OPTION_STRING, &r->on_error, "stop|skip", "at a line that is no pair",
         0, 0},
        {"checkpoint-every", 0, OPTION_INT, &r->checkpoint_every, "N", "steps [100]", 1,
         1000000},
        {"validate-every", 0, OPTION_INT, &r->validate_every, "N", "steps [50]", 1, 1000000},
        {"log", 0, OPTION_STRING, &r->log, "FILE.jsonl",
         "a line a step; FILE.jsonl.svg is drawn from it", 0, 0},
        {0},
    };
    while (table->name) {
        table++;
    }
    memcpy(table, more, sizeof(more));
}

bool align_tuning_request_holds(const struct align_tuning_request *r)
{
    bool known = strcmp(r->on_error, "stop") == 0 || strcmp(r->on_error, "skip") == 0;
    return r->base && r->pairs && r->out && known && r->epochs > 0.0;
}

/* --- a run --- */

struct align_start align_tuning_start(const struct align_tuning *t)
{
    return (struct align_start){t->r->init, t->r->base, (uint32_t)t->r->row};
}

int align_tuning_open(struct align_tuning *t, const struct align_tuning_request *r,
                      struct err *e)
{
    *t = (struct align_tuning){.r = r};
    align_set_init(&t->pairs);
    align_set_init(&t->validation);
    const struct align_start start = align_tuning_start(t);
    const uint32_t row = (uint32_t)r->row;
    bool skip = strcmp(r->on_error, "skip") == 0;
    return align_base_open(&t->base, r->base, e) ||
                   align_base_check(&t->base, &start, row, e) ||
                   align_read_pairs(&t->base, r->pairs, row, skip, &t->pairs, e) ||
                   (r->validate &&
                    align_read_pairs(&t->base, r->validate, row, skip, &t->validation, e))
               ? -1
               : 0;
}

void align_tuning_close(struct align_tuning *t)
{
    run_log_close(t->log);
    align_policy_destroy(t->policy);
    align_set_deinit(&t->pairs);
    align_set_deinit(&t->validation);
    align_base_close(&t->base);
}

uint64_t align_tuning_steps(const struct align_tuning *t)
{
    const struct align_tuning_request *r = t->r;
    double n = r->epochs * (double)align_set_count(&t->pairs) / (double)r->batch_pairs;
    if (r->steps > 0) {
        return (uint64_t)r->steps;
    }
    return n < 1.0 ? 1 : n > STEPS_MAX ? STEPS_MAX : (uint64_t)(n + 0.5);
}

struct optimizer_options align_tuning_optimizer(const struct align_tuning *t)
{
    struct optimizer_options o = optimizer_options_default();
    o.steps = align_tuning_steps(t);
    o.shards = (uint32_t)t->r->shards;
    o.warmup = (uint32_t)t->r->warmup;
    o.lr = (float)t->r->lr;
    o.min_lr = (float)t->r->min_lr;
    o.weight_decay = 0.0f; /* what was learnt before is not drawn to zero */
    return o;
}

uint32_t align_tuning_longest(const struct align_tuning *t)
{
    uint32_t a = t->pairs.longest, b = t->validation.longest;
    return a > b ? a : b;
}

uint64_t align_tuning_mark(const struct align_tuning *t, const double *options, size_t bytes)
{
    return fnv64(fnv64(FNV64_BASIS, options, bytes), t->pairs.tokens.data, t->pairs.tokens.len);
}

static uint64_t last_step(const struct align_tuning *t)
{
    return optimizer_options(t->policy->optimizer)->steps;
}

bool align_tuning_validates(const struct align_tuning *t, uint64_t done)
{
    return t->r->validate &&
           (done % (uint64_t)t->r->validate_every == 0 || done == last_step(t));
}

static bool saves(const struct align_tuning *t, uint64_t done)
{
    return done % (uint64_t)t->r->checkpoint_every == 0 || done == last_step(t);
}

int align_tuning_run(const struct align_tuning *t, const struct align_tuning_work *w,
                     struct err *e)
{
    struct optimizer *o = t->policy->optimizer;
    struct progress p;
    double pairs = 0.0;
    int rc = 0;
    progress_begin(&p, w->label, "pairs", last_step(t), optimizer_steps_done(o));
    while (!rc && optimizer_steps_done(o) < last_step(t) && !stop_signal_number()) {
        char note[120] = "";
        rc = w->step(w->ctx, note, sizeof(note), e);
        uint64_t done = optimizer_steps_done(o);
        rc = !rc && saves(t, done) ? w->save(w->ctx, e) : rc;
        pairs += (double)t->r->batch_pairs;
        progress_update(&p, done, pairs, note);
    }
    progress_end(&p);
    if (!rc && stop_signal_number()) {
        rc = w->save(w->ctx, e);
    }
    if (!rc && stop_signal_number()) {
        fprintf(stderr, "stopped by signal %d; %s is written, go on with --resume\n",
                stop_signal_number(), t->r->out);
    }
    return rc;
}

/* --- what is left of it --- */

cJSON *align_tuning_describe(const struct align_tuning *t, const char *tool)
{
    const struct align_tuning_request *r = t->r;
    cJSON *d = cJSON_CreateObject();
    if (d && cJSON_AddStringToObject(d, "tool", tool) &&
        cJSON_AddStringToObject(d, "init", r->init ? r->init : r->base) &&
        cJSON_AddStringToObject(d, "pairs", r->pairs) &&
        cJSON_AddNumberToObject(d, "n_pairs", (double)align_set_count(&t->pairs)) &&
        cJSON_AddNumberToObject(d, "batch_pairs", (double)r->batch_pairs) &&
        cJSON_AddNumberToObject(d, "steps", (double)align_tuning_steps(t)) &&
        cJSON_AddNumberToObject(d, "lr", r->lr) &&
        cJSON_AddNumberToObject(d, "seed", (double)r->seed)) {
        return d;
    }
    cJSON_Delete(d);
    return NULL;
}

int align_tuning_open_log(struct align_tuning *t, cJSON *description, struct err *e)
{
    if (!description) {
        return err_nomem(e);
    }
    uint64_t done = optimizer_steps_done(t->policy->optimizer);
    t->log = done > 0 ? run_log_resume(t->r->log, description, done, e)
                      : run_log_create(t->r->log, description, e);
    cJSON_Delete(description);
    return t->log ? 0 : -1;
}

int align_tuning_draw_log(const struct align_tuning *t, const struct run_log_plot *plots,
                          size_t n, struct err *e)
{
    char svg[4096];
    if (!t->r->log || optimizer_steps_done(t->policy->optimizer) == 0) {
        return 0;
    }
    snprintf(svg, sizeof(svg), "%s.svg", t->r->log);
    return run_log_draw(t->r->log, plots, n, svg, e);
}

struct lineage *align_tuning_lineage(const struct align_tuning *t, const char *tool)
{
    const struct align_tuning_request *r = t->r;
    struct lineage *l = lineage_create(tool);
    if (r->init) {
        lineage_parent(l, "checkpoint", r->init);
    }
    lineage_parent(l, "base", r->base);
    lineage_parent(l, "pairs", r->pairs);
    lineage_option_number(l, "steps", (double)align_tuning_steps(t));
    lineage_option_number(l, "batch_pairs", (double)r->batch_pairs);
    lineage_option_number(l, "lr", r->lr);
    lineage_option_number(l, "min_lr", r->min_lr);
    lineage_option_number(l, "seed", (double)r->seed);
    return l;
}

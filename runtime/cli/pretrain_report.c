#include "runtime/cli/pretrain_report.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "models/train/blas.h"
#include "models/train/kernels.h"
#include "runtime/base/file.h"

/* Weight of a new step in the loss of the progress line. */
#define SMOOTHING 0.1

static void print_start(const struct pretrain_report *r)
{
    const struct train_shape *s = trainer_shape(r->trainer);
    const struct train_options *o = trainer_options(r->trainer);
    double memory = (double)trainer_memory(s, o);
    fprintf(stderr,
            "model: d_model %u, layers %u, heads %u, kv_heads %u, ffn %u, vocab %u, context "
            "%u: %.2f M parameters\n",
            s->d_model, s->n_layers, s->n_heads, s->n_kv_heads, s->ffn, s->vocab, s->context,
            (double)train_shape_param_count(s) / 1e6);
    fprintf(stderr,
            "data: %zu files, %llu documents, %llu tokens; steps %llu of %u tokens, lr %g to "
            "%g, warmup %u, %u shards, seed %llu\n",
            dataset_file_count(r->data), (unsigned long long)dataset_doc_count(r->data),
            (unsigned long long)dataset_token_count(r->data),
            (unsigned long long)o->optimizer.steps, o->batch_tokens, (double)o->optimizer.lr,
            (double)o->optimizer.min_lr, o->optimizer.warmup, o->optimizer.shards,
            (unsigned long long)o->seed);
    fprintf(stderr,
            "machine: OpenBLAS kernels %s, float32 peak %.0f GFLOPS with %u threads; memory "
            "%.0f MB%s\n",
            train_blas_kernels(), r->peak / 1e9, o->optimizer.shards, memory / 1e6,
            o->bf16 ? "; products in bfloat16" : "");
    if (trainer_step_count(r->trainer) > 0) {
        fprintf(stderr, "resumed after step %llu\n",
                (unsigned long long)trainer_step_count(r->trainer));
    }
}

static void add_options(cJSON *to, const struct train_options *o)
{
    cJSON_AddNumberToObject(to, "steps", (double)o->optimizer.steps);
    cJSON_AddNumberToObject(to, "batch_tokens", o->batch_tokens);
    cJSON_AddNumberToObject(to, "micro_tokens", o->slice_tokens);
    cJSON_AddNumberToObject(to, "row", o->row);
    cJSON_AddNumberToObject(to, "shards", o->optimizer.shards);
    cJSON_AddNumberToObject(to, "seed", (double)o->seed);
    cJSON_AddNumberToObject(to, "warmup", o->optimizer.warmup);
    cJSON_AddBoolToObject(to, "bf16", o->bf16 != 0);
}

/* A float as it was typed: 0.001 and not 0.0010000000474974513. */
static double as_typed(float x)
{
    char text[32];
    snprintf(text, sizeof(text), "%.7g", (double)x);
    return strtod(text, NULL);
}

static void add_float(cJSON *to, const char *name, float x)
{
    cJSON_AddNumberToObject(to, name, as_typed(x));
}

static void add_rates(cJSON *to, const struct optimizer_options *o)
{
    add_float(to, "lr", o->lr);
    add_float(to, "min_lr", o->min_lr);
    add_float(to, "beta1", o->beta1);
    add_float(to, "beta2", o->beta2);
    add_float(to, "eps", o->eps);
    add_float(to, "weight_decay", o->weight_decay);
    add_float(to, "clip", o->clip);
}

static void add_model(cJSON *to, const struct train_shape *s)
{
    cJSON_AddNumberToObject(to, "parameters", (double)train_shape_param_count(s));
    cJSON_AddNumberToObject(to, "d_model", s->d_model);
    cJSON_AddNumberToObject(to, "layers", s->n_layers);
    cJSON_AddNumberToObject(to, "heads", s->n_heads);
    cJSON_AddNumberToObject(to, "kv_heads", s->n_kv_heads);
    cJSON_AddNumberToObject(to, "ffn", s->ffn);
    cJSON_AddNumberToObject(to, "vocab", s->vocab);
    cJSON_AddNumberToObject(to, "context", s->context);
}

static void add_data(cJSON *to, const struct dataset *d)
{
    char hash[20];
    cJSON *files = cJSON_AddArrayToObject(to, "files");
    for (size_t i = 0; i < dataset_file_count(d); i++) {
        cJSON_AddItemToArray(files, cJSON_CreateString(dataset_file(d, i)));
    }
    cJSON_AddNumberToObject(to, "documents", (double)dataset_doc_count(d));
    cJSON_AddNumberToObject(to, "tokens", (double)dataset_token_count(d));
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)dataset_hash(d));
    cJSON_AddStringToObject(to, "hash", hash);
}

/* NULL: no memory. */
static cJSON *describe(const struct pretrain_report *r, const char *init)
{
    char started[32];
    time_t now = time(NULL);
    struct tm tm;
    cJSON *about = cJSON_CreateObject();
    const struct train_options *o = trainer_options(r->trainer);
    strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    cJSON_AddStringToObject(about, "tool", "train pretrain");
    cJSON_AddStringToObject(about, "weir", WEIR_VERSION);
    cJSON_AddStringToObject(about, "started", started);
    if (init) {
        cJSON_AddStringToObject(about, "init", init);
    }
    cJSON *options = cJSON_AddObjectToObject(about, "options");
    add_options(options, o);
    add_rates(options, &o->optimizer);
    add_model(cJSON_AddObjectToObject(about, "model"), trainer_shape(r->trainer));
    add_data(cJSON_AddObjectToObject(about, "data"), r->data);
    cJSON *machine = cJSON_AddObjectToObject(about, "machine");
    cJSON_AddStringToObject(machine, "blas", train_blas_kernels());
    cJSON_AddStringToObject(machine, "vectors", train_kernels_get()->name);
    cJSON_AddNumberToObject(machine, "peak_gflops", round(r->peak / 1e7) / 100.0);
    cJSON_AddNumberToObject(machine, "planned_bytes",
                            (double)trainer_memory(trainer_shape(r->trainer), o));
    return about;
}

/* The better of all tries: what else runs on the machine only ever slows it. */
static void measure_peak(struct pretrain_report *r)
{
    double peak = train_blas_peak(trainer_options(r->trainer)->optimizer.shards);
    r->peak = peak > r->peak ? peak : r->peak;
}

int pretrain_report_begin(struct pretrain_report *r, const char *init, struct err *e)
{
    uint64_t done = trainer_step_count(r->trainer);
    const struct train_options *o = trainer_options(r->trainer);
    measure_peak(r);
    r->val_loss = NAN;
    print_start(r);
    if (r->log_path) {
        cJSON *about = describe(r, init);
        r->log = done > 0 ? run_log_resume(r->log_path, about, done, e)
                          : run_log_create(r->log_path, about, e);
        cJSON_Delete(about);
        if (!r->log) {
            return -1;
        }
    }
    progress_begin(&r->progress, "pretrain", "tokens", o->optimizer.steps, done);
    return 0;
}

static void log_step(struct pretrain_report *r, const struct train_stats *stats, double rate,
                     double speed, double val_loss)
{
    struct err e;
    const struct run_log_value values[] = {
        {"loss", stats->loss},
        {"lr", (double)stats->lr},
        {"grad_norm", stats->grad_norm},
        {"tokens", stats->tokens},
        {"targets", stats->targets},
        {"epoch", trainer_epochs(r->trainer)},
        {"val_loss", val_loss},
        {"val_perplexity", exp(val_loss)},
        {"tokens_per_s", speed},
        {"peak_fraction", r->peak > 0.0 ? rate / r->peak : NAN},
    };
    if (r->log && run_log_step(r->log, trainer_step_count(r->trainer), values,
                               sizeof(values) / sizeof(values[0]), &e)) {
        progress_say(&r->progress, "weir train pretrain: %s; the run goes on without its log",
                     e.message);
        run_log_close(r->log);
        r->log = NULL;
    }
}

void pretrain_report_step(struct pretrain_report *r, const struct train_stats *stats,
                          double seconds, double val_loss)
{
    char note[160];
    r->loss = r->flops == 0.0 ? stats->loss : r->loss + SMOOTHING * (stats->loss - r->loss);
    r->last_loss = stats->loss;
    r->seconds += seconds;
    r->flops += stats->flops;
    r->tokens += stats->tokens;
    int n = snprintf(note, sizeof(note), "loss %.4f  lr %.2e", r->loss, (double)stats->lr);
    if (isfinite(val_loss)) {
        r->val_loss = val_loss;
    }
    if (isfinite(r->val_loss)) {
        n += snprintf(note + n, sizeof(note) - (size_t)n, "  val %.4f (perplexity %.2f)",
                      r->val_loss, exp(r->val_loss));
    }
    if (r->peak > 0.0) {
        snprintf(note + n, sizeof(note) - (size_t)n, "  %.0f %% of peak",
                 100.0 * r->flops / r->seconds / r->peak);
    }
    log_step(r, stats, stats->flops / seconds, stats->tokens / seconds, val_loss);
    progress_update(&r->progress, trainer_step_count(r->trainer), r->tokens, note);
}

void pretrain_report_draw(struct pretrain_report *r)
{
    static const struct run_log_plot plots[] = {
        {.title = "Loss", .label = "nats a token", .names = {"loss", "val_loss"}},
        {.title = "Validation perplexity", .log_y = true, .names = {"val_perplexity"}},
        {.title = "Gradient norm", .log_y = true, .names = {"grad_norm"}},
        {.title = "Learning rate", .names = {"lr"}},
        {.title = "Speed", .label = "tokens/s", .names = {"tokens_per_s"}},
        {.title = "Share of the float32 peak", .names = {"peak_fraction"}},
    };
    struct err e;
    if (r->log && r->plot_path && r->flops > 0.0 &&
        run_log_draw(r->log_path, plots, sizeof(plots) / sizeof(plots[0]), r->plot_path, &e)) {
        progress_say(&r->progress, "weir train pretrain: %s: no charts", e.message);
    }
}

void pretrain_report_end(struct pretrain_report *r)
{
    progress_end(&r->progress);
    pretrain_report_draw(r);
    run_log_close(r->log);
    r->log = NULL;
    if (r->flops > 0.0) {
        measure_peak(r);
        fprintf(stderr,
                "speed: %.0f tokens/s, %.0f GFLOPS, %.1f %% of the float32 peak of %.0f\n",
                r->tokens / r->seconds, r->flops / r->seconds / 1e9,
                100.0 * r->flops / r->seconds / r->peak, r->peak / 1e9);
    }
}

/* Parents of role "init" in the sidecar that is there; `folder` is its own. */
static void keep_init(struct lineage *l, const char *out)
{
    char path[PATH_MAX], folder[PATH_MAX];
    struct err e;
    const char *slash = strrchr(out, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - out) : 1, slash ? out : ".");
    if (snprintf(path, sizeof(path), "%s" LINEAGE_SUFFIX, out) >= (int)sizeof(path)) {
        return;
    }
    cJSON *before = json_parse_regular(path, LINEAGE_BYTES_MAX, &e);
    const cJSON *parent;
    cJSON_ArrayForEach(parent, cJSON_GetObjectItemCaseSensitive(before, "parents"))
    {
        const char *role =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parent, "role"));
        const char *file =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parent, "file"));
        if (!role || !file || strcmp(role, "init") != 0) {
            continue;
        }
        if (file[0] == '/') {
            snprintf(path, sizeof(path), "%s", file);
        } else if (file_join(path, sizeof(path), folder, file, &e)) {
            continue;
        }
        if (access(path, R_OK) == 0) {
            lineage_parent(l, "init", path);
        }
    }
    cJSON_Delete(before);
}

int pretrain_write_lineage(const struct pretrain_report *r, const char *out, const char *init,
                           bool resumed, struct err *e)
{
    const struct train_options *o = trainer_options(r->trainer);
    char shape[96];
    const struct train_shape *s = trainer_shape(r->trainer);
    struct lineage *l = lineage_create("train pretrain");
    for (size_t i = 0; i < dataset_file_count(r->data); i++) {
        lineage_parent(l, "data", dataset_file(r->data, i));
    }
    lineage_parent(l, "init", init);
    if (resumed) {
        keep_init(l, out);
    }
    snprintf(shape, sizeof(shape), "%u,%u,%u,%u,%u,%u", s->d_model, s->n_layers, s->n_heads,
             s->n_kv_heads, s->ffn, s->context);
    lineage_option(l, "shape", shape);
    lineage_option_number(l, "seed", (double)o->seed);
    lineage_option_number(l, "steps", (double)o->optimizer.steps);
    lineage_option_number(l, "batch_tokens", o->batch_tokens);
    lineage_option_number(l, "micro_tokens", o->slice_tokens);
    lineage_option_number(l, "row", o->row);
    lineage_option_number(l, "shards", o->optimizer.shards);
    lineage_option_number(l, "warmup", o->optimizer.warmup);
    lineage_option(l, "products", o->bf16 ? "bfloat16" : "float32");
    lineage_option_number(l, "lr", as_typed(o->optimizer.lr));
    lineage_option_number(l, "min_lr", as_typed(o->optimizer.min_lr));
    lineage_option_number(l, "weight_decay", as_typed(o->optimizer.weight_decay));
    lineage_option_number(l, "clip", as_typed(o->optimizer.clip));
    lineage_option(l, "blas", train_blas_kernels());
    lineage_metric(l, "step", (double)trainer_step_count(r->trainer));
    lineage_metric(l, "loss", r->last_loss);
    lineage_metric(l, "val_loss", r->val_loss);
    int rc = lineage_write(l, out, e);
    lineage_destroy(l);
    return rc;
}

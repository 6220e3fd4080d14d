#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/eval_divergence.h"
#include "runtime/cli/eval_report.h"
#include "runtime/cli/eval_run.h"
#include "runtime/cli/progress.h"

#define ROWS     256
#define LANES    16
#define KV_BYTES ((size_t)512 << 20) /* of the lanes together */
#define REQUESTS 8                   /* to a server, side by side */

#define SETTING_MAX 16 /* bytes of the name of a number format */

struct arguments {
    struct option_strings models, adapters; /* adapters: of the last models */
    const char *suite, *set, *kind, *out;
    const char *url, *key;                /* of a server; models are names then */
    const char *cpu, *kv_types, *weights; /* the last two: a list, one for each model */
    long limit, show, threads;
    bool any_base, json, compare;
    bool progress; /* stderr is a terminal */
};

/* --- one model --- */

/* The item of a list "a,b" for the i-th model; the last one stands for all further ones. */
static const char *nth(const char *list, size_t i, char out[SETTING_MAX])
{
    if (!list) {
        return NULL;
    }
    for (const char *comma; i > 0 && (comma = strchr(list, ',')); i--) {
        list = comma + 1;
    }
    snprintf(out, SETTING_MAX, "%.*s", (int)strcspn(list, ","), list);
    return out;
}

/* With fewer adapters than models the first models have none. */
static const char *adapter_of(const struct arguments *a, size_t model)
{
    size_t without = a->models.count - a->adapters.count;
    return model < without ? NULL : a->adapters.items[model - without];
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int open_model(struct local_model *l, const struct arguments *a, size_t model,
                      struct err *e)
{
    char kv_type[SETTING_MAX], weights[SETTING_MAX];
    const struct local_model_settings s = {
        .path = a->models.items[model],
        .adapter = adapter_of(a, model),
        .any_base = a->any_base,
        .cpu = a->cpu,
        .kv_type = nth(a->kv_types, model, kv_type),
        .weights = nth(a->weights, model, weights),
        .threads = (int)a->threads,
        .max_rows = ROWS,
        .n_slots = LANES,
        .kv_bytes = KV_BYTES,
        .score = true,
    };
    return local_model_open(l, &s, e);
}

/* The file's name, and what sets it apart from others: "tiny.gguf (f32)". */
static void name_model(struct eval_results *r, const struct arguments *a, size_t model)
{
    struct eval_model_result *m = &r->models[model];
    char weights[SETTING_MAX], kv_type[SETTING_MAX], number[8] = "";
    const char *path = a->models.items[model], *adapter = adapter_of(a, model);
    const char *name = a->url ? path : file_name(path);
    const char *w = nth(a->weights, model, weights), *kv = nth(a->kv_types, model, kv_type);
    m->source = a->url ? a->url : path;
    snprintf(m->label, sizeof(m->label), "%.48s%s%.24s%s%s%s%s", name, adapter ? " + " : "",
             adapter ? file_name(adapter) : "", w ? ", " : "", w ? w : "", kv ? ", kv " : "",
             kv ? kv : "");
    for (size_t i = 0; i < model && !number[0]; i++) {
        if (strcmp(r->models[i].label, m->label) == 0) {
            snprintf(number, sizeof(number), " (%d)", (int)(model + 1) % 100);
            strncat(m->label, number, sizeof(m->label) - strlen(m->label) - 1);
        }
    }
}

static void tell(void *ctx, size_t done)
{
    progress_update(ctx, done, (double)done, NULL);
}

/* Lines on which the first measure of the part is missed. */
static void show_failures(const struct eval_part *p, const struct eval_values *v, long *left,
                          FILE *on)
{
    const struct eval_measure *m = eval_measure_of(p->kind, 0);
    for (size_t i = 0; i<p->n && * left> 0; i++) {
        double value = v->of[0].value[i];
        if (m->statistic != EVAL_SHARE || isnan(value) || !v->answers[i] ||
            (value > 0.5) == (m->better > 0)) {
            continue;
        }
        (*left)--;
        const struct eval_item *item = &p->items[i];
        fprintf(on, "--- %s\n", item->group);
        for (size_t k = 0; k < item->n_messages; k++) {
            fprintf(on, "%s: %s\n", item->messages[0][k].role, item->messages[0][k].content);
        }
        char *expected =
            cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(item->json, "expect"));
        fprintf(on, "answer: %s\n%s%s%s", v->answers[i], expected ? "expected: " : "",
                expected ? expected : "", expected ? "\n" : "");
        cJSON_free(expected);
    }
}

/* l: NULL for a server. */
static int run_part(struct local_model *l, const struct arguments *a, size_t model,
                    const struct eval_part *part, const struct eval_progress *progress,
                    struct eval_values *values, struct err *e)
{
    const struct eval_server server = {.url = a->url,
                                       .key = a->key ? a->key : getenv("WEIR_API_KEY"),
                                       .model = a->models.items[model],
                                       .side_by_side = REQUESTS};
    return l ? eval_run_local(l, part, progress, values, e)
             : eval_run_server(&server, part, progress, values, e);
}

static int run_parts(struct local_model *l, const struct arguments *a, size_t model,
                     const struct eval_suite *suite, struct eval_model_result *m, struct err *e)
{
    long left = a->show;
    for (size_t p = 0; p < suite->n_parts; p++) {
        const struct eval_part *part = &suite->parts[p];
        struct progress bar;
        const struct eval_progress progress = {.told = a->progress ? tell : NULL, .ctx = &bar};
        if (eval_values_init(&m->values[p], part->n, e) != 0) {
            return -1;
        }
        m->was_skipped[p] = !l && !eval_server_can(part);
        if (m->was_skipped[p]) {
            continue;
        }
        if (a->progress) {
            progress_begin(&bar, part->name, NULL, part->n, 0);
        }
        int rc = run_part(l, a, model, part, &progress, &m->values[p], e);
        if (a->progress) {
            progress_end(&bar);
        }
        if (rc != 0) {
            return err_prefix(e, "part %s", part->name);
        }
        show_failures(part, &m->values[p], &left, a->json ? stderr : stdout);
    }
    return 0;
}

static int run_model(const struct arguments *a, size_t model, struct eval_results *r,
                     struct err *e)
{
    struct eval_model_result *m = &r->models[model];
    struct local_model l;
    double begin = clock_now_s();
    name_model(r, a, model);
    if (a->url) {
        int rc = run_parts(NULL, a, model, r->suite, m, e);
        m->seconds = clock_now_s() - begin;
        return rc;
    }
    if (a->out && lineage_hash(m->source, m->sha256, e) != 0) {
        return -1;
    }
    if (open_model(&l, a, model, e) != 0) {
        return -1;
    }
    int rc = run_parts(&l, a, model, r->suite, m, e);
    local_model_close(&l);
    m->seconds = clock_now_s() - begin;
    return rc;
}

/* --- two models side by side --- */

static bool has_perplexity(const struct eval_suite *s)
{
    for (size_t p = 0; p < s->n_parts; p++) {
        if (s->parts[p].kind == EVAL_PERPLEXITY) {
            return true;
        }
    }
    return false;
}

static int compare_predictions(struct local_model *a, struct local_model *b,
                               struct eval_results *r, struct err *e)
{
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        if (r->suite->parts[p].kind == EVAL_PERPLEXITY &&
            eval_divergence(a, b, &r->suite->parts[p], &r->divergence[p], e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int run_divergence(const struct arguments *a, struct eval_results *r, struct err *e)
{
    struct local_model of[2];
    if (a->url || r->n_models != 2 || !has_perplexity(r->suite)) {
        return 0;
    }
    if (open_model(&of[0], a, 0, e) != 0) {
        return -1;
    }
    int rc = open_model(&of[1], a, 1, e);
    if (rc == 0) {
        rc = compare_predictions(&of[0], &of[1], r, e);
        local_model_close(&of[1]);
    }
    local_model_close(&of[0]);
    return rc;
}

/* --- the command --- */

static int print_json(const struct eval_results *r, struct err *e)
{
    cJSON *json = eval_report_json(r);
    int rc = cli_print_json(json, e);
    cJSON_Delete(json);
    return rc;
}

static int report(const struct arguments *a, const struct eval_results *r, struct err *e)
{
    if (a->out && eval_report_write(r, a->out, e) != 0) {
        return -1;
    }
    if (a->set && r->n_models == 1) {
        if (a->json) {
            return eval_report_print_set_json(r, e);
        }
        eval_report_print_set(r);
        return 0;
    }
    return a->json ? print_json(r, e) : eval_report_print(r, e);
}

static int run(const struct arguments *a, struct eval_results *r, struct err *e)
{
    r->n_models = a->models.count;
    for (size_t m = 0; m < r->n_models; m++) {
        if (run_model(a, m, r, e) != 0) {
            return -1;
        }
    }
    if (run_divergence(a, r, e) != 0 || eval_results_make(r, e) != 0) {
        return -1;
    }
    return report(a, r, e);
}

static int check(struct arguments *a, int positional, char **argv, struct err *e)
{
    if (a->compare && a->models.count == 0 && positional == 2) {
        a->models.items[a->models.count++] = argv[1];
        a->models.items[a->models.count++] = argv[2];
        positional = 0;
    }
    if (positional > 0 || (a->compare && a->models.count != 2)) {
        return err_set(e, ERR_INVALID, "%s",
                       a->compare ? "compare: two models are wanted, A and B"
                                  : "models are given with -m FILE");
    }
    if (a->models.count == 0 || !a->suite == !a->set) {
        return err_set(e, ERR_INVALID, "-m FILE and either --suite or --set are needed");
    }
    if (a->models.count > EVAL_MODELS_MAX) {
        return err_set(e, ERR_INVALID, "-m: at most %d models", EVAL_MODELS_MAX);
    }
    if (a->adapters.count > a->models.count) {
        return err_set(e, ERR_INVALID, "--adapter: more adapters than models");
    }
    if (a->adapters.count > 0 && a->url) {
        return err_set(e, ERR_INVALID,
                       "--adapter is for a file; a server's adapter is named with -m NAME");
    }
    if (a->key && !a->url) {
        return err_set(e, ERR_INVALID, "--key goes with --url");
    }
    return a->kind && a->set ? err_set(e, ERR_INVALID, "--kind goes with --suite FILE.jsonl")
                             : 0;
}

static int parse(struct arguments *a, int argc, char **argv)
{
    const struct option table[] = {
        {"model", 'm', OPTION_STRINGS, &a->models, "FILE",
         "a model; several: side by side, each compared with the first", 0, 0},
        {"adapter", 0, OPTION_STRINGS, &a->adapters, "FILE[@SCALE]",
         "a LoRA adapter (GGUF) of the model; with several models those of the last ones", 0,
         0},
        {"any-base", 0, OPTION_FLAG, &a->any_base, NULL,
         "also where the adapter was trained on another file", 0, 0},
        {"suite", 0, OPTION_STRING, &a->suite, "PATH",
         "a folder with suite.json, such a file, or a file of lines", 0, 0},
        {"kind", 0, OPTION_STRING, &a->kind, "KIND",
         "what a file of lines holds (questions): docs/training-eval.md", 0, 0},
        {"set", 0, OPTION_STRING, &a->set, "FILE.jsonl",
         "questions alone, counted by skill: {\"skill\", \"messages\", \"expect\"}", 0, 0},
        {"limit", 0, OPTION_INT, &a->limit, "N",
         "at most N lines of each group of a part (all)", 1, EVAL_ITEMS_MAX},
        {"url", 0, OPTION_STRING, &a->url, "URL",
         "ask a running server, its prompts and filters too; -m NAME is its model", 0, 0},
        {"key", 0, OPTION_STRING, &a->key, "KEY", "the server's API key (WEIR_API_KEY)", 0, 0},
        {"out", 0, OPTION_STRING, &a->out, "FOLDER",
         "report.md, report.json, answers.jsonl and plots", 0, 0},
        {"show-failures", 0, OPTION_INT, &a->show, "N", "show the first N wrong answers (0)", 0,
         1L << 30},
        {"json", 0, OPTION_FLAG, &a->json, NULL,
         "print the result as JSON; failures go to stderr", 0, 0},
        {"threads", 't', OPTION_INT, &a->threads, "N", "threads (number of cores)", 1, 256},
        {"cpu", 0, OPTION_STRING, &a->cpu, "NAME", "best instruction set to use (auto)", 0, 0},
        {"kv-type", 0, OPTION_STRING, &a->kv_types, "NAME[,...]",
         "KV cache as f16, int8 or f32, of each model (f16)", 0, 0},
        {"weights", 0, OPTION_STRING, &a->weights, "NAME[,...]",
         "weights as int8, or f32: slow, to see what int8 costs; of each model (int8)", 0, 0},
        {0},
    };
    const struct options options = {
        a->compare ? "weir eval compare A B --suite PATH [options]"
                   : "weir eval -m FILE [-m FILE ...] (--suite PATH | --set FILE) [options]\n"
                     "       weir eval compare A B --suite PATH [options]",
        "Tests models with a suite: right answers, refusals, likelihoods, calibration and "
        "more.",
        table};
    struct err e = {0};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc < 0 && check(a, positional, argv, &e) != 0) {
        fprintf(stderr, "weir eval: %s\nusage: %s\n", e.message, options.usage);
        return 2;
    }
    return rc;
}

int cli_eval(int argc, char **argv)
{
    struct arguments a = {
        .cpu = "auto", .threads = local_core_count(), .progress = isatty(STDERR_FILENO) != 0};
    struct err e = {0};
    a.compare = argc > 1 && strcmp(argv[1], "compare") == 0;
    if (a.compare) {
        argv[1] = argv[0];
    }
    int rc = parse(&a, argc - a.compare, argv + a.compare);
    if (rc >= 0) {
        return rc;
    }
    struct eval_results *r = mem_zalloc(sizeof(*r));
    struct eval_suite *suite = eval_suite_open(
        a.suite ? a.suite : a.set, a.set ? "questions" : a.kind, (size_t)a.limit, &e);
    rc = suite ? 0 : -1;
    if (suite && !r) {
        rc = err_nomem(&e);
    } else if (suite) {
        r->suite = suite;
        rc = run(&a, r, &e);
    }
    if (r) {
        eval_results_deinit(r);
    }
    mem_free(r);
    eval_suite_close(suite);
    return rc == 0 ? 0 : cli_fail("eval", &e);
}

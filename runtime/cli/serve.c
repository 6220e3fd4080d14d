#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "quant/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"
#include "runtime/net/passed_sockets.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/server.h"

/* Of all texts that filters saw and that are kept. */
#define FINDING_FILE_BYTES   ((uint64_t)1 << 30)
#define FINDING_MEMORY_BYTES ((uint64_t)64 << 20)

struct serve_options {
    struct option_strings adapters;
    bool any_base;
    const char *model;
    const char *repo;
    long keep_generations;
    const char *models_loaded;
    bool load_on_demand;
    long models_memory;
    const char *when_memory_short;
    long unload_idle;
    const char *publish;
    const char *host;
    long port;
    const char *system_prompt;
    const char *state;
    const char *prompts_dir;
    const char *prompt;
    const char *filters;
    const char *feedback, *feedback_file;
    long feedback_rows, feedback_days, feedback_answers;
    const char *drift, *drift_file;
    long drift_window, drift_baseline;
    double drift_alpha;
    struct option_strings drift_margins;
    const char *findings;
    long findings_rows;
    long findings_days;
    const char *filter_log_text;
    const char *metrics;
    const char *filters_dir;
    const char *filters_chain;
    struct option_strings filters_for;
    const char *unix_path;
    const char *unix_mode;
    const char *tls_cert;
    const char *tls_key;
    const char *api_key;
    const char *api_key_file;
    const char *admin_key;
    const char *admin_key_file;
    struct option_strings allow_hosts;
    struct option_strings cors_origins;
    const char *cpu;
    const char *kv_type;
    long threads;
    bool pin;
    long context;
    long parallel;
    long queue;
    long queue_tokens;
    long kv_memory;
    long batch;
    long step_ms;
    const char *guess;
    long ping;
    double temperature;
    long drain_timeout;
    long upgrade_timeout;
    const char *pid_file;
    long max_body;
};

#define OPTIONS_MAX 80

static void append_options(struct option table[OPTIONS_MAX], const struct option *more,
                           size_t n)
{
    size_t at = 0;
    while (table[at].name) {
        at++;
    }
    memcpy(table + at, more, n * sizeof(*more));
}

/* What is told about requests: metrics, and what filters found. */
static void add_watching_options(struct option table[OPTIONS_MAX], struct serve_options *o)
{
    const struct option more[] = {
        {"feedback", 0, OPTION_STRING, &o->feedback, "WHAT",
         "POST /v1/feedback: off, ids (answers are known by id, no content is kept), or texts "
         "(off)",
         0, 0},
        {"feedback-file", 0, OPTION_STRING, &o->feedback_file, "FILE",
         "where it is kept (STATE.feedback; without --state in memory)", 0, 0},
        {"feedback-rows", 0, OPTION_INT, &o->feedback_rows, "N",
         "so much of the newest feedback is kept (100000)", 1, 100000000},
        {"feedback-days", 0, OPTION_INT, &o->feedback_days, "N", "and so long (365)", 1, 36500},
        {"feedback-answers", 0, OPTION_INT, &o->feedback_answers, "N",
         "so many of the newest answers can be spoken of (10000)", 1, 1000000},
        {"drift", 0, OPTION_STRING, &o->drift, "WHAT",
         "watch whether answers stay as they were: on, or off (on)", 0, 0},
        {"drift-file", 0, OPTION_STRING, &o->drift_file, "FILE",
         "where baselines and alerts are kept (STATE.drift; without --state in memory)", 0, 0},
        {"drift-baseline", 0, OPTION_INT, &o->drift_baseline, "N",
         "the first N answers of a version with a prompt are its baseline (1000)", 100,
         1000000},
        {"drift-window", 0, OPTION_INT, &o->drift_window, "N",
         "so many answers are held against it at a time, and 2, 4 and 8 times as many (250)",
         50, 1000000},
        {"drift-alpha", 0, OPTION_DOUBLE, &o->drift_alpha, "P",
         "the probability of a false alert, in all the time that a version serves (0.01)", 0,
         0},
        {"drift-margin", 0, OPTION_STRINGS, &o->drift_margins, "MEASURE=X",
         "differences up to X are no drift, off: it is not looked at; several times "
         "(answer_tokens=0.1, entropy=0.1, refusal_rate=0.05, block_rate=0.02, "
         "feedback_rate=0.05, dislike_rate=0.1)",
         0, 0},
        {"findings", 0, OPTION_STRING, &o->findings, "FILE",
         "keep what filters found there (beside --state, else in memory)", 0, 0},
        {"findings-rows", 0, OPTION_INT, &o->findings_rows, "N",
         "so many of the newest findings are kept (100000)", 1, 100000000},
        {"findings-days", 0, OPTION_INT, &o->findings_days, "N",
         "findings and texts are kept so long (30)", 1, 36500},
        {"filter-log-text", 0, OPTION_STRING, &o->filter_log_text, "WHICH",
         "keep texts that filters saw: none, found (in which they found something), all "
         "(none)",
         0, 0},
        {"metrics", 0, OPTION_STRING, &o->metrics, "WHO",
         "GET /metrics is for: open (anybody), key (API keys with the scope metrics), off "
         "(open)",
         0, 0},
    };
    append_options(table, more, sizeof(more) / sizeof(more[0]));
}

/* A repository of models. */
static void add_repo_options(struct option table[OPTIONS_MAX], struct serve_options *o)
{
    const struct option more[] = {
        {"repo", 0, OPTION_STRING, &o->repo, "DIR",
         "serve models and their versions, DIR/NAME/VERSION/, and watch for others; --model is "
         "the NAME that requests get which name none, or left out if there is one alone",
         0, 0},
        {"keep-generations", 0, OPTION_INT, &o->keep_generations, "N",
         "with --repo: versions of a model that stay loaded behind the one that serves, for "
         "rollbacks and requests that name them (1)",
         0, MODEL_SET_KEPT_MAX},
        {"publish", 0, OPTION_STRING, &o->publish, "HOW",
         "with --repo: versions that appear serve at once if they are newer (auto), or when an "
         "admin says so (manual) (auto)",
         0, 0},
        {"models-loaded", 0, OPTION_STRING, &o->models_loaded, "WHICH",
         "with --repo: models that are loaded at the start: default, all, or names with "
         "commas, "
         "beside the default (default)",
         0, 0},
        {"load-on-demand", 0, OPTION_FLAG, &o->load_on_demand, NULL,
         "with --repo: load models and versions when a request names them; it waits", 0, 0},
        {"models-memory", 0, OPTION_INT, &o->models_memory, "MIB",
         "with --repo: memory for all versions that are loaded, weights, keys and values; "
         "others "
         "that are idle make room (what the machine has)",
         1, 1L << 30},
        {"when-memory-short", 0, OPTION_STRING, &o->when_memory_short, "WHAT",
         "with --repo: of a new version that does not fit beside the one that serves: refuse "
         "it, "
         "or drain_first, then load it while requests wait (refuse)",
         0, 0},
        {"unload-idle", 0, OPTION_INT, &o->unload_idle, "S",
         "with --repo: seconds after which a model that nobody uses is unloaded, but the "
         "default; 0 for never (0)",
         0, 31536000},
    };
    append_options(table, more, sizeof(more) / sizeof(more[0]));
}

/* Processes that follow each other. */
static void add_process_options(struct option table[OPTIONS_MAX], struct serve_options *o)
{
    const struct option more[] = {
        {"upgrade-timeout", 0, OPTION_INT, &o->upgrade_timeout, "S",
         "seconds that a new process may take to be ready after SIGUSR2, before it is given up "
         "(300)",
         1, 86400},
        {"pid-file", 0, OPTION_STRING, &o->pid_file, "FILE",
         "write the number of the process that serves there", 0, 0},
    };
    append_options(table, more, sizeof(more) / sizeof(more[0]));
}

/* "MODEL=NAME", both with something in them. */
static bool is_pair(const char *text)
{
    const char *equals = strchr(text, '=');
    return equals && equals > text && equals[1] != '\0';
}

/* What each option for itself cannot say. An exit status, or -1. */
static int check(const struct serve_options *o)
{
    if (!o->tls_cert != !o->tls_key) {
        fprintf(stderr, "weir serve: --tls-cert and --tls-key go together\n");
        return 2;
    }
    for (size_t i = 0; i < o->filters_for.count; i++) {
        if (!is_pair(o->filters_for.items[i])) {
            fprintf(stderr, "weir serve: --filters-for: MODEL=NAME is wanted, not \"%s\"\n",
                    o->filters_for.items[i]);
            return 2;
        }
    }
    for (size_t i = 0; i < o->adapters.count; i++) {
        struct err e = {0};
        if (served_adapters_check(o->adapters.items[i], &e) != 0) {
            fprintf(stderr, "weir serve: %s\n", e.message);
            return 2;
        }
    }
    if (o->adapters.count > 0 && o->repo) {
        fprintf(stderr, "weir serve: --adapter is for --model FILE; in a repository "
                        "\"adapters\" in the version's model.json names them\n");
        return 2;
    }
    if (o->any_base && o->adapters.count == 0) {
        fprintf(stderr, "weir serve: --any-base goes with --adapter; in a repository "
                        "\"any_base\": true in the version's model.json says so\n");
        return 2;
    }
    if (strcmp(o->publish, "auto") != 0 && strcmp(o->publish, "manual") != 0) {
        fprintf(stderr, "weir serve: --publish: \"%s\" is not known; auto and manual are\n",
                o->publish);
        return 2;
    }
    if (o->temperature < 0.0 || o->temperature > 2.0) {
        fprintf(stderr, "weir serve: --temperature: 0 to 2 are allowed\n");
        return 2;
    }
    return -1;
}

static int parse(struct serve_options *o, int argc, char **argv)
{
    struct option table[OPTIONS_MAX] = {
        {"model", 'm', OPTION_STRING, &o->model, "FILE",
         "the model: a GGUF file, or a folder with safetensors", 0, 0},
        {"adapter", 0, OPTION_STRINGS, &o->adapters, "NAME=FILE[@SCALE]",
         "serve a LoRA adapter (GGUF) of the model under a name of its own; several times", 0,
         0},
        {"any-base", 0, OPTION_FLAG, &o->any_base, NULL,
         "serve adapters that were trained on another file of the model too", 0, 0},
        {"host", 0, OPTION_STRING, &o->host, "ADDRESS", "address to listen on (127.0.0.1)", 0,
         0},
        {"port", 'p', OPTION_INT, &o->port, "N", "port, 0 for any free one (8080)", 0, 65535},
        {"unix", 0, OPTION_STRING, &o->unix_path, "PATH",
         "listen on a unix socket; alone unless --host or --port is given too", 0, 0},
        {"unix-mode", 0, OPTION_STRING, &o->unix_mode, "OCTAL",
         "who may connect there, as a file's mode (0600)", 0, 0},
        {"tls-cert", 0, OPTION_STRING, &o->tls_cert, "FILE",
         "serve HTTPS on --port: certificate and its issuers, PEM; read again when it changes",
         0, 0},
        {"tls-key", 0, OPTION_STRING, &o->tls_key, "FILE", "the certificate's key, PEM", 0, 0},
        {"allow-host", 0, OPTION_STRINGS, &o->allow_hosts, "NAME",
         "a further name that a server on a loopback address answers to; several times", 0, 0},
        {"cors-origin", 0, OPTION_STRINGS, &o->cors_origins, "ORIGIN",
         "pages of this origin may call (https://example.org); several times, or with commas; "
         "* for all",
         0, 0},
        {"system-prompt", 's', OPTION_STRING, &o->system_prompt, "FILE",
         "text put before every conversation: the first version of the default prompt", 0, 0},
        {"prompt", 0, OPTION_STRING, &o->prompt, "NAME",
         "the prompt that requests get, unless their key has another (default)", 0, 0},
        {"prompts-dir", 0, OPTION_STRING, &o->prompts_dir, "DIR",
         "watch a folder: NAME.md is the active version of the prompt NAME", 0, 0},
        {"state", 0, OPTION_STRING, &o->state, "FILE",
         "keep prompts, filter chains, which versions of models serve, and the history of all "
         "that there (in memory alone)",
         0, 0},
        {"filters", 0, OPTION_STRING, &o->filters, "FILE",
         "filter chain, JSON (docs/filters.md): \"default\" until that has a version; watched",
         0, 0},
        {"filters-dir", 0, OPTION_STRING, &o->filters_dir, "DIR",
         "watch a folder: NAME.json is the active version of the filter chain NAME", 0, 0},
        {"filters-chain", 0, OPTION_STRING, &o->filters_chain, "NAME",
         "the chain that requests pass, unless their key or model has another (default)", 0, 0},
        {"filters-for", 0, OPTION_STRINGS, &o->filters_for, "MODEL=NAME",
         "the chain that requests of a model pass, unless their key has another; several times",
         0, 0},
        {"api-key", 0, OPTION_STRING, &o->api_key, "KEY",
         "key that clients must send (WEIR_API_KEY)", 0, 0},
        {"api-key-file", 0, OPTION_STRING, &o->api_key_file, "FILE",
         "such keys, with scopes and limits (weir keys); their owners take turns and share no "
         "cache",
         0, 0},
        {"admin-key", 0, OPTION_STRING, &o->admin_key, "KEY",
         "key of the admin routes (WEIR_ADMIN_KEY; made and shown if not given)", 0, 0},
        {"admin-key-file", 0, OPTION_STRING, &o->admin_key_file, "FILE",
         "a file with that key, or its hash", 0, 0},
        {"threads", 't', OPTION_INT, &o->threads, "N", "threads that compute (number of cores)",
         1, 256},
        {"pin", 0, OPTION_FLAG, &o->pin, NULL, "tie each of those threads to a core", 0, 0},
        {"context", 'c', OPTION_INT, &o->context, "N",
         "tokens a conversation may have (the model's)", 16, 1 << 20},
        {"parallel", 0, OPTION_INT, &o->parallel, "N", "requests that run together (16)", 1,
         1024},
        {"queue", 0, OPTION_INT, &o->queue, "N", "requests that wait beyond those (256)", 0,
         100000},
        {"queue-tokens", 0, OPTION_INT, &o->queue_tokens, "N",
         "tokens of the prompts that wait, together; 0 for any number (0)", 0, 1L << 40},
        {"kv-memory", 0, OPTION_INT, &o->kv_memory, "MIB",
         "memory for keys and values (what --parallel can use, at most a quarter of all)", 1,
         1L << 30},
        {"batch", 0, OPTION_INT, &o->batch, "N", "tokens of one step at the most (256)", 1,
         8192},
        {"step-ms", 0, OPTION_INT, &o->step_ms, "MS",
         "what a step shall take while answers run: prompts are read beside them in pieces of "
         "that size; 0 for --batch alone (150)",
         0, 60000},
        {"guess", 0, OPTION_STRING, &o->guess, "WHEN",
         "guess tokens from the text so far, which changes no answer: auto, never, always "
         "(auto)",
         0, 0},
        {"ping", 0, OPTION_INT, &o->ping, "S",
         "seconds after which a quiet stream gets a comment, 0 for never (5)", 0, 3600},
        {"kv-type", 0, OPTION_STRING, &o->kv_type, "NAME",
         "keys and values of running requests as f16, as int8 in half the memory, or as f32 "
         "(f16)",
         0, 0},
        {"temperature", 0, OPTION_DOUBLE, &o->temperature, "T",
         "for requests that give none (0.8; 0 is greedy)", 0, 0},
        {"cpu", 0, OPTION_STRING, &o->cpu, "NAME",
         "the best instruction set to use: auto, ref, avx2, avxvnni, avx512, avx512vnni, amx; "
         "on "
         "Arm neon, dotprod, i8mm (auto)",
         0, 0},
        {"drain-timeout", 0, OPTION_INT, &o->drain_timeout, "S",
         "seconds that running requests may take after SIGTERM (600)", 0, 86400},
        {"max-body", 0, OPTION_INT, &o->max_body, "BYTES",
         "request bodies larger are refused (8 MiB)", 1024, 1L << 30},
    };
    add_repo_options(table, o);
    add_watching_options(table, o);
    add_process_options(table, o);
    const struct options options = {
        "weir serve --model FILE.gguf | --repo DIR [options]",
        "Serves a model over HTTP: POST /v1/chat/completions, a chat page on /, admin routes.\n"
        "SIGHUP reads model, certificate, key file and watched files anew; SIGUSR2 starts the "
        "program anew in this one's place, and no request is lost; SIGTERM finishes and ends.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional > 0 || (!o->model && !o->repo)) {
        fprintf(stderr, "weir serve: %s\nusage: %s\n",
                positional > 0 ? "there is one argument too many"
                               : "--model FILE or --repo DIR is needed",
                options.usage);
        return 2;
    }
    return check(o);
}

/* The key, its file, or else one that is made and shown, once for all processes that follow
 * each other. */
static int set_admin_key(struct server_settings *set, const struct serve_options *o,
                         struct err *e)
{
    struct access *a = &set->access;
    const char *key = o->admin_key ? o->admin_key : getenv("WEIR_ADMIN_KEY");
    const char *made = set->predecessor >= 0 ? getenv(HANDOVER_KEY_VARIABLE) : NULL;
    char shown[KEY_MADE_LEN + 1];
    if (o->admin_key_file) {
        return access_set_admin_key_file(a, o->admin_key_file, e);
    }
    if (key) {
        return access_set_admin_key(a, key, e) == 0
                   ? 0
                   : err_prefix(e, "--admin-key or WEIR_ADMIN_KEY");
    }
    set->admin_key_is_made = true;
    if (made) {
        return access_set_admin_sha256(a, made, e);
    }
    if (access_make_admin_key(a, shown, e) != 0) {
        return -1;
    }
    fprintf(stderr, "admin key (made for this run, set --admin-key to choose one): %s\n",
            shown);
    return 0;
}

static bool is_on_loopback(const struct server_settings *set)
{
    bool all = true;
    bool any = false;
    for (size_t i = 0; set->listens_on_passed && i < set->passed->count; i++) {
        const struct passed_socket *p = &set->passed->items[i];
        any = any || !passed_socket_path(p);
        all = all && passed_socket_is_loopback(p);
    }
    return set->host ? access_host_is_loopback(set->host) : any && all;
}

static int set_access(struct server_settings *set, const struct serve_options *o, struct err *e)
{
    struct access *a = &set->access;
    const char *api_key = o->api_key ? o->api_key : getenv("WEIR_API_KEY");
    if (access_init(a, e) != 0 || set_admin_key(set, o, e) != 0) {
        return -1;
    }
    if (api_key && access_add_key(a, api_key, strlen(api_key), e) != 0) {
        return err_prefix(e, "--api-key or WEIR_API_KEY");
    }
    if (o->api_key_file && access_add_key_file(a, o->api_key_file, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < o->allow_hosts.count; i++) {
        if (access_allow_host(a, o->allow_hosts.items[i], e) != 0) {
            return err_prefix(e, "--allow-host");
        }
    }
    a->loopback_only = is_on_loopback(set);
    return 0;
}

static int guesses_named(const char *name, enum engine_guesses *guesses)
{
    static const char *const names[] = {"auto", "never", "always"}; /* enum engine_guesses */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *guesses = (enum engine_guesses)i;
            return 0;
        }
    }
    return -1;
}

/* The place of `name` in a list that NULL ends; -1 with a message. */
static int choice_named(const char *option, const char *name, const char *const *choices)
{
    for (int i = 0; choices[i]; i++) {
        if (strcmp(name, choices[i]) == 0) {
            return i;
        }
    }
    fprintf(stderr, "weir serve: --%s: \"%s\" is not known (see --help)\n", option, name);
    return -1;
}

/* What is kept where prompts are, in a file of its own; NULL without --state. *path is the
 * caller's. */
static int name_beside_state(const struct serve_options *o, const char *suffix, char **path,
                             struct err *e)
{
    struct buf beside;
    *path = NULL;
    if (!o->state) {
        return 0;
    }
    buf_init(&beside, 4096);
    buf_printf(&beside, "%s%s", o->state, suffix);
    *path = beside.failed ? NULL : buf_take(&beside, NULL);
    buf_deinit(&beside);
    return *path ? 0 : err_nomem(e);
}

static int set_feedback(struct server_settings *set, const struct serve_options *o, char **path,
                        struct err *e)
{
    if (name_beside_state(o, ".feedback", path, e) != 0) {
        return -1;
    }
    set->feedback.path = o->feedback_file ? o->feedback_file : *path;
    set->feedback.answers = (size_t)o->feedback_answers;
    set->feedback.limits =
        (struct feedback_limits){.rows = (uint64_t)o->feedback_rows,
                                 .age_ms = (int64_t)o->feedback_days * 24 * 3600 * 1000};
    return 0;
}

static int set_findings(struct server_settings *set, const struct serve_options *o, char **path,
                        struct err *e)
{
    if (name_beside_state(o, ".findings", path, e) != 0) {
        return -1;
    }
    set->findings.path = o->findings ? o->findings : *path;
    set->findings.limits = (struct finding_limits){
        .rows = (uint64_t)o->findings_rows,
        .age_ms = (int64_t)o->findings_days * 24 * 3600 * 1000,
        .text_bytes = set->findings.path ? FINDING_FILE_BYTES : FINDING_MEMORY_BYTES};
    return 0;
}

/* "MEASURE=X" or "MEASURE=off"; -1 with a message. */
static int set_drift_margin(struct drift_settings *set, const char *text)
{
    char name[32];
    const char *equals = strchr(text, '=');
    snprintf(name, sizeof(name), "%.*s", equals ? (int)(equals - text) : 0, text);
    int m = answer_measure_named(name);
    if (!equals || m < 0) {
        fprintf(stderr,
                "weir serve: --drift-margin: MEASURE=X or MEASURE=off is wanted, not \"%s\"; "
                "the measures are",
                text);
        for (int i = 0; i < ANSWER_MEASURE_COUNT; i++) {
            fprintf(stderr, "%s %s", i ? "," : "", answer_measure_name((enum answer_measure)i));
        }
        fprintf(stderr, "\n");
        return -1;
    }
    char *end = NULL;
    double margin = strtod(equals + 1, &end);
    if (strcmp(equals + 1, "off") == 0) {
        set->margins[m] = -1;
    } else if (end == equals + 1 || *end || !(margin >= 0 && margin < 1)) {
        fprintf(
            stderr,
            "weir serve: --drift-margin: %s: a number from 0 to below 1, or off, is wanted, "
            "not \"%s\"\n",
            name, equals + 1);
        return -1;
    } else {
        set->margins[m] = margin;
    }
    return 0;
}

/* -1: a word is not known, or a number out of bounds. */
static int set_drift_test(struct server_settings *set, const struct serve_options *o)
{
    static const char *const words[] = {"on", "off", NULL};
    struct drift_settings *test = &set->drift.test;
    int what = choice_named("drift", o->drift, words);
    *test = drift_settings_default();
    test->window = (uint32_t)o->drift_window;
    test->baseline = (uint32_t)o->drift_baseline;
    test->alpha = o->drift_alpha;
    set->drift.is_off = what == 1;
    if (!(o->drift_alpha > 0 && o->drift_alpha <= 0.5)) {
        fprintf(stderr, "weir serve: --drift-alpha: above 0 and up to 0.5 is allowed\n");
        return -1;
    }
    for (size_t i = 0; i < o->drift_margins.count; i++) {
        if (set_drift_margin(test, o->drift_margins.items[i]) != 0) {
            return -1;
        }
    }
    return what < 0 ? -1 : 0;
}

static int set_drift(struct server_settings *set, const struct serve_options *o, char **path,
                     struct err *e)
{
    if (name_beside_state(o, ".drift", path, e) != 0) {
        return -1;
    }
    set->drift.path = o->drift_file ? o->drift_file : *path;
    return 0;
}

/* -1: a word is not known. All are enums in this order. */
static int set_watching(struct server_settings *set, const struct serve_options *o)
{
    static const char *const texts[] = {"none", "found", "all", NULL};
    static const char *const readers[] = {"open", "key", "off", NULL};
    static const char *const kept[] = {"off", "ids", "texts", NULL};
    int which = choice_named("filter-log-text", o->filter_log_text, texts);
    int who = choice_named("metrics", o->metrics, readers);
    int feedback = choice_named("feedback", o->feedback, kept);
    if (which < 0 || who < 0 || feedback < 0) {
        return -1;
    }
    if (who == METRICS_KEY && !o->api_key && !getenv("WEIR_API_KEY") && !o->api_key_file) {
        fprintf(stderr, "weir serve: --metrics key: no API key is set\n");
        return -1;
    }
    set->findings.texts = (enum finding_texts)which;
    set->feedback.keeping = (enum feedback_keeping)feedback;
    set->metrics = (enum metrics_readers)who;
    return 0;
}

/* -1: the word is not known. */
static int set_memory_short(struct server_settings *set, const struct serve_options *o)
{
    static const char *const words[] = {"refuse", "drain_first", NULL};
    int what = choice_named("when-memory-short", o->when_memory_short, words);
    set->drain_first = what == 1;
    return what < 0 ? -1 : 0;
}

/* A common soft limit of 1,024 open files would be a limit of connections. */
static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Without a word about where, on what the process was given, or on this machine alone; a unix
 * socket is such a word. True: on what it was given. */
static bool choose_address(struct serve_options *o, const struct passed_sockets *passed)
{
    if (passed->count > 0 && !o->unix_path && !o->host && o->port < 0) {
        return true;
    }
    if (o->unix_path && !o->host && o->port < 0 && !o->tls_cert) {
        return false;
    }
    o->host = o->host ? o->host : "127.0.0.1";
    o->port = o->port < 0 ? 8080 : o->port;
    return false;
}

static int set_unix_mode(struct server_settings *set, const char *text)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (*text == '\0' || *end != '\0' || mode > 0777) {
        fprintf(stderr, "weir serve: --unix-mode: \"%s\" is no mode; 0600 and 0660 are\n",
                text);
        return -1;
    }
    set->unix_mode = (unsigned)mode;
    return 0;
}

static int set_origins(struct cors *c, const struct serve_options *o, struct err *e)
{
    for (size_t i = 0; i < o->cors_origins.count; i++) {
        if (cors_allow(c, o->cors_origins.items[i], e) != 0) {
            return err_prefix(e, "--cors-origin");
        }
    }
    return 0;
}

static int serve(const struct server_settings *set, struct err *e)
{
    mem_keep_large_apart();
    struct server *s = mem_zalloc(sizeof(*s));
    if (!s) {
        return err_nomem(e);
    }
    raise_open_files();
    int rc = server_run(s, set, e);
    mem_free(s);
    return rc;
}

/* Adds the settings that must be released again. */
static int complete_and_serve(struct server_settings *set, const struct serve_options *o,
                              struct err *e)
{
    char *findings = NULL, *feedback = NULL, *drift = NULL;
    int rc = set_access(set, o, e) == 0 && set_origins(&set->cors, o, e) == 0 &&
                     set_findings(set, o, &findings, e) == 0 &&
                     set_feedback(set, o, &feedback, e) == 0 &&
                     set_drift(set, o, &drift, e) == 0
                 ? serve(set, e)
                 : -1;
    mem_free(findings);
    mem_free(feedback);
    mem_free(drift);
    access_deinit(&set->access);
    cors_deinit(&set->cors);
    return rc;
}

int cli_serve(int argc, char **argv)
{
    struct serve_options o = {
        .port = -1,
        .unix_mode = "0600",
        .cpu = "auto",
        .threads = local_core_count(),
        .parallel = 16,
        .queue = 256,
        .batch = 256,
        .step_ms = 150,
        .guess = "auto",
        .feedback = "off",
        .feedback_rows = 100000,
        .feedback_days = 365,
        .feedback_answers = 10000,
        .drift = "on",
        .drift_baseline = 1000,
        .drift_window = 250,
        .drift_alpha = 0.01,
        .findings_rows = 100000,
        .findings_days = 30,
        .filter_log_text = "none",
        .metrics = "open",
        .ping = 5,
        .keep_generations = 1,
        .models_loaded = "default",
        .when_memory_short = "refuse",
        .publish = "auto",
        .temperature = 0.8,
        .drain_timeout = 600,
        .upgrade_timeout = 300,
        .max_body = 8L << 20,
    };
    int rc = parse(&o, argc, argv);
    if (rc >= 0) {
        return rc;
    }
    struct err e = {0};
    struct passed_sockets passed;
    const int predecessor = handover_inherited();
    if (passed_sockets_receive(&passed, predecessor >= 0, &e) != 0) {
        return cli_fail("serve", &e);
    }
    const bool listens_on_passed = choose_address(&o, &passed);
    uint32_t cpu_mask;
    if (cpu_features_named(o.cpu, &cpu_mask) != 0) {
        fprintf(stderr, "weir serve: --cpu: \"%s\" is not known (see --help)\n", o.cpu);
        return 2;
    }
    enum ops_type kv_type;
    if (kv_cache_type_named(o.kv_type, &kv_type, &e) != 0) {
        cli_fail("serve", &e);
        return 2;
    }
    enum engine_guesses guesses;
    if (guesses_named(o.guess, &guesses) != 0) {
        fprintf(stderr,
                "weir serve: --guess: \"%s\" is not known; auto, never and always are\n",
                o.guess);
        return 2;
    }
    struct server_settings set = {
        .repo_path = o.repo,
        .repo_model = o.repo ? o.model : NULL,
        .keep_generations = (int)o.keep_generations,
        .models_loaded = o.models_loaded,
        .load_on_demand = o.load_on_demand,
        .models_memory = (uint64_t)o.models_memory << 20,
        .unload_idle_s = (uint32_t)o.unload_idle,
        .publish_manually = strcmp(o.publish, "manual") == 0,
        .generation = {.model_path = o.model,
                       .adapters = o.adapters.items,
                       .n_adapters = o.adapters.count,
                       .any_base = o.any_base,
                       .threads = (int)o.threads,
                       .pin = o.pin,
                       .context = (int)o.context,
                       .max_sequences = (int)o.parallel,
                       .max_waiting = (int)o.queue,
                       .max_waiting_tokens = (size_t)o.queue_tokens,
                       .kv_bytes = (size_t)o.kv_memory << 20,
                       .step_ms = (int)o.step_ms,
                       .guesses = guesses,
                       .step_tokens = (int)o.batch,
                       .kv_type = kv_type,
                       .cpu_features = cpu_features() & cpu_mask},
        .command = argv - 1, /* the program's name is before the subcommand's */
        .passed = &passed,
        .listens_on_passed = listens_on_passed,
        .predecessor = predecessor,
        .upgrade_timeout_ms = (uint32_t)o.upgrade_timeout * 1000,
        .pid_file = o.pid_file,
        .host = o.host,
        .port = (uint16_t)o.port,
        .tls_cert_path = o.tls_cert,
        .tls_key_path = o.tls_key,
        .unix_path = o.unix_path,
        .system_prompt_path = o.system_prompt,
        .state_path = o.state,
        .prompts_dir = o.prompts_dir,
        .prompt = o.prompt ? o.prompt : VERSION_DEFAULT_NAME,
        .filters_path = o.filters,
        .version = WEIR_VERSION,
        .filters_dir = o.filters_dir,
        .filters_chain = o.filters_chain ? o.filters_chain : VERSION_DEFAULT_NAME,
        .filters_for = o.filters_for.items,
        .n_filters_for = o.filters_for.count,
        .http = http_server_settings_default(),
        .sampling = SAMPLING_DEFAULT,
        .drain_timeout_ms = (uint32_t)o.drain_timeout * 1000,
        .ping_ms = (uint32_t)o.ping * 1000,
    };
    set.http.body_bytes_max = (size_t)o.max_body;
    set.sampling.temperature = (float)o.temperature;
    if (set_unix_mode(&set, o.unix_mode) != 0 || set_watching(&set, &o) != 0 ||
        set_drift_test(&set, &o) != 0 || set_memory_short(&set, &o) != 0) {
        return 2;
    }
    return complete_and_serve(&set, &o, &e) == 0 ? 0 : cli_fail("serve", &e);
}

#include "runtime/cli/serve_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/registry/version_store.h"
#include "runtime/serve/cors.h"
#include "runtime/serve/model_set.h"
#include "runtime/serve/served_adapters.h"

#define AT(field)    .offset = offsetof(struct serve_options, field)
#define WITH_REPO    "with --repo: "
#define PAIR_PATTERN "^[^=]+=.+$"
#define MANY_ROWS    100000000
#define MANY_DAYS    36500
#define MANY_MIB     (1L << 30)

const char *const serve_words_texts[] = {"none", "found", "all", NULL};
const char *const serve_words_readers[] = {"open", "key", "off", NULL};
const char *const serve_words_feedback[] = {"off", "ids", "texts", NULL};
const char *const serve_words_formats[] = {"text", "json", NULL};
const char *const serve_words_guesses[] = {"auto", "never", "always", NULL};
static const char *const words_kv_types[] = {"f16", "int8", "f32", NULL};
static const char *const words_publish[] = {"auto", "manual", NULL};
static const char *const words_short[] = {"refuse", "drain_first", NULL};
static const char *const words_drift[] = {"on", "off", NULL};
static const char *const words_cpus[] = {"auto",    "ref",        "avx2", "avxvnni",
                                         "avx512",  "avx512vnni", "amx",  "neon",
                                         "dotprod", "i8mm",       NULL};

/* "MODEL=NAME", both with something in them. */
static int check_pair(const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');
    return equals && equals > text && equals[1] != '\0'
               ? 0
               : err_set(e, ERR_INVALID, "MODEL=NAME is wanted, not \"%.60s\"", text);
}

static int check_mode(const char *text, struct err *e)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 4 && strspn(text, "01234567") == len &&
                   strtoul(text, NULL, 8) <= 0777
               ? 0
               : err_set(e, ERR_INVALID, "\"%.20s\" is no mode; 0600 and 0660 are", text);
}

static int append_measures(struct err *e, const char *text)
{
    struct buf names;
    buf_init(&names, 1024);
    for (int i = 0; i < ANSWER_MEASURE_COUNT; i++) {
        buf_printf(&names, "%s%s", i ? ", " : "", answer_measure_name((enum answer_measure)i));
    }
    err_set(e, ERR_INVALID,
            "MEASURE=X or MEASURE=off is wanted, not \"%.60s\"; the measures are %s", text,
            names.data ? names.data : "");
    buf_deinit(&names);
    return -1;
}

int serve_margin_read(const char *text, enum answer_measure *measure, double *margin,
                      struct err *e)
{
    char name[32];
    const char *equals = strchr(text, '=');
    snprintf(name, sizeof(name), "%.*s", equals ? (int)(equals - text) : 0, text);
    int m = answer_measure_named(name);
    if (m < 0) {
        return append_measures(e, text);
    }
    char *end = NULL;
    *measure = (enum answer_measure)m;
    *margin = strtod(equals + 1, &end);
    if (strcmp(equals + 1, "off") == 0) {
        *margin = -1;
        return 0;
    }
    return end == equals + 1 || *end || !(*margin >= 0 && *margin < 1)
               ? err_set(e, ERR_INVALID,
                         "%s: a number from 0 to below 1, or off, is wanted, not \"%.60s\"",
                         name, equals + 1)
               : 0;
}

static int check_margin(const char *text, struct err *e)
{
    enum answer_measure measure;
    double margin;
    return serve_margin_read(text, &measure, &margin, e);
}

static int check_origin(const char *text, struct err *e)
{
    struct cors c = {.n_origins = 0};
    int rc = cors_allow(&c, text, e);
    cors_deinit(&c);
    return rc;
}

static const struct config_setting items[] = {
    {.help = "Settings in a file"},
    {.name = "config",
     .type = OPTION_STRING,
     AT(config),
     .argument = "FILE",
     .path = PATH_FILE,
     .reload = CONFIG_COMMAND,
     .help = "read settings from a file (docs/settings.md); what the command line has counts "
             "before it"},
    {.name = "check_config",
     .type = OPTION_FLAG,
     AT(check_config),
     .reload = CONFIG_COMMAND,
     .help = "say what is wrong with the settings and the files that they name, and end: 0 if "
             "nothing is, 2 otherwise"},
    {.name = "print_schema",
     .type = OPTION_FLAG,
     AT(print_schema),
     .reload = CONFIG_COMMAND,
     .help = "print a JSON Schema of that file, and end"},
    {.name = "print_settings",
     .type = OPTION_FLAG,
     AT(print_settings),
     .reload = CONFIG_COMMAND,
     .help = "print all settings as tables in Markdown, and end"},

    {.help = "Model"},
    {.name = "model",
     .letter = 'm',
     .type = OPTION_STRING,
     AT(model),
     .argument = "FILE",
     .help =
         "the model: a GGUF file, or a folder with safetensors; with --repo the NAME of the "
         "one that requests get which name none"},
    {.name = "adapter",
     .type = OPTION_STRINGS,
     AT(adapters),
     .argument = "NAME=FILE[@SCALE]",
     .pattern = PAIR_PATTERN,
     .check = served_adapters_check,
     .reload = CONFIG_MODEL,
     .help = "serve a LoRA adapter (GGUF) of the model under a name of its own; several times"},
    {.name = "any_base",
     .type = OPTION_FLAG,
     AT(any_base),
     .reload = CONFIG_MODEL,
     .help = "serve adapters that were trained on another file of the model too"},
    {.name = "threads",
     .letter = 't',
     .type = OPTION_INT,
     AT(threads),
     .argument = "N",
     .otherwise = "number of cores",
     .min = 1,
     .max = 256,
     .reload = CONFIG_MODEL,
     .help = "threads that compute"},
    {.name = "pin",
     .type = OPTION_FLAG,
     AT(pin),
     .reload = CONFIG_MODEL,
     .help = "tie each of those threads to a core"},
    {.name = "cpu",
     .type = OPTION_STRING,
     AT(cpu),
     .argument = "NAME",
     .initial = "auto",
     .choices = words_cpus,
     .reload = CONFIG_MODEL,
     .help = "the best instruction set to use"},
    {.name = "context",
     .letter = 'c',
     .type = OPTION_INT,
     AT(context),
     .argument = "N",
     .otherwise = "the model's",
     .min = 16,
     .max = 1 << 20,
     .reload = CONFIG_MODEL,
     .help = "tokens a conversation may have"},
    {.name = "kv_type",
     .type = OPTION_STRING,
     AT(kv_type),
     .argument = "NAME",
     .initial = "f16",
     .choices = words_kv_types,
     .reload = CONFIG_MODEL,
     .help = "how keys and values of running requests are kept; int8 takes half the memory"},
    {.name = "kv_memory",
     .type = OPTION_INT,
     AT(kv_memory),
     .argument = "MIB",
     .otherwise = "what --parallel can use, at most a quarter of all",
     .min = 1,
     .max = MANY_MIB,
     .reload = CONFIG_MODEL,
     .help = "memory for keys and values"},

    {.help = "Repository of models"},
    {.name = "repo",
     .type = OPTION_STRING,
     AT(repo),
     .argument = "DIR",
     .path = PATH_FOLDER,
     .help =
         "serve models and their versions, DIR/NAME/VERSION/, and watch for others; --model "
         "may be left out if there is one alone"},
    {.name = "keep_generations",
     .type = OPTION_INT,
     AT(keep_generations),
     .argument = "N",
     .initial = "1",
     .max = MODEL_SET_KEPT_MAX,
     .reload = CONFIG_LIVE,
     .help = WITH_REPO "versions of a model that stay loaded behind the one that serves, for "
                       "rollbacks and requests that name them"},
    {.name = "publish",
     .type = OPTION_STRING,
     AT(publish),
     .argument = "HOW",
     .initial = "auto",
     .choices = words_publish,
     .reload = CONFIG_LIVE,
     .help = WITH_REPO "versions that appear serve at once if they are newer, or when an admin "
                       "says so"},
    {.name = "models_loaded",
     .type = OPTION_STRING,
     AT(models_loaded),
     .argument = "WHICH",
     .initial = "default",
     .help = WITH_REPO "models that are loaded at the start: default, all, or names with "
                       "commas, beside the default"},
    {.name = "load_on_demand",
     .type = OPTION_FLAG,
     AT(load_on_demand),
     .reload = CONFIG_LIVE,
     .help = WITH_REPO "load models and versions when a request names them; it waits"},
    {.name = "models_memory",
     .type = OPTION_INT,
     AT(models_memory),
     .argument = "MIB",
     .otherwise = "what the machine has",
     .min = 1,
     .max = MANY_MIB,
     .reload = CONFIG_LIVE,
     .help = WITH_REPO "memory for all versions that are loaded, weights, keys and values; "
                       "others that are idle make room"},
    {.name = "when_memory_short",
     .type = OPTION_STRING,
     AT(when_memory_short),
     .argument = "WHAT",
     .initial = "refuse",
     .choices = words_short,
     .reload = CONFIG_LIVE,
     .help = WITH_REPO "what becomes of a new version that does not fit beside the one that "
                       "serves; with drain_first it is loaded after that one, and requests "
                       "wait"},
    {.name = "unload_idle",
     .type = OPTION_INT,
     AT(unload_idle),
     .argument = "S",
     .initial = "0",
     .max = 31536000,
     .reload = CONFIG_LIVE,
     .help = WITH_REPO "seconds after which a model that nobody uses is unloaded, but the "
                       "default; 0 for never"},

    {.help = "Listening"},
    {.name = "host",
     .type = OPTION_STRING,
     AT(host),
     .argument = "ADDRESS",
     .otherwise = "127.0.0.1",
     .help = "address to listen on"},
    {.name = "port",
     .letter = 'p',
     .type = OPTION_INT,
     AT(port),
     .argument = "N",
     .otherwise = "8080",
     .max = 65535,
     .help = "port, 0 for any free one"},
    {.name = "unix",
     .type = OPTION_STRING,
     AT(unix_path),
     .argument = "PATH",
     .help = "listen on a unix socket; alone unless --host or --port is given too"},
    {.name = "unix_mode",
     .type = OPTION_STRING,
     AT(unix_mode),
     .argument = "OCTAL",
     .initial = "0600",
     .pattern = "^0?[0-7]{1,3}$",
     .check = check_mode,
     .help = "who may connect there, as a file's mode"},
    {.name = "tls_cert",
     .type = OPTION_STRING,
     AT(tls_cert),
     .argument = "FILE",
     .path = PATH_FILE,
     .help = "serve HTTPS on --port: certificate and its issuers, PEM; read again when it "
             "changes"},
    {.name = "tls_key",
     .type = OPTION_STRING,
     AT(tls_key),
     .argument = "FILE",
     .path = PATH_FILE,
     .help = "the certificate's key, PEM"},
    {.name = "allow_host",
     .type = OPTION_STRINGS,
     AT(allow_hosts),
     .argument = "NAME",
     .help = "a further name that a server on a loopback address answers to; several times"},
    {.name = "cors_origin",
     .type = OPTION_STRINGS,
     AT(cors_origins),
     .argument = "ORIGIN",
     .check = check_origin,
     .reload = CONFIG_LIVE,
     .help = "pages of this origin may call (https://example.org); several times, or with "
             "commas; * for all"},

    {.help = "Keys"},
    {.name = "api_key",
     .type = OPTION_STRING,
     AT(api_key),
     .argument = "KEY",
     .environment = "WEIR_API_KEY",
     .is_secret = true,
     .help = "key that clients must send"},
    {.name = "api_key_file",
     .type = OPTION_STRING,
     AT(api_key_file),
     .argument = "FILE",
     .path = PATH_FILE,
     .help = "such keys, with scopes and limits (weir keys); their owners take turns and share "
             "no cache"},
    {.name = "admin_key",
     .type = OPTION_STRING,
     AT(admin_key),
     .argument = "KEY",
     .otherwise = "made and shown",
     .environment = "WEIR_ADMIN_KEY",
     .is_secret = true,
     .help = "key of the admin routes"},
    {.name = "admin_key_file",
     .type = OPTION_STRING,
     AT(admin_key_file),
     .argument = "FILE",
     .path = PATH_FILE,
     .help = "a file with that key, or its hash"},

    {.help = "System prompts"},
    {.name = "system_prompt",
     .letter = 's',
     .type = OPTION_STRING,
     AT(system_prompt),
     .argument = "FILE",
     .path = PATH_FILE,
     .help = "text put before every conversation: the first version of the default prompt"},
    {.name = "prompt",
     .type = OPTION_STRING,
     AT(prompt),
     .argument = "NAME",
     .initial = VERSION_DEFAULT_NAME,
     .reload = CONFIG_LIVE,
     .help = "the prompt that requests get, unless their key has another"},
    {.name = "prompts_dir",
     .type = OPTION_STRING,
     AT(prompts_dir),
     .argument = "DIR",
     .path = PATH_FOLDER,
     .help = "watch a folder: NAME.md is the active version of the prompt NAME"},

    {.help = "Filters"},
    {.name = "filters",
     .type = OPTION_STRING,
     AT(filters),
     .argument = "FILE",
     .path = PATH_FILE,
     .help = "filter chain, JSON (docs/filters.md): \"default\" until that has a version; "
             "watched"},
    {.name = "filters_dir",
     .type = OPTION_STRING,
     AT(filters_dir),
     .argument = "DIR",
     .path = PATH_FOLDER,
     .help = "watch a folder: NAME.json is the active version of the filter chain NAME"},
    {.name = "filters_chain",
     .type = OPTION_STRING,
     AT(filters_chain),
     .argument = "NAME",
     .initial = VERSION_DEFAULT_NAME,
     .reload = CONFIG_LIVE,
     .help = "the chain that requests pass, unless their key or model has another"},
    {.name = "filters_for",
     .type = OPTION_STRINGS,
     AT(filters_for),
     .argument = "MODEL=NAME",
     .pattern = PAIR_PATTERN,
     .check = check_pair,
     .reload = CONFIG_LIVE,
     .help = "the chain that requests of a model pass, unless their key has another; several "
             "times"},

    {.help = "Requests"},
    {.name = "parallel",
     .type = OPTION_INT,
     AT(parallel),
     .argument = "N",
     .initial = "16",
     .min = 1,
     .max = 1024,
     .reload = CONFIG_MODEL,
     .help = "requests that run together"},
    {.name = "queue",
     .type = OPTION_INT,
     AT(queue),
     .argument = "N",
     .initial = "256",
     .max = 100000,
     .reload = CONFIG_MODEL,
     .help = "requests that wait beyond those"},
    {.name = "queue_tokens",
     .type = OPTION_INT,
     AT(queue_tokens),
     .argument = "N",
     .initial = "0",
     .max = 1L << 40,
     .reload = CONFIG_MODEL,
     .help = "tokens of the prompts that wait, together; 0 for any number"},
    {.name = "batch",
     .type = OPTION_INT,
     AT(batch),
     .argument = "N",
     .initial = "256",
     .min = 1,
     .max = 8192,
     .reload = CONFIG_MODEL,
     .help = "tokens of one step at the most"},
    {.name = "step_ms",
     .type = OPTION_INT,
     AT(step_ms),
     .argument = "MS",
     .initial = "150",
     .max = 60000,
     .reload = CONFIG_MODEL,
     .help = "what a step shall take while answers run: prompts are read beside them in pieces "
             "of that size; 0 for --batch alone"},
    {.name = "guess",
     .type = OPTION_STRING,
     AT(guess),
     .argument = "WHEN",
     .initial = "auto",
     .choices = serve_words_guesses,
     .reload = CONFIG_MODEL,
     .help = "guess tokens from the text so far, which changes no answer"},
    {.name = "temperature",
     .type = OPTION_DOUBLE,
     AT(temperature),
     .argument = "T",
     .initial = "0.8",
     .max = 2,
     .reload = CONFIG_LIVE,
     .help = "for requests that give none; 0 is greedy"},
    {.name = "ping",
     .type = OPTION_INT,
     AT(ping),
     .argument = "S",
     .initial = "5",
     .max = 3600,
     .reload = CONFIG_LIVE,
     .help = "seconds after which a quiet stream gets a comment, 0 for never"},
    {.name = "max_body",
     .type = OPTION_INT,
     AT(max_body),
     .argument = "BYTES",
     .initial = "8388608",
     .otherwise = "8388608, 8 MiB",
     .min = 1024,
     .max = 1L << 30,
     .help = "request bodies larger are refused"},

    {.help = "Watching"},
    {.name = "metrics",
     .type = OPTION_STRING,
     AT(metrics),
     .argument = "WHO",
     .initial = "open",
     .choices = serve_words_readers,
     .reload = CONFIG_LIVE,
     .help = "whom GET /metrics is for: anybody, API keys with the scope metrics, or nobody"},
    {.name = "otlp_endpoint",
     .type = OPTION_STRING,
     AT(otlp_endpoint),
     .argument = "URL",
     .environment = "OTEL_EXPORTER_OTLP_ENDPOINT",
     .help = "tell a collector there what requests did: OTLP/HTTP with JSON, to URL/v1/traces"},
    {.name = "trace_share",
     .type = OPTION_DOUBLE,
     AT(trace_share),
     .argument = "R",
     .initial = "1",
     .max = 1,
     .help = "the share of requests without a traceparent of which it is told"},
    {.name = "log_format",
     .type = OPTION_STRING,
     AT(log_format),
     .argument = "FORMAT",
     .initial = "text",
     .choices = serve_words_formats,
     .reload = CONFIG_LIVE,
     .help = "lines of the log as text, or each as a JSON object"},
    {.name = "log_requests",
     .type = OPTION_FLAG,
     AT(log_requests),
     .reload = CONFIG_LIVE,
     .help =
         "a line for each request that is over: ids, route, status, model, times, tokens; no "
         "content"},
    {.name = "findings",
     .type = OPTION_STRING,
     AT(findings),
     .argument = "FILE",
     .otherwise = "STATE.findings beside --state, else in memory",
     .help = "keep what filters found there"},
    {.name = "findings_rows",
     .type = OPTION_INT,
     AT(findings_rows),
     .argument = "N",
     .initial = "100000",
     .min = 1,
     .max = MANY_ROWS,
     .help = "so many of the newest findings are kept"},
    {.name = "findings_days",
     .type = OPTION_INT,
     AT(findings_days),
     .argument = "N",
     .initial = "30",
     .min = 1,
     .max = MANY_DAYS,
     .help = "findings and texts are kept so long"},
    {.name = "filter_log_text",
     .type = OPTION_STRING,
     AT(filter_log_text),
     .argument = "WHICH",
     .initial = "none",
     .choices = serve_words_texts,
     .help = "which texts that filters saw are kept; found: in which they found something"},
    {.name = "feedback",
     .type = OPTION_STRING,
     AT(feedback),
     .argument = "WHAT",
     .initial = "off",
     .choices = serve_words_feedback,
     .help = "POST /v1/feedback; with ids answers are known by id and no content is kept"},
    {.name = "feedback_file",
     .type = OPTION_STRING,
     AT(feedback_file),
     .argument = "FILE",
     .otherwise = "STATE.feedback beside --state, else in memory",
     .help = "where it is kept"},
    {.name = "feedback_rows",
     .type = OPTION_INT,
     AT(feedback_rows),
     .argument = "N",
     .initial = "100000",
     .min = 1,
     .max = MANY_ROWS,
     .help = "so much of the newest feedback is kept"},
    {.name = "feedback_days",
     .type = OPTION_INT,
     AT(feedback_days),
     .argument = "N",
     .initial = "365",
     .min = 1,
     .max = MANY_DAYS,
     .help = "and so long"},
    {.name = "feedback_answers",
     .type = OPTION_INT,
     AT(feedback_answers),
     .argument = "N",
     .initial = "10000",
     .min = 1,
     .max = 1000000,
     .help = "so many of the newest answers can be spoken of"},

    {.help = "Drift"},
    {.name = "drift",
     .type = OPTION_STRING,
     AT(drift),
     .argument = "WHAT",
     .initial = "on",
     .choices = words_drift,
     .help = "watch whether answers stay as they were"},
    {.name = "drift_file",
     .type = OPTION_STRING,
     AT(drift_file),
     .argument = "FILE",
     .otherwise = "STATE.drift beside --state, else in memory",
     .help = "where baselines and alerts are kept"},
    {.name = "drift_baseline",
     .type = OPTION_INT,
     AT(drift_baseline),
     .argument = "N",
     .initial = "1000",
     .min = 100,
     .max = 1000000,
     .help = "the first N answers of a version with a prompt are its baseline"},
    {.name = "drift_window",
     .type = OPTION_INT,
     AT(drift_window),
     .argument = "N",
     .initial = "250",
     .min = 50,
     .max = 1000000,
     .help = "so many answers are held against it at a time, and 2, 4 and 8 times as many"},
    {.name = "drift_alpha",
     .type = OPTION_DOUBLE,
     AT(drift_alpha),
     .argument = "P",
     .initial = "0.01",
     .otherwise = "0.01; above 0, at most 0.5",
     .help = "the probability of a false alert, in all the time that a version serves"},
    {.name = "drift_margin",
     .type = OPTION_STRINGS,
     AT(drift_margins),
     .argument = "MEASURE=X",
     .otherwise = "answer_tokens=0.1, entropy=0.1, refusal_rate=0.05, block_rate=0.02, "
                  "feedback_rate=0.05, dislike_rate=0.1",
     .pattern = PAIR_PATTERN,
     .check = check_margin,
     .help = "differences up to X are no drift, off: it is not looked at; several times"},

    {.help = "Process"},
    {.name = "state",
     .type = OPTION_STRING,
     AT(state),
     .argument = "FILE",
     .otherwise = "in memory alone",
     .help = "keep prompts, filter chains, which versions of models serve, and the history of "
             "all that there"},
    {.name = "pid_file",
     .type = OPTION_STRING,
     AT(pid_file),
     .argument = "FILE",
     .help = "write the number of the process that serves there"},
    {.name = "drain_timeout",
     .type = OPTION_INT,
     AT(drain_timeout),
     .argument = "S",
     .initial = "600",
     .max = 86400,
     .reload = CONFIG_LIVE,
     .help = "seconds that running requests may take after SIGTERM"},
    {.name = "upgrade_timeout",
     .type = OPTION_INT,
     AT(upgrade_timeout),
     .argument = "S",
     .initial = "300",
     .min = 1,
     .max = 86400,
     .reload = CONFIG_LIVE,
     .help =
         "seconds that a new process may take to be ready after SIGUSR2, before it is given "
         "up"},
};

const struct config_table serve_settings = {
    .command = "weir serve",
    .usage = "weir serve --model FILE.gguf | --repo DIR | --config FILE [options]",
    .summary =
        "Serves a model over HTTP: POST /v1/chat/completions, a chat page on /, admin routes.\n"
        "SIGHUP reads settings, model, certificate, key file and watched files anew; SIGUSR2 "
        "starts the program anew in this one's place, and no request is lost; SIGTERM finishes "
        "and ends.",
    .items = items,
    .count = sizeof(items) / sizeof(items[0]),
};

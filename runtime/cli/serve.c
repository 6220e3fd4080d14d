#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "quant/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"
#include "runtime/serve/server.h"

struct serve_options {
    const char *model;
    const char *host;
    long port;
    const char *system_prompt;
    const char *filters;
    const char *api_key;
    const char *api_key_file;
    const char *admin_key;
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
    long max_body;
};

static int parse(struct serve_options *o, int argc, char **argv)
{
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &o->model, "FILE",
         "the model: a GGUF file, or a folder with safetensors", 0, 0},
        {"host", 0, OPTION_STRING, &o->host, "ADDRESS", "address to listen on (127.0.0.1)", 0,
         0},
        {"port", 'p', OPTION_INT, &o->port, "N", "port, 0 for any free one (8080)", 0, 65535},
        {"system-prompt", 's', OPTION_STRING, &o->system_prompt, "FILE",
         "text put before every conversation", 0, 0},
        {"filters", 0, OPTION_STRING, &o->filters, "FILE",
         "filter chain, JSON (docs/filters.md)", 0, 0},
        {"api-key", 0, OPTION_STRING, &o->api_key, "KEY",
         "key that clients must send (WEIR_API_KEY)", 0, 0},
        {"api-key-file", 0, OPTION_STRING, &o->api_key_file, "FILE",
         "such keys, one a line; their owners take turns and share no cache", 0, 0},
        {"admin-key", 0, OPTION_STRING, &o->admin_key, "KEY",
         "key of the admin routes (WEIR_ADMIN_KEY; made and shown if not given)", 0, 0},
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
         "keys and values of running requests as f16, or as int8 in half the memory (f16)", 0,
         0},
        {"temperature", 0, OPTION_DOUBLE, &o->temperature, "T",
         "for requests that give none (0.8; 0 is greedy)", 0, 0},
        {"cpu", 0, OPTION_STRING, &o->cpu, "NAME",
         "the best instruction set to use: auto, ref, avx2, avxvnni, avx512vnni, amx; on Arm "
         "neon, dotprod, i8mm (auto)",
         0, 0},
        {"drain-timeout", 0, OPTION_INT, &o->drain_timeout, "S",
         "seconds that running requests may take after SIGTERM (600)", 0, 86400},
        {"max-body", 0, OPTION_INT, &o->max_body, "BYTES",
         "request bodies larger are refused (8 MiB)", 1024, 1L << 30},
        {0},
    };
    const struct options options = {
        "weir serve --model FILE.gguf [options]",
        "Serves a model over HTTP: POST /v1/chat/completions, a chat page on /, admin routes.\n"
        "SIGHUP loads the model file anew while the old one serves; SIGTERM finishes and ends.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional > 0 || !o->model) {
        fprintf(stderr, "weir serve: %s\nusage: %s\n",
                o->model ? "there is one argument too many" : "--model FILE is needed",
                options.usage);
        return 2;
    }
    if (o->temperature < 0.0 || o->temperature > 2.0) {
        fprintf(stderr, "weir serve: --temperature: 0 to 2 are allowed\n");
        return 2;
    }
    return -1;
}

static int set_admin_key(char out[ACCESS_KEY_MAX], const char *option, struct err *e)
{
    const char *key = option ? option : getenv("WEIR_ADMIN_KEY");
    if (!key) {
        return 0;
    }
    if (strlen(key) >= ACCESS_KEY_MAX || key[0] == '\0') {
        return err_set(e, ERR_INVALID, "--admin-key or WEIR_ADMIN_KEY: a key has 1 to %d bytes",
                       ACCESS_KEY_MAX - 1);
    }
    snprintf(out, ACCESS_KEY_MAX, "%s", key);
    return 0;
}

static int set_access(struct access *a, const struct serve_options *o, struct err *e)
{
    const char *api_key = o->api_key ? o->api_key : getenv("WEIR_API_KEY");
    if (api_key && access_add_key(a, api_key, strlen(api_key), e) != 0) {
        return err_prefix(e, "--api-key or WEIR_API_KEY");
    }
    if (o->api_key_file && access_add_key_file(a, o->api_key_file, e) != 0) {
        return -1;
    }
    if (set_admin_key(a->admin_key, o->admin_key, e) != 0) {
        return -1;
    }
    a->loopback_only = access_host_is_loopback(o->host);
    if (a->admin_key[0] == '\0') {
        if (access_generate_key(a->admin_key, e) != 0) {
            return -1;
        }
        fprintf(stderr, "admin key (made for this run, set --admin-key to choose one): %s\n",
                a->admin_key);
    }
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

/* A common soft limit of 1,024 open files would be a limit of connections. */
static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int cli_serve(int argc, char **argv)
{
    struct serve_options o = {
        .host = "127.0.0.1",
        .port = 8080,
        .cpu = "auto",
        .threads = local_core_count(),
        .parallel = 16,
        .queue = 256,
        .batch = 256,
        .step_ms = 150,
        .guess = "auto",
        .ping = 5,
        .temperature = 0.8,
        .drain_timeout = 600,
        .max_body = 8L << 20,
    };
    int rc = parse(&o, argc, argv);
    if (rc >= 0) {
        return rc;
    }
    struct err e = {0};
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
        .generation = {.model_path = o.model,
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
        .host = o.host,
        .port = (uint16_t)o.port,
        .system_prompt_path = o.system_prompt,
        .filters_path = o.filters,
        .http = http_server_settings_default(),
        .sampling = SAMPLING_DEFAULT,
        .drain_timeout_ms = (uint32_t)o.drain_timeout * 1000,
        .ping_ms = (uint32_t)o.ping * 1000,
    };
    set.http.body_bytes_max = (size_t)o.max_body;
    set.sampling.temperature = (float)o.temperature;
    if (set_access(&set.access, &o, &e) != 0) {
        return cli_fail("serve", &e);
    }
    struct server *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(&e);
        return cli_fail("serve", &e);
    }
    raise_open_files();
    rc = server_run(s, &set, &e);
    access_deinit(&set.access);
    mem_free(s);
    return rc == 0 ? 0 : cli_fail("serve", &e);
}

#include "runtime/cli/serve_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filters/chain.h"
#include "quant/cpu.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/net/tls.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/live_settings.h"

/* Of all texts that filters saw and that are kept. */
#define FINDING_FILE_BYTES   ((uint64_t)1 << 30)
#define FINDING_MEMORY_BYTES ((uint64_t)64 << 20)

#define MS_OF_DAY ((int64_t)24 * 3600 * 1000)

/* --- reading --- */

/* What OpenTelemetry's own programs read from the environment. */
static struct span_settings spans_of(const struct serve_options *o)
{
    const char *service = getenv("OTEL_SERVICE_NAME");
    return (struct span_settings){
        .endpoint = o->otlp_endpoint && o->otlp_endpoint[0] ? o->otlp_endpoint : NULL,
        .headers = getenv("OTEL_EXPORTER_OTLP_HEADERS"),
        .service = service && service[0] ? service : "weir",
        .version = WEIR_VERSION,
        .share = o->trace_share,
    };
}

/* What each setting for itself cannot say. */
static void check_together(struct config *s, const struct serve_options *o)
{
    if (!o->model && !o->repo) {
        config_mistake(s, "model", "a model is needed: --model FILE or --repo DIR");
    }
    if (!o->tls_cert != !o->tls_key) {
        config_mistake(s, o->tls_cert ? "tls_cert" : "tls_key",
                       "tls_cert and tls_key go together");
    }
    if (o->adapters.count > 0 && o->repo) {
        config_mistake(s, "adapter",
                       "is for --model FILE; in a repository \"adapters\" in the version's "
                       "model.json names them");
    }
    if (o->any_base && o->adapters.count == 0) {
        config_mistake(s, "any_base",
                       "goes with --adapter; in a repository \"any_base\": true in the "
                       "version's model.json says so");
    }
    const struct span_settings spans = spans_of(o);
    struct err e = {0};
    if (span_settings_check(&spans, &e) != 0) {
        config_mistake(s, "otlp_endpoint", "%s", e.message);
    }
    if (!(o->drift_alpha > 0 && o->drift_alpha <= 0.5)) {
        config_mistake(s, "drift_alpha", "above 0 and up to 0.5 is allowed, not %g",
                       o->drift_alpha);
    }
    if (strcmp(o->metrics, "key") == 0 && !o->api_key && !o->api_key_file) {
        config_mistake(s, "metrics", "\"key\" needs an API key, and none is set");
    }
}

/* What all of a fleet shall have has one source. */
static void check_fleet(struct config *s, const struct serve_options *o)
{
    if (!o->etcd.fleet != !o->etcd.endpoints) {
        config_mistake(s, o->etcd.fleet ? "fleet" : "etcd", "--fleet and --etcd go together");
    }
    if (!o->etcd.fleet) {
        return;
    }
    if (o->prompts_dir) {
        config_mistake(
            s, "prompts_dir",
            "does not go with --fleet, where etcd says what is active: weir ctl fleet "
            "prompt NAME FILE puts a file there");
    }
    if (o->filters_dir) {
        config_mistake(
            s, "filters_dir",
            "does not go with --fleet, where etcd says what is active: weir ctl fleet "
            "filters NAME FILE puts a file there");
    }
    if (o->repo && strcmp(o->publish, "manual") != 0) {
        config_mistake(s, "publish",
                       "--fleet with --repo needs --publish manual: which version serves is "
                       "decided for all by weir ctl fleet model");
    }
}

int serve_config_read(struct serve_config *c, int argc, char **argv, struct err *e)
{
    int positional = 0;
    struct config *s = &c->settings;
    *c = (struct serve_config){.o = {.port = -1}};
    int rc = config_init(s, &serve_settings, &c->o, e);
    rc = rc == 0 ? config_parse(s, argc, argv, &positional, e) : rc;
    if (rc != 0) {
        return rc;
    }
    if (positional > 0) {
        return err_set(e, ERR_INVALID, "there is one argument too many: %.100s", argv[1]);
    }
    if (c->o.print_schema || c->o.print_settings) {
        return 0;
    }
    config_read_environment(s);
    if (c->o.config) {
        config_read_file(s, c->o.config);
    }
    check_together(s, &c->o);
    check_fleet(s, &c->o);
    return s->n_mistakes > 0 ? -2 : 0;
}

void serve_config_deinit(struct serve_config *c)
{
    cors_deinit(&c->set.cors);
    mem_free(c->findings_path);
    mem_free(c->feedback_path);
    mem_free(c->drift_path);
    config_deinit(&c->settings);
}

void serve_config_tell(const struct serve_config *c, void (*tell)(const char *mistake))
{
    const char *line = c->settings.mistakes.data;
    for (const char *end; line && (end = strchr(line, '\n')); line = end + 1) {
        char text[1024];
        snprintf(text, sizeof(text), "%.*s", (int)(end - line), line);
        tell(text);
    }
}

const char *serve_config_warning(const struct serve_config *c)
{
    struct stat found;
    bool has_key = config_source(&c->settings, "api_key") == FROM_FILE ||
                   config_source(&c->settings, "admin_key") == FROM_FILE;
    return has_key && stat(c->settings.path, &found) == 0 && (found.st_mode & 077) != 0
               ? "a key is in the file of settings, and other users may open that: chmod 600, "
                 "or api_key_file and admin_key_file"
               : NULL;
}

/* --- as the server takes them --- */

/* The place of a word that is there. */
static int place_of(const char *word, const char *const *words)
{
    int i = 0;
    while (strcmp(words[i], word) != 0) {
        i++;
    }
    return i;
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

static int set_kept(struct serve_config *c, struct err *e)
{
    const struct serve_options *o = &c->o;
    if (name_beside_state(o, ".feedback", &c->feedback_path, e) != 0 ||
        name_beside_state(o, ".findings", &c->findings_path, e) != 0) {
        return -1;
    }
    c->set.feedback = (struct feedback_settings){
        .path = o->feedback_file ? o->feedback_file : c->feedback_path,
        .keeping = (enum feedback_keeping)place_of(o->feedback, serve_words_feedback),
        .answers = (size_t)o->feedback_answers,
        .limits = {.rows = (uint64_t)o->feedback_rows, .age_ms = o->feedback_days * MS_OF_DAY}};
    const char *findings = o->findings ? o->findings : c->findings_path;
    c->set.findings = (struct finding_settings){
        .path = findings,
        .texts = (enum finding_texts)place_of(o->filter_log_text, serve_words_texts),
        .limits = {.rows = (uint64_t)o->findings_rows,
                   .age_ms = o->findings_days * MS_OF_DAY,
                   .text_bytes = findings ? FINDING_FILE_BYTES : FINDING_MEMORY_BYTES}};
    return 0;
}

static int set_drift(struct serve_config *c, struct err *e)
{
    const struct serve_options *o = &c->o;
    struct drift_settings *test = &c->set.drift.test;
    if (name_beside_state(o, ".drift", &c->drift_path, e) != 0) {
        return -1;
    }
    c->set.drift.path = o->drift_file ? o->drift_file : c->drift_path;
    c->set.drift.is_off = strcmp(o->drift, "off") == 0;
    *test = drift_settings_default();
    test->window = (uint32_t)o->drift_window;
    test->baseline = (uint32_t)o->drift_baseline;
    test->alpha = o->drift_alpha;
    for (size_t i = 0; i < o->drift_margins.count; i++) {
        enum answer_measure measure;
        double margin;
        if (serve_margin_read(o->drift_margins.items[i], &measure, &margin, e) != 0) {
            return -1;
        }
        test->margins[measure] = margin;
    }
    return 0;
}

static int set_origins(struct serve_config *c, struct err *e)
{
    for (size_t i = 0; i < c->o.cors_origins.count; i++) {
        if (cors_allow(&c->set.cors, c->o.cors_origins.items[i], e) != 0) {
            return err_prefix(e, "--cors-origin");
        }
    }
    return 0;
}

static int set_generation(struct serve_config *c, struct err *e)
{
    const struct serve_options *o = &c->o;
    uint32_t cpu_mask = 0;
    enum ops_type kv_type = OPS_F16;
    cpu_features_named(o->cpu, &cpu_mask);
    if (kv_cache_type_named(o->kv_type, &kv_type, e) != 0 ||
        cli_ranks_check_pin(c->ranks, o->pin, e) != 0) {
        return -1;
    }
    c->set.generation = (struct generation_settings){
        .model_path = o->model,
        .adapters = o->adapters.items,
        .n_adapters = o->adapters.count,
        .any_base = o->any_base,
        .threads = cli_ranks_threads(c->ranks, o->threads),
        .pin = o->pin,
        .context = (int)o->context,
        .max_sequences = (int)o->parallel,
        .max_waiting = (int)o->queue,
        .max_waiting_tokens = (size_t)o->queue_tokens,
        .kv_bytes = (size_t)o->kv_memory << 20,
        .step_ms = (int)o->step_ms,
        .guesses = (enum engine_guesses)place_of(o->guess, serve_words_guesses),
        .step_tokens = (int)o->batch,
        .kv_type = kv_type,
        .cpu_features = cpu_features() & cpu_mask};
    return 0;
}

int serve_config_build(struct serve_config *c, struct err *e)
{
    const struct serve_options *o = &c->o;
    c->set = (struct server_settings){
        .repo_path = o->repo,
        .repo_model = o->repo ? o->model : NULL,
        .keep_generations = (int)o->keep_generations,
        .models_loaded = o->models_loaded,
        .load_on_demand = o->load_on_demand,
        .models_memory = (uint64_t)o->models_memory << 20,
        .drain_first = strcmp(o->when_memory_short, "drain_first") == 0,
        .unload_idle_s = (uint32_t)o->unload_idle,
        .publish_manually = strcmp(o->publish, "manual") == 0,
        .predecessor = -1,
        .upgrade_timeout_ms = (uint32_t)o->upgrade_timeout * 1000,
        .pid_file = o->pid_file,
        .tls_cert_path = o->tls_cert,
        .tls_key_path = o->tls_key,
        .unix_path = o->unix_path,
        .unix_mode = (unsigned)strtoul(o->unix_mode, NULL, 8),
        .system_prompt_path = o->system_prompt,
        .state_path = o->state,
        .prompts_dir = o->prompts_dir,
        .prompt = o->prompt,
        .filters_path = o->filters,
        .version = WEIR_VERSION,
        .fleet = {.id = o->fleet_id, .waits = strcmp(o->fleet_start, "wait") == 0},
        .filters_dir = o->filters_dir,
        .filters_chain = o->filters_chain,
        .filters_for = o->filters_for.items,
        .n_filters_for = o->filters_for.count,
        .metrics = (enum metrics_readers)place_of(o->metrics, serve_words_readers),
        .http = http_server_settings_default(),
        .sampling = SAMPLING_DEFAULT,
        .drain_timeout_ms = (uint32_t)o->drain_timeout * 1000,
        .ping_ms = (uint32_t)o->ping * 1000,
    };
    c->set.log_requests = o->log_requests;
    c->set.late_streams = strcmp(o->stream_begin, "text") == 0;
    c->set.spans = spans_of(o);
    c->set.http.body_bytes_max = (size_t)o->max_body;
    c->set.sampling.temperature = (float)o->temperature;
    return set_origins(c, e) == 0 && set_generation(c, e) == 0 && set_drift(c, e) == 0
               ? set_kept(c, e)
               : -1;
}

/* --- keys --- */

/* The key, its file, or else one that is made and shown, once for all processes that follow
 * each other. */
static int set_admin_key(struct serve_config *c, struct err *e)
{
    struct access *a = &c->set.access;
    const char *made = c->set.predecessor >= 0 ? getenv(HANDOVER_KEY_VARIABLE) : NULL;
    char shown[KEY_MADE_LEN + 1];
    if (c->o.admin_key_file) {
        return access_set_admin_key_file(a, c->o.admin_key_file, e);
    }
    if (c->o.admin_key) {
        return access_set_admin_key(a, c->o.admin_key, e) == 0
                   ? 0
                   : err_prefix(e, "--admin-key or WEIR_ADMIN_KEY");
    }
    c->set.admin_key_is_made = true;
    if (made) {
        return access_set_admin_sha256(a, made, e);
    }
    if (access_make_admin_key(a, shown, e) != 0) {
        return -1;
    }
    if (strcmp(c->o.log_format, "json") == 0) {
        log_warn("no admin key is set, and logs do not show the one that was made: nobody can "
                 "use the admin routes; --admin-key-file sets one");
        return 0;
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

int serve_config_set_access(struct serve_config *c, struct err *e)
{
    const struct serve_options *o = &c->o;
    struct access *a = &c->set.access;
    if (access_init(a, e) != 0 || set_admin_key(c, e) != 0) {
        return -1;
    }
    if (o->api_key && access_add_key(a, o->api_key, strlen(o->api_key), e) != 0) {
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
    a->loopback_only = is_on_loopback(&c->set);
    return 0;
}

/* --- checks for --check-config --- */

/* As serve_config_set_access does, without a key that is made. */
static void check_keys(struct serve_config *c)
{
    const struct serve_options *o = &c->o;
    struct config *s = &c->settings;
    struct access a = {0};
    struct err e = {0};
    if (access_init(&a, &e) != 0) {
        config_mistake(s, "api_key", "%s", e.message);
        return;
    }
    if (o->api_key && access_add_key(&a, o->api_key, strlen(o->api_key), &e) != 0) {
        config_mistake(s, "api_key", "%s", e.message);
    }
    if (o->admin_key && access_set_admin_key(&a, o->admin_key, &e) != 0) {
        config_mistake(s, "admin_key", "%s", e.message);
    }
    if (o->api_key_file && access(o->api_key_file, R_OK) == 0 &&
        access_add_key_file(&a, o->api_key_file, &e) != 0) {
        config_mistake(s, "api_key_file", "%s", e.message);
    }
    if (o->admin_key_file && access(o->admin_key_file, R_OK) == 0 &&
        access_set_admin_key_file(&a, o->admin_key_file, &e) != 0) {
        config_mistake(s, "admin_key_file", "%s", e.message);
    }
    for (size_t i = 0; i < o->allow_hosts.count; i++) {
        if (access_allow_host(&a, o->allow_hosts.items[i], &e) != 0) {
            config_mistake(s, "allow_host", "%s", e.message);
        }
    }
    access_deinit(&a);
}

/* A chain that cannot be made, a certificate that cannot serve. What is not there has been told
 * already. */
static void check_contents(struct serve_config *c)
{
    const struct serve_options *o = &c->o;
    struct err e = {0};
    if (o->filters && strcmp(o->filters, "-") != 0 && access(o->filters, R_OK) == 0) {
        struct chain *chain = chain_from_file(o->filters, &e);
        if (!chain) {
            config_mistake(&c->settings, "filters", "%s", e.message);
        }
        chain_unref(chain);
    }
    if (o->tls_cert && o->tls_key && access(o->tls_cert, R_OK) == 0 &&
        access(o->tls_key, R_OK) == 0) {
        struct tls_context *tls = tls_context_create(o->tls_cert, o->tls_key, &e);
        if (!tls) {
            config_mistake(&c->settings, "tls_cert", "%s", e.message);
        }
        tls_context_destroy(tls);
    }
}

void serve_config_check_files(struct serve_config *c)
{
    config_check_paths(&c->settings);
    check_contents(c);
    if (!c->o.repo && c->o.model && access(c->o.model, R_OK) != 0) {
        config_mistake(&c->settings, "model", "%s: it is not there, or may not be read",
                       c->o.model);
    }
    check_keys(c);
}

/* --- reading anew --- */

void serve_config_set_log(const struct serve_config *c)
{
    log_set_format((enum log_format)place_of(c->o.log_format, serve_words_formats));
}

static void log_mistake(const char *mistake)
{
    log_error("settings: %s", mistake);
}

/* What changed from `old` on, and when it counts. True if that is before the next start. */
static bool tell_change(const struct serve_config *old, const struct serve_config *fresh,
                        size_t index)
{
    const struct config_setting *set = &serve_settings.items[index];
    struct buf was, is;
    buf_init(&was, 4096);
    buf_init(&is, 4096);
    config_append_value(&old->settings, index, &was);
    config_append_value(&fresh->settings, index, &is);
    const char *from = was.data ? was.data : "";
    const char *to = is.data ? is.data : "";
    if (set->reload == CONFIG_RESTART) {
        log_warn("settings: %s has changed from %s to %s; it counts after a restart", set->name,
                 from, to);
    } else {
        log_info("settings: %s was %s and is %s%s", set->name, from, to,
                 set->reload == CONFIG_MODEL
                     ? ", from the next version of a model that is loaded"
                     : " from now on");
    }
    buf_deinit(&was);
    buf_deinit(&is);
    return set->reload != CONFIG_RESTART;
}

/* True if something counts now. */
static bool tell_changes(const struct serve_reread *r, const struct serve_config *fresh,
                         bool *is_other_model)
{
    bool any = false;
    for (size_t i = 0; i < serve_settings.count; i++) {
        const struct config_setting *set = &serve_settings.items[i];
        const struct serve_config *old = set->reload == CONFIG_RESTART ? r->first : r->now;
        if (set->name && set->reload != CONFIG_COMMAND &&
            !config_is_same(&old->settings, &fresh->settings, i)) {
            any = tell_change(old, fresh, i) || any;
            *is_other_model = *is_other_model || set->reload == CONFIG_MODEL;
        }
    }
    return any;
}

/* A server that began without API keys gets none before a restart, and without keys nothing is
 * asked for one. */
static int check_running(struct serve_config *fresh, const struct serve_config *first)
{
    if (strcmp(fresh->o.metrics, "key") != 0 || first->o.api_key || first->o.api_key_file) {
        return 0;
    }
    config_mistake(&fresh->settings, "metrics",
                   "\"key\" needs an API key, and one that is set now counts after a restart");
    return -2;
}

static bool is_right(struct serve_config *fresh, const struct serve_reread *r)
{
    struct err e = {0};
    int rc = serve_config_read(fresh, r->argc, r->argv, &e);
    rc = rc == 0 ? check_running(fresh, r->first) : rc;
    fresh->ranks = r->first->ranks;
    rc = rc == 0 ? serve_config_build(fresh, &e) : rc;
    if (rc == 0) {
        return true;
    }
    serve_config_tell(fresh, log_mistake);
    log_error("the settings stay as they are%s%s", e.message[0] ? ": " : "", e.message);
    return false;
}

bool serve_config_reread(void *ctx, struct server *s)
{
    struct serve_reread *r = ctx;
    bool is_other_model = false;
    struct serve_config *fresh = mem_zalloc(sizeof(*fresh));
    if (!fresh) {
        log_error("the settings stay as they are: no memory");
        return false;
    }
    if (!is_right(fresh, r) || !tell_changes(r, fresh, &is_other_model)) {
        serve_config_deinit(fresh);
        mem_free(fresh);
        return false;
    }
    live_settings_apply(s, &fresh->set);
    serve_config_set_log(fresh);
    fresh->older = r->now;
    r->now = fresh;
    return is_other_model;
}

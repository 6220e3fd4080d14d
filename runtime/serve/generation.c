#include "runtime/serve/generation.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "models/arch/kv_cache.h"
#include "models/format/gguf.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/engine/parallel_team.h"
#include "runtime/engine/self_test.h"
#include "runtime/serve/engine_user.h"
#include "runtime/serve/low_priority.h"

static void wake_loop(void *ctx)
{
    struct generation *g = ctx;
    if (atomic_load(&g->is_served)) {
        uv_async_send(&g->wake);
    } else {
        engine_trial_wake(&g->trial);
    }
}

/* With the template that the version's folder has for it. */
static struct model *open_version(const struct model_files *files,
                                  const struct parallel *parallel, struct err *e)
{
    size_t len = 0;
    if (!files->template_path[0]) {
        return model_open(files->path, MODEL_HASHED, parallel, e);
    }
    char *text = file_read_regular(files->template_path, CHAT_TEMPLATE_BYTES_MAX, &len, e);
    struct model *m = text ? model_open_templated(files->path, text, len, parallel, e) : NULL;
    mem_free(text);
    return m;
}

/* It is named by its folders, and is what model.json says. */
static int check_version(struct model *m, const struct generation_settings *s, struct err *e)
{
    const char *wanted = s->files->manifest->sha256;
    if (wanted && strcmp(wanted, m->sha256) != 0) {
        return err_set_param(e, ERR_FORMAT, "sha256",
                             "%s: its SHA-256 is %s, \"sha256\" in model.json is %s",
                             s->files->path, m->sha256, wanted);
    }
    snprintf(m->name, sizeof(m->name), "%s", s->name);
    snprintf(m->version, sizeof(m->version), "%s", s->version);
    return 0;
}

/* Before anything is loaded: what ranks cannot share. */
static int check_for_ranks(const struct generation_settings *s, struct err *e)
{
    bool adapted = s->n_adapters > 0 || (s->files && s->files->manifest->n_adapters > 0);
    return s->ranks && adapted
               ? err_set(e, ERR_UNSUPPORTED,
                         "adapters cannot be shared out among ranks; serve the model merged "
                         "with its adapter (weir train merge), or in one process")
               : 0;
}

static int read_model(struct generation *g, const struct generation_settings *s, struct err *e)
{
    const char *path = s->files ? s->files->path : s->model_path;
    struct team *team = team_create_behind(s->threads, e);
    if (!team) {
        return -1;
    }
    struct parallel parallel = parallel_team(team);
    parallel.ranks = rank_channel_ranks(g->ranks.channel);
    g->model = s->files ? open_version(s->files, &parallel, e)
                        : model_open(path, MODEL_HASHED, &parallel, e);
    team_destroy(team);
    if (!g->model || (s->files && check_version(g->model, s, e) != 0)) {
        return -1;
    }
    const struct adapters_wanted wanted = {.given = s->adapters,
                                           .n_given = s->n_adapters,
                                           .any_base = s->any_base,
                                           .files = s->files};
    if (served_adapters_load(&g->adapters, g->model, &wanted, e) != 0) {
        return -1;
    }
    if (g->model->chat_template && output_format_detect(&g->format, g->model->chat_template,
                                                        g->model->tokenizer, e) != 0) {
        return err_prefix(e, "%s", path);
    }
    return 0;
}

/* Computes with it, on all ranks where there are others. rc: whether it was read here. */
static int test_model(struct generation *g, const struct generation_settings *s, int rc,
                      struct err *e)
{
    struct self_test test = {0};
    const char *path = s->files ? s->files->path : s->model_path;
    const struct ranks *ranks = rank_channel_ranks(g->ranks.channel);
    if (rc == 0 && self_test_init(&test, g->model, ranks, s->cpu_features, e) != 0) {
        rc = err_prefix(e, "%s", path);
    }
    rc = rank_load_agree(&g->ranks, rc == 0 ? g->model->sha256 : "", rc, e);
    if (rc == 0) {
        rank_load_log(&g->ranks, g->model);
        rc = self_test_run(&test, e) == 0 ? 0 : err_prefix(e, "%s", path);
        rc = rank_load_agree(&g->ranks, "", rc, e);
    }
    self_test_deinit(&test);
    return rc;
}

/* Reads and tests it, with the other ranks where there are some. */
static int load_model(struct generation *g, const struct generation_settings *s, struct err *e)
{
    int rc = check_for_ranks(s, e) == 0 ? read_model(g, s, e) : -1;
    return test_model(g, s, rc, e);
}

/* Kept in memory: the loop has no files to read. */
static int read_card(struct generation *g, const struct model_files *files, struct err *e)
{
    if (!files || !files->card_path[0]) {
        return 0;
    }
    g->card = file_read_regular(files->card_path, MODEL_CARD_BYTES_MAX, &g->card_len, e);
    if (g->card && !utf8_is_valid(g->card, g->card_len)) {
        return err_set_param(e, ERR_FORMAT, "card", "%s: is not UTF-8", files->card_path);
    }
    return g->card ? 0 : -1;
}

struct model_load_job {
    struct generation *g;
    const struct generation_settings *s;
    struct err *e;
    int rc;
};

static void run_load(void *arg)
{
    struct model_load_job *job = arg;
    job->rc = load_model(job->g, job->s, job->e);
}

/* While another generation answers, this one can wait. Its engine is made by the caller, whose
 * priority it has. */
static int load_model_behind(struct generation *g, const struct generation_settings *s,
                             struct err *e)
{
    struct model_load_job job = {.g = g, .s = s, .e = e};
    low_priority_run(run_load, &job);
    return job.rc;
}

/* Control tokens are never allowed, but for those by which the model marks its calls: these
 * stand for their names. */
static int create_vocab(struct generation *g, struct err *e)
{
    const struct tokenizer *t = g->model->tokenizer;
    int32_t n = tokenizer_vocab_size(t);
    struct grammar_token *tokens = mem_zarray((size_t)n, sizeof(*tokens));
    if (!tokens) {
        return err_nomem(e);
    }
    for (int32_t id = 0; id < n; id++) {
        const char *marker = output_format_token_text(&g->format, t, id);
        tokens[id].bytes = marker ? marker : tokenizer_token_bytes(t, id, &tokens[id].len);
        tokens[id].len = marker ? strlen(marker) : tokens[id].len;
        tokens[id].ends = tokenizer_is_eog(t, id);
    }
    g->vocab = grammar_vocab_from_tokens(tokens, n, e);
    mem_free(tokens);
    return g->vocab ? 0 : -1;
}

/* Tokens of a conversation: the least of what the model, the command line and the version's
 * owner allow. */
static int choose_context(const struct llama_config *c, const struct generation_settings *s)
{
    int context = s->context > 0 ? s->context : c->context;
    int most = s->files ? s->files->manifest->max_context : 0;
    return most > 0 && most < context ? most : context;
}

static struct engine_settings engine_settings_of(const struct llama_config *c,
                                                 const struct generation_settings *s)
{
    return (struct engine_settings){
        .threads = s->threads,
        .pin = s->pin,
        .context = choose_context(c, s),
        .max_sequences = s->max_sequences,
        .max_waiting = s->max_waiting,
        .max_waiting_tokens = s->max_waiting_tokens,
        .kv_bytes = s->kv_bytes,
        .step_tokens = s->step_tokens,
        .step_ms = s->step_ms,
        .guesses = s->guesses,
        .kv_type = s->kv_type,
        .cpu_features = s->cpu_features,
    };
}

static int create_engine(struct generation *g, const struct generation_settings *s,
                         struct err *e)
{
    struct engine_settings engine = engine_settings_of(&g->model->config, s);
    engine.notify = wake_loop;
    engine.notify_ctx = g;
    engine.ranks = rank_orders_group(s->ranks);
    engine.rank_channel = g->ranks.channel;
    g->engine = engine_create(g->model, &engine, e);
    return g->engine ? 0 : -1;
}

static int create_embedder(struct generation *g, const struct generation_settings *s,
                           struct err *e)
{
    if (s->ranks) {
        return 0; /* generation_check_vectors says so */
    }
    /* Somebody reads along with answers, so beside them embeddings take half the cores. */
    int threads = g->engine ? (s->threads + 1) / 2 : s->threads;
    struct embedder_settings embedder = {
        .threads = threads,
        .context = s->files ? choose_context(&g->model->config, s) : s->context,
        .step_tokens = s->step_tokens,
        .max_waiting = s->max_waiting,
        .kv_type = s->kv_type,
        .cpu_features = s->cpu_features,
        .notify = wake_loop,
        .notify_ctx = g,
    };
    g->embedder = embedder_create(g->model, &embedder, e);
    return g->embedder ? 0 : -1;
}

/* --- memory --- */

/* As int8 with a scale for each group; what has one dimension stays f32. A packed file, whose
 * matrices are bytes, is copied into memory whole. */
static uint64_t loaded_bytes(const struct gguf *g)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (t->type == TENSOR_I8) {
            return gguf_file_size(g);
        }
        bytes +=
            t->n_dims > 1 ? t->n_elements + t->n_elements / 8 : t->n_elements * sizeof(float);
    }
    return bytes;
}

int generation_measure(const struct generation_settings *s, uint64_t *bytes, struct err *e)
{
    const char *path = s->files ? s->files->path : s->model_path;
    struct stat info;
    struct llama_config config;
    *bytes = 0;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return 0;
    }
    struct gguf *g = gguf_open(path, e);
    int rc = g ? llama_config_from_gguf(&config, g, e) : -1;
    if (rc == 0) {
        const struct engine_settings engine = engine_settings_of(&config, s);
        config.rank = rank_group_rank(rank_orders_group(s->ranks));
        config.n_ranks = s->ranks ? rank_group_size(rank_orders_group(s->ranks)) : 0;
        *bytes = loaded_bytes(g) / (s->ranks ? (uint64_t)config.n_ranks : 1) +
                 (config.encoder ? 0 : engine_kv_bytes(&config, &engine));
    }
    gguf_close(g);
    return rc;
}

static uint64_t count_memory(const struct generation *g, const struct generation_settings *s)
{
    const struct model *m = g->model;
    uint64_t pages = g->engine ? (uint64_t)engine_stats(g->engine).kv_pages : 0;
    return m->weights.block_bytes + (m->weights.in_file ? m->file_bytes : 0) +
           served_adapters_bytes(&g->adapters) +
           pages * kv_cache_page_bytes(&m->config, s->kv_type);
}

static bool is_stopped(const atomic_bool *stop, struct err *e)
{
    return stop && atomic_load(stop) && err_set(e, ERR_CANCELED, "the server is stopping") != 0;
}

bool generation_is_stopped(const struct generation *g, struct err *e)
{
    return is_stopped(g->stop, e);
}

/* All that a generation consists of. */
static int load_parts(struct generation *g, const struct generation_settings *s, struct err *e)
{
    if (read_card(g, s->files, e) != 0 || load_model_behind(g, s, e) != 0 ||
        generation_is_stopped(g, e)) {
        return -1;
    }
    if (!g->model->config.encoder && (create_vocab(g, e) != 0 || create_engine(g, s, e) != 0)) {
        return -1;
    }
    return create_embedder(g, s, e);
}

/* Where ranks share the model they do all of it together, or none has it. */
static int load_with_ranks(struct generation *g, const struct generation_settings *s,
                           struct err *e)
{
    struct rank_model m;
    const char *path = s->files ? s->files->path : s->model_path;
    const char *template_path = s->files ? s->files->template_path : "";
    if (snprintf(m.path, sizeof(m.path), "%s", path) >= (int)sizeof(m.path) ||
        snprintf(m.template_path, sizeof(m.template_path), "%s", template_path) >=
            (int)sizeof(m.template_path)) {
        return err_set(e, ERR_LIMIT, "%s: the path is too long", path);
    }
    if (rank_load_begin(&g->ranks, s->ranks, &m, e) != 0) {
        return -1;
    }
    int rc = load_parts(g, s, e);
    return rank_load_end(&g->ranks, g->engine, rc, e);
}

struct generation *generation_load(const struct generation_settings *s, struct err *e)
{
    struct generation *g = mem_zalloc(sizeof(*g));
    if (!g) {
        err_nomem(e);
        return NULL;
    }
    if (engine_trial_bell_init(&g->trial) != 0) {
        mem_free(g);
        err_nomem(e);
        return NULL;
    }
    g->stop = s->stop;
    g->refs = 1;
    g->used_ns = clock_now_ns();
    g->loaded_at = clock_unix_s();
    if (load_with_ranks(g, s, e) != 0) {
        generation_discard(g);
        return NULL;
    }
    g->memory_bytes = count_memory(g, s);
    /* Without a version of its own a model is named by its content. */
    snprintf(g->id, sizeof(g->id), "%s@%.*s", g->model->name, g->model->version[0] ? 127 : 12,
             g->model->version[0] ? g->model->version : g->model->sha256);
    if (s->files) {
        g->manifest = s->files->manifest;
        g->stamp = s->files->stamp;
        s->files->manifest = NULL;
    }
    return g;
}

static void release_parts(struct generation *g)
{
    engine_destroy(g->engine);
    rank_load_deinit(&g->ranks);
    embedder_destroy(g->embedder);
    form_cache_deinit(&g->forms);
    grammar_vocab_release(g->vocab);
    served_adapters_deinit(&g->adapters);
    model_close(g->model);
    model_manifest_free(g->manifest);
    mem_free(g->card);
    engine_trial_bell_deinit(&g->trial);
}

void generation_discard(struct generation *g)
{
    if (g) {
        release_parts(g);
        mem_free(g);
    }
}

/* --- before it serves --- */

int generation_try(struct generation *g, const struct engine_request *r, struct token_list *out,
                   struct err *e)
{
    struct engine_trial t = {.request = *r, .answer = out};
    return engine_trial_run(g->engine, &g->trial, &t, 1, g->stop, e);
}

int generation_try_all(struct generation *g, struct engine_trial *trials, size_t n,
                       struct err *e)
{
    return engine_trial_run(g->engine, &g->trial, trials, n, g->stop, e);
}

/* --- serving --- */

static void pass_event(void *ctx, const struct engine_event *ev)
{
    (void)ctx;
    struct engine_user *user = ev->user;
    user->on_event(user, ev);
}

static void on_wake(uv_async_t *handle)
{
    struct generation *g = handle->data;
    /* An event may let go of the last request, and with it of the generation: hold it
     * meanwhile. That is no use of it: prompts that are read ahead make events too. */
    generation_ref_aside(g);
    if (g->engine) {
        engine_drain_events(g->engine, pass_event, g);
    }
    if (g->embedder) {
        embedder_drain(g->embedder);
    }
    generation_unref_aside(g);
}

int generation_serve(struct generation *g, uv_loop_t *loop, uint64_t number, struct err *e)
{
    g->loop = loop;
    g->number = number;
    int rc = uv_async_init(loop, &g->wake, on_wake);
    if (rc != 0) {
        return err_set(e, ERR_IO, "cannot watch the engine: %s", uv_strerror(rc));
    }
    g->wake.data = g;
    atomic_store(&g->is_served, true);
    return 0;
}

struct generation *generation_ref(struct generation *g)
{
    g->refs++;
    g->used_ns = clock_now_ns();
    return g;
}

static void take_down(uv_work_t *work)
{
    release_parts(work->data);
    mem_give_back();
}

static void after_take_down(uv_work_t *work, int status)
{
    (void)status;
    struct generation *g = work->data;
    log_info("generation %llu is gone", (unsigned long long)g->number);
    if (g->on_gone) {
        g->on_gone(g->on_gone_ctx, g);
    }
    mem_free(g);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct generation *g = handle->data;
    g->teardown.data = g;
    /* The engine joins its thread and gigabytes may be freed: not on the loop. */
    if (uv_queue_work(g->loop, &g->teardown, take_down, after_take_down) != 0) {
        take_down(&g->teardown);
        after_take_down(&g->teardown, 0);
    }
}

static void release(struct generation *g)
{
    if (--g->refs == 0) {
        uv_close((uv_handle_t *)&g->wake, on_wake_closed);
    }
}

void generation_unref(struct generation *g)
{
    if (g) {
        g->used_ns = clock_now_ns();
        release(g);
    }
}

struct generation *generation_ref_aside(struct generation *g)
{
    g->refs++;
    g->refs_aside++;
    return g;
}

void generation_unref_aside(struct generation *g)
{
    if (g) {
        g->refs_aside--;
        release(g);
    }
}

bool generation_is_idle(const struct generation *g)
{
    return g->refs - g->refs_aside == 1;
}

void generation_log_published(const struct generation *g)
{
    log_info("model %s (generation %llu, sha256 %.12s) is published", g->id,
             (unsigned long long)g->number, g->model->sha256);
}

void generation_step_aside(struct generation *g)
{
    g->is_aside = true;
    if (g->engine) {
        engine_step_aside(g->engine);
    }
}

bool generation_is_named(const struct generation *g, const char *asked)
{
    size_t name_len = strlen(g->model->name);
    if (strncmp(asked, g->model->name, name_len) != 0) {
        return false;
    }
    const char *pin = asked + name_len;
    if (*pin == '\0' || strcmp(asked, g->id) == 0) {
        return true;
    }
    const char *hash = strncmp(pin, "@sha256:", 8) == 0 ? pin + 8 : "";
    return strlen(hash) >= 8 && strncmp(g->model->sha256, hash, strlen(hash)) == 0;
}

int generation_check_text(const struct generation *g, struct err *e)
{
    return g->engine ? 0
                     : err_set_param(e, ERR_UNSUPPORTED, "model",
                                     "the model \"%s\" makes embeddings, no text; POST "
                                     "/v1/embeddings asks for them",
                                     g->model->name);
}

int generation_check_vectors(const struct generation *g, struct err *e)
{
    return g->embedder ? 0
                       : err_set_param(e, ERR_UNSUPPORTED, "model",
                                       "the model \"%s\" is shared out among processes (MPI "
                                       "ranks), which make no embeddings; one process does",
                                       g->model->name);
}

int generation_context(const struct generation *g)
{
    return g->engine ? engine_context(g->engine) : embedder_context(g->embedder);
}

void generation_describe(const struct generation *g, struct admin_model *out)
{
    struct engine_stats stats = {0};
    if (g->engine) {
        stats = engine_stats(g->engine);
    }
    *out = (struct admin_model){
        .id = g->id,
        .name = g->model->name,
        .state = "serving",
        .is_loaded = true,
        .manifest = g->manifest,
        .sha256 = g->model->sha256,
        .generation = g->number,
        .loaded_at = g->loaded_at,
        .file_bytes = g->model->file_bytes,
        .memory_bytes = g->memory_bytes,
        .context = generation_context(g),
        .embedding_length = g->embedder ? g->model->config.d_model : 0,
        .can_chat = g->engine && g->model->chat_template,
        .running = stats.running,
        .waiting = stats.waiting,
        .waiting_tokens = stats.waiting_tokens,
        .prompt_tokens = stats.prompt_tokens,
        .cached_tokens = stats.cached_tokens,
        .output_tokens = stats.output_tokens,
        .guessed_tokens = stats.guessed_tokens,
        .accepted_tokens = stats.accepted_tokens,
        .preemptions = stats.preemptions,
        .kv_pages = stats.kv_pages,
        .kv_pages_free = stats.kv_pages_free,
    };
}

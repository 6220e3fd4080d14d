#include "runtime/serve/reload.h"

#include <string.h>

#include "models/format/gguf.h"
#include "runtime/api/admin_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/respond.h"

struct reload {
    uv_work_t work;
    struct server *server;
    struct http_exchange *ex; /* who waits for the outcome, or NULL */
    struct generation_settings settings;
    char serving_sha256[HASH_HEX_LEN + 1];
    char *serving_adapters; /* served_adapters_digest, owned */
    bool force;
    bool unchanged;
    struct prompt_reading *ahead;  /* of prompts, before it is published */
    int n_plans;                   /* of these, after the first */
    struct generation *generation; /* the outcome, or NULL */
    struct err e;
};

static void release(struct reload *r)
{
    prompt_readings_drop(&r->ahead);
    mem_free(r->serving_adapters);
    mem_free(r);
}

static bool is_unchanged(struct reload *r)
{
    char sha256[HASH_HEX_LEN + 1];
    struct gguf *g = gguf_open(r->settings.model_path, &r->e);
    bool same =
        g && gguf_sha256(g, sha256, &r->e) == 0 && strcmp(sha256, r->serving_sha256) == 0;
    gguf_close(g);
    return same && served_adapters_unchanged(r->settings.adapters, r->settings.n_adapters,
                                             r->serving_adapters);
}

static void read_ahead_on_worker(uv_work_t *work)
{
    struct reload *r = work->data;
    prompt_readings_run(r->ahead, r->generation);
}

static void load_on_worker(uv_work_t *work)
{
    struct reload *r = work->data;
    r->unchanged = !r->force && is_unchanged(r);
    if (!r->unchanged) {
        r->generation = generation_load(&r->settings, &r->e);
    }
    if (r->generation) {
        read_ahead_on_worker(work);
    }
}

static void answer_outcome(const struct reload *r, const char *outcome)
{
    if (r->ex) {
        struct admin_model shown;
        generation_describe(r->server->generation, &shown);
        size_t len = 0;
        char *text = admin_reload_text(outcome, &shown, &len);
        respond_json(r->ex, 200, text, len, NULL, 0);
    }
}

static void answer_error(const struct reload *r, int status, const char *type, const char *code,
                         const char *message)
{
    if (r->ex) {
        struct api_error error = api_error_make(status, type, code, NULL, message);
        respond_error(r->ex, &error);
    }
}

static void fail(const struct reload *r)
{
    log_error("reload failed, the old model goes on: %s", r->e.message);
    answer_error(r, 422, "invalid_request_error", "reload_failed", r->e.message);
}

static void publish(struct reload *r)
{
    struct server *s = r->server;
    if (generation_serve(r->generation, &s->loop, s->next_generation, &r->e) != 0) {
        generation_discard(r->generation);
        fail(r);
        return;
    }
    s->next_generation++;
    prompt_set_add(&s->prompts, r->generation, &r->ahead);
    prompt_set_remove(&s->prompts, s->generation);
    server_publish_generation(s, r->generation);
    answer_outcome(r, "published");
}

static void after_load(uv_work_t *work, int status)
{
    struct reload *r = work->data;
    struct server *s = r->server;
    (void)status;
    if (r->generation && !s->stopping && r->n_plans++ < PROMPT_SET_PLANS_MAX &&
        prompt_set_plan(&s->prompts, &r->ahead) &&
        uv_queue_work(&s->loop, work, read_ahead_on_worker, after_load) == 0) {
        return;
    }
    s->reload = NULL;
    if (s->stopping) {
        generation_discard(r->generation);
        answer_error(r, 503, "server_error", "stopping", "the server is stopping");
    } else if (r->unchanged) {
        log_info("reload: the model file has not changed");
        answer_outcome(r, "unchanged");
    } else if (!r->generation) {
        fail(r);
    } else {
        publish(r);
    }
    release(r);
}

static void refuse(struct http_exchange *ex, int status, const char *code, const char *message)
{
    log_warn("reload refused: %s", message);
    if (ex) {
        struct api_error error = api_error_make(
            status, status == 409 ? "conflict" : "server_error", code, NULL, message);
        respond_error(ex, &error);
    }
}

void reload_begin(struct server *s, struct http_exchange *ex, bool force)
{
    if (s->reload) {
        refuse(ex, 409, "reload_running", "a reload is running already");
        return;
    }
    struct reload *r = mem_zalloc(sizeof(*r));
    char *digest = served_adapters_digest(&s->generation->adapters);
    if (!r || !digest) {
        mem_free(r);
        mem_free(digest);
        refuse(ex, 503, "out_of_memory", "the server is out of memory");
        return;
    }
    r->work.data = r;
    r->server = s;
    r->ex = ex;
    r->force = force;
    r->serving_adapters = digest;
    r->settings = s->set.generation;
    prompt_set_plan(&s->prompts, &r->ahead);
    memcpy(r->serving_sha256, s->generation->model->sha256, sizeof(r->serving_sha256));
    log_info("reload of %s begins", r->settings.model_path);
    if (uv_queue_work(&s->loop, &r->work, load_on_worker, after_load) != 0) {
        refuse(ex, 503, "out_of_memory", "no worker thread could be had");
        release(r);
        return;
    }
    s->reload = r;
}

void reload_abandon(struct server *s, struct http_exchange *ex)
{
    if (s->reload && s->reload->ex == ex) {
        s->reload->ex = NULL;
    }
}

#include <stdio.h>
#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_canary.h"
#include "runtime/serve/model_set_parts.h"
#include "runtime/serve/model_wait.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server_metrics.h"

/* Requests that wait for a model do so while others are in use, but not longer. */
#define PATIENCE_NS (30 * UINT64_C(1000000000))

/* --- what admins are told --- */

void model_attempt_answer_error(struct http_exchange *ex, int status, const char *code,
                                const char *message)
{
    if (ex) {
        const char *type = status == 409   ? "conflict"
                           : status >= 500 ? "server_error"
                                           : "invalid_request_error";
        struct api_error error = api_error_make(status, type, code, NULL, message);
        respond_error(ex, &error);
    }
}

void model_attempt_answer(struct http_exchange *ex, const char *outcome,
                          const struct generation *g)
{
    if (ex) {
        struct admin_model shown;
        generation_describe(g, &shown);
        size_t len = 0;
        char *text = admin_reload_text(outcome, &shown, &len);
        respond_json(ex, 200, text, len, NULL, 0);
    }
}

/* --- preparing --- */

static int prepare(const struct model_set *set, struct model_load *l, struct err *e)
{
    struct server *s = set->server;
    const struct listed_version *v = model_list_find(&set->list, l->version);
    l->repo = &set->repo;
    l->settings = s->set.generation;
    l->serving = set->serving ? generation_ref(set->serving) : NULL;
    l->no_prompt = s->no_prompt;
    l->file_bytes = v ? v->bytes : 0;
    prompt_set_plan(&s->prompts, &l->ahead);
    return model_gate_chains_take(&l->chains, s, set->repo.name, e);
}

/* --- what became of it --- */

static void count(const struct model_set *set, size_t family)
{
    const char *const values[] = {model_set_name(set)};
    metrics_add(set->server->metrics, family, values, 1);
}

static int tie(struct model_set *set, struct model_load *l)
{
    struct server *s = set->server;
    struct generation *g = l->generation;
    if (!g || generation_serve(g, &s->loop, s->next_generation, &l->e) != 0) {
        return -1;
    }
    s->next_generation++;
    model_catalog_count_in(set->catalog, g);
    prompt_set_add(&s->prompts, g, &l->ahead);
    return 0;
}

/* Of an attempt that has failed. */
struct verdict {
    bool may_pass; /* with the same files, another time: memory was short, or they moved */
    bool is_final; /* nobody tries it again by himself until its files change */
};

/* Notes it. 0: there is a generation, tied to the loop. */
static int conclude(struct model_set *set, struct model_load *l, const struct verdict *verdict,
                    const char *who)
{
    struct listed_version *v = model_list_get(&set->list, l->version);
    int rc = tie(set, l);
    if (rc != 0) {
        log_error("model %s@%s: %s", set->repo.name, l->version, l->e.message);
        model_publish_failed(set, l, verdict->is_final, who);
    }
    if (rc == 0) {
        const char *const values[] = {model_set_name(set)};
        metrics_set(set->server->metrics, SERVER_METRIC_MODEL_LOAD_SECONDS, values, l->seconds);
    }
    count(set, rc == 0 ? SERVER_METRIC_MODEL_LOADS : SERVER_METRIC_MODEL_LOAD_FAILURES);
    if (v) {
        mem_free(v->report);
        v->report = l->report;
        l->report = NULL;
        v->has_failed = rc != 0 && verdict->is_final;
        v->may_pass = rc != 0 && verdict->may_pass;
        snprintf(v->problem, sizeof(v->problem), "%s", rc != 0 ? l->e.message : "");
        if (rc == 0) {
            snprintf(v->sha256, sizeof(v->sha256), "%s", l->generation->model->sha256);
        }
    }
    return rc;
}

/* Want of room is final while something of the model serves. */
static struct verdict judge(const struct attempt *a)
{
    bool is_needed = a->purpose == LOAD_TO_KEEP || !a->set->serving;
    bool may_pass = a->load.e.kind == ERR_CONFLICT || a->load.e.kind == ERR_NOMEM;
    return (struct verdict){.may_pass = may_pass || a->has_no_room,
                            .is_final = !may_pass && !(a->has_no_room && is_needed)};
}

/* Nobody asked for it, so its owner has the say. Two of the same name could not be told
 * apart, and vectors show nothing. */
static bool wants_canary(const struct model_set *set, const struct attempt *a,
                         const struct generation *g)
{
    return a->purpose == LOAD_TO_SERVE && !a->is_asked_for && set->serving && g->engine &&
           g->manifest && g->manifest->has_canary &&
           strcmp(set->serving->model->version, g->model->version) != 0;
}

/* An admin has begun a canary while it was being loaded: like all that comes by itself then, it
 * waits. */
static bool must_wait(const struct model_set *set, const struct attempt *a,
                      const struct generation *g)
{
    return a->purpose == LOAD_TO_SERVE && !a->is_asked_for && set->serving &&
           model_canary_is_running(set->canary) &&
           strcmp(set->serving->model->version, g->model->version) != 0;
}

static void put_back(struct model_set *set, struct generation *g)
{
    struct listed_version *v = model_list_find(&set->list, g->model->version);
    log_info("model %s waits until the canary is over", g->id);
    if (v) {
        v->is_wanted = true;
    }
    model_set_release_generation(set, g);
}

static void use(struct model_set *set, struct attempt *a)
{
    struct generation *g = a->load.generation;
    a->load.generation = NULL;
    if (a->hold) {
        model_set_hold_on(set, g);
        a->hold->done(a->hold, a->ex, g);
        a->hold = NULL;
        model_set_drop_unused(set, g);
    } else if (must_wait(set, a, g)) {
        put_back(set, g);
    } else if (wants_canary(set, a, g)) {
        model_set_try(set, g);
    } else if (a->purpose == LOAD_TO_KEEP) {
        g->was_asked_for = true;
        log_info("model %s (generation %llu, sha256 %.12s) is loaded", g->id,
                 (unsigned long long)g->number, g->model->sha256);
        model_set_keep(set, g);
        model_publish_loaded(set, g, a->who);
        model_attempt_answer(a->ex, "loaded", g);
    } else {
        const struct publish_wish wish = {
            .purpose = a->purpose, .is_asked_for = a->is_asked_for, .who = a->who, .ex = a->ex};
        model_publish(set, g, &wish);
    }
}

/* Nobody will ask for what is loaded. */
static bool is_over(const struct model_set *set)
{
    return set->is_stopped || (set->server->stopping && !model_wait_has(set));
}

/* 0: what was wanted is there. */
static int take_outcome(struct model_set *set, struct attempt *a)
{
    struct model_load *l = &a->load;
    if (is_over(set)) {
        err_set(&l->e, ERR_CANCELED, "the server is stopping");
        model_attempt_answer_error(a->ex, 503, "stopping", l->e.message);
        return -1;
    }
    if (l->is_unchanged) {
        log_info("reload: the files of %s have not changed", l->serving->id);
        model_attempt_answer(a->ex, "unchanged", l->serving);
        return 0;
    }
    const struct verdict verdict = judge(a);
    if (conclude(set, l, &verdict, a->who) != 0) {
        model_attempt_answer_error(a->ex, 422, "load_failed", l->e.message);
        return -1;
    }
    use(set, a);
    return 0;
}

/* --- the line --- */

static void call_next(struct model_catalog *c);

static void join_line(struct model_catalog *c, struct attempt *a)
{
    struct attempt **end = &c->line;
    while (*end) {
        end = &(*end)->next;
    }
    *end = a;
    a->next = NULL;
}

static void leave_line(struct model_catalog *c, struct attempt *a)
{
    struct attempt **at = &c->line;
    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    a->set->attempt = NULL;
}

static void destroy(struct attempt *a)
{
    if (a->hold) {
        a->hold->done(a->hold, NULL, NULL);
    }
    model_load_deinit(&a->load);
    mem_free(a);
}

/* It stands first. */
static void finish(struct attempt *a)
{
    struct model_set *set = a->set;
    struct model_catalog *c = set->catalog;
    struct model_wait_outcome outcome = {.set = set};
    leave_line(c, a);
    bool has_failed = take_outcome(set, a) != 0;
    bool may_go_on = !has_failed || judge(a).is_final;
    outcome.why = a->load.e;
    outcome.was_to_serve = a->purpose != LOAD_TO_KEEP;
    snprintf(outcome.failed, sizeof(outcome.failed), "%s", has_failed ? a->load.version : "");
    destroy(a);
    if (set->is_stopped) {
        model_set_release(set);
        call_next(c);
        return;
    }
    if (may_go_on) {
        model_set_go_on(set);
    } else {
        set->is_wanted = set->is_default || set->serving; /* the next look, or who asks next */
    }
    model_wait_settle(&outcome);
    call_next(c);
}

/* --- on a worker, and back --- */

static void find_on_worker(uv_work_t *work)
{
    struct attempt *a = work->data;
    model_load_find(&a->load);
}

static void load_on_worker(uv_work_t *work)
{
    struct attempt *a = work->data;
    model_load_run(&a->load);
}

static void read_more_on_worker(uv_work_t *work)
{
    struct attempt *a = work->data;
    model_load_read_more(&a->load);
}

static void after_load(uv_work_t *work, int status)
{
    struct attempt *a = work->data;
    struct server *s = a->set->server;
    (void)status; /* it is never cancelled */
    if (!s->stopping && !a->set->is_stopped && model_load_plan_more(&a->load, &s->prompts) &&
        uv_queue_work(&s->loop, work, read_more_on_worker, after_load) == 0) {
        return;
    }
    a->is_working = false;
    finish(a);
}

static void start_work(struct attempt *a, uv_work_cb run, uv_after_work_cb after)
{
    a->work.data = a;
    a->is_working = uv_queue_work(&a->set->server->loop, &a->work, run, after) == 0;
    if (!a->is_working) {
        err_nomem(&a->load.e);
        finish(a);
    }
}

static bool has_patience(struct attempt *a)
{
    uint64_t now = clock_now_ns();
    a->began_ns = a->began_ns ? a->began_ns : now;
    return model_wait_has(a->set) && now - a->began_ns < PATIENCE_NS;
}

/* Its owner wants it to be tried against what serves, so that must stay. */
static bool is_for_canary(const struct attempt *a)
{
    return a->purpose == LOAD_TO_SERVE && !a->is_asked_for && a->load.serving &&
           a->load.files.manifest && a->load.files.manifest->has_canary &&
           strcmp(a->load.serving->model->version, a->load.version) != 0;
}

static void find_room(struct attempt *a)
{
    struct model_catalog *c = a->set->catalog;
    bool may_drain =
        a->set->server->set.drain_first && a->purpose != LOAD_TO_KEEP && !is_for_canary(a);
    struct err why = {0};
    if (is_over(a->set)) {
        c->waits_for_room = NULL;
        finish(a);
        return;
    }
    enum room room = model_room_make(a->set, &a->load, may_drain, &why);
    if (room == ROOM_NONE && a->purpose == LOAD_TO_KEEP && a->load.serving) {
        /* Who names a version may have it instead of the one that serves. */
        generation_unref(a->load.serving);
        a->load.serving = NULL;
        room = model_room_make(a->set, &a->load, may_drain, &why);
    }
    c->waits_for_room = NULL;
    a->is_patient = room == ROOM_NONE && why.kind == ERR_BUSY && has_patience(a);
    if (room == ROOM_THERE) {
        start_work(a, load_on_worker, after_load);
    } else if (room == ROOM_COMING || a->is_patient) {
        c->waits_for_room = a;
        model_catalog_tick(c);
    } else {
        a->has_no_room = true;
        a->load.e = why;
        finish(a);
    }
}

void model_attempt_room_changed(struct model_catalog *c)
{
    if (c->waits_for_room) {
        find_room(c->waits_for_room);
    }
}

void model_attempt_next_turn(struct model_catalog *c)
{
    struct attempt *a = c->waits_for_room;
    if (a && a->is_patient && a->next) {
        c->waits_for_room = NULL;
        c->line = a->next;
        join_line(c, a);
        call_next(c);
    }
}

static void after_find(uv_work_t *work, int status)
{
    struct attempt *a = work->data;
    (void)status;
    a->is_working = false;
    if (a->load.e.kind != ERR_NONE || a->load.is_unchanged || is_over(a->set)) {
        finish(a);
    } else {
        a->has_files = true;
        find_room(a);
    }
}

static void call_next(struct model_catalog *c)
{
    struct attempt *a = c->line;
    if (!a || c->is_stopped || a->is_working || c->waits_for_room == a) {
        return;
    }
    if (a->has_files) {
        find_room(a);
    } else if (prepare(a->set, &a->load, &a->load.e) != 0) {
        finish(a);
    } else {
        start_work(a, find_on_worker, after_find);
    }
}

int model_attempt_begin(struct model_set *set, const struct load_wish *wish)
{
    struct attempt *a = mem_zalloc(sizeof(*a));
    if (!a) {
        log_error("model %s@%s: no memory to load it", set->repo.name, wish->version);
        model_attempt_answer_error(wish->ex, 503, "out_of_memory",
                                   "the server is out of memory");
        return -1;
    }
    a->set = set;
    a->ex = wish->ex;
    a->is_asked_for = wish->ex || wish->who;
    model_state_actor(wish->ex, a->who);
    if (wish->who) {
        snprintf(a->who, sizeof(a->who), "%s", wish->who);
    }
    a->purpose = wish->purpose;
    a->hold = wish->hold;
    a->load.if_changed = wish->if_changed;
    snprintf(a->load.version, sizeof(a->load.version), "%s", wish->version);
    join_line(set->catalog, a);
    set->attempt = a;
    log_info("model %s@%s is being loaded", set->repo.name, wish->version);
    call_next(set->catalog);
    return 0;
}

void model_attempt_cancel(struct model_set *set)
{
    struct attempt *a = set->attempt;
    if (!a || a->is_working) {
        return;
    }
    struct model_catalog *c = set->catalog;
    if (c->waits_for_room == a) {
        c->waits_for_room = NULL;
    }
    leave_line(c, a);
    destroy(a);
    call_next(c);
}

int model_attempt_at_start(struct model_set *set, struct listed_version *v, struct err *e)
{
    struct model_load *l = mem_zalloc(sizeof(*l));
    if (!l) {
        return err_nomem(e);
    }
    snprintf(l->version, sizeof(l->version), "%s", v->name);
    v->is_wanted = false;
    if (prepare(set, l, &l->e) == 0) {
        model_load_find(l);
    }
    if (l->e.kind == ERR_NONE && model_room_make(set, l, false, &l->e) == ROOM_THERE) {
        model_load_run(l);
    }
    const struct verdict verdict = {.is_final = true};
    int rc = conclude(set, l, &verdict, NULL);
    *e = l->e;
    if (rc == 0) {
        model_set_publish(set, l->generation, false);
        l->generation = NULL;
    }
    model_load_deinit(l);
    mem_free(l);
    return rc;
}

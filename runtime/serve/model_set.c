#include "runtime/serve/model_set.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/memory_left.h"
#include "runtime/serve/model_list.h"
#include "runtime/serve/model_load.h"
#include "runtime/serve/model_watch.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server.h"

#define HISTORY_MAX 16

/* One that served before. */
struct past {
    char version[MODEL_REPO_NAME_MAX + 1];
    uint64_t number; /* of its generation */
};

struct attempt {
    uv_work_t work;
    struct model_set *set;
    struct model_load load;
    struct http_exchange *ex; /* who waits for the outcome, or NULL */
    bool is_rollback;
};

struct model_set {
    struct server *server;
    struct model_repo repo; /* `watch` has it; its root and name may be read by all */
    struct model_watch *watch;
    struct model_list list;
    struct generation *kept[MODEL_SET_KEPT_MAX]; /* (n_kept), the latest first */
    size_t n_kept;
    size_t keep;
    struct past history[HISTORY_MAX]; /* (n_history), the latest last */
    size_t n_history;
    struct attempt *attempt; /* that runs now, or NULL */
    bool is_stopped;
};

const char *model_set_name(const struct model_set *set)
{
    return set->repo.name;
}

/* --- the list --- */

static bool is_version(const struct generation *g, const char *name)
{
    return g && strcmp(g->model->version, name) == 0;
}

static struct generation *loaded(const struct model_set *set, const char *version)
{
    if (is_version(set->server->generation, version)) {
        return set->server->generation;
    }
    for (size_t i = 0; i < set->n_kept; i++) {
        if (is_version(set->kept[i], version)) {
            return set->kept[i];
        }
    }
    return NULL;
}

const char *model_state_name(enum model_state state)
{
    static const char *const names[] = {"available", "loading", "serving", "kept", "failed"};
    return names[state];
}

static struct model_version_info describe(const struct model_set *set,
                                          const struct listed_version *v)
{
    struct generation *g = loaded(set, v->name);
    bool loading = set->attempt && strcmp(set->attempt->load.version, v->name) == 0;
    return (struct model_version_info){
        .name = v->name,
        .state = g && g == set->server->generation ? MODEL_SERVING
                 : loading                         ? MODEL_LOADING
                 : g                               ? MODEL_KEPT
                 : v->has_failed                   ? MODEL_FAILED
                                                   : MODEL_AVAILABLE,
        .problem = v->problem[0] ? v->problem : NULL,
        .report = v->report,
        .generation = g,
        .manifest = g ? g->manifest : v->manifest,
    };
}

size_t model_set_count(const struct model_set *set)
{
    return set->list.count;
}

struct model_version_info model_set_at(const struct model_set *set, size_t i)
{
    return describe(set, &set->list.items[set->list.count - 1 - i]);
}

bool model_set_find(const struct model_set *set, const char *version,
                    struct model_version_info *out)
{
    const struct listed_version *v = model_list_find(&set->list, version);
    if (v) {
        *out = describe(set, v);
    }
    return v != NULL;
}

const struct generation *model_set_kept(const struct model_set *set, size_t i)
{
    return i < set->n_kept ? set->kept[i] : NULL;
}

struct generation *model_set_find_kept(const struct model_set *set, const char *asked,
                                       struct err *e)
{
    char ids[256] = "";
    for (size_t i = 0; i < set->n_kept; i++) {
        if (generation_is_named(set->kept[i], asked)) {
            return set->kept[i];
        }
        size_t len = strlen(ids);
        snprintf(ids + len, sizeof(ids) - len, ", \"%.130s\"", set->kept[i]->id);
    }
    err_set_param(e, ERR_NOT_FOUND, "model",
                  "the model \"%.100s\" is not loaded here; \"%s\" (\"%s\")%s may be asked for",
                  asked, model_set_name(set), set->server->generation->id, ids);
    return NULL;
}

/* --- publishing --- */

static void answer_error(struct http_exchange *ex, int status, const char *code,
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

static void answer_outcome(struct model_set *set, struct http_exchange *ex, const char *outcome)
{
    if (ex) {
        struct admin_model shown;
        generation_describe(set->server->generation, &shown);
        size_t len = 0;
        char *text = admin_reload_text(outcome, &shown, &len);
        respond_json(ex, 200, text, len, NULL, 0);
    }
}

/* Takes the reference over: nothing more is asked of it. */
static void let_go(struct model_set *set, struct generation *g)
{
    prompt_set_remove(&set->server->prompts, g);
    generation_unref(g);
}

/* Takes the reference over. */
static void keep(struct model_set *set, struct generation *g)
{
    if (set->keep == 0) {
        let_go(set, g);
        return;
    }
    if (set->n_kept == set->keep) {
        let_go(set, set->kept[--set->n_kept]);
    }
    memmove(set->kept + 1, set->kept, set->n_kept * sizeof(set->kept[0]));
    set->kept[0] = g;
    set->n_kept++;
}

/* The reference that the list had is the caller's then. */
static void take_out(struct model_set *set, const struct generation *g)
{
    for (size_t i = 0; i < set->n_kept; i++) {
        if (set->kept[i] == g) {
            set->n_kept--;
            memmove(&set->kept[i], &set->kept[i + 1], (set->n_kept - i) * sizeof(set->kept[0]));
            return;
        }
    }
}

static void remember(struct model_set *set, const struct generation *g)
{
    if (set->n_history == HISTORY_MAX) {
        memmove(set->history, set->history + 1, (HISTORY_MAX - 1) * sizeof(set->history[0]));
        set->n_history--;
    }
    struct past *p = &set->history[set->n_history++];
    snprintf(p->version, sizeof(p->version), "%.*s", MODEL_REPO_NAME_MAX, g->model->version);
    p->number = g->number;
}

/* Takes the reference over. */
static void publish(struct model_set *set, struct generation *g, bool is_rollback)
{
    struct generation *old = set->server->generation;
    if (old) {
        generation_ref(old);
    }
    if (is_rollback) {
        set->n_history--;
    } else if (old) {
        remember(set, old);
    }
    server_publish_generation(set->server, g);
    if (old) {
        keep(set, old);
    }
}

/* --- loading --- */

static void prepare(struct model_set *set, struct model_load *l, const char *version)
{
    struct server *s = set->server;
    *l = (struct model_load){.repo = &set->repo,
                             .settings = s->set.generation,
                             .serving = s->generation ? generation_ref(s->generation) : NULL,
                             .no_prompt = s->no_prompt};
    snprintf(l->version, sizeof(l->version), "%s", version);
    prompt_set_plan(&s->prompts, &l->ahead);
}

/* Notes what became of an attempt. 0: there is a generation, tied to the loop. */
static int conclude(struct model_set *set, struct model_load *l)
{
    struct server *s = set->server;
    struct listed_version *v = model_list_get(&set->list, l->version);
    int rc = l->generation
                 ? generation_serve(l->generation, &s->loop, s->next_generation, &l->e)
                 : -1;
    if (rc == 0) {
        s->next_generation++;
        prompt_set_add(&s->prompts, l->generation, &l->ahead);
    } else {
        log_error("model %s@%s: %s", set->repo.name, l->version, l->e.message);
    }
    if (v) {
        mem_free(v->report);
        v->report = l->report;
        l->report = NULL;
        /* Files that changed under the load are offered again when they stand still. */
        v->has_failed = rc != 0 && l->e.kind != ERR_CONFLICT;
        snprintf(v->problem, sizeof(v->problem), "%s", rc != 0 ? l->e.message : "");
    }
    return rc;
}

static void load_next(struct model_set *set);

static void after_attempt(struct model_set *set, struct attempt *a)
{
    struct model_load *l = &a->load;
    if (set->is_stopped || set->server->stopping) {
        answer_error(a->ex, 503, "stopping", "the server is stopping");
    } else if (l->is_unchanged) {
        log_info("reload: the files of %s have not changed", l->serving->id);
        answer_outcome(set, a->ex, "unchanged");
    } else if (conclude(set, l) != 0) {
        answer_error(a->ex, 422, "load_failed", l->e.message);
    } else {
        publish(set, l->generation, a->is_rollback);
        l->generation = NULL;
        answer_outcome(set, a->ex, "published");
    }
}

static void release(struct model_set *set)
{
    if (!set->is_stopped || set->attempt || set->watch) {
        return;
    }
    model_list_deinit(&set->list);
    model_repo_close(&set->repo);
    mem_free(set);
}

static void run_on_worker(uv_work_t *work)
{
    struct attempt *a = work->data;
    model_load_run(&a->load);
}

static void read_more_on_worker(uv_work_t *work)
{
    struct attempt *a = work->data;
    model_load_read_more(&a->load);
}

static void after_work(uv_work_t *work, int status)
{
    struct attempt *a = work->data;
    struct model_set *set = a->set;
    (void)status; /* it is never cancelled */
    if (!set->server->stopping && model_load_plan_more(&a->load, &set->server->prompts) &&
        uv_queue_work(&set->server->loop, work, read_more_on_worker, after_work) == 0) {
        return;
    }
    set->attempt = NULL;
    after_attempt(set, a);
    model_load_deinit(&a->load);
    mem_free(a);
    if (set->is_stopped) {
        release(set);
    } else {
        load_next(set);
    }
}

static uint64_t kept_bytes(const struct model_set *set)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < set->n_kept; i++) {
        bytes += set->kept[i]->model->file_bytes;
    }
    return bytes;
}

/* What serves stays while the next one is loaded. Kept versions make room for it, if that does
 * any good. */
static int make_room(struct model_set *set, const struct listed_version *v, struct err *e)
{
    uint64_t left = memory_left();
    if (left >= v->bytes) {
        return 0;
    }
    if (left + kept_bytes(set) < v->bytes) {
        return err_set(e, ERR_LIMIT,
                       "the model has %llu MiB, and %llu MiB of memory are left beside the "
                       "version that serves",
                       (unsigned long long)(v->bytes >> 20), (unsigned long long)(left >> 20));
    }
    log_warn("model %s@%s: memory is short, %zu kept versions go", set->repo.name, v->name,
             set->n_kept);
    while (set->n_kept > 0) {
        let_go(set, set->kept[--set->n_kept]);
    }
    return 0;
}

/* A version that is not even tried. */
static int refuse(struct model_set *set, struct listed_version *v, struct http_exchange *ex,
                  const struct err *e)
{
    log_error("model %s@%s: %s", set->repo.name, v->name, e->message);
    snprintf(v->problem, sizeof(v->problem), "%s", e->message);
    v->has_failed = true;
    answer_error(ex, 422, "load_failed", e->message);
    return 0;
}

/* 0: it has begun, or is refused for good. */
static int begin(struct model_set *set, struct http_exchange *ex, const char *version,
                 bool is_rollback, bool if_changed)
{
    struct listed_version *v = model_list_find(&set->list, version);
    struct err why = {0};
    if (v && make_room(set, v, &why) != 0) {
        return refuse(set, v, ex, &why);
    }
    struct attempt *a = mem_zalloc(sizeof(*a));
    int rc = -1;
    if (a) {
        prepare(set, &a->load, version);
        a->work.data = a;
        a->set = set;
        a->ex = ex;
        a->is_rollback = is_rollback;
        a->load.if_changed = if_changed;
        rc = uv_queue_work(&set->server->loop, &a->work, run_on_worker, after_work);
    }
    if (rc != 0) {
        log_error("model %s@%s: no memory or thread to load it", set->repo.name, version);
        answer_error(ex, 503, "out_of_memory", "the server is out of memory");
        if (a) {
            model_load_deinit(&a->load);
            mem_free(a);
        }
        return -1;
    }
    log_info("model %s@%s is being loaded", set->repo.name, version);
    set->attempt = a;
    return 0;
}

/* The newest that is wanted; of those that are older than what serves meanwhile, none. */
static void load_next(struct model_set *set)
{
    const char *serving = set->server->generation->model->version;
    for (size_t i = set->list.count; i-- > 0 && !set->attempt && !set->server->stopping;) {
        struct listed_version *v = &set->list.items[i];
        bool is_wanted = v->is_wanted && model_version_compare(v->name, serving) >= 0;
        v->is_wanted = false;
        if (is_wanted && begin(set, NULL, v->name, false, true) != 0) {
            v->still = 0; /* at the next look again */
        }
    }
}

/* --- what a look has found --- */

static void merge(struct model_set *set)
{
    model_list_take(&set->list, &set->repo);
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        bool is_used = loaded(set, v->name) ||
                       (set->attempt && strcmp(set->attempt->load.version, v->name) == 0);
        if (!v->is_there && !is_used) {
            log_info("model %s@%s is gone", set->repo.name, v->name);
            model_list_remove(&set->list, v);
        }
    }
}

static void on_look(void *ctx)
{
    struct model_set *set = ctx;
    merge(set);
    load_next(set);
}

static void on_watch_over(void *ctx)
{
    struct model_set *set = ctx;
    set->watch = NULL;
    release(set);
}

/* --- the start --- */

/* Nothing serves yet, so there is nobody to keep waiting. */
static int load_at_start(struct model_set *set, struct listed_version *v, struct err *e)
{
    struct model_load l;
    v->is_wanted = false;
    prepare(set, &l, v->name);
    model_load_run(&l);
    int rc = conclude(set, &l);
    *e = l.e;
    if (rc == 0) {
        publish(set, l.generation, false);
        l.generation = NULL;
    }
    model_load_deinit(&l);
    return rc;
}

static int load_newest(struct model_set *set, struct err *e)
{
    err_set(e, ERR_NOT_FOUND, "%s/%s: no version is in it", set->repo.root, set->repo.name);
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        if (!v->is_wanted) {
            err_set(e, ERR_INVALID, "%s@%s: %s", set->repo.name, v->name, v->problem);
        } else if (load_at_start(set, v, e) == 0) {
            load_next(set); /* older ones are not wanted any more */
            return 0;
        }
    }
    return -1;
}

struct model_set *model_set_start(struct server *s, const char *root, const char *name,
                                  int keep_n, struct err *e)
{
    struct model_set *set = mem_zalloc(sizeof(*set));
    if (!set) {
        err_nomem(e);
        return NULL;
    }
    set->server = s;
    set->keep = (size_t)(keep_n < MODEL_SET_KEPT_MAX ? keep_n : MODEL_SET_KEPT_MAX);
    if (model_repo_open(&set->repo, root, name, e) != 0) {
        mem_free(set);
        return NULL;
    }
    int rc = model_watch_first(&set->repo, e);
    if (rc == 0) {
        merge(set);
        rc = load_newest(set, e);
    }
    if (rc == 0) {
        set->watch = model_watch_start(&s->loop, &set->repo, on_look, on_watch_over, set, e);
        rc = set->watch ? 0 : -1;
    }
    if (rc != 0) {
        set->is_stopped = true;
        release(set);
        return NULL;
    }
    return set;
}

void model_set_stop(struct model_set *set)
{
    if (!set) {
        return;
    }
    set->is_stopped = true;
    while (set->n_kept > 0) {
        let_go(set, set->kept[--set->n_kept]);
    }
    model_watch_stop(set->watch);
}

/* --- what admins ask for --- */

static bool is_busy(const struct model_set *set, struct http_exchange *ex)
{
    if (set->attempt) {
        answer_error(ex, 409, "load_running", "another version is being loaded just now");
    }
    return set->attempt != NULL;
}

/* A version's name, or a label that one has, the newest of them. */
static const struct listed_version *resolve(const struct model_set *set, const char *text)
{
    const struct listed_version *v = model_list_find(&set->list, text);
    for (size_t i = set->list.count; !v && i-- > 0;) {
        const struct model_manifest *m = describe(set, &set->list.items[i]).manifest;
        if (m && model_manifest_has_label(m, text)) {
            v = &set->list.items[i];
        }
    }
    return v;
}

static void answer_unknown(const struct model_set *set, struct http_exchange *ex,
                           const char *version)
{
    char names[256] = "";
    char message[ERR_MESSAGE_MAX];
    for (size_t i = set->list.count; i-- > 0;) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
                 set->list.items[i].name);
    }
    snprintf(message, sizeof(message), "%s has no version \"%.64s\"; there are: %s",
             model_set_name(set), version, names);
    answer_error(ex, 404, "version_not_found", message);
}

void model_set_activate(struct model_set *set, struct http_exchange *ex, const char *version)
{
    const struct listed_version *v = resolve(set, version);
    if (!v) {
        answer_unknown(set, ex, version);
        return;
    }
    struct generation *g = loaded(set, v->name);
    if (g == set->server->generation) {
        answer_outcome(set, ex, "unchanged");
    } else if (!is_busy(set, ex)) {
        if (g) {
            take_out(set, g);
            publish(set, g, false);
            answer_outcome(set, ex, "published");
        } else {
            begin(set, ex, v->name, false, false);
        }
    }
}

static struct generation *kept_number(const struct model_set *set, uint64_t number)
{
    for (size_t i = 0; i < set->n_kept; i++) {
        if (set->kept[i]->number == number) {
            return set->kept[i];
        }
    }
    return NULL;
}

void model_set_roll_back(struct model_set *set, struct http_exchange *ex)
{
    if (is_busy(set, ex)) {
        return;
    }
    if (set->n_history == 0) {
        answer_error(ex, 409, "no_earlier_version", "no other version served before this one");
        return;
    }
    const struct past *p = &set->history[set->n_history - 1];
    struct generation *g = kept_number(set, p->number);
    if (!g && !model_list_find(&set->list, p->version)) {
        answer_unknown(set, ex, p->version);
        return;
    }
    if (g) {
        take_out(set, g);
        publish(set, g, true);
        answer_outcome(set, ex, "published");
    } else {
        begin(set, ex, p->version, true, false);
    }
}

void model_set_reload(struct model_set *set, struct http_exchange *ex, bool force)
{
    model_watch_now(set->watch);
    if (!is_busy(set, ex)) {
        begin(set, ex, set->server->generation->model->version, false, !force);
    }
}

void model_set_abandon(struct model_set *set, struct http_exchange *ex)
{
    if (set && set->attempt && set->attempt->ex == ex) {
        set->attempt->ex = NULL;
    }
}

#include "runtime/serve/model_set.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/memory_left.h"
#include "runtime/serve/model_canary.h"
#include "runtime/serve/model_label.h"
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
    bool is_automatic;       /* nobody asked for it: model.json may want a canary */
    struct model_hold *hold; /* NULL: it is to serve */
};

struct model_set {
    struct server *server;
    struct model_repo repo; /* `watch` has it; its root and name may be read by all */
    struct model_watch *watch;
    struct model_list list;
    struct generation *kept[MODEL_SET_HELD_MAX]; /* (n_kept), the latest first */
    size_t n_kept;
    size_t keep; /* of those that are not in use */
    struct model_traffic traffic;
    struct model_canary *canary;      /* NULL before the start and after the stop */
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

struct generation *model_set_serving(const struct model_set *set)
{
    return set->server->generation;
}

struct model_traffic *model_set_traffic(struct model_set *set)
{
    return &set->traffic;
}

const struct model_labels *model_set_moved_labels(const struct model_set *set)
{
    return &set->traffic.labels;
}

struct model_canary *model_set_canary(const struct model_set *set)
{
    return set->canary;
}

struct server *model_set_server(const struct model_set *set)
{
    return set->server;
}

static struct generation *loaded(const struct model_set *set, const char *version)
{
    if (is_version(model_set_serving(set), version)) {
        return model_set_serving(set);
    }
    for (size_t i = 0; i < set->n_kept; i++) {
        if (is_version(set->kept[i], version)) {
            return set->kept[i];
        }
    }
    return NULL;
}

struct generation *model_set_loaded(const struct model_set *set, const char *version)
{
    return loaded(set, version);
}

const char *model_state_name(enum model_state state)
{
    static const char *const names[] = {"available", "loading", "serving", "kept",
                                        "failed",    "split",   "shadow",  "canary"};
    return names[state];
}

static bool is_tried(const struct model_set *set, const struct generation *g)
{
    return set->canary && model_canary_uses(set->canary, g);
}

enum model_state model_set_state(const struct model_set *set, const struct generation *g)
{
    return g == model_set_serving(set)           ? MODEL_SERVING
           : is_tried(set, g)                    ? MODEL_CANARY
           : g == set->traffic.split.generation  ? MODEL_SPLIT
           : g == set->traffic.shadow.generation ? MODEL_SHADOW
                                                 : MODEL_KEPT;
}

static struct model_version_info describe(const struct model_set *set,
                                          const struct listed_version *v)
{
    struct generation *g = loaded(set, v->name);
    bool loading = set->attempt && strcmp(set->attempt->load.version, v->name) == 0;
    return (struct model_version_info){
        .name = v->name,
        .state = g && g == model_set_serving(set) ? MODEL_SERVING
                 : loading                        ? MODEL_LOADING
                 : g                              ? model_set_state(set, g)
                 : v->has_failed                  ? MODEL_FAILED
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
    const char *version = model_label_asked(set, asked);
    struct generation *labelled = version ? loaded(set, version) : NULL;
    if (labelled) {
        return labelled;
    }
    for (size_t i = 0; i < set->n_kept; i++) {
        if (generation_is_named(set->kept[i], asked)) {
            return set->kept[i];
        }
        size_t len = strlen(ids);
        snprintf(ids + len, sizeof(ids) - len, ", \"%.130s\"", set->kept[i]->id);
    }
    err_set_param(e, ERR_NOT_FOUND, "model",
                  "the model \"%.100s\" is not loaded here; \"%s\" (\"%s\")%s may be asked for",
                  asked, model_set_name(set), model_set_serving(set)->id, ids);
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
        generation_describe(model_set_serving(set), &shown);
        model_label_list(set, model_set_serving(set)->model->version, &shown.labels);
        size_t len = 0;
        char *text = admin_reload_text(outcome, &shown, &len);
        respond_json(ex, 200, text, len, NULL, 0);
    }
}

static void take_out_at(struct model_set *set, size_t i)
{
    set->n_kept--;
    memmove(&set->kept[i], &set->kept[i + 1], (set->n_kept - i) * sizeof(set->kept[0]));
}

static bool is_in_use(const struct model_set *set, const struct generation *g)
{
    return model_traffic_uses(&set->traffic, g) || is_tried(set, g);
}

/* Those that stepped aside for copies of requests are of no other use. */
static void trim_to(struct model_set *set, size_t most)
{
    size_t spare = 0;
    for (size_t i = 0; i < set->n_kept;) {
        struct generation *g = set->kept[i];
        if (is_in_use(set, g)) {
            i++;
        } else if (g->is_aside || spare == most) {
            take_out_at(set, i);
            generation_unref(g);
        } else {
            spare++;
            i++;
        }
    }
}

void model_set_trim(struct model_set *set)
{
    trim_to(set, set->keep);
}

/* Takes the reference over. There is room: what is not in use was trimmed. */
static void hold(struct model_set *set, struct generation *g)
{
    memmove(set->kept + 1, set->kept, set->n_kept * sizeof(set->kept[0]));
    set->kept[0] = g;
    set->n_kept++;
}

/* The reference that the list had is the caller's then. */
static void take_out(struct model_set *set, const struct generation *g)
{
    for (size_t i = 0; i < set->n_kept; i++) {
        if (set->kept[i] == g) {
            take_out_at(set, i);
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
    struct generation *old = model_set_serving(set);
    if (old) {
        generation_ref(old);
    }
    if (is_rollback) {
        set->n_history--;
    } else if (old) {
        remember(set, old);
    }
    server_publish_generation(set->server, g);
    model_traffic_drop(&set->traffic, g->model->version, "it serves now");
    if (old) {
        hold(set, old);
    }
    model_set_trim(set);
    if (set->canary) {
        model_canary_published(set->canary, g);
    }
}

/* --- canaries --- */

/* Those of the same name could not be told apart, and vectors show nothing. */
static bool wants_canary(const struct model_set *set, const struct attempt *a)
{
    const struct generation *g = a->load.generation;
    return a->is_automatic && g->engine && g->manifest && g->manifest->has_canary &&
           !is_version(model_set_serving(set), g->model->version);
}

/* Takes the reference over. */
static void try_on_share(struct model_set *set, struct generation *g)
{
    struct err e = {0};
    hold(set, g);
    if (model_canary_begin(set->canary, g, &g->manifest->canary, MODEL_MANIFEST_FILE, &e) !=
        0) {
        log_error("model %s: no canary: %s", g->id, e.message);
        model_set_trim(set);
    }
}

void model_set_promote(struct model_set *set, struct generation *g)
{
    take_out(set, g);
    publish(set, g, false);
}

void model_set_reject(struct model_set *set, const struct generation *g, const char *reason)
{
    struct listed_version *v = model_list_find(&set->list, g->model->version);
    if (v) {
        v->has_failed = true;
        snprintf(v->problem, sizeof(v->problem), "canary: %s", reason);
    }
    for (size_t i = 0; i < set->n_kept; i++) {
        if (set->kept[i] == g) {
            generation_unref(set->kept[i]);
            take_out_at(set, i);
            break;
        }
    }
}

/* --- loading --- */

/* The active prompts, to be read ahead. */
static int take_prompts(struct model_load *l, const struct prompt_set *prompts, struct err *e)
{
    l->prompts = mem_zarray(prompts->count + 1, sizeof(struct prompt *));
    if (!l->prompts) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < prompts->count; i++) {
        l->prompts[l->n_prompts++] = prompt_ref(prompts->profiles[i]->active.prompt);
    }
    return 0;
}

static int prepare(struct model_set *set, struct model_load *l, const char *version,
                   struct err *e)
{
    struct server *s = set->server;
    *l = (struct model_load){.repo = &set->repo,
                             .settings = s->set.generation,
                             .serving = s->generation ? generation_ref(s->generation) : NULL,
                             .no_prompt = s->no_prompt};
    snprintf(l->version, sizeof(l->version), "%s", version);
    return take_prompts(l, &s->prompts, e);
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

/* It stays if it is in use then. */
static void hand_over(struct model_set *set, struct model_hold *to, struct http_exchange *ex,
                      struct generation *g)
{
    to->done(to, ex, g);
    model_set_trim(set);
}

static void after_attempt(struct model_set *set, struct attempt *a)
{
    struct model_load *l = &a->load;
    struct generation *g = NULL; /* for a->hold */
    if (set->is_stopped || set->server->stopping) {
        answer_error(a->ex, 503, "stopping", "the server is stopping");
    } else if (l->is_unchanged) {
        log_info("reload: the files of %s have not changed", l->serving->id);
        answer_outcome(set, a->ex, "unchanged");
    } else if (conclude(set, l) != 0) {
        answer_error(a->ex, 422, "load_failed", l->e.message);
    } else if (a->hold) {
        g = l->generation;
        l->generation = NULL;
        hold(set, g);
    } else if (wants_canary(set, a)) {
        try_on_share(set, l->generation);
        l->generation = NULL;
    } else {
        publish(set, l->generation, a->is_rollback);
        l->generation = NULL;
        answer_outcome(set, a->ex, "published");
    }
    if (a->hold) {
        hand_over(set, a->hold, g ? a->ex : NULL, g);
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

static void after_work(uv_work_t *work, int status)
{
    struct attempt *a = work->data;
    struct model_set *set = a->set;
    (void)status; /* it is never cancelled */
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
        bytes += is_in_use(set, set->kept[i]) ? 0 : set->kept[i]->model->file_bytes;
    }
    return bytes;
}

/* What serves stays while the next one is loaded. Kept versions that are not in use make room
 * for it, if that does any good. */
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
    log_warn("model %s@%s: memory is short, kept versions go", set->repo.name, v->name);
    trim_to(set, 0);
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
    struct err e = {0};
    struct attempt *a = mem_zalloc(sizeof(*a));
    int rc = a ? prepare(set, &a->load, version, &e) : -1;
    if (rc == 0) {
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

/* The newest that is wanted; of those that are older than what serves meanwhile, none, and
 * where an admin brings versions in, none at all. */
static void load_next(struct model_set *set)
{
    if (model_canary_is_running(set->canary)) {
        return; /* it would decide against a version that is gone */
    }
    const char *serving = model_set_serving(set)->model->version;
    for (size_t i = set->list.count; i-- > 0 && !set->attempt && !set->server->stopping;) {
        struct listed_version *v = &set->list.items[i];
        bool is_wanted = v->is_wanted && !set->server->set.publish_manually &&
                         model_version_compare(v->name, serving) >= 0;
        v->is_wanted = false;
        if (is_wanted && begin(set, NULL, v->name, false, true) != 0) {
            v->still = 0; /* at the next look again */
        }
        if (is_wanted && set->attempt) {
            set->attempt->is_automatic = true;
        }
    }
}

void model_set_go_on(struct model_set *set)
{
    if (!set->attempt && !set->is_stopped) {
        load_next(set);
    }
}

/* --- what a look has found --- */

static void merge(struct model_set *set)
{
    model_list_take(&set->list, &set->repo);
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        if (!v->is_there) {
            model_traffic_drop(&set->traffic, v->name, "its files are gone");
        }
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
    int rc = prepare(set, &l, v->name, e);
    v->is_wanted = false;
    if (rc == 0) {
        model_load_run(&l);
        rc = conclude(set, &l);
        *e = l.e;
    }
    if (rc == 0) {
        publish(set, l.generation, false);
        l.generation = NULL;
    }
    model_load_deinit(&l);
    return rc;
}

/* label NULL: whichever labels they have. */
static int load_first(struct model_set *set, const char *label, struct err *e)
{
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        if (label && !(v->is_wanted && model_manifest_has_label(v->manifest, label))) {
            continue;
        }
        if (!v->is_wanted) {
            err_set(e, ERR_INVALID, "%s@%s: %s", set->repo.name, v->name, v->problem);
        } else if (load_at_start(set, v, e) == 0) {
            load_next(set); /* older ones are not wanted any more */
            return 0;
        }
    }
    return -1;
}

static int load_newest(struct model_set *set, struct err *e)
{
    err_set(e, ERR_NOT_FOUND, "%s/%s: no version is in it", set->repo.root, set->repo.name);
    return set->server->set.publish_manually && load_first(set, "stable", e) == 0
               ? 0
               : load_first(set, NULL, e);
}

static void stop_canary(struct model_set *set)
{
    model_canary_stop(set->canary);
    set->canary = NULL;
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
    model_traffic_init(&set->traffic, set);
    set->canary = model_canary_create(set, e);
    set->keep = (size_t)(keep_n < MODEL_SET_KEPT_MAX ? keep_n : MODEL_SET_KEPT_MAX);
    if (!set->canary || model_repo_open(&set->repo, root, name, e) != 0) {
        stop_canary(set);
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
        stop_canary(set);
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
    stop_canary(set);
    model_traffic_stop(&set->traffic);
    while (set->n_kept > 0) {
        generation_unref(set->kept[--set->n_kept]);
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

/* A version's name, or a label. */
static const struct listed_version *resolve(const struct model_set *set, const char *text)
{
    const char *version = model_label_resolve(set, text);
    return version ? model_list_find(&set->list, version) : NULL;
}

void model_set_answer_unknown(const struct model_set *set, struct http_exchange *ex,
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

/* A generation of the version that can take requests. */
static struct generation *ready(const struct model_set *set, const char *version)
{
    struct generation *g = loaded(set, version);
    return g && !g->is_aside ? g : NULL;
}

bool model_set_is_current(const struct model_set *set, const struct generation *g)
{
    const struct listed_version *v = model_list_find(&set->list, g->model->version);
    return !v || !v->is_there || v->still == g->stamp;
}

void model_set_hold(struct model_set *set, struct http_exchange *ex, const char *version,
                    struct model_hold *to)
{
    const struct listed_version *v = resolve(set, version);
    struct generation *g = v ? ready(set, v->name) : NULL;
    if (!v) {
        model_set_answer_unknown(set, ex, version);
    } else if (g && model_set_is_current(set, g)) {
        hand_over(set, to, ex, g);
        return;
    } else if (!is_busy(set, ex)) {
        begin(set, ex, v->name, false, false);
        if (set->attempt) {
            set->attempt->hold = to;
            return;
        }
    }
    hand_over(set, to, NULL, NULL);
}

void model_set_activate(struct model_set *set, struct http_exchange *ex, const char *version)
{
    const struct listed_version *v = resolve(set, version);
    if (!v) {
        model_set_answer_unknown(set, ex, version);
        return;
    }
    struct generation *g = ready(set, v->name);
    if (g && g == model_set_serving(set)) {
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
        if (set->kept[i]->number == number && !set->kept[i]->is_aside) {
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
        model_set_answer_unknown(set, ex, p->version);
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
        begin(set, ex, model_set_serving(set)->model->version, false, !force);
    }
}

void model_set_abandon(struct model_set *set, struct http_exchange *ex)
{
    if (set && set->attempt && set->attempt->ex == ex) {
        set->attempt->ex = NULL;
    }
}

#include "runtime/serve/model_set.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_canary.h"
#include "runtime/serve/model_label.h"
#include "runtime/serve/model_set_parts.h"
#include "runtime/serve/model_wait.h"

const char *model_set_name(const struct model_set *set)
{
    return set->repo.name;
}

bool model_set_is_default(const struct model_set *set)
{
    return set->is_default;
}

struct model_journal *model_set_journal(const struct model_set *set)
{
    return set->journal;
}

struct generation *model_set_serving(const struct model_set *set)
{
    return set->serving;
}

const char *model_set_unloaded(const struct model_set *set)
{
    return set->serving ? "" : set->resume;
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

/* --- the list --- */

static bool is_version(const struct generation *g, const char *name)
{
    return g && strcmp(g->model->version, name) == 0;
}

static bool is_loading(const struct model_set *set, const char *version)
{
    return set->attempt && strcmp(set->attempt->load.version, version) == 0;
}

struct generation *model_set_loaded(const struct model_set *set, const char *version)
{
    if (is_version(set->serving, version)) {
        return set->serving;
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
    static const char *const names[] = {"available", "loading", "serving", "kept",
                                        "failed",    "split",   "shadow",  "canary"};
    return names[state];
}

bool model_set_is_tried(const struct model_set *set, const struct generation *g)
{
    return set->canary && model_canary_uses(set->canary, g);
}

enum model_state model_set_state_of(const struct model_set *set, const struct generation *g)
{
    return g == set->serving                     ? MODEL_SERVING
           : model_set_is_tried(set, g)          ? MODEL_CANARY
           : g == set->traffic.split.generation  ? MODEL_SPLIT
           : g == set->traffic.shadow.generation ? MODEL_SHADOW
                                                 : MODEL_KEPT;
}

static struct model_version_info describe(const struct model_set *set,
                                          const struct listed_version *v)
{
    struct generation *g = model_set_loaded(set, v->name);
    bool loading = is_loading(set, v->name);
    return (struct model_version_info){
        .name = v->name,
        .state = g && g == set->serving ? MODEL_SERVING
                 : loading              ? MODEL_LOADING
                 : g                    ? model_set_state_of(set, g)
                 : v->has_failed        ? MODEL_FAILED
                                        : MODEL_AVAILABLE,
        .problem = v->problem[0] ? v->problem : NULL,
        .may_pass = v->may_pass,
        .report = v->report,
        .generation = g,
        .manifest = g ? g->manifest : v->manifest,
        .sha256 = g                      ? g->model->sha256
                  : v->sha256[0] != '\0' ? v->sha256
                  : v->manifest          ? v->manifest->sha256
                                         : NULL,
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

enum model_state model_set_state(const struct model_set *set)
{
    bool any_left = set->list.count == 0;
    for (size_t i = 0; i < set->list.count; i++) {
        any_left = any_left || !set->list.items[i].has_failed;
    }
    return set->serving                                            ? MODEL_SERVING
           : set->attempt && set->attempt->purpose != LOAD_TO_KEEP ? MODEL_LOADING
           : set->n_kept > 0                                       ? MODEL_KEPT
           : any_left                                              ? MODEL_AVAILABLE
                                                                   : MODEL_FAILED;
}

const char *model_set_problem(const struct model_set *set)
{
    for (size_t i = set->list.count; !set->serving && i-- > 0;) {
        if (set->list.items[i].problem[0]) {
            return set->list.items[i].problem;
        }
    }
    return NULL;
}

uint64_t model_set_memory(const struct model_set *set)
{
    uint64_t bytes = set->serving ? set->serving->memory_bytes : 0;
    for (size_t i = 0; i < set->n_kept; i++) {
        bytes += set->kept[i]->memory_bytes;
    }
    return bytes;
}

/* --- what requests name --- */

struct generation *model_set_find_loaded(const struct model_set *set, const char *asked)
{
    if (set->serving && generation_is_named(set->serving, asked)) {
        return set->serving;
    }
    for (size_t i = 0; i < set->n_kept; i++) {
        if (asked[strlen(set->repo.name)] == '@' && generation_is_named(set->kept[i], asked)) {
            return set->kept[i];
        }
    }
    return NULL;
}

bool model_set_find_version(const struct model_set *set, const char *pin,
                            struct model_version_info *out)
{
    static const char by_hash[] = "sha256:";
    const char *hash =
        strncmp(pin, by_hash, sizeof(by_hash) - 1) == 0 ? pin + sizeof(by_hash) - 1 : NULL;
    size_t len = hash ? strlen(hash) : 0;
    if (!hash) {
        return model_set_find(set, pin, out);
    }
    for (size_t i = 0; len >= MODEL_PIN_HASH_MIN && i < model_set_count(set); i++) {
        *out = model_set_at(set, i);
        if (out->sha256 && strncmp(out->sha256, hash, len) == 0) {
            return true;
        }
    }
    return false;
}

/* The other names of a version, in brackets: `id`, if it is not NULL, and its labels. */
static void append_aliases(const struct model_set *set, const char *version, const char *id,
                           struct buf *out)
{
    struct admin_labels labels;
    model_label_list(set, version, &labels);
    if (id) {
        buf_printf(out, " (\"%s\"", id);
    }
    for (size_t i = 0; i < labels.n; i++) {
        buf_printf(out, "%s\"%s@%s\"", id || i > 0 ? ", " : " (", set->repo.name,
                   labels.items[i]);
    }
    buf_append_str(out, id || labels.n > 0 ? ")" : "");
}

void model_set_list_names(const struct model_set *set, bool all, struct buf *out)
{
    const char *name = set->repo.name;
    if (set->serving) {
        buf_printf(out, "%s\"%s\"", out->len ? ", " : "", name);
        append_aliases(set, set->serving->model->version, set->serving->id, out);
    } else if (all) {
        buf_printf(out, "%s\"%s\"", out->len ? ", " : "", name);
    }
    for (size_t i = 0; i < model_set_count(set); i++) {
        struct model_version_info v = model_set_at(set, i);
        bool is_named = v.generation ? v.generation != set->serving : all;
        if (is_named) {
            buf_printf(out, "%s\"%s@%s\"", out->len ? ", " : "", name, v.name);
            append_aliases(set, v.name, NULL, out);
        }
    }
}

/* --- what is loaded next --- */

/* After the model was unloaded: what served then, or what is newer and came meanwhile, unless
 * an admin brings versions in. Where that fails, and before anything has served, the newest
 * that has not. NULL: all have. */
struct listed_version *model_set_newest_able(const struct model_set *set)
{
    struct listed_version *any = NULL;
    bool has_last = set->resume[0] != '\0';
    bool is_fixed = has_last && set->server->set.publish_manually;
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        if (v->has_failed || !v->is_there) {
            continue;
        }
        int order = has_last ? model_version_compare(v->name, set->resume) : 1;
        if (order == 0 || (order > 0 && v->is_wanted && !is_fixed)) {
            return v;
        }
        any = any ? any : v;
    }
    return any;
}

/* Some version is to serve. */
static int begin_any(struct model_set *set, struct err *e)
{
    struct listed_version *v = model_set_newest_able(set);
    if (!v) {
        set->is_wanted = set->is_default || (set->is_wanted && set->list.count == 0);
        const char *problem = model_set_problem(set);
        return err_set(e, ERR_NOT_FOUND, "%s has no version that can serve%s%s", set->repo.name,
                       problem ? ": " : "", problem ? problem : "");
    }
    const struct load_wish wish = {.version = v->name, .purpose = LOAD_TO_SERVE};
    struct generation *g = model_set_loaded(set, v->name);
    v->is_wanted = false;
    set->is_wanted = true;
    if (g && !g->is_aside) {
        const struct publish_wish now = {.purpose = LOAD_TO_SERVE};
        model_publish(set, generation_ref(g), &now);
        return 0;
    }
    return model_attempt_begin(set, &wish) == 0 ? 0 : err_nomem(e);
}

/* The newest that is wanted; of those that are older than what serves meanwhile, none. */
static void load_newer(struct model_set *set)
{
    if (model_canary_is_running(set->canary)) {
        return; /* it would decide against a version that is gone */
    }
    const char *serving = set->serving->model->version;
    if (set->server->upgrade) {
        return; /* the new process takes the newest one */
    }
    for (size_t i = set->list.count; i-- > 0 && !set->attempt && !set->server->stopping;) {
        struct listed_version *v = &set->list.items[i];
        bool is_wanted = v->is_wanted && !set->server->set.publish_manually &&
                         model_version_compare(v->name, serving) >= 0;
        const struct load_wish wish = {.version = v->name, .if_changed = true};
        v->is_wanted = false;
        if (is_wanted && model_attempt_begin(set, &wish) != 0) {
            v->still = 0; /* at the next look again */
        }
    }
}

void model_set_go_on(struct model_set *set)
{
    struct err e = {0};
    if (set->is_stopped || set->attempt || set->publication ||
        (set->server->stopping && !model_wait_has(set))) {
        return;
    }
    if (set->serving && !model_restore_next(set)) {
        load_newer(set);
    } else if (!set->serving && set->is_wanted) {
        begin_any(set, &e);
    }
}

int model_set_want(struct model_set *set, const char *version, struct err *e)
{
    if (set->attempt) {
        return 0; /* its turn comes */
    }
    if (!version[0]) {
        return begin_any(set, e);
    }
    const struct listed_version *v = model_list_find(&set->list, version);
    if (!v || v->has_failed) {
        return err_set(e, ERR_NOT_FOUND, "%s@%s cannot be loaded: %s", set->repo.name, version,
                       v ? v->problem : "it is gone");
    }
    const struct load_wish wish = {.version = version, .purpose = LOAD_TO_KEEP};
    return model_attempt_begin(set, &wish) == 0 ? 0 : err_nomem(e);
}

bool model_set_is_coming(const struct model_set *set)
{
    return set->attempt && set->attempt->purpose != LOAD_TO_KEEP;
}

bool model_set_is_deciding(const struct model_set *set)
{
    return set->publication != NULL;
}

void model_set_drop_idle(struct model_set *set, uint64_t before_ns)
{
    struct generation *g = set->serving;
    if (g && !set->attempt && model_set_may_drop(set, g) && g->used_ns < before_ns) {
        log_info("model %s: unloaded, nobody has used it", g->id);
        model_set_drop(set, g, "idle");
    }
    for (size_t i = set->n_kept; i-- > 0;) {
        g = set->kept[i];
        bool may_go = g->was_asked_for || !set->serving;
        if (may_go && model_set_may_drop(set, g) && g->used_ns < before_ns) {
            log_info("model %s: unloaded, nobody has used it", g->id);
            model_set_drop(set, g, "idle");
        }
    }
}

/* --- what a look has found --- */

static void merge(struct model_set *set)
{
    model_list_take(&set->list, &set->repo);
    model_state_recall(set->journal, &set->list);
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        if (!v->is_there) {
            model_traffic_drop(&set->traffic, v->name, "its files are gone");
        }
        if (!v->is_there && !model_set_loaded(set, v->name) && !is_loading(set, v->name)) {
            log_info("model %s@%s is gone", set->repo.name, v->name);
            model_list_remove(&set->list, v);
        }
    }
}

static int look(void *ctx, struct err *e)
{
    struct model_set *set = ctx;
    return model_repo_look(&set->repo, e);
}

static bool is_moving(const void *ctx)
{
    const struct model_set *set = ctx;
    return set->repo.is_moving;
}

static void on_look(void *ctx)
{
    struct model_set *set = ctx;
    merge(set);
    model_set_go_on(set);
}

static void on_watch_over(void *ctx)
{
    struct model_set *set = ctx;
    set->watch = NULL;
    model_set_release(set);
}

/* --- life --- */

/* And goes on from where an earlier server was. */
static int open_journal(struct model_set *set, struct err *e)
{
    struct server *s = set->server;
    set->journal =
        model_state_open(&s->loop, s->database, s->set.state_path != NULL, set->repo.name, e);
    if (!set->journal) {
        return -1;
    }
    const struct model_record *r = model_state_record(set->journal);
    for (size_t i = 0; i < r->n_past; i++) {
        model_set_remember(set, r->past[i].version, 0);
    }
    snprintf(set->resume, sizeof(set->resume), "%s", r->active.version);
    model_restore_prepare(set);
    return 0;
}

struct model_set *model_set_open(struct model_catalog *c, const char *root, const char *name,
                                 bool is_default, struct err *e)
{
    struct model_set *set = mem_zalloc(sizeof(*set));
    if (!set) {
        err_nomem(e);
        return NULL;
    }
    set->server = c->server;
    set->catalog = c;
    set->is_default = set->is_wanted = is_default;
    model_traffic_init(&set->traffic, set);
    set->canary = model_canary_create(set, e);
    int keep = c->server->set.keep_generations;
    set->keep = (size_t)(keep < MODEL_SET_KEPT_MAX ? keep : MODEL_SET_KEPT_MAX);
    if (!set->canary || model_repo_open(&set->repo, root, name, e) != 0) {
        model_canary_stop(set->canary);
        mem_free(set);
        return NULL;
    }
    if (open_journal(set, e) != 0) {
        model_canary_stop(set->canary);
        model_repo_close(&set->repo);
        mem_free(set);
        return NULL;
    }
    return set;
}

int model_set_look(struct model_set *set, struct err *e)
{
    return model_repo_look(&set->repo, e);
}

/* What served in an earlier server. */
static int load_last(struct model_set *set, struct err *e)
{
    char name[MODEL_REPO_NAME_MAX + 1];
    memcpy(name, set->resume, sizeof(name));
    struct listed_version *v = model_list_find(&set->list, name);
    set->resume[0] = '\0';
    if (v && v->manifest) {
        return model_attempt_at_start(set, v, e);
    }
    return err_set(e, ERR_NOT_FOUND, "%s@%s: %s", set->repo.name, name,
                   v ? v->problem : "it is gone");
}

/* have_failed: those that an earlier server tried, and whose files are still the same. label
 * NULL: whichever labels they have. */
static int load_newest(struct model_set *set, bool have_failed, const char *label,
                       struct err *e)
{
    for (size_t i = set->list.count; i-- > 0;) {
        struct listed_version *v = &set->list.items[i];
        bool is_meant = !label || (v->manifest && model_manifest_has_label(v->manifest, label));
        if (v->has_failed != have_failed || !is_meant) {
            continue;
        }
        if (!v->manifest) {
            err_set(e, ERR_INVALID, "%s@%s: %s", set->repo.name, v->name, v->problem);
        } else if (model_attempt_at_start(set, v, e) == 0) {
            return 0;
        }
    }
    return -1;
}

int model_set_load_at_start(struct model_set *set, struct err *e)
{
    struct err why = {0};
    merge(set);
    bool has_last = set->resume[0] != '\0';
    int rc = has_last ? load_last(set, &why) : -1;
    if (rc != 0) {
        err_set(e, ERR_NOT_FOUND, "%s/%s: no version is in it", set->repo.root, set->repo.name);
        rc = set->server->set.publish_manually ? load_newest(set, false, "stable", e) : -1;
        rc = rc == 0 || load_newest(set, false, NULL, e) == 0 ? 0
                                                              : load_newest(set, true, NULL, e);
    }
    if (rc == 0) {
        model_publish_started(set, why.message);
        model_set_go_on(set); /* older ones are not wanted any more */
    }
    return rc;
}

int model_set_watch(struct model_set *set, struct err *e)
{
    char path[PATH_MAX];
    if (file_join(path, sizeof(path), set->repo.root, set->repo.name, e) != 0) {
        return -1;
    }
    const struct model_watched what = {.path = path,
                                       .look = look,
                                       .is_moving = is_moving,
                                       .on_look = on_look,
                                       .on_over = on_watch_over,
                                       .ctx = set};
    merge(set);
    set->watch = model_watch_start(&set->server->loop, &what, e);
    return set->watch ? 0 : -1;
}

void model_set_load_soon(struct model_set *set)
{
    set->is_wanted = true;
}

void model_set_release(struct model_set *set)
{
    if (!set->is_stopped || set->attempt || set->journal || set->watch) {
        return;
    }
    model_list_deinit(&set->list);
    model_repo_close(&set->repo);
    mem_free(set);
}

static void on_journal_over(void *ctx)
{
    struct model_set *set = ctx;
    set->journal = NULL;
    model_set_release(set);
}

void model_set_stop(struct model_set *set)
{
    set->is_stopped = true;
    model_canary_stop(set->canary);
    set->canary = NULL;
    model_traffic_stop(&set->traffic);
    while (set->n_kept > 0) {
        generation_unref(set->kept[--set->n_kept]);
    }
    generation_unref(set->serving);
    set->serving = NULL;
    model_attempt_cancel(set);
    if (set->watch) {
        model_watch_stop(set->watch);
    }
    model_state_close(set->journal, on_journal_over, set);
}

void model_set_folder_gone(struct model_set *set, bool is_gone)
{
    if (is_gone != set->is_gone) {
        log_info("model %s: its folder is %s", set->repo.name,
                 is_gone ? "gone" : "there again");
    }
    set->is_gone = is_gone;
}

bool model_set_may_go(const struct model_set *set)
{
    return set->is_gone && !set->is_default && !set->serving && set->n_kept == 0 &&
           !set->attempt && !set->publication && !model_wait_has(set);
}

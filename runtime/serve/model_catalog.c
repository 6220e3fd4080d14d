#include "runtime/serve/model_catalog.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_set_parts.h"

#define TICK_MS 250

struct model_set *model_catalog_find(const struct model_catalog *c, const char *name,
                                     size_t len)
{
    for (size_t i = 0; i < c->n_sets; i++) {
        const char *found = model_set_name(c->sets[i]);
        if (strlen(found) == len && memcmp(found, name, len) == 0) {
            return c->sets[i];
        }
    }
    return NULL;
}

bool model_catalog_is_loading(const struct model_catalog *c)
{
    bool any = c->line != NULL;
    for (size_t i = 0; i < c->n_sets; i++) {
        any = any || model_set_is_deciding(c->sets[i]);
    }
    return any;
}

/* Whether `name` is one of "a,b,c". */
static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    while (*list) {
        size_t n = strcspn(list, ",");
        if (n == len && memcmp(list, name, n) == 0) {
            return true;
        }
        list += n + (list[n] == ',');
    }
    return false;
}

/* --- memory --- */

static void on_gone(void *ctx, const struct generation *g)
{
    struct model_catalog *c = ctx;
    c->used -= g->memory_bytes;
    c->n_generations--;
    if (!c->is_stopped) {
        model_attempt_room_changed(c);
    }
}

void model_catalog_count_in(struct model_catalog *c, struct generation *g)
{
    g->on_gone = on_gone;
    g->on_gone_ctx = c;
    c->used += g->memory_bytes;
    c->n_generations++;
}

static void on_tick(uv_timer_t *timer)
{
    struct model_catalog *c = timer->data;
    uint64_t idle_ns = (uint64_t)c->server->set.unload_idle_s * 1000000000;
    uint64_t now = clock_now_ns();
    for (size_t i = 0; idle_ns > 0 && i < c->n_sets; i++) {
        model_set_drop_idle(c->sets[i], now > idle_ns ? now - idle_ns : 0);
    }
    model_attempt_room_changed(c);
    model_attempt_next_turn(c);
    if (idle_ns == 0 && !c->waits_for_room) {
        uv_timer_stop(timer);
    }
}

void model_catalog_tick(struct model_catalog *c)
{
    if (!uv_is_active((uv_handle_t *)&c->timer)) {
        uv_timer_start(&c->timer, on_tick, TICK_MS, TICK_MS);
    }
}

/* --- models come and go --- */

static bool is_to_be_loaded(const struct model_catalog *c, const char *name)
{
    const char *which = c->server->set.models_loaded;
    return strcmp(which, "all") == 0 || is_listed(which, name);
}

/* Where it belongs. */
static int insert(struct model_catalog *c, struct model_set *set, struct err *e)
{
    struct model_set **moved =
        mem_realloc_array(c->sets, c->n_sets + 1, sizeof(struct model_set *));
    if (!moved) {
        return err_nomem(e);
    }
    c->sets = moved;
    size_t at = c->n_sets;
    while (at > 0 &&
           model_version_compare(model_set_name(c->sets[at - 1]), model_set_name(set)) > 0) {
        at--;
    }
    memmove(&c->sets[at + 1], &c->sets[at], (c->n_sets - at) * sizeof(struct model_set *));
    c->sets[at] = set;
    c->n_sets++;
    return 0;
}

static struct model_set *add(struct model_catalog *c, const char *name, bool is_default,
                             struct err *e)
{
    struct model_set *set = model_set_open(c, c->server->set.repo_path, name, is_default, e);
    if (set && insert(c, set, e) != 0) {
        model_set_stop(set);
        return NULL;
    }
    return set;
}

static void remove_set(struct model_catalog *c, struct model_set *set)
{
    size_t i = 0;
    while (c->sets[i] != set) {
        i++;
    }
    c->n_sets--;
    memmove(&c->sets[i], &c->sets[i + 1], (c->n_sets - i) * sizeof(struct model_set *));
    model_set_stop(set);
}

static bool is_found(const struct model_repo_names *found, const char *name)
{
    for (size_t i = 0; i < found->count; i++) {
        if (strcmp(found->items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int add_while_serving(struct model_catalog *c, const char *name, struct err *e)
{
    struct model_set *set = add(c, name, false, e);
    if (!set) {
        return -1;
    }
    if (model_set_watch(set, e) != 0) {
        remove_set(c, set);
        return -1;
    }
    log_info("model %s: its folder has appeared", name);
    if (!c->server->set.repo_model) {
        log_warn("the repository has several models now: the next start wants --model %s",
                 model_set_name(c->main));
    }
    if (is_to_be_loaded(c, name)) {
        model_set_load_soon(set);
    }
    return 0;
}

/* What stays wrong is told once. */
static void log_problem(struct model_catalog *c, const struct err *problem)
{
    if (problem->kind != ERR_NONE && strcmp(problem->message, c->problem) != 0) {
        log_error("--repo: %s", problem->message);
    }
    snprintf(c->problem, sizeof(c->problem), "%s", problem->message);
}

static void on_look(void *ctx)
{
    struct model_catalog *c = ctx;
    struct err problem = {0}; /* the last one */
    for (size_t i = 0; i < c->found.count; i++) {
        const char *name = c->found.items[i];
        if (!model_catalog_find(c, name, strlen(name))) {
            add_while_serving(c, name, &problem);
        }
    }
    log_problem(c, &problem);
    for (size_t i = c->n_sets; i-- > 0;) {
        model_set_folder_gone(c->sets[i], !is_found(&c->found, model_set_name(c->sets[i])));
        if (model_set_may_go(c->sets[i])) {
            remove_set(c, c->sets[i]);
        }
    }
}

static int look(void *ctx, struct err *e)
{
    struct model_catalog *c = ctx;
    model_repo_names_deinit(&c->found);
    return model_repo_list_models(&c->root, &c->found, e);
}

static bool is_moving(const void *ctx)
{
    (void)ctx;
    return false;
}

static void on_watch_over(void *ctx)
{
    struct model_catalog *c = ctx;
    c->watch = NULL;
}

/* --- the start --- */

/* The default alone may not fail; of the others some may be wrong, and are looked at again. */
static int add_others(struct model_catalog *c, struct err *e)
{
    if (model_repo_list_models(&c->root, &c->found, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < c->found.count; i++) {
        const char *name = c->found.items[i];
        struct err problem = {0};
        if (!model_catalog_find(c, name, strlen(name)) && !add(c, name, false, &problem)) {
            log_error("model %s: %s", name, problem.message);
        }
    }
    return 0;
}

static int look_at_all(struct model_catalog *c, struct err *e)
{
    for (size_t i = 0; i < c->n_sets; i++) {
        struct err problem = {0};
        if (model_set_look(c->sets[i], &problem) == 0) {
            continue;
        }
        if (c->sets[i] == c->main) {
            *e = problem;
            return -1;
        }
        log_error("model %s: %s", model_set_name(c->sets[i]), problem.message);
    }
    return 0;
}

/* Those that --models-loaded names, but "all" and "default". */
static int check_names(const struct model_catalog *c, struct err *e)
{
    const char *which = c->server->set.models_loaded;
    if (strcmp(which, "all") == 0 || strcmp(which, "default") == 0) {
        return 0;
    }
    while (*which) {
        size_t len = strcspn(which, ",");
        if (!model_catalog_find(c, which, len)) {
            return err_set(e, ERR_NOT_FOUND, "--models-loaded: %s has no model \"%.*s\"",
                           c->root.root, (int)(len < 100 ? len : 100), which);
        }
        which += len + (which[len] == ',');
    }
    return 0;
}

/* The default first. */
static int load_all(struct model_catalog *c, struct err *e)
{
    if (model_set_load_at_start(c->main, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < c->n_sets; i++) {
        const char *name = model_set_name(c->sets[i]);
        if (c->sets[i] == c->main || !is_to_be_loaded(c, name)) {
            continue;
        }
        struct err problem = {0};
        if (model_set_load_at_start(c->sets[i], &problem) == 0) {
            continue;
        }
        if (is_listed(c->server->set.models_loaded, name)) {
            *e = problem;
            return -1;
        }
        log_error("model %s is not loaded: %s", name, problem.message);
    }
    return 0;
}

static int watch_all(struct model_catalog *c, struct err *e)
{
    const struct model_watched what = {.path = c->root.root,
                                       .look = look,
                                       .is_moving = is_moving,
                                       .on_look = on_look,
                                       .on_over = on_watch_over,
                                       .ctx = c};
    for (size_t i = 0; i < c->n_sets; i++) {
        if (model_set_watch(c->sets[i], e) != 0) {
            return -1;
        }
    }
    c->watch = model_watch_start(&c->server->loop, &what, e);
    return c->watch ? 0 : -1;
}

static int begin(struct model_catalog *c, struct err *e)
{
    const struct server_settings *set = &c->server->set;
    if (model_repo_open_root(&c->root, set->repo_path, e) != 0) {
        return -1;
    }
    c->main = add(c, set->repo_model, true, e);
    if (!c->main || add_others(c, e) != 0 || check_names(c, e) != 0 || look_at_all(c, e) != 0) {
        return -1;
    }
    uv_sleep(MODEL_WATCH_APART_MS);
    return look_at_all(c, e) == 0 && load_all(c, e) == 0 ? watch_all(c, e) : -1;
}

struct model_catalog *model_catalog_create(struct server *s, struct err *e)
{
    struct model_catalog *c = mem_zalloc(sizeof(*c));
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    c->server = s;
    c->root.fd = -1;
    c->timer.data = c;
    uv_timer_init(&s->loop, &c->timer);
    return c;
}

int model_catalog_start(struct model_catalog *c, struct err *e)
{
    if (begin(c, e) != 0) {
        return -1;
    }
    c->is_started = true;
    if (c->server->set.unload_idle_s > 0) {
        model_catalog_tick(c);
    }
    return 0;
}

void model_catalog_stop(struct model_catalog *c)
{
    if (!c || c->is_stopped) {
        return;
    }
    c->is_stopped = true;
    while (c->n_sets > 0) {
        model_set_stop(c->sets[--c->n_sets]);
    }
    c->main = NULL;
    if (c->watch) {
        model_watch_stop(c->watch);
    }
    uv_close((uv_handle_t *)&c->timer, NULL);
}

void model_catalog_destroy(struct model_catalog *c)
{
    if (c) {
        model_repo_names_deinit(&c->found);
        model_repo_close(&c->root);
        mem_free(c->sets);
        mem_free(c);
    }
}

void model_catalog_reload(struct model_catalog *c)
{
    model_watch_now(c->watch);
    for (size_t i = 0; i < c->n_sets; i++) {
        model_set_reload(c->sets[i], NULL, false);
    }
}

void model_catalog_retire(struct model_catalog *c)
{
    for (size_t i = 0; c && i < c->n_sets; i++) {
        model_state_retire(model_set_journal(c->sets[i]));
    }
}

void model_catalog_abandon(struct model_catalog *c, struct http_exchange *ex)
{
    for (size_t i = 0; c && i < c->n_sets; i++) {
        model_set_abandon(c->sets[i], ex);
    }
}

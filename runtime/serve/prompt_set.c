#include "runtime/serve/prompt_set.h"

#include <string.h>

#include "models/arch/kv_cache.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/prompt_prefix.h"

/* --- versions that are ready --- */

static void release(struct served_prompt *p)
{
    prompt_unref(p->prompt);
    token_list_deinit(&p->prefix);
    *p = (struct served_prompt){0};
}

static void free_profile(struct served_profile *p)
{
    release(&p->active);
    release(&p->split);
    mem_free(p);
}

void prompt_set_deinit(struct prompt_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free_profile(set->profiles[i]);
    }
    mem_free(set->profiles);
    *set = (struct prompt_set){0};
}

static struct served_profile *find(const struct prompt_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->profiles[i]->state.name, name) == 0) {
            return set->profiles[i];
        }
    }
    return NULL;
}

const struct served_profile *prompt_set_find(const struct prompt_set *set, const char *name)
{
    return find(set, name);
}

struct prompt *prompt_set_choose(const struct served_profile *profile, uint64_t sticky)
{
    /* Fibonacci hashing: neighbours fall far apart. */
    uint64_t mixed = sticky * 0x9E3779B97F4A7C15u;
    bool tried =
        profile->split.prompt && (int)((mixed >> 32) % 100) < profile->state.split_percent;
    return tried ? profile->split.prompt : profile->active.prompt;
}

/* Pages are found whole. */
static size_t whole_pages(size_t tokens)
{
    return tokens / KV_PAGE_POSITIONS * KV_PAGE_POSITIONS;
}

static const struct served_prompt *find_served(const struct prompt_set *set,
                                               const struct prompt *prompt)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct served_profile *p = set->profiles[i];
        if (p->active.prompt == prompt || p->split.prompt == prompt) {
            return p->active.prompt == prompt ? &p->active : &p->split;
        }
    }
    return NULL;
}

const struct token_list *prompt_set_prefix(const struct prompt_set *set,
                                           const struct prompt *prompt)
{
    const struct served_prompt *served = find_served(set, prompt);
    return served ? &served->prefix : NULL;
}

void prompt_set_count(struct prompt_set *set, const struct prompt *prompt, bool has_values,
                      size_t cached_tokens)
{
    const struct served_prompt *served = find_served(set, prompt);
    if (prompt->version == 0) {
        return; /* there was nothing to find */
    }
    if (!served) {
        set->stats.not_served++;
    } else if (whole_pages(served->prefix.count) == 0 || served->pin == 0) {
        set->stats.not_read++;
    } else if (cached_tokens >= whole_pages(served->prefix.count)) {
        set->stats.hits++;
    } else if (has_values) {
        set->stats.variables++;
    } else {
        set->stats.evicted++;
    }
}

/* --- publishing --- */

struct publication {
    struct engine_user user; /* first */
    struct prompt_set *set;
    struct generation *generation;
    struct served_profile *next;
    int reading; /* requests that the engine has */
    void (*done)(void *user);
    void *done_user;
};

static void let_go(const struct generation *g, const struct served_prompt *p)
{
    if (g && g->engine && p->pin != 0) {
        engine_unpin(g->engine, p->pin);
    }
}

static void drop_profile(const struct generation *g, struct served_profile *p)
{
    let_go(g, &p->active);
    let_go(g, &p->split);
    free_profile(p);
}

static int add(struct prompt_set *set, struct served_profile *p, struct err *e)
{
    struct served_profile **moved =
        mem_realloc_array(set->profiles, set->count + 1, sizeof(struct served_profile *));
    if (!moved) {
        return err_nomem(e);
    }
    set->profiles = moved;
    set->profiles[set->count++] = p;
    return 0;
}

static void remove_profile(struct prompt_set *set, const struct generation *g, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        struct served_profile *p = set->profiles[i];
        if (strcmp(p->state.name, name) == 0) {
            drop_profile(g, p);
            set->profiles[i] = set->profiles[--set->count];
            return;
        }
    }
}

/* Whether a newer state was faster: states come here in another order than they were made. */
static bool is_outdated(const struct prompt_set *set, const struct version_state *state)
{
    const struct served_profile *served = find(set, state->name);
    if (served && served->state.revision > state->revision) {
        return true;
    }
    return version_removals_after(&set->removals, state->name, state->revision);
}

/* The profile is gone, also for states from before that are still being read. */
static void take_out(struct prompt_set *set, const struct version_state *state)
{
    if (is_outdated(set, state)) {
        return;
    }
    version_removals_add(&set->removals, state->name, state->revision);
    remove_profile(set, set->generation, state->name);
}

/* The swap. */
static void swap_in(struct publication *p)
{
    struct prompt_set *set = p->set;
    struct err e = {0};
    if (is_outdated(set, &p->next->state)) {
        drop_profile(p->generation, p->next);
        return;
    }
    remove_profile(set, p->generation, p->next->state.name);
    log_info("prompt %s: version %llu (sha256 %.12s) is published", p->next->state.name,
             (unsigned long long)p->next->active.prompt->version,
             p->next->active.prompt->sha256);
    if (add(set, p->next, &e) != 0) {
        log_error("prompt %s: %s", p->next->state.name, e.message);
        drop_profile(p->generation, p->next);
    }
}

static void finish(struct publication *p)
{
    struct served_profile *next = p->next;
    struct err e = {0};
    /* Another model has been published meanwhile: what was read is of no use to it. */
    if (p->set->generation != p->generation &&
        prompt_set_publish(p->set, &next->state, next->active.prompt, next->split.prompt,
                           p->done, p->done_user, &e) == 0) {
        drop_profile(p->generation, next);
    } else {
        swap_in(p);
        if (p->done) {
            p->done(p->done_user);
        }
    }
    generation_unref(p->generation);
    mem_free(p);
}

static void on_read(struct engine_user *user, const struct engine_event *ev)
{
    struct publication *p = (struct publication *)user;
    if (ev->finish != ENGINE_RUNNING && --p->reading == 0) {
        finish(p);
    }
}

/* A version that cannot be read ahead is served all the same, only slower at first. */
static void read_ahead(struct publication *p, struct served_prompt *served)
{
    struct err e = {0};
    bool started = false;
    uint64_t pin = ++p->set->next_pin;
    if (!served->prompt || !p->generation || !p->generation->engine) {
        return;
    }
    if (prompt_prefix_find(p->generation, served->prompt, &served->prefix, &e) != 0 ||
        prompt_prefix_read(p->generation, &served->prefix, pin, &p->user, &started, &e) != 0) {
        log_warn("prompt %s: not read ahead: %s", p->next->state.name, e.message);
    }
    served->pin = started ? pin : 0;
    p->reading += started;
}

int prompt_set_publish(struct prompt_set *set, const struct version_state *state,
                       struct prompt *active, struct prompt *split, void (*done)(void *user),
                       void *user, struct err *e)
{
    if (!active) {
        take_out(set, state);
        if (done) {
            done(user);
        }
        return 0;
    }
    struct publication *p = mem_zalloc(sizeof(*p));
    struct served_profile *next = mem_zalloc(sizeof(*next));
    if (!p || !next) {
        mem_free(p);
        mem_free(next);
        return err_nomem(e);
    }
    next->state = *state;
    next->active.prompt = prompt_ref(active);
    next->split.prompt = split ? prompt_ref(split) : NULL;
    *p = (struct publication){.user = {.on_event = on_read},
                              .set = set,
                              .generation =
                                  set->generation ? generation_ref(set->generation) : NULL,
                              .next = next,
                              .done = done,
                              .done_user = user};
    /* One more, so that it is not over before all have begun. */
    p->reading = 1;
    read_ahead(p, &next->active);
    read_ahead(p, &next->split);
    if (--p->reading == 0) {
        finish(p);
    }
    return 0;
}

/* --- another model --- */

static struct served_profile *next_to_warm(const struct prompt_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->profiles[i]->is_cold) {
            return set->profiles[i];
        }
    }
    return NULL;
}

static void warm_all(struct prompt_set *set);

static void on_warmed(void *user)
{
    struct prompt_set *set = user;
    set->is_reading = false;
    if (!set->is_warming) {
        warm_all(set);
    }
}

/* One after the other, so that the loop has its turn between them: to make tokens of a long
 * prompt takes a while. A profile with nothing to read is done at once, within the call. */
static void warm_all(struct prompt_set *set)
{
    struct served_profile *p;
    set->is_warming = true;
    while (!set->is_reading && (p = next_to_warm(set)) != NULL) {
        struct err e = {0};
        const struct version_state state = p->state;
        p->is_cold = false;
        set->is_reading = true;
        if (prompt_set_publish(set, &state, p->active.prompt, p->split.prompt, on_warmed, set,
                               &e) != 0) {
            set->is_reading = false;
            log_warn("prompt %s: not read ahead: %s", state.name, e.message);
        }
    }
    set->is_warming = false;
}

void prompt_set_warm(struct prompt_set *set, struct generation *g)
{
    for (size_t i = 0; i < set->count; i++) {
        struct served_profile *p = set->profiles[i];
        p->is_cold = true;
        let_go(set->generation, &p->active); /* it may stay loaded */
        let_go(set->generation, &p->split);
        p->active.pin = p->split.pin = 0;
        /* Of another model's tokens nothing is shared. */
        p->active.prefix.count = p->split.prefix.count = 0;
    }
    set->generation = g;
    warm_all(set);
}

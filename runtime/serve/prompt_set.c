#include "runtime/serve/prompt_set.h"

#include <string.h>

#include "models/arch/kv_cache.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"

/* An engine holds no more (KV_PINS_MAX). */
#define PLANNED_MAX 64

/* --- versions that are served --- */

static void release(struct served_prompt *p)
{
    prompt_readings_drop(&p->readings);
    prompt_unref(p->prompt);
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

static struct prompt_reading *reading_on(const struct served_prompt *p,
                                         const struct generation *g)
{
    struct prompt_reading *r = p->readings;
    while (r && r->generation != g) {
        r = r->next;
    }
    return r;
}

const struct token_list *prompt_set_prefix(const struct prompt_set *set,
                                           const struct prompt *prompt,
                                           const struct generation *g)
{
    const struct served_prompt *served = find_served(set, prompt);
    const struct prompt_reading *r = served ? reading_on(served, g) : NULL;
    return r ? prompt_reading_prefix(r) : NULL;
}

/* Pages are found whole. */
static size_t whole_pages(size_t tokens)
{
    return tokens / KV_PAGE_POSITIONS * KV_PAGE_POSITIONS;
}

void prompt_set_count(struct prompt_set *set, const struct prompt *prompt,
                      const struct generation *g, bool has_values, size_t cached_tokens)
{
    const struct served_prompt *served = find_served(set, prompt);
    const struct prompt_reading *r = served ? reading_on(served, g) : NULL;
    if (prompt->version == 0) {
        return; /* there was nothing to find */
    }
    if (!served) {
        set->stats.not_served++;
    } else if (!r || r->state != PROMPT_READING_HELD || whole_pages(r->prefix.count) == 0) {
        set->stats.not_read++;
    } else if (cached_tokens >= whole_pages(r->prefix.count)) {
        set->stats.hits++;
    } else if (has_values) {
        set->stats.variables++;
    } else {
        set->stats.evicted++;
    }
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

static void remove_profile(struct prompt_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        struct served_profile *p = set->profiles[i];
        if (strcmp(p->state.name, name) == 0) {
            set->profiles[i] = set->profiles[--set->count];
            free_profile(p);
            return;
        }
    }
}

/* --- changes on their way --- */

struct publication {
    struct served_profile *next_profile;
    uint64_t deadline_ns; /* for the generations that it need not wait for; 0: not yet */
    void (*done)(void *user);
    void *done_user;
    struct publication *next;
};

/* Whether a newer state was faster: states come here in another order than they were made. */
static bool is_outdated(const struct prompt_set *set, const struct version_state *state)
{
    const struct served_profile *served = find(set, state->name);
    if (served && served->state.revision > state->revision) {
        return true;
    }
    return version_removals_after(&set->removals, state->name, state->revision);
}

/* The swap. */
static void swap_in(struct prompt_set *set, struct served_profile *next)
{
    struct err e = {0};
    if (is_outdated(set, &next->state)) {
        free_profile(next);
        return;
    }
    remove_profile(set, next->state.name);
    log_info("prompt %s: version %llu (sha256 %.12s) is published", next->state.name,
             (unsigned long long)next->active.prompt->version, next->active.prompt->sha256);
    if (add(set, next, &e) != 0) {
        log_error("prompt %s: %s", next->state.name, e.message);
        free_profile(next);
    }
}

static void finish(struct prompt_set *set, struct publication *p)
{
    swap_in(set, p->next_profile);
    if (p->done) {
        p->done(p->done_user);
    }
    mem_free(p);
}

/* --- whose turn it is --- */

static void visit_profile(struct served_profile *p,
                          void (*visit)(void *ctx, struct served_prompt *p), void *ctx)
{
    visit(ctx, &p->active);
    if (p->split.prompt) {
        visit(ctx, &p->split);
    }
}

/* Those first for which somebody waits. */
static void visit_all(struct prompt_set *set, void (*visit)(void *ctx, struct served_prompt *p),
                      void *ctx)
{
    for (struct publication *p = set->publications; p; p = p->next) {
        visit_profile(p->next_profile, visit, ctx);
    }
    for (size_t i = 0; i < set->count; i++) {
        visit_profile(set->profiles[i], visit, ctx);
    }
}

/* Of the generation that serves, or of all others. */
struct turn {
    bool is_taken;
    struct prompt_reading *next;
};

struct turns {
    const struct generation *serving;
    struct turn serving_turn, others_turn;
};

static void look_for_turns(void *ctx, struct served_prompt *p)
{
    struct turns *t = ctx;
    for (struct prompt_reading *r = p->readings; r; r = r->next) {
        struct turn *turn = r->generation == t->serving ? &t->serving_turn : &t->others_turn;
        if (r->state == PROMPT_READING_FINDS || r->state == PROMPT_READING_READS) {
            turn->is_taken = true;
        } else if (r->state == PROMPT_READING_WAITS &&
                   (!turn->next || r->tries < turn->next->tries)) {
            turn->next = r;
        }
    }
}

static uint64_t others_deadline(const struct prompt_set *set)
{
    uint32_t ms = set->others_ms > 0 ? set->others_ms : PROMPT_SET_OTHERS_MS;
    return clock_now_ns() + (uint64_t)ms * 1000000;
}

static void settle(struct prompt_set *set);

static void on_end(void *user)
{
    settle(user);
}

static void begin_next(struct prompt_set *set)
{
    for (;;) {
        struct turns t = {.serving = set->serving};
        visit_all(set, look_for_turns, &t);
        if (t.serving_turn.next && !t.serving_turn.is_taken) {
            prompt_reading_begin(t.serving_turn.next, 0, on_end, set);
        } else if (t.others_turn.next && !t.others_turn.is_taken && !t.serving_turn.is_taken) {
            prompt_reading_begin(t.others_turn.next, others_deadline(set), on_end, set);
        } else {
            return;
        }
    }
}

struct progress {
    const struct generation *serving;
    bool serving_is_over, others_are_over;
};

static void look_at_progress(void *ctx, struct served_prompt *p)
{
    struct progress *progress = ctx;
    for (const struct prompt_reading *r = p->readings; r; r = r->next) {
        if (!prompt_reading_is_over(r)) {
            *(r->generation == progress->serving ? &progress->serving_is_over
                                                 : &progress->others_are_over) = false;
        }
    }
}

bool prompt_set_is_reading(struct prompt_set *set)
{
    struct progress progress = {
        .serving = set->serving, .serving_is_over = true, .others_are_over = true};
    visit_all(set, look_at_progress, &progress);
    return !progress.serving_is_over;
}

/* Enough has been read for the swap, or there will be none. */
static bool is_ready(const struct prompt_set *set, struct publication *p)
{
    if (is_outdated(set, &p->next_profile->state)) {
        return true;
    }
    struct progress progress = {
        .serving = set->serving, .serving_is_over = true, .others_are_over = true};
    visit_profile(p->next_profile, look_at_progress, &progress);
    if (progress.serving_is_over && p->deadline_ns == 0) {
        p->deadline_ns = others_deadline(set);
    }
    return progress.serving_is_over &&
           (progress.others_are_over || clock_now_ns() >= p->deadline_ns);
}

static struct publication *take_ready(struct prompt_set *set)
{
    for (struct publication **link = &set->publications; *link; link = &(*link)->next) {
        struct publication *p = *link;
        if (is_ready(set, p)) {
            *link = p->next;
            return p;
        }
    }
    return NULL;
}

/* After every change: begins what may begin, and ends what is done. What `done` calls may come
 * back here. */
static void settle(struct prompt_set *set)
{
    struct publication *p;
    begin_next(set);
    while ((p = take_ready(set)) != NULL) {
        finish(set, p);
        begin_next(set);
    }
}

/* --- publishing --- */

/* It is to be read ahead on g. */
static void expect(struct prompt_set *set, struct served_prompt *p, struct generation *g)
{
    struct prompt_reading *r = prompt_reading_create(p->prompt, g, ++set->next_pin);
    if (!r) {
        log_warn("prompt %s: not read ahead by %s: out of memory", p->prompt->name, g->id);
        return;
    }
    r->next = p->readings;
    p->readings = r;
}

static void expect_on_all(void *ctx, struct served_prompt *p)
{
    struct prompt_set *set = ctx;
    for (size_t i = 0; i < set->n_generations; i++) {
        expect(set, p, set->generations[i]);
    }
}

/* The profile is gone, also for states from before that are still being read. */
static void take_out(struct prompt_set *set, const struct version_state *state)
{
    if (is_outdated(set, state)) {
        return;
    }
    version_removals_add(&set->removals, state->name, state->revision);
    remove_profile(set, state->name);
    settle(set);
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
    visit_profile(next, expect_on_all, set);
    *p = (struct publication){.next_profile = next, .done = done, .done_user = user};
    struct publication **link = &set->publications;
    while (*link) {
        link = &(*link)->next;
    }
    *link = p;
    settle(set);
    return 0;
}

/* --- generations --- */

static struct prompt_reading **link_of(struct prompt_reading **planned,
                                       const struct prompt *prompt)
{
    while (*planned && (*planned)->prompt != prompt) {
        planned = &(*planned)->next;
    }
    return planned;
}

struct plan {
    struct prompt_set *set;
    struct prompt_reading **planned;
    size_t count; /* new ones */
};

static void plan_one(void *ctx, struct served_prompt *p)
{
    struct plan *plan = ctx;
    struct prompt_reading *r =
        *link_of(plan->planned, p->prompt) || plan->count == PLANNED_MAX
            ? NULL
            : prompt_reading_create(p->prompt, NULL, ++plan->set->next_pin);
    if (r) {
        r->next = *plan->planned;
        *plan->planned = r;
        plan->count++;
    }
}

bool prompt_set_plan(struct prompt_set *set, struct prompt_reading **planned)
{
    struct plan plan = {.set = set, .planned = planned};
    visit_all(set, plan_one, &plan);
    return plan.count > 0;
}

static size_t index_of(const struct prompt_set *set, const struct generation *g)
{
    size_t i = 0;
    while (i < set->n_generations && set->generations[i] != g) {
        i++;
    }
    return i;
}

struct addition {
    struct prompt_set *set;
    struct generation *generation;
    struct prompt_reading **planned;
};

/* What has been read of it, or will be. */
static void add_one(void *ctx, struct served_prompt *p)
{
    const struct addition *a = ctx;
    struct prompt_reading **link = link_of(a->planned, p->prompt);
    struct prompt_reading *r = *link;
    if (r) {
        *link = r->next;
        r->next = p->readings;
        p->readings = r;
    } else {
        expect(a->set, p, a->generation);
    }
}

void prompt_set_add(struct prompt_set *set, struct generation *g,
                    struct prompt_reading **planned)
{
    struct prompt_reading *none = NULL;
    struct addition a = {.set = set, .generation = g, .planned = planned ? planned : &none};
    bool is_new = index_of(set, g) == set->n_generations;
    if (!g->engine || !is_new) {
        prompt_readings_drop(a.planned);
        return;
    }
    for (struct prompt_reading *r = *a.planned; r; r = r->next) {
        prompt_reading_adopt(r, g);
    }
    if (set->n_generations < PROMPT_SET_GENERATIONS_MAX) {
        set->generations[set->n_generations++] = generation_ref_aside(g);
        visit_all(set, add_one, &a);
    } else {
        log_warn("model %s: prompts are not read ahead, %d versions of models are enough",
                 g->id, PROMPT_SET_GENERATIONS_MAX);
    }
    prompt_readings_drop(a.planned); /* of prompts that are not served any more */
    settle(set);
}

static void yield_one(void *ctx, struct served_prompt *p)
{
    const struct prompt_set *set = ctx;
    struct prompt_reading *r = reading_on(p, set->serving);
    if (r) {
        prompt_reading_yield(r, others_deadline(set));
    }
}

void prompt_set_serve(struct prompt_set *set, struct generation *g)
{
    if (set->serving == g || index_of(set, g) == set->n_generations) {
        return;
    }
    if (set->serving) {
        visit_all(set, yield_one, set);
    }
    set->serving = g;
    settle(set);
}

static void remove_one(void *ctx, struct served_prompt *p)
{
    struct prompt_reading **link = &p->readings;
    while (*link && (*link)->generation != ctx) {
        link = &(*link)->next;
    }
    struct prompt_reading *r = *link;
    if (r) {
        *link = r->next;
        prompt_reading_drop(r);
    }
}

void prompt_set_remove(struct prompt_set *set, const struct generation *removed)
{
    size_t i = index_of(set, removed);
    if (i == set->n_generations) {
        return;
    }
    struct generation *g = set->generations[i];
    set->generations[i] = set->generations[--set->n_generations];
    set->serving = set->serving == g ? NULL : set->serving;
    visit_all(set, remove_one, g);
    generation_unref_aside(g);
    settle(set);
}

void prompt_set_stop(struct prompt_set *set)
{
    while (set->n_generations > 0) {
        prompt_set_remove(set, set->generations[set->n_generations - 1]);
    }
}

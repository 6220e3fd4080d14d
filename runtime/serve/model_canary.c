#include "runtime/serve/model_canary.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/canary_reply.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/registry/canary_judge.h"
#include "runtime/serve/model_set.h"
#include "runtime/serve/model_state.h"
#include "runtime/serve/model_traffic.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"

#define TICK_MS 1000

enum { STABLE, CANARY, SIDES };

struct model_canary {
    struct model_set *set;
    uv_timer_t timer; /* runs while the canary does */

    char version[MODEL_REPO_NAME_MAX + 1]; /* "": there was none yet */
    char stable[MODEL_REPO_NAME_MAX + 1];
    char by[CANARY_BY_MAX + 1];
    struct generation *generation; /* a reference, while it runs or is kept */
    uint64_t stamp;                /* of its files */
    char sha256[HASH_HEX_LEN + 1];
    struct canary_plan plan;
    enum canary_state state;
    char reason[ERR_MESSAGE_MAX];
    const char *measure; /* that decided, or NULL */
    int64_t started_at, ended_at;
    uint64_t ends_ns; /* the plan's time is over */

    size_t step;
    int looks_taken; /* in this step */
    struct canary_sample samples[SIDES];
    int errors_in_row[SIDES];
    bool has_tripped; /* the guard */

    struct canary_look *looks; /* (n_looks) of all steps */
    size_t n_looks;
};

static const char *const state_names[] = {
#define X(id, name) name,
    CANARY_STATES(X)
#undef X
};

/* --- what the others see --- */

static struct metrics *metrics_of(const struct model_canary *c)
{
    return model_set_server(c->set)->metrics;
}

static void set_state(struct model_canary *c, enum canary_state state)
{
    c->state = state;
    for (int i = 0; i < CANARY_STATE_COUNT; i++) {
        const char *values[] = {model_set_name(c->set), c->version, state_names[i]};
        metrics_set(metrics_of(c), SERVER_METRIC_CANARY_STATE, values, i == (int)state);
    }
}

/* Who acts where nobody has asked. */
#define BY_ITSELF "canary"

static bool is_person(const char *who)
{
    return strcmp(who, BY_ITSELF) != 0 && strcmp(who, MODEL_MANIFEST_FILE) != 0;
}

/* What is kept over a restart: the report has the plan, and how far it has come. */
static void changed(const struct model_canary *c, const char *who, enum model_action action)
{
    struct err e = {0};
    size_t len = 0;
    char reason[ERR_MESSAGE_MAX + 16];
    char *report = model_canary_report(c, &len, &e);
    log_info("canary %s@%s: %s by %s", model_set_name(c->set), c->version,
             model_action_name(action), who);
    snprintf(reason, sizeof(reason), "%s%s",
             action == MODEL_ACTION_CANARY_ROLLBACK ? "canary: " : "", c->reason);
    const struct model_change change = {
        .action = action,
        .who = is_person(who) ? who : NULL,
        .version = c->version,
        .sha256 = c->sha256,
        .stamp = c->stamp,
        .replaced = c->stable,
        .percent = c->state == CANARY_STATE_KEPT ? c->plan.steps[c->step] : 0,
        .text = report,
        .reason = reason};
    model_state_changed(c->set, &change);
    mem_free(report);
}

static enum model_action action_of(enum canary_state state)
{
    return state == CANARY_STATE_PROMOTED      ? MODEL_ACTION_CANARY_PROMOTE
           : state == CANARY_STATE_ROLLED_BACK ? MODEL_ACTION_CANARY_ROLLBACK
                                               : MODEL_ACTION_CANARY_END;
}

bool model_canary_is_running(const struct model_canary *c)
{
    return c->generation && c->state == CANARY_STATE_RUNNING;
}

bool model_canary_uses(const struct model_canary *c, const struct generation *g)
{
    return c->generation == g;
}

/* --- the end --- */

/* The share ends, and so does all that was for it; the generation's reference is the caller's.
 */
static struct generation *take_down(struct model_canary *c)
{
    struct generation *g = c->generation;
    uv_timer_stop(&c->timer);
    model_traffic_drop(model_set_traffic(c->set), c->version, "its canary is over");
    c->generation = NULL;
    c->ended_at = clock_unix_s();
    return g;
}

/* Afterwards new versions that waited have their turn. */
static void conclude(struct model_canary *c, enum canary_state state, const char *who,
                     const char *measure)
{
    const char *values[] = {model_set_name(c->set), state_names[state], measure ? measure : ""};
    set_state(c, state);
    c->measure = measure;
    metrics_add(metrics_of(c), SERVER_METRIC_CANARY_DECISIONS, values, 1);
    changed(c, who, action_of(state));
    model_set_go_on(c->set);
}

/* c->reason says why. */
static void promote(struct model_canary *c, const char *who, const char *measure)
{
    log_info("canary %s@%s is promoted: %s", model_set_name(c->set), c->version, c->reason);
    set_state(c, CANARY_STATE_PROMOTED); /* model_canary_published is no news then */
    model_set_promote(c->set, c->generation);
    generation_unref(take_down(c));
    conclude(c, CANARY_STATE_PROMOTED, who, measure);
}

static void roll_back(struct model_canary *c, const char *who, const char *measure)
{
    log_warn("canary %s@%s is rolled back: %s", model_set_name(c->set), c->version, c->reason);
    struct generation *g = take_down(c);
    model_set_reject(c->set, g, c->reason);
    generation_unref(g);
    conclude(c, CANARY_STATE_ROLLED_BACK, who, measure);
}

/* The timer goes on: its version is let go of when somebody ends the share. */
static void keep(struct model_canary *c)
{
    log_warn("canary %s@%s: %s; both versions go on", model_set_name(c->set), c->version,
             c->reason);
    c->ended_at = clock_unix_s();
    conclude(c, CANARY_STATE_KEPT, BY_ITSELF, NULL);
}

/* Something else has come between. */
static void give_up(struct model_canary *c, const char *why)
{
    snprintf(c->reason, sizeof(c->reason), "%s", why);
    log_warn("canary %s@%s ends: %s", model_set_name(c->set), c->version, why);
    generation_unref(take_down(c));
    model_set_trim(c->set);
    conclude(c, CANARY_STATE_ENDED, BY_ITSELF, NULL);
}

/* What somebody has set instead stays. */
static void yield_share(struct model_canary *c)
{
    struct generation *g = c->generation;
    uv_timer_stop(&c->timer);
    c->generation = NULL;
    c->ended_at = clock_unix_s();
    snprintf(c->reason, sizeof(c->reason),
             "its share of the requests was changed or ended by something else");
    log_warn("canary %s@%s ends: %s", model_set_name(c->set), c->version, c->reason);
    model_set_trim(c->set);
    generation_unref(g);
    conclude(c, CANARY_STATE_ENDED, BY_ITSELF, NULL);
}

/* One that was kept is held for its share of the requests, and for no longer. */
static void release_kept(struct model_canary *c)
{
    const struct generation *split = model_set_traffic(c->set)->split.generation;
    if (c->state == CANARY_STATE_KEPT && c->generation && split != c->generation) {
        struct generation *g = c->generation;
        uv_timer_stop(&c->timer);
        c->generation = NULL;
        model_set_trim(c->set);
        generation_unref(g);
    }
}

static void end_undecided(struct model_canary *c, const char *why)
{
    snprintf(c->reason, sizeof(c->reason),
             "undecided: %s in step %zu of %zu (%d %%), with %llu answers; on_undecided is "
             "\"%s\"",
             why, c->step + 1, c->plan.n_steps, c->plan.steps[c->step],
             (unsigned long long)c->samples[CANARY].answers,
             canary_otherwise_name(c->plan.on_undecided));
    switch (c->plan.on_undecided) {
    case CANARY_OTHERWISE_PROMOTE:
        promote(c, BY_ITSELF, NULL);
        break;
    case CANARY_OTHERWISE_KEEP:
        keep(c);
        break;
    case CANARY_OTHERWISE_ROLLBACK:
        roll_back(c, BY_ITSELF, NULL);
        break;
    }
}

/* --- looks --- */

static void begin_step(struct model_canary *c, size_t step)
{
    c->step = step;
    c->looks_taken = 0;
    memset(c->samples, 0, sizeof(c->samples));
}

/* The share of the present step. */
static int share_out(struct model_canary *c, struct err *e)
{
    struct model_traffic *t = model_set_traffic(c->set);
    int rc = model_traffic_split(t, c->version, c->plan.steps[c->step], e);
    if (rc == 0) {
        model_traffic_split_by(t, !c->plan.is_by_key);
    }
    return rc;
}

static void go_to_next_step(struct model_canary *c)
{
    struct err e = {0};
    begin_step(c, c->step + 1);
    if (share_out(c, &e) != 0) {
        give_up(c, e.message);
        return;
    }
    log_info("canary %s@%s: step %zu of %zu, %d %%", model_set_name(c->set), c->version,
             c->step + 1, c->plan.n_steps, c->plan.steps[c->step]);
    changed(c, BY_ITSELF, MODEL_ACTION_CANARY_PROGRESS);
}

static void say_worse(struct model_canary *c, const struct canary_judgement *j)
{
    const struct canary_finding *f = &j->findings[j->measure];
    bool is_share = canary_measure_is_share(j->measure);
    snprintf(
        c->reason, sizeof(c->reason),
        "%s is %.4g, of version %s %.4g: a %s of %.4g (%.4g to %.4g), and %.4g is allowed; "
        "%.0f answers against %.0f",
        canary_measure_name(j->measure), f->canary, c->stable, f->stable,
        is_share ? "difference" : "ratio", f->difference, f->worse.low, f->worse.high,
        f->margin, f->n_canary, f->n_stable);
}

static void follow(struct model_canary *c, const struct canary_judgement *j)
{
    if (j->verdict == CANARY_WORSE) {
        say_worse(c, j);
        roll_back(c, BY_ITSELF, canary_measure_name(j->measure));
    } else if (j->verdict == CANARY_GOOD && c->step + 1 < c->plan.n_steps) {
        go_to_next_step(c);
    } else if (j->verdict == CANARY_GOOD) {
        snprintf(c->reason, sizeof(c->reason),
                 "in all measures within the margins of version %s, %llu answers against %llu",
                 c->stable, (unsigned long long)c->samples[CANARY].answers,
                 (unsigned long long)c->samples[STABLE].answers);
        promote(c, BY_ITSELF, NULL);
    } else if (c->looks_taken == c->plan.looks) {
        end_undecided(c, "all looks were taken");
    }
}

/* `taken`: looks of this step, this one included. */
static void look(struct model_canary *c, int taken)
{
    struct canary_look *l = &c->looks[c->n_looks++];
    l->at = clock_unix_s();
    l->step = c->step;
    l->stable = c->samples[STABLE].answers;
    l->canary = c->samples[CANARY].answers;
    canary_judge(&c->samples[STABLE], &c->samples[CANARY], &c->plan, &l->judgement);
    c->looks_taken = taken;
    log_info("canary %s@%s: look %d of %d in step %zu: %s, %llu answers against %llu",
             model_set_name(c->set), c->version, taken, c->plan.looks, c->step + 1,
             canary_verdict_name(l->judgement.verdict), (unsigned long long)l->canary,
             (unsigned long long)l->stable);
    follow(c, &l->judgement);
}

static bool has_enough(const struct model_canary *c)
{
    uint64_t least = (uint64_t)c->plan.min_answers;
    return c->samples[STABLE].answers >= least && c->samples[CANARY].answers >= least;
}

/* Looks that are due by now: those that were missed while the other side had too few answers
 * are made up for by one. */
static int due(const struct model_canary *c)
{
    return has_enough(c) ? canary_plan_due(&c->plan, (double)c->samples[CANARY].answers) : 0;
}

/* Whether its share is as it was set. */
static bool has_share(const struct model_canary *c)
{
    struct traffic_view v = model_traffic_view(model_set_traffic(c->set));
    return v.split && strcmp(v.split, c->version) == 0 &&
           v.split_percent == c->plan.steps[c->step];
}

/* While another process takes over, what is decided here would not reach it: it goes on with
 * the canary as it was stored. And an admin's decision that is being stored comes first. */
static bool may_judge(const struct model_canary *c)
{
    const struct server *s = model_set_server(c->set);
    return model_canary_is_running(c) && !model_set_is_deciding(c->set) && !s->upgrade &&
           !s->successor && !s->handed_over;
}

static void on_timer(uv_timer_t *timer)
{
    struct model_canary *c = timer->data;
    if (!may_judge(c)) {
        release_kept(c);
        return;
    }
    if (!has_share(c)) {
        yield_share(c);
    } else if (c->has_tripped) {
        snprintf(c->reason, sizeof(c->reason), "%d requests in a row have failed",
                 c->plan.errors_in_row);
        roll_back(c, BY_ITSELF, "errors_in_row");
    } else if (due(c) > c->looks_taken) {
        look(c, due(c));
    } else if (clock_now_ns() >= c->ends_ns) {
        if (has_enough(c) && c->looks_taken < c->plan.looks) {
            look(c, c->looks_taken + 1);
        }
        if (model_canary_is_running(c)) {
            end_undecided(c, "the time is over");
        }
    }
}

/* --- outcomes --- */

static bool has_failed(const struct model_outcome *o)
{
    return o->ending == MODEL_ENDING_FAILED || o->ending == MODEL_ENDING_LATE;
}

static void watch_errors(struct model_canary *c, int side, const struct model_outcome *o)
{
    if (o->ending != MODEL_ENDING_LEFT) {
        c->errors_in_row[side] = has_failed(o) ? c->errors_in_row[side] + 1 : 0;
    }
    /* What both have is not the new version's fault. */
    int most = c->plan.errors_in_row;
    c->has_tripped |= c->errors_in_row[CANARY] >= most && c->errors_in_row[STABLE] < most;
}

void model_canary_note(struct model_canary *c, const struct generation *g,
                       const struct model_outcome *o)
{
    bool is_canary = c->generation == g;
    if (!may_judge(c) || !o->is_drawn || !(is_canary || g == model_set_serving(c->set))) {
        return;
    }
    bool is_whole = o->ending == MODEL_ENDING_COMPLETE || o->ending == MODEL_ENDING_LENGTH;
    const struct canary_answer a = {.caller = c->plan.is_by_key ? o->caller : o->conversation,
                                    .has_left = o->ending == MODEL_ENDING_LEFT,
                                    .has_failed = has_failed(o),
                                    .is_blocked = o->ending == MODEL_ENDING_BLOCKED,
                                    .is_refusal = o->is_refusal,
                                    .is_cut = o->ending == MODEL_ENDING_LENGTH,
                                    .first_token_s = o->first_token_s,
                                    .token_s = o->token_s,
                                    .tokens = is_whole ? (double)o->tokens : -1};
    canary_sample_add(&c->samples[is_canary ? CANARY : STABLE], &a);
    watch_errors(c, is_canary ? CANARY : STABLE, o);
    if (c->has_tripped || due(c) > c->looks_taken) {
        uv_timer_start(&c->timer, on_timer, 0, TICK_MS);
    }
}

void model_canary_published(struct model_canary *c, const struct generation *g)
{
    if (!c->generation || c->state == CANARY_STATE_PROMOTED) {
        return; /* there is none, or this is its own work */
    }
    if (g == c->generation) {
        snprintf(c->reason, sizeof(c->reason), "it was activated by hand");
        generation_unref(take_down(c));
        conclude(c, CANARY_STATE_PROMOTED, "admin", NULL);
    } else {
        give_up(c, "another version has come to serve");
    }
}

/* --- beginning and ending --- */

static void on_closed(uv_handle_t *timer)
{
    struct model_canary *c = timer->data;
    mem_free(c->looks);
    mem_free(c);
}

struct model_canary *model_canary_create(struct model_set *set, struct err *e)
{
    struct model_canary *c = mem_zalloc(sizeof(*c));
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    c->set = set;
    uv_timer_init(&model_set_server(set)->loop, &c->timer);
    c->timer.data = c;
    return c;
}

void model_canary_stop(struct model_canary *c)
{
    if (c) {
        generation_unref(c->generation);
        c->generation = NULL;
        uv_close((uv_handle_t *)&c->timer, on_closed);
    }
}

/* One that was kept makes place. */
static int prepare(struct model_canary *c, struct generation *g, const struct canary_plan *plan,
                   struct err *e)
{
    if (model_canary_is_running(c)) {
        return err_set_param(e, ERR_CONFLICT, "version", "the canary of version %s runs",
                             c->version);
    }
    const char *version = g->model->version;
    const struct generation *serving = model_set_serving(c->set);
    if (!g->engine) {
        return err_set_param(e, ERR_UNSUPPORTED, "version",
                             "the version %.64s makes no text, which a canary is judged by",
                             version);
    }
    if (!serving) {
        return err_set_param(e, ERR_CONFLICT, "version",
                             "no version of %s serves that %.64s could be compared with; load "
                             "one first",
                             model_set_name(c->set), version);
    }
    if (strcmp(version, serving->model->version) == 0) {
        return err_set_param(e, ERR_CONFLICT, "version", "the version %.64s serves already",
                             version);
    }
    /* One more for the look when the time is over. */
    struct canary_look *looks =
        mem_zarray(plan->n_steps * (size_t)plan->looks + 1, sizeof(*looks));
    if (!looks) {
        return err_nomem(e);
    }
    struct generation *old = c->generation;
    c->generation = generation_ref(g); /* before the share of the old one makes room */
    if (old) {
        model_traffic_drop(model_set_traffic(c->set), c->version, "another canary begins");
        generation_unref(old);
    }
    mem_free(c->looks);
    c->looks = looks;
    c->n_looks = 0;
    return 0;
}

/* From `step` on; started_at: the time that the plan gives runs since then. */
static int start(struct model_canary *c, struct generation *g, const struct canary_plan *plan,
                 size_t step, const char *by, int64_t started_at, struct err *e)
{
    if (prepare(c, g, plan, e) != 0) {
        return -1;
    }
    int64_t left_s = plan->max_seconds - (clock_unix_s() - started_at);
    const char *version = g->model->version;
    snprintf(c->version, sizeof(c->version), "%.*s", MODEL_REPO_NAME_MAX, version);
    snprintf(c->stable, sizeof(c->stable), "%.*s", MODEL_REPO_NAME_MAX,
             model_set_serving(c->set)->model->version);
    snprintf(c->by, sizeof(c->by), "%.*s", CANARY_BY_MAX, by);
    c->plan = *plan;
    c->reason[0] = '\0';
    c->measure = NULL;
    c->stamp = g->stamp;
    snprintf(c->sha256, sizeof(c->sha256), "%s", g->model->sha256);
    c->started_at = started_at;
    c->ended_at = 0;
    c->ends_ns = clock_now_ns() + (uint64_t)(left_s > 0 ? left_s : 0) * 1000000000u;
    c->errors_in_row[STABLE] = c->errors_in_row[CANARY] = 0;
    c->has_tripped = false;
    begin_step(c, step);
    if (share_out(c, e) != 0) {
        uv_timer_stop(&c->timer);
        generation_unref(c->generation);
        c->generation = NULL;
        c->version[0] = '\0';
        return -1;
    }
    set_state(c, CANARY_STATE_RUNNING);
    log_info("canary %s@%s begins with %d %% of the requests, against version %s",
             model_set_name(c->set), version, plan->steps[step], c->stable);
    uv_timer_start(&c->timer, on_timer, TICK_MS, TICK_MS);
    return 0;
}

int model_canary_begin(struct model_canary *c, struct generation *g,
                       const struct canary_plan *plan, const char *by, struct err *e)
{
    if (start(c, g, plan, 0, by, clock_unix_s(), e) != 0) {
        return -1;
    }
    changed(c, by, MODEL_ACTION_CANARY_BEGIN);
    return 0;
}

static double number_of(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static int resume(struct model_canary *c, struct generation *g, const cJSON *report,
                  struct err *e)
{
    struct canary_plan plan = canary_plan_default();
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(report, "plan");
    const char *by = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(report, "by"));
    if (!kept || canary_plan_read(&plan, kept, "", NULL, e) != 0) {
        return err_prefix(e, "its plan, as it was stored");
    }
    double step = number_of(report, "step", 1);
    double last = (double)plan.n_steps;
    step = !(step >= 1) ? 1 : step > last ? last : step;
    return start(c, g, &plan, (size_t)step - 1, by ? by : BY_ITSELF,
                 (int64_t)number_of(report, "started_at", (double)clock_unix_s()), e);
}

int model_canary_resume(struct model_canary *c, struct generation *g, const char *report,
                        struct err *e)
{
    cJSON *root = json_parse_large(report, strlen(report), e);
    int rc = root ? resume(c, g, root, e) : -1;
    cJSON_Delete(root);
    return rc;
}

int model_canary_end(struct model_canary *c, bool is_promoted, const char *by, struct err *e)
{
    if (!c->generation) {
        return err_set(e, ERR_NOT_FOUND, "no canary of %s runs", model_set_name(c->set));
    }
    if (model_set_is_deciding(c->set)) {
        return err_set(e, ERR_CONFLICT, "another decision about %s is being stored just now",
                       model_set_name(c->set));
    }
    snprintf(c->reason, sizeof(c->reason), "by hand (%.*s)", CANARY_BY_MAX, by);
    (is_promoted ? promote : roll_back)(c, by, NULL);
    return 0;
}

/* --- the report --- */

static int next_look(const struct model_canary *c)
{
    return model_canary_is_running(c) && c->looks_taken < c->plan.looks
               ? canary_plan_answers(&c->plan, c->looks_taken)
               : 0;
}

char *model_canary_report(const struct model_canary *c, size_t *len, struct err *e)
{
    if (!c->version[0]) {
        err_set(e, ERR_NOT_FOUND, "there was no canary of %s", model_set_name(c->set));
        return NULL;
    }
    const struct canary_view view = {.model = model_set_name(c->set),
                                     .version = c->version,
                                     .stable = c->stable,
                                     .state = state_names[c->state],
                                     .reason = c->reason,
                                     .measure = c->measure,
                                     .by = c->by,
                                     .started_at = c->started_at,
                                     .ended_at = c->ended_at,
                                     .plan = &c->plan,
                                     .step = c->step,
                                     .stable_answers = c->samples[STABLE].answers,
                                     .canary_answers = c->samples[CANARY].answers,
                                     .next_look = next_look(c),
                                     .looks = c->looks,
                                     .n_looks = c->n_looks};
    char *text = canary_report_text(&view, len);
    if (!text) {
        err_nomem(e);
    }
    return text;
}

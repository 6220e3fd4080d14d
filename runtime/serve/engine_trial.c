#include "runtime/serve/engine_trial.h"

#define SIDE_BY_SIDE     8
#define LOOK_FOR_STOP_NS 100000000

int engine_trial_bell_init(struct engine_trial_bell *bell)
{
    bell->has_events = false;
    if (uv_mutex_init(&bell->lock) != 0) {
        return -1;
    }
    if (uv_cond_init(&bell->woken) != 0) {
        uv_mutex_destroy(&bell->lock);
        return -1;
    }
    return 0;
}

void engine_trial_bell_deinit(struct engine_trial_bell *bell)
{
    uv_cond_destroy(&bell->woken);
    uv_mutex_destroy(&bell->lock);
}

void engine_trial_wake(struct engine_trial_bell *bell)
{
    uv_mutex_lock(&bell->lock);
    bell->has_events = true;
    uv_cond_signal(&bell->woken);
    uv_mutex_unlock(&bell->lock);
}

/* Until the engine has something to tell, or a while. */
static void wait_for_events(struct engine_trial_bell *bell)
{
    uv_mutex_lock(&bell->lock);
    if (!bell->has_events) {
        uv_cond_timedwait(&bell->woken, &bell->lock, LOOK_FOR_STOP_NS);
    }
    bell->has_events = false;
    uv_mutex_unlock(&bell->lock);
}

struct run {
    size_t n_over;
};

static void take_event(void *ctx, const struct engine_event *ev)
{
    struct run *run = ctx;
    struct engine_trial *t = ev->user;
    if (ev->token != TOKEN_NONE && token_list_push(t->answer, ev->token) != 0) {
        t->is_out_of_memory = true;
    }
    if (ev->finish != ENGINE_RUNNING) {
        t->is_over = true;
        t->finish = ev->finish;
        run->n_over++;
    }
}

static int check(const struct engine_trial *t, struct err *e)
{
    if (t->is_out_of_memory) {
        return err_nomem(e);
    }
    return t->finish != ENGINE_FINISH_FAILED
               ? 0
               : err_set(e, ERR_FORMAT, "the engine ended a request: no token could come next");
}

/* Hands over what there is room for. -1: the next one cannot be run. */
static int submit_more(struct engine *en, struct engine_trial *trials, size_t n,
                       const struct run *run, size_t *begun, struct err *e)
{
    while (*begun < n && *begun - run->n_over < SIDE_BY_SIDE) {
        struct err refused = {0};
        trials[*begun].request.user = &trials[*begun];
        if (engine_submit(en, &trials[*begun].request, &trials[*begun].id, &refused) != 0) {
            /* An engine that is full takes the next one when another has ended. */
            bool is_full = refused.kind == ERR_BUSY && *begun > run->n_over;
            *e = is_full ? *e : refused;
            return is_full ? 0 : -1;
        }
        ++*begun;
    }
    return 0;
}

static void cancel(struct engine *en, const struct engine_trial *trials, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!trials[i].is_over) {
            engine_cancel(en, trials[i].id);
        }
    }
}

int engine_trial_run(struct engine *en, struct engine_trial_bell *bell,
                     struct engine_trial *trials, size_t n, const atomic_bool *stop,
                     struct err *e)
{
    struct run run = {0};
    size_t begun = 0;
    int rc = 0;
    while (run.n_over < n) {
        if (rc == 0 && stop && atomic_load(stop)) {
            cancel(en, trials, begun);
            rc = err_set(e, ERR_CANCELED, "the server is stopping");
        }
        rc = rc == 0 ? submit_more(en, trials, n, &run, &begun, e) : rc;
        n = rc == 0 ? n : begun;
        if (run.n_over < begun) {
            wait_for_events(bell);
            engine_drain_events(en, take_event, &run);
        }
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = check(&trials[i], e);
    }
    return rc;
}

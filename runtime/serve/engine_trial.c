#include "runtime/serve/engine_trial.h"

#define SIDE_BY_SIDE 8

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
        uint64_t id;
        struct err refused = {0};
        trials[*begun].request.user = &trials[*begun];
        if (engine_submit(en, &trials[*begun].request, &id, &refused) != 0) {
            /* An engine that is full takes the next one when another has ended. */
            bool is_full = refused.kind == ERR_BUSY && *begun > run->n_over;
            *e = is_full ? *e : refused;
            return is_full ? 0 : -1;
        }
        ++*begun;
    }
    return 0;
}

int engine_trial_run(struct engine *en, uv_sem_t *came, struct engine_trial *trials, size_t n,
                     struct err *e)
{
    struct run run = {0};
    size_t begun = 0;
    int rc = 0;
    while (run.n_over < n) {
        rc = submit_more(en, trials, n, &run, &begun, e);
        n = rc == 0 ? n : begun;
        if (run.n_over < begun) {
            uv_sem_wait(came);
            engine_drain_events(en, take_event, &run);
        }
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = check(&trials[i], e);
    }
    return rc;
}

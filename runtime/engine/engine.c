#include "runtime/engine/engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "models/arch/llama_step.h"
#include "runtime/base/mem.h"
#include "runtime/engine/event_list.h"
#include "runtime/engine/parallel_team.h"
#include "runtime/engine/sequence.h"

struct engine {
    const struct model *model;
    struct engine_settings set;
    pthread_t thread;
    bool thread_started;

    /* Shared between the engine thread and its callers. */
    pthread_mutex_t lock;
    pthread_cond_t work_arrived;
    struct sequence_queue waiting;
    struct event_list events; /* not drained yet */
    uint64_t next_id;
    bool stop;
    uint64_t *cancels; /* (n_cancels) ids to cancel among the running ones */
    size_t n_cancels;
    atomic_int n_running_shown;
    atomic_ullong prompt_tokens;
    atomic_ullong output_tokens;

    /* The caller's thread only. */
    struct event_list draining;

    /* The engine thread only. */
    struct team *team;
    struct llama_state *state;
    struct kv_cache kv;
    struct sampler_scratch scratch;
    struct sequence **running; /* (max_sequences): by slot, NULL where free */
    int n_running;
    struct llama_row *rows;     /* (step_tokens) */
    struct sequence **sampling; /* (max_sequences): who wanted the i-th logits */
    struct event_list produced; /* by the step that ran */
};

/* Between two steps at most all slots are canceled, and all whose end the caller has not seen
 * yet. */
static size_t max_cancels(const struct engine *en)
{
    return 2 * (size_t)en->set.max_sequences;
}

static void emit(struct engine *en, const struct sequence *s, int32_t token,
                 enum engine_finish finish)
{
    /* Room for one event a sequence and step is reserved before the step. */
    event_list_push(&en->produced,
                    &(struct engine_event){.user = s->user, .token = token, .finish = finish});
}

static void leave(struct engine *en, struct sequence *s)
{
    en->running[s->slot] = NULL;
    en->n_running--;
    /* Before the final event is seen, so that who sees it may use the slot at once. */
    atomic_store(&en->n_running_shown, en->n_running);
    sequence_destroy(s);
}

/* --- building a step --- */

static struct llama_row *add_row(struct engine *en, int *n_rows, const struct sequence *s,
                                 int32_t token, size_t position)
{
    struct llama_row *row = &en->rows[(*n_rows)++];
    *row = (struct llama_row){.token = token, .position = (int32_t)position, .slot = s->slot};
    return row;
}

/* Running answers first, so that a long prompt cannot stall them; prompts share what is left.
 */
static int build_rows(struct engine *en, int *n_sampling)
{
    int n_rows = 0;
    *n_sampling = 0;
    for (int i = 0; i < en->set.max_sequences; i++) {
        struct sequence *s = en->running[i];
        if (s && s->n_past >= s->n_prompt) {
            add_row(en, &n_rows, s, s->last, s->n_past++)->want_logits = true;
            en->sampling[(*n_sampling)++] = s;
        }
    }
    for (int i = 0; i < en->set.max_sequences; i++) {
        struct sequence *s = en->running[i];
        while (s && s->n_past < s->n_prompt && n_rows < en->set.step_tokens) {
            struct llama_row *row = add_row(en, &n_rows, s, s->prompt[s->n_past], s->n_past);
            s->n_past++;
            atomic_fetch_add_explicit(&en->prompt_tokens, 1, memory_order_relaxed);
            if (s->n_past == s->n_prompt) {
                row->want_logits = true;
                en->sampling[(*n_sampling)++] = s;
            }
        }
    }
    return n_rows;
}

static enum engine_finish finish_after(const struct engine *en, const struct sequence *s)
{
    bool used_up = s->n_output >= s->max_tokens || s->n_past >= (size_t)en->set.context;
    return used_up ? ENGINE_FINISH_LENGTH : ENGINE_RUNNING;
}

static void sample(struct engine *en, int n_sampling)
{
    for (int i = 0; i < n_sampling; i++) {
        struct sequence *s = en->sampling[i];
        int32_t token = sampler_next(&s->sampler, llama_logits(en->state, i),
                                     en->model->config.vocab, &en->scratch);
        atomic_fetch_add_explicit(&en->output_tokens, 1, memory_order_relaxed);
        if (tokenizer_is_eog(en->model->tokenizer, token)) {
            emit(en, s, TOKEN_NONE, ENGINE_FINISH_EOG);
            leave(en, s);
            continue;
        }
        s->last = token;
        s->n_output++;
        enum engine_finish finish = finish_after(en, s);
        emit(en, s, token, finish);
        if (finish != ENGINE_RUNNING) {
            leave(en, s);
        }
    }
}

/* --- the engine thread --- */

/* With the lock held: waits for work, then moves waiting sequences to free slots. */
static void take_work(struct engine *en)
{
    while (!en->stop && en->n_running == 0 && en->waiting.count == 0 &&
           en->produced.count == 0) {
        pthread_cond_wait(&en->work_arrived, &en->lock);
    }
    for (size_t i = 0; i < en->n_cancels; i++) {
        for (int slot = 0; slot < en->set.max_sequences; slot++) {
            if (en->running[slot] && en->running[slot]->id == en->cancels[i]) {
                en->running[slot]->cancel = true;
            }
        }
    }
    en->n_cancels = 0;
    for (int slot = 0; slot < en->set.max_sequences && en->waiting.count > 0; slot++) {
        if (!en->running[slot]) {
            struct sequence *s = sequence_queue_pop(&en->waiting);
            s->slot = slot;
            en->running[slot] = s;
            en->n_running++;
        }
    }
    atomic_store(&en->n_running_shown, en->n_running);
}

static void end_canceled(struct engine *en)
{
    for (int slot = 0; slot < en->set.max_sequences; slot++) {
        struct sequence *s = en->running[slot];
        if (s && s->cancel) {
            emit(en, s, TOKEN_NONE, ENGINE_FINISH_CANCELED);
            leave(en, s);
        }
    }
}

static void step(struct engine *en)
{
    int n_sampling;
    int n_rows = build_rows(en, &n_sampling);
    if (n_rows == 0) {
        return;
    }
    llama_step(en->state, &en->model->weights, &en->kv, en->rows, n_rows);
    sample(en, n_sampling);
}

/* Hands what was produced to the caller's side. When memory is out the events stay here until
 * the next round: late, but none is lost. */
static void publish(struct engine *en)
{
    if (en->produced.count == 0) {
        return;
    }
    pthread_mutex_lock(&en->lock);
    bool fits = event_list_reserve(&en->events, en->produced.count) == 0;
    if (fits) {
        for (size_t i = 0; i < en->produced.count; i++) {
            event_list_push(&en->events, &en->produced.items[i]);
        }
        en->produced.count = 0;
    }
    pthread_mutex_unlock(&en->lock);
    if (fits) {
        en->set.notify(en->set.notify_ctx);
    }
}

static void *engine_main(void *ctx)
{
    struct engine *en = ctx;
    if (en->set.pin) {
        /* engine_create saw that it can be done. Should the system refuse all the same, threads
         * that may move are slower, not wrong. */
        struct err ignored;
        (void)team_pin(en->team, &ignored);
    }
    for (;;) {
        pthread_mutex_lock(&en->lock);
        take_work(en);
        bool stop = en->stop;
        pthread_mutex_unlock(&en->lock);
        if (stop) {
            return NULL;
        }
        /* Without room for the events of a step, the step waits: nothing is lost, and memory
         * that others free makes it go on. */
        if (event_list_reserve(&en->produced, 2 * (size_t)en->set.max_sequences) == 0) {
            end_canceled(en);
            step(en);
        }
        publish(en);
    }
}

/* --- the caller's side --- */

static int create_parts(struct engine *en, struct err *e)
{
    const struct ops *ops = ops_select(en->set.cpu_features);
    size_t max_sequences = (size_t)en->set.max_sequences;
    if (en->set.pin && team_check_pin(en->set.threads, e) != 0) {
        return -1;
    }
    en->team = team_create(en->set.threads, e);
    if (!en->team) {
        return -1;
    }
    struct llama_state_settings s = {
        .max_rows = en->set.step_tokens,
        .max_logits = en->set.max_sequences,
        .context = en->set.context,
        .kernel = q8_kernel_select(en->set.cpu_features),
        .ops = ops,
        .parallel = parallel_team(en->team),
    };
    en->state = llama_state_create(&en->model->config, &s, e);
    if (!en->state ||
        kv_cache_init(&en->kv, &en->model->config, en->set.kv_type, en->set.max_sequences,
                      en->set.context, e) != 0 ||
        sampler_scratch_init(&en->scratch, ops, en->model->config.vocab, e) != 0) {
        return -1;
    }
    en->running = mem_zarray(max_sequences, sizeof(*en->running));
    en->sampling = mem_zarray(max_sequences, sizeof(*en->sampling));
    en->rows = mem_zarray((size_t)en->set.step_tokens, sizeof(*en->rows));
    en->cancels = mem_zarray(max_cancels(en), sizeof(*en->cancels));
    return en->running && en->sampling && en->rows && en->cancels ? 0 : err_nomem(e);
}

struct engine *engine_create(const struct model *m, const struct engine_settings *s,
                             struct err *e)
{
    struct engine *en = mem_zalloc(sizeof(*en));
    if (!en) {
        err_nomem(e);
        return NULL;
    }
    en->model = m;
    en->set = *s;
    if (en->set.context > m->config.context) {
        en->set.context = m->config.context;
    }
    /* Every running sequence must fit into a step. */
    if (en->set.step_tokens < en->set.max_sequences) {
        en->set.step_tokens = en->set.max_sequences;
    }
    en->next_id = 1;
    pthread_mutex_init(&en->lock, NULL);
    pthread_cond_init(&en->work_arrived, NULL);
    if (create_parts(en, e) != 0) {
        engine_destroy(en);
        return NULL;
    }
    if (pthread_create(&en->thread, NULL, engine_main, en) != 0) {
        err_set(e, ERR_NOMEM, "cannot start the engine's thread");
        engine_destroy(en);
        return NULL;
    }
    en->thread_started = true;
    return en;
}

void engine_destroy(struct engine *en)
{
    if (!en) {
        return;
    }
    if (en->thread_started) {
        pthread_mutex_lock(&en->lock);
        en->stop = true;
        pthread_cond_signal(&en->work_arrived);
        pthread_mutex_unlock(&en->lock);
        pthread_join(en->thread, NULL);
    }
    for (int i = 0; en->running && i < en->set.max_sequences; i++) {
        sequence_destroy(en->running[i]);
    }
    struct sequence *s;
    while ((s = sequence_queue_pop(&en->waiting))) {
        sequence_destroy(s);
    }
    event_list_deinit(&en->events);
    event_list_deinit(&en->draining);
    event_list_deinit(&en->produced);
    mem_free(en->running);
    mem_free(en->sampling);
    mem_free(en->rows);
    mem_free(en->cancels);
    sampler_scratch_deinit(&en->scratch);
    kv_cache_deinit(&en->kv);
    llama_state_destroy(en->state);
    team_destroy(en->team);
    pthread_cond_destroy(&en->work_arrived);
    pthread_mutex_destroy(&en->lock);
    mem_free(en);
}

static int check_request(const struct engine *en, const struct engine_request *r, struct err *e)
{
    if (r->n_prompt == 0 || r->max_tokens < 1) {
        return err_set(e, ERR_INVALID,
                       "a request needs a prompt and at least one token to make");
    }
    if (r->n_prompt >= (size_t)en->set.context) {
        return err_set(
            e, ERR_LIMIT,
            "the prompt has %zu tokens, at most %d fit into the context of %d tokens",
            r->n_prompt, en->set.context - 1, en->set.context);
    }
    for (size_t i = 0; i < r->n_prompt; i++) {
        if (r->prompt[i] < 0 || r->prompt[i] >= en->model->config.vocab) {
            return err_set(e, ERR_INVALID, "token %d is not in the vocabulary", r->prompt[i]);
        }
    }
    return 0;
}

int engine_submit(struct engine *en, const struct engine_request *r, uint64_t *id,
                  struct err *e)
{
    if (check_request(en, r, e) != 0) {
        return -1;
    }
    struct sequence *s = sequence_create(0, r);
    if (!s) {
        return err_nomem(e);
    }
    pthread_mutex_lock(&en->lock);
    int running = atomic_load(&en->n_running_shown);
    bool full = en->waiting.count >= en->set.max_waiting + (en->set.max_sequences - running);
    if (!full) {
        *id = s->id = en->next_id++;
        sequence_queue_push(&en->waiting, s);
        pthread_cond_signal(&en->work_arrived);
    }
    pthread_mutex_unlock(&en->lock);
    if (full) {
        sequence_destroy(s);
        return err_set(e, ERR_BUSY, "%d requests are running and %d waiting; try again later",
                       running, en->set.max_waiting);
    }
    return 0;
}

void engine_cancel(struct engine *en, uint64_t id)
{
    pthread_mutex_lock(&en->lock);
    struct sequence *s = sequence_queue_remove(&en->waiting, id);
    struct engine_event ev = {.token = TOKEN_NONE, .finish = ENGINE_FINISH_CANCELED};
    bool tell = false;
    if (s) {
        ev.user = s->user;
        tell = event_list_reserve(&en->events, 1) == 0;
        if (tell) {
            event_list_push(&en->events, &ev);
        } else {
            sequence_queue_push(&en->waiting, s); /* it will run, and end by itself */
            s = NULL;
        }
    } else if (en->n_cancels < max_cancels(en)) {
        en->cancels[en->n_cancels++] = id;
        pthread_cond_signal(&en->work_arrived);
    }
    pthread_mutex_unlock(&en->lock);
    sequence_destroy(s);
    if (tell) {
        en->set.notify(en->set.notify_ctx);
    }
}

void engine_drain_events(struct engine *en,
                         void (*fn)(void *ctx, const struct engine_event *ev), void *ctx)
{
    pthread_mutex_lock(&en->lock);
    struct event_list full = en->events;
    en->events = en->draining;
    en->draining = full;
    pthread_mutex_unlock(&en->lock);
    for (size_t i = 0; i < en->draining.count; i++) {
        fn(ctx, &en->draining.items[i]);
    }
    en->draining.count = 0;
}

struct engine_stats engine_stats(struct engine *en)
{
    pthread_mutex_lock(&en->lock);
    int waiting = en->waiting.count;
    pthread_mutex_unlock(&en->lock);
    return (struct engine_stats){
        .running = atomic_load(&en->n_running_shown),
        .waiting = waiting,
        .prompt_tokens = atomic_load(&en->prompt_tokens),
        .output_tokens = atomic_load(&en->output_tokens),
    };
}

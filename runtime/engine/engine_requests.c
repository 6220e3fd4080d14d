/* The caller's side of an engine: requests come, are told to stop, and what they made is handed
 * over. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/engine/engine_state.h"

#define RETRY_AFTER_MAX_S 60

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
    int n_top = r->options.n_top_logprobs;
    if (n_top < 0 || n_top > ENGINE_TOP_LOGPROBS_MAX) {
        return err_set(e, ERR_INVALID, "%d top tokens are asked for, 0 to %d are allowed",
                       n_top, ENGINE_TOP_LOGPROBS_MAX);
    }
    for (size_t i = 0; i < r->n_prompt; i++) {
        if (r->prompt[i] < 0 || r->prompt[i] >= en->model->config.vocab) {
            return err_set(e, ERR_INVALID, "token %d is not in the vocabulary", r->prompt[i]);
        }
    }
    return sampling_check_ids(&r->sampling, en->model->config.vocab, e);
}

/* With the lock held. */
static int refuse_busy(const struct engine *en, int n_coming, struct err *e)
{
    int waiting = en->waiting.count + n_coming;
    double wait_s = en->seconds_per_end * (waiting + 1);
    err_set(e, ERR_BUSY,
            "%d requests are running and %d waiting, with %zu tokens to read; try again later",
            en->shown.running, waiting, (size_t)en->waiting.prompt_tokens);
    e->retry_after_s = wait_s < RETRY_AFTER_MAX_S ? 1 + (int)wait_s : RETRY_AFTER_MAX_S;
    return -1;
}

static bool is_full(const struct engine *en, int n_coming)
{
    int free = en->set.max_sequences - en->shown.running;
    /* What is read ahead is nobody's request. */
    return en->waiting.count - en->pins_waiting + n_coming >=
           en->set.max_waiting + (free > 0 ? free : 0);
}

static bool has_room_for(const struct engine *en, size_t n_prompt)
{
    return en->waiting.count == 0 || en->set.max_waiting_tokens == 0 ||
           en->waiting.prompt_tokens + n_prompt <= en->set.max_waiting_tokens;
}

int engine_check_room(struct engine *en, int n_coming, struct err *e)
{
    pthread_mutex_lock(&en->lock);
    int rc = is_full(en, n_coming) ? refuse_busy(en, n_coming, e) : 0;
    pthread_mutex_unlock(&en->lock);
    return rc;
}

/* With the lock held. */
static int enqueue(struct engine *en, struct sequence *s, struct err *e)
{
    /* What is read ahead is the owner's affair, and one request. */
    if (!s->options.pin && (is_full(en, 0) || !has_room_for(en, s->n_prompt))) {
        return refuse_busy(en, 0, e);
    }
    if (fair_queue_reserve(&en->waiting, s->options.tenant) != 0) {
        return err_nomem(e);
    }
    s->id = en->next_id++;
    fair_queue_push(&en->waiting, s);
    en->pins_waiting += s->options.pin != 0;
    uint64_t idle = 0;
    atomic_compare_exchange_strong(&en->busy_since_ns, &idle, clock_now_ns());
    pthread_cond_signal(&en->work_arrived);
    return 0;
}

int engine_submit(struct engine *en, const struct engine_request *r, uint64_t *id,
                  struct err *e)
{
    struct sequence *s = NULL;
    if (check_request(en, r, e) == 0) {
        s = sequence_create(0, r, kv_cache_pages(en->set.context));
        if (!s) {
            err_nomem(e);
        }
    }
    if (!s) {
        grammar_matcher_destroy(r->constraint);
        return -1;
    }
    s->constraint = r->constraint;
    pthread_mutex_lock(&en->lock);
    int rc = enqueue(en, s, e);
    *id = s->id;
    pthread_mutex_unlock(&en->lock);
    if (rc != 0) {
        sequence_destroy(s);
    }
    return rc;
}

/* With the lock held. When memory is out the command is lost: the request goes on as it is. */
static void command(struct engine *en, uint64_t id, enum command_kind kind)
{
    if (en->n_commands == en->commands_cap) {
        size_t cap = en->commands_cap ? 2 * en->commands_cap : 64;
        struct command *moved = mem_realloc_array(en->commands, cap, sizeof(*moved));
        if (!moved) {
            return;
        }
        en->commands = moved;
        en->commands_cap = cap;
    }
    en->commands[en->n_commands++] = (struct command){.id = id, .kind = kind};
    pthread_cond_signal(&en->work_arrived);
}

void engine_cancel(struct engine *en, uint64_t id)
{
    pthread_mutex_lock(&en->lock);
    struct sequence *s = fair_queue_find(&en->waiting, id);
    if (s) {
        s->cancel = true; /* the engine's thread ends it */
        pthread_cond_signal(&en->work_arrived);
    } else {
        command(en, id, COMMAND_CANCEL);
        if (id == en->in_step) {
            atomic_store(&en->give_up, true);
        }
    }
    pthread_mutex_unlock(&en->lock);
}

void engine_pause(struct engine *en, uint64_t id, bool paused)
{
    pthread_mutex_lock(&en->lock);
    struct sequence *s = fair_queue_find(&en->waiting, id);
    if (s) {
        s->paused = paused;
        pthread_cond_signal(&en->work_arrived);
    } else {
        command(en, id, paused ? COMMAND_PAUSE : COMMAND_RESUME);
    }
    pthread_mutex_unlock(&en->lock);
}

void engine_unpin(struct engine *en, uint64_t pin)
{
    pthread_mutex_lock(&en->lock);
    command(en, pin, COMMAND_UNPIN);
    pthread_mutex_unlock(&en->lock);
}

void engine_step_aside(struct engine *en)
{
    pthread_mutex_lock(&en->lock);
    en->steps_aside = true;
    pthread_mutex_unlock(&en->lock);
}

void engine_drain_events(struct engine *en,
                         void (*fn)(void *ctx, const struct engine_event *ev), void *ctx)
{
    pthread_mutex_lock(&en->lock);
    struct event_list full = en->events;
    en->events = en->draining;
    en->draining = full;
    pthread_mutex_unlock(&en->lock);
    event_list_drain(&en->draining, fn, ctx);
}

struct engine_stats engine_stats(struct engine *en)
{
    pthread_mutex_lock(&en->lock);
    struct engine_stats stats = en->shown;
    stats.waiting = en->waiting.count;
    stats.waiting_tokens = (size_t)en->waiting.prompt_tokens;
    pthread_mutex_unlock(&en->lock);
    return stats;
}

uint64_t engine_busy_ns(const struct engine *en)
{
    uint64_t since = atomic_load(&en->busy_since_ns);
    uint64_t now = clock_now_ns();
    return since > 0 && now > since ? now - since : 0;
}

int engine_context(const struct engine *en)
{
    return en->set.context;
}

#include "runtime/engine/engine.h"

#include <unistd.h>

#include "models/arch/llama_step.h"
#include "runtime/base/clock.h"
#include "runtime/base/cond.h"
#include "runtime/base/mem.h"
#include "runtime/engine/engine_state.h"
#include "runtime/engine/parallel_team.h"
#include "runtime/engine/token_logprobs.h"

/* A token sampled counts as much as so many read: it takes a step of its own. */
#define OUTPUT_CHARGE 2

/* A step of which one sequence has so many rows is given up when that sequence is canceled. */
#define GIVE_UP_ROWS 32

/* How often it looks at deadlines while all are paused. */
#define ALL_PAUSED_NS 50000000u

/* Room for the events of a step was reserved before it. */
static void emit(struct engine *en, const struct sequence *s, struct engine_event ev)
{
    ev.user = s->user;
    ev.cached_tokens = s->n_cached;
    ev.started_ns = s->started_ns;
    event_list_push(&en->produced, &ev);
}

static void emit_end(struct engine *en, const struct sequence *s, enum engine_finish finish)
{
    emit(en, s, (struct engine_event){.token = TOKEN_NONE, .finish = finish});
}

static void end(struct engine *en, struct sequence *s, enum engine_finish finish)
{
    emit_end(en, s, finish);
    schedule_leave(&en->schedule, s);
    sequence_destroy(s);
    en->n_ended++;
}

/* --- sampling --- */

static int32_t choose(struct engine *en, struct sequence *s, const float *logits)
{
    const struct sampler_input in = {.logits = logits,
                                     .vocab = en->model->config.vocab,
                                     .tokens = s->tokens,
                                     .n_tokens = s->n_tokens,
                                     .n_prompt = s->n_prompt,
                                     .ends = en->ends.ids,
                                     .n_ends = en->ends.count,
                                     .allowed = s->constraint ? en->allowed : NULL};
    return sampler_next(&s->sampler, &in, &en->scratch);
}

static bool ends_turn(const struct engine *en, const struct sequence *s, int32_t token)
{
    for (size_t i = 0; i < s->sampling.n_stop_ids; i++) {
        if (s->sampling.stop_ids[i] == token) {
            return true;
        }
    }
    /* A constrained answer ends where its form does, for nothing can follow. */
    bool may_ignore = s->options.ignore_eog && !s->constraint;
    return !may_ignore && tokenizer_is_eog(en->model->tokenizer, token);
}

static enum engine_finish finish_after(const struct engine *en, const struct sequence *s)
{
    bool used_up = s->n_output >= s->max_tokens || s->n_tokens > (size_t)en->schedule.context;
    return used_up ? ENGINE_FINISH_LENGTH : ENGINE_RUNNING;
}

/* Chooses the next token of s, or says how it ends instead. */
static enum engine_finish next_token(struct engine *en, struct sequence *s, const float *logits,
                                     int32_t *token)
{
    if (s->constraint) {
        int32_t n = grammar_matcher_mask(s->constraint, en->allowed);
        if (n == 0 && grammar_matcher_may_end(s->constraint)) {
            return ENGINE_FINISH_EOG;
        }
        if (n <= 0) {
            return ENGINE_FINISH_FAILED;
        }
    }
    struct err ignored;
    *token = choose(en, s, logits);
    if (*token == TOKEN_NONE ||
        (s->constraint && grammar_matcher_accept(s->constraint, *token, &ignored) != 0)) {
        return ENGINE_FINISH_FAILED;
    }
    en->output_tokens++;
    s->uncharged += OUTPUT_CHARGE;
    return ends_turn(en, s, *token) ? ENGINE_FINISH_EOG : ENGINE_RUNNING;
}

/* The index-th token that this step gives s. Whether another one can follow in it: s still
 * runs, and what comes behind was guessed rightly. */
static bool sample_one(struct engine *en, struct sequence *s, const float *logits, int index)
{
    int32_t token;
    enum engine_finish finish = next_token(en, s, logits, &token);
    if (finish != ENGINE_RUNNING) {
        end(en, s, finish);
        return false;
    }
    struct engine_top_logprob top[ENGINE_TOP_LOGPROBS_MAX];
    struct engine_event ev = {.token = token, .top = top};
    if (s->options.want_logprobs) {
        ev.n_top = token_logprobs(logits, en->model->config.vocab, token, &ev.logprob, top,
                                  s->options.n_top_logprobs, &en->scratch);
    }
    if (s->options.want_entropy) {
        ev.entropy = token_entropy(logits, en->model->config.vocab, &en->scratch);
    }
    s->n_output++;
    bool goes_on = schedule_append(&en->schedule, s, token, index);
    finish = ev.finish = finish_after(en, s);
    emit(en, s, ev);
    if (finish != ENGINE_RUNNING) {
        schedule_leave(&en->schedule, s);
        sequence_destroy(s);
        en->n_ended++;
        return false;
    }
    return goes_on;
}

static void sample(struct engine *en)
{
    for (int i = 0; i < en->schedule.n_samples; i++) {
        const struct schedule_sample *at = &en->schedule.samples[i];
        int index = 0;
        while (
            sample_one(en, at->sequence, llama_logits(en->state, at->logits + index), index)) {
            index++;
        }
    }
}

/* --- a step --- */

/* Room for the events and tokens of a step. Who cannot be given it ends. */
static bool reserve(struct engine *en)
{
    const struct schedule *sch = &en->schedule;
    size_t events = (size_t)sch->max_logits + 2 * (size_t)sch->max_sequences;
    size_t tops = (size_t)sch->max_logits * ENGINE_TOP_LOGPROBS_MAX;
    if (event_list_reserve(&en->produced, events, tops) != 0) {
        return false;
    }
    for (int i = sch->n_running - 1; i >= 0; i--) {
        if (sequence_reserve(sch->order[i], 1 + PROMPT_LOOKUP_MAX) != 0) {
            end(en, sch->order[i], ENGINE_FINISH_FAILED);
        }
    }
    return true;
}

static void end_canceled_and_late(struct engine *en)
{
    uint64_t now = clock_now_ns();
    for (int i = en->schedule.n_running - 1; i >= 0; i--) {
        struct sequence *s = en->schedule.order[i];
        if (s->cancel) {
            end(en, s, ENGINE_FINISH_CANCELED);
        } else if (s->options.deadline_ns != 0 && now >= s->options.deadline_ns) {
            end(en, s, ENGINE_FINISH_DEADLINE);
        }
    }
}

static void end_pinned(struct engine *en)
{
    for (int i = en->schedule.n_running - 1; i >= 0; i--) {
        struct sequence *s = en->schedule.order[i];
        if (s->options.pin && sequence_to_go(s) == 0) {
            schedule_pin(&en->schedule, s);
            end(en, s, ENGINE_FINISH_PINNED);
        }
    }
}

/* Which request it is worth to give the step up for. */
static void announce_step(struct engine *en)
{
    uint64_t id = en->schedule.n_rows >= GIVE_UP_ROWS ? schedule_largest(&en->schedule) : 0;
    pthread_mutex_lock(&en->lock);
    en->in_step = id;
    pthread_mutex_unlock(&en->lock);
}

static void step(struct engine *en)
{
    struct schedule *sch = &en->schedule;
    atomic_store(&en->give_up, false);
    schedule_build(sch);
    en->stalled = sch->n_rows == 0;
    if (sch->n_rows > 0) {
        announce_step(en);
        double begin = clock_now_s();
        if (en->rank_steps.group) {
            rank_steps_tell(&en->rank_steps, &sch->kv, sch->rows, sch->n_rows);
        }
        bool done =
            llama_step(en->state, &en->model->weights, &sch->kv, sch->rows, sch->n_rows);
        if (!done) {
            schedule_undo(sch);
            return;
        }
        schedule_done(sch, clock_now_s() - begin);
        sample(en);
    }
    end_pinned(en);
}

/* --- between two steps, with the lock held --- */

static struct sequence *find_running(const struct engine *en, uint64_t id)
{
    for (int i = 0; i < en->schedule.n_running; i++) {
        if (en->schedule.order[i]->id == id) {
            return en->schedule.order[i];
        }
    }
    return NULL;
}

static void obey(struct engine *en)
{
    for (size_t i = 0; i < en->n_commands; i++) {
        const struct command *c = &en->commands[i];
        if (c->kind == COMMAND_UNPIN) {
            kv_pins_remove(&en->schedule.pins, &en->schedule.pool, c->id);
            continue;
        }
        struct sequence *s = find_running(en, c->id);
        /* It may have been preempted since, or have ended. */
        s = s ? s : fair_queue_find(&en->waiting, c->id);
        if (s && c->kind == COMMAND_CANCEL) {
            s->cancel = true;
        } else if (s) {
            s->paused = c->kind == COMMAND_PAUSE;
        }
    }
    en->n_commands = 0;
}

static void charge(struct engine *en)
{
    for (int i = 0; i < en->schedule.n_running; i++) {
        struct sequence *s = en->schedule.order[i];
        fair_queue_charge(&en->waiting, s->options.tenant, s->uncharged);
        s->uncharged = 0;
    }
}

/* Those that gave their pages up wait again. */
static void requeue_preempted(struct engine *en)
{
    while (en->schedule.preempted) {
        struct sequence *s = en->schedule.preempted;
        if (fair_queue_reserve(&en->waiting, s->options.tenant) != 0) {
            return; /* out of memory: later */
        }
        en->schedule.preempted = s->next;
        fair_queue_push(&en->waiting, s);
        en->pins_waiting += s->options.pin != 0;
    }
}

static bool is_late(const struct sequence *s, uint64_t now)
{
    return s->cancel || (s->options.deadline_ns != 0 && now >= s->options.deadline_ns);
}

static void end_late_waiting(struct engine *en)
{
    uint64_t now = clock_now_ns();
    struct sequence *s;
    /* Without room for an event they end later. */
    while (event_list_reserve(&en->produced, 1, 0) == 0 &&
           (s = fair_queue_take_if(&en->waiting, is_late, now))) {
        en->pins_waiting -= s->options.pin != 0;
        emit_end(en, s, s->cancel ? ENGINE_FINISH_CANCELED : ENGINE_FINISH_DEADLINE);
        sequence_destroy(s);
    }
}

static void admit(struct engine *en)
{
    struct sequence *s;
    while ((s = fair_queue_peek(&en->waiting))) {
        while (!schedule_has_room(&en->schedule, s)) {
            if (!schedule_yield_paused(&en->schedule)) {
                return;
            }
        }
        fair_queue_pop(&en->waiting);
        en->pins_waiting -= s->options.pin != 0;
        if (s->n_counted == 0) { /* not again after a preemption */
            fair_queue_charge(&en->waiting, s->options.tenant, s->n_prompt);
        }
        s->started_ns = s->started_ns ? s->started_ns : clock_now_ns();
        schedule_join(&en->schedule, s);
    }
}

static void wait_for_work(struct engine *en)
{
    while (!en->stop && en->schedule.n_running == 0 && en->waiting.count == 0 &&
           !en->schedule.preempted && en->produced.count == 0 && en->n_commands == 0) {
        atomic_store(&en->busy_since_ns, 0);
        pthread_cond_wait(&en->work_arrived, &en->lock);
        en->last_end_s = clock_now_s(); /* nobody was waited for meanwhile */
    }
    bool stalled = en->schedule.n_running > 0 ? en->stalled : en->waiting.count > 0;
    if (!en->stop && stalled && !fair_queue_peek(&en->waiting)) {
        /* All are paused: until one goes on, or its time is up. */
        cond_wait_until(&en->work_arrived, &en->lock, clock_now_ns() + ALL_PAUSED_NS);
    }
}

static void take_work(struct engine *en)
{
    en->in_step = 0;
    wait_for_work(en);
    charge(en);
    requeue_preempted(en);
    obey(en);
    end_late_waiting(en);
    admit(en);
}

static void show_stats(struct engine *en)
{
    const struct schedule *sch = &en->schedule;
    en->shown = (struct engine_stats){.running = sch->n_running,
                                      .prompt_tokens = sch->stats.prompt_tokens,
                                      .cached_tokens = sch->stats.cached_tokens,
                                      .output_tokens = en->output_tokens,
                                      .guessed_tokens = sch->stats.guessed_tokens,
                                      .accepted_tokens = sch->stats.accepted_tokens,
                                      .preemptions = sch->stats.preemptions,
                                      .kv_pages = sch->pool.n_pages,
                                      .kv_pages_free = kv_pool_available(&sch->pool)};
    double now = clock_now_s();
    for (; en->n_ended > 0; en->n_ended--) {
        double seconds = (now - en->last_end_s) / en->n_ended;
        en->seconds_per_end = 0.9 * en->seconds_per_end + 0.1 * seconds;
        en->last_end_s += seconds;
    }
}

/* Hands what was produced to the caller's side. When memory is out the events stay here until
 * the next round: late, but none is lost. */
static void publish(struct engine *en)
{
    pthread_mutex_lock(&en->lock);
    show_stats(en);
    bool fits = en->produced.count > 0 && event_list_move(&en->events, &en->produced) == 0;
    pthread_mutex_unlock(&en->lock);
    if (fits) {
        en->set.notify(en->set.notify_ctx);
    }
}

static void *engine_main(void *ctx)
{
    struct engine *en = ctx;
    team_step_back(en->team);
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
        bool aside = en->steps_aside;
        atomic_store(&en->busy_since_ns, clock_now_ns());
        pthread_mutex_unlock(&en->lock);
        if (stop) {
            return NULL;
        }
        if (aside && !en->is_aside) {
            team_step_aside(en->team);
            en->is_aside = true;
        }
        /* Without room for the events of a step, the step waits: nothing is lost, and memory
         * that others free makes it go on. */
        if (reserve(en)) {
            end_canceled_and_late(en);
            step(en);
        }
        publish(en);
    }
}

/* --- its beginning and end --- */

/* Pages within the memory that the settings allow: at least those of one context, at most those
 * of all sequences. */
static int count_pages(const struct llama_config *c, const struct engine_settings *s)
{
    size_t context = kv_cache_pages(s->context);
    size_t most = context * (size_t)s->max_sequences;
    size_t bytes = s->kv_bytes;
    if (bytes == 0) {
        long pages = sysconf(_SC_PHYS_PAGES);
        long page_bytes = sysconf(_SC_PAGESIZE);
        bytes = pages > 0 && page_bytes > 0 ? (size_t)pages * (size_t)page_bytes / 4 : SIZE_MAX;
        bytes /= c->n_ranks > 1 ? (size_t)c->n_ranks : 1; /* they may be on one machine */
    }
    size_t page = kv_cache_page_bytes_most(c, s->kv_type); /* all ranks have as many pages */
    size_t n = page > 0 ? bytes / page : context;
    n = n < most ? n : most;
    n = n > context ? n : context;
    return n < INT32_MAX ? (int)n : INT32_MAX;
}

uint64_t engine_kv_bytes(const struct llama_config *c, const struct engine_settings *s)
{
    struct engine_settings set = *s;
    set.context = set.context > c->context ? c->context : set.context;
    return (uint64_t)count_pages(c, &set) * kv_cache_page_bytes(c, s->kv_type);
}

static int list_ends(struct engine *en, struct err *e)
{
    for (int32_t id = 0; id < en->model->config.vocab; id++) {
        if (tokenizer_is_eog(en->model->tokenizer, id) && token_list_push(&en->ends, id) != 0) {
            return err_nomem(e);
        }
    }
    return 0;
}

static int create_parts(struct engine *en, struct err *e)
{
    const struct ops *ops = ops_select(en->set.cpu_features);
    const struct llama_config *config = &en->model->config;
    if (en->set.pin && team_check_pin(en->set.threads, e) != 0) {
        return -1;
    }
    struct schedule_settings s = {.max_sequences = en->set.max_sequences,
                                  .max_rows = en->set.step_tokens,
                                  .context = en->set.context,
                                  .n_pages = count_pages(config, &en->set),
                                  .kv_type = en->set.kv_type,
                                  .step_s = en->set.step_ms > 0 ? en->set.step_ms / 1e3 : 1e9,
                                  .guesses = en->set.guesses};
    if (schedule_init(&en->schedule, config, &s, e) != 0 ||
        !(en->team = team_create(en->set.threads, e))) {
        return -1;
    }
    struct llama_state_settings state = {.max_rows = en->set.step_tokens,
                                         .max_logits = en->schedule.max_logits,
                                         .context = en->set.context,
                                         .kernel = q8_kernel_select(en->set.cpu_features),
                                         .ops = ops,
                                         .parallel = parallel_team(en->team),
                                         .give_up = &en->give_up,
                                         .adapters = true};
    if (en->set.ranks) {
        state.adapters = false;
        state.parallel.ranks = rank_channel_ranks(en->set.rank_channel);
        en->rank_steps =
            (struct rank_steps){.group = en->set.ranks, .channel = en->set.rank_channel};
        kv_cache_note_changes(&en->schedule.kv);
    }
    en->state = llama_state_create(config, &state, e);
    en->allowed = mem_zarray(((size_t)config->vocab + 31) / 32, sizeof(*en->allowed));
    if (!en->allowed) {
        return err_nomem(e);
    }
    return en->state && sampler_scratch_init(&en->scratch, ops, config->vocab,
                                             (size_t)en->set.context, e) == 0
               ? list_ends(en, e)
               : -1;
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
    en->last_end_s = clock_now_s();
    pthread_mutex_init(&en->lock, NULL);
    cond_init(&en->work_arrived);
    if (create_parts(en, e) != 0) {
        engine_destroy(en);
        return NULL;
    }
    show_stats(en);
    if (pthread_create(&en->thread, NULL, engine_main, en) != 0) {
        err_set(e, ERR_NOMEM, "cannot start the engine's thread");
        engine_destroy(en);
        return NULL;
    }
    en->thread_started = true;
    return en;
}

void engine_describe(const struct engine *en, struct rank_engine *out)
{
    const struct schedule *sch = &en->schedule;
    *out = (struct rank_engine){.is_there = 1,
                                .n_pages = sch->kv.n_pages,
                                .n_slots = sch->kv.n_slots,
                                .context = sch->kv.context,
                                .kv_type = (int32_t)sch->kv.type,
                                .max_rows = sch->max_rows,
                                .max_logits = sch->max_logits};
}

void engine_destroy(struct engine *en)
{
    if (!en) {
        return;
    }
    if (en->thread_started) {
        pthread_mutex_lock(&en->lock);
        en->stop = true;
        atomic_store(&en->give_up, true);
        pthread_cond_signal(&en->work_arrived);
        pthread_mutex_unlock(&en->lock);
        pthread_join(en->thread, NULL);
        if (en->rank_steps.group) {
            rank_steps_end(&en->rank_steps);
        }
    }
    schedule_deinit(&en->schedule);
    fair_queue_deinit(&en->waiting);
    event_list_deinit(&en->events);
    event_list_deinit(&en->draining);
    event_list_deinit(&en->produced);
    mem_free(en->commands);
    mem_free(en->allowed);
    sampler_scratch_deinit(&en->scratch);
    token_list_deinit(&en->ends);
    llama_state_destroy(en->state);
    team_destroy(en->team);
    pthread_cond_destroy(&en->work_arrived);
    pthread_mutex_destroy(&en->lock);
    mem_free(en);
}

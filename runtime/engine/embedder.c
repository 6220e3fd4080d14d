#include "runtime/engine/embedder.h"

#include <pthread.h>
#include <string.h>

#include "models/arch/llama_embed.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/engine/parallel_team.h"

#define SLOTS 32 /* texts of one step */

#define RETRY_AFTER_MAX_S 60

enum kind { SHORT, LONG, N_KINDS };

static const int running_max[N_KINDS] = {[SHORT] = EMBEDDER_SHORT, [LONG] = EMBEDDER_LONG};

/* A queue, or the ring of those that run. */
struct job_list {
    struct embedder_job *first, **end; /* end: where the next one is written */
    int count;
};

struct embedder {
    const struct model *model;
    struct embedder_settings set;

    /* Shared between the embedder's thread and its callers, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work_arrived;
    struct job_list waiting[N_KINDS];
    struct job_list ended; /* not drained yet */
    int n_running[N_KINDS];
    bool stop;
    double seconds_per_job;       /* mean time between two jobs that end while others wait */
    struct embedder_job *in_step; /* if it is alone in the step that runs */

    atomic_bool give_up; /* the step that runs */

    /* The caller's thread only. */
    pthread_t thread;
    bool thread_started;

    /* The embedder's thread only. */
    struct team *team; /* NULL before the first job */
    struct llama_state *state;
    struct kv_cache kv;
    struct job_list running;
    struct llama_text texts[SLOTS]; /* of the step that runs */
    double last_end_s;
};

/* --- lists --- */

static void list_init(struct job_list *l)
{
    *l = (struct job_list){.end = &l->first};
}

static void list_push(struct job_list *l, struct embedder_job *job)
{
    job->next = NULL;
    *l->end = job;
    l->end = &job->next;
    l->count++;
}

static struct embedder_job *list_pop(struct job_list *l)
{
    struct embedder_job *job = l->first;
    if (job) {
        l->first = job->next;
        l->end = l->first ? l->end : &l->first;
        l->count--;
    }
    return job;
}

static enum kind kind_of(const struct embedder_job *job)
{
    return job->n_texts <= EMBEDDER_SHORT_TEXTS ? SHORT : LONG;
}

/* --- the embedder's thread --- */

static int create_parts(struct embedder *em, struct err *e)
{
    const struct llama_config *c = &em->model->config;
    em->team = team_create(em->set.threads, e);
    if (!em->team) {
        return -1;
    }
    team_step_back(em->team);
    bool longer = c->encoder && em->set.context > em->set.step_tokens;
    int rows = longer ? em->set.context : em->set.step_tokens;
    struct llama_state_settings set = {.max_rows = rows,
                                       .max_logits = rows,
                                       .context = em->set.context,
                                       .kernel = q8_kernel_select(em->set.cpu_features),
                                       .ops = ops_select(em->set.cpu_features),
                                       .parallel = parallel_team(em->team),
                                       .give_up = &em->give_up,
                                       .vectors = true};
    em->state = llama_state_create(c, &set, e);
    /* The texts of a step, each beginning on a page of its own, or one of a whole context. */
    int most = rows > em->set.context ? rows : em->set.context;
    return em->state ? kv_cache_init(&em->kv, c, em->set.kv_type, SLOTS, em->set.context,
                                     (int)kv_cache_pages(most) + SLOTS, e)
                     : -1;
}

static void destroy_parts(struct embedder *em)
{
    kv_cache_deinit(&em->kv);
    llama_state_destroy(em->state);
    team_destroy(em->team);
    em->state = NULL;
    em->team = NULL;
}

static void give_back(struct embedder *em, struct embedder_job *job)
{
    double now = clock_now_s();
    pthread_mutex_lock(&em->lock);
    em->n_running[kind_of(job)]--;
    em->seconds_per_job += (now - em->last_end_s - em->seconds_per_job) / 8;
    list_push(&em->ended, job);
    pthread_mutex_unlock(&em->lock);
    em->last_end_s = now;
    em->set.notify(em->set.notify_ctx);
}

static void end(struct embedder *em, struct embedder_job *job, const struct err *e)
{
    job->e = *e;
    give_back(em, job);
}

static size_t text_begin(const struct embedder_job *job, size_t text)
{
    return text > 0 ? job->ends[text - 1] : 0;
}

/* Those that have a place run; with the lock held. */
static void admit(struct embedder *em)
{
    for (int kind = 0; kind < N_KINDS; kind++) {
        while (em->waiting[kind].first && em->n_running[kind] < running_max[kind]) {
            list_push(&em->running, list_pop(&em->waiting[kind]));
            em->n_running[kind]++;
        }
    }
}

/* Waits for work. False: it is time to end. */
static bool take_jobs(struct embedder *em)
{
    pthread_mutex_lock(&em->lock);
    admit(em);
    while (!em->stop && !em->running.first) {
        pthread_cond_wait(&em->work_arrived, &em->lock);
        em->last_end_s = clock_now_s(); /* what was idle time is not a job's */
        admit(em);
    }
    bool goes_on = !em->stop;
    pthread_mutex_unlock(&em->lock);
    return goes_on;
}

/* Reads those that are new, and ends those that are canceled, cannot be read, or are done. */
static void settle_jobs(struct embedder *em)
{
    struct job_list all = em->running;
    if (!all.first) {
        return;
    }
    list_init(&em->running);
    for (struct embedder_job *job = all.first, *next; job; job = next) {
        next = job->next;
        struct err e = {0};
        if (atomic_load(&job->canceled)) {
            err_set(&e, ERR_CANCELED, "the request was canceled");
            end(em, job, &e);
        } else if (!job->vectors && job->read(job, &e) != 0) {
            end(em, job, &e);
        } else if (job->n_done < job->n_texts) {
            list_push(&em->running, job);
        } else {
            if (job->write(job, &e) == 0) {
                e.kind = ERR_NONE;
            }
            end(em, job, &e);
        }
    }
}

static void fail_jobs(struct embedder *em, const struct err *e)
{
    struct embedder_job *job;
    while ((job = list_pop(&em->running))) {
        end(em, job, e);
    }
}

/* A text goes into pages of its own, behind those of the others of the step. */
static void map_pages(struct embedder *em, size_t slot, size_t n_tokens, int *page)
{
    for (size_t i = 0; i < kv_cache_pages((int)n_tokens); i++) {
        kv_cache_map(&em->kv, (int)slot, i, (*page)++);
    }
}

/* The texts of the next step: one of each job in turn, until there is no room. */
static size_t gather(struct embedder *em)
{
    size_t n = 0, rows = 0, max_rows = (size_t)llama_state_max_rows(em->state);
    size_t d = (size_t)em->model->config.d_model;
    int page = 0;
    for (bool took = true; took;) {
        took = false;
        for (struct embedder_job *job = em->running.first; job; job = job->next) {
            if (job->n_taken == job->n_texts) {
                continue;
            }
            size_t begin = text_begin(job, job->n_taken);
            size_t n_tokens = job->ends[job->n_taken] - begin;
            if (n == SLOTS || (n > 0 && rows + n_tokens > max_rows)) {
                return n;
            }
            map_pages(em, n, n_tokens, &page);
            em->texts[n++] = (struct llama_text){.tokens = job->tokens.ids + begin,
                                                 .n_tokens = n_tokens,
                                                 .vector = job->vectors + job->n_taken * d};
            job->n_taken++;
            rows += n_tokens;
            took = true;
        }
    }
    return n;
}

/* The job that has all texts of the step, or NULL. */
static struct embedder_job *alone_in_step(const struct embedder *em)
{
    struct embedder_job *alone = NULL;
    for (struct embedder_job *job = em->running.first; job; job = job->next) {
        if (job->n_taken > job->n_done) {
            if (alone) {
                return NULL;
            }
            alone = job;
        }
    }
    return alone;
}

/* Who is worth giving the step up for. From here on a cancel is not missed. */
static void announce_step(struct embedder *em, struct embedder_job *alone)
{
    pthread_mutex_lock(&em->lock);
    em->in_step = alone;
    bool give_up = em->stop || (alone && atomic_load(&alone->canceled));
    atomic_store(&em->give_up, give_up);
    pthread_mutex_unlock(&em->lock);
}

static void step(struct embedder *em)
{
    struct err e = {0};
    for (struct embedder_job *job = em->running.first; job; job = job->next) {
        job->n_taken = job->n_done;
    }
    size_t n_texts = gather(em);
    if (n_texts == 0) {
        return;
    }
    announce_step(em, alone_in_step(em));
    int rc = llama_embed(em->state, &em->model->config, &em->model->weights, &em->kv, em->texts,
                         n_texts, &e);
    announce_step(em, NULL);
    if (rc != 0) {
        if (e.kind != ERR_CANCELED) {
            fail_jobs(em, &e);
        }
        return;
    }
    for (struct embedder_job *job = em->running.first; job; job = job->next) {
        job->n_done = job->n_taken;
    }
    /* Whoever was first now is last: a step may be full before all had a turn. */
    list_push(&em->running, list_pop(&em->running));
}

static void *embedder_main(void *ctx)
{
    struct embedder *em = ctx;
    while (take_jobs(em)) {
        struct err e = {0};
        if (!em->team && create_parts(em, &e) != 0) {
            destroy_parts(em);
            fail_jobs(em, &e);
            continue;
        }
        settle_jobs(em);
        step(em);
        settle_jobs(em);
    }
    destroy_parts(em);
    return NULL;
}

/* --- the caller's side --- */

static int choose_context(const struct model *m, int wanted)
{
    int context = wanted > 0 ? wanted : m->config.context;
    if (wanted == 0 && m->config.encoder && context > EMBEDDER_ENCODER_CONTEXT) {
        context = EMBEDDER_ENCODER_CONTEXT;
    }
    return context < m->config.context ? context : m->config.context;
}

struct embedder *embedder_create(const struct model *m, const struct embedder_settings *s,
                                 struct err *e)
{
    struct embedder *em = mem_zalloc(sizeof(*em));
    if (!em) {
        err_nomem(e);
        return NULL;
    }
    em->model = m;
    em->set = *s;
    em->set.context = choose_context(m, s->context);
    list_init(&em->waiting[SHORT]);
    list_init(&em->waiting[LONG]);
    list_init(&em->ended);
    list_init(&em->running);
    pthread_mutex_init(&em->lock, NULL);
    pthread_cond_init(&em->work_arrived, NULL);
    return em;
}

void embedder_destroy(struct embedder *em)
{
    if (!em) {
        return;
    }
    if (em->thread_started) {
        pthread_mutex_lock(&em->lock);
        em->stop = true;
        atomic_store(&em->give_up, true);
        pthread_cond_signal(&em->work_arrived);
        pthread_mutex_unlock(&em->lock);
        pthread_join(em->thread, NULL);
    }
    pthread_cond_destroy(&em->work_arrived);
    pthread_mutex_destroy(&em->lock);
    mem_free(em);
}

/* With the lock held. */
static bool is_full(const struct embedder *em, enum kind kind)
{
    int free = running_max[kind] - em->n_running[kind];
    return em->waiting[kind].count >= em->set.max_waiting + free;
}

/* With the lock held. */
static int refuse_busy(const struct embedder *em, struct err *e)
{
    int waiting = em->waiting[SHORT].count + em->waiting[LONG].count;
    double wait_s = em->seconds_per_job * (waiting + 1);
    err_set(e, ERR_BUSY,
            "%d requests for embeddings are running and %d waiting; try again later",
            em->n_running[SHORT] + em->n_running[LONG], waiting);
    e->retry_after_s = wait_s < RETRY_AFTER_MAX_S ? 1 + (int)wait_s : RETRY_AFTER_MAX_S;
    return -1;
}

int embedder_check_room(struct embedder *em, struct err *e)
{
    pthread_mutex_lock(&em->lock);
    int rc = is_full(em, SHORT) && is_full(em, LONG) ? refuse_busy(em, e) : 0;
    pthread_mutex_unlock(&em->lock);
    return rc;
}

int embedder_submit(struct embedder *em, struct embedder_job *job, struct err *e)
{
    if (!em->thread_started) {
        if (pthread_create(&em->thread, NULL, embedder_main, em) != 0) {
            return err_nomem(e);
        }
        em->thread_started = true;
    }
    pthread_mutex_lock(&em->lock);
    enum kind kind = kind_of(job);
    int rc = is_full(em, kind) ? refuse_busy(em, e) : 0;
    if (rc == 0) {
        list_push(&em->waiting[kind], job);
        pthread_cond_signal(&em->work_arrived);
    }
    pthread_mutex_unlock(&em->lock);
    return rc;
}

void embedder_cancel(struct embedder *em, struct embedder_job *job)
{
    pthread_mutex_lock(&em->lock);
    atomic_store(&job->canceled, true);
    if (em->in_step == job) {
        atomic_store(&em->give_up, true);
    }
    pthread_mutex_unlock(&em->lock);
}

void embedder_drain(struct embedder *em)
{
    pthread_mutex_lock(&em->lock);
    struct embedder_job *job = em->ended.first;
    list_init(&em->ended);
    pthread_mutex_unlock(&em->lock);
    for (struct embedder_job *next; job; job = next) {
        next = job->next;
        job->done(job);
    }
}

int embedder_context(const struct embedder *em)
{
    return em->set.context;
}

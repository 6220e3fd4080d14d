#include "runtime/serve/prompt_reading.h"

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/prompt_prefix.h"

#define BEFORE_ALL_OTHERS (-1000000)

struct prompt_reading *prompt_reading_create(struct prompt *p, struct generation *g,
                                             uint64_t pin)
{
    struct prompt_reading *r = mem_zalloc(sizeof(*r));
    if (r) {
        r->prompt = prompt_ref(p);
        r->generation = g ? generation_ref_aside(g) : NULL;
        r->pin = pin;
    }
    return r;
}

static void release(struct prompt_reading *r)
{
    if (r->state == PROMPT_READING_HELD && r->generation) {
        engine_unpin(r->generation->engine, r->pin);
    }
    token_list_deinit(&r->prefix);
    prompt_unref(r->prompt);
    generation_unref_aside(r->generation);
    mem_free(r);
}

bool prompt_reading_is_over(const struct prompt_reading *r)
{
    return r->state == PROMPT_READING_HELD || r->state == PROMPT_READING_FAILED;
}

const struct token_list *prompt_reading_prefix(const struct prompt_reading *r)
{
    /* A worker that finds it writes both. */
    return r->state != PROMPT_READING_FINDS && r->is_found ? &r->prefix : NULL;
}

static void fail(struct prompt_reading *r, const char *model)
{
    r->state = PROMPT_READING_FAILED;
    log_warn("prompt %s: version %llu is not read ahead by %s: %s", r->prompt->name,
             (unsigned long long)r->prompt->version, model, r->e.message);
}

static struct engine_request request_for(const struct prompt_reading *r)
{
    return (struct engine_request){.prompt = r->prefix.ids,
                                   .n_prompt = r->prefix.count,
                                   .max_tokens = 1,
                                   .options = {.pin = r->pin,
                                               .n_shared = r->prefix.count,
                                               .priority = BEFORE_ALL_OTHERS,
                                               .deadline_ns = r->deadline_ns}};
}

/* --- on a generation that serves --- */

/* It is over, or waits again. */
static void end(struct prompt_reading *r)
{
    if (r->is_dropped) {
        release(r);
    } else {
        r->on_end(r->on_end_user);
    }
}

static void on_event(struct engine_user *user, const struct engine_event *ev)
{
    struct prompt_reading *r = (struct prompt_reading *)user;
    if (ev->finish == ENGINE_RUNNING) {
        return;
    }
    if (ev->finish == ENGINE_FINISH_PINNED) {
        r->state = PROMPT_READING_HELD;
    } else if (ev->finish == ENGINE_FINISH_FAILED) {
        err_set(&r->e, ERR_NOMEM, "the engine gave it up");
        fail(r, r->generation->id);
    } else {
        r->state = PROMPT_READING_WAITS;
    }
    end(r);
}

/* The engine begins to read; with nothing to read it is over. */
static void submit(struct prompt_reading *r)
{
    struct engine_request request = request_for(r);
    request.user = &r->user;
    if (r->prefix.count == 0) {
        r->state = PROMPT_READING_HELD;
    } else if (engine_submit(r->generation->engine, &request, &r->request, &r->e) == 0) {
        r->state = PROMPT_READING_READS;
    } else {
        fail(r, r->generation->id);
    }
}

static void find_on_worker(uv_work_t *work)
{
    struct prompt_reading *r = work->data;
    r->is_found = prompt_prefix_find(r->generation, r->prompt, &r->prefix, &r->e) == 0;
}

static void after_finding(uv_work_t *work, int status)
{
    struct prompt_reading *r = work->data;
    (void)status; /* it is never cancelled */
    r->state = PROMPT_READING_WAITS;
    if (!r->is_dropped && !r->is_found) {
        fail(r, r->generation->id);
    } else if (!r->is_dropped) {
        submit(r);
    }
    if (r->state != PROMPT_READING_READS) {
        end(r);
    }
}

void prompt_reading_begin(struct prompt_reading *r, uint64_t deadline_ns,
                          void (*on_end)(void *user), void *user)
{
    r->user.on_event = on_event;
    r->on_end = on_end;
    r->on_end_user = user;
    r->deadline_ns = deadline_ns;
    r->tries++;
    if (r->is_found) {
        submit(r);
        return;
    }
    r->work.data = r;
    r->state = PROMPT_READING_FINDS;
    if (uv_queue_work(r->generation->loop, &r->work, find_on_worker, after_finding) != 0) {
        err_set(&r->e, ERR_NOMEM, "no worker thread could be had");
        fail(r, r->generation->id);
    }
}

void prompt_reading_yield(struct prompt_reading *r, uint64_t deadline_ns)
{
    if (r->deadline_ns == 0 && r->state == PROMPT_READING_READS) {
        engine_cancel(r->generation->engine, r->request);
    } else if (r->deadline_ns == 0) {
        r->deadline_ns = deadline_ns;
    }
}

void prompt_reading_drop(struct prompt_reading *r)
{
    r->next = NULL;
    r->is_dropped = true;
    if (r->state == PROMPT_READING_READS) {
        engine_cancel(r->generation->engine, r->request);
    } else if (r->state != PROMPT_READING_FINDS) {
        release(r);
    }
}

/* --- on one that does not serve yet --- */

static void run(struct prompt_reading *r, struct generation *g)
{
    struct token_list none = {0};
    r->is_found = prompt_prefix_find(g, r->prompt, &r->prefix, &r->e) == 0;
    const struct engine_request request = request_for(r);
    if (!r->is_found ||
        (r->prefix.count > 0 && generation_try(g, &request, &none, &r->e) != 0)) {
        fail(r, g->id);
    } else {
        r->state = PROMPT_READING_HELD;
    }
    token_list_deinit(&none);
}

void prompt_readings_run(struct prompt_reading *list, struct generation *g)
{
    struct err stopped = {0};
    for (struct prompt_reading *r = g->engine ? list : NULL;
         r && !generation_is_stopped(g, &stopped); r = r->next) {
        if (r->state == PROMPT_READING_WAITS) {
            run(r, g);
        }
    }
}

void prompt_reading_adopt(struct prompt_reading *r, struct generation *g)
{
    r->generation = generation_ref_aside(g);
}

void prompt_readings_drop(struct prompt_reading **list)
{
    for (struct prompt_reading *r = *list, *next; r; r = next) {
        next = r->next;
        prompt_reading_drop(r);
    }
    *list = NULL;
}

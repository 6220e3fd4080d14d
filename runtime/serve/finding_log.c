#include "runtime/serve/finding_log.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/server_metrics.h"

#define GATHER_MS 100          /* from a first row to its storing */
#define IDLE_MS   (600 * 1000) /* without any rows, between looks for old ones */
#define BUSY_MS   20           /* where more has to be deleted than is at once */

/* What waits, or is being stored. */
struct batch {
    struct finding *findings; /* (n_findings of cap_findings) */
    size_t n_findings, cap_findings;
    struct finding_text *texts; /* (n_texts of cap_texts), each text owned */
    size_t n_texts, cap_texts;
    size_t text_bytes;
};

struct finding_log {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_work_t work;
    struct finding_store *store;
    enum finding_texts texts;
    struct metrics *metrics;
    struct batch waiting;
    struct batch storing;
    bool is_working;
    bool is_stopped;
    bool has_more;  /* to delete */
    bool is_failed; /* of the work that ran */
    bool was_failed;
    struct err e;
    uint64_t n_batches; /* that were begun */
    struct finding_wait *waits;
};

/* Why a row is dropped; values of a label. */
#define QUEUE_FULL       "queue_full"
#define NOT_WRITTEN      "not_written"
#define TEXT_QUEUE_FULL  "text_queue_full"
#define TEXT_NOT_WRITTEN "text_not_written"

/* What may be the subject of an alarm shall be there before the first case. */
static void start_at_zero(struct metrics *metrics)
{
    static const char *const reasons[] = {QUEUE_FULL, NOT_WRITTEN, TEXT_QUEUE_FULL,
                                          TEXT_NOT_WRITTEN};
    metrics_add(metrics, SERVER_METRIC_FINDINGS_WRITTEN, NULL, 0);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        metrics_add(metrics, SERVER_METRIC_FINDINGS_DROPPED, &reasons[i], 0);
    }
}

/* --- the queue --- */

static void clear(struct batch *b)
{
    for (size_t i = 0; i < b->n_texts; i++) {
        mem_free(b->texts[i].text);
    }
    mem_free(b->texts);
    mem_free(b->findings);
    *b = (struct batch){0};
}

static void drop(struct finding_log *log, const char *why, size_t n)
{
    if (n > 0) {
        metrics_add(log->metrics, SERVER_METRIC_FINDINGS_DROPPED, &why, (double)n);
    }
}

/* Room for one more item of `size` bytes. */
static bool has_room(void **items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return true;
    }
    size_t wanted = *cap ? *cap * 2 : 16;
    void *moved = n < FINDING_QUEUE_ROWS ? mem_realloc_array(*items, wanted, size) : NULL;
    if (moved) {
        *items = moved;
        *cap = wanted;
    }
    return moved != NULL;
}

static void schedule(struct finding_log *log, uint64_t ms);

static void wake(struct finding_log *log)
{
    bool is_first = log->waiting.n_findings + log->waiting.n_texts == 1;
    if (is_first && !log->is_working) {
        schedule(log, GATHER_MS);
    }
}

uint64_t finding_log_add_text(struct finding_log *log, const struct finding_text *text)
{
    struct batch *b = &log->waiting;
    char *copy = NULL;
    if (b->text_bytes + text->len <= FINDING_QUEUE_BYTES &&
        has_room((void **)&b->texts, b->n_texts, &b->cap_texts, sizeof(*b->texts))) {
        copy = mem_strndup(text->text, text->len);
    }
    if (!copy) {
        drop(log, TEXT_QUEUE_FULL, 1);
        return 0;
    }
    b->texts[b->n_texts] = *text;
    b->texts[b->n_texts++].text = copy;
    b->text_bytes += text->len;
    wake(log);
    return b->n_texts;
}

void finding_log_add(struct finding_log *log, const struct finding *finding)
{
    struct batch *b = &log->waiting;
    if (!has_room((void **)&b->findings, b->n_findings, &b->cap_findings,
                  sizeof(*b->findings))) {
        drop(log, QUEUE_FULL, 1);
        return;
    }
    b->findings[b->n_findings++] = *finding;
    wake(log);
}

/* --- storing --- */

/* On a worker, or at the end on the main thread. */
static void store(struct finding_log *log)
{
    const struct batch *b = &log->storing;
    const struct finding_batch batch = {b->findings, b->n_findings, b->texts, b->n_texts};
    log->e = (struct err){0};
    log->is_failed =
        b->n_findings + b->n_texts > 0 && finding_store_add(log->store, &batch, &log->e) != 0;
    struct err e = {0};
    if (finding_store_prune(log->store, clock_unix_ms(), &log->has_more, &e) != 0 &&
        !log->is_failed) {
        log->e = e;
    }
}

/* Each trouble is told once, and that it is over. */
static void tell(struct finding_log *log)
{
    bool is_trouble = log->e.kind != ERR_NONE;
    if (is_trouble && !log->was_failed) {
        log_error("findings of filters are not stored: %s", log->e.message);
    } else if (!is_trouble && log->was_failed) {
        log_info("findings of filters are stored again");
    }
    log->was_failed = is_trouble;
}

static void account(struct finding_log *log)
{
    if (log->is_failed) {
        drop(log, NOT_WRITTEN, log->storing.n_findings);
        drop(log, TEXT_NOT_WRITTEN, log->storing.n_texts);
    } else {
        metrics_add(log->metrics, SERVER_METRIC_FINDINGS_WRITTEN, NULL,
                    (double)log->storing.n_findings);
    }
    tell(log);
    clear(&log->storing);
}

static bool is_empty(const struct batch *b)
{
    return b->n_findings + b->n_texts == 0;
}

/* No batch is being stored. */
static void call_waiting(struct finding_log *log)
{
    struct finding_wait **at = &log->waits;
    while (*at) {
        struct finding_wait *wait = *at;
        if (wait->until <= log->n_batches) {
            *at = wait->next;
            wait->done(wait);
        } else {
            at = &wait->next;
        }
    }
}

static void run_on_worker(uv_work_t *work)
{
    store(work->data);
}

static void begin_storing(struct finding_log *log);

static void after_work(uv_work_t *work, int status)
{
    struct finding_log *log = work->data;
    if (status != 0) {
        log->is_failed = err_set(&log->e, ERR_CANCELED, "the work was not done") != 0;
    }
    log->is_working = false;
    account(log);
    call_waiting(log);
    if (log->waits) {
        begin_storing(log);
    } else if (!is_empty(&log->waiting)) {
        schedule(log, GATHER_MS);
    } else {
        schedule(log, log->has_more ? BUSY_MS : IDLE_MS);
    }
}

static void begin_storing(struct finding_log *log)
{
    if (log->is_working) {
        return;
    }
    log->storing = log->waiting;
    log->waiting = (struct batch){0};
    log->is_working = true;
    log->n_batches++;
    log->work.data = log;
    if (uv_queue_work(log->loop, &log->work, run_on_worker, after_work) != 0) {
        after_work(&log->work, UV_ENOMEM);
    }
}

static void on_timer(uv_timer_t *timer)
{
    begin_storing(timer->data);
}

static void schedule(struct finding_log *log, uint64_t ms)
{
    if (!log->is_stopped) {
        uv_timer_start(&log->timer, on_timer, ms, 0);
    }
}

void finding_log_wait(struct finding_log *log, struct finding_wait *wait)
{
    if (is_empty(&log->waiting) && !log->is_working) {
        wait->done(wait);
        return;
    }
    wait->until = log->n_batches + !is_empty(&log->waiting);
    wait->next = log->waits;
    log->waits = wait;
    begin_storing(log);
}

/* --- beginning and end --- */

struct finding_log *finding_log_start(uv_loop_t *loop, const struct finding_settings *set,
                                      struct metrics *metrics, struct err *e)
{
    struct finding_log *log = mem_zalloc(sizeof(*log));
    if (!log) {
        err_nomem(e);
        return NULL;
    }
    log->loop = loop;
    log->texts = set->texts;
    log->metrics = metrics;
    log->store = finding_store_open(set->path, &set->limits, e);
    if (!log->store) {
        mem_free(log);
        return NULL;
    }
    start_at_zero(metrics);
    uv_timer_init(loop, &log->timer);
    log->timer.data = log;
    schedule(log, IDLE_MS);
    return log;
}

enum finding_texts finding_log_texts(const struct finding_log *log)
{
    return log->texts;
}

struct finding_store *finding_log_store(const struct finding_log *log)
{
    return log->store;
}

void finding_log_collect(const struct finding_log *log, struct metrics *metrics)
{
    metrics_set(metrics, SERVER_METRIC_FINDINGS_WAITING, NULL,
                (double)(log->waiting.n_findings + log->storing.n_findings));
}

void finding_log_stop(struct finding_log *log)
{
    if (log && !log->is_stopped) {
        log->is_stopped = true;
        uv_close((uv_handle_t *)&log->timer, NULL);
    }
}

void finding_log_destroy(struct finding_log *log)
{
    if (!log) {
        return;
    }
    log->storing = log->waiting;
    log->waiting = (struct batch){0};
    store(log);
    account(log);
    finding_store_close(log->store);
    mem_free(log);
}

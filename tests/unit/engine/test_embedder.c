/* embedder.h: a text's vector depends on its tokens alone; jobs take turns, end when they are
 * told to, and come back once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "quant/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/engine/embedder.h"
#include "tests/unit/engine/tiny_model.h"

#define TEXTS   40
#define CONTEXT 96 /* of the tiny model */
#define MANY    2000

static struct model *model;
static size_t width;

struct fixture {
    struct embedder *embedder;
    pthread_mutex_t lock;
    pthread_cond_t notified;
    bool pending;
};

struct request {
    struct embedder_job job; /* first */
    size_t first, n;         /* which of `texts` it asks for */
    bool refuse_read, refuse_write;
    int n_done;
    int ended_as; /* the how manieth, from 1 */
};

static int32_t tokens[TEXTS][CONTEXT];
static size_t lengths[TEXTS];
static int n_ended;
static atomic_bool gate_closed; /* while it is, jobs are not read */

static void notify(void *ctx)
{
    struct fixture *f = ctx;
    pthread_mutex_lock(&f->lock);
    f->pending = true;
    pthread_cond_signal(&f->notified);
    pthread_mutex_unlock(&f->lock);
}

static void start(struct fixture *f, int threads, int step_tokens, int max_waiting)
{
    struct err e = {0};
    *f = (struct fixture){0};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->notified, NULL);
    struct embedder_settings set = {.threads = threads,
                                    .step_tokens = step_tokens,
                                    .max_waiting = max_waiting,
                                    .cpu_features = cpu_features(),
                                    .notify = notify,
                                    .notify_ctx = f};
    f->embedder = embedder_create(model, &set, &e);
    assert_non_null(f->embedder);
    n_ended = 0;
}

static void stop(struct fixture *f)
{
    embedder_destroy(f->embedder);
    pthread_cond_destroy(&f->notified);
    pthread_mutex_destroy(&f->lock);
}

static void wait_for_ends(struct fixture *f, int n)
{
    while (n_ended < n) {
        pthread_mutex_lock(&f->lock);
        while (!f->pending) {
            pthread_cond_wait(&f->notified, &f->lock);
        }
        f->pending = false;
        pthread_mutex_unlock(&f->lock);
        embedder_drain(f->embedder);
    }
}

static int read_texts(struct embedder_job *job, struct err *e)
{
    struct request *r = (struct request *)job;
    const struct timespec a_moment = {.tv_nsec = 1000000};
    while (atomic_load(&gate_closed)) {
        nanosleep(&a_moment, NULL);
    }
    if (r->refuse_read) {
        return err_set_param(e, ERR_INVALID, "input", "refused");
    }
    job->ends = mem_zarray(r->n, sizeof(*job->ends));
    job->vectors = mem_array(r->n * width, sizeof(float));
    if (!job->ends || !job->vectors) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < r->n; i++) {
        size_t text = (r->first + i) % TEXTS;
        if (token_list_append(&job->tokens, tokens[text], lengths[text]) != 0) {
            return err_nomem(e);
        }
        job->ends[i] = job->tokens.count;
    }
    return 0;
}

static int write_reply(struct embedder_job *job, struct err *e)
{
    struct request *r = (struct request *)job;
    return r->refuse_write ? err_set(e, ERR_IO, "not written") : 0;
}

static void done(struct embedder_job *job)
{
    struct request *r = (struct request *)job;
    r->n_done++;
    r->ended_as = ++n_ended;
}

static struct request request(size_t first, size_t n)
{
    return (struct request){
        .job = {.read = read_texts, .write = write_reply, .done = done, .n_texts = n},
        .first = first,
        .n = n};
}

static void submit(struct fixture *f, struct request *r)
{
    struct err e = {0};
    if (embedder_submit(f->embedder, &r->job, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void release(struct request *r)
{
    token_list_deinit(&r->job.tokens);
    mem_free(r->job.ends);
    mem_free(r->job.vectors);
}

static void expect_done(const struct request *r, enum err_kind kind)
{
    assert_int_equal(r->n_done, 1);
    assert_int_equal(r->job.e.kind, kind);
}

static int setup(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    model = tiny_model_open();
    width = (size_t)model->config.d_model;
    for (size_t i = 0; i < TEXTS; i++) {
        lengths[i] = i % 5 == 0 ? CONTEXT - i : 1 + rng_below(&rng, 20);
        for (size_t k = 0; k < lengths[i]; k++) {
            tokens[i][k] = (int32_t)rng_below(&rng, (uint32_t)model->config.vocab);
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    model_close(model);
    return 0;
}

static void a_vector_depends_on_its_text_alone(void **state)
{
    (void)state;
    struct fixture f;
    struct request alone[TEXTS];
    start(&f, 1, 128, TEXTS);
    for (size_t i = 0; i < TEXTS; i++) {
        alone[i] = request(i, 1);
        submit(&f, &alone[i]);
        wait_for_ends(&f, (int)i + 1);
        expect_done(&alone[i], ERR_NONE);
    }
    stop(&f);
    /* Steps of 7 rows cut texts, those of 300 hold many. */
    static const struct {
        int threads, step_tokens;
    } ways[] = {{1, 128}, {2, 300}, {3, 7}, {2, 33}};
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        start(&f, ways[way].threads, ways[way].step_tokens, TEXTS);
        struct request all[3] = {request(0, TEXTS), request(3, TEXTS), request(11, 5)};
        for (size_t i = 0; i < 3; i++) {
            submit(&f, &all[i]);
        }
        wait_for_ends(&f, 3);
        for (size_t i = 0; i < 3; i++) {
            expect_done(&all[i], ERR_NONE);
            for (size_t t = 0; t < all[i].n; t++) {
                const float *want = alone[(all[i].first + t) % TEXTS].job.vectors;
                assert_memory_equal(all[i].job.vectors + t * width, want,
                                    width * sizeof(float));
            }
            release(&all[i]);
        }
        stop(&f);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        release(&alone[i]);
    }
}

static void a_vector_has_length_1_and_texts_have_others(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 2, 128, 1);
    struct request r = request(0, TEXTS);
    submit(&f, &r);
    wait_for_ends(&f, 1);
    for (size_t t = 0; t < TEXTS; t++) {
        double squares = 0.0;
        for (size_t i = 0; i < width; i++) {
            double x = (double)r.job.vectors[t * width + i];
            squares += x * x;
        }
        assert_true(fabs(squares - 1.0) < 1e-5);
        assert_true(t == 0 || memcmp(r.job.vectors, r.job.vectors + t * width,
                                     width * sizeof(float)) != 0);
    }
    release(&r);
    stop(&f);
}

static void a_short_job_does_not_wait_for_a_long_one(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1, 64, 8);
    struct request first = request(0, MANY), second = request(1, 1);
    submit(&f, &first);
    submit(&f, &second);
    wait_for_ends(&f, 2);
    expect_done(&first, ERR_NONE);
    expect_done(&second, ERR_NONE);
    assert_int_equal(second.ended_as, 1);
    release(&first);
    release(&second);
    stop(&f);
}

static void a_canceled_job_ends_and_others_do_not(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 2, 64, 8);
    struct request gone = request(0, MANY * 50), waiting = request(0, 1), stays = request(7, 3);
    submit(&f, &gone);
    struct timespec a_while = {.tv_nsec = 20000000};
    nanosleep(&a_while, NULL);
    submit(&f, &waiting);
    embedder_cancel(f.embedder, &waiting.job);
    embedder_cancel(f.embedder, &gone.job);
    submit(&f, &stays);
    wait_for_ends(&f, 3);
    expect_done(&gone, ERR_CANCELED);
    assert_int_equal(waiting.n_done, 1); /* it may have been faster */
    expect_done(&stays, ERR_NONE);
    release(&gone);
    release(&waiting);
    release(&stays);
    stop(&f);
}

static void what_cannot_be_read_or_written_ends_with_the_reason(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1, 64, 8);
    struct request unread = request(0, 1), unwritten = request(1, 2), good = request(2, 1);
    unread.refuse_read = true;
    unwritten.refuse_write = true;
    submit(&f, &unread);
    submit(&f, &unwritten);
    submit(&f, &good);
    wait_for_ends(&f, 3);
    expect_done(&unread, ERR_INVALID);
    assert_string_equal(unread.job.e.param, "input");
    expect_done(&unwritten, ERR_IO);
    expect_done(&good, ERR_NONE);
    release(&unread);
    release(&unwritten);
    release(&good);
    stop(&f);
}

static void a_full_queue_refuses_and_says_when_to_come_again(void **state)
{
    (void)state;
    enum { MOST = EMBEDDER_LONG + 2 };
    struct fixture f;
    struct err e = {0};
    start(&f, 1, 64, 2);
    struct request jobs[MOST + 1];
    for (size_t i = 0; i <= MOST; i++) {
        jobs[i] = request(0, MANY * 10);
    }
    assert_int_equal(embedder_check_room(f.embedder, &e), 0);
    for (size_t i = 0; i < MOST; i++) {
        submit(&f, &jobs[i]);
    }
    assert_int_equal(embedder_submit(f.embedder, &jobs[MOST].job, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    assert_true(e.retry_after_s >= 1 && e.retry_after_s <= 60);
    /* Short ones have a queue of their own, and do not wait for those. */
    assert_int_equal(embedder_check_room(f.embedder, &e), 0);
    struct request few = request(0, EMBEDDER_SHORT_TEXTS);
    submit(&f, &few);
    wait_for_ends(&f, 1);
    expect_done(&few, ERR_NONE);
    release(&few);
    for (size_t i = 0; i < MOST; i++) {
        embedder_cancel(f.embedder, &jobs[i].job);
    }
    wait_for_ends(&f, 1 + MOST);
    assert_int_equal(embedder_check_room(f.embedder, &e), 0);
    assert_int_equal(jobs[MOST].n_done, 0);
    for (size_t i = 0; i <= MOST; i++) {
        release(&jobs[i]);
    }
    stop(&f);
}

static void both_queues_full_is_told_before_a_job_is_made(void **state)
{
    (void)state;
    enum { MOST = EMBEDDER_SHORT + EMBEDDER_LONG };
    struct fixture f;
    struct err e = {0};
    start(&f, 1, 64, 0);
    struct request jobs[MOST];
    atomic_store(&gate_closed, true); /* none is read, so that none ends */
    for (size_t i = 0; i < MOST; i++) {
        assert_int_equal(embedder_check_room(f.embedder, &e), 0);
        jobs[i] = request(0, i < EMBEDDER_LONG ? TEXTS : EMBEDDER_SHORT_TEXTS);
        submit(&f, &jobs[i]);
    }
    assert_int_equal(embedder_check_room(f.embedder, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    atomic_store(&gate_closed, false);
    wait_for_ends(&f, MOST);
    assert_int_equal(embedder_check_room(f.embedder, &e), 0);
    for (size_t i = 0; i < MOST; i++) {
        expect_done(&jobs[i], ERR_NONE);
        release(&jobs[i]);
    }
    stop(&f);
}

static void it_can_be_destroyed_at_any_moment(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 2, 64, 8);
    stop(&f); /* the thread was never started */
    for (long ns = 0; ns < 4000000; ns += 800000) {
        start(&f, 2, 64, 8);
        struct request r = request(0, MANY * 10);
        submit(&f, &r);
        struct timespec a_while = {.tv_nsec = ns};
        nanosleep(&a_while, NULL);
        stop(&f);
        assert_int_equal(r.n_done, 0);
        release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_depends_on_its_text_alone),
        cmocka_unit_test(a_vector_has_length_1_and_texts_have_others),
        cmocka_unit_test(a_short_job_does_not_wait_for_a_long_one),
        cmocka_unit_test(a_canceled_job_ends_and_others_do_not),
        cmocka_unit_test(what_cannot_be_read_or_written_ends_with_the_reason),
        cmocka_unit_test(a_full_queue_refuses_and_says_when_to_come_again),
        cmocka_unit_test(both_queues_full_is_told_before_a_job_is_made),
        cmocka_unit_test(it_can_be_destroyed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

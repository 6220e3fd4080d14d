#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "quant/cpu.h"
#include "runtime/engine/engine.h"
#include "tests/unit/engine/tiny_model.h"

#define REQUESTS   16
#define TOKENS_MAX 64
#define MANY       1000 /* tokens: more than the context has room for */

/* What came back for one request. */
struct answer {
    int32_t tokens[2 * TOKENS_MAX];
    int n_tokens;
    int finals;
    enum engine_finish finish;
};

/* An engine and the loop that reads its events. */
struct fixture {
    struct engine *engine;
    pthread_mutex_t lock;
    pthread_cond_t notified;
    bool pending;
};

static struct model *model;

static void notify(void *ctx)
{
    struct fixture *f = ctx;
    pthread_mutex_lock(&f->lock);
    f->pending = true;
    pthread_cond_signal(&f->notified);
    pthread_mutex_unlock(&f->lock);
}

static void wait_for_events(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->pending) {
        pthread_cond_wait(&f->notified, &f->lock);
    }
    f->pending = false;
    pthread_mutex_unlock(&f->lock);
}

static void start(struct fixture *f, int threads, int max_sequences, int max_waiting)
{
    struct err e = {0};
    *f = (struct fixture){0};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->notified, NULL);
    struct engine_settings s = {
        .threads = threads,
        .context = model->config.context,
        .max_sequences = max_sequences,
        .max_waiting = max_waiting,
        .step_tokens = 24,
        .cpu_features = cpu_features(),
        .notify = notify,
        .notify_ctx = f,
    };
    f->engine = engine_create(model, &s, &e);
    if (!f->engine) {
        fail_msg("%s", e.message);
    }
}

static void stop(struct fixture *f)
{
    engine_destroy(f->engine);
    pthread_cond_destroy(&f->notified);
    pthread_mutex_destroy(&f->lock);
}

static void take_event(void *ctx, const struct engine_event *ev)
{
    struct answer *a = ev->user;
    (void)ctx;
    assert_int_equal(a->finals, 0); /* nothing follows the final event */
    if (ev->token != TOKEN_NONE) {
        assert_true(a->n_tokens < 2 * TOKENS_MAX);
        a->tokens[a->n_tokens++] = ev->token;
    }
    if (ev->finish != ENGINE_RUNNING) {
        a->finals++;
        a->finish = ev->finish;
    }
}

static void wait_for_ends(struct fixture *f, const struct answer *answers, int n)
{
    for (int ended = 0; ended < n;) {
        wait_for_events(f);
        engine_drain_events(f->engine, take_event, NULL);
        ended = 0;
        for (int i = 0; i < n; i++) {
            ended += answers[i].finals;
        }
    }
}

/* Prompts of different lengths, some greedy and some drawn: the i-th is always the same. */
static int submit(struct fixture *f, int i, int max_tokens, struct answer *a, uint64_t *id,
                  struct err *e)
{
    int32_t prompt[TOKENS_MAX];
    size_t n = 1 + (size_t)(i * 5) % 60;
    for (size_t k = 0; k < n; k++) {
        prompt[k] = (int32_t)(3 + (i * 31 + (int)k * 17) % 250);
    }
    struct sampling sampling = SAMPLING_DEFAULT;
    sampling.temperature = i % 2 ? 0.9f : 0.0f;
    sampling.seed = (uint64_t)i;
    struct engine_request r = {.prompt = prompt,
                               .n_prompt = n,
                               .max_tokens = max_tokens,
                               .sampling = sampling,
                               .user = a};
    *a = (struct answer){0};
    return engine_submit(f->engine, &r, id, e);
}

static void submit_or_fail(struct fixture *f, int i, int max_tokens, struct answer *a,
                           uint64_t *id)
{
    struct err e = {0};
    if (submit(f, i, max_tokens, a, id, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void run_together(struct answer *answers, int threads)
{
    struct fixture f;
    uint64_t id;
    start(&f, threads, REQUESTS, 0);
    for (int i = 0; i < REQUESTS; i++) {
        submit_or_fail(&f, i, 20, &answers[i], &id);
    }
    wait_for_ends(&f, answers, REQUESTS);
    stop(&f);
}

static void run_each_alone(struct answer *answers)
{
    struct fixture f;
    uint64_t id;
    start(&f, 1, 1, 0);
    for (int i = 0; i < REQUESTS; i++) {
        submit_or_fail(&f, i, 20, &answers[i], &id);
        wait_for_ends(&f, &answers[i], 1);
    }
    stop(&f);
}

static void answers_are_the_same_alone_together_and_on_two_threads(void **state)
{
    struct answer alone[REQUESTS];
    struct answer together[REQUESTS];
    struct answer threaded[REQUESTS];
    (void)state;
    run_each_alone(alone);
    run_together(together, 1);
    run_together(threaded, 2);
    int tokens = 0;
    for (int i = 0; i < REQUESTS; i++) {
        assert_memory_equal(&alone[i], &together[i], sizeof(alone[i]));
        assert_memory_equal(&alone[i], &threaded[i], sizeof(alone[i]));
        tokens += alone[i].n_tokens;
    }
    assert_true(tokens > 10 * REQUESTS);
}

static void a_canceled_request_gets_one_final_event(void **state)
{
    struct fixture f;
    struct answer answers[3];
    uint64_t ids[3];
    (void)state;
    start(&f, 2, 1, 3);
    for (int i = 0; i < 3; i++) {
        submit_or_fail(&f, i, MANY, &answers[i], &ids[i]);
    }
    /* One that waits, one that may run, one twice; and one that is not known. */
    engine_cancel(f.engine, ids[2]);
    engine_cancel(f.engine, ids[0]);
    engine_cancel(f.engine, ids[0]);
    engine_cancel(f.engine, 123456);
    wait_for_ends(&f, answers, 3);
    assert_int_equal(answers[2].finish, ENGINE_FINISH_CANCELED);
    assert_int_equal(answers[2].n_tokens, 0);
    engine_cancel(f.engine, ids[1]); /* has ended: ignored */
    struct answer after;
    submit_or_fail(&f, 1, 5, &after, &ids[0]);
    wait_for_ends(&f, &after, 1);
    assert_memory_equal(after.tokens, answers[1].tokens,
                        (size_t)after.n_tokens * sizeof(after.tokens[0]));
    stop(&f);
}

static void the_context_bounds_an_answer(void **state)
{
    struct fixture f;
    struct answer a;
    uint64_t id;
    (void)state;
    start(&f, 1, 1, 0);
    submit_or_fail(&f, 0, MANY, &a, &id); /* one token of prompt */
    wait_for_ends(&f, &a, 1);
    assert_true(a.finish == ENGINE_FINISH_EOG || a.n_tokens == model->config.context);
    stop(&f);
}

static void a_full_queue_refuses(void **state)
{
    struct fixture f;
    struct answer answers[REQUESTS];
    uint64_t id;
    struct err e = {0};
    int taken = 0;
    (void)state;
    start(&f, 1, 1, 2);
    /* Submitting is faster than answering, so that it gets full on any machine. */
    for (int round = 0; e.kind == ERR_NONE && round < 100; round++) {
        for (taken = 0; taken < REQUESTS; taken++) {
            if (submit(&f, taken, MANY, &answers[taken], &id, &e) != 0) {
                break;
            }
        }
        wait_for_ends(&f, answers, taken);
    }
    assert_int_equal(e.kind, ERR_BUSY);
    assert_true(taken >= 3);
    stop(&f);
}

static void requests_that_cannot_run_are_refused(void **state)
{
    struct fixture f;
    struct err e = {0};
    uint64_t id;
    const int32_t outside[] = {model->config.vocab};
    int32_t *longest = test_calloc((size_t)model->config.context, sizeof(*longest));
    struct engine_request r = {.prompt = outside, .n_prompt = 1, .max_tokens = 1};
    (void)state;
    start(&f, 1, 1, 1);
    assert_int_equal(engine_submit(f.engine, &r, &id, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    r.n_prompt = 0;
    assert_int_equal(engine_submit(f.engine, &r, &id, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    r.prompt = longest;
    r.n_prompt = (size_t)model->config.context;
    assert_int_equal(engine_submit(f.engine, &r, &id, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    stop(&f);
    test_free(longest);
}

static void an_engine_may_end_while_requests_run_and_wait(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++) {
        struct fixture f;
        struct answer answers[REQUESTS];
        uint64_t id;
        start(&f, 2, 2, REQUESTS);
        for (int i = 0; i < REQUESTS; i++) {
            submit_or_fail(&f, i, MANY, &answers[i], &id);
        }
        for (int i = 0; i < n; i++) {
            wait_for_events(&f);
        }
        stop(&f);
    }
}

static int open_model(void **state)
{
    (void)state;
    model = tiny_model_open();
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    model_close(model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_alone_together_and_on_two_threads),
        cmocka_unit_test(a_canceled_request_gets_one_final_event),
        cmocka_unit_test(the_context_bounds_an_answer),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(requests_that_cannot_run_are_refused),
        cmocka_unit_test(an_engine_may_end_while_requests_run_and_wait),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}

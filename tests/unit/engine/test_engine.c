#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <sched.h>
#include <string.h>

#include "models/arch/kv_cache.h"
#include "runtime/base/rng.h"
#include "runtime/engine/engine.h"
#include "tests/unit/engine/engine_fixture.h"

#define REQUESTS     16
#define MANY         1000 /* tokens: more than the context has room for */
#define CROWD        32   /* requests at once */
#define CROWD_TOKENS 32
#define COMMON       40 /* tokens that their prompts begin with: a page and a part of one */

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

/* Prompts that begin alike, so that they share pages, with answers long enough to repeat
 * themselves: the i-th is always the same. */
static void submit_to_crowd(struct fixture *f, int i, const struct engine_request_options *o,
                            struct answer *a, uint64_t *id)
{
    int32_t prompt[TOKENS_MAX];
    size_t n = COMMON + 1 + (size_t)(i * 5) % (TOKENS_MAX - COMMON - 1);
    for (size_t k = 0; k < n; k++) {
        int own = k < COMMON ? 0 : i;
        prompt[k] = (int32_t)(3 + (own * 31 + (int)(k % 11) * 17) % 250);
    }
    struct sampling sampling = SAMPLING_DEFAULT;
    sampling.temperature = i % 4 == 3 ? 0.7f : 0.0f;
    sampling.seed = (uint64_t)i;
    struct engine_request r = {.prompt = prompt,
                               .n_prompt = n,
                               .max_tokens = CROWD_TOKENS,
                               .sampling = sampling,
                               .options = *o,
                               .user = a};
    r.options.want_logprobs = true;
    r.options.ignore_eog = true;
    *a = (struct answer){0};
    struct err e = {0};
    if (engine_submit(f->engine, &r, id, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void run_crowd(struct fixture *f, struct answer *answers)
{
    const struct engine_request_options none = {0};
    uint64_t id;
    for (int i = 0; i < CROWD; i++) {
        submit_to_crowd(f, i, &none, &answers[i], &id);
    }
    wait_for_ends(f, answers, CROWD);
}

/* Each with an engine of its own and nothing but the plain way. */
static void run_crowd_alone(struct answer *answers)
{
    const struct engine_request_options none = {0};
    struct engine_settings s = settings(1, 1, 1);
    uint64_t id;
    s.guesses = ENGINE_GUESSES_NEVER;
    for (int i = 0; i < CROWD; i++) {
        struct fixture f;
        start_with(&f, s);
        submit_to_crowd(&f, i, &none, &answers[i], &id);
        wait_for_ends(&f, &answers[i], 1);
        assert_int_equal(answers[i].cached_tokens, 0);
        assert_int_equal(answers[i].n_tokens, CROWD_TOKENS);
        stop(&f);
    }
}

static void assert_same_answers(const struct answer *a, const struct answer *b, int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(a[i].n_tokens, b[i].n_tokens);
        assert_memory_equal(a[i].tokens, b[i].tokens, sizeof(a[i].tokens));
        assert_memory_equal(a[i].logprobs, b[i].logprobs, sizeof(a[i].logprobs));
        assert_memory_equal(a[i].top, b[i].top, sizeof(a[i].top));
        assert_int_equal(a[i].finish, b[i].finish);
    }
}

static void answers_do_not_depend_on_a_crowd_or_a_warm_cache(void **state)
{
    static struct answer alone[CROWD], crowd[CROWD];
    (void)state;
    run_crowd_alone(alone);
    for (int threads = 1; threads <= 2; threads++) {
        struct fixture f;
        start_with(&f, settings(threads, CROWD, 0));
        run_crowd(&f, crowd);
        assert_same_answers(alone, crowd, CROWD);
        uint64_t cold = engine_stats(f.engine).cached_tokens;
        assert_true(cold >= (CROWD - 1) * KV_PAGE_POSITIONS); /* they shared the first page */
        run_crowd(&f, crowd);
        assert_same_answers(alone, crowd, CROWD);
        assert_true(engine_stats(f.engine).cached_tokens > 2 * cold);
        for (int i = 0; i < CROWD; i++) {
            assert_true(crowd[i].cached_tokens >= KV_PAGE_POSITIONS);
        }
        stop(&f);
    }
}

static void answers_do_not_depend_on_preemptions(void **state)
{
    static struct answer alone[CROWD], crowd[CROWD];
    (void)state;
    run_crowd_alone(alone);
    for (int threads = 1; threads <= 2; threads++) {
        struct engine_settings s = settings(threads, CROWD, 0);
        struct fixture f;
        s.kv_bytes = 1; /* one context: room for a few of them */
        start_with(&f, s);
        run_crowd(&f, crowd);
        struct engine_stats stats = engine_stats(f.engine);
        assert_same_answers(alone, crowd, CROWD);
        assert_true(stats.preemptions > 0);
        assert_int_equal(stats.kv_pages, (int)kv_cache_pages(model->config.context));
        assert_int_equal(stats.kv_pages_free, stats.kv_pages);
        stop(&f);
    }
}

/* Settings of which each is sometimes on and sometimes off. `bias` has room for two. */
static struct sampling random_sampling(struct rng *r, struct sampling_bias *bias)
{
    struct sampling s = SAMPLING_DEFAULT;
    s.temperature = rng_below(r, 3) ? 0.5f : 0.0f;
    s.seed = rng_next(r);
    s.top_k = rng_below(r, 2) ? 40 : 0;
    s.repetition_penalty = rng_below(r, 3) ? 1.0f : 1.1f;
    s.repeat_last_n = rng_below(r, 2) ? 20 : -1;
    s.presence_penalty = rng_below(r, 2) ? 0.2f : 0.0f;
    s.frequency_penalty = rng_below(r, 2) ? 0.1f : -0.5f; /* makes it repeat itself */
    s.dry.multiplier = rng_below(r, 3) ? 0.0f : 0.5f;
    s.typical_p = rng_below(r, 3) ? 1.0f : 0.9f;
    s.top_n_sigma = rng_below(r, 3) ? 0.0f : 2.0f;
    s.xtc_probability = rng_below(r, 3) ? 0.0f : 0.5f;
    s.mirostat = rng_below(r, 3) ? 0 : 2;
    s.min_tokens = (int)rng_below(r, 10);
    s.n_bias = rng_below(r, 3);
    s.bias = bias;
    for (size_t i = 0; i < s.n_bias; i++) {
        bias[i].token = (int32_t)(3 + rng_below(r, 250));
        bias[i].bias = rng_below(r, 2) ? 1.0f : -100.0f;
    }
    return s;
}

/* One token of prompt and as many of answer as fit: greedy, the model comes to repeat itself.
 */
static void run_long(enum engine_guesses guesses, bool all_samplers, struct answer *answers,
                     int n, struct engine_stats *stats)
{
    struct engine_settings s = settings(1, 2, n);
    struct fixture f;
    struct rng random;
    rng_seed(&random, 11);
    s.guesses = guesses;
    start_with(&f, s);
    for (int i = 0; i < n; i++) {
        const int32_t prompt[] = {3 + 7 * i};
        struct sampling sampling = SAMPLING_DEFAULT;
        sampling.temperature = i % 4 == 3 ? 0.3f : 0.0f;
        sampling.seed = (uint64_t)i;
        struct sampling_bias bias[2];
        if (all_samplers) {
            sampling = random_sampling(&random, bias);
        }
        struct engine_request r = {
            .prompt = prompt,
            .n_prompt = 1,
            .max_tokens = MANY,
            .sampling = sampling,
            .options = {.ignore_eog = true, .want_logprobs = true, .n_top_logprobs = i % 4},
            .user = &answers[i]};
        uint64_t id;
        struct err e = {0};
        answers[i] = (struct answer){0};
        if (engine_submit(f.engine, &r, &id, &e) != 0) {
            fail_msg("%s", e.message);
        }
    }
    wait_for_ends(&f, answers, n);
    *stats = engine_stats(f.engine);
    stop(&f);
}

static void answers_do_not_depend_on_guesses(void **state)
{
    static struct answer plain[CROWD], guessed[CROWD];
    struct engine_stats stats;
    (void)state;
    for (int all_samplers = 0; all_samplers < 2; all_samplers++) {
        run_long(ENGINE_GUESSES_NEVER, all_samplers, plain, CROWD, &stats);
        assert_int_equal(stats.guessed_tokens, 0);
        run_long(ENGINE_GUESSES_ALWAYS, all_samplers, guessed, CROWD, &stats);
        assert_same_answers(plain, guessed, CROWD);
        assert_true(stats.accepted_tokens > 0);
        assert_true(stats.accepted_tokens < stats.guessed_tokens);
        run_long(ENGINE_GUESSES_WHERE_THEY_PAY, all_samplers, guessed, CROWD, &stats);
        assert_same_answers(plain, guessed, CROWD);
    }
}

/* A prompt that goes along with the i-th of a few texts for a while and then alone. */
static size_t random_prompt(struct rng *r, int32_t prompt[TOKENS_MAX])
{
    int text = (int)rng_below(r, 2);
    size_t common = rng_below(r, TOKENS_MAX);
    size_t n = common + rng_below(r, (uint32_t)(TOKENS_MAX - common)) + 1;
    for (size_t k = 0; k < n; k++) {
        prompt[k] = k < common ? (int32_t)(3 + (text * 50 + (int)k * 7) % 250)
                               : (int32_t)(3 + rng_below(r, 250));
    }
    return n;
}

/* The same requests for the same seed. */
static void submit_random(struct fixture *f, uint64_t seed, struct answer *answers,
                          uint64_t *ids, int from, int to)
{
    struct rng r;
    rng_seed(&r, seed);
    for (int i = 0; i < to; i++) {
        int32_t prompt[TOKENS_MAX];
        struct engine_request q = {.prompt = prompt, .user = &answers[i]};
        q.n_prompt = random_prompt(&r, prompt);
        q.max_tokens = 1 + (int)rng_below(&r, CROWD_TOKENS);
        struct sampling_bias bias[2];
        q.sampling = random_sampling(&r, bias);
        q.options.want_logprobs = true;
        q.options.n_top_logprobs = (int)rng_below(&r, TOP + 1);
        q.options.ignore_eog = true;
        q.options.tenant = q.options.salt = rng_below(&r, 3);
        q.options.n_shared = rng_below(&r, (uint32_t)q.n_prompt + 1);
        q.options.priority = (int)rng_below(&r, 3);
        struct err e = {0};
        if (i >= from) {
            q.constraint = i % 3 == 0 ? pairs_matcher() : NULL;
            answers[i] = (struct answer){0};
            if (engine_submit(f->engine, &q, &ids[i], &e) != 0) {
                fail_msg("%s", e.message);
            }
        }
    }
}

/* Requests come, are paused and go on while others run, in an engine whose steps, memory and
 * number of places are anything; some leave. Whoever stays gets what it would get alone. */
static void random_crowds_get_the_answers_of_each_alone(void **state)
{
    static struct answer alone[CROWD], crowd[CROWD];
    static uint64_t ids[CROWD];
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct fixture f;
        struct rng r;
        rng_seed(&r, seed);
        struct engine_settings s = settings(1, 1, CROWD);
        s.guesses = ENGINE_GUESSES_NEVER;
        for (int i = 0; i < CROWD; i++) {
            start_with(&f, s);
            submit_random(&f, seed, alone, ids, i, i + 1);
            wait_for_ends(&f, &alone[i], 1);
            stop(&f);
        }
        s = settings(1 + (int)rng_below(&r, 2), 1 + (int)rng_below(&r, CROWD), CROWD);
        s.step_tokens = 1 + (int)rng_below(&r, 100);
        s.kv_bytes = kv_cache_page_bytes(&model->config, s.kv_type) * rng_below(&r, 40);
        s.guesses = (enum engine_guesses)rng_below(&r, 3);
        start_with(&f, s);
        submit_random(&f, seed, crowd, ids, 0, CROWD / 2);
        for (int i = 0; i < CROWD / 2; i += 3) {
            engine_pause(f.engine, ids[i], true);
        }
        submit_random(&f, seed, crowd, ids, CROWD / 2, CROWD);
        for (int i = 0; i < CROWD / 2; i += 3) {
            engine_pause(f.engine, ids[i], false);
        }
        for (int i = 1; i < CROWD; i += 7) {
            engine_cancel(f.engine, ids[i]);
        }
        wait_for_ends(&f, crowd, CROWD);
        for (int i = 0; i < CROWD; i++) {
            if (crowd[i].finish != ENGINE_FINISH_CANCELED) {
                assert_same_answers(&alone[i], &crowd[i], 1);
            }
        }
        assert_int_equal(engine_stats(f.engine).kv_pages_free, engine_stats(f.engine).kv_pages);
        stop(&f);
    }
}

static void what_one_salt_computed_is_not_found_under_another(void **state)
{
    (void)state;
    struct {
        uint64_t salt;
        size_t n_shared;
        int expected;
    } cases[] = {
        {1, 0, 0},                 /* the first: nothing is there */
        {1, 0, COMMON},            /* its own: all but the last token */
        {2, 0, 0},                 /* another's */
        {3, KV_PAGE_POSITIONS, 0}, /* a prefix open to all, not computed as such yet */
        {4, KV_PAGE_POSITIONS, KV_PAGE_POSITIONS},
        {0, 0, KV_PAGE_POSITIONS}, /* nobody's is open as well */
    };
    struct fixture f;
    start(&f, 1, 1, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct engine_request_options o = {.salt = cases[i].salt,
                                           .n_shared = cases[i].n_shared};
        struct answer a;
        uint64_t id;
        submit_to_crowd(&f, 0, &o, &a, &id);
        wait_for_ends(&f, &a, 1);
        /* Nobody runs beside it, so only full pages are found. */
        assert_int_equal(a.cached_tokens,
                         cases[i].expected / KV_PAGE_POSITIONS * KV_PAGE_POSITIONS);
    }
    stop(&f);
}

static void the_others_of_a_request_share_its_prompt(void **state)
{
    static struct answer answers[4];
    struct engine_request_options o = {0};
    struct fixture f;
    uint64_t first, id;
    (void)state;
    start(&f, 1, 4, 0);
    submit_to_crowd(&f, 3, &o, &answers[0], &first);
    o.follows = first;
    for (int i = 1; i < 4; i++) {
        submit_to_crowd(&f, 3, &o, &answers[i], &id);
    }
    wait_for_ends(&f, answers, 4);
    for (int i = 1; i < 4; i++) {
        assert_same_answers(&answers[0], &answers[i], 1);
        assert_true(answers[i].cached_tokens >= COMMON); /* not full pages alone */
    }
    stop(&f);
}

static void a_pinned_prompt_stays_in_the_cache(void **state)
{
    static struct answer crowd[CROWD], pinned, after;
    struct engine_request_options o = {.pin = 7};
    struct engine_settings s = settings(1, 2, CROWD);
    struct fixture f;
    uint64_t id;
    (void)state;
    s.kv_bytes = 1;
    start_with(&f, s);
    submit_to_crowd(&f, 0, &o, &pinned, &id);
    wait_for_ends(&f, &pinned, 1);
    assert_int_equal(pinned.finish, ENGINE_FINISH_PINNED);
    assert_int_equal(pinned.n_tokens, 0);
    assert_int_equal(engine_stats(f.engine).kv_pages_free,
                     engine_stats(f.engine).kv_pages - COMMON / KV_PAGE_POSITIONS);
    run_crowd(&f, crowd);
    o.pin = 0;
    submit_to_crowd(&f, 0, &o, &after, &id);
    wait_for_ends(&f, &after, 1);
    assert_true(after.cached_tokens >= KV_PAGE_POSITIONS);
    stop(&f);
}

/* Waits until so many pages are free: the engine's thread obeys when it comes by. */
static void wait_for_free(struct fixture *f, int n)
{
    while (engine_stats(f->engine).kv_pages_free != n) {
        sched_yield();
    }
}

static void pins_are_held_by_name(void **state)
{
    (void)state;
    struct fixture f;
    struct answer answers[3];
    uint64_t id;
    start_with(&f, settings(1, 2, CROWD));
    int all = engine_stats(f.engine).kv_pages;
    for (int i = 0; i < 3; i++) { /* of each prompt one page is full */
        struct engine_request_options o = {.pin = (uint64_t)i + 1, .salt = (uint64_t)i};
        submit_to_crowd(&f, 7 * i, &o, &answers[i], &id);
        wait_for_ends(&f, &answers[i], 1);
        wait_for_free(&f, all - i - 1);
    }
    engine_unpin(f.engine, 2);
    engine_unpin(f.engine, 99);
    wait_for_free(&f, all - 2);
    /* The same name again, with the same prompt: the pages are held once. */
    struct engine_request_options again = {.pin = 1};
    submit_to_crowd(&f, 0, &again, &answers[0], &id);
    wait_for_ends(&f, &answers[0], 1);
    wait_for_free(&f, all - 2);
    engine_unpin(f.engine, 1);
    engine_unpin(f.engine, 3);
    wait_for_free(&f, all);
    stop(&f);
}

static void a_request_ends_at_its_deadline(void **state)
{
    static struct answer answers[2];
    struct engine_request_options o = {.deadline_ns = 1}; /* long ago */
    struct fixture f;
    uint64_t id;
    (void)state;
    start(&f, 1, 1, 1);
    submit_to_crowd(&f, 0, &o, &answers[0], &id);
    submit_to_crowd(&f, 1, &o, &answers[1], &id);
    wait_for_ends(&f, answers, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(answers[i].finish, ENGINE_FINISH_DEADLINE);
        assert_int_equal(answers[i].n_tokens, 0);
    }
    stop(&f);
}

static void a_paused_request_gives_its_place_to_others(void **state)
{
    static struct answer alone[CROWD], answers[3];
    const struct engine_request_options none = {0};
    struct fixture f;
    uint64_t ids[3];
    (void)state;
    run_crowd_alone(alone);
    start(&f, 1, 1, 4);
    for (int i = 0; i < 3; i++) {
        submit_to_crowd(&f, i, &none, &answers[i], &ids[i]);
        if (i < 2) {
            engine_pause(f.engine, ids[i], true);
        }
    }
    wait_for_ends(&f, &answers[2], 1);
    engine_cancel(f.engine, ids[0]); /* paused as it is */
    wait_for_ends(&f, &answers[0], 1);
    assert_int_equal(answers[0].finish, ENGINE_FINISH_CANCELED);
    engine_pause(f.engine, ids[1], false);
    wait_for_ends(&f, &answers[1], 1);
    assert_same_answers(&alone[1], &answers[1], 2);
    stop(&f);
}

static void a_paused_request_waits_and_goes_on(void **state)
{
    static struct answer alone[CROWD], paused, other;
    const struct engine_request_options none = {0};
    struct fixture f;
    uint64_t id, other_id;
    (void)state;
    run_crowd_alone(alone);
    start(&f, 1, 2, 0);
    submit_to_crowd(&f, 0, &none, &paused, &id);
    engine_pause(f.engine, id, true);
    submit_to_crowd(&f, 1, &none, &other, &other_id);
    wait_for_ends(&f, &other, 1); /* the other one is not held up */
    engine_pause(f.engine, id, false);
    wait_for_ends(&f, &paused, 1);
    assert_same_answers(&alone[0], &paused, 1);
    assert_same_answers(&alone[1], &other, 1);
    stop(&f);
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

static void what_is_on_its_way_takes_room_too(void **state)
{
    struct fixture f;
    struct err e = {0};
    (void)state;
    start(&f, 1, 1, 2);
    assert_int_equal(engine_check_room(f.engine, 2, &e), 0); /* one runs, one and this wait */
    assert_int_equal(engine_check_room(f.engine, 3, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    assert_true(e.retry_after_s >= 1);
    assert_non_null(strstr(e.message, "3 waiting"));
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
    struct sampling_bias bias = {.token = model->config.vocab};
    r.n_prompt = 1;
    r.sampling.bias = &bias;
    r.sampling.n_bias = 1;
    assert_int_equal(engine_submit(f.engine, &r, &id, &e), -1);
    assert_string_equal(e.param, "logit_bias");
    r.sampling.n_bias = 0;
    r.options.n_top_logprobs = ENGINE_TOP_LOGPROBS_MAX + 1;
    assert_int_equal(engine_submit(f.engine, &r, &id, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    stop(&f);
    test_free(longest);
}

static void wait_for_busy(struct fixture *f, bool busy)
{
    while ((engine_busy_ns(f->engine) > 0) != busy) {
        sched_yield();
    }
}

static void it_is_busy_from_a_request_to_its_end(void **state)
{
    (void)state;
    struct fixture f;
    struct answer answer;
    uint64_t id;
    start(&f, 1, 1, 1);
    wait_for_busy(&f, false);
    submit_or_fail(&f, 0, MANY, &answer, &id);
    engine_pause(f.engine, id, true);
    wait_for_busy(&f, true);
    engine_cancel(f.engine, id);
    wait_for_ends(&f, &answer, 1);
    wait_for_busy(&f, false);
    stop(&f);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_alone_together_and_on_two_threads),
        cmocka_unit_test(answers_do_not_depend_on_a_crowd_or_a_warm_cache),
        cmocka_unit_test(answers_do_not_depend_on_preemptions),
        cmocka_unit_test(answers_do_not_depend_on_guesses),
        cmocka_unit_test(random_crowds_get_the_answers_of_each_alone),
        cmocka_unit_test(what_one_salt_computed_is_not_found_under_another),
        cmocka_unit_test(the_others_of_a_request_share_its_prompt),
        cmocka_unit_test(a_pinned_prompt_stays_in_the_cache),
        cmocka_unit_test(pins_are_held_by_name),
        cmocka_unit_test(a_request_ends_at_its_deadline),
        cmocka_unit_test(a_paused_request_gives_its_place_to_others),
        cmocka_unit_test(a_paused_request_waits_and_goes_on),
        cmocka_unit_test(a_canceled_request_gets_one_final_event),
        cmocka_unit_test(the_context_bounds_an_answer),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(what_is_on_its_way_takes_room_too),
        cmocka_unit_test(requests_that_cannot_run_are_refused),
        cmocka_unit_test(it_is_busy_from_a_request_to_its_end),
        cmocka_unit_test(an_engine_may_end_while_requests_run_and_wait),
    };
    return cmocka_run_group_tests(tests, engine_fixture_open_model, engine_fixture_close_model);
}

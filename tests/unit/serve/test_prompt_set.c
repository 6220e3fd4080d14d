/* The published prompts: what becomes of states that arrive in another order than they were
 * made (without a generation there is nothing to read ahead, and all is published at once), and
 * what is read ahead on which generation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/arch/kv_cache.h"
#include "quant/cpu.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/prompt_set.h"

#define MODEL WEIR_SOURCE_DIR "/models/weir-tiny/weir-tiny.gguf"

#define LENGTH 100 /* words of a prompt: some pages */

static void count_done(void *user)
{
    ++*(int *)user;
}

/* --- the order of states --- */

static void begin_publishing(struct prompt_set *set, const char *name, uint64_t revision,
                             struct prompt *active, struct prompt *split, int *done)
{
    struct err e = {0};
    struct version_state state = {.revision = revision, .active = active ? 1 : 0};
    snprintf(state.name, sizeof(state.name), "%s", name);
    *done = 0;
    assert_int_equal(prompt_set_publish(set, &state, active, split, count_done, done, &e), 0);
}

static void publish(struct prompt_set *set, const char *name, uint64_t revision,
                    struct prompt *active)
{
    int done;
    begin_publishing(set, name, revision, active, NULL, &done);
    assert_int_equal(done, 1);
}

/* The revision that is served; 0: none. */
static uint64_t served(const struct prompt_set *set, const char *name)
{
    const struct served_profile *p = prompt_set_find(set, name);
    return p ? p->state.revision : 0;
}

static void the_greatest_revision_wins_in_any_order(void **state)
{
    (void)state;
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    size_t live = mem_live();
    for (size_t removed = 0; removed < 3; removed++) {
        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
            struct prompt_set set = {0};
            struct err e = {0};
            struct prompt *p = prompt_create(1, "x", 1, &e);
            assert_non_null(p);
            publish(&set, "b", 1, p);
            for (size_t k = 0; k < 3; k++) {
                size_t step = (size_t)orders[i][k];
                publish(&set, "a", 7 + step, step == removed ? NULL : p);
            }
            assert_int_equal(served(&set, "a"), removed == 2 ? 0 : 9);
            assert_int_equal(served(&set, "b"), 1);
            prompt_unref(p);
            prompt_set_deinit(&set);
        }
    }
    assert_int_equal(mem_live(), live);
}

static void the_latest_removals_are_remembered(void **state)
{
    (void)state;
    struct prompt_set set = {0};
    struct err e = {0};
    char name[16];
    struct prompt *p = prompt_create(1, "x", 1, &e);
    assert_non_null(p);
    for (int i = 0; i < 3 * VERSION_REMOVALS_MAX; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        publish(&set, name, 2, NULL);
    }
    for (int i = 2 * VERSION_REMOVALS_MAX; i < 3 * VERSION_REMOVALS_MAX; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        publish(&set, name, 1, p);
        assert_int_equal(served(&set, name), 0);
        publish(&set, name, 3, p);
        assert_int_equal(served(&set, name), 3);
    }
    prompt_unref(p);
    prompt_set_deinit(&set);
}

static void nothing_is_read_for_a_model_that_makes_no_text(void **state)
{
    (void)state;
    size_t live = mem_live();
    struct prompt_set set = {0};
    struct generation none = {.refs = 1};
    struct err e = {0};
    struct prompt *p = prompt_create(1, "x", 1, &e);
    assert_non_null(p);
    publish(&set, "a", 1, p);
    prompt_set_add(&set, &none, NULL);
    prompt_set_serve(&set, &none);
    assert_int_equal(set.n_generations, 0);
    assert_int_equal(none.refs, 1);
    publish(&set, "a", 2, p);
    prompt_set_remove(&set, &none);
    prompt_unref(p);
    prompt_set_deinit(&set);
    assert_int_equal(mem_live(), live);
}

/* --- on generations --- */

struct world {
    uv_loop_t loop;
    struct prompt_set set;
    struct generation *generations[3];
    struct prompt *prompts[3];
};

static struct generation *load(void)
{
    struct err e = {0};
    const struct generation_settings s = {.model_path = MODEL,
                                          .threads = 1,
                                          .context = 2048,
                                          .max_sequences = 2,
                                          .max_waiting = 8,
                                          .max_waiting_tokens = 4096,
                                          .kv_bytes = (size_t)32 << 20,
                                          .step_tokens = 64,
                                          .step_ms = 50,
                                          .kv_type = OPS_F16,
                                          .cpu_features = cpu_features()};
    struct generation *g = generation_load(&s, &e);
    if (!g) {
        fail_msg("%s", e.message);
    }
    return g;
}

/* A version whose text is like no other one's from its beginning. */
static struct prompt *make_prompt(uint64_t version)
{
    char text[LENGTH * 8] = "";
    struct err e = {0};
    for (size_t i = 0, len = 0; i < LENGTH; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%c%zu ", (char)('a' + version),
                                i % 10);
    }
    struct prompt *p = prompt_create(version, text, strlen(text), &e);
    assert_non_null(p);
    return p;
}

static int open_world(void **state)
{
    struct err e = {0};
    struct world *w = mem_zalloc(sizeof(*w));
    assert_non_null(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    for (size_t i = 0; i < 3; i++) {
        w->generations[i] = load();
        snprintf(w->generations[i]->id, sizeof(w->generations[i]->id), "tiny@%zu", i);
        assert_int_equal(generation_serve(w->generations[i], &w->loop, i + 1, &e), 0);
        w->prompts[i] = make_prompt(i + 1);
    }
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    prompt_set_stop(&w->set);
    for (size_t i = 0; i < 3; i++) {
        generation_unref(w->generations[i]);
        prompt_unref(w->prompts[i]);
    }
    uv_run(&w->loop, UV_RUN_DEFAULT); /* ends when nobody holds a generation any more */
    prompt_set_deinit(&w->set);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    mem_free(w);
    return 0;
}

static void wait_for_done(struct world *w, const int *done)
{
    while (*done == 0) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    assert_int_equal(*done, 1);
}

static const struct prompt_reading *reading(const struct world *w, const char *name, size_t g)
{
    const struct served_profile *p = prompt_set_find(&w->set, name);
    const struct prompt_reading *r = p ? p->active.readings : NULL;
    while (r && r->generation != w->generations[g]) {
        r = r->next;
    }
    return r;
}

static bool is_held(const struct world *w, const char *name, size_t g)
{
    const struct prompt_reading *r = reading(w, name, g);
    return r && r->state == PROMPT_READING_HELD;
}

static void wait_for_held(struct world *w, const char *name, size_t g)
{
    while (!is_held(w, name, g)) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

struct answer {
    struct engine_user user; /* first */
    uint64_t id;
    int cached_tokens;
    bool is_over;
};

static void take_event(struct engine_user *user, const struct engine_event *ev)
{
    struct answer *a = (struct answer *)user;
    a->cached_tokens = ev->cached_tokens;
    a->is_over = ev->finish != ENGINE_RUNNING;
}

/* Of a request with this prefix: tokens that the generation had in its cache. */
static size_t cached(struct world *w, size_t g, const struct token_list *prefix)
{
    struct answer a = {.user = {.on_event = take_event}};
    struct token_list tokens = {0};
    struct err e = {0};
    uint64_t id;
    assert_int_equal(token_list_append(&tokens, prefix->ids, prefix->count), 0);
    assert_int_equal(token_list_push(&tokens, 5), 0);
    const struct engine_request r = {.prompt = tokens.ids,
                                     .n_prompt = tokens.count,
                                     .max_tokens = 1,
                                     .sampling = SAMPLING_DEFAULT,
                                     .options = {.salt = 77, .n_shared = prefix->count},
                                     .user = &a.user};
    assert_int_equal(engine_submit(w->generations[g]->engine, &r, &id, &e), 0);
    while (!a.is_over) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    token_list_deinit(&tokens);
    return (size_t)a.cached_tokens;
}

/* The first request on it finds all that can be found, and is counted as such. */
static void assert_ready(struct world *w, struct prompt *p, size_t g)
{
    const struct token_list *prefix = prompt_set_prefix(&w->set, p, w->generations[g]);
    assert_non_null(prefix);
    size_t pages = prefix->count / KV_PAGE_POSITIONS;
    assert_true(pages >= 2);
    size_t found = cached(w, g, prefix);
    uint64_t hits = w->set.stats.hits;
    assert_int_equal(found, pages * KV_PAGE_POSITIONS);
    prompt_set_count(&w->set, p, w->generations[g], false, found);
    assert_int_equal(w->set.stats.hits, hits + 1);
}

/* Tokens that an engine has computed since its start. */
static uint64_t computed(const struct world *w, size_t g)
{
    struct engine_stats s = engine_stats(w->generations[g]->engine);
    return s.prompt_tokens - s.cached_tokens;
}

static void a_change_is_read_ahead_on_all_generations(void **state)
{
    struct world *w = *state;
    int done;
    for (size_t n = 1; n <= 3; n++) {
        prompt_set_add(&w->set, w->generations[n - 1], NULL);
        prompt_set_serve(&w->set, w->generations[n - 1]);
        begin_publishing(&w->set, "a", n, w->prompts[n - 1], NULL, &done);
        assert_int_equal(served(&w->set, "a"), n - 1);
        wait_for_done(w, &done);
        assert_int_equal(served(&w->set, "a"), n);
        for (size_t g = 0; g < n; g++) {
            assert_ready(w, w->prompts[n - 1], g);
        }
        assert_null(prompt_set_prefix(&w->set, w->prompts[n % 3], w->generations[0]));
    }
}

static void both_versions_of_a_trial_are_read_ahead_on_all(void **state)
{
    struct world *w = *state;
    int done;
    prompt_set_add(&w->set, w->generations[0], NULL);
    begin_publishing(&w->set, "a", 1, w->prompts[0], w->prompts[1], &done);
    wait_for_done(w, &done);
    prompt_set_add(&w->set, w->generations[1], NULL); /* later: in the background */
    wait_for_held(w, "a", 1);
    begin_publishing(&w->set, "b", 1, w->prompts[2], NULL, &done);
    wait_for_done(w, &done); /* comes before what nobody waits for, so wait for that too */
    while (!prompt_set_prefix(&w->set, w->prompts[1], w->generations[1])) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    for (size_t g = 0; g < 2; g++) {
        for (size_t p = 0; p < 3; p++) {
            assert_ready(w, w->prompts[p], g);
        }
    }
}

static void what_was_read_before_it_served_is_not_read_again(void **state)
{
    struct world *w = *state;
    int done;
    prompt_set_add(&w->set, w->generations[0], NULL);
    begin_publishing(&w->set, "a", 1, w->prompts[0], w->prompts[1], &done);
    wait_for_done(w, &done);
    begin_publishing(&w->set, "a", 2, w->prompts[1], NULL, &done); /* in the plan, too */
    struct prompt_reading *plan = NULL;
    assert_true(prompt_set_plan(&w->set, &plan));
    assert_false(prompt_set_plan(&w->set, &plan));
    wait_for_done(w, &done);
    struct generation *g = load();
    struct err e = {0};
    prompt_readings_run(plan, g);
    struct engine_stats first = engine_stats(g->engine);
    begin_publishing(&w->set, "b", 1, w->prompts[2], NULL, &done); /* meanwhile */
    wait_for_done(w, &done);
    assert_true(prompt_set_plan(&w->set, &plan));
    prompt_readings_run(plan, g);
    struct engine_stats before = engine_stats(g->engine);
    uint64_t n_read = before.prompt_tokens - first.prompt_tokens;
    assert_true(n_read > LENGTH && n_read <= first.prompt_tokens);
    assert_int_equal(generation_serve(g, &w->loop, 4, &e), 0);
    prompt_set_add(&w->set, g, &plan);
    assert_null(plan);
    prompt_set_serve(&w->set, g);
    assert_non_null(prompt_set_prefix(&w->set, w->prompts[1], g));
    assert_null(prompt_set_prefix(&w->set, w->prompts[0], g));
    generation_unref(w->generations[2]);
    w->generations[2] = g;
    assert_true(is_held(w, "a", 2));
    assert_true(is_held(w, "b", 2));
    assert_int_equal(engine_stats(g->engine).prompt_tokens, before.prompt_tokens);
    assert_ready(w, w->prompts[1], 2);
    /* That it is what serves now, and in the set already, changes nothing. */
    uint64_t n = computed(w, 0);
    prompt_set_add(&w->set, w->generations[0], NULL);
    prompt_set_serve(&w->set, w->generations[0]);
    assert_true(is_held(w, "a", 0));
    assert_int_equal(computed(w, 0), n);
}

static void what_is_let_go_is_not_held_any_more(void **state)
{
    struct world *w = *state;
    int done;
    struct engine *engine = w->generations[0]->engine;
    prompt_set_add(&w->set, w->generations[0], NULL);
    for (uint64_t revision = 1; revision < 40; revision++) {
        begin_publishing(&w->set, "a", revision, w->prompts[revision % 3], NULL, &done);
        wait_for_done(w, &done);
    }
    assert_ready(w, w->prompts[0], 0);
    struct engine_stats s = engine_stats(engine);
    size_t prefix = prompt_set_prefix(&w->set, w->prompts[0], w->generations[0])->count;
    assert_int_equal(s.kv_pages - s.kv_pages_free, prefix / KV_PAGE_POSITIONS);
    prompt_set_remove(&w->set, w->generations[0]);
    assert_null(prompt_set_prefix(&w->set, w->prompts[0], w->generations[0]));
    for (int i = 0; i < 500 && s.kv_pages != s.kv_pages_free; i++) {
        usleep(10000);
        s = engine_stats(engine);
    }
    assert_int_equal(s.kv_pages_free, s.kv_pages);
    prompt_set_count(&w->set, w->prompts[0], w->generations[0], false, 0);
    assert_int_equal(w->set.stats.not_read, 1);
}

/* In every state that a reading can be in: it waits, a worker has it, the engine has it. */
static void a_generation_goes_while_prompts_are_read_on_it(void **state)
{
    struct world *w = *state;
    int done;
    for (uint64_t turns = 0; turns < 12; turns++) {
        prompt_set_add(&w->set, w->generations[0], NULL);
        prompt_set_add(&w->set, w->generations[1], NULL);
        prompt_set_serve(&w->set, w->generations[turns % 2]);
        begin_publishing(&w->set, "a", turns + 1, w->prompts[turns % 3], NULL, &done);
        for (uint64_t i = 0; i < turns / 2; i++) {
            uv_run(&w->loop, UV_RUN_NOWAIT);
            usleep(1000);
        }
        prompt_set_remove(&w->set, w->generations[0]);
        wait_for_done(w, &done);
        assert_int_equal(served(&w->set, "a"), turns + 1);
        assert_ready(w, w->prompts[turns % 3], 1);
        prompt_set_remove(&w->set, w->generations[1]);
    }
    /* The last one that it waits for goes. */
    prompt_set_add(&w->set, w->generations[0], NULL);
    begin_publishing(&w->set, "a", 100, w->prompts[2], NULL, &done);
    prompt_set_remove(&w->set, w->generations[0]);
    assert_int_equal(done, 1);
    assert_int_equal(served(&w->set, "a"), 100);
}

static void a_generation_comes_while_a_change_is_read_ahead(void **state)
{
    struct world *w = *state;
    int done;
    for (uint64_t turns = 0; turns < 6; turns++) {
        prompt_set_add(&w->set, w->generations[0], NULL);
        prompt_set_serve(&w->set, w->generations[0]);
        begin_publishing(&w->set, "a", turns + 1, w->prompts[turns % 3], NULL, &done);
        for (uint64_t i = 0; i < turns; i++) {
            uv_run(&w->loop, UV_RUN_NOWAIT);
            usleep(1000);
        }
        bool was_done = done;
        prompt_set_add(&w->set, w->generations[1], NULL);
        prompt_set_serve(&w->set, w->generations[1]);
        prompt_set_remove(&w->set, w->generations[0]);
        if (!was_done) {
            assert_int_equal(done, 0);
            wait_for_done(w, &done);
        }
        wait_for_held(w, "a", 1);
        assert_ready(w, w->prompts[turns % 3], 1);
        prompt_set_remove(&w->set, w->generations[1]);
    }
}

/* Tokens for an answer that does not end by itself, on all sequences that an engine has. */
static void keep_busy(struct world *w, size_t g, struct answer answers[2])
{
    static const int32_t prompt[] = {5, 6, 7};
    struct err e = {0};
    for (int i = 0; i < 2; i++) {
        answers[i] = (struct answer){.user = {.on_event = take_event}};
        const struct engine_request r = {.prompt = prompt,
                                         .n_prompt = 3,
                                         .max_tokens = 2000,
                                         .sampling = SAMPLING_DEFAULT,
                                         .options = {.ignore_eog = true},
                                         .user = &answers[i].user};
        assert_int_equal(engine_submit(w->generations[g]->engine, &r, &answers[i].id, &e), 0);
    }
    while (engine_stats(w->generations[g]->engine).running < 2) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
}

static void end_answers(struct world *w, size_t g, struct answer answers[2])
{
    for (int i = 0; i < 2; i++) {
        engine_cancel(w->generations[g]->engine, answers[i].id);
        while (!answers[i].is_over) {
            uv_run(&w->loop, UV_RUN_ONCE);
        }
    }
}

/* One by one, so that answers share the machine with one reading and not with all. */
static void generations_take_turns_and_the_one_that_serves_is_first(void **state)
{
    struct world *w = *state;
    publish(&w->set, "a", 1, w->prompts[0]);
    prompt_set_add(&w->set, w->generations[1], NULL);
    prompt_set_serve(&w->set, w->generations[1]);
    prompt_set_add(&w->set, w->generations[0], NULL);
    prompt_set_add(&w->set, w->generations[2], NULL);
    while (!is_held(w, "a", 0) || !is_held(w, "a", 1) || !is_held(w, "a", 2)) {
        int under_way = 0;
        for (size_t g = 0; g < 3; g++) {
            enum prompt_reading_state is = reading(w, "a", g)->state;
            under_way += is == PROMPT_READING_FINDS || is == PROMPT_READING_READS;
        }
        assert_int_equal(under_way, 1);
        if (!is_held(w, "a", 1)) {
            assert_int_equal(reading(w, "a", 0)->state, PROMPT_READING_WAITS);
            assert_int_equal(reading(w, "a", 2)->state, PROMPT_READING_WAITS);
        }
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

/* A reading that a busy generation has no place for gives its turn back, and is made later. */
static void a_reading_whose_time_is_up_waits_again(void **state)
{
    struct world *w = *state;
    struct answer answers[2];
    int done;
    prompt_set_add(&w->set, w->generations[0], NULL);
    prompt_set_add(&w->set, w->generations[1], NULL);
    prompt_set_serve(&w->set, w->generations[1]);
    keep_busy(w, 1, answers);
    begin_publishing(&w->set, "a", 1, w->prompts[0], NULL, &done);
    while (engine_stats(w->generations[1]->engine).waiting == 0 && !answers[0].is_over) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    /* It is not waited for as long as it takes any more. */
    prompt_set_serve(&w->set, w->generations[0]);
    while (engine_stats(w->generations[1]->engine).waiting > 0) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    end_answers(w, 1, answers);
    wait_for_done(w, &done);
    assert_ready(w, w->prompts[0], 0);
    assert_ready(w, w->prompts[0], 1);
}

/* What serves has read it: one that is too busy to is not waited for much longer. */
static void a_busy_generation_does_not_keep_a_change_from_the_others(void **state)
{
    struct world *w = *state;
    struct answer answers[2];
    int done;
    w->set.others_ms = 1;
    for (size_t g = 0; g < 3; g++) {
        prompt_set_add(&w->set, w->generations[g], NULL);
    }
    prompt_set_serve(&w->set, w->generations[0]);
    keep_busy(w, 1, answers);
    begin_publishing(&w->set, "a", 1, w->prompts[0], NULL, &done);
    wait_for_done(w, &done);
    assert_false(answers[0].is_over);
    assert_ready(w, w->prompts[0], 0);
    assert_false(is_held(w, "a", 1));
    w->set.others_ms = 0;
    wait_for_held(w, "a", 2);
    end_answers(w, 1, answers);
    wait_for_held(w, "a", 1);
    assert_ready(w, w->prompts[0], 1);
}

/* Without a place in the engine's memory it is served all the same. */
static void a_prompt_that_does_not_fit_is_served(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    int done;
    char text[8000];
    memset(text, '7', sizeof(text));
    struct prompt *p = prompt_create(9, text, sizeof(text), &e);
    assert_non_null(p);
    prompt_set_add(&w->set, w->generations[0], NULL);
    begin_publishing(&w->set, "a", 1, p, NULL, &done);
    wait_for_done(w, &done);
    assert_int_equal(served(&w->set, "a"), 1);
    prompt_set_count(&w->set, p, w->generations[0], false, 0);
    assert_int_equal(w->set.stats.not_read, 1);
    prompt_unref(p);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_revision_wins_in_any_order),
        cmocka_unit_test(the_latest_removals_are_remembered),
        cmocka_unit_test(nothing_is_read_for_a_model_that_makes_no_text),
    };
    const struct CMUnitTest model_tests[] = {
        WORLD_TEST(a_change_is_read_ahead_on_all_generations),
        WORLD_TEST(both_versions_of_a_trial_are_read_ahead_on_all),
        WORLD_TEST(what_was_read_before_it_served_is_not_read_again),
        WORLD_TEST(what_is_let_go_is_not_held_any_more),
        WORLD_TEST(a_generation_goes_while_prompts_are_read_on_it),
        WORLD_TEST(a_generation_comes_while_a_change_is_read_ahead),
        WORLD_TEST(generations_take_turns_and_the_one_that_serves_is_first),
        WORLD_TEST(a_reading_whose_time_is_up_waits_again),
        WORLD_TEST(a_busy_generation_does_not_keep_a_change_from_the_others),
        WORLD_TEST(a_prompt_that_does_not_fit_is_served),
    };
    log_set_level(LOG_LEVEL_OFF);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (access(MODEL, R_OK) != 0) {
        printf("%s is missing: generations are not tested\n", MODEL);
        return rc;
    }
    return rc + cmocka_run_group_tests(model_tests, NULL, NULL);
}

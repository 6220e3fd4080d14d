/* engine_fixture.h: an engine over the tiny model, and a loop that reads its events. For tests
 * only. */
#pragma once

#include <pthread.h>

#include "runtime/engine/engine.h"

#define TOKENS_MAX 64

#define TOP 3 /* likeliest tokens that an answer is asked for at most */

/* What came back for one request. */
struct answer {
    int32_t tokens[2 * TOKENS_MAX];
    float logprobs[2 * TOKENS_MAX];
    struct engine_top_logprob top[2 * TOKENS_MAX][TOP];
    int n_tokens;
    int finals;
    enum engine_finish finish;
    int cached_tokens;
};

/* An engine and the loop that reads its events. */
struct fixture {
    struct engine *engine;
    pthread_mutex_t lock;
    pthread_cond_t notified;
    bool pending;
};

/* Of all fixtures; opened by engine_fixture_open_model. */
extern struct model *model;

/* For cmocka's group setup and teardown. */
int engine_fixture_open_model(void **state);
int engine_fixture_close_model(void **state);

struct engine_settings settings(int threads, int max_sequences, int max_waiting);
void start_with(struct fixture *f, struct engine_settings s);
void start(struct fixture *f, int threads, int max_sequences, int max_waiting);
void stop(struct fixture *f);

/* Sleeps until the engine has something to tell. */
void wait_for_events(struct fixture *f);

/* Reads events until n answers have their final one. */
void wait_for_ends(struct fixture *f, const struct answer *answers, int n);

/* A constraint: pairs of letters and a figure, ended by a point. The caller's. */
struct grammar_matcher *pairs_matcher(void);

/* Whether the answer's text is one of these, or the beginning of one. */
bool is_pairs(const struct answer *a);

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "quant/cpu.h"
#include "tests/unit/engine/engine_fixture.h"
#include "tests/unit/engine/tiny_model.h"

struct model *model;
static struct grammar *pairs;
static struct grammar_vocab *vocab;

static void notify(void *ctx)
{
    struct fixture *f = ctx;
    pthread_mutex_lock(&f->lock);
    f->pending = true;
    pthread_cond_signal(&f->notified);
    pthread_mutex_unlock(&f->lock);
}

void wait_for_events(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->pending) {
        pthread_cond_wait(&f->notified, &f->lock);
    }
    f->pending = false;
    pthread_mutex_unlock(&f->lock);
}

struct engine_settings settings(int threads, int max_sequences, int max_waiting)
{
    return (struct engine_settings){
        .threads = threads,
        .context = model->config.context,
        .max_sequences = max_sequences,
        .max_waiting = max_waiting,
        .step_tokens = 24,
        .cpu_features = cpu_features(),
        .notify = notify,
    };
}

void start_with(struct fixture *f, struct engine_settings s)
{
    struct err e = {0};
    *f = (struct fixture){0};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->notified, NULL);
    s.notify_ctx = f;
    f->engine = engine_create(model, &s, &e);
    if (!f->engine) {
        fail_msg("%s", e.message);
    }
}

void start(struct fixture *f, int threads, int max_sequences, int max_waiting)
{
    start_with(f, settings(threads, max_sequences, max_waiting));
}

void stop(struct fixture *f)
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
        assert_in_range(ev->n_top, 0, TOP);
        for (int i = 0; i < ev->n_top; i++) {
            a->top[a->n_tokens][i] = ev->top[i];
        }
        a->logprobs[a->n_tokens] = ev->logprob;
        a->tokens[a->n_tokens++] = ev->token;
        a->cached_tokens = ev->cached_tokens;
    }
    if (ev->finish != ENGINE_RUNNING) {
        a->finals++;
        a->finish = ev->finish;
    }
}

void wait_for_ends(struct fixture *f, const struct answer *answers, int n)
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

struct grammar_matcher *pairs_matcher(void)
{
    struct err e = {0};
    struct grammar_matcher *m = grammar_matcher_create(pairs, vocab, &e);
    assert_non_null(m);
    return m;
}

bool is_pairs(const struct answer *a)
{
    char text[512] = "";
    for (int i = 0; i < a->n_tokens; i++) {
        size_t len;
        strcat(text, tokenizer_token_bytes(model->tokenizer, a->tokens[i], &len));
    }
    for (size_t i = 0; text[i]; i++) {
        bool is_end = text[i] == '.' && i % 3 == 0 && !text[i + 1];
        bool is_right =
            i % 3 == 2 ? text[i] >= '0' && text[i] <= '9' : text[i] >= 'a' && text[i] <= 'z';
        if (!is_end && !is_right) {
            return false;
        }
    }
    return a->n_tokens > 0;
}

int engine_fixture_open_model(void **state)
{
    (void)state;
    static const char text[] = "root ::= ([a-z] [a-z] [0-9])+ \".\"";
    struct err e = {0};
    model = tiny_model_open();
    pairs = grammar_from_gbnf(text, strlen(text), &e);
    vocab = grammar_vocab_from_tokenizer(model->tokenizer, &e);
    return pairs && vocab ? 0 : -1;
}

int engine_fixture_close_model(void **state)
{
    (void)state;
    grammar_release(pairs);
    grammar_vocab_release(vocab);
    model_close(model);
    return 0;
}

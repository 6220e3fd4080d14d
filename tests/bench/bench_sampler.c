/* What choosing a token costs, by what is switched on, on one thread.
 *
 *     bench_sampler [VOCAB] [TOKENS]
 *
 * Logits of so many tokens (49152) are random, near to those of a language model; the sequence
 * has so many tokens already (2000). Prints microseconds a token, the median of many, in the
 * processor's time. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "quant/cpu.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/token_logprobs.h"

#define N_LOGITS 16
#define ROUNDS   400

struct bench {
    float *logits; /* (N_LOGITS, vocab) */
    int vocab;
    int32_t *tokens;
    size_t n_tokens;
    struct sampler_scratch scratch;
};

static double cpu_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const float *logits_of(const struct bench *b, int round)
{
    return b->logits + (size_t)(round % N_LOGITS) * (size_t)b->vocab;
}

static void report(const char *name, double times[ROUNDS])
{
    qsort(times, ROUNDS, sizeof(*times), compare);
    printf("%-24s %8.1f us\n", name, times[ROUNDS / 2]);
}

static void measure(struct bench *b, const char *name, struct sampling p)
{
    double times[ROUNDS];
    struct sampler s;
    sampler_init(&s, &p);
    for (int i = 0; i < ROUNDS; i++) {
        const struct sampler_input in = {.logits = logits_of(b, i),
                                         .vocab = b->vocab,
                                         .tokens = b->tokens,
                                         .n_tokens = b->n_tokens,
                                         .n_prompt = b->n_tokens / 2};
        double begin = cpu_now_us();
        sampler_next(&s, &in, &b->scratch);
        times[i] = cpu_now_us() - begin;
    }
    report(name, times);
}

static void measure_logprobs(struct bench *b)
{
    double times[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct engine_top_logprob top[ENGINE_TOP_LOGPROBS_MAX];
        float logprob;
        double begin = cpu_now_us();
        token_logprobs(logits_of(b, i), b->vocab, i, &logprob, top, ENGINE_TOP_LOGPROBS_MAX,
                       &b->scratch);
        times[i] = cpu_now_us() - begin;
    }
    report("logprobs, 20 top", times);
}

static void measure_all(struct bench *b)
{
    const struct sampling usual = SAMPLING_DEFAULT;
    struct sampling p = usual;
    measure(b, "default", p);
    p.temperature = 0.0f;
    measure(b, "greedy", p);
    p = usual;
    p.top_k = 0;
    measure(b, "default without top_k", p);
    p = usual;
    p.repetition_penalty = 1.1f;
    measure(b, "repetition_penalty", p);
    p = usual;
    p.presence_penalty = p.frequency_penalty = 0.5f;
    measure(b, "presence and frequency", p);
    p = usual;
    p.dry.multiplier = 0.8f;
    measure(b, "dry", p);
    p = usual;
    p.top_n_sigma = 1.0f;
    measure(b, "top_n_sigma", p);
    p = usual;
    p.xtc_probability = 0.5f;
    measure(b, "xtc", p);
    p = usual;
    p.typical_p = 0.9f;
    measure(b, "typical_p", p);
    p.top_k = 0;
    measure(b, "typical_p without top_k", p);
    p = usual;
    p.mirostat = 2;
    measure(b, "mirostat", p);
    measure_logprobs(b);
}

static void fill(struct bench *b)
{
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < (size_t)N_LOGITS * (size_t)b->vocab; i++) {
        b->logits[i] = 2.5f * rng_normal(&r);
    }
    for (size_t i = 0; i < b->n_tokens; i++) { /* every second line is one from before */
        b->tokens[i] = i >= 100 && i % 50 < 25 ? b->tokens[i - 100]
                                               : (int32_t)rng_below(&r, (uint32_t)b->vocab);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.vocab = argc > 1 ? atoi(argv[1]) : 49152,
                      .n_tokens = argc > 2 ? (size_t)atoi(argv[2]) : 2000};
    struct err e = {0};
    if (b.vocab < 1000 || b.vocab > 1 << 20 || b.n_tokens > 1 << 24) {
        fprintf(stderr, "usage: bench_sampler [VOCAB] [TOKENS]\n");
        return 2;
    }
    b.logits = malloc((size_t)N_LOGITS * (size_t)b.vocab * sizeof(*b.logits));
    b.tokens = malloc((b.n_tokens + 1) * sizeof(*b.tokens));
    bool ready = b.logits && b.tokens &&
                 sampler_scratch_init(&b.scratch, ops_select(cpu_features()), b.vocab,
                                      b.n_tokens + 1, &e) == 0;
    if (ready) {
        fill(&b);
        measure_all(&b);
        sampler_scratch_deinit(&b.scratch);
    } else {
        fprintf(stderr, "bench_sampler: out of memory\n");
    }
    free(b.logits);
    free(b.tokens);
    return ready ? 0 : 1;
}

/* How often the test of drift raises a false alarm, and how soon a true one: whole series of
 * answers that chance makes, of versions that do not change and of versions that change in a
 * known way.
 *
 *     bench_drift [RUNS [WINDOWS [BASELINE [PART]]]]
 *
 * RUNS series of each kind (500), WINDOWS behind the baseline (200) of so many answers (the
 * default); only of kinds whose name has PART in it.
 *
 * Settings are the defaults. Answers: length geometric with a mean of 120 tokens, cut at 512;
 * mean entropy log-normal around 0.6 nats (sigma 0.5); 2 % blocked, 5 % refusals; users speak
 * of 5 % and dislike a third of these; unless a row says otherwise.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/registry/drift_series.h"

struct behaviour {
    double tokens, entropy; /* mean, median */
    double refusals, blocks, spoken_of, dislikes;
};

struct scenario {
    const char *name;
    struct behaviour before, after; /* of the baseline and, from after_windows on, of later */
    int callers;                    /* 0: nobody asks twice */
    int in_row;                     /* answers to a caller one after the other; 0: 1 */
    double caller_spread; /* sigma of a caller's own factor of lengths, entropies and shares */
    double burst_spread;  /* sigma of such a factor that stays for 40 answers */
    int after_windows;
};

#define USUAL                            \
    {                                    \
        120, 0.6, 0.05, 0.02, 0.05, 0.33 \
    }

static const struct scenario scenarios[] = {
    {.name = "nothing changes", .before = USUAL, .after = USUAL},
    {.name = "nothing, shares of 20, 10, 30, 50 %",
     .before = {120, 0.6, 0.2, 0.1, 0.3, 0.5},
     .after = {120, 0.6, 0.2, 0.1, 0.3, 0.5}},
    {.name = "nothing, 200 callers that differ",
     .before = USUAL,
     .after = USUAL,
     .callers = 200,
     .caller_spread = 0.7},
    {.name = "nothing, 20 callers that differ",
     .before = USUAL,
     .after = USUAL,
     .callers = 20,
     .caller_spread = 0.7},
    {.name = "nothing, 200 callers, 10 in a row each",
     .before = USUAL,
     .after = USUAL,
     .callers = 200,
     .in_row = 10,
     .caller_spread = 0.7},
    {.name = "nothing, bursts of 40 alike",
     .before = USUAL,
     .after = USUAL,
     .burst_spread = 0.5},
    {.name = "to the margins", .before = USUAL, .after = {154, 0.681, 0.1, 0.04, 0.1, 0.43}},
    {.name = "length x 1.5", .before = USUAL, .after = {180, 0.6, 0.05, 0.02, 0.05, 0.33}},
    {.name = "length / 2", .before = USUAL, .after = {60, 0.6, 0.05, 0.02, 0.05, 0.33}},
    {.name = "length / 2 after 100 windows",
     .before = USUAL,
     .after = {60, 0.6, 0.05, 0.02, 0.05, 0.33},
     .after_windows = 100},
    {.name = "entropy x 1.3", .before = USUAL, .after = {120, 0.78, 0.05, 0.02, 0.05, 0.33}},
    {.name = "entropy x 1.5", .before = USUAL, .after = {120, 0.9, 0.05, 0.02, 0.05, 0.33}},
    {.name = "entropy x 1.5, 200 callers",
     .before = USUAL,
     .after = {120, 0.9, 0.05, 0.02, 0.05, 0.33},
     .callers = 200,
     .caller_spread = 0.7},
    {.name = "entropy x 1.5, 200, 10 in a row",
     .before = USUAL,
     .after = {120, 0.9, 0.05, 0.02, 0.05, 0.33},
     .callers = 200,
     .in_row = 10,
     .caller_spread = 0.7},
    {.name = "refusals 5 % -> 15 %",
     .before = USUAL,
     .after = {120, 0.6, 0.15, 0.02, 0.05, 0.33}},
    {.name = "refusals 5 % -> 30 %",
     .before = USUAL,
     .after = {120, 0.6, 0.3, 0.02, 0.05, 0.33}},
    {.name = "blocked 2 % -> 8 %",
     .before = USUAL,
     .after = {120, 0.6, 0.05, 0.08, 0.05, 0.33}},
    {.name = "disliked 33 % -> 80 %",
     .before = USUAL,
     .after = {120, 0.6, 0.05, 0.02, 0.05, 0.8}},
};

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

struct tally {
    bool alarmed;
    uint64_t answers; /* behind the change */
    uint64_t at;
};

static void on_look(void *ctx, const struct drift_look *look)
{
    struct tally *t = ctx;
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        if (look->changes[m] == DRIFT_BEGAN && !t->alarmed) {
            t->alarmed = true;
            t->at = t->answers;
        }
    }
}

static void feed(struct drift_series *s, const struct drift_settings *set,
                 const struct behaviour *b, double factor, struct rng *r, struct tally *t)
{
    double tokens = fmin(512, 1 + floor(log(uniform(r)) / log1p(-1 / (b->tokens * factor))));
    double entropy = b->entropy * factor * exp(0.5 * rng_normal(r));
    const struct answer_seen a = {.is_blocked = uniform(r) < b->blocks * factor,
                                  .is_refusal = uniform(r) < b->refusals * factor,
                                  .tokens = tokens,
                                  .entropy = entropy};
    struct answer_feedback f = {.number = s->answers};
    t->answers++;
    drift_series_add(s, set, &a, on_look, t);
    f.is_spoken_of = uniform(r) < b->spoken_of * factor;
    f.is_disliked = f.is_spoken_of && uniform(r) < b->dislikes;
    drift_series_add_feedback(s, &f);
}

static struct tally run(const struct scenario *s, const struct drift_settings *set, int windows,
                        struct rng *r)
{
    static struct drift_series series;
    double factors[1000] = {0}, burst = 1;
    uint32_t caller = 0;
    struct tally t = {0};
    series = (struct drift_series){0};
    for (int i = 0; i < s->callers; i++) {
        factors[i] = exp(s->caller_spread * rng_normal(r) - 0.5 * pow(s->caller_spread, 2));
    }
    uint64_t change = set->baseline + (uint64_t)s->after_windows * set->window;
    uint64_t n = change + (uint64_t)windows * set->window;
    for (uint64_t i = 0; i < n && !t.alarmed; i++) {
        if (s->burst_spread > 0 && i % 40 == 0) {
            burst = exp(s->burst_spread * rng_normal(r) - 0.5 * pow(s->burst_spread, 2));
        }
        if (s->callers > 0 && i % (uint64_t)(s->in_row ? s->in_row : 1) == 0) {
            caller = rng_below(r, (uint32_t)s->callers);
        }
        t.answers = i == change ? 0 : t.answers;
        feed(&series, set, i < change ? &s->before : &s->after,
             burst * (s->callers > 0 ? factors[caller] : 1), r, &t);
    }
    return t;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int runs = argc > 1 ? atoi(argv[1]) : 500, windows = argc > 2 ? atoi(argv[2]) : 200;
    struct drift_settings set = drift_settings_default();
    const char *part = argc > 4 ? argv[4] : "";
    set.baseline = argc > 3 ? (uint32_t)atoi(argv[3]) : set.baseline;
    uint64_t *at = calloc((size_t)runs + 1, sizeof(*at));
    printf("%-36s %8s %20s\n", "what changes", "alarms", "answers: median, 90 %");
    for (size_t i = 0; at && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        struct rng r;
        size_t n = 0;
        if (!strstr(scenarios[i].name, part)) {
            continue;
        }
        rng_seed(&r, 1000 + i);
        for (int k = 0; k < runs; k++) {
            struct tally t = run(&scenarios[i], &set, windows, &r);
            if (t.alarmed) {
                at[n++] = t.at;
            }
        }
        qsort(at, n, sizeof(*at), by_size);
        printf("%-36s %7.2f%% %10llu %9llu\n", scenarios[i].name, 100.0 * (double)n / runs,
               n ? (unsigned long long)at[n / 2] : 0ULL,
               n ? (unsigned long long)at[n * 9 / 10] : 0ULL);
        fflush(stdout);
    }
    free(at);
    return 0;
}

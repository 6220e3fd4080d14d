/* How often a canary is rolled back and promoted: whole canaries of answers that chance makes,
 * for versions that are equal and for versions that are worse in a known way.
 *
 *     bench_canary [RUNS]     canaries of each kind (2000)
 *
 * Answers: first token and time between tokens log-normal (sigma 0.8 and 0.3), length geometric
 * with a mean of 120 tokens, cut at 512, unless a row says otherwise. One in ten goes to the
 * canary. Below: how often the exact share of false alarms of one interval exceeds its level.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/registry/canary_judge.h"

struct behaviour {
    double errors, blocks, refusals; /* shares */
    double first_s, token_s, tokens; /* medians, mean */
};

struct scenario {
    const char *name;
    struct behaviour stable, canary;
    double
        caller_spread; /* sigma of a caller's own factor of lengths and times; 0: no callers */
    int callers;
    double load_spread; /* sigma of a factor of times that stays for 12 answers of a side */
    double time_margin; /* 0: as by default */
};

/* errors, blocks, refusals; first token, token time, length */
#define USUAL                            \
    {                                    \
        0.01, 0.02, 0.05, 0.2, 0.02, 120 \
    }

static const struct scenario scenarios[] = {
    {.name = "equal", .stable = USUAL, .canary = USUAL},
    {.name = "equal, nothing goes wrong",
     .stable = {0, 0, 0, 0.2, 0.02, 120},
     .canary = {0, 0, 0, 0.2, 0.02, 120}},
    {.name = "equal, 5, 10 and 20 % go wrong",
     .stable = {0.05, 0.1, 0.2, 0.2, 0.02, 120},
     .canary = {0.05, 0.1, 0.2, 0.2, 0.02, 120}},
    {.name = "equal, load comes in bursts",
     .stable = USUAL,
     .canary = USUAL,
     .load_spread = 0.7},
    {.name = "equal, bursts, time margins 1.25",
     .stable = USUAL,
     .canary = USUAL,
     .load_spread = 0.7,
     .time_margin = 1.25},
    {.name = "equal, 200 callers that differ",
     .stable = USUAL,
     .canary = USUAL,
     .caller_spread = 0.7,
     .callers = 200},
    {.name = "equal, 40 callers that differ",
     .stable = USUAL,
     .canary = USUAL,
     .caller_spread = 0.7,
     .callers = 40},
    {.name = "at every margin", .stable = USUAL, .canary = {0.025, 0.04, 0.1, 0.4, 0.04, 151}},
    {.name = "errors 1 % -> 5 %",
     .stable = USUAL,
     .canary = {0.05, 0.02, 0.05, 0.2, 0.02, 120}},
    {.name = "errors 1 % -> 50 %",
     .stable = USUAL,
     .canary = {0.5, 0.02, 0.05, 0.2, 0.02, 120}},
    {.name = "blocks 2 % -> 8 %",
     .stable = USUAL,
     .canary = {0.01, 0.08, 0.05, 0.2, 0.02, 120}},
    {.name = "refusals 5 % -> 15 %",
     .stable = USUAL,
     .canary = {0.01, 0.02, 0.15, 0.2, 0.02, 120}},
    {.name = "first token x 3", .stable = USUAL, .canary = {0.01, 0.02, 0.05, 0.6, 0.02, 120}},
    {.name = "token time x 3", .stable = USUAL, .canary = {0.01, 0.02, 0.05, 0.2, 0.06, 120}},
    {.name = "first token x 1.5, margin 1.25",
     .stable = USUAL,
     .canary = {0.01, 0.02, 0.05, 0.3, 0.02, 120},
     .time_margin = 1.25},
    {.name = "token time x 1.5, margin 1.25",
     .stable = USUAL,
     .canary = {0.01, 0.02, 0.05, 0.2, 0.03, 120},
     .time_margin = 1.25},
    {.name = "length x 1.5", .stable = USUAL, .canary = {0.01, 0.02, 0.05, 0.2, 0.02, 180}},
    {.name = "length / 1.5", .stable = USUAL, .canary = {0.01, 0.02, 0.05, 0.2, 0.02, 80}},
};

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

static struct canary_answer answer(struct rng *r, const struct behaviour *b, uint64_t caller,
                                   double factor, double load)
{
    double tokens = fmin(512, 1 + floor(log(uniform(r)) / log1p(-1 / (b->tokens * factor))));
    double first_token_s = b->first_s * factor * load * exp(0.8 * rng_normal(r));
    double token_s = b->token_s * load * exp(0.3 * rng_normal(r));
    return (struct canary_answer){.caller = caller,
                                  .has_failed = uniform(r) < b->errors,
                                  .is_blocked = uniform(r) < b->blocks,
                                  .is_refusal = uniform(r) < b->refusals,
                                  .is_cut = tokens == 512,
                                  .first_token_s = first_token_s,
                                  .token_s = tokens > 1 ? token_s : -1,
                                  .tokens = tokens};
}

struct tally {
    int worse, good, undecided;
    double answers; /* of the canary at the decision, all together */
};

/* Callers stay on the side to which chance has put them. */
static void run(const struct scenario *s, const struct canary_plan *plan, struct rng *r,
                struct tally *t)
{
    static struct canary_sample sides[2];
    double factors[1000], load[2] = {1, 1};
    bool is_canary[1000] = {false};
    sides[0] = sides[1] = (struct canary_sample){0};
    for (int i = 0; i < s->callers; i++) {
        factors[i] = exp(s->caller_spread * rng_normal(r));
        is_canary[i] = uniform(r) < plan->steps[0] / 100.0;
    }
    int looks = 0;
    struct canary_judgement j = {.verdict = CANARY_UNDECIDED};
    for (int n = 0; looks < plan->looks && n < 10000000; n++) {
        uint32_t caller = s->callers > 0 ? rng_below(r, (uint32_t)s->callers) : 0;
        bool canary = s->callers > 0 ? is_canary[caller] : uniform(r) < plan->steps[0] / 100.0;
        if (s->load_spread > 0 && sides[canary].added % 12 == 0) {
            load[canary] = exp(s->load_spread * rng_normal(r));
        }
        struct canary_answer a =
            answer(r, canary ? &s->canary : &s->stable, s->callers > 0 ? caller + 1 : 0,
                   s->callers > 0 ? factors[caller] : 1, load[canary]);
        canary_sample_add(&sides[canary], &a);
        if (canary && canary_plan_due(plan, (double)sides[1].answers) > looks) {
            looks++;
            canary_judge(&sides[0], &sides[1], plan, &j);
            if (j.verdict != CANARY_UNDECIDED) {
                break;
            }
        }
        if (n > 200000 && sides[1].answers == 0) {
            break; /* chance has given it no caller */
        }
    }
    t->worse += j.verdict == CANARY_WORSE;
    t->good += j.verdict == CANARY_GOOD;
    t->undecided += j.verdict == CANARY_UNDECIDED;
    t->answers += (double)sides[1].answers;
}

static void print_scenarios(int runs)
{
    struct canary_plan plan = canary_plan_default();
    printf("%-36s %9s %9s %9s %9s\n", "versions", "rollback", "promote", "undecided",
           "answers");
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        struct tally t = {0};
        double margin = scenarios[i].time_margin;
        plan.margins[CANARY_FIRST_TOKEN] = plan.margins[CANARY_TOKEN_TIME] =
            margin > 0 ? margin : canary_plan_default().margins[CANARY_FIRST_TOKEN];
        struct rng r;
        rng_seed(&r, 1000 + i);
        for (int k = 0; k < runs; k++) {
            run(&scenarios[i], &plan, &r, &t);
        }
        printf("%-36s %8.2f%% %8.2f%% %8.2f%% %9.0f\n", scenarios[i].name,
               100.0 * t.worse / runs, 100.0 * t.good / runs, 100.0 * t.undecided / runs,
               t.answers / runs);
        fflush(stdout);
    }
}

/* --- one interval, exactly --- */

static double binomial(int k, int n, double p)
{
    double ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
    return p <= 0 ? k == 0 : p >= 1 ? k == n : exp(ways + k * log(p) + (n - k) * log1p(-p));
}

/* The probability that the lower end lies above the true difference. */
static double alarms(int n_stable, int n_canary, double stable, double canary, double level)
{
    double sum = 0;
    for (int x = 0; x <= n_stable; x++) {
        double px = binomial(x, n_stable, stable);
        if (px < 1e-12) {
            continue;
        }
        /* The end grows with y: all from the first one on. */
        int low = 0, high = n_canary + 1;
        while (low < high) {
            int y = (low + high) / 2;
            struct interval i = share_difference_interval(x, n_stable, y, n_canary, level);
            if (i.low > canary - stable) {
                high = y;
            } else {
                low = y + 1;
            }
        }
        double tail = 0;
        for (int y = low; y <= n_canary; y++) {
            tail += binomial(y, n_canary, canary);
        }
        sum += px * tail;
    }
    return sum;
}

static void print_exact(void)
{
    static const double shares[] = {0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.8};
    static const double margins[] = {0, 0.01, 0.02, 0.05};
    static const int sizes[][2] = {{60, 20}, {200, 200}, {1800, 200}, {2000, 500}, {200, 2000}};
    printf(
        "\n%-20s %10s   worst share of alarms over shares 0.1 %% .. 80 %%, margins 0 .. 5 %%\n",
        "answers", "level");
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const double levels[] = {0.01 / 40, 0.01};
        for (size_t l = 0; l < 2; l++) {
            double worst = 0, at = 0, margin = 0;
            for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
                for (size_t k = 0; k < sizeof(margins) / sizeof(margins[0]); k++) {
                    double a = alarms(sizes[s][0], sizes[s][1], shares[i],
                                      shares[i] + margins[k], levels[l]);
                    if (a > worst) {
                        worst = a;
                        at = shares[i];
                        margin = margins[k];
                    }
                }
            }
            printf("%6d and %6d    %10.5f   %.6f (%.2f of the level) at %.3f + %.2f\n",
                   sizes[s][0], sizes[s][1], levels[l], worst, worst / levels[l], at, margin);
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    print_exact();
    printf("\n");
    print_scenarios(argc > 1 ? atoi(argv[1]) : 2000);
    return 0;
}

#include "runtime/engine/sampler_candidates.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>

static bool before(const struct sampler_candidate *a, const struct sampler_candidate *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->token < b->token;
}

static int compare(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

static void swap(struct sampler_candidate *a, struct sampler_candidate *b)
{
    struct sampler_candidate t = *a;
    *a = *b;
    *b = t;
}

int candidates_all(struct sampler_candidate *c, const float *logits, int vocab, float floor)
{
    int n = 0;
    for (int32_t i = 0; i < vocab; i++) {
        if (logits[i] >= floor && logits[i] <= FLT_MAX) {
            c[n++] = (struct sampler_candidate){.token = i, .logit = logits[i]};
        }
    }
    return n;
}

/* --- the k best: a heap whose root is the worst of those kept --- */

static void sift_down(struct sampler_candidate *c, int n, int at)
{
    for (;;) {
        int worst = at;
        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++) {
            if (before(&c[worst], &c[child])) {
                worst = child;
            }
        }
        if (worst == at) {
            return;
        }
        swap(&c[at], &c[worst]);
        at = worst;
    }
}

int candidates_best(struct sampler_candidate *c, const float *logits, int vocab, float floor,
                    int k)
{
    int n = 0;
    int32_t i = 0;
    for (; i < vocab && n < k; i++) {
        if (logits[i] >= floor && logits[i] <= FLT_MAX) {
            c[n++] = (struct sampler_candidate){.token = i, .logit = logits[i]};
        }
    }
    for (int at = n / 2 - 1; at >= 0; at--) {
        sift_down(c, n, at);
    }
    for (; i < vocab; i++) {
        /* Among equals those that are in have the lower ids. */
        if (logits[i] > c[0].logit && logits[i] <= FLT_MAX) {
            c[0] = (struct sampler_candidate){.token = i, .logit = logits[i]};
            sift_down(c, n, 0);
        }
    }
    for (int last = n - 1; last > 0; last--) {
        swap(&c[0], &c[last]);
        sift_down(c, last, 0);
    }
    return n;
}

/* --- the fewest that reach a mass --- */

/* Quickselect (Hoare 1961): afterwards the k best stand in front, sorted. */
static void select_best(struct sampler_candidate *c, int n, int k)
{
    int low = 0;
    int high = n - 1;
    while (low < high && k < n) {
        struct sampler_candidate pivot = c[low + (high - low) / 2];
        int i = low;
        int j = high;
        while (i <= j) {
            while (before(&c[i], &pivot)) {
                i++;
            }
            while (before(&pivot, &c[j])) {
                j--;
            }
            if (i <= j) {
                swap(&c[i++], &c[j--]);
            }
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    qsort(c, (size_t)(k < n ? k : n), sizeof(*c), compare);
}

/* Sorting a whole vocabulary for a handful of candidates would cost more than the model's own
 * step, so the sorted part grows as needed. */
int candidates_reaching(struct sampler_candidate *c, int n, float mass)
{
    int sorted = 0;
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        if (i == sorted) {
            int next = sorted ? sorted * 4 : 64;
            sorted = next < n ? next : n;
            /* The first i are in place already and are the best: sort among the rest. */
            select_best(c + i, n - i, sorted - i);
        }
        sum += c[i].p;
        if (sum >= mass) {
            return i + 1;
        }
    }
    return n;
}

#include "runtime/engine/sampler_dry.h"

/* Beyond this a penalty makes no difference, and a logit stays a number. */
#define PENALTY_MAX 1e9

static bool breaks(const struct sampling_dry *d, int32_t token)
{
    size_t word =
        (size_t)token / 32; /* a model's vocabulary may reach beyond its tokenizer's */
    return word < d->n_words && (d->breaks[word] >> (token % 32) & 1u);
}

/* Tokens since the last one that a repetition does not reach over. */
static size_t reach(const struct sampling_dry *d, const int32_t *tokens, size_t n)
{
    size_t length = 0;
    while (length < n && !breaks(d, tokens[n - 1 - length])) {
        length++;
    }
    return length;
}

/* The Z-algorithm (Gusfield 1997, section 1.3) from the last token backwards: z[i] is how many
 * tokens before the last i are the same as the last ones of all. */
static void match_ends(const int32_t *tokens, size_t n, int32_t *z)
{
    const int32_t *last = tokens + n - 1;
    size_t left = 0, right = 0; /* the match that goes back furthest */
    for (size_t i = 1; i < n; i++) {
        size_t known = i < right ? (size_t)z[i - left] : 0;
        size_t length = i < right && known > right - i ? right - i : known;
        while (i + length < n && last[-(ptrdiff_t)length] == last[-(ptrdiff_t)(i + length)]) {
            length++;
        }
        z[i] = (int32_t)length;
        if (i + length > right) {
            left = i;
            right = i + length;
        }
    }
}

/* multiplier * base^length, by squaring. */
static float penalty_of(const struct sampling_dry *d, int32_t length)
{
    double power = 1.0, base = (double)d->base;
    for (int32_t left = length; left > 0 && power < PENALTY_MAX; left /= 2) {
        if (left % 2) {
            power *= base;
        }
        base = base < PENALTY_MAX ? base * base : base;
    }
    double penalty = (double)d->multiplier * power;
    return (float)(penalty < PENALTY_MAX ? penalty : PENALTY_MAX);
}

void sampler_dry(const struct sampling_dry *d, const struct sampler_input *in, float *logits,
                 struct sampler_scratch *scratch)
{
    size_t n = in->n_tokens < scratch->context ? in->n_tokens : scratch->context;
    n = d->last_n >= 0 && (size_t)d->last_n < n ? (size_t)d->last_n : n;
    const int32_t *tokens = in->tokens + in->n_tokens - n;
    int32_t most = (int32_t)reach(d, tokens, n);
    if (most < d->allowed_length) {
        return;
    }
    int32_t *z = scratch->matches;
    int32_t *longest = scratch->counts; /* all 0, and so again: length + 1 by token */
    match_ends(tokens, n, z);
    for (size_t i = 1; i < n; i++) {
        int32_t length = z[i] < most ? z[i] : most;
        int32_t next = tokens[n - i];
        if (length >= d->allowed_length && length >= longest[next]) {
            longest[next] = length + 1;
        }
    }
    for (size_t i = 1; i < n; i++) {
        int32_t next = tokens[n - i];
        if (longest[next] > 0) {
            logits[next] -= penalty_of(d, longest[next] - 1 - d->allowed_length);
            longest[next] = 0;
        }
    }
}

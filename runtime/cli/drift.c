#include "runtime/cli/drift.h"

#include <string.h>

#include "models/output/refusal.h"
#include "runtime/base/mem.h"
#include "runtime/cli/word_diff.h"

const char *drift_end_name(enum drift_end end)
{
    static const char *const names[] = {"stop", "length", "filtered", "blocked", "failed"};
    return names[end];
}

const char *drift_rate_name(enum drift_rate_id rate)
{
    static const char *const names[] = {"refused", "filtered", "cut", "failed", "right"};
    return names[rate];
}

bool drift_is_same(const struct drift_pair *pair)
{
    const struct drift_answer *a = &pair->of[0], *b = &pair->of[1];
    return a->end == b->end && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* Whether there is something that the model said. */
static bool is_answered(const struct drift_answer *answer)
{
    return answer->end != DRIFT_BLOCKED && answer->end != DRIFT_FAILED;
}

bool drift_counts(const struct drift_prompt *prompt, const struct drift_answer *answer,
                  enum drift_rate_id rate)
{
    switch (rate) {
    case DRIFT_REFUSED:
        return is_answered(answer) && refusal_begins(answer->text, answer->len);
    case DRIFT_RATE_FILTERED:
        return answer->end == DRIFT_FILTERED || answer->end == DRIFT_BLOCKED;
    case DRIFT_CUT:
        return answer->end == DRIFT_LENGTH;
    case DRIFT_RATE_FAILED:
        return answer->end == DRIFT_FAILED;
    case DRIFT_RIGHT:
        return prompt->has_expect && is_answered(answer) &&
               eval_expect_holds(&prompt->expect, answer->text, answer->len);
    case DRIFT_RATES:
        break;
    }
    return false;
}

static bool ends_word(const struct drift_answer *a, size_t at)
{
    return at == a->len || strchr(" \t\r\n\v\f", a->text[at]);
}

size_t drift_first_difference(const struct drift_pair *pair)
{
    const struct drift_answer *a = &pair->of[0], *b = &pair->of[1];
    size_t same = 0;
    while (same < a->len && same < b->len && a->text[same] == b->text[same]) {
        same++;
    }
    /* A word of which only the beginning is the same is the first that differs. */
    if (!ends_word(a, same) || !ends_word(b, same)) {
        while (same > 0 && !ends_word(a, same - 1)) {
            same--;
        }
    }
    return word_count(a->text, same) + 1;
}

static bool is_of(const struct drift_prompt *p, const char *category)
{
    return !category || (p->category && strcmp(p->category, category) == 0);
}

static void count_rate(struct drift_rate *rate, const struct drift_prompt *p,
                       const struct drift_pair *pair, enum drift_rate_id id)
{
    if (id == DRIFT_RIGHT && !p->has_expect) {
        return;
    }
    bool a = drift_counts(p, &pair->of[0], id), b = drift_counts(p, &pair->of[1], id);
    rate->n++;
    rate->hits[0] += a;
    rate->hits[1] += b;
    rate->only[0] += a && !b;
    rate->only[1] += b && !a;
}

struct lengths {
    double *words[2]; /* (n) */
    double *longer;   /* (n) */
    size_t n;
};

static void take_length(struct lengths *l, const struct drift_pair *pair)
{
    if (!is_answered(&pair->of[0]) || !is_answered(&pair->of[1])) {
        return;
    }
    for (int side = 0; side < 2; side++) {
        l->words[side][l->n] = (double)word_count(pair->of[side].text, pair->of[side].len);
    }
    l->longer[l->n] = l->words[1][l->n] - l->words[0][l->n];
    l->n++;
}

static int summarise_lengths(const struct lengths *l, struct drift_summary *out, struct err *e)
{
    out->n_lengths = l->n;
    for (int side = 0; side < 2; side++) {
        if (stats_mean(l->words[side], l->n, &out->mean[side], e) != 0 ||
            stats_median(l->words[side], l->n, &out->median[side], e) != 0) {
            return -1;
        }
    }
    return stats_mean(l->longer, l->n, &out->longer, e) == 0
               ? stats_wilcoxon(l->longer, l->n, &out->length_p, e)
               : -1;
}

static void summarise_pairs(const struct drift_prompts *prompts, const struct drift_pair *pairs,
                            const char *category, struct lengths *lengths,
                            struct drift_summary *out)
{
    double seconds[2] = {0}, tokens[2] = {0};
    for (size_t i = 0; i < prompts->n; i++) {
        const struct drift_prompt *p = &prompts->items[i];
        if (!is_of(p, category)) {
            continue;
        }
        out->n++;
        out->n_same += drift_is_same(&pairs[i]);
        for (int id = 0; id < DRIFT_RATES; id++) {
            count_rate(&out->rates[id], p, &pairs[i], (enum drift_rate_id)id);
        }
        take_length(lengths, &pairs[i]);
        for (int side = 0; side < 2; side++) {
            seconds[side] += pairs[i].of[side].seconds;
            tokens[side] += (double)pairs[i].of[side].tokens;
        }
    }
    for (int side = 0; side < 2; side++) {
        out->tokens_per_s[side] = seconds[side] > 0 ? tokens[side] / seconds[side] : 0;
    }
    for (int id = 0; id < DRIFT_RATES; id++) {
        out->rates[id].p = stats_mcnemar(out->rates[id].only[0], out->rates[id].only[1]);
    }
    out->same = stats_share(out->n_same, out->n);
}

int drift_summarise(const struct drift_prompts *prompts, const struct drift_pair *pairs,
                    const char *category, struct drift_summary *out, struct err *e)
{
    double *room = mem_zarray(3 * prompts->n + 1, sizeof(*room));
    if (!room) {
        return err_nomem(e);
    }
    struct lengths lengths = {.words = {room, room + prompts->n},
                              .longer = room + 2 * prompts->n};
    *out = (struct drift_summary){0};
    summarise_pairs(prompts, pairs, category, &lengths, out);
    int rc = summarise_lengths(&lengths, out, e);
    mem_free(room);
    return rc;
}

void drift_pairs_free(struct drift_pair *pairs, size_t n)
{
    for (size_t i = 0; pairs && i < n; i++) {
        mem_free(pairs[i].of[0].text);
        mem_free(pairs[i].of[1].text);
    }
    mem_free(pairs);
}

#include "models/arch/llama_embed.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"

/* What is needed while texts are read. */
struct reading {
    struct llama_state *state;
    const struct llama_config *config;
    const struct llama_weights *weights;
    struct kv_cache *kv;
    struct llama_row *rows; /* (max_rows) */
    size_t max_rows;
    double *sum; /* (d_model), in double and in the order of the tokens */
};

static void add_vectors(const struct reading *r, size_t first, size_t end)
{
    size_t d = (size_t)r->config->d_model;
    for (size_t i = first; i < end; i++) {
        const float *vector = llama_vector(r->state, (int)i);
        for (size_t k = 0; k < d; k++) {
            r->sum[k] += (double)vector[k];
        }
    }
}

/* The sum of n vectors to their mean, and that to length 1. */
static void finish(const struct reading *r, size_t n, float *out)
{
    size_t d = (size_t)r->config->d_model;
    double squares = 0.0;
    for (size_t k = 0; k < d; k++) {
        out[k] = (float)(r->sum[k] / (double)n);
        squares += (double)out[k] * (double)out[k];
        r->sum[k] = 0.0;
    }
    double length = sqrt(squares);
    for (size_t k = 0; k < d && length > 0.0; k++) {
        out[k] = (float)((double)out[k] / length);
    }
}

/* Puts tokens [first, end) of a text behind n_rows rows. */
static void put_rows(struct llama_row *rows, size_t n_rows, const struct llama_text *text,
                     size_t first, size_t end, int slot)
{
    for (size_t i = first; i < end; i++) {
        rows[n_rows++] = (struct llama_row){.token = text->tokens[i],
                                            .position = (int32_t)i,
                                            .slot = slot,
                                            .want_logits = true};
    }
}

static int step(const struct reading *r, size_t n_rows, struct err *e)
{
    return llama_step(r->state, r->weights, r->kv, r->rows, (int)n_rows)
               ? 0
               : err_set(e, ERR_CANCELED, "the step was given up");
}

/* Which of n vectors count. */
static void pooled_range(const struct reading *r, size_t n, size_t *first, size_t *end)
{
    *first = r->config->pooling == LLAMA_POOL_LAST ? n - 1 : 0;
    *end = r->config->pooling == LLAMA_POOL_FIRST ? 1 : n;
}

static int read_together(const struct reading *r, const struct llama_text *texts,
                         size_t n_texts, struct err *e)
{
    size_t n_rows = 0, begin = 0, first, end;
    for (size_t i = 0; i < n_texts; i++) {
        put_rows(r->rows, n_rows, &texts[i], 0, texts[i].n_tokens, (int)i);
        n_rows += texts[i].n_tokens;
    }
    if (step(r, n_rows, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n_texts; i++) {
        pooled_range(r, texts[i].n_tokens, &first, &end);
        add_vectors(r, begin + first, begin + end);
        finish(r, end - first, texts[i].vector);
        begin += texts[i].n_tokens;
    }
    return 0;
}

static int read_in_pieces(const struct reading *r, const struct llama_text *text, struct err *e)
{
    size_t first, end;
    pooled_range(r, text->n_tokens, &first, &end);
    for (size_t at = 0; at < text->n_tokens; at += r->max_rows) {
        size_t left = text->n_tokens - at;
        size_t to = at + (left < r->max_rows ? left : r->max_rows);
        put_rows(r->rows, 0, text, at, to, 0);
        if (step(r, to - at, e) != 0) {
            return -1;
        }
        size_t from = first > at ? first : at;
        size_t until = end < to ? end : to;
        if (from < until) {
            add_vectors(r, from - at, until - at);
        }
    }
    finish(r, end - first, text->vector);
    return 0;
}

/* Whether all fits into one step; -1 when it can be read in no way. */
static int fits(const struct reading *r, const struct llama_text *texts, size_t n_texts,
                struct err *e)
{
    size_t total = 0, most = (size_t)r->kv->context;
    for (size_t i = 0; i < n_texts; i++) {
        if (texts[i].n_tokens == 0 || texts[i].n_tokens > most) {
            return err_set(e, ERR_LIMIT, "a text of %zu tokens; 1 to %zu can be embedded",
                           texts[i].n_tokens, most);
        }
        total += texts[i].n_tokens;
    }
    if (total <= r->max_rows && n_texts <= (size_t)r->kv->n_slots) {
        return 1;
    }
    return n_texts == 1 && !r->config->encoder
               ? 0
               : err_set(e, ERR_LIMIT, "%zu texts of %zu tokens in a step of %zu", n_texts,
                         total, r->max_rows);
}

int llama_embed(struct llama_state *s, const struct llama_config *c,
                const struct llama_weights *w, struct kv_cache *kv,
                const struct llama_text *texts, size_t n_texts, struct err *e)
{
    struct reading r = {.state = s,
                        .config = c,
                        .weights = w,
                        .kv = kv,
                        .max_rows = (size_t)llama_state_max_rows(s)};
    int together = fits(&r, texts, n_texts, e);
    if (together < 0) {
        return -1;
    }
    r.rows = mem_zarray(r.max_rows, sizeof(*r.rows));
    r.sum = mem_zarray((size_t)c->d_model, sizeof(*r.sum));
    int rc = -1;
    if (!r.rows || !r.sum) {
        err_nomem(e);
    } else {
        rc = together ? read_together(&r, texts, n_texts, e) : read_in_pieces(&r, texts, e);
    }
    mem_free(r.rows);
    mem_free(r.sum);
    return rc;
}

#include "models/arch/llama_exchange.h"

#include <limits.h>
#include <string.h>

#include "quant/q8.h"
#include "runtime/base/mem.h"

/* Blocks begin where rows may lie in vector registers' alignment. */
static size_t block_bytes(const struct llama_split *s, size_t n_rows, int rank)
{
    size_t bytes = n_rows * llama_split_own(s, rank) * sizeof(float);
    return RANKS_HEAD + (bytes + Q8_ALIGN - 1) / Q8_ALIGN * Q8_ALIGN;
}

static size_t block_at(const struct llama_split *s, size_t n_rows, int rank)
{
    size_t at = 0;
    for (int i = 0; i < rank; i++) {
        at += block_bytes(s, n_rows, i);
    }
    return at;
}

int llama_exchange_init(struct llama_exchange *x, const struct parallel *p, size_t n,
                        const atomic_bool *give_up, struct err *e)
{
    const struct ranks *ranks = p->ranks;
    *x = (struct llama_exchange){.parallel = *p, .ranks = ranks, .give_up = give_up};
    if (!ranks) {
        return 0;
    }
    if (n > INT_MAX / sizeof(float) - RANKS_MAX * 2 * RANKS_HEAD) {
        return err_set(
            e, ERR_LIMIT,
            "the rows of a step have %zu numbers to exchange between ranks, too many "
            "for one message; lower --batch",
            n);
    }
    x->bytes = n * sizeof(float) + (size_t)ranks->n_ranks * (RANKS_HEAD + Q8_ALIGN);
    x->wire = mem_zalloc_aligned(x->bytes);
    return x->wire ? 0 : err_nomem(e);
}

void llama_exchange_deinit(struct llama_exchange *x)
{
    mem_free_aligned(x->wire);
    *x = (struct llama_exchange){0};
}

static float *numbers(const struct llama_exchange *x, const struct llama_split *s,
                      size_t n_rows, int rank)
{
    return (float *)(void *)(x->wire + block_at(s, n_rows, rank) + RANKS_HEAD);
}

float *llama_exchange_own(const struct llama_exchange *x, const struct llama_split *s,
                          size_t n_rows, float *alone)
{
    return x->ranks ? numbers(x, s, n_rows, x->ranks->rank) : alone;
}

const float *llama_exchange_of(const struct llama_exchange *x, const struct llama_split *s,
                               size_t n_rows, int rank)
{
    return numbers(x, s, n_rows, rank);
}

void llama_exchange_gather(struct llama_exchange *x, const struct llama_split *s, size_t n_rows,
                           bool to_all)
{
    size_t at[RANKS_MAX + 1] = {0};
    if (!x->ranks) {
        return;
    }
    for (int i = 0; i < x->ranks->n_ranks; i++) {
        at[i + 1] = at[i] + block_bytes(s, n_rows, i);
    }
    bool flag = x->give_up && atomic_load(x->give_up);
    bool first = x->ranks->gather(x->ranks->channel, x->wire, at, to_all, flag);
    x->gives_up = to_all && first;
}

void llama_exchange_unpack(const struct llama_exchange *x, const struct llama_split *s,
                           size_t n_rows, float *rows, size_t r0, size_t r1)
{
    for (int i = 0; x->ranks && i < x->ranks->n_ranks; i++) {
        size_t own = llama_split_own(s, i);
        const float *from = numbers(x, s, n_rows, i);
        for (size_t r = r0; r < r1; r++) {
            memcpy(rows + r * s->width + s->at[i], from + r * own, own * sizeof(float));
        }
    }
}

void llama_exchange_meet(struct llama_exchange *x, const struct llama_split *s, size_t n_rows,
                         bool to_all, int worker)
{
    x->parallel.barrier(x->parallel.team);
    if (x->ranks && worker == 0) {
        llama_exchange_gather(x, s, n_rows, to_all);
    }
    if (x->ranks) {
        x->parallel.barrier(x->parallel.team);
    }
}

void llama_exchange_collect(struct llama_exchange *x, const struct llama_split *s, float *rows,
                            size_t n_rows, int worker, int n_workers)
{
    size_t r0, r1;
    llama_exchange_meet(x, s, n_rows, true, worker);
    parallel_share(n_rows, worker, n_workers, &r0, &r1);
    llama_exchange_unpack(x, s, n_rows, rows, r0, r1);
}

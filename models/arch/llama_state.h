/* llama_state.h: what a step works in (llama_step.h). Private to models/arch. */
#pragma once

#include "models/arch/llama_exchange.h"
#include "models/arch/llama_step.h"

struct llama_rope_table {
    float *cos, *sin; /* (context, half_head) */
};

/* Adjacent rows of one sequence at consecutive positions. */
struct llama_run {
    size_t first, n_rows;
};

struct llama_state {
    struct llama_config c;
    struct llama_state_settings set;
    size_t d, ff, q_dim, kv_dim; /* row widths */
    size_t half_head;
    /* What of them this rank computes, all of it where it is alone. */
    struct llama_split split_d, split_ff, split_q, split_vocab;
    struct llama_split split_kv; /* where no two ranks have the same KV head */
    struct llama_share_heads heads;
    size_t own_ff, own_q, own_kv;
    size_t qkv_dim; /* own queries, keys, values */
    size_t up_dim;  /* own outputs of gate and up together */
    struct llama_exchange exchange;

    float *x;       /* (max_rows, d)            residual stream */
    float *normed;  /* (max_rows, d) */
    float *qkv;     /* (max_rows, qkv_dim)      queries, keys, values */
    float *mixed;   /* (max_rows, q_dim)        attention output */
    float *gate_up; /* (max_rows, up_dim) */
    float *hidden;  /* (max_rows, ff)           all ranks' behind the gate; NULL where alone */
    float *whole;   /* (max_rows, q_dim)        queries or keys to normalise whole, or NULL */
    float *update;  /* (max_rows, d)            what a block adds to the residual stream */
    float *logits;  /* (max_logits, vocab) */
    struct llama_rope_table rope;        /* of most layers */
    struct llama_rope_table rope_window; /* of those with a window, where they have their own */
    float *scores;                       /* (workers, attention scratch) */
    size_t scores_per_worker;
    /* The input of the next product. One block, seen with each of the row widths. */
    struct llama_input in_d, in_q, in_ff;
    void *in_block;
    struct llama_mixture *mixture; /* NULL: no experts */
    struct llama_adapt *adapt;     /* NULL: rows have no adapters */

    /* The step that runs now. */
    const struct llama_weights *w;
    struct kv_cache *kv;
    const struct llama_row *rows;
    size_t n_rows;
    struct llama_run *runs; /* (max_rows) */
    size_t n_runs;
    size_t *wanted; /* (max_logits) rows that want logits */
    size_t n_wanted;
    bool gave_up;
    struct llama_split embeds; /* where ranks share it: rows that each rank looks up */
    size_t *embed_place;       /* (max_rows) of each row among its rank's; NULL where alone */
};

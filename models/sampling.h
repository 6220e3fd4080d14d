/* sampling.h: how a token is to be chosen; runtime/engine/sampler.h says what is done with it.
 *
 * All zero with top_p = 1 is plain sampling without anything: greedy, as the temperature is 0.
 *
 * Ownership: whoever fills the struct owns its arrays and calls sampling_deinit. A plain
 * assignment borrows them; sampling_copy makes a second owner. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/err.h"

#define SAMPLING_BIAS_MAX          1024
#define SAMPLING_STOP_IDS_MAX      64
#define SAMPLING_BREAKERS_MAX      32
#define SAMPLING_BREAKER_BYTES_MAX 40

/* Added to the logit of a token; -INFINITY: the token is never drawn. */
struct sampling_bias {
    int32_t token;
    float bias;
};

/* DRY, "don't repeat yourself": a token that would make a repetition longer is the less likely
 * the longer the repetition is already. */
struct sampling_dry {
    float multiplier;   /* 0: off */
    float base;         /* >= 1 */
    int allowed_length; /* repeated tokens that cost nothing */
    int last_n;         /* tokens that are looked at; -1: all, 0: off */
    char *breakers;     /* n_breakers texts behind one another, each with its NUL; NULL: the
                           usual ones, \n : " * */
    size_t n_breakers;
    uint32_t *breaks; /* bit set over the vocabulary, made by sampling_bind: a repetition does
                         not reach over these tokens. NULL: none */
    size_t n_words;   /* of it */
};

struct sampling {
    float temperature; /* 0: greedy */
    int top_k;         /* 0: off */
    float top_p;       /* 1: off */
    float min_p;       /* 0: off */
    uint64_t seed;

    float typical_p;       /* 0 and 1: off */
    float top_n_sigma;     /* 0 and less: off */
    float xtc_probability; /* 0: off */
    float xtc_threshold;   /* above 0.5: off */
    int mirostat;          /* 0 or 2 */
    float mirostat_tau;    /* surprise aimed at, in bits */
    float mirostat_eta;    /* how fast */

    float repetition_penalty; /* 0 and 1: off */
    int repeat_last_n;        /* tokens it looks at; -1: all, 0: off */
    float presence_penalty;   /* 0: off; so the next */
    float frequency_penalty;
    struct sampling_dry dry;

    struct sampling_bias *bias; /* (n_bias), owned */
    size_t n_bias;
    int min_tokens;    /* before these are there nothing ends the answer */
    int32_t *stop_ids; /* (n_stop_ids), owned: end the answer as the end of a turn does */
    size_t n_stop_ids;
};

#define SAMPLING_DEFAULT                                           \
    ((struct sampling){                                            \
        .temperature = 0.8f,                                       \
        .top_k = 40,                                               \
        .top_p = 0.95f,                                            \
        .min_p = 0.05f,                                            \
        .xtc_threshold = 0.1f,                                     \
        .mirostat_tau = 5.0f,                                      \
        .mirostat_eta = 0.1f,                                      \
        .repeat_last_n = -1,                                       \
        .dry = {.base = 1.75f, .allowed_length = 2, .last_n = -1}, \
    })

/* What the sampler needs of `from`, the texts of breakers apart; on failure *to is empty. */
int sampling_copy(struct sampling *to, const struct sampling *from, struct err *e);
void sampling_deinit(struct sampling *s);

/* Every id is in a vocabulary of so many tokens. ERR_INVALID names the field. */
int sampling_check_ids(const struct sampling *s, int32_t vocab, struct err *e);

/* Fits settings to a vocabulary before they are given to its engine: checks ids, and finds the
 * tokens at which a repetition ends for DRY. These are all that contain a breaker; for one that
 * no token contains, the last token of its encoding. Time: a pass over the vocabulary, with DRY
 * alone. */
int sampling_bind(struct sampling *s, const struct tokenizer *t, struct err *e);

/* rng.h: small seeded generator, the same numbers on every machine.
 *
 * xoshiro256** by Blackman and Vigna (2018), state filled by splitmix64. Not for secrets. */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r,
                   uint32_t n);   /* uniform in [0, n), n > 0, without modulo bias */
float rng_uniform(struct rng *r); /* [0, 1), 24 bits */
float rng_normal(struct rng *r);  /* mean 0, variance 1 */

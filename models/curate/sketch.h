/* sketch.h: how much two texts have in common, exactly and by a small sketch.
 *
 * A text is the set of its shingles: runs of n words, or of n bytes with letter case and runs
 * of blanks folded. Resemblance is the Jaccard index of two sets (Broder 1997). MinHash: under
 * a random order of all shingles the smallest of two sets agree with probability J. A sketch
 * keeps 8 bits of each of 120 such minima (b-bit minwise hashing, Li and Koenig 2010), and is
 * cut into 20 bands of 6: texts with one whole band in common are candidates, which holds for
 * 1 - (1 - J^6)^20 of the pairs: 0.998 at J = 0.8, 0.98 at 0.75, 0.27 at 0.5.
 *
 * Threads: none of this is shared. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/curate/words.h"
#include "runtime/base/err.h"

#define SKETCH_BANDS 20
#define SKETCH_ROWS  6
#define SKETCH_LEN   (SKETCH_BANDS * SKETCH_ROWS)

struct sketch {
    uint8_t minima[SKETCH_LEN];
};

/* Shingle hashes: as they come, with repeats, until shingles_unite makes a sorted set of
 * them. */
struct shingles {
    uint32_t *items; /* (count) */
    size_t count, cap;
};

void shingles_deinit(struct shingles *s);

/* Runs of n words; a text of fewer has one. */
int shingles_of_words(struct shingles *s, const struct words *w, size_t n, struct err *e);
/* Runs of n bytes. */
int shingles_of_bytes(struct shingles *s, const char *text, size_t len, size_t n,
                      struct err *e);

void shingles_unite(struct shingles *s);

/* 0 to 1, of sorted sets; two empty ones have nothing in common. */
double shingles_jaccard(const struct shingles *a, const struct shingles *b);

/* Of a set or of what will be one. */
void sketch_make(struct sketch *out, const struct shingles *s, uint64_t seed);
/* The Jaccard index, guessed; the standard error is about 0.04. */
double sketch_jaccard(const struct sketch *a, const struct sketch *b);
/* What candidates have in common: a hash of a band. */
uint64_t sketch_band(const struct sketch *s, size_t band);

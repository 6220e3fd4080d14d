/* nearest.h: which known name somebody may have meant who wrote another.
 *
 * The distance is the number of letters to insert, drop, replace or swap with their neighbour
 * (optimal string alignment, a restricted Damerau-Levenshtein distance). `-` and `_`, and
 * letters of either case, are the same here. */
#pragma once

#define NEAREST_NAME_MAX 64 /* longer names are near nothing */

/* Begins as {wanted}; name is NULL until one is near enough: as many changes as a third of its
 * letters, and at least one. */
struct nearest {
    const char *wanted;
    const char *name;
    unsigned distance;
};

unsigned nearest_distance(const char *a, const char *b);

/* Takes `name` if it is nearer than what was there. Borrowed. */
void nearest_offer(struct nearest *n, const char *name);

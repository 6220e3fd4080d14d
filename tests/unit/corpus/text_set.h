/* text_set.h: a set of short texts, compared by their letters and digits alone, in any letter
 * case. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct text_set {
    char **items; /* normalised; sorted once text_set_has is first called */
    size_t n, cap;
    bool sorted;
};

void text_set_add(struct text_set *s, const char *text);
bool text_set_has(struct text_set *s, const char *text);
void text_set_deinit(struct text_set *s);

#include "tests/unit/corpus/text_set.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

static char *normalise(const char *text)
{
    char *out = mem_strdup(text);
    char *w = out;
    if (out == NULL) {
        abort();
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (isalnum((unsigned char)*p)) {
            *w++ = (char)tolower((unsigned char)*p);
        }
    }
    *w = '\0';
    return out;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void text_set_add(struct text_set *s, const char *text)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 1024 : s->cap * 2;
        s->items = mem_realloc_array(s->items, s->cap, sizeof(*s->items));
        if (s->items == NULL) {
            abort();
        }
    }
    s->items[s->n++] = normalise(text);
    s->sorted = false;
}

bool text_set_has(struct text_set *s, const char *text)
{
    if (s->n == 0) {
        return false;
    }
    if (!s->sorted) {
        qsort(s->items, s->n, sizeof(*s->items), compare);
        s->sorted = true;
    }
    char *key = normalise(text);
    bool found = bsearch(&key, s->items, s->n, sizeof(*s->items), compare) != NULL;
    mem_free(key);
    return found;
}

void text_set_deinit(struct text_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->items[i]);
    }
    mem_free(s->items);
    *s = (struct text_set){0};
}

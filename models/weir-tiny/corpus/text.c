#include "models/weir-tiny/corpus/corpus.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum corpus_wordings wordings_in_use = CORPUS_WORDINGS_COMMON;

void corpus_set_wordings(enum corpus_wordings wordings)
{
    wordings_in_use = wordings;
}

enum corpus_wordings corpus_wordings(void)
{
    return wordings_in_use;
}

const char *phrases_pick(const struct phrases *p, struct rng *r, enum corpus_split split)
{
    if (split == CORPUS_HELDOUT && p->n_heldout > 0) {
        return p->heldout[rng_below(r, (uint32_t)p->n_heldout)];
    }
    return p->train[rng_below(r, (uint32_t)p->n_train)];
}

const char *phrases_pick_wide(const struct phrases *common, const struct more_phrases *more,
                              struct rng *r, enum corpus_split split)
{
    if (split == CORPUS_HELDOUT || wordings_in_use == CORPUS_WORDINGS_COMMON) {
        return phrases_pick(common, r, split);
    }
    size_t i = rng_below(r, (uint32_t)(common->n_train + more->n_train));
    return i < common->n_train ? common->train[i] : more->train[i - common->n_train];
}

bool corpus_chance(struct rng *r, unsigned percent)
{
    return rng_below(r, 100) < percent;
}

static void table_mistake(const char *what, const char *form)
{
    fprintf(stderr, "weir-tiny-corpus: %s in \"%s\"\n", what, form);
    exit(1);
}

/* The slot named by key[len]; *capital is set when the key is written with a capital. */
static const struct slot *find_slot(const char *key, size_t len, const struct slot *slots,
                                    size_t n_slots, bool *capital)
{
    for (size_t i = 0; i < n_slots; i++) {
        const char *name = slots[i].key;
        if (strlen(name) != len || len == 0 || strncmp(name + 1, key + 1, len - 1) != 0) {
            continue;
        }
        if (name[0] == key[0] || toupper((unsigned char)name[0]) == key[0]) {
            *capital = name[0] != key[0];
            return &slots[i];
        }
    }
    return NULL;
}

void corpus_fill(char *out, size_t size, const char *form, const struct slot *slots,
                 size_t n_slots)
{
    size_t len = 0;
    for (const char *p = form; *p != '\0';) {
        const char *text = p;
        size_t n = 1;
        bool capital = false;
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (end != NULL) {
            const struct slot *slot =
                find_slot(p + 1, (size_t)(end - p - 1), slots, n_slots, &capital);
            if (slot == NULL) {
                table_mistake("unknown slot", form);
                return;
            }
            text = slot->value;
            n = strlen(text);
            p = end + 1;
        } else {
            p++;
        }
        if (len + n >= size) {
            table_mistake("the result is too long", form);
            return;
        }
        memmove(out + len, text, n);
        if (capital && n > 0) {
            out[len] = (char)toupper((unsigned char)out[len]);
        }
        len += n;
    }
    out[len] = '\0';
}

void corpus_copy(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size) {
        table_mistake("the text is too long", text);
        return;
    }
    memmove(out, text, len + 1);
}

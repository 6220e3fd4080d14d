/* grammar.h: sentences drawn from lists and templates that stand in text files.
 *
 * A file is a run of blocks. Lines before the first block are a comment, empty lines do not
 * count, and every other line of a block is one entry.
 *
 *     @list weapon             entries that {weapon} stands for
 *     a knife
 *     @text violence weight=2  templates of sentences with these labels ("benign": with none)
 *     he has {weapon}( in his hand|)
 *
 * In an entry {name} is an entry of that list, and (a|b|) one of its parts; a group followed by
 * ? is there every second time. Whatever does not fit these forms stands for itself. `weight`
 * says how often a block is drawn from, 4 unless given.
 *
 * What a model is judged on it must not have been taught: each entry belongs to one of three
 * splits, chosen by a hash of its text, and a sentence is made of entries of one split alone.
 * Of the templates one in GRAMMAR_TEXT_PARTS is for each of the two splits that are not
 * training, of the entries of lists one in GRAMMAR_LIST_PARTS. Lists of fewer than
 * GRAMMAR_MIN_SPLIT entries are shared by all; templates never are. An entry that begins with +
 * is always training's: the commonest ways to say a thing have to be taught.
 *
 * Threads: none. Ownership: grammar_init takes nothing, grammar_deinit releases.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"

#define GRAMMAR_MIN_SPLIT  10
#define GRAMMAR_TEXT_PARTS 10
#define GRAMMAR_LIST_PARTS 14

enum grammar_split { GRAMMAR_TRAIN, GRAMMAR_DEV, GRAMMAR_HELDOUT, GRAMMAR_SPLITS };

struct grammar_block {
    char *head;     /* "weapon" of a list, "violence harassment" of templates */
    char **entries; /* (count) by split, those of training first */
    size_t count;
    size_t room;
    size_t ends[GRAMMAR_SPLITS]; /* entries[ends[s - 1], ends[s]) belong to split s */
    uint32_t weight;             /* of templates; 0: a list */
};

struct grammar {
    struct grammar_block *lists, *texts;
    size_t list_count, text_count;
};

void grammar_init(struct grammar *g);
void grammar_deinit(struct grammar *g);

/* Adds a file's blocks; errors name file and line. */
int grammar_read(struct grammar *g, const char *path, struct err *e);
/* After the last file: parts the entries, and finds every list that is named. */
int grammar_finish(struct grammar *g, struct err *e);

/* Appends an entry of a list, filled in. */
void grammar_draw_list(const struct grammar *g, const char *name, enum grammar_split split,
                       struct rng *r, struct buf *out);
/* Appends a sentence; returns its labels, "" if it has none. */
const char *grammar_draw_text(const struct grammar *g, enum grammar_split split, struct rng *r,
                              struct buf *out);

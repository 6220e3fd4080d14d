/* dirt.h: lines that do not belong into training text, planted with labels, to measure
 * `weir curate` against.
 *
 * A label says what a line is: "clean", "exact_duplicate", "near_duplicate.word", "spam",
 * "junk.markup", "other_language.de", "personal.email", "harmful.threat", "leak.question" ...
 * Duplicates are of lines written shortly before. A leak is a held-out question, in a
 * conversation. Wordings exist in two splits, as all of the corpus does: the rules of the
 * curator were written with the training ones in view, so it is the others that measure it;
 * some kinds of dirt ("junk.keyboard", "near_duplicate.order", "personal.address" ...) exist
 * in the held-out split alone.
 *
 * All of it is our own. Harmful lines threaten, insult and ask; nothing in them instructs. */
#pragma once

#include "models/weir-tiny/corpus/conversation.h"

struct dirt;

/* leak_seed and leak_items as of the held-out questions that are leaked. Ends the program when
 * out of memory. */
struct dirt *dirt_create(enum corpus_split split, uint64_t leak_seed, long leak_items);
void dirt_destroy(struct dirt *d);

/* Remembers what was written, to be repeated. */
void dirt_keep_conversation(struct dirt *d, const struct conversation *c);
void dirt_keep_text(struct dirt *d, const char *text);

/* Appends a line of any kind, with its label and without a newline. */
void dirt_write(struct dirt *d, struct rng *r, struct buf *line);

/* dataset.h: documents as token ids on disk, and the order in which training reads them.
 *
 * A token file (".tok") is, little-endian and without padding:
 *
 *     char     magic[8]           "WEIRTOK1"
 *     uint32   vocab              every id is below it
 *     uint32   n_docs             at least 1
 *     uint32   n_tokens           at least n_docs
 *     uint32   reserved           0
 *     uint32   tokens[n_tokens]   id in bits 0..30; bit 31 set: this one is learnt
 *     uint32   doc_ends[n_docs]   index after the last token of each document, rising
 *
 * A data set is one such file or several, read as if they were one, in the order in which they
 * are named; a folder stands for its .tok files by name.
 *
 * A document is what attention may see at once: a story, a conversation. The first token of a
 * document has nothing before it and is never predicted, whatever its bit says.
 *
 * Threads: none of this is shared; one thread reads batches.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/train/transformer.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define DATASET_LEARN 0x80000000u /* bit 31 of a stored token */

/* --- writing --- */

struct dataset_writer {
    uint32_t vocab;
    uint64_t n_tokens;
    uint64_t n_docs;
    uint64_t n_learn; /* tokens with the bit */
    struct buf tokens;
    struct buf ends;
};

void dataset_writer_init(struct dataset_writer *w, uint32_t vocab);
void dataset_writer_deinit(struct dataset_writer *w);
/* Copies a document of n > 0 tokens, each an id possibly with DATASET_LEARN. */
int dataset_writer_add(struct dataset_writer *w, const uint32_t *tokens, size_t n,
                       struct err *e);
/* Writes the file whole (atomically). */
int dataset_writer_finish(struct dataset_writer *w, const char *path, struct err *e);

/* --- reading --- */

struct dataset;

/* Maps and checks a file or the files of a folder. NULL with a message that names file and
 * field. */
struct dataset *dataset_open(const char *path, struct err *e);

/* The same of several files and folders; all have one size of vocabulary. part: "train" or
 * "heldout", which of a folder's files are meant where it has both (file_list.h), or NULL. */
struct dataset *dataset_open_all(const char *const *paths, size_t n_paths, const char *part,
                                 struct err *e);

void dataset_close(struct dataset *d); /* accepts NULL */
uint32_t dataset_vocab(const struct dataset *d);
uint64_t dataset_token_count(const struct dataset *d);
uint64_t dataset_doc_count(const struct dataset *d);

/* How many files, and which. */
size_t dataset_file_count(const struct dataset *d);
const char *dataset_file(const struct dataset *d, size_t index);

/* A hash of all tokens and ends in their order: other data has another. Not for secrets. */
uint64_t dataset_hash(const struct dataset *d);

/* --- order --- */

/* How far training has read; all that a checkpoint needs to go on. */
struct batcher_position {
    uint64_t epoch; /* times through everything */
    uint64_t next;  /* documents of this epoch already given out */
};

struct batcher;

/* Reads d (borrowed) for training in documents of at most max_doc tokens; longer ones are cut
 * into pieces, and what has no token to learn is left out. Each epoch has an order of its own,
 * which depends on the seed and the epoch alone. `shuffle` false gives the order of the file
 * (validation). */
struct batcher *batcher_create(const struct dataset *d, uint32_t max_doc, uint64_t seed,
                               bool shuffle, struct err *e);
void batcher_destroy(struct batcher *s);
struct batcher_position batcher_tell(const struct batcher *s);
int batcher_seek(struct batcher *s, struct batcher_position at, struct err *e);
uint64_t batcher_doc_count(const struct batcher *s); /* pieces in one epoch */

/* Puts a document of n tokens, with DATASET_LEARN at what is learnt, behind those in the slice,
 * which has room for it. */
void dataset_slice_add(struct train_slice *slice, const uint32_t *tokens, uint32_t n);
void dataset_slice_clear(struct train_slice *slice);

/* Fills the slices with the next documents, each into the emptiest slice, until one does not
 * fit (that one is first in the next batch); with `stop_at_end` also where the epoch ends.
 * Every capacity is at least max_doc. Returns the number of targets in all slices; 0 only at a
 * stop. */
uint32_t batcher_fill(struct batcher *s, struct train_slice *slices, size_t n_slices,
                      bool stop_at_end);

/* shards.h: a file of documents to token files of about so many tokens each.
 *
 * Documents are packed one after the other and never cut; a shard ends with the document that
 * reaches its size. The format is that of the trainer (models/train/dataset.h). */
#pragma once

#include "models/curate/output.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

struct shard {
    char name[64]; /* "train-00000.tok" */
    char sha256[HASH_HEX_LEN + 1];
    uint64_t documents, tokens, learnt, bytes;
};

struct shards {
    struct shard *items; /* (count) */
    size_t count;
};

void shards_deinit(struct shards *s);

/* Whether this build has them: they are the trainer's, which needs OpenBLAS. */
bool shards_are_built(void);

/* Adds the shards of FOLDER/NAME.jsonl as FOLDER/NAME-00000.tok and so on. */
int shards_write(struct shards *s, const char *vocab, const struct output *o, const char *name,
                 size_t shard_tokens, bool learn_answers, struct err *e);

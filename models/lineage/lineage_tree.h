/* lineage_tree.h: the chain behind a file, read from sidecars (lineage.h) and checked.
 *
 * From an artefact the walk goes to its parents, to theirs, and so on to what has no sidecar:
 * the sources. A parent is looked for where its child's sidecar says that it is; it counts as
 * known when its hash is the one that the child was made from. A chain can also be kept in one
 * file, lineage.json, beside a published model, without the files it tells of:
 *
 *     {"lineage": 1, "artefact": "model.gguf", "sha256": "...",
 *      "records": [sidecars, the artefact's first, each parent behind its children]}
 *
 * There the records are joined by hashes, and the files named in them are names only.
 *
 * Files on disk are untrusted: sizes, depth and number of records are bounded.
 *
 * Ownership: lineage_tree_open returns, lineage_tree_close releases, the rest is borrowed.
 * Threads: none. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define LINEAGE_FILE      "lineage.json"
#define LINEAGE_DEPTH_MAX 64
#define LINEAGE_NODES_MAX 10000

enum lineage_state {
    LINEAGE_HOLDS,    /* the file is there, and its hash and its record agree */
    LINEAGE_SOURCE,   /* the file is there as its child used it; no record of how it was made */
    LINEAGE_RECORDED, /* told of in a lineage.json; the file itself is not looked for */
    LINEAGE_MISSING,  /* no such file any more; its record may be there all the same */
    LINEAGE_CHANGED,  /* the file is another than that which was used or recorded */
    LINEAGE_BROKEN,   /* the record cannot be read */
};

struct lineage_node {
    char *role;                    /* "artefact" at the root */
    char *path;                    /* as it was looked for */
    char sha256[HASH_HEX_LEN + 1]; /* what the child, or the root's record, says */
    char found[HASH_HEX_LEN + 1];  /* of the file, where that is another; else "" */
    enum lineage_state state;
    char *problem;                 /* of LINEAGE_BROKEN, else NULL */
    const cJSON *record;           /* its sidecar, or NULL */
    bool is_repeated;              /* shown in full further up: no parents here */
    struct lineage_node **parents; /* (n_parents) */
    size_t n_parents;
};

struct lineage_book; /* the documents that records are borrowed from */

struct lineage_tree {
    struct lineage_node *root;
    struct lineage_book *book;
    size_t n_nodes;
    size_t counts[LINEAGE_BROKEN + 1]; /* nodes of each state, repeated ones left out */
};

/* `path`: an artefact with a sidecar, or with a lineage.json in its folder that tells of it, or
 * a lineage.json itself. NULL where there is neither (ERR_NOT_FOUND), or *e says what else. */
struct lineage_tree *lineage_tree_open(const char *path, struct err *e);
void lineage_tree_close(struct lineage_tree *t); /* accepts NULL */

/* Nothing is changed or broken. What is missing or a source breaks no chain. */
bool lineage_tree_holds(const struct lineage_tree *t);

const char *lineage_state_name(enum lineage_state state); /* "holds", "source" ... */

/* The tree as lines of text, and as JSON; appended. 0, or -1 as buf.h. */
int lineage_tree_print(const struct lineage_tree *t, struct buf *out);
cJSON *lineage_tree_json(const struct lineage_tree *t); /* NULL: no memory */

/* Writes the whole chain as a lineage.json for a copy of the artefact that has this name. */
int lineage_tree_write(const struct lineage_tree *t, const char *artefact, const char *path,
                       struct err *e);

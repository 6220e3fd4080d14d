/* model_list.h: what the loop knows of the versions in a repository. Internal to model_set.c.
 *
 * A look at the folder (registry/model_repo.h) is made on a worker; what it has found comes
 * over into this list between looks. model_set.c adds what became of a version.
 *
 * Threads: the loop's. */
#pragma once

#include "runtime/base/err.h"
#include "runtime/base/hash.h"
#include "runtime/registry/model_repo.h"

struct listed_version {
    char name[MODEL_REPO_NAME_MAX + 1];
    uint64_t still;                  /* stamp of the files that were looked at last */
    uint64_t bytes;                  /* that the model has on disk */
    struct model_manifest *manifest; /* as they say, or NULL */
    char sha256[HASH_HEX_LEN + 1];   /* of the model when it was loaded last, or "" */
    bool is_there;                   /* in the folder, at the last look */
    bool is_wanted;                  /* to be loaded when its turn comes */
    bool has_failed;
    bool may_pass; /* at the last attempt it was for want of memory, or files moved */
    char problem[ERR_MESSAGE_MAX]; /* why; "" */
    char *report;                  /* of the gate at the last attempt, JSON, or NULL */
};

struct model_list {
    struct listed_version *items; /* (count), oldest first */
    size_t count;
    size_t cap;
};

void model_list_deinit(struct model_list *l); /* also of zeroes */

/* NULL: there is none. */
struct listed_version *model_list_find(const struct model_list *l, const char *name);

/* A new one if there was none. NULL: no memory. */
struct listed_version *model_list_get(struct model_list *l, const char *name);

/* Pointers to others move. */
void model_list_remove(struct model_list *l, struct listed_version *v);

/* Takes over what the last look has found. Versions in another state than before are wanted,
 * or have failed. Those that are not in the folder stay, is_there false. */
void model_list_take(struct model_list *l, struct model_repo *repo);

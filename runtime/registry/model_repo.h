/* model_repo.h: a folder of models and their versions, ROOT/NAME/VERSION/, looked at again and
 * again.
 *
 * A version is a folder with a model file (or the files of a folder of safetensors) and, if its
 * owner has something to say about it, model.json (model_manifest.h). It appears when it stands
 * still: two looks in a row have found the same files, with the same sizes and times. Whoever
 * writes one can make it appear at once and whole by a rename.
 *
 * Names and versions are letters, digits, '.', '_' and '-', and begin with a letter or digit.
 * Other entries are passed over, and so is what begins with a dot or ends in .tmp, .part or ~.
 * Everything is resolved beneath the root by the kernel (openat2, Linux 5.6): a link that leads
 * out of the repository is an error of its version. The root itself is looked up by its path at
 * each look: another folder in its place is the repository from then on, and while there is
 * none, nothing changes.
 *
 * Threads: one at a time; model_repo_locate any, while the repository is open. Looks read
 * files and may block. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/registry/model_manifest.h"
#include "runtime/registry/version_name.h"

#define MODEL_REPO_NAME_MAX     VERSION_NAME_MAX
#define MODEL_REPO_MODELS_MAX   1000
#define MODEL_REPO_VERSIONS_MAX 1000
#define MODEL_REPO_FILES_MAX    4096 /* in a version's folder */

struct model_repo_version {
    char name[MODEL_REPO_NAME_MAX + 1];
    uint64_t seen;  /* stamp of all its files at the last look */
    uint64_t still; /* the stamp at which it stood still last; 0: it never has */
    uint64_t bytes; /* of the files that hold the model, at the last look */
    bool in_look;
    bool is_missed; /* at the last look */

    /* Of `still`. Whoever takes the manifest away sets it to NULL. */
    struct model_manifest *manifest; /* NULL: broken, or it never stood still */
    struct err problem;              /* why it is broken */
    bool is_news;                    /* since somebody set it to false */
};

struct model_repo {
    char root[PATH_MAX]; /* absolute */
    int fd;              /* of the root, or -1; what it leads to may change */
    char name[MODEL_REPO_NAME_MAX + 1];
    struct model_repo_version *versions; /* (count), oldest first */
    size_t count;
    size_t cap;
    bool
        is_moving; /* something was in another state than at the look before: look soon again */
};

/* name NULL: the only model that is there; with several the error lists them. On failure
 * nothing is left to close. */
int model_repo_open(struct model_repo *r, const char *root, const char *name, struct err *e);
/* Its root alone: names no model, for model_repo_list_models. */
int model_repo_open_root(struct model_repo *r, const char *root, struct err *e);
void model_repo_close(struct model_repo *r); /* also of zeroes with fd -1 */

/* The models of a repository, by the names of their folders, in the order of
 * model_version_compare. */
struct model_repo_names {
    char (*items)[MODEL_REPO_NAME_MAX + 1]; /* (count) */
    size_t count;
};

/* Those of the repository that `r` is open in; what it says itself is left alone. */
int model_repo_list_models(const struct model_repo *r, struct model_repo_names *out,
                           struct err *e);
void model_repo_names_deinit(struct model_repo_names *n); /* also of zeroes */

/* -1: the folder could not be read, and nothing counts as gone. What is wrong with a version is
 * that version's problem. */
int model_repo_look(struct model_repo *r, struct err *e);

#define MODEL_CARD_BYTES_MAX ((size_t)256 << 10)

/* The files of a version as they are now. */
struct model_files {
    struct model_manifest *manifest; /* owned; an empty one where there is no model.json */
    uint64_t stamp;
    char folder[PATH_MAX];        /* of the version */
    char path[PATH_MAX];          /* what model_open takes */
    char template_path[PATH_MAX]; /* or "" */
    char loss_path[PATH_MAX];     /* or "" */
    char card_path[PATH_MAX];     /* or "" */
};

/* On failure nothing is left to release. */
int model_repo_locate(const struct model_repo *r, const char *version, struct model_files *out,
                      struct err *e);
void model_files_deinit(struct model_files *f);

/* The stamp of a version's files as they are now; 0: they cannot be seen. */
uint64_t model_repo_stamp(const struct model_repo *r, const char *version);

/* Less than, equal to or greater than 0 as strcmp. Runs of digits are compared as numbers, all
 * else byte by byte: 2 < 10 < 10-rc1, v1.9 < v1.10. */
int model_version_compare(const char *a, const char *b);

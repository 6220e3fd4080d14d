/* served_adapters.h: the LoRA adapters that a generation serves beside its model, each a model
 * name of its own.
 *
 * Requests ask for "NAME", "NAME@VERSION" with the version of the base model, or
 * "NAME@sha256:PREFIX" with the hash of the adapter's file. They are loaded and checked with
 * the generation and live as long.
 *
 * Threads: loaded on any thread, before the generation serves; immutable afterwards. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"
#include "runtime/base/err.h"
#include "runtime/registry/model_repo.h"

#define SERVED_ADAPTERS_MAX 64

struct served_adapter {
    char name[MODEL_NAME_MAX];
    char id[MODEL_NAME_MAX * 2 + 16]; /* "NAME@VERSION", or with a part of the file's hash */
    struct llama_adapter *adapter;    /* owned */
};

/* All zero is none. */
struct served_adapters {
    struct served_adapter *items; /* (count) */
    size_t count;
};

/* Those of the command line, each "NAME=FILE" or "NAME=FILE@SCALE", and those that the
 * version's model.json names. */
struct adapters_wanted {
    const char *const *given; /* (n_given) */
    size_t n_given;
    bool any_base; /* those given may have been trained on another file of the model: a warning
                      in the log then. Of the version's, "any_base" of model.json says it */
    const struct model_files *files; /* or NULL */
};

/* On failure nothing is left. */
int served_adapters_load(struct served_adapters *s, const struct model *base,
                         const struct adapters_wanted *a, struct err *e);
void served_adapters_deinit(struct served_adapters *s);

/* Whether "NAME=FILE[@SCALE]" can be read; the file is not looked at. */
int served_adapters_check(const char *given, struct err *e);

/* The one that a request means, or NULL. */
const struct served_adapter *served_adapters_find(const struct served_adapters *s,
                                                  const char *base_version, const char *asked);

/* Whether the files of the command line are still those that were loaded. */
bool served_adapters_unchanged(const char *const *given, size_t n_given, const char *digest);

/* Their hashes in order, for that: 64 hex digits each. The caller's (mem_free); NULL: no
 * memory. */
char *served_adapters_digest(const struct served_adapters *s);

uint64_t served_adapters_bytes(const struct served_adapters *s);

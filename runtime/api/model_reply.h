/* model_reply.h: the versions of a model as JSON, for admin routes.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/api/admin_reply.h"
#include "runtime/api/traffic_reply.h"

/* Strings are borrowed. */
struct model_version_view {
    const char *name;
    const char *state; /* "serving", "kept", "available" ... */
    struct admin_labels labels;
    const char *problem; /* why it failed, or NULL */
    const char *report;  /* of the gate, as JSON, or NULL; shown by model_version_text alone */
    const char *sha256;  /* or NULL */
    const struct admin_model *loaded;      /* NULL: it is not */
    const struct model_manifest *manifest; /* or NULL */
};

/* A model of a repository. */
struct model_view {
    const char *name;
    bool is_default;
    const char *state;                   /* "serving", "loading", "available" ... */
    const char *problem;                 /* why it does not serve, or NULL */
    const struct admin_model *serving;   /* is_loaded false: none does */
    const struct traffic_view *traffic;  /* how requests are shared */
    struct model_version_view *versions; /* (n_versions), newest first */
    size_t n_versions;
    uint64_t memory_bytes; /* of all versions that are loaded */
    size_t waiting;        /* requests that wait for it to be loaded */
};

struct models_view {
    const struct model_view *models; /* (n), the default first */
    size_t n;
    uint64_t memory_bytes; /* of all that is loaded or leaving */
    uint64_t memory_limit; /* 0: what the machine has */
    uint64_t memory_left;  /* of the machine */
};

/* GET /admin/models of a server with a repository: the default model, how its requests
 * are shared and its versions, and all models. */
char *models_admin_text(const struct models_view *v, size_t *len);

/* POST /admin/models/{name}/unload; version "": all of them. */
char *model_unloaded_text(const char *model, const char *version, size_t *len);

/* GET /admin/models/{name}/versions/{version} */
char *model_version_text(const char *model, const struct model_version_view *v, size_t *len);

/* model_reply.h: the versions of a model as JSON, for admin routes.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <stddef.h>

#include "runtime/api/admin_reply.h"
#include "runtime/api/traffic_reply.h"

/* Strings are borrowed. */
struct model_version_view {
    const char *name;
    const char *state; /* "serving", "kept", "available" ... */
    struct admin_labels labels;
    const char *problem; /* why it failed, or NULL */
    const char *report;  /* of the gate, as JSON, or NULL; shown by model_version_text alone */
    const struct admin_model *loaded;      /* NULL: it is not */
    const struct model_manifest *manifest; /* or NULL */
};

/* GET /admin/models of a server with a repository: the model that serves, how requests are
 * shared and its versions. */
char *model_versions_text(const struct admin_model *serving, const struct traffic_view *traffic,
                          const struct model_version_view *versions, size_t n, size_t *len);

/* GET /admin/models/{name}/versions/{version} */
char *model_version_text(const char *model, const struct model_version_view *v, size_t *len);

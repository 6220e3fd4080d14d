/* model_labels.h: labels that an admin has moved while the server runs: name of a label ->
 * version of a model.
 *
 * They win over the labels of the manifests (model_manifest.h). A version that is gone keeps
 * its labels: whoever asks by one is told so, and is not handed another version.
 *
 * Threads: none; ownership: a plain value. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/registry/version_name.h"

#define MODEL_LABELS_MOVED_MAX 64

struct model_label {
    char label[VERSION_NAME_MAX + 1];
    char version[VERSION_NAME_MAX + 1];
};

struct model_labels {
    struct model_label items[MODEL_LABELS_MOVED_MAX]; /* (count), in the order they came */
    size_t count;
};

/* The version that has the label, or NULL. Borrowed until the labels change. */
const char *model_labels_find(const struct model_labels *l, const char *label);

/* version NULL: takes the label away, if it is there. ERR_INVALID, ERR_LIMIT; param "label" or
 * "version". */
int model_labels_set(struct model_labels *l, const char *label, const char *version,
                     struct err *e);

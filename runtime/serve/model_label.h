/* model_label.h: which version of a model a label means.
 *
 * Where an admin has moved a label, that counts (registry/model_labels.h); else what the owners
 * of versions wrote into model.json. A version's name comes before a label of the same name.
 *
 * Threads: the loop's. What is returned is borrowed until the loop goes on. */
#pragma once

#include "runtime/api/admin_reply.h"
#include "runtime/serve/model_set.h"

/* To a request: the newest of the loaded versions that have it, those last that are tried on a
 * share of the requests or as a shadow; else the newest that has not failed. So a new version
 * takes a label over when it can answer, one that is tried when it serves, and not before.
 * NULL: no version has it. */
const char *model_label_version(const struct model_set *set, const char *label);

/* The version that "name@label" means to a request; NULL: it is not of that form, or no version
 * has the label. */
const char *model_label_asked(const struct model_set *set, const char *asked);

/* To an admin, who may mean a version to be loaded: a version of that name, else the one where
 * the label was moved, else the newest that has it. NULL: there is none. */
const char *model_label_resolve(const struct model_set *set, const char *text);

/* The labels by which requests get this version. */
void model_label_list(const struct model_set *set, const char *version,
                      struct admin_labels *out);

/* manifest_fields.h: members of model.json, each read by name and checked. Internal to
 * runtime/registry.
 *
 * `field` is the member's whole name, "gate.golden[2].text": errors say it in the message and
 * in e->param. Strings that are read are borrowed from the JSON.
 *
 * Threads: any; nothing is kept. */
#pragma once

#include "runtime/registry/model_manifest.h"

#define MANIFEST_FIELD_MAX 96

typedef int manifest_reader(struct model_manifest *m, const cJSON *item, const char *field,
                            struct err *e);

struct manifest_member {
    const char *name;
    manifest_reader *read;
};

/* Each member by its reader; `prefix` ("gate.", "") stands before names, {0} at the end of
 * `members`. */
int manifest_read_object(struct model_manifest *m, const cJSON *object, const char *prefix,
                         const struct manifest_member *members, struct err *e);

/* The same for the value of `field`, which must be an object. */
int manifest_read_inner(struct model_manifest *m, const cJSON *item, const char *field,
                        const struct manifest_member *members, struct err *e);

int manifest_read_text(const cJSON *item, const char *field, const char **out, struct err *e);
/* A file of the version's own folder. What is half-written goes by other names. */
int manifest_read_file_name(const cJSON *item, const char *field, const char **out,
                            struct err *e);
int manifest_read_number(const cJSON *item, const char *field, double min, double max,
                         double *out, struct err *e);
int manifest_read_count(const cJSON *item, const char *field, int min, int max, int *out,
                        struct err *e);

/* That no later member has the same name. */
int manifest_check_unique(const cJSON *item, const char *field, struct err *e);

/* "FIELD" must be `wanted`: -1. */
int manifest_wrong(const char *field, const char *wanted, struct err *e);

__attribute__((format(printf, 2, 3))) void manifest_name_field(char out[MANIFEST_FIELD_MAX],
                                                               const char *format, ...);

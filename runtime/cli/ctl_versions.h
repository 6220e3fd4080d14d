/* ctl_versions.h: the commands under `weir ctl` that are the same for all things that have
 * versions: prompts and filter chains. Command-internal. */
#pragma once

#include "runtime/cli/ctl.h"

/* What they must know of the things. */
struct ctl_things {
    const char *path;    /* "/admin/prompts" */
    const char *list;    /* the field of a list: "profiles" */
    const char *kind;    /* in the audit: "prompt" */
    const char *content; /* the field that holds what is active: "prompt" */
    bool has_split;
    const char *const *version_header; /* of the table of versions, ends with NULL */
    const char *const *version_fields;
    /* The body that a file describes. NULL: *e says why. */
    cJSON *(*read_file)(const char *path, struct err *e);
    /* A version, or what is active; with its texts. */
    int (*print_version)(const cJSON *version, struct err *e);
};

/* list, show, versions, diff, activate, rollback, label, unlabel, delete, audit; for groups. */
extern const struct ctl_command ctl_versions_commands[];

/* A command of the groups' own tables: a new version out of a file. */
int ctl_versions_put(struct ctl *c, char **arguments, int n, struct err *e);

/* Sends `body`, which it takes, to c->path and prints what the thing is at then. NULL: there
 * was no memory for it. */
int ctl_versions_change(struct ctl *c, const char *method, cJSON *body, struct err *e);

/* Asks for c->path and prints a table of the objects in the answer's array `field`; columns
 * that are times are named so. */
int ctl_versions_rows(struct ctl *c, const char *field, const char *const *header,
                      const char *const *fields, struct err *e);

/* A body that says which version. NULL: no memory. */
cJSON *ctl_versions_body(const char *version);

/* Of at most 15 digits. */
bool ctl_versions_is_number(const char *text);

/* For read_file: a JSON object, as it is. */
cJSON *ctl_versions_parse(const char *text, size_t len, struct err *e);

/* Adds {"version": 3} or {"version": "stable"}; -1: no memory. */
int ctl_versions_add_version(cJSON *body, const char *version, struct err *e);

/* Asks to try something, and prints the answer by `print`. Takes the body; NULL: without. */
int ctl_versions_try(struct ctl *c, const char *name, cJSON *body,
                     void (*print)(const cJSON *answer), struct err *e);

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

int ctl_versions_list(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_show(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_versions(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_diff(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_put(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_activate(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_rollback(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_label(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_unlabel(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_split(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_delete(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_versions_audit(struct ctl *c, char **arguments, int n, struct err *e);

/* For read_file: a JSON object, as it is. */
cJSON *ctl_versions_parse(const char *text, size_t len, struct err *e);

/* Adds {"version": 3} or {"version": "stable"}; -1: no memory. */
int ctl_versions_add_version(cJSON *body, const char *version, struct err *e);

/* Asks to try something, and prints the answer by `print`. Takes the body; NULL: without. */
int ctl_versions_try(struct ctl *c, const char *name, cJSON *body,
                     void (*print)(const cJSON *answer), struct err *e);

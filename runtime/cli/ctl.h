/* ctl.h: what the commands under `weir ctl` share: options, the server, and how they ask it.
 * Command-internal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/cli/remote.h"

struct ctl_things;

struct ctl {
    const struct ctl_things *things; /* ctl_versions.h */
    struct remote remote;
    struct buf path;   /* of the next request */
    struct buf answer; /* of the last one */
    bool is_usage;     /* what failed is how the command was called */

    const char *url;
    const char *admin_key;
    const char *admin_key_file;
    const char *actor;
    bool json;
    const char *model; /* or NULL */
    const char *note;
    bool no_activate;
    long if_match; /* a revision, or -1 */
    long limit;
    const char *chain, *code, *verdict, *side, *request; /* of findings */
    long before;
    const char *kind; /* of audit rows */
    bool with_texts;
    const char *against; /* a chain's file */
    const char *texts;   /* a file of them */
    long stored;         /* how many of the server's, or 0 */
    bool show_text;
    long percent;                        /* of the requests, or 0 */
    const char *plan;                    /* of a canary, JSON */
    const char *prompts, *out, *api_key; /* of models diff */
    long n, parallel, max_tokens, show;
    double fail_above; /* percent; below 0: any */
    bool load;
    const char *user, *key, *answer_id; /* of feedback */
    bool pairs;
    const char *prompt, *from, *from_prompt; /* of drift */
    bool next;
};

struct ctl_command {
    const char *name;
    const char *arguments; /* "NAME [FROM [TO]]" */
    int min, max;          /* how many */
    const char *options;   /* those of its own, with spaces around each: " note if-match " */
    const char *summary;
    int (*run)(struct ctl *c, char **arguments, int n, struct err *e);
};

struct ctl_group {
    const char *name, *summary;
    /* Tables end with name == NULL. */
    const struct ctl_command *common;   /* that other groups have too */
    const struct ctl_command *commands; /* of its own */
    const struct ctl_things *things;
};

/* Runs the command that argv[1] names. The exit status. */
int ctl_run(const struct ctl_group *group, int argc, char **argv);

/* Runs the only command of a group, whose name is "". */
int ctl_run_only(const struct ctl_group *group, int argc, char **argv);

/* Sets *e to say that the command was called wrongly; returns -1. */
int ctl_usage(struct ctl *c, struct err *e, const char *message);

/* Starts a path: the first part as it is, then "/" and the others escaped; NULL ends them. A
 * query may be appended to c->path then. */
#define ctl_path(c, ...) ctl_path_of(c, (const char *const[]){__VA_ARGS__, NULL})
void ctl_path_of(struct ctl *c, const char *const *parts);

/* Appends `text` as a part of a path or a value in a query (RFC 3986 2.1). */
void ctl_escape(struct buf *path, const char *text);

/* One request to c->path; its answer is in c->answer. body: JSON, or NULL. */
int ctl_ask(struct ctl *c, const char *method, const char *body, struct err *e);

/* The same, with the answer as a tree, the caller's. NULL on failure. */
cJSON *ctl_ask_json(struct ctl *c, const char *method, const char *body, struct err *e);

/* Takes `body` and sends it. */
int ctl_send(struct ctl *c, const char *method, cJSON *body, struct err *e);

/* Writes c->answer to standard output as one line. */
void ctl_print_answer(const struct ctl *c);

/* The rows of the audit of c->kind (NULL: all), of the one name that there may be in
 * `arguments`; for commands. */
int ctl_audit_list(struct ctl *c, char **arguments, int n, struct err *e);

/* ctl_models_diff.c */
int ctl_models_diff(struct ctl *c, char **arguments, int n, struct err *e);

/* ctl_prompts.c, ctl_filters.c: the body that a file describes, for PUT. NULL: *e says why. */
cJSON *ctl_prompts_read(const char *path, struct err *e);
cJSON *ctl_filters_read(const char *path, struct err *e);

/* ctl_audit.c, ctl_drift.c, ctl_feedback.c, ctl_findings.c, ctl_fleet.c, ctl_models.c,
 * ctl_prompts.c, ctl_filters.c, ctl_server.c */
int ctl_audit(int argc, char **argv);
int ctl_drift(int argc, char **argv);
int ctl_feedback(int argc, char **argv);
int ctl_findings(int argc, char **argv);
int ctl_fleet(int argc, char **argv);
int ctl_models(int argc, char **argv);
int ctl_prompts(int argc, char **argv);
int ctl_filters(int argc, char **argv);
int ctl_server(int argc, char **argv);

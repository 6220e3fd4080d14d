/* ctl_models.h: what the commands of `weir ctl models` share. Command-internal. */
#pragma once

#include "runtime/cli/ctl.h"

/* Starts the path of the served model, .../NAME/PART or .../NAME/PART/VERSION (version may be
 * NULL): a server serves one. */
int ctl_models_path(struct ctl *c, const char *part, const char *version, struct err *e);

/* ctl_canary.c */
int ctl_models_canary(struct ctl *c, char **arguments, int n, struct err *e);

/* ctl_traffic.c */

/* The split and the shadow that are in force, a line each; nothing where there is none. */
void ctl_models_print_shares(const cJSON *root);
int ctl_models_split(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_models_label(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_models_shadow(struct ctl *c, char **arguments, int n, struct err *e);

/* ctl_models.h: what the commands of `weir ctl models` share. Command-internal. */
#pragma once

#include "runtime/cli/ctl.h"

/* Starts the path of the served model, .../NAME/PART or .../NAME/PART/VERSION (version may be
 * NULL): a server serves one. */
int ctl_models_path(struct ctl *c, const char *part, const char *version, struct err *e);

/* "NAME@VERSION" names the model as --model does; what is left is the version. */
const char *ctl_models_take_name(struct ctl *c, char *argument);

/* ctl_canary.c */
int ctl_models_canary(struct ctl *c, char **arguments, int n, struct err *e);

/* ctl_traffic.c */

int ctl_models_split(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_models_label(struct ctl *c, char **arguments, int n, struct err *e);
int ctl_models_shadow(struct ctl *c, char **arguments, int n, struct err *e);

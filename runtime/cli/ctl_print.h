/* ctl_print.h: answers of the admin routes for people to read, on standard output.
 * Command-internal. Fields that are missing are shown as missing. */
#pragma once

#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/cli/text_table.h"

/* A string field, "" when there is none. */
const char *ctl_text(const cJSON *object, const char *field);

/* A number, string, true, false or null as a cell; of a time as ctl_add_time. */
void ctl_add_cell(struct text_table *t, const cJSON *object, const char *field);
void ctl_add_time(struct text_table *t, const cJSON *object, const char *field);

/* "4: 10%" of a profile, as a cell. */
void ctl_add_split(struct text_table *t, const cJSON *profile);

/* What a profile or a chain is at, in one line. */
void ctl_print_profile(const cJSON *profile);

/* Of any version: which it is, and where it comes from. */
int ctl_print_origin(const cJSON *version, struct err *e);

/* A prompt's version with all that belongs to it; its text comes last. */
int ctl_print_version(const cJSON *version, struct err *e);

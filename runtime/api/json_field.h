/* json_field.h: reads the fields of a request's JSON object.
 *
 * A field that is absent and one that is null are the same: the default stays. What has another
 * type or lies outside its range is an error that names the field, in the message and in
 * err.param. Names are literals or outlive the call; err.param takes the first 63 bytes.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "runtime/base/err.h"

/* NULL when absent or null. */
const cJSON *json_field_get(const cJSON *object, const char *name);

/* Read into *out, which an absent field leaves as it is. */
int json_field_bool(const cJSON *object, const char *name, bool *out, struct err *e);
int json_field_number(const cJSON *object, const char *name, double min, double max,
                      double *out, struct err *e);
/* A number without a fraction. */
int json_field_integer(const cJSON *object, const char *name, double min, double max,
                       double *out, struct err *e);

/* Both fill *e and return -1. `"NAME" must be WANTED`: */
int json_field_wrong_type(const char *name, const char *wanted, struct err *e);
/* For what is understood but cannot be honoured; `why` continues "is not supported", or is "".
 */
int json_field_refuse(const char *name, const char *why, struct err *e);

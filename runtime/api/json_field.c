#include "runtime/api/json_field.h"

#include <math.h>

const cJSON *json_field_get(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

int json_field_wrong_type(const char *name, const char *wanted, struct err *e)
{
    return err_set_param(e, ERR_INVALID, name, "\"%s\" must be %s", name, wanted);
}

int json_field_bool(const cJSON *object, const char *name, bool *out, struct err *e)
{
    const cJSON *item = json_field_get(object, name);
    if (!item) {
        return 0;
    }
    if (!cJSON_IsBool(item)) {
        return json_field_wrong_type(name, "true or false", e);
    }
    *out = cJSON_IsTrue(item);
    return 0;
}

int json_field_number(const cJSON *object, const char *name, double min, double max,
                      double *out, struct err *e)
{
    const cJSON *item = json_field_get(object, name);
    if (!item) {
        return 0;
    }
    if (!cJSON_IsNumber(item)) {
        return json_field_wrong_type(name, "a number", e);
    }
    if (!(item->valuedouble >= min && item->valuedouble <= max)) {
        return err_set_param(e, ERR_INVALID, name, "\"%s\" is %g, %g to %g are allowed", name,
                             item->valuedouble, min, max);
    }
    *out = item->valuedouble;
    return 0;
}

int json_field_integer(const cJSON *object, const char *name, double min, double max,
                       double *out, struct err *e)
{
    if (json_field_number(object, name, min, max, out, e) != 0) {
        return -1;
    }
    return !json_field_get(object, name) || floor(*out) == *out
               ? 0
               : json_field_wrong_type(name, "a whole number", e);
}

int json_field_refuse(const char *name, const char *why, struct err *e)
{
    return err_set_param(e, ERR_UNSUPPORTED, name, "\"%s\" is not supported%s; leave it out",
                         name, why);
}

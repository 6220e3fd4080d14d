#include "runtime/registry/manifest_fields.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int manifest_wrong(const char *field, const char *wanted, struct err *e)
{
    return err_set_param(e, ERR_INVALID, field, "\"%s\" must be %s", field, wanted);
}

/* --- values --- */

int manifest_read_text(const cJSON *item, const char *field, const char **out, struct err *e)
{
    if (!cJSON_IsString(item)) {
        return manifest_wrong(field, "a string", e);
    }
    *out = item->valuestring;
    return 0;
}

int manifest_read_file_name(const cJSON *item, const char *field, const char **out,
                            struct err *e)
{
    if (manifest_read_text(item, field, out, e) != 0) {
        return -1;
    }
    bool fits = **out != '\0' && **out != '.' && !strchr(*out, '/') && strlen(*out) < NAME_MAX;
    return fits ? 0
                : manifest_wrong(
                      field, "the name of a file in the version's folder, without a path", e);
}

int manifest_read_number(const cJSON *item, const char *field, double min, double max,
                         double *out, struct err *e)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max)) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be a number from %g to %g",
                             field, min, max);
    }
    *out = item->valuedouble;
    return 0;
}

int manifest_read_count(const cJSON *item, const char *field, int min, int max, int *out,
                        struct err *e)
{
    double value = 0;
    if (!cJSON_IsNumber(item) || floor(item->valuedouble) != item->valuedouble ||
        manifest_read_number(item, field, min, max, &value, e) != 0) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be a whole number from %d to %d", field, min, max);
    }
    *out = (int)value;
    return 0;
}

/* --- objects --- */

void manifest_name_field(char out[MANIFEST_FIELD_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, MANIFEST_FIELD_MAX, format, args);
    va_end(args);
}

static const struct manifest_member *find_member(const struct manifest_member *members,
                                                 const char *name)
{
    for (; members->name; members++) {
        if (strcmp(members->name, name) == 0) {
            return members;
        }
    }
    return NULL;
}

int manifest_check_unique(const cJSON *item, const char *field, struct err *e)
{
    for (const cJSON *other = item->next; other; other = other->next) {
        if (strcmp(other->string, item->string) == 0) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" is there twice", field);
        }
    }
    return 0;
}

int manifest_read_object(struct model_manifest *m, const cJSON *object, const char *prefix,
                         const struct manifest_member *members, struct err *e)
{
    char field[MANIFEST_FIELD_MAX];
    for (const cJSON *item = object->child; item; item = item->next) {
        const struct manifest_member *member = find_member(members, item->string);
        manifest_name_field(field, "%s%.40s", prefix, item->string);
        if (!member) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
        }
        if (manifest_check_unique(item, field, e) != 0 ||
            member->read(m, item, field, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int manifest_read_inner(struct model_manifest *m, const cJSON *item, const char *field,
                        const struct manifest_member *members, struct err *e)
{
    char prefix[MANIFEST_FIELD_MAX];
    if (!cJSON_IsObject(item)) {
        return manifest_wrong(field, "an object", e);
    }
    manifest_name_field(prefix, "%s.", field);
    return manifest_read_object(m, item, prefix, members, e);
}

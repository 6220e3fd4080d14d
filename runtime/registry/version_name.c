#include "runtime/registry/version_name.h"

#include <stdbool.h>
#include <string.h>

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int version_name_check(const char *name, const char *param, struct err *e)
{
    size_t len = strlen(name);
    bool fits = len > 0 && len <= VERSION_NAME_MAX && is_alphanumeric(name[0]);
    for (size_t i = 0; fits && i < len; i++) {
        fits = is_alphanumeric(name[i]) || strchr("._-", name[i]);
    }
    return fits ? 0
                : err_set_param(e, ERR_INVALID, param,
                                "\"%s\" must be 1 to %d letters, digits, '.', '_' and '-', and "
                                "begin with a letter or digit",
                                param, VERSION_NAME_MAX);
}

static int check_length(const char *field, const char *text, size_t max, struct err *e)
{
    size_t len = strlen(text);
    return len <= max ? 0
                      : err_set_param(e, ERR_LIMIT, field,
                                      "\"%s\" has %zu bytes, at most %zu are allowed", field,
                                      len, max);
}

int version_line_check(const char *field, const char *text, size_t max, struct err *e)
{
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            return err_set_param(e, ERR_INVALID, field,
                                 "\"%s\" must be one line without control characters", field);
        }
    }
    return check_length(field, text, max, e);
}

int version_origin_check(const char *author, const char *note, struct err *e)
{
    return version_line_check("author", author, VERSION_AUTHOR_MAX, e) == 0
               ? check_length("note", note, VERSION_NOTE_MAX, e)
               : -1;
}

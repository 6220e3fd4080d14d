#include "models/template/jinja_builtin.h"

#include <string.h>

const struct jinja_builtin *jinja_builtin_find(const struct jinja_builtin *table,
                                               const char *name)
{
    for (; table->name; table++) {
        if (strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

static bool absent(const struct jinja_value *arg)
{
    return arg->type == JINJA_MISSING || arg->type == JINJA_NONE;
}

int jinja_arg_string(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                     const struct jinja_string **out)
{
    if (absent(arg)) {
        return 0;
    }
    if (arg->type != JINJA_STRING) {
        return jinja_fail(run, ERR_INVALID, "\"%s\" is to be a string, not %s", name,
                          jinja_type_name(arg->type));
    }
    *out = arg->string;
    return 0;
}

int jinja_arg_int(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                  int64_t *out)
{
    if (!absent(arg) && !jinja_as_int(arg, out)) {
        return jinja_fail(run, ERR_INVALID, "\"%s\" is to be an integer, not %s", name,
                          jinja_type_name(arg->type));
    }
    return 0;
}

bool jinja_arg_true(const struct jinja_value *arg, bool otherwise)
{
    return jinja_given(arg) ? jinja_is_true(arg) : otherwise;
}

#include "models/template/jinja_builtin.h"

#include <inttypes.h>
#include <stdio.h>
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

int jinja_arg_string(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                     const struct jinja_string **out)
{
    if (!jinja_given(arg)) {
        return 0;
    }
    if (arg->type != JINJA_STRING) {
        return jinja_fail(run, ERR_FORMAT, "%s must be a string, not %s", name,
                          jinja_type_name(arg->type));
    }
    *out = arg->string;
    return 0;
}

int jinja_arg_int(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                  int64_t *out)
{
    if (jinja_given(arg) && !jinja_as_int(arg, out)) {
        return jinja_fail(run, ERR_FORMAT, "%s must be an integer, not %s", name,
                          jinja_type_name(arg->type));
    }
    return 0;
}

bool jinja_arg_true(const struct jinja_value *arg, bool otherwise)
{
    return jinja_given(arg) ? jinja_is_true(arg) : otherwise;
}

static int self_string(struct jinja_run *run, const struct jinja_value *self, const char *what,
                       const struct jinja_string **out)
{
    return jinja_given(self) ? jinja_arg_string(run, self, what, out)
                             : jinja_fail(run, ERR_FORMAT, "%s needs a value", what);
}

/* --- text
 * ----------------------------------------------------------------------------------------- */

int jinja_append_value(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_value *value)
{
    char number[32];
    switch (value->type) {
    case JINJA_STRING:
        return jinja_builder_append(b, value->string);
    case JINJA_INT:
        snprintf(number, sizeof(number), "%" PRId64, value->integer);
        return jinja_builder_text(b, number);
    case JINJA_BOOL:
        return jinja_builder_text(b, value->boolean ? "True" : "False");
    case JINJA_NONE:
        return jinja_builder_text(b, "None");
    case JINJA_UNDEFINED:
        return 0;
    default:
        return jinja_fail(run, ERR_UNSUPPORTED, "a %s cannot be printed",
                          jinja_type_name(value->type));
    }
}

int jinja_to_string(struct jinja_run *run, const struct jinja_value *value,
                    struct jinja_string *out)
{
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    if (jinja_append_value(run, &b, value) != 0) {
        return -1;
    }
    *out = jinja_builder_string(&b);
    return 0;
}

int jinja_change_case(struct jinja_run *run, const struct jinja_string *s, enum jinja_case how,
                      struct jinja_value *out)
{
    /* ASCII letters only, and a letter keeps the trust of the byte it was. */
    char *data = jinja_alloc(run, s->len + 1, 1);
    if (!data || jinja_charge_bytes(run, s->len) != 0) {
        return -1;
    }
    bool at_start = true;
    for (size_t i = 0; i < s->len; i++) {
        char c = s->data[i];
        bool is_lower = c >= 'a' && c <= 'z';
        bool is_upper = c >= 'A' && c <= 'Z';
        bool to_upper =
            how == JINJA_UPPER || ((how == JINJA_CAPITALIZE || how == JINJA_TITLE) && at_start);
        data[i] = (char)(to_upper && is_lower ? c - 32 : !to_upper && is_upper ? c + 32 : c);
        at_start = how == JINJA_TITLE ? !(is_lower || is_upper) : false;
    }
    return jinja_string_value(run, (struct jinja_string){data, s->trust, s->len, s->trusted},
                              out);
}

/* --- filters
 * -------------------------------------------------------------------------------------- */

static int strip(struct jinja_run *run, const struct jinja_value *self,
                 const struct jinja_value *argv, enum jinja_side sides, struct jinja_value *out)
{
    const struct jinja_string *text = NULL;
    const struct jinja_string *chars = NULL;
    if (self_string(run, self, "strip", &text) != 0 ||
        jinja_arg_string(run, &argv[0], "chars", &chars) != 0) {
        return -1;
    }
    return jinja_string_value(run, jinja_string_strip(text, chars, sides), out);
}

static int filter_trim(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    return strip(run, self, argv, JINJA_BOTH, out);
}

static int filter_length(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    if (self->type == JINJA_STRING) {
        *out = jinja_int((int64_t)jinja_char_count(self->string->data, self->string->len));
        return jinja_charge_bytes(run, self->string->len);
    }
    struct jinja_list *list;
    if (jinja_to_list(run, self, &list) != 0) {
        return -1;
    }
    *out = jinja_int((int64_t)list->count);
    return 0;
}

static int filter_upper(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    const struct jinja_string *text = NULL;
    return self_string(run, self, "upper", &text) != 0
               ? -1
               : jinja_change_case(run, text, JINJA_UPPER, out);
}

static int filter_lower(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    const struct jinja_string *text = NULL;
    return self_string(run, self, "lower", &text) != 0
               ? -1
               : jinja_change_case(run, text, JINJA_LOWER, out);
}

static int filter_default(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    (void)run;
    bool empty_too = jinja_arg_true(&argv[1], false);
    bool absent = self->type == JINJA_UNDEFINED || (empty_too && !jinja_is_true(self));
    *out = absent ? argv[0] : *self;
    return 0;
}

static int filter_string(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    struct jinja_string text;
    return jinja_to_string(run, self, &text) != 0 ? -1 : jinja_string_value(run, text, out);
}

static int pick(struct jinja_run *run, const struct jinja_value *self, bool last,
                struct jinja_value *out)
{
    struct jinja_list *list;
    if (jinja_to_list(run, self, &list) != 0) {
        return -1;
    }
    *out = list->count == 0 ? jinja_undefined(last ? "last item" : "first item")
                            : list->items[last ? list->count - 1 : 0];
    return 0;
}

static int filter_first(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return pick(run, self, false, out);
}

static int filter_last(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return pick(run, self, true, out);
}

static int filter_join(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string nothing = JINJA_STR("");
    const struct jinja_string *separator = &nothing;
    struct jinja_list *list;
    struct jinja_builder b;
    if (jinja_arg_string(run, &argv[0], "separator", &separator) != 0 ||
        jinja_to_list(run, self, &list) != 0) {
        return -1;
    }
    jinja_builder_init(&b, run);
    for (size_t i = 0; i < list->count; i++) {
        if ((i > 0 && jinja_builder_append(&b, separator) != 0) ||
            jinja_append_value(run, &b, &list->items[i]) != 0) {
            return -1;
        }
    }
    return jinja_builder_value(&b, out);
}

const struct jinja_builtin *jinja_filter_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "trim", .call = filter_trim, .params = {"chars"}},
        {.name = "length", .call = filter_length},
        {.name = "count", .call = filter_length},
        {.name = "upper", .call = filter_upper},
        {.name = "lower", .call = filter_lower},
        {.name = "default",
         .call = filter_default,
         .params = {"default_value", "boolean"},
         .required = 1},
        {.name = "string", .call = filter_string},
        {.name = "first", .call = filter_first},
        {.name = "last", .call = filter_last},
        {.name = "join", .call = filter_join, .params = {"d"}},
        {0},
    };
    return jinja_builtin_find(table, name);
}

/* --- tests
 * ---------------------------------------------------------------------------------------- */

#define TYPE_TEST(function, condition)                                           \
    static int function(struct jinja_run *run, const struct jinja_value *self,   \
                        const struct jinja_value *argv, struct jinja_value *out) \
    {                                                                            \
        (void)run;                                                               \
        (void)argv;                                                              \
        *out = jinja_bool(condition);                                            \
        return 0;                                                                \
    }

TYPE_TEST(test_defined, self->type != JINJA_UNDEFINED)
TYPE_TEST(test_undefined, self->type == JINJA_UNDEFINED)
TYPE_TEST(test_none, self->type == JINJA_NONE)
TYPE_TEST(test_string, self->type == JINJA_STRING)
TYPE_TEST(test_mapping, self->type == JINJA_DICT)
TYPE_TEST(test_boolean, self->type == JINJA_BOOL)
TYPE_TEST(test_true, self->type == JINJA_BOOL && self->boolean)
TYPE_TEST(test_false, self->type == JINJA_BOOL && !self->boolean)
TYPE_TEST(test_integer, self->type == JINJA_INT)
TYPE_TEST(test_number, self->type == JINJA_INT || self->type == JINJA_FLOAT)
TYPE_TEST(test_sequence,
          jinja_is_sequence(self) || self->type == JINJA_STRING || self->type == JINJA_DICT)

const struct jinja_builtin *jinja_test_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "defined", .call = test_defined},
        {.name = "undefined", .call = test_undefined},
        {.name = "none", .call = test_none},
        {.name = "string", .call = test_string},
        {.name = "mapping", .call = test_mapping},
        {.name = "boolean", .call = test_boolean},
        {.name = "true", .call = test_true},
        {.name = "false", .call = test_false},
        {.name = "integer", .call = test_integer},
        {.name = "number", .call = test_number},
        {.name = "sequence", .call = test_sequence},
        {.name = "iterable", .call = test_sequence},
        {0},
    };
    return jinja_builtin_find(table, name);
}

/* --- methods
 * -------------------------------------------------------------------------------------- */

static int method_lstrip(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    return strip(run, self, argv, JINJA_LEFT, out);
}

static int method_rstrip(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    return strip(run, self, argv, JINJA_RIGHT, out);
}

static int method_startswith(struct jinja_run *run, const struct jinja_value *self,
                             const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *prefix = NULL;
    if (jinja_arg_string(run, &argv[0], "prefix", &prefix) != 0) {
        return -1;
    }
    *out = jinja_bool(jinja_string_starts_with(self->string, prefix));
    return 0;
}

static int method_endswith(struct jinja_run *run, const struct jinja_value *self,
                           const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *suffix = NULL;
    if (jinja_arg_string(run, &argv[0], "suffix", &suffix) != 0) {
        return -1;
    }
    *out = jinja_bool(jinja_string_ends_with(self->string, suffix));
    return 0;
}

const struct jinja_builtin *jinja_method_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "strip", .call = filter_trim, .params = {"chars"}, .self = JINJA_STRING},
        {.name = "lstrip", .call = method_lstrip, .params = {"chars"}, .self = JINJA_STRING},
        {.name = "rstrip", .call = method_rstrip, .params = {"chars"}, .self = JINJA_STRING},
        {.name = "upper", .call = filter_upper, .self = JINJA_STRING},
        {.name = "lower", .call = filter_lower, .self = JINJA_STRING},
        {.name = "startswith",
         .call = method_startswith,
         .params = {"prefix"},
         .required = 1,
         .self = JINJA_STRING},
        {.name = "endswith",
         .call = method_endswith,
         .params = {"suffix"},
         .required = 1,
         .self = JINJA_STRING},
        {0},
    };
    return jinja_builtin_find(table, name);
}

/* --- functions
 * ------------------------------------------------------------------------------------ */

static int function_raise(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    (void)out;
    const struct jinja_string *message = NULL;
    if (jinja_arg_string(run, &argv[0], "message", &message) != 0) {
        return -1;
    }
    return err_set_param(run->err, ERR_INVALID, "messages", "the chat template refuses: %.*s",
                         (int)(message->len < 300 ? message->len : 300), message->data);
}

static int function_range(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    int64_t from = 0;
    int64_t to = 0;
    bool has_two = jinja_given(&argv[1]);
    if (jinja_arg_int(run, &argv[0], "start", has_two ? &from : &to) != 0 ||
        jinja_arg_int(run, &argv[1], "stop", &to) != 0 ||
        jinja_list_new(run, JINJA_LIST, 0, out) != 0) {
        return -1;
    }
    if (to > from && (uint64_t)to - (uint64_t)from > JINJA_MAX_RANGE) {
        return jinja_fail(run, ERR_LIMIT, "range() makes more than %d items", JINJA_MAX_RANGE);
    }
    for (int64_t i = from; i < to; i++) {
        if (jinja_list_push(run, out->list, jinja_int(i)) != 0) {
            return -1;
        }
    }
    return jinja_charge_items(run, out->list->count);
}

static int function_namespace(struct jinja_run *run, const struct jinja_value *self,
                              const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    if (jinja_dict_new(run, JINJA_NAMESPACE, out) != 0) {
        return -1;
    }
    const struct jinja_dict *given = jinja_given(&argv[0]) ? argv[0].dict : NULL;
    for (size_t i = 0; given && i < given->count; i++) {
        if (jinja_dict_put(run, out->dict, given->pairs[i].key, given->pairs[i].value) != 0) {
            return -1;
        }
    }
    return 0;
}

const struct jinja_builtin *jinja_function_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "raise_exception",
         .call = function_raise,
         .params = {"message"},
         .required = 1},
        {.name = "range", .call = function_range, .params = {"start", "stop"}, .required = 1},
        {.name = "namespace",
         .call = function_namespace,
         .params = {"values"},
         .keywords = true},
        {0},
    };
    return jinja_builtin_find(table, name);
}

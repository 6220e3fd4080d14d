/* The functions that every template finds. */
#include <string.h>
#include <time.h>

#include "models/template/jinja_builtin.h"

/* The template's own refusal of a conversation, in its own words. */
static int function_raise_exception(struct jinja_run *run, const struct jinja_value *self,
                                    const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    (void)out;
    struct jinja_string message;
    if (jinja_to_string(run, &argv[0], &message) != 0) {
        return -1;
    }
    return err_set_param(run->err, ERR_INVALID, "messages", "the chat template refuses: %.*s",
                         (int)(message.len < ERR_MESSAGE_MAX ? message.len : ERR_MESSAGE_MAX),
                         message.data);
}

static int function_range(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    int64_t start = 0, stop = 0, step = 1;
    bool one = !jinja_given(&argv[1]);
    if (jinja_arg_int(run, &argv[0], "start", one ? &stop : &start) != 0 ||
        jinja_arg_int(run, &argv[1], "stop", &stop) != 0 ||
        jinja_arg_int(run, &argv[2], "step", &step) != 0) {
        return -1;
    }
    if (step == 0) {
        return jinja_fail(run, ERR_INVALID, "range() with a step of 0");
    }
    bool empty = step > 0 ? start >= stop : start <= stop;
    /* As unsigned numbers neither the distance nor the step overflows. */
    uint64_t distance =
        step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    uint64_t count = empty ? 0 : (distance - 1) / stride + 1;
    if (count > JINJA_MAX_RANGE) {
        return jinja_fail(run, ERR_LIMIT, "range() of more than %d numbers", JINJA_MAX_RANGE);
    }
    if (jinja_charge_items(run, count) != 0 ||
        jinja_list_new(run, JINJA_LIST, count, out) != 0) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        out->list->items[i] = jinja_int((int64_t)((uint64_t)start + i * (uint64_t)step));
    }
    out->list->count = count;
    return 0;
}

/* A new dict or namespace from a mapping (argv[1]) and keyword arguments (argv[0]). */
static int make_mapping(struct jinja_run *run, enum jinja_type type,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    if (jinja_given(&argv[1]) && argv[1].type != JINJA_DICT) {
        return jinja_fail(run, ERR_INVALID, "a %s cannot be made from %s",
                          jinja_type_name(type), jinja_type_name(argv[1].type));
    }
    if (jinja_dict_new(run, type, out) != 0) {
        return -1;
    }
    for (int from = 1; from >= 0; from--) {
        const struct jinja_dict *dict = jinja_given(&argv[from]) ? argv[from].dict : NULL;
        for (size_t i = 0; dict && i < dict->count; i++) {
            const struct jinja_pair *pair = &dict->pairs[i];
            if (jinja_charge(run, 1) != 0 ||
                jinja_dict_set(run, out->dict, &pair->key, pair->value) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int function_namespace(struct jinja_run *run, const struct jinja_value *self,
                              const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    return make_mapping(run, JINJA_NAMESPACE, argv, out);
}

static int function_dict(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    return make_mapping(run, JINJA_DICT, argv, out);
}

/* The time as UTC: a prompt does not depend on where the server stands. */
static int function_strftime_now(struct jinja_run *run, const struct jinja_value *self,
                                 const struct jinja_value *argv, struct jinja_value *out)
{
    (void)self;
    const struct jinja_string *format = NULL;
    char pattern[128];
    char text[512];
    time_t now = (time_t)run->unix_time;
    struct tm tm;
    if (jinja_arg_string(run, &argv[0], "format", &format) != 0) {
        return -1;
    }
    if (!format || format->len >= sizeof(pattern) || !gmtime_r(&now, &tm)) {
        return jinja_fail(run, ERR_INVALID, "strftime_now() takes a format of up to %zu bytes",
                          sizeof(pattern) - 1);
    }
    memcpy(pattern, format->data, format->len);
    pattern[format->len] = '\0';
    size_t len = strftime(text, sizeof(text), pattern, &tm);
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    return jinja_builder_bytes(&b, text, len) == 0 ? jinja_builder_value(&b, out) : -1;
}

const struct jinja_builtin *jinja_function_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "dict", .call = function_dict, .keywords = true},
        {.name = "namespace", .call = function_namespace, .keywords = true},
        {.name = "raise_exception",
         .call = function_raise_exception,
         .params = {"message"},
         .required = 1},
        {.name = "range",
         .call = function_range,
         .params = {"start", "stop", "step"},
         .required = 1},
        {.name = "strftime_now",
         .call = function_strftime_now,
         .params = {"format"},
         .required = 1},
        {0},
    };
    return jinja_builtin_find(table, name);
}

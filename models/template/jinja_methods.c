/* Methods of strings, dicts and lists, as Python has them. */
#include <string.h>

#include "models/template/jinja_builtin.h"

/* --- strings --- */

static int method_strip(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    return jinja_strip(run, self->string, &argv[0], JINJA_BOTH, out);
}

static int method_lstrip(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    return jinja_strip(run, self->string, &argv[0], JINJA_LEFT, out);
}

static int method_rstrip(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    return jinja_strip(run, self->string, &argv[0], JINJA_RIGHT, out);
}

static int method_upper(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_change_case(run, self->string, JINJA_UPPER, out);
}

static int method_lower(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_change_case(run, self->string, JINJA_LOWER, out);
}

static int method_capitalize(struct jinja_run *run, const struct jinja_value *self,
                             const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_change_case(run, self->string, JINJA_CAPITALIZE, out);
}

static int method_title(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_change_case(run, self->string, JINJA_TITLE_LETTERS, out);
}

static int method_replace(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    return jinja_replace(run, self->string, argv, out);
}

static int method_join(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    return jinja_join(run, &argv[0], self->string, NULL, out);
}

/* Whether a string begins or ends with another, or with one of several. */
static int affix(struct jinja_run *run, const struct jinja_value *self,
                 const struct jinja_value *arg,
                 bool (*has)(const struct jinja_string *, const struct jinja_string *),
                 struct jinja_value *out)
{
    const struct jinja_value *items = arg;
    size_t count = 1;
    if (jinja_is_sequence(arg)) {
        items = arg->list->items;
        count = arg->list->count;
    }
    bool found = false;
    for (size_t i = 0; !found && i < count; i++) {
        if (items[i].type != JINJA_STRING) {
            return jinja_fail(run, ERR_INVALID, "startswith and endswith take strings, not %s",
                              jinja_type_name(items[i].type));
        }
        if (jinja_charge(run, 1 + items[i].string->len / 64) != 0) {
            return -1;
        }
        found = has(self->string, items[i].string);
    }
    *out = jinja_bool(found);
    return 0;
}

static int method_startswith(struct jinja_run *run, const struct jinja_value *self,
                             const struct jinja_value *argv, struct jinja_value *out)
{
    return affix(run, self, &argv[0], jinja_string_starts_with, out);
}

static int method_endswith(struct jinja_run *run, const struct jinja_value *self,
                           const struct jinja_value *argv, struct jinja_value *out)
{
    return affix(run, self, &argv[0], jinja_string_ends_with, out);
}

static int push_part(struct jinja_run *run, struct jinja_list *parts,
                     const struct jinja_string *s, size_t from, size_t to)
{
    struct jinja_value part;
    if (jinja_charge(run, 1) != 0 ||
        jinja_string_value(run, jinja_string_slice(s, from, to), &part) != 0) {
        return -1;
    }
    return jinja_list_push(run, parts, part);
}

static int split_at(struct jinja_run *run, const struct jinja_string *s,
                    const struct jinja_string *separator, int64_t limit,
                    struct jinja_list *parts)
{
    size_t at = 0;
    for (;;) {
        size_t end = limit == 0 ? SIZE_MAX : jinja_string_find(s, at, separator);
        if (push_part(run, parts, s, at, end == SIZE_MAX ? s->len : end) != 0) {
            return -1;
        }
        if (end == SIZE_MAX) {
            return 0;
        }
        at = end + separator->len;
        limit -= limit > 0;
    }
}

/* The end of the run of white space (or of what is not) that begins at `at`. */
static size_t skip_run(const struct jinja_string *s, size_t at, bool space)
{
    while (at < s->len) {
        size_t n = jinja_char_len(s->data + at, s->len - at);
        if (jinja_char_is_space(s->data + at, n) != space) {
            break;
        }
        at += n;
    }
    return at;
}

/* Without a separator: the words; what is left over when the limit is reached keeps its spaces.
 */
static int split_words(struct jinja_run *run, const struct jinja_string *s, int64_t limit,
                       struct jinja_list *parts)
{
    size_t at = skip_run(s, 0, true);
    while (at < s->len) {
        size_t end = limit == 0 ? s->len : skip_run(s, at, false);
        if (push_part(run, parts, s, at, end) != 0) {
            return -1;
        }
        limit -= limit > 0;
        at = skip_run(s, end, true);
    }
    return 0;
}

static int method_split(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *separator = NULL;
    int64_t limit = -1;
    if (jinja_arg_string(run, &argv[0], "sep", &separator) != 0 ||
        jinja_arg_int(run, &argv[1], "maxsplit", &limit) != 0 ||
        jinja_charge_items(run, self->string->len) != 0 ||
        jinja_list_new(run, JINJA_LIST, 0, out) != 0) {
        return -1;
    }
    if (!separator) {
        return split_words(run, self->string, limit, out->list);
    }
    if (separator->len == 0) {
        return jinja_fail(run, ERR_INVALID, "split() with an empty separator");
    }
    return split_at(run, self->string, separator, limit, out->list);
}

/* The argument that a field names: "{}" the next, "{1}" the one of that number. */
static int field_argument(struct jinja_run *run, const char *name, size_t len, size_t *next,
                          const struct jinja_value *argv, const struct jinja_value **out)
{
    size_t at = *next;
    if (len == 0) {
        (*next)++;
    } else if (len == 1 && name[0] >= '0' && name[0] <= '9') {
        at = (size_t)(name[0] - '0');
    } else {
        return jinja_fail(run, ERR_UNSUPPORTED,
                          "format() with the field {%.*s}; {} and {0} are "
                          "supported",
                          len < 40 ? (int)len : 40, name);
    }
    if (at >= JINJA_MAX_PARAMS || !jinja_given(&argv[at])) {
        return jinja_fail(run, ERR_INVALID, "format() has no argument %zu", at);
    }
    *out = &argv[at];
    return 0;
}

static int append_slice(struct jinja_builder *b, const struct jinja_string *s, size_t from,
                        size_t to)
{
    const struct jinja_string part = jinja_string_slice(s, from, to);
    return jinja_builder_append(b, &part);
}

static int method_format(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *s = self->string;
    struct jinja_builder b;
    size_t next = 0, copied = 0;
    jinja_builder_init(&b, run);
    if (jinja_charge_bytes(run, s->len) != 0) {
        return -1;
    }
    for (size_t i = 0; i < s->len; i++) {
        char c = s->data[i];
        if (c != '{' && c != '}') {
            continue;
        }
        bool doubled = i + 1 < s->len && s->data[i + 1] == c;
        const char *end = doubled || c == '}' ? NULL : memchr(s->data + i, '}', s->len - i);
        if (!doubled && !end) {
            return jinja_fail(run, ERR_INVALID, "format() of a string with a single %c", c);
        }
        if (append_slice(&b, s, copied, doubled ? i + 1 : i) != 0) {
            return -1;
        }
        if (doubled) {
            i++;
        } else {
            const struct jinja_value *argument = NULL;
            const char *name = s->data + i + 1;
            if (field_argument(run, name, (size_t)(end - name), &next, argv, &argument) != 0 ||
                jinja_append_value(run, &b, argument) != 0) {
                return -1;
            }
            i = (size_t)(end - s->data);
        }
        copied = i + 1;
    }
    return append_slice(&b, s, copied, s->len) == 0 ? jinja_builder_value(&b, out) : -1;
}

/* --- dicts and lists --- */

static int method_get(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    struct jinja_value *found;
    if (jinja_dict_find(run, self->dict, &argv[0], &found) != 0) {
        return -1;
    }
    *out = found ? *found : jinja_given(&argv[1]) ? argv[1] : jinja_none();
    return 0;
}

static int method_items(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_dict_list(run, self->dict, JINJA_ITEMS, out);
}

static int method_keys(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_dict_list(run, self->dict, JINJA_KEYS, out);
}

static int method_values(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return jinja_dict_list(run, self->dict, JINJA_VALUES, out);
}

static int method_append(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    *out = jinja_none();
    return jinja_list_push(run, self->list, argv[0]);
}

/* The last item, or that at the index, taken out. */
static int method_pop(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    struct jinja_list *list = self->list;
    int64_t at = -1;
    if (jinja_arg_int(run, &argv[0], "index", &at) != 0) {
        return -1;
    }
    at += at < 0 ? (int64_t)list->count : 0;
    if (at < 0 || (uint64_t)at >= list->count) {
        return jinja_fail(run, ERR_INVALID, "pop() from a list of %zu items: no such index",
                          list->count);
    }
    *out = list->items[at];
    size_t behind = --list->count - (size_t)at;
    memmove(&list->items[at], &list->items[at + 1], behind * sizeof(list->items[0]));
    return jinja_charge_items(run, behind);
}

/* No name is a method of two types: which type a template's value will have is not known when
 * it is compiled. */
const struct jinja_builtin *jinja_method_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {"append", method_append, {"item"}, 1, JINJA_LIST, false},
        {"capitalize", method_capitalize, {NULL}, 0, JINJA_STRING, false},
        {"endswith", method_endswith, {"suffix"}, 1, JINJA_STRING, false},
        {"format", method_format, {"0", "1", "2", "3"}, 0, JINJA_STRING, false},
        {"get", method_get, {"key", "default"}, 1, JINJA_DICT, false},
        {"items", method_items, {NULL}, 0, JINJA_DICT, false},
        {"join", method_join, {"items"}, 1, JINJA_STRING, false},
        {"keys", method_keys, {NULL}, 0, JINJA_DICT, false},
        {"lower", method_lower, {NULL}, 0, JINJA_STRING, false},
        {"lstrip", method_lstrip, {"chars"}, 0, JINJA_STRING, false},
        {"pop", method_pop, {"index"}, 0, JINJA_LIST, false},
        {"replace", method_replace, {"old", "new", "count"}, 2, JINJA_STRING, false},
        {"rstrip", method_rstrip, {"chars"}, 0, JINJA_STRING, false},
        {"split", method_split, {"sep", "maxsplit"}, 0, JINJA_STRING, false},
        {"startswith", method_startswith, {"prefix"}, 1, JINJA_STRING, false},
        {"strip", method_strip, {"chars"}, 0, JINJA_STRING, false},
        {"title", method_title, {NULL}, 0, JINJA_STRING, false},
        {"upper", method_upper, {NULL}, 0, JINJA_STRING, false},
        {"values", method_values, {NULL}, 0, JINJA_DICT, false},
        {0},
    };
    return jinja_builtin_find(table, name);
}

#include "models/template/jinja_value.h"

#include <string.h>

#include "models/template/jinja_run.h"

const char *jinja_type_name(enum jinja_type type)
{
    static const char *const names[] = {
        [JINJA_MISSING] = "nothing", [JINJA_UNDEFINED] = "undefined", [JINJA_NONE] = "none",
        [JINJA_BOOL] = "boolean",    [JINJA_INT] = "integer",         [JINJA_FLOAT] = "float",
        [JINJA_STRING] = "string",   [JINJA_LIST] = "list",           [JINJA_TUPLE] = "tuple",
        [JINJA_DICT] = "dict",       [JINJA_NAMESPACE] = "namespace", [JINJA_LOOP] = "loop",
        [JINJA_MACRO] = "macro",     [JINJA_FUNCTION] = "function",
    };
    return names[type];
}

bool jinja_is_true(const struct jinja_value *v)
{
    switch (v->type) {
    case JINJA_MISSING:
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
        return v->boolean;
    case JINJA_INT:
        return v->integer != 0;
    case JINJA_FLOAT:
        return v->real != 0;
    case JINJA_STRING:
        return v->string->len > 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
        return v->list->count > 0;
    case JINJA_DICT:
        return v->dict->count > 0;
    case JINJA_NAMESPACE:
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_FUNCTION:
        return true;
    }
    return false;
}

bool jinja_is_sequence(const struct jinja_value *v)
{
    return v->type == JINJA_LIST || v->type == JINJA_TUPLE;
}

bool jinja_as_int(const struct jinja_value *v, int64_t *out)
{
    if (v->type == JINJA_INT) {
        *out = v->integer;
    } else if (v->type == JINJA_BOOL) {
        *out = v->boolean;
    } else {
        return false;
    }
    return true;
}

bool jinja_as_double(const struct jinja_value *v, double *out)
{
    int64_t i;
    if (v->type == JINJA_FLOAT) {
        *out = v->real;
    } else if (jinja_as_int(v, &i)) {
        *out = (double)i;
    } else {
        return false;
    }
    return true;
}

/* --- comparison --- */

static int lists_equal(struct jinja_run *run, const struct jinja_list *a,
                       const struct jinja_list *b, bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++) {
        if (jinja_charge(run, 1) != 0 ||
            jinja_equal(run, &a->items[i], &b->items[i], equal) != 0) {
            return -1;
        }
    }
    return 0;
}

/* In any order, as Python has it; dicts made in the same way have their keys in the same order,
 * so the key at the same place is tried first. */
static int dicts_equal(struct jinja_run *run, const struct jinja_dict *a,
                       const struct jinja_dict *b, bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++) {
        struct jinja_value *other = &b->pairs[i].value;
        if (jinja_charge(run, 1) != 0 ||
            jinja_equal(run, &a->pairs[i].key, &b->pairs[i].key, equal) != 0) {
            return -1;
        }
        if (!*equal && jinja_dict_find(run, b, &a->pairs[i].key, &other) != 0) {
            return -1;
        }
        *equal = other != NULL;
        if (other && jinja_equal(run, &a->pairs[i].value, other, equal) != 0) {
            return -1;
        }
    }
    return 0;
}

static int equal_of_type(struct jinja_run *run, const struct jinja_value *a,
                         const struct jinja_value *b, bool *equal)
{
    switch (a->type) {
    case JINJA_STRING:
        *equal = a->string == b->string || jinja_string_equal(a->string, b->string);
        return jinja_charge_bytes(run, a->string->len == b->string->len ? a->string->len : 0);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return lists_equal(run, a->list, b->list, equal);
    case JINJA_DICT:
        return dicts_equal(run, a->dict, b->dict, equal);
    case JINJA_NAMESPACE:
        *equal = a->dict == b->dict;
        return 0;
    case JINJA_LOOP:
        *equal = a->loop == b->loop;
        return 0;
    case JINJA_MACRO:
        *equal = a->macro == b->macro;
        return 0;
    case JINJA_FUNCTION:
        *equal = a->function == b->function;
        return 0;
    default:
        *equal = true; /* undefined and none; numbers are dealt with before */
        return 0;
    }
}

int jinja_equal(struct jinja_run *run, const struct jinja_value *a, const struct jinja_value *b,
                bool *equal)
{
    int64_t i, j;
    double x, y;
    if (jinja_as_int(a, &i) && jinja_as_int(b, &j)) {
        *equal = i == j;
        return 0;
    }
    if (jinja_as_double(a, &x) && jinja_as_double(b, &y)) {
        *equal = x == y;
        return 0;
    }
    if (a->type != b->type) {
        *equal = false;
        return 0;
    }
    if (jinja_enter(run) != 0) {
        return -1;
    }
    int rc = equal_of_type(run, a, b, equal);
    jinja_leave(run);
    return rc;
}

static int strings_compare(const struct jinja_string *a, const struct jinja_string *b)
{
    /* UTF-8 sorts as its code points do. */
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int lists_compare(struct jinja_run *run, const struct jinja_list *a,
                         const struct jinja_list *b, int *order)
{
    if (jinja_enter(run) != 0) {
        return -1;
    }
    int rc = 0;
    *order = 0;
    for (size_t i = 0; rc == 0 && *order == 0 && i < a->count && i < b->count; i++) {
        rc = jinja_compare(run, &a->items[i], &b->items[i], order);
    }
    if (*order == 0) {
        *order = (a->count > b->count) - (a->count < b->count);
    }
    jinja_leave(run);
    return rc;
}

int jinja_compare(struct jinja_run *run, const struct jinja_value *a,
                  const struct jinja_value *b, int *order)
{
    int64_t i, j;
    double x, y;
    if (jinja_charge(run, 1) != 0) {
        return -1;
    }
    if (jinja_as_int(a, &i) && jinja_as_int(b, &j)) {
        *order = (i > j) - (i < j);
        return 0;
    }
    if (jinja_as_double(a, &x) && jinja_as_double(b, &y)) {
        *order = (x > y) - (x < y);
        return 0;
    }
    if (a->type == JINJA_STRING && b->type == JINJA_STRING) {
        *order = strings_compare(a->string, b->string);
        return jinja_charge_bytes(run, a->string->len);
    }
    if (a->type == b->type && jinja_is_sequence(a)) {
        return lists_compare(run, a->list, b->list, order);
    }
    return jinja_fail(run, ERR_INVALID, "%s and %s cannot be ordered", jinja_type_name(a->type),
                      jinja_type_name(b->type));
}

static int list_contains(struct jinja_run *run, const struct jinja_list *list,
                         const struct jinja_value *needle, bool *found)
{
    *found = false;
    for (size_t i = 0; !*found && i < list->count; i++) {
        if (jinja_charge(run, 1) != 0 ||
            jinja_equal(run, &list->items[i], needle, found) != 0) {
            return -1;
        }
    }
    return 0;
}

int jinja_contains(struct jinja_run *run, const struct jinja_value *haystack,
                   const struct jinja_value *needle, bool *found)
{
    struct jinja_value *value;
    switch (haystack->type) {
    case JINJA_STRING:
        if (needle->type != JINJA_STRING) {
            break;
        }
        *found = needle->string->len == 0 ||
                 jinja_string_find(haystack->string, 0, needle->string) != SIZE_MAX;
        return jinja_charge_bytes(run, haystack->string->len);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return list_contains(run, haystack->list, needle, found);
    case JINJA_DICT:
        if (jinja_dict_find(run, haystack->dict, needle, &value) != 0) {
            return -1;
        }
        *found = value != NULL;
        return 0;
    case JINJA_UNDEFINED:
        *found = false;
        return 0;
    default:
        break;
    }
    return jinja_fail(run, ERR_INVALID, "%s cannot be looked for in %s",
                      jinja_type_name(needle->type), jinja_type_name(haystack->type));
}

/* --- lists --- */

int jinja_list_new(struct jinja_run *run, enum jinja_type type, size_t cap,
                   struct jinja_value *out)
{
    struct jinja_list *list = jinja_alloc(run, 1, sizeof(*list));
    if (!list) {
        return -1;
    }
    if (cap > 0 && !(list->items = jinja_alloc(run, cap, sizeof(*list->items)))) {
        return -1;
    }
    list->cap = cap;
    *out = (struct jinja_value){.type = type, .list = list};
    return 0;
}

int jinja_list_push(struct jinja_run *run, struct jinja_list *list, struct jinja_value item)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        struct jinja_value *items = jinja_alloc(run, cap, sizeof(*items));
        if (!items) {
            return -1;
        }
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof(*items));
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return 0;
}

static int characters_of(struct jinja_run *run, const struct jinja_string *s,
                         struct jinja_value *out)
{
    if (jinja_charge(run, s->len) != 0 ||
        jinja_list_new(run, JINJA_LIST, jinja_char_count(s->data, s->len), out) != 0) {
        return -1;
    }
    for (size_t i = 0; i < s->len;) {
        size_t n = jinja_char_len(s->data + i, s->len - i);
        struct jinja_value c;
        if (jinja_string_value(run, jinja_string_slice(s, i, i + n), &c) != 0 ||
            jinja_list_push(run, out->list, c) != 0) {
            return -1;
        }
        i += n;
    }
    return 0;
}

int jinja_to_list(struct jinja_run *run, const struct jinja_value *v, struct jinja_list **out)
{
    struct jinja_value made;
    switch (v->type) {
    case JINJA_LIST:
    case JINJA_TUPLE:
        *out = v->list;
        return 0;
    case JINJA_STRING:
        if (characters_of(run, v->string, &made) != 0) {
            return -1;
        }
        *out = made.list;
        return 0;
    case JINJA_UNDEFINED:
    case JINJA_DICT:
        break;
    default:
        return jinja_fail(run, ERR_INVALID, "%s is nothing to go through item by item",
                          jinja_type_name(v->type));
    }
    size_t count = v->type == JINJA_DICT ? v->dict->count : 0;
    if (jinja_charge_items(run, count) != 0 ||
        jinja_list_new(run, JINJA_LIST, count, &made) != 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        made.list->items[made.list->count++] = v->dict->pairs[i].key;
    }
    *out = made.list;
    return 0;
}

/* --- dicts --- */

int jinja_dict_new(struct jinja_run *run, enum jinja_type type, struct jinja_value *out)
{
    struct jinja_dict *dict = jinja_alloc(run, 1, sizeof(*dict));
    if (!dict) {
        return -1;
    }
    *out = (struct jinja_value){.type = type, .dict = dict};
    return 0;
}

int jinja_dict_put(struct jinja_run *run, struct jinja_dict *dict, struct jinja_value key,
                   struct jinja_value value)
{
    if (dict->count == dict->cap) {
        size_t cap = dict->cap ? dict->cap * 2 : 4;
        struct jinja_pair *pairs = jinja_alloc(run, cap, sizeof(*pairs));
        if (!pairs) {
            return -1;
        }
        if (dict->count > 0) {
            memcpy(pairs, dict->pairs, dict->count * sizeof(*pairs));
        }
        dict->pairs = pairs;
        dict->cap = cap;
    }
    dict->pairs[dict->count++] = (struct jinja_pair){key, value};
    return 0;
}

int jinja_dict_set(struct jinja_run *run, struct jinja_dict *dict,
                   const struct jinja_value *key, struct jinja_value value)
{
    struct jinja_value *old;
    if (jinja_dict_find(run, dict, key, &old) != 0) {
        return -1;
    }
    if (old) {
        *old = value;
        return 0;
    }
    return jinja_dict_put(run, dict, *key, value);
}

int jinja_dict_find(struct jinja_run *run, const struct jinja_dict *dict,
                    const struct jinja_value *key, struct jinja_value **out)
{
    *out = NULL;
    if (jinja_charge_items(run, dict->count) != 0) {
        return -1;
    }
    for (size_t i = 0; i < dict->count; i++) {
        bool same = false;
        if (jinja_equal(run, &dict->pairs[i].key, key, &same) != 0) {
            return -1;
        }
        if (same) {
            *out = &dict->pairs[i].value;
            return 0;
        }
    }
    return 0;
}

int jinja_dict_find_name(struct jinja_run *run, const struct jinja_dict *dict, const char *name,
                         struct jinja_value **out)
{
    struct jinja_string text = {.data = name, .len = strlen(name)};
    struct jinja_value key = {.type = JINJA_STRING, .string = &text};
    return jinja_dict_find(run, dict, &key, out);
}

/* Filters that take or give lists. Jinja's are lazy; these give lists, which templates cannot
 * tell apart but by printing them. */
#include <string.h>

#include "models/template/jinja_builtin.h"

/* --- helpers --- */

int jinja_dict_list(struct jinja_run *run, const struct jinja_dict *dict,
                    enum jinja_dict_part part, struct jinja_value *out)
{
    if (jinja_charge_items(run, dict->count) != 0 ||
        jinja_list_new(run, JINJA_LIST, dict->count, out) != 0) {
        return -1;
    }
    for (size_t i = 0; i < dict->count; i++) {
        const struct jinja_pair *pair = &dict->pairs[i];
        struct jinja_value item = part == JINJA_KEYS ? pair->key : pair->value;
        if (part == JINJA_ITEMS) {
            if (jinja_list_new(run, JINJA_TUPLE, 2, &item) != 0) {
                return -1;
            }
            item.list->items[0] = pair->key;
            item.list->items[1] = pair->value;
            item.list->count = 2;
        }
        if (jinja_list_push(run, out->list, item) != 0) {
            return -1;
        }
    }
    return 0;
}

/* A part of a path: a number is an index. */
static struct jinja_value path_key(const struct jinja_string *part)
{
    int64_t index = 0;
    size_t i = 0;
    for (; i < part->len && i < 9 && part->data[i] >= '0' && part->data[i] <= '9'; i++) {
        index = index * 10 + (part->data[i] - '0');
    }
    return i > 0 && i == part->len ? jinja_int(index)
                                   : (struct jinja_value){.type = JINJA_STRING, .string = part};
}

int jinja_get_path(struct jinja_run *run, const struct jinja_value *value,
                   const struct jinja_string *path, struct jinja_value *out)
{
    const struct jinja_string dot = JINJA_STR(".");
    *out = *value;
    for (size_t at = 0; at <= path->len;) {
        size_t end = jinja_string_find(path, at, &dot);
        struct jinja_string part =
            jinja_string_slice(path, at, end == SIZE_MAX ? path->len : end);
        struct jinja_value key = path_key(&part);
        struct jinja_value target = *out;
        if (jinja_charge(run, 1) != 0 || jinja_get_item(run, &target, &key, out) != 0) {
            return -1;
        }
        at += part.len + 1;
    }
    return 0;
}

/* An item, or what an attribute of it holds. */
static int item_or_path(struct jinja_run *run, const struct jinja_value *item,
                        const struct jinja_string *path, struct jinja_value *out)
{
    *out = *item;
    return path ? jinja_get_path(run, item, path, out) : 0;
}

int jinja_join(struct jinja_run *run, const struct jinja_value *items,
               const struct jinja_string *separator, const struct jinja_string *attribute,
               struct jinja_value *out)
{
    struct jinja_list *list;
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    if (jinja_to_list(run, items, &list) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        struct jinja_value item;
        if (jinja_charge(run, 1) != 0 ||
            item_or_path(run, &list->items[i], attribute, &item) != 0 ||
            (i > 0 && jinja_builder_append(&b, separator) != 0) ||
            jinja_append_value(run, &b, &item) != 0) {
            return -1;
        }
    }
    return jinja_builder_value(&b, out);
}

static int filter_join(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string nothing = JINJA_STR("");
    const struct jinja_string *separator = &nothing;
    const struct jinja_string *attribute = NULL;
    if (jinja_arg_string(run, &argv[0], "d", &separator) != 0 ||
        jinja_arg_string(run, &argv[1], "attribute", &attribute) != 0) {
        return -1;
    }
    return jinja_join(run, self, separator, attribute, out);
}

/* --- picking --- */

static int pick(struct jinja_run *run, const struct jinja_value *self, int64_t index,
                struct jinja_value *out)
{
    struct jinja_value key = jinja_int(index);
    struct jinja_value list = *self;
    if (self->type != JINJA_STRING) { /* whose characters need no list */
        list.type = JINJA_LIST;
        if (jinja_to_list(run, self, &list.list) != 0) {
            return -1;
        }
    }
    return jinja_get_item(run, &list, &key, out);
}

static int filter_first(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return pick(run, self, 0, out);
}

static int filter_last(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return pick(run, self, -1, out);
}

static int filter_list(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    struct jinja_list *list;
    if (jinja_to_list(run, self, &list) != 0 || jinja_charge_items(run, list->count) != 0 ||
        jinja_list_new(run, JINJA_LIST, list->count, out) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        out->list->items[out->list->count++] = list->items[i];
    }
    return 0;
}

static int filter_reverse(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    if (filter_list(run, self, argv, out) != 0) {
        return -1;
    }
    struct jinja_list *list = out->list;
    for (size_t i = 0; i < list->count / 2; i++) {
        struct jinja_value other = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = list->items[i];
        list->items[i] = other;
    }
    const struct jinja_string nothing = JINJA_STR("");
    struct jinja_value reversed = *out;
    return self->type == JINJA_STRING ? jinja_join(run, &reversed, &nothing, NULL, out) : 0;
}

static int filter_items(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    if (self->type == JINJA_UNDEFINED) {
        return jinja_list_new(run, JINJA_LIST, 0, out);
    }
    if (self->type != JINJA_DICT) {
        return jinja_fail(run, ERR_INVALID, "a %s has no items", jinja_type_name(self->type));
    }
    return jinja_dict_list(run, self->dict, JINJA_ITEMS, out);
}

/* --- map and select --- */

/* The filter or test that an argument names, which takes up to one argument of its own. */
static int find_named(struct jinja_run *run, const struct jinja_value *name, const char *what,
                      const struct jinja_builtin *(*find)(const char *name), bool has_argument,
                      const struct jinja_builtin **out)
{
    const struct jinja_string *text = NULL;
    if (jinja_arg_string(run, name, what, &text) != 0) {
        return -1;
    }
    *out = NULL;
    if (!text) {
        return 0;
    }
    char *copy = jinja_arena_strndup(run->arena, text->data, text->len, run->err);
    if (!copy) {
        return -1;
    }
    *out = find(copy);
    if (!*out) {
        return jinja_fail(run, ERR_UNSUPPORTED, "the %s \"%s\" is not supported", what, copy);
    }
    if ((*out)->required > (has_argument ? 1u : 0u)) {
        return jinja_fail(run, ERR_INVALID, "the %s \"%s\" needs more arguments", what, copy);
    }
    return 0;
}

/* What map, select and their like go through: what is false, as none is, counts as empty. */
static int items_of(struct jinja_run *run, const struct jinja_value *self,
                    struct jinja_list **out)
{
    if (jinja_is_true(self)) {
        return jinja_to_list(run, self, out);
    }
    struct jinja_value empty;
    int rc = jinja_list_new(run, JINJA_LIST, 0, &empty);
    *out = empty.list;
    return rc;
}

/* map(attribute="a.b", default=x) or map("filter", argument) */
static int filter_map(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_builtin *filter;
    const struct jinja_string *attribute = NULL;
    const struct jinja_value own[JINJA_MAX_PARAMS] = {argv[1]};
    struct jinja_list *list;
    if (find_named(run, &argv[0], "filter", jinja_filter_find, jinja_given(&argv[1]),
                   &filter) != 0 ||
        jinja_arg_string(run, &argv[2], "attribute", &attribute) != 0 ||
        items_of(run, self, &list) != 0 ||
        jinja_list_new(run, JINJA_LIST, list->count, out) != 0) {
        return -1;
    }
    if (!filter == !attribute) {
        return jinja_fail(run, ERR_INVALID, "map takes a filter or an attribute");
    }
    for (size_t i = 0; i < list->count; i++) {
        struct jinja_value item;
        if (jinja_charge(run, 1) != 0 ||
            item_or_path(run, &list->items[i], attribute, &item) != 0 ||
            (filter && filter->call(run, &list->items[i], own, &item) != 0)) {
            return -1;
        }
        if (item.type == JINJA_UNDEFINED && jinja_given(&argv[3])) {
            item = argv[3];
        }
        if (jinja_list_push(run, out->list, item) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The items, or those with an attribute, for which a test (truth, when none is named) holds or
 * not. argv: test, its argument. */
static int select_items(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_string *attribute, const struct jinja_value *argv,
                        bool wanted, struct jinja_value *out)
{
    const struct jinja_builtin *test;
    const struct jinja_value own[JINJA_MAX_PARAMS] = {argv[1]};
    struct jinja_list *list;
    if (find_named(run, &argv[0], "test", jinja_test_find, jinja_given(&argv[1]), &test) != 0 ||
        items_of(run, self, &list) != 0 || jinja_list_new(run, JINJA_LIST, 0, out) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        struct jinja_value item;
        if (jinja_charge(run, 1) != 0 ||
            item_or_path(run, &list->items[i], attribute, &item) != 0) {
            return -1;
        }
        struct jinja_value verdict = item;
        if (test && test->call(run, &item, own, &verdict) != 0) {
            return -1;
        }
        if (jinja_is_true(&verdict) == wanted &&
            jinja_list_push(run, out->list, list->items[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int filter_select(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    return select_items(run, self, NULL, argv, true, out);
}

static int filter_reject(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    return select_items(run, self, NULL, argv, false, out);
}

static int select_by_attribute(struct jinja_run *run, const struct jinja_value *self,
                               const struct jinja_value *argv, bool wanted,
                               struct jinja_value *out)
{
    const struct jinja_string *attribute = NULL;
    if (jinja_arg_string(run, &argv[0], "attribute", &attribute) != 0) {
        return -1;
    }
    return select_items(run, self, attribute, argv + 1, wanted, out);
}

static int filter_selectattr(struct jinja_run *run, const struct jinja_value *self,
                             const struct jinja_value *argv, struct jinja_value *out)
{
    return select_by_attribute(run, self, argv, true, out);
}

static int filter_rejectattr(struct jinja_run *run, const struct jinja_value *self,
                             const struct jinja_value *argv, struct jinja_value *out)
{
    return select_by_attribute(run, self, argv, false, out);
}

/* --- order --- */

/* Merges pairs[from, middle) and pairs[middle, to) into `into`. */
static int merge(struct jinja_run *run, const struct jinja_pair *pairs, size_t from,
                 size_t middle, size_t to, bool reverse, struct jinja_pair *into)
{
    size_t left = from, right = middle;
    for (size_t i = from; i < to; i++) {
        int order = left == middle ? 1 : -1;
        if (left < middle && right < to) {
            if (jinja_compare(run, &pairs[left].key, &pairs[right].key, &order) != 0) {
                return -1;
            }
            order = reverse ? -order : order;
        }
        into[i] = pairs[order > 0 ? right++ : left++];
    }
    return 0;
}

int jinja_sort(struct jinja_run *run, struct jinja_pair *pairs, size_t count, bool reverse)
{
    struct jinja_pair *merged = jinja_alloc(run, count, sizeof(*merged));
    if (!merged) {
        return -1;
    }
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t from = 0; from < count; from += 2 * width) {
            size_t middle = from + width < count ? from + width : count;
            size_t to = middle + width < count ? middle + width : count;
            if (merge(run, pairs, from, middle, to, reverse, merged) != 0) {
                return -1;
            }
        }
        memcpy(pairs, merged, count * sizeof(*pairs));
    }
    return 0;
}

/* The key to compare an item by: strings in small letters unless case matters. */
static int order_key(struct jinja_run *run, const struct jinja_value *item,
                     const struct jinja_string *attribute, bool case_sensitive,
                     struct jinja_value *out)
{
    if (jinja_charge(run, 1) != 0 || item_or_path(run, item, attribute, out) != 0) {
        return -1;
    }
    struct jinja_value value = *out;
    return value.type == JINJA_STRING && !case_sensitive
               ? jinja_change_case(run, value.string, JINJA_LOWER, out)
               : 0;
}

/* argv: reverse, case_sensitive, attribute */
static int filter_sort(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *attribute = NULL;
    if (jinja_arg_string(run, &argv[2], "attribute", &attribute) != 0 ||
        filter_list(run, self, argv, out) != 0) {
        return -1;
    }
    struct jinja_list *list = out->list;
    struct jinja_pair *pairs = jinja_alloc(run, list->count, sizeof(*pairs));
    if (!pairs) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        pairs[i].value = list->items[i];
        if (order_key(run, &list->items[i], attribute, jinja_arg_true(&argv[1], false),
                      &pairs[i].key) != 0) {
            return -1;
        }
    }
    if (jinja_sort(run, pairs, list->count, jinja_arg_true(&argv[0], false)) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = pairs[i].value;
    }
    return 0;
}

/* The first of the least items, or of the greatest. argv: case_sensitive, attribute */
static int extreme(struct jinja_run *run, const struct jinja_value *self,
                   const struct jinja_value *argv, int wanted, struct jinja_value *out)
{
    const struct jinja_string *attribute = NULL;
    struct jinja_list *list;
    struct jinja_value best_key = jinja_none();
    if (jinja_arg_string(run, &argv[1], "attribute", &attribute) != 0 ||
        jinja_to_list(run, self, &list) != 0) {
        return -1;
    }
    *out = jinja_undefined("an item of an empty list");
    for (size_t i = 0; i < list->count; i++) {
        struct jinja_value key;
        int order = wanted;
        if (order_key(run, &list->items[i], attribute, jinja_arg_true(&argv[0], false), &key) !=
                0 ||
            (i > 0 && jinja_compare(run, &key, &best_key, &order) != 0)) {
            return -1;
        }
        if (order * wanted > 0) {
            best_key = key;
            *out = list->items[i];
        }
    }
    return 0;
}

static int filter_min(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    return extreme(run, self, argv, -1, out);
}

static int filter_max(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    return extreme(run, self, argv, 1, out);
}

/* argv: case_sensitive, by, reverse */
static int filter_dictsort(struct jinja_run *run, const struct jinja_value *self,
                           const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *by = NULL;
    struct jinja_value items;
    if (jinja_arg_string(run, &argv[1], "by", &by) != 0 ||
        filter_items(run, self, argv, &items) != 0) {
        return -1;
    }
    /* The key is the first of each item's two, the value the second. */
    const struct jinja_string place =
        by && jinja_string_is(by, "value") ? JINJA_STR("1") : JINJA_STR("0");
    const struct jinja_value sort_argv[JINJA_MAX_PARAMS] = {
        argv[2], argv[0], {.type = JINJA_STRING, .string = &place}};
    return filter_sort(run, &items, sort_argv, out);
}

/* argv: case_sensitive, attribute */
static int filter_unique(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *attribute = NULL;
    struct jinja_list *list;
    struct jinja_value seen;
    if (jinja_arg_string(run, &argv[1], "attribute", &attribute) != 0 ||
        jinja_to_list(run, self, &list) != 0 || jinja_list_new(run, JINJA_LIST, 0, out) != 0 ||
        jinja_list_new(run, JINJA_LIST, 0, &seen) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        struct jinja_value key;
        bool found;
        if (order_key(run, &list->items[i], attribute, jinja_arg_true(&argv[0], false), &key) !=
                0 ||
            jinja_contains(run, &seen, &key, &found) != 0) {
            return -1;
        }
        if (!found && (jinja_list_push(run, seen.list, key) != 0 ||
                       jinja_list_push(run, out->list, list->items[i]) != 0)) {
            return -1;
        }
    }
    return 0;
}

const struct jinja_builtin jinja_list_filters[] = {
    {.name = "dictsort",
     .call = filter_dictsort,
     .params = {"case_sensitive", "by", "reverse"}},
    {.name = "first", .call = filter_first},
    {.name = "items", .call = filter_items},
    {.name = "join", .call = filter_join, .params = {"d", "attribute"}},
    {.name = "last", .call = filter_last},
    {.name = "list", .call = filter_list},
    {.name = "map", .call = filter_map, .params = {"name", "argument", "attribute", "default"}},
    {.name = "max", .call = filter_max, .params = {"case_sensitive", "attribute"}},
    {.name = "min", .call = filter_min, .params = {"case_sensitive", "attribute"}},
    {.name = "reject", .call = filter_reject, .params = {"name", "argument"}},
    {.name = "rejectattr",
     .call = filter_rejectattr,
     .params = {"attribute", "name", "argument"},
     .required = 1},
    {.name = "reverse", .call = filter_reverse},
    {.name = "select", .call = filter_select, .params = {"name", "argument"}},
    {.name = "selectattr",
     .call = filter_selectattr,
     .params = {"attribute", "name", "argument"},
     .required = 1},
    {.name = "sort", .call = filter_sort, .params = {"reverse", "case_sensitive", "attribute"}},
    {.name = "unique", .call = filter_unique, .params = {"case_sensitive", "attribute"}},
    {0},
};

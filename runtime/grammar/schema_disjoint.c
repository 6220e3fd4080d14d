/* Whether two branches of a oneOf can meet. "Disjoint" is proved or not claimed. */
#include "runtime/grammar/schema_object.h"

#define DEPTH_MAX 8

static bool has_listed(const struct shape *x)
{
    for (size_t i = 0; i < x->parts.n; i++) {
        if (schema_get(x->parts.nodes[i], "enum") || schema_get(x->parts.nodes[i], "const")) {
            return true;
        }
    }
    return false;
}

/* One of the values that a part of x lists: whether none of those that x has are valid under y.
 */
static int listed_disjoint(struct schema *s, const struct shape *x, const struct shape *y)
{
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *constant = schema_get(x->parts.nodes[i], "const");
        const cJSON *listed = schema_get(x->parts.nodes[i], "enum");
        const cJSON *value = constant ? constant : listed ? listed->child : NULL;
        if (!constant && !listed) {
            continue;
        }
        for (; value; value = constant ? NULL : value->next) {
            const int in_x = schema_valid(s, value, &x->parts);
            const int in_y = in_x == 1 ? schema_valid(s, value, &y->parts) : in_x;
            if (in_y != 0) {
                return in_y < 0 ? -1 : 0;
            }
        }
        return 1;
    }
    return 0;
}

static bool numbers_disjoint(const struct shape *x, const struct shape *y)
{
    const struct number_bounds a = shape_bounds(x), b = shape_bounds(y);
    return a.hi < b.lo || b.hi < a.lo || (a.hi == b.lo && (a.hi_exclusive || b.lo_exclusive)) ||
           (b.hi == a.lo && (b.hi_exclusive || a.lo_exclusive));
}

static int strings_disjoint(struct schema *s, const struct shape *x, const struct shape *y)
{
    struct text_dfa a, b = {0}, both = {0};
    bool in_a, in_b = false;
    int rc = schema_string_set(s, x, &a, &in_a);
    rc = rc == 0 ? schema_string_set(s, y, &b, &in_b) : -1;
    if (rc == 0 && in_a && in_b) {
        rc = text_dfa_combine(&both, &a, &b, TEXT_DFA_AND, &s->budget, s->e);
        rc = rc == 0 ? text_dfa_is_empty(&both) : -1;
    }
    text_dfa_deinit(&a);
    text_dfa_deinit(&b);
    text_dfa_deinit(&both);
    return rc;
}

static bool arrays_disjoint(const struct shape *x, const struct shape *y)
{
    return shape_count(x, "minItems", true, 0) >
               shape_count(y, "maxItems", false, SYNTAX_UNBOUNDED) ||
           shape_count(y, "minItems", true, 0) >
               shape_count(x, "maxItems", false, SYNTAX_UNBOUNDED);
}

/* All shapes of one set against all of the other. */
static int sets_disjoint(struct schema *s, const struct node_list *a, const struct node_list *b,
                         int depth)
{
    struct shape_list x = {0}, y = {0};
    int rc = schema_expand(s, a, &x);
    rc = rc == 0 ? schema_expand(s, b, &y) : -1;
    rc = rc == 0 ? 1 : -1;
    for (size_t i = 0; i < x.n && rc == 1; i++) {
        for (size_t k = 0; k < y.n && rc == 1; k++) {
            rc = schema_disjoint(s, &x.shapes[i], &y.shapes[k], depth + 1);
        }
    }
    shape_list_deinit(&x);
    shape_list_deinit(&y);
    return rc;
}

/* Whether the property alone keeps every object that is written for x out of y. */
static int property_decides(struct schema *s, const struct shape *x, const struct shape *y,
                            const char *name, bool in_x, bool in_y, int depth)
{
    struct node_list a = {0}, b = {0};
    bool allowed_x, allowed_y;
    int rc = shape_property(s, x, name, &a, &allowed_x);
    rc = rc == 0 ? shape_property(s, y, name, &b, &allowed_y) : -1;
    if (rc == 0) {
        rc = (in_x || in_y) && (!allowed_x || !allowed_y ? true : false);
        if (rc == 0 && (in_x || in_y)) {
            rc = sets_disjoint(s, &a, &b, depth);
        }
    }
    node_list_deinit(&a);
    node_list_deinit(&b);
    return rc;
}

/* Objects of x have only the properties of its plan when that is not open. So y is excluded by
 * a property that it requires and x does not write; or that one of them requires, where no
 * value is valid under both. */
static int objects_disjoint(struct schema *s, const struct shape *x, const struct shape *y,
                            int depth)
{
    struct object_plan in_x = {0}, in_y = {0};
    bool patterns = false;
    int rc = object_plan_make(s, x, &in_x);
    rc = rc == 0 ? object_plan_make(s, y, &in_y) : -1;
    for (size_t i = 0; i < x->parts.n; i++) {
        patterns |= schema_get(x->parts.nodes[i], "patternProperties") != NULL;
    }
    for (size_t i = 0; i < in_y.n && rc == 0; i++) {
        rc = in_y.properties[i].required && !in_x.open && !patterns &&
             !object_plan_find(&in_x, in_y.properties[i].name);
    }
    for (size_t i = 0; i < in_x.n && rc == 0; i++) {
        const char *name = in_x.properties[i].name;
        const struct property *other = object_plan_find(&in_y, name);
        rc = property_decides(s, x, y, name, in_x.properties[i].required,
                              other && other->required, depth);
    }
    object_plan_deinit(&in_x);
    object_plan_deinit(&in_y);
    return rc;
}

int schema_disjoint(struct schema *s, const struct shape *x, const struct shape *y, int depth)
{
    unsigned common = x->types & y->types;
    int rc = 1;
    if (common == 0) {
        return 1;
    }
    if (depth > DEPTH_MAX ||
        (common & (TYPE_NULL | TYPE_BOOLEAN) && !has_listed(x) && !has_listed(y))) {
        return 0;
    }
    if (has_listed(x)) {
        return listed_disjoint(s, x, y);
    }
    if (has_listed(y)) {
        return listed_disjoint(s, y, x);
    }
    if (rc == 1 && (common & TYPE_NUMBER)) {
        rc = numbers_disjoint(x, y);
    }
    if (rc == 1 && (common & TYPE_STRING)) {
        rc = strings_disjoint(s, x, y);
    }
    if (rc == 1 && (common & TYPE_ARRAY)) {
        rc = arrays_disjoint(x, y);
    }
    if (rc == 1 && (common & TYPE_OBJECT)) {
        rc = objects_disjoint(s, x, y, depth);
    }
    return rc;
}

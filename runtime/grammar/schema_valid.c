/* Whether a value is valid under a schema: to choose among enum and const, and to tell branches
 * of a oneOf apart. Knows the keywords that are translated, no others. */
#include <math.h>
#include <string.h>

#include "runtime/grammar/schema.h"

#define DEPTH_MAX 128

static int valid(struct schema *s, const cJSON *value, const cJSON *schema, int depth);

static uint32_t count_children(const cJSON *value)
{
    uint32_t n = 0;
    for (const cJSON *child = value->child; child; child = child->next) {
        n++;
    }
    return n;
}

static uint32_t count_chars(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++) {
        n += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return n;
}

static bool in_counts(const cJSON *schema, const char *min, const char *max, uint32_t n)
{
    const cJSON *lo = schema_get(schema, min), *hi = schema_get(schema, max);
    return (!lo || n >= lo->valuedouble) && (!hi || n <= hi->valuedouble);
}

static unsigned type_of(const cJSON *value)
{
    return cJSON_IsNull(value)                               ? TYPE_NULL
           : cJSON_IsBool(value)                             ? TYPE_BOOLEAN
           : cJSON_IsString(value)                           ? TYPE_STRING
           : cJSON_IsArray(value)                            ? TYPE_ARRAY
           : cJSON_IsObject(value)                           ? TYPE_OBJECT
           : value->valuedouble == floor(value->valuedouble) ? TYPE_INTEGER
                                                             : TYPE_FRACTION;
}

static bool is_listed(const cJSON *value, const cJSON *list)
{
    for (const cJSON *x = list->child; x; x = x->next) {
        if (cJSON_Compare(value, x, true)) {
            return true;
        }
    }
    return false;
}

static bool valid_number(const cJSON *value, const cJSON *schema)
{
    struct shape x = {.parts = {.nodes = &schema, .n = 1}};
    const struct number_bounds b = shape_bounds(&x);
    const double v = value->valuedouble;
    const cJSON *multiple = schema_get(schema, "multipleOf");
    return (b.lo_exclusive ? v > b.lo : v >= b.lo) && (b.hi_exclusive ? v < b.hi : v <= b.hi) &&
           (!multiple || fmod(v, multiple->valuedouble) == 0);
}

static int valid_string(struct schema *s, const cJSON *value, const cJSON *schema)
{
    struct shape x = {.parts = {.nodes = &schema, .n = 1}, .types = TYPE_STRING};
    struct text_dfa d;
    bool restricted;
    if (!in_counts(schema, "minLength", "maxLength", count_chars(value->valuestring))) {
        return 0;
    }
    if (!schema_get(schema, "pattern") && !schema_get(schema, "format")) {
        return 1;
    }
    if (schema_string_set(s, &x, &d, &restricted) != 0) {
        return -1;
    }
    const int rc = !restricted || text_dfa_matches(&d, value->valuestring);
    text_dfa_deinit(&d);
    return rc;
}

static int valid_array(struct schema *s, const cJSON *value, const cJSON *schema, int depth)
{
    const cJSON *prefix = schema_get(schema, "prefixItems");
    const cJSON *items = schema_get(schema, "items");
    const cJSON *own = prefix ? prefix->child : NULL;
    if (!in_counts(schema, "minItems", "maxItems", count_children(value))) {
        return 0;
    }
    for (const cJSON *x = value->child; x; x = x->next) {
        const cJSON *element = own ? own : items;
        const int rc = element ? valid(s, x, element, depth + 1) : 1;
        if (rc != 1) {
            return rc;
        }
        own = own ? own->next : NULL;
        for (const cJSON *y = x->next; y && cJSON_IsTrue(schema_get(schema, "uniqueItems"));
             y = y->next) {
            if (cJSON_Compare(x, y, true)) {
                return 0;
            }
        }
    }
    return 1;
}

/* One property under properties, patternProperties and additionalProperties. */
static int valid_property(struct schema *s, const cJSON *property, const cJSON *schema,
                          int depth)
{
    const cJSON *properties = schema_get(schema, "properties");
    const cJSON *patterns = schema_get(schema, "patternProperties");
    const cJSON *own = properties ? schema_get(properties, property->string) : NULL;
    bool described = own != NULL;
    int rc = own ? valid(s, property, own, depth + 1) : 1;
    for (const cJSON *p = patterns ? patterns->child : NULL; p && rc == 1; p = p->next) {
        struct text_dfa d;
        if (schema_pattern_set(s, schema, "patternProperties", p->string, &d) != 0) {
            return -1;
        }
        if (text_dfa_matches(&d, property->string)) {
            described = true;
            rc = valid(s, property, p, depth + 1);
        }
        text_dfa_deinit(&d);
    }
    const cJSON *additional = schema_get(schema, "additionalProperties");
    return rc == 1 && !described && additional ? valid(s, property, additional, depth + 1) : rc;
}

static int valid_object(struct schema *s, const cJSON *value, const cJSON *schema, int depth)
{
    const cJSON *required = schema_get(schema, "required");
    const cJSON *names = schema_get(schema, "propertyNames");
    if (!in_counts(schema, "minProperties", "maxProperties", count_children(value))) {
        return 0;
    }
    for (const cJSON *name = required ? required->child : NULL; name; name = name->next) {
        if (!schema_get(value, name->valuestring)) {
            return 0;
        }
    }
    for (const cJSON *property = value->child; property; property = property->next) {
        cJSON name = {.type = cJSON_String, .valuestring = property->string};
        int rc = names ? valid(s, &name, names, depth + 1) : 1;
        rc = rc == 1 ? valid_property(s, property, schema, depth) : rc;
        if (rc != 1) {
            return rc;
        }
    }
    return 1;
}

/* How many of a list of schemas the value is valid under, up to `enough`; -1 on failure. */
static int count_valid(struct schema *s, const cJSON *value, const cJSON *list, int enough,
                       int depth)
{
    int n = 0;
    for (const cJSON *x = list->child; x && n < enough; x = x->next) {
        const int rc = valid(s, value, x, depth + 1);
        if (rc < 0) {
            return -1;
        }
        n += rc;
    }
    return n;
}

static int valid_combined(struct schema *s, const cJSON *value, const cJSON *schema, int depth)
{
    const cJSON *all = schema_get(schema, "allOf"), *any = schema_get(schema, "anyOf");
    const cJSON *one = schema_get(schema, "oneOf"), *negated = schema_get(schema, "not");
    const cJSON *ref = schema_get(schema, "$ref");
    int rc = 1;
    if (ref) {
        const cJSON *target = schema_resolve(s, schema, ref);
        rc = target ? valid(s, value, target, depth + 1) : -1;
    }
    for (const cJSON *x = all ? all->child : NULL; x && rc == 1; x = x->next) {
        rc = valid(s, value, x, depth + 1);
    }
    if (rc == 1 && any) {
        rc = count_valid(s, value, any, 1, depth);
    }
    if (rc == 1 && one) {
        const int n = count_valid(s, value, one, 2, depth);
        rc = n < 0 ? -1 : n == 1;
    }
    if (rc == 1 && negated) {
        rc = valid(s, value, negated, depth + 1);
        rc = rc < 0 ? -1 : !rc;
    }
    return rc;
}

static int valid(struct schema *s, const cJSON *value, const cJSON *schema, int depth)
{
    const cJSON *listed = schema_get(schema, "enum"), *constant = schema_get(schema, "const");
    if (depth > DEPTH_MAX || budget_check(&s->budget, s->e) != 0) {
        return depth > DEPTH_MAX
                   ? schema_fail(s, ERR_LIMIT, schema, NULL, "the schema nests too deep")
                   : -1;
    }
    if (cJSON_IsBool(schema)) {
        return cJSON_IsTrue(schema);
    }
    if (schema_check_keywords(s, schema) != 0) {
        return -1;
    }
    const unsigned type = type_of(value);
    const bool from_list = depth == 0 && schema == s->listing;
    if (!(schema_types(schema) & type) || (listed && !from_list && !is_listed(value, listed)) ||
        (constant && !cJSON_Compare(value, constant, true))) {
        return 0;
    }
    int rc = 1;
    if (type & TYPE_NUMBER) {
        rc = valid_number(value, schema);
    } else if (type == TYPE_STRING) {
        rc = valid_string(s, value, schema);
    } else if (type == TYPE_ARRAY) {
        rc = valid_array(s, value, schema, depth);
    } else if (type == TYPE_OBJECT) {
        rc = valid_object(s, value, schema, depth);
    }
    return rc == 1 ? valid_combined(s, value, schema, depth) : rc;
}

int schema_valid(struct schema *s, const cJSON *value, const struct node_list *set)
{
    int rc = 1;
    for (size_t i = 0; i < set->n && rc == 1; i++) {
        rc = valid(s, value, set->nodes[i], 0);
    }
    return rc;
}

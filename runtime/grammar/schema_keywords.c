/* Which keywords there are, and what their values must be. */
#include <string.h>

#include "runtime/grammar/schema.h"

/* What the value of a keyword must be. */
enum keyword_form {
    FORM_ANY,        /* an annotation, or checked where it is used */
    FORM_SCHEMA,     /* an object or a boolean */
    FORM_SCHEMAS,    /* an array of schemas, not empty */
    FORM_SCHEMA_MAP, /* an object of schemas */
    FORM_COUNT,      /* a whole number, 0 or more */
    FORM_NUMBER,
    FORM_STRING,
    FORM_BOOLEAN,
    FORM_NAMES, /* an array of strings */
    FORM_ARRAY,
    FORM_TYPE, /* a type name or an array of them */
};

static const struct keyword {
    const char *name;
    enum keyword_form form;
} keywords[] = {
    {"$schema", FORM_ANY},
    {"$id", FORM_ANY},
    {"$comment", FORM_ANY},
    {"$anchor", FORM_ANY},
    {"$defs", FORM_ANY},
    {"definitions", FORM_ANY},
    {"title", FORM_ANY},
    {"description", FORM_ANY},
    {"default", FORM_ANY},
    {"examples", FORM_ANY},
    {"example", FORM_ANY},       /* OpenAPI 3 */
    {"discriminator", FORM_ANY}, /* OpenAPI 3: a hint, which oneOf enforces itself */
    {"deprecated", FORM_ANY},
    {"readOnly", FORM_ANY},
    {"writeOnly", FORM_ANY},
    {"contentMediaType", FORM_ANY},
    {"contentEncoding", FORM_ANY},
    {"$ref", FORM_STRING},
    {"type", FORM_TYPE},
    {"nullable", FORM_BOOLEAN},
    {"enum", FORM_ARRAY},
    {"const", FORM_ANY},
    {"allOf", FORM_SCHEMAS},
    {"anyOf", FORM_SCHEMAS},
    {"oneOf", FORM_SCHEMAS},
    {"not", FORM_SCHEMA},
    {"properties", FORM_SCHEMA_MAP},
    {"patternProperties", FORM_SCHEMA_MAP},
    {"additionalProperties", FORM_SCHEMA},
    {"propertyNames", FORM_SCHEMA},
    {"required", FORM_NAMES},
    {"minProperties", FORM_COUNT},
    {"maxProperties", FORM_COUNT},
    {"items", FORM_SCHEMA},
    {"prefixItems", FORM_SCHEMAS},
    {"minItems", FORM_COUNT},
    {"maxItems", FORM_COUNT},
    {"uniqueItems", FORM_BOOLEAN},
    {"minLength", FORM_COUNT},
    {"maxLength", FORM_COUNT},
    {"pattern", FORM_STRING},
    {"format", FORM_STRING},
    {"minimum", FORM_NUMBER},
    {"maximum", FORM_NUMBER},
    {"exclusiveMinimum", FORM_NUMBER},
    {"exclusiveMaximum", FORM_NUMBER},
    {"multipleOf", FORM_NUMBER},
};

bool schema_is_one(const cJSON *value)
{
    return cJSON_IsObject(value) || cJSON_IsBool(value);
}

static bool is_count(const cJSON *value)
{
    return cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble <= 1e9 &&
           value->valuedouble == (double)(uint32_t)value->valuedouble;
}

static unsigned type_named(const char *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {{"null", TYPE_NULL},     {"boolean", TYPE_BOOLEAN}, {"integer", TYPE_INTEGER},
                 {"number", TYPE_NUMBER}, {"string", TYPE_STRING},   {"array", TYPE_ARRAY},
                 {"object", TYPE_OBJECT}};
    for (size_t i = 0; name && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return types[i].type;
        }
    }
    return 0;
}

static bool all_children(const cJSON *value, bool (*is)(const cJSON *child))
{
    for (const cJSON *child = value->child; child; child = child->next) {
        if (!is(child)) {
            return false;
        }
    }
    return true;
}

static bool is_string(const cJSON *value)
{
    return cJSON_IsString(value);
}

static bool is_type(const cJSON *value)
{
    return cJSON_IsString(value) && type_named(value->valuestring) != 0;
}

static bool has_form(const cJSON *value, enum keyword_form form)
{
    switch (form) {
    case FORM_ANY:
        return true;
    case FORM_SCHEMA:
        return schema_is_one(value);
    case FORM_SCHEMAS:
        return cJSON_IsArray(value) && value->child && all_children(value, schema_is_one);
    case FORM_SCHEMA_MAP:
        return cJSON_IsObject(value) && all_children(value, schema_is_one);
    case FORM_COUNT:
        return is_count(value);
    case FORM_NUMBER:
        return cJSON_IsNumber(value);
    case FORM_STRING:
        return cJSON_IsString(value);
    case FORM_BOOLEAN:
        return cJSON_IsBool(value);
    case FORM_NAMES:
        return cJSON_IsArray(value) && all_children(value, is_string);
    case FORM_ARRAY:
        return cJSON_IsArray(value);
    case FORM_TYPE:
        return is_type(value) || (cJSON_IsArray(value) && all_children(value, is_type));
    }
    return false;
}

static bool is_known_dialect(const cJSON *value)
{
    static const char *const begins[] = {"https://json-schema.org/", "http://json-schema.org/"};
    for (size_t i = 0; cJSON_IsString(value) && i < sizeof(begins) / sizeof(begins[0]); i++) {
        if (strncmp(value->valuestring, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

int schema_check_keywords(struct schema *s, const cJSON *object)
{
    for (const cJSON *k = object->child; k; k = k->next) {
        size_t i = 0;
        const size_t n = sizeof(keywords) / sizeof(keywords[0]);
        while (i < n && strcmp(keywords[i].name, k->string) != 0) {
            i++;
        }
        if (i == n && strncmp(k->string, "x-", 2) != 0) {
            return schema_unsupported(s, object, k->string,
                                      "this keyword can not be enforced; leave it out");
        }
        if (strcmp(k->string, "$schema") == 0 && !is_known_dialect(k)) {
            return schema_unsupported(s, object, "$schema",
                                      "only the dialects of json-schema.org are known");
        }
        if (i < n && !has_form(k, keywords[i].form)) {
            return schema_fail(s, ERR_INVALID, object, k->string,
                               "the value has the wrong type for this keyword");
        }
    }
    return 0;
}

unsigned schema_types(const cJSON *object)
{
    const cJSON *type = schema_get(object, "type");
    unsigned types = 0;
    if (!type) {
        return TYPE_ANY;
    }
    if (cJSON_IsArray(type)) {
        for (const cJSON *t = type->child; t; t = t->next) {
            types |= type_named(t->valuestring);
        }
    } else {
        types = type_named(type->valuestring);
    }
    return types | (cJSON_IsTrue(schema_get(object, "nullable")) ? TYPE_NULL : 0);
}

int schema_types_by_not(struct schema *s, const cJSON *object, unsigned *types)
{
    const cJSON *not_schema = schema_get(object, "not");
    *types = TYPE_ANY;
    if (!not_schema || cJSON_IsFalse(not_schema)) {
        return 0;
    }
    if (cJSON_IsTrue(not_schema) || !not_schema->child) {
        *types = 0;
        return 0;
    }
    if (not_schema->child->next || strcmp(not_schema->child->string, "type") != 0 ||
        !has_form(not_schema->child, FORM_TYPE)) {
        return schema_unsupported(s, object, "not",
                                  "only {\"not\": {\"type\": ...}} can be enforced");
    }
    *types = TYPE_ANY & ~schema_types(not_schema);
    return 0;
}

#include "runtime/api/constraint_fields.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"

#define CHOICES_MAX 1024

static int set(struct constraint *c, enum constraint_kind kind, const cJSON *value,
               const char *field, struct err *e)
{
    if (c->kind != CONSTRAINT_NONE) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" and \"%s\" both say what the answer must be; give one",
                             c->field, field);
    }
    c->kind = kind;
    c->value = value;
    snprintf(c->field, sizeof(c->field), "%s", field);
    return 0;
}

static int set_schema(struct constraint *c, const cJSON *schema, const char *field,
                      struct err *e)
{
    bool is_schema = cJSON_IsObject(schema) || cJSON_IsBool(schema);
    return is_schema ? set(c, CONSTRAINT_JSON_SCHEMA, schema, field, e)
                     : json_field_wrong_type(field, "a JSON schema, an object", e);
}

static int set_text(struct constraint *c, enum constraint_kind kind, const cJSON *text,
                    const char *field, struct err *e)
{
    return cJSON_IsString(text) ? set(c, kind, text, field, e)
                                : json_field_wrong_type(field, "a string", e);
}

static int set_choice(struct constraint *c, const cJSON *list, const char *field, struct err *e)
{
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        n = cJSON_IsString(item) && item->valuestring[0] ? n : 0;
    }
    return n >= 1 && n <= CHOICES_MAX
               ? set(c, CONSTRAINT_CHOICE, list, field, e)
               : json_field_wrong_type(field, "an array of 1 to 1024 strings", e);
}

/* --- OpenAI's --- */

/* The schema stands in an object of its own with chat completions, and beside the type with
 * responses. */
static int parse_schema_format(const cJSON *format, const char *where, struct constraint *out,
                               struct err *e)
{
    char field[64];
    const cJSON *inner = json_field_get(format, "json_schema");
    const cJSON *schema = json_field_get(inner ? inner : format, "schema");
    snprintf(field, sizeof(field), "%s%s.schema", where, inner ? ".json_schema" : "");
    bool wants_inner = strcmp(where, "response_format") == 0 && !schema;
    if (inner ? !cJSON_IsObject(inner) : wants_inner) {
        snprintf(field, sizeof(field), "%s.json_schema", where);
        return json_field_wrong_type(field, "an object", e);
    }
    return set_schema(out, schema, field, e);
}

int constraint_fields_format(const cJSON *format, const char *where, struct constraint *out,
                             struct err *e)
{
    char field[64];
    if (!format) {
        return 0;
    }
    if (!cJSON_IsObject(format)) {
        return json_field_wrong_type(where, "an object", e);
    }
    const cJSON *type = json_field_get(format, "type");
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    if (strcmp(name, "text") == 0) {
        return 0;
    }
    if (strcmp(name, "json_schema") == 0) {
        return parse_schema_format(format, where, out, e);
    }
    if (strcmp(name, "json_object") == 0) {
        /* llama.cpp takes a schema here too. */
        return json_field_get(format, "schema")
                   ? parse_schema_format(format, where, out, e)
                   : set(out, CONSTRAINT_JSON_OBJECT, NULL, where, e);
    }
    snprintf(field, sizeof(field), "%s.type", where);
    return json_field_wrong_type(field, "text, json_object or json_schema", e);
}

/* --- vLLM's and llama.cpp's --- */

enum shape { SHAPE_SCHEMA, SHAPE_GRAMMAR, SHAPE_REGEX, SHAPE_CHOICE };

static int set_shape(struct constraint *c, enum shape shape, const cJSON *value,
                     const char *field, struct err *e)
{
    switch (shape) {
    case SHAPE_GRAMMAR:
        return set_text(c, CONSTRAINT_GRAMMAR, value, field, e);
    case SHAPE_REGEX:
        return set_text(c, CONSTRAINT_REGEX, value, field, e);
    case SHAPE_CHOICE:
        return set_choice(c, value, field, e);
    case SHAPE_SCHEMA:
        break;
    }
    return set_schema(c, value, field, e);
}

struct named_shape {
    const char *name;
    enum shape shape;
};

/* `prefix` stands before the names in errors. */
static int parse_shapes(const cJSON *object, const struct named_shape *shapes, size_t n,
                        const char *prefix, struct constraint *out, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        char field[64];
        const cJSON *value = json_field_get(object, shapes[i].name);
        snprintf(field, sizeof(field), "%s%s", prefix, shapes[i].name);
        if (value && set_shape(out, shapes[i].shape, value, field, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int parse_structured(const cJSON *body, struct constraint *out, struct err *e)
{
    static const struct named_shape shapes[] = {{"json", SHAPE_SCHEMA},
                                                {"grammar", SHAPE_GRAMMAR},
                                                {"regex", SHAPE_REGEX},
                                                {"choice", SHAPE_CHOICE}};
    static const char name[] = "structured_outputs";
    const cJSON *object = json_field_get(body, name);
    if (!object) {
        return 0;
    }
    bool any_object = false;
    if (!cJSON_IsObject(object)) {
        return json_field_wrong_type(name, "an object", e);
    }
    if (json_field_get(object, "structural_tag")) {
        return json_field_refuse("structured_outputs.structural_tag", "", e);
    }
    if (json_field_bool(object, "json_object", &any_object, e) != 0 ||
        (any_object && set(out, CONSTRAINT_JSON_OBJECT, NULL, name, e) != 0)) {
        return -1;
    }
    return parse_shapes(object, shapes, sizeof(shapes) / sizeof(shapes[0]),
                        "structured_outputs.", out, e);
}

int constraint_fields_parse(const cJSON *body, struct constraint *out, struct err *e)
{
    static const struct named_shape shapes[] = {
        {"grammar", SHAPE_GRAMMAR},        {"regex", SHAPE_REGEX},
        {"choice", SHAPE_CHOICE},          {"json_schema", SHAPE_SCHEMA},
        {"guided_grammar", SHAPE_GRAMMAR}, {"guided_regex", SHAPE_REGEX},
        {"guided_choice", SHAPE_CHOICE},   {"guided_json", SHAPE_SCHEMA}};
    const cJSON *format = json_field_get(body, "response_format");
    if (constraint_fields_format(format, "response_format", out, e) != 0 ||
        parse_structured(body, out, e) != 0) {
        return -1;
    }
    return parse_shapes(body, shapes, sizeof(shapes) / sizeof(shapes[0]), "", out, e);
}

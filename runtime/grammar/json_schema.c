#include "runtime/grammar/json_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/array.h"
#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/schema.h"

#define RULES_MAX  20000
#define PREFIX_MAX 64

void schema_write_literal(struct buf *out, const char *text)
{
    buf_append_char(out, '"');
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            buf_append_char(out, '\\');
        }
        if (c < 0x20) {
            buf_printf(out, "\\x%02X", c);
        } else {
            buf_append_char(out, (char)c);
        }
    }
    buf_append_char(out, '"');
}

/* The shortest decimal that is this number again: cJSON's own printing may round. */
static void print_number(struct buf *out, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    buf_append_str(out, text);
}

static int print_string(struct buf *out, char *text)
{
    const cJSON string = {.type = cJSON_String, .valuestring = text};
    char *quoted = cJSON_PrintUnformatted(&string);
    const int rc = quoted ? buf_append_str(out, quoted) : -1;
    cJSON_free(quoted);
    return rc;
}

/* A value as compact JSON. Its depth is bounded by json_parse. */
static int print_json(struct buf *out, const cJSON *value)
{
    if (cJSON_IsNumber(value)) {
        print_number(out, value->valuedouble);
        return out->failed ? -1 : 0;
    }
    if (cJSON_IsString(value)) {
        return print_string(out, value->valuestring);
    }
    if (!cJSON_IsArray(value) && !cJSON_IsObject(value)) {
        return buf_append_str(out, cJSON_IsNull(value)   ? "null"
                                   : cJSON_IsTrue(value) ? "true"
                                                         : "false");
    }
    const bool array = cJSON_IsArray(value);
    int rc = buf_append_char(out, array ? '[' : '{');
    for (const cJSON *child = value->child; child && rc == 0; child = child->next) {
        buf_append_str(out, child == value->child ? "" : ",");
        if (!array) {
            rc = print_string(out, child->string);
            buf_append_char(out, ':');
        }
        rc = rc == 0 ? print_json(out, child) : -1;
    }
    return rc == 0 ? buf_append_char(out, array ? ']' : '}') : -1;
}

int schema_write_json(struct schema *s, struct buf *out, const cJSON *value)
{
    struct buf text;
    buf_init(&text, out->max);
    const int rc = print_json(&text, value);
    if (rc == 0) {
        schema_write_literal(out, text.data);
    }
    buf_deinit(&text);
    return rc == 0 ? 0 : err_nomem(s->e);
}

static bool same_set(const struct node_list *a, const struct node_list *b)
{
    return a->n == b->n && (a->n == 0 || memcmp((const void *)a->nodes, (const void *)b->nodes,
                                                a->n * sizeof(*a->nodes)) == 0);
}

/* A set without `true` and without repetition; the order is that of the schema. */
static int normalize(struct schema *s, const struct node_list *set, struct node_list *out)
{
    *out = (struct node_list){0};
    for (size_t i = 0; i < set->n; i++) {
        bool known = cJSON_IsTrue(set->nodes[i]);
        for (size_t k = 0; k < out->n; k++) {
            known |= out->nodes[k] == set->nodes[i];
        }
        if (!known && node_list_add(out, set->nodes[i], s->e) != 0) {
            node_list_deinit(out);
            return -1;
        }
    }
    return 0;
}

int schema_write_rule(struct schema *s, const struct node_list *set, struct buf *out)
{
    struct node_list own;
    size_t rule = 0;
    if (normalize(s, set, &own) != 0) {
        return -1;
    }
    if (own.n == 0) {
        buf_printf(out, "%s-v", s->prefix);
        return 0;
    }
    while (rule < s->n_sets && !same_set(&s->sets[rule], &own)) {
        rule++;
    }
    buf_printf(out, "%s-%zu", s->prefix, rule);
    if (rule < s->n_sets) {
        node_list_deinit(&own);
        return 0;
    }
    if (s->n_sets >= RULES_MAX || budget_check(&s->budget, s->e) != 0) {
        node_list_deinit(&own);
        return s->n_sets >= RULES_MAX
                   ? err_set(s->e, ERR_LIMIT,
                             "the schema is too complex: it has too many parts")
                   : -1;
    }
    if (ARRAY_RESERVE(s->sets, s->cap_sets, s->n_sets + 1) != 0) {
        node_list_deinit(&own);
        return err_nomem(s->e);
    }
    s->sets[s->n_sets++] = own;
    return 0;
}

/* Those of some values that are valid under the whole shape: one, or with `listed` all of its
 * list. */
static int write_valid(struct schema *s, const struct shape *x, const cJSON *value, bool listed,
                       struct buf *out)
{
    buf_append_str(out, "[]");
    for (; value; value = listed ? value->next : NULL) {
        const int rc = schema_valid(s, value, &x->parts);
        if (rc < 0) {
            return -1;
        }
        if (rc == 1) {
            buf_append_str(out, " | ");
            if (schema_write_json(s, out, value) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* enum and const. 1 when the shape has such a list, 0 when not, -1 on failure. */
static int write_listed(struct schema *s, const struct shape *x, struct buf *out)
{
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *constant = schema_get(x->parts.nodes[i], "const");
        const cJSON *listed = schema_get(x->parts.nodes[i], "enum");
        if (constant || listed) {
            s->listing = constant ? NULL : x->parts.nodes[i];
            const int rc =
                write_valid(s, x, constant ? constant : listed->child, !constant, out);
            s->listing = NULL;
            return rc == 0 ? 1 : -1;
        }
    }
    return 0;
}

static int write_shape(struct schema *s, const struct shape *x, struct buf *out)
{
    static const struct {
        unsigned types;
        int (*write)(struct schema *s, const struct shape *x, struct buf *out);
    } writers[] = {{TYPE_NUMBER, schema_write_number},
                   {TYPE_STRING, schema_write_string},
                   {TYPE_ARRAY, schema_write_array},
                   {TYPE_OBJECT, schema_write_object}};
    const int listed = write_listed(s, x, out);
    if (listed != 0) {
        return listed < 0 ? -1 : 0;
    }
    buf_append_str(out, "[]");
    if (x->types & TYPE_NULL) {
        buf_append_str(out, " | \"null\"");
    }
    if (x->types & TYPE_BOOLEAN) {
        buf_append_str(out, " | \"true\" | \"false\"");
    }
    for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        if (x->types & writers[i].types) {
            buf_append_str(out, " | ");
            if (writers[i].write(s, x, out) != 0) {
                return out->failed || s->rules->failed ? err_nomem(s->e) : -1;
            }
        }
    }
    return 0;
}

static int write_rule_body(struct schema *s, size_t rule, struct buf *body)
{
    struct shape_list shapes = {0};
    int rc = schema_expand(s, &s->sets[rule], &shapes);
    buf_append_str(body, shapes.n == 0 ? "[]" : "");
    for (size_t i = 0; i < shapes.n && rc == 0; i++) {
        buf_append_str(body, i > 0 ? " | " : "");
        rc = write_shape(s, &shapes.shapes[i], body);
    }
    shape_list_deinit(&shapes);
    return rc;
}

static bool has_embedded_id(const cJSON *at, int depth)
{
    for (const cJSON *child = at->child; child; child = child->next) {
        if ((depth > 0 && child->string && strcmp(child->string, "$id") == 0 &&
             cJSON_IsString(child)) ||
            has_embedded_id(child, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* Why the text of the rules has stopped growing. */
static int text_failed(const struct buf *rules, struct err *e)
{
    if (rules->len + 1024 < rules->max / 2) {
        return err_nomem(e);
    }
    return err_set(e, ERR_LIMIT,
                   "the schema is too complex: its rules are longer than %zu bytes",
                   rules->max);
}

/* Rules refer to others by number; they are written until none is left. */
static int write_rules(struct schema *s)
{
    struct buf body;
    int rc = 0;
    buf_init(&body, s->rules->max);
    for (size_t i = 0; i < s->n_sets && rc == 0; i++) {
        buf_clear(&body);
        rc = write_rule_body(s, i, &body);
        buf_printf(s->rules, "%s-%zu ::= ", s->prefix, i);
        buf_append(s->rules, body.data, body.len);
        buf_append_char(s->rules, '\n');
        if (rc == 0 && (body.failed || s->rules->failed)) {
            rc = text_failed(s->rules, s->e);
        }
    }
    buf_deinit(&body);
    return rc;
}

int json_schema_to_gbnf(const cJSON *schema, const char *rule_name, struct buf *rules,
                        struct err *e)
{
    struct schema s = {
        .root = schema, .prefix = rule_name, .rules = rules, .budget = budget_begin(), .e = e};
    struct node_list set = {.nodes = &schema, .n = 1};
    if (!cJSON_IsObject(schema) && !cJSON_IsBool(schema)) {
        return err_set(e, ERR_INVALID, "a schema is an object or a boolean");
    }
    if (strlen(rule_name) > PREFIX_MAX) {
        return err_set(e, ERR_INVALID, "the name of a rule may have %d characters", PREFIX_MAX);
    }
    s.has_ids = has_embedded_id(schema, 0);
    buf_printf(rules, "%s ::= ", rule_name);
    int rc = schema_write_rule(&s, &set, rules);
    buf_append_char(rules, '\n');
    rc = rc == 0 ? write_rules(&s) : -1;
    if (rc == 0 && json_rules_write(rule_name, rules) != 0) {
        rc = text_failed(rules, e);
    }
    for (size_t i = 0; i < s.n_sets; i++) {
        node_list_deinit(&s.sets[i]);
    }
    mem_free(s.sets);
    return rc;
}

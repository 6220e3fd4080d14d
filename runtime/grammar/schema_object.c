/* Objects: declared properties in their order, then additional ones by classes of names. */
#include "runtime/grammar/schema_object.h"

#include <stdio.h>
#include <string.h>

#include "runtime/grammar/array.h"
#include "runtime/grammar/json_rules.h"

#define PATTERNS_MAX 4    /* their intersections are 2^n classes of names */
#define MEMBERS_MAX  5000 /* rules of one object's members */

void object_plan_deinit(struct object_plan *plan)
{
    mem_free(plan->properties);
    *plan = (struct object_plan){0};
}

const struct property *object_plan_find(const struct object_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (strcmp(plan->properties[i].name, name) == 0) {
            return &plan->properties[i];
        }
    }
    return NULL;
}

static int plan_add(struct schema *s, struct object_plan *plan, const char *name, bool required)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (strcmp(plan->properties[i].name, name) == 0) {
            plan->properties[i].required |= required;
            return 0;
        }
    }
    if (plan->n >= MEMBERS_MAX || budget_check(&s->budget, s->e) != 0) {
        return err_set(s->e, ERR_LIMIT,
                       "the schema is too complex: an object has too many "
                       "properties");
    }
    if (ARRAY_RESERVE(plan->properties, plan->cap, plan->n + 1) != 0) {
        return err_nomem(s->e);
    }
    plan->properties[plan->n++] = (struct property){name, required};
    return 0;
}

int object_plan_make(struct schema *s, const struct shape *x, struct object_plan *plan)
{
    bool declares = false, invites = false;
    *plan = (struct object_plan){0};
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *part = x->parts.nodes[i];
        const cJSON *properties = schema_get(part, "properties");
        const cJSON *additional = schema_get(part, "additionalProperties");
        for (const cJSON *p = properties ? properties->child : NULL; p; p = p->next) {
            if (plan_add(s, plan, p->string, false) != 0) {
                return -1;
            }
        }
        declares |= properties != NULL || schema_get(part, "patternProperties") != NULL;
        invites |= additional && !cJSON_IsFalse(additional);
    }
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *required = schema_get(x->parts.nodes[i], "required");
        for (const cJSON *r = required ? required->child : NULL; r; r = r->next) {
            if (plan_add(s, plan, r->valuestring, true) != 0) {
                return -1;
            }
        }
    }
    plan->open = invites || !declares;
    return 0;
}

static int add_patterns(struct schema *s, const cJSON *part, const char *name,
                        struct node_list *set, bool *described)
{
    const cJSON *patterns = schema_get(part, "patternProperties");
    for (const cJSON *p = patterns ? patterns->child : NULL; p; p = p->next) {
        struct text_dfa d;
        if (schema_pattern_set(s, part, "patternProperties", p->string, &d) != 0) {
            return -1;
        }
        const bool matches = text_dfa_matches(&d, name);
        text_dfa_deinit(&d);
        if (matches) {
            *described = true;
            if (node_list_add(set, p, s->e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int name_is_allowed(struct schema *s, const cJSON *part, const char *name)
{
    const cJSON *names = schema_get(part, "propertyNames");
    char *copy = names ? mem_strdup(name) : NULL;
    struct node_list set = {.nodes = &names, .n = 1};
    if (!names) {
        return 1;
    }
    if (!copy) {
        return err_nomem(s->e);
    }
    const cJSON value = {.type = cJSON_String, .valuestring = copy};
    const int rc = schema_valid(s, &value, &set);
    mem_free(copy);
    return rc;
}

int shape_property(struct schema *s, const struct shape *x, const char *name,
                   struct node_list *set, bool *allowed)
{
    *allowed = true;
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *part = x->parts.nodes[i];
        const cJSON *properties = schema_get(part, "properties");
        const cJSON *additional = schema_get(part, "additionalProperties");
        const cJSON *own = properties ? schema_get(properties, name) : NULL;
        bool described = own != NULL;
        const int name_ok = name_is_allowed(s, part, name);
        if (name_ok < 0 || (own && node_list_add(set, own, s->e) != 0) ||
            add_patterns(s, part, name, set, &described) != 0) {
            return -1;
        }
        *allowed &= name_ok == 1;
        if (!described && additional && node_list_add(set, additional, s->e) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < set->n; i++) {
        *allowed &= !cJSON_IsFalse(set->nodes[i]);
    }
    return 0;
}

/* A patternProperties entry with the names that it matches. */
struct name_pattern {
    const cJSON *part, *schema;
    struct text_dfa names;
};

/* The additional properties of one object while they are written. */
struct extras {
    struct schema *s;
    const struct shape *x;
    const struct object_plan *plan;
    struct name_pattern patterns[PATTERNS_MAX];
    size_t n_patterns;
    struct text_dfa allowed; /* names that are not declared and that propertyNames allow */
    bool restricted;         /* else every name is allowed, and `allowed` is empty */
    struct buf rule;         /* alternatives: one for each class of names */
    bool any;
};

/* *d becomes *d op *other. */
static int narrow(struct schema *s, struct text_dfa *d, const struct text_dfa *other,
                  enum text_dfa_op op)
{
    struct text_dfa result;
    const int rc = text_dfa_combine(&result, d, other, op, &s->budget, s->e);
    text_dfa_deinit(d);
    *d = result;
    return rc;
}

static int every_text(struct schema *s, struct text_dfa *d)
{
    return text_dfa_from_length(d, 0, SYNTAX_UNBOUNDED, s->e);
}

static int find_patterns(struct extras *w)
{
    struct schema *s = w->s;
    for (size_t i = 0; i < w->x->parts.n; i++) {
        const cJSON *part = w->x->parts.nodes[i];
        const cJSON *patterns = schema_get(part, "patternProperties");
        for (const cJSON *p = patterns ? patterns->child : NULL; p; p = p->next) {
            if (w->n_patterns >= PATTERNS_MAX) {
                return schema_fail(s, ERR_LIMIT, part, "patternProperties",
                                   "at most 4 patterns can be enforced for one object");
            }
            struct name_pattern *n = &w->patterns[w->n_patterns];
            if (schema_pattern_set(s, part, "patternProperties", p->string, &n->names) != 0) {
                return -1;
            }
            n->part = part;
            n->schema = p;
            w->n_patterns++;
        }
    }
    return 0;
}

/* The names that a propertyNames schema allows. */
static int names_of_schema(struct schema *s, const cJSON *part, const cJSON *names,
                           struct text_dfa *d)
{
    struct shape_list shapes = {0};
    struct node_list set = {.nodes = &names, .n = 1};
    int rc = schema_expand(s, &set, &shapes);
    *d = (struct text_dfa){0};
    if (rc == 0) {
        rc = text_dfa_from_texts(d, NULL, 0, s->e);
    }
    for (size_t i = 0; i < shapes.n && rc == 0; i++) {
        struct text_dfa one;
        bool restricted;
        for (size_t k = 0; k < shapes.shapes[i].parts.n; k++) {
            const cJSON *x = shapes.shapes[i].parts.nodes[k];
            if (schema_get(x, "enum") || schema_get(x, "const")) {
                rc = schema_unsupported(s, part, "propertyNames",
                                        "enum and const can not be enforced here; declare the "
                                        "properties");
            }
        }
        if (rc != 0 || !(shapes.shapes[i].types & TYPE_STRING)) {
            continue;
        }
        rc = schema_string_set(s, &shapes.shapes[i], &one, &restricted);
        if (rc == 0 && !restricted) {
            rc = every_text(s, &one);
        }
        if (rc == 0) {
            rc = narrow(s, d, &one, TEXT_DFA_OR);
            text_dfa_deinit(&one);
        }
    }
    shape_list_deinit(&shapes);
    if (rc != 0) {
        text_dfa_deinit(d);
    }
    return rc;
}

static int restrict_names(struct extras *w)
{
    struct schema *s = w->s;
    const size_t n = w->plan->n;
    const char **declared = mem_array(n + 1, sizeof(*declared));
    struct text_dfa d = {0};
    int rc = declared ? every_text(s, &w->allowed) : err_nomem(s->e);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        declared[i] = w->plan->properties[i].name;
    }
    if (rc == 0 && n > 0) {
        rc = text_dfa_from_texts(&d, declared, n, s->e);
        rc = rc == 0 ? narrow(s, &w->allowed, &d, TEXT_DFA_WITHOUT) : -1;
        w->restricted = true;
    }
    for (size_t i = 0; rc == 0 && i < w->x->parts.n; i++) {
        const cJSON *part = w->x->parts.nodes[i];
        const cJSON *names = schema_get(part, "propertyNames");
        if (names) {
            text_dfa_deinit(&d);
            rc = names_of_schema(s, part, names, &d);
            rc = rc == 0 ? narrow(s, &w->allowed, &d, TEXT_DFA_AND) : -1;
            w->restricted = true;
        }
    }
    text_dfa_deinit(&d);
    mem_free(declared);
    return rc;
}

/* The names of a class: those that match the patterns in `mask` and no others. */
static int class_names(struct extras *w, unsigned mask, struct text_dfa *d)
{
    int rc =
        text_dfa_combine(d, &w->allowed, &w->allowed, TEXT_DFA_AND, &w->s->budget, w->s->e);
    for (size_t i = 0; rc == 0 && i < w->n_patterns; i++) {
        rc = narrow(w->s, d, &w->patterns[i].names,
                    mask >> i & 1 ? TEXT_DFA_AND : TEXT_DFA_WITHOUT);
    }
    return rc;
}

/* The schemas for values of a class of names; *allowed is false when one of them is `false`. */
static int class_schemas(struct extras *w, unsigned mask, struct node_list *set, bool *allowed)
{
    *allowed = mask != 0 || w->plan->open;
    for (size_t i = 0; i < w->x->parts.n; i++) {
        const cJSON *part = w->x->parts.nodes[i];
        const cJSON *additional = schema_get(part, "additionalProperties");
        bool described = false;
        for (size_t k = 0; k < w->n_patterns; k++) {
            if ((mask >> k & 1) && w->patterns[k].part == part) {
                described = true;
                if (node_list_add(set, w->patterns[k].schema, w->s->e) != 0) {
                    return -1;
                }
            }
        }
        if (!described && additional && node_list_add(set, additional, w->s->e) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < set->n; i++) {
        *allowed &= !cJSON_IsFalse(set->nodes[i]);
    }
    return 0;
}

static int write_class(struct extras *w, unsigned mask)
{
    struct schema *s = w->s;
    struct node_list set = {0};
    struct text_dfa names = {0};
    bool allowed;
    int rc = class_schemas(w, mask, &set, &allowed);
    if (rc != 0 || !allowed) {
        goto cleanup;
    }
    if (w->restricted || w->n_patterns > 0) {
        rc = class_names(w, mask, &names);
        if (rc != 0 || text_dfa_is_empty(&names)) {
            goto cleanup;
        }
        char prefix[128];
        (void)snprintf(prefix, sizeof(prefix), "%s-t%zu-", s->prefix, s->n_helpers++);
        (void)text_dfa_to_gbnf(&names, prefix, s->rules);
        buf_printf(&w->rule, "%s\"\\\"\" %s0 \"\\\":\" " JSON_RULES_SPACE " ",
                   w->any ? " | " : "", prefix);
    } else {
        buf_printf(&w->rule, "%s%s-s \":\" " JSON_RULES_SPACE " ", w->any ? " | " : "",
                   s->prefix);
    }
    w->any = true;
    rc = schema_write_rule(s, &set, &w->rule);
cleanup:
    node_list_deinit(&set);
    text_dfa_deinit(&names);
    return rc;
}

/* Makes the rule for one additional property, if there can be any: writes its name. */
static int write_extras(struct schema *s, const struct shape *x, const struct object_plan *plan,
                        char name[128])
{
    struct extras w = {.s = s, .x = x, .plan = plan};
    name[0] = '\0';
    buf_init(&w.rule, s->rules->max);
    int rc = find_patterns(&w);
    if (rc == 0 && (plan->open || w.n_patterns > 0)) {
        rc = restrict_names(&w);
        for (unsigned mask = 0; rc == 0 && mask < 1U << w.n_patterns; mask++) {
            rc = write_class(&w, mask);
        }
    }
    if (rc == 0 && w.rule.failed) {
        rc = err_nomem(s->e);
    }
    if (rc == 0 && w.any) {
        (void)snprintf(name, 128, "%s-e%zu", s->prefix, s->n_helpers++);
        buf_printf(s->rules, "%s ::= ", name);
        buf_append(s->rules, w.rule.data, w.rule.len);
        buf_append_char(s->rules, '\n');
    }
    for (size_t i = 0; i < w.n_patterns; i++) {
        text_dfa_deinit(&w.patterns[i].names);
    }
    text_dfa_deinit(&w.allowed);
    buf_deinit(&w.rule);
    return rc;
}

/* The members of an object as a chain of rules PREFIX-mID-I-C: properties from number I on,
 * when C were written before. C stays at `counted` where more of them make no difference. */
struct members {
    struct schema *s;
    const struct shape *x;
    const struct object_plan *plan;
    size_t id;
    uint32_t min, max; /* properties */
    uint32_t counted;
    struct buf *values; /* (plan->n) "KEY: VALUE" of each, or empty: not allowed */
};

static void write_member_name(const struct members *m, struct buf *out, size_t i,
                              uint32_t count)
{
    buf_printf(out, "%s-m%zu-%zu-%u", m->s->prefix, m->id, i,
               count < m->counted ? count : m->counted);
}

static int write_value(struct members *m, size_t i)
{
    struct schema *s = m->s;
    struct node_list set = {0};
    bool allowed;
    struct buf *out = &m->values[i];
    int rc = shape_property(s, m->x, m->plan->properties[i].name, &set, &allowed);
    if (rc == 0 && allowed) {
        char *name = mem_strdup(m->plan->properties[i].name);
        const cJSON key = {.type = cJSON_String, .valuestring = name};
        rc = name ? schema_write_json(s, out, &key) : err_nomem(s->e);
        mem_free(name);
        buf_append_str(out, " \":\" " JSON_RULES_SPACE " ");
        rc = rc == 0 ? schema_write_rule(s, &set, out) : -1;
        rc = rc == 0 && out->failed ? err_nomem(s->e) : rc;
    }
    node_list_deinit(&set);
    return rc;
}

/* What may follow the declared properties. */
static int write_end(const struct members *m, uint32_t count, const char *extra)
{
    struct buf *rules = m->s->rules;
    const uint32_t missing = count < m->min ? m->min - count : 0;
    if (missing > 1 && extra[0]) {
        return schema_unsupported(m->s, m->x->parts.nodes[0], "minProperties",
                                  "additional properties with different names can not be "
                                  "counted; declare the properties");
    }
    if (missing > 0 && !extra[0]) {
        buf_append_str(rules, "[]");
        return 0;
    }
    if (!extra[0] || m->max <= count) {
        buf_append_str(rules, "\"\"");
        return 0;
    }
    char bounds[32] = "*";
    const uint32_t more =
        m->max - count - (count == 0); /* behind the first, when it is there */
    if (m->max != SYNTAX_UNBOUNDED) {
        (void)snprintf(bounds, sizeof(bounds), "{0,%u}", more < 1000000 ? more : 1000000);
    }
    if (count == 0) {
        buf_printf(rules, "(%s (" JSON_RULES_COMMA " %s)%s)%s", extra, extra, bounds,
                   missing > 0 ? "" : "?");
    } else if (missing > 0) {
        buf_printf(rules, JSON_RULES_COMMA " %s (" JSON_RULES_COMMA " %s)*", extra, extra);
    } else {
        buf_printf(rules, "(" JSON_RULES_COMMA " %s)%s", extra, bounds);
    }
    return 0;
}

static void write_member(const struct members *m, size_t i, uint32_t count)
{
    struct buf *rules = m->s->rules;
    const struct buf *value = &m->values[i];
    bool any = false;
    if (value->len > 0 && count < m->max) {
        buf_append_str(rules, count > 0 ? JSON_RULES_COMMA " " : "");
        buf_append(rules, value->data, value->len);
        buf_append_char(rules, ' ');
        write_member_name(m, rules, i + 1, count + 1);
        any = true;
    }
    if (!m->plan->properties[i].required) {
        buf_append_str(rules, any ? " | " : "");
        write_member_name(m, rules, i + 1, count);
        any = true;
    }
    buf_append_str(rules, any ? "" : "[]");
}

static int write_members(struct members *m, const char *extra)
{
    const size_t n = m->plan->n;
    if ((n + 1) * ((size_t)m->counted + 1) > MEMBERS_MAX * 2) {
        return err_set(m->s->e, ERR_LIMIT,
                       "the schema is too complex: minProperties or "
                       "maxProperties is too large to count to");
    }
    for (size_t i = 0; i <= n; i++) {
        for (uint32_t count = 0; count <= m->counted && count <= i; count++) {
            write_member_name(m, m->s->rules, i, count);
            buf_append_str(m->s->rules, " ::= ");
            if (i < n) {
                write_member(m, i, count);
            } else if (write_end(m, count, extra) != 0) {
                return -1;
            }
            buf_append_char(m->s->rules, '\n');
        }
    }
    return 0;
}

/* An object about which nothing is said. */
static bool is_free(const struct shape *x)
{
    static const char *const names[] = {
        "properties", "patternProperties", "propertyNames", "additionalProperties",
        "required",   "minProperties",     "maxProperties"};
    for (size_t i = 0; i < x->parts.n; i++) {
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            if (schema_get(x->parts.nodes[i], names[k])) {
                return false;
            }
        }
    }
    return true;
}

int schema_write_object(struct schema *s, const struct shape *x, struct buf *out)
{
    struct object_plan plan;
    struct members m = {.s = s, .x = x, .plan = &plan, .id = s->n_helpers++};
    char extra[128];
    int rc = -1;
    if (is_free(x)) {
        return buf_printf(out, "%s-o", s->prefix);
    }
    m.min = shape_count(x, "minProperties", true, 0);
    m.max = shape_count(x, "maxProperties", false, SYNTAX_UNBOUNDED);
    if (m.min > m.max) {
        return buf_append_str(out, "[]");
    }
    if (object_plan_make(s, x, &plan) != 0 || write_extras(s, x, &plan, extra) != 0) {
        goto cleanup;
    }
    m.counted = m.max != SYNTAX_UNBOUNDED && (m.max < plan.n || extra[0]) ? m.max
                : m.min > 1                                               ? m.min
                                                                          : 1;
    m.counted = m.counted > plan.n ? (uint32_t)plan.n + (plan.n == 0) : m.counted;
    m.values = mem_zarray(plan.n + 1, sizeof(*m.values));
    if (!m.values) {
        err_nomem(s->e);
        goto cleanup;
    }
    rc = 0;
    for (size_t i = 0; i < plan.n; i++) {
        buf_init(&m.values[i], s->rules->max);
    }
    for (size_t i = 0; i < plan.n && rc == 0; i++) {
        rc = write_value(&m, i);
    }
    rc = rc == 0 ? write_members(&m, extra) : -1;
    buf_append_str(out, "\"{\" ");
    write_member_name(&m, out, 0, 0);
    buf_append_str(out, " \"}\"");
    for (size_t i = 0; i < plan.n; i++) {
        buf_deinit(&m.values[i]);
    }
cleanup:
    mem_free(m.values);
    object_plan_deinit(&plan);
    return rc;
}

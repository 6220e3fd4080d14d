/* Arrays: elements by place, then all others alike. */
#include <stdio.h>

#include "runtime/grammar/array.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/schema.h"

#define PLACES_MAX 5000

/* How many elements have a schema of their place, and whether others may follow. */
static size_t count_places(const struct shape *x, bool *others)
{
    size_t n = 0;
    bool described = false;
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *prefix = schema_get(x->parts.nodes[i], "prefixItems");
        const size_t own = prefix ? (size_t)cJSON_GetArraySize(prefix) : 0;
        n = own > n ? own : n;
        described |= schema_get(x->parts.nodes[i], "items") != NULL;
    }
    *others = described || n == 0 || shape_count(x, "minItems", true, 0) > n;
    return n;
}

/* The schemas of the element at `place`; SIZE_MAX: of those behind all places. */
static int element_schemas(struct schema *s, const struct shape *x, size_t place,
                           struct node_list *set)
{
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *part = x->parts.nodes[i];
        const cJSON *prefix = schema_get(part, "prefixItems");
        const cJSON *own =
            place <= INT32_MAX && prefix ? cJSON_GetArrayItem(prefix, (int)place) : NULL;
        const cJSON *element = own ? own : schema_get(part, "items");
        if (element && node_list_add(set, element, s->e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int write_element(struct schema *s, const struct shape *x, size_t place, struct buf *out)
{
    struct node_list set = {0};
    int rc = element_schemas(s, x, place, &set);
    rc = rc == 0 ? schema_write_rule(s, &set, out) : -1;
    node_list_deinit(&set);
    return rc;
}

/* Elements behind `n` that were written, `min` to `max` in all. */
static int write_others(struct schema *s, const struct shape *x, struct buf *out, size_t n,
                        uint32_t min, uint32_t max)
{
    const size_t first = n == 0; /* has no comma before it */
    const size_t more_min = min > n + first ? min - n - first : 0;
    if (max <= n) {
        buf_append_str(out, min <= n ? "\"\"" : "[]");
        return 0;
    }
    buf_append_char(out, '(');
    if (first && write_element(s, x, SIZE_MAX, out) != 0) {
        return -1;
    }
    buf_append_str(out, " (" JSON_RULES_COMMA " ");
    if (write_element(s, x, SIZE_MAX, out) != 0) {
        return -1;
    }
    if (max == SYNTAX_UNBOUNDED) {
        buf_printf(out, "){%zu,}", more_min);
    } else {
        buf_printf(out, "){%zu,%zu}", more_min, max - n - first);
    }
    buf_append_str(out, first && min == 0 ? ")?" : ")");
    return 0;
}

/* The element at a place and what follows it, as rules PREFIX-aID-PLACE. */
static int write_places(struct schema *s, const struct shape *x, size_t id, size_t n,
                        uint32_t min, uint32_t max, bool others)
{
    struct buf body;
    int rc = 0;
    buf_init(&body, s->rules->max);
    for (size_t i = 0; i <= n && rc == 0; i++) {
        buf_clear(&body);
        if (i == n) {
            rc = write_others(s, x, &body, n, min, others ? max : (uint32_t)n);
        } else if (i >= max) {
            buf_append_str(&body, min <= i ? "\"\"" : "[]");
        } else {
            buf_append_str(&body, i > 0 ? JSON_RULES_COMMA " " : "");
            rc = write_element(s, x, i, &body);
            buf_printf(&body, " %s-a%zu-%zu", s->prefix, id, i + 1);
            buf_append_str(&body, min <= i ? " | \"\"" : "");
        }
        buf_printf(s->rules, "%s-a%zu-%zu ::= ", s->prefix, id, i);
        buf_append(s->rules, body.data, body.len);
        buf_append_char(s->rules, '\n');
    }
    rc = rc == 0 && body.failed ? err_nomem(s->e) : rc;
    buf_deinit(&body);
    return rc;
}

static bool is_free(const struct shape *x)
{
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *part = x->parts.nodes[i];
        if (schema_get(part, "items") || schema_get(part, "prefixItems") ||
            schema_get(part, "minItems") || schema_get(part, "maxItems")) {
            return false;
        }
    }
    return true;
}

int schema_write_array(struct schema *s, const struct shape *x, struct buf *out)
{
    const uint32_t min = shape_count(x, "minItems", true, 0);
    uint32_t max = shape_count(x, "maxItems", false, SYNTAX_UNBOUNDED);
    bool others;
    const size_t n = count_places(x, &others);
    for (size_t i = 0; i < x->parts.n; i++) {
        if (cJSON_IsTrue(schema_get(x->parts.nodes[i], "uniqueItems")) && max > 1) {
            return schema_unsupported(s, x->parts.nodes[i], "uniqueItems",
                                      "that elements differ can not be enforced; leave it out");
        }
    }
    if (is_free(x)) {
        return buf_printf(out, "%s-a", s->prefix);
    }
    if (min > max) {
        return buf_append_str(out, "[]");
    }
    if (n > PLACES_MAX || min > GRAMMAR_REPEAT_MAX) {
        return err_set(s->e, ERR_LIMIT, "the schema is too complex: an array is too long");
    }
    if (max != SYNTAX_UNBOUNDED && max > GRAMMAR_REPEAT_MAX) {
        max = GRAMMAR_REPEAT_MAX;
    }
    const size_t id = s->n_helpers++;
    buf_printf(out, "\"[\" %s-a%zu-0 \"]\"", s->prefix, id);
    return write_places(s, x, id, n, min, max, others);
}

#include "runtime/grammar/syntax.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/array.h"

#define EXPRS_MAX  ((size_t)1 << 20)
#define RANGES_MAX ((size_t)1 << 20)
#define RULES_MAX  ((size_t)1 << 17)
#define BYTES_MAX  ((size_t)4 << 20)

void syntax_init(struct syntax *s)
{
    *s = (struct syntax){.root = SYNTAX_NONE};
    buf_init(&s->bytes, BYTES_MAX);
}

void syntax_deinit(struct syntax *s)
{
    mem_free(s->exprs);
    mem_free(s->ranges);
    mem_free(s->rules);
    mem_free(s->slots);
    buf_deinit(&s->bytes);
}

static uint32_t too_complex(struct err *e)
{
    err_set(e, ERR_LIMIT, "the grammar is too complex: it has too many rules or expressions");
    return SYNTAX_NONE;
}

static uint32_t no_memory(struct err *e)
{
    err_nomem(e);
    return SYNTAX_NONE;
}

uint32_t syntax_expr(struct syntax *s, struct expr expr, struct err *e)
{
    if (s->n_exprs >= EXPRS_MAX) {
        return too_complex(e);
    }
    if (ARRAY_RESERVE(s->exprs, s->cap_exprs, s->n_exprs + 1) != 0) {
        return no_memory(e);
    }
    expr.next = SYNTAX_NONE;
    s->exprs[s->n_exprs] = expr;
    return (uint32_t)s->n_exprs++;
}

uint32_t syntax_literal(struct syntax *s, const char *bytes, size_t len, struct err *e)
{
    const size_t at = s->bytes.len;
    if (len > BYTES_MAX - at) {
        return too_complex(e);
    }
    if (buf_append(&s->bytes, bytes, len) != 0) {
        return no_memory(e);
    }
    return syntax_expr(
        s, (struct expr){.kind = EXPR_LITERAL, .a = (uint32_t)at, .b = (uint32_t)len}, e);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

size_t char_ranges_normalize(struct char_range *ranges, size_t n)
{
    size_t kept = 0;
    if (n > 1) {
        qsort(ranges, n, sizeof(*ranges), compare_ranges);
    }
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && ranges[i].lo <= ranges[kept - 1].hi + 1) {
            if (ranges[i].hi > ranges[kept - 1].hi) {
                ranges[kept - 1].hi = ranges[i].hi;
            }
        } else {
            ranges[kept++] = ranges[i];
        }
    }
    return kept;
}

size_t char_ranges_negate(const struct char_range *ranges, size_t n, struct char_range *out)
{
    size_t n_out = 0;
    uint32_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].lo > from) {
            out[n_out++] = (struct char_range){from, ranges[i].lo - 1};
        }
        from = ranges[i].hi + 1;
    }
    if (from <= CODE_POINT_MAX) {
        out[n_out++] = (struct char_range){from, CODE_POINT_MAX};
    }
    return n_out;
}

uint32_t syntax_chars(struct syntax *s, struct char_range *ranges, size_t n, bool negated,
                      struct err *e)
{
    n = char_ranges_normalize(ranges, n);
    if (s->n_ranges + n + 1 > RANGES_MAX) {
        return too_complex(e);
    }
    if (ARRAY_RESERVE(s->ranges, s->cap_ranges, s->n_ranges + n + 1) != 0) {
        return no_memory(e);
    }
    const uint32_t at = (uint32_t)s->n_ranges;
    struct char_range *out = s->ranges + at;
    if (negated) {
        n = char_ranges_negate(ranges, n, out);
    } else if (n > 0) {
        memcpy(out, ranges, n * sizeof(*out));
    }
    s->n_ranges += n;
    return syntax_expr(s, (struct expr){.kind = EXPR_CHARS, .a = at, .b = (uint32_t)n}, e);
}

uint32_t syntax_repeat(struct syntax *s, uint32_t child, uint32_t lo, uint32_t hi,
                       struct err *e)
{
    return syntax_expr(
        s, (struct expr){.kind = EXPR_REPEAT, .a = child, .b = 0, .lo = lo, .hi = hi}, e);
}

void expr_list_add(struct syntax *s, struct expr_list *list, uint32_t child)
{
    if (list->n++ == 0) {
        list->first = child;
    } else {
        s->exprs[list->last].next = child;
    }
    list->last = child;
}

uint32_t syntax_seq(struct syntax *s, const struct expr_list *list, struct err *e)
{
    if (list->n == 0) {
        return syntax_literal(s, "", 0, e);
    }
    if (list->n == 1) {
        return list->first;
    }
    return syntax_expr(s, (struct expr){.kind = EXPR_SEQ, .a = list->first}, e);
}

uint32_t syntax_alt(struct syntax *s, const struct expr_list *list, struct err *e)
{
    if (list->n == 1) {
        return list->first;
    }
    return syntax_expr(s, (struct expr){.kind = EXPR_ALT, .a = list->first}, e);
}

static const char *rule_name(const struct syntax *s, const struct syntax_rule *rule)
{
    return s->bytes.data + rule->name;
}

static size_t slot_of(const struct syntax *s, const char *name, size_t len)
{
    size_t slot = hash_bytes(name, len) & (s->n_slots - 1);
    while (s->slots[slot] != 0) {
        const struct syntax_rule *rule = &s->rules[s->slots[slot] - 1];
        if (rule->name_len == len && memcmp(rule_name(s, rule), name, len) == 0) {
            break;
        }
        slot = (slot + 1) & (s->n_slots - 1);
    }
    return slot;
}

static int grow_slots(struct syntax *s)
{
    const size_t n = s->n_slots == 0 ? 64 : s->n_slots * 2;
    uint32_t *slots = mem_zarray(n, sizeof(*slots));
    if (!slots) {
        return -1;
    }
    mem_free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    for (size_t i = 0; i < s->n_rules; i++) {
        s->slots[slot_of(s, rule_name(s, &s->rules[i]), s->rules[i].name_len)] =
            (uint32_t)i + 1;
    }
    return 0;
}

uint32_t syntax_find_rule(struct syntax *s, const char *name, size_t len, uint32_t line,
                          struct err *e)
{
    if (s->n_rules * 2 >= s->n_slots && grow_slots(s) != 0) {
        return no_memory(e);
    }
    const size_t slot = slot_of(s, name, len);
    if (s->slots[slot] != 0) {
        return s->slots[slot] - 1;
    }
    if (s->n_rules >= RULES_MAX || len > BYTES_MAX - s->bytes.len) {
        return too_complex(e);
    }
    const uint32_t at = (uint32_t)s->bytes.len;
    if (ARRAY_RESERVE(s->rules, s->cap_rules, s->n_rules + 1) != 0 ||
        buf_append(&s->bytes, name, len) != 0) {
        return no_memory(e);
    }
    s->rules[s->n_rules] = (struct syntax_rule){
        .name = at, .name_len = (uint32_t)len, .body = SYNTAX_NONE, .line = line};
    s->slots[slot] = (uint32_t)++s->n_rules;
    return (uint32_t)s->n_rules - 1;
}

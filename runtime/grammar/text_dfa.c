#include "runtime/grammar/text_dfa.h"

#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/grammar/array.h"

/* No state: nothing can be accepted on this side of a pair any more. */
#define NONE UINT32_MAX

void text_dfa_deinit(struct text_dfa *d)
{
    mem_free(d->states);
    mem_free(d->edges);
    *d = (struct text_dfa){0};
}

int text_dfa_add_state(struct text_dfa *d, bool accepts, struct err *e)
{
    if (d->n_states >= TEXT_DFA_STATES_MAX) {
        return err_set(e, ERR_LIMIT,
                       "the patterns and lengths of a string together are too complex");
    }
    if (ARRAY_RESERVE(d->states, d->cap_states, d->n_states + 1) != 0) {
        return err_nomem(e);
    }
    d->states[d->n_states++] =
        (struct text_dfa_state){.first = (uint32_t)d->n_edges, .accepts = accepts};
    return 0;
}

int text_dfa_add_edge(struct text_dfa *d, uint32_t lo, uint32_t hi, uint32_t to, struct err *e)
{
    struct text_dfa_state *s = &d->states[d->n_states - 1];
    struct text_dfa_edge *last = s->n > 0 ? &d->edges[d->n_edges - 1] : NULL;
    if (last && last->to == to && last->hi + 1 == lo) {
        last->hi = hi;
        return 0;
    }
    if (d->n_edges >= TEXT_DFA_EDGES_MAX) {
        return err_set(e, ERR_LIMIT,
                       "the patterns and lengths of a string together are too complex");
    }
    if (ARRAY_RESERVE(d->edges, d->cap_edges, d->n_edges + 1) != 0) {
        return err_nomem(e);
    }
    d->edges[d->n_edges++] = (struct text_dfa_edge){lo, hi, to};
    s->n++;
    return 0;
}

/* Marks backwards from the accepting states: `into` is the edges sorted by target, by counting.
 */
static int mark_useful(const struct text_dfa *d, bool *useful)
{
    uint32_t *begin = mem_zarray(d->n_states + 1, sizeof(*begin));
    uint32_t *sources = mem_array(d->n_edges + 1, sizeof(*sources));
    uint32_t *pending = mem_array(d->n_states + 1, sizeof(*pending));
    const bool ok = begin && sources && pending;
    size_t n = 0;
    for (size_t i = 0; ok && i < d->n_edges; i++) {
        begin[d->edges[i].to + 1]++;
    }
    for (size_t i = 0; ok && i < d->n_states; i++) {
        begin[i + 1] += begin[i];
    }
    for (size_t s = d->n_states; ok && s > 0; s--) {
        const struct text_dfa_state *state = &d->states[s - 1];
        for (uint32_t i = 0; i < state->n; i++) {
            const uint32_t to = d->edges[state->first + i].to;
            sources[--begin[to + 1]] = (uint32_t)s - 1;
        }
        if (state->accepts) {
            useful[s - 1] = true;
            pending[n++] = (uint32_t)s - 1;
        }
    }
    /* Filling moved each begin[to + 1] down to where the sources of `to` begin. */
    while (ok && n > 0) {
        const uint32_t to = pending[--n];
        const uint32_t end = to + 2 <= d->n_states ? begin[to + 2] : (uint32_t)d->n_edges;
        for (uint32_t i = begin[to + 1]; i < end; i++) {
            if (!useful[sources[i]]) {
                useful[sources[i]] = true;
                pending[n++] = sources[i];
            }
        }
    }
    mem_free(begin);
    mem_free(sources);
    mem_free(pending);
    return ok ? 0 : -1;
}

int text_dfa_trim(struct text_dfa *d, struct err *e)
{
    bool *useful = mem_zarray(d->n_states + 1, sizeof(*useful));
    if (!useful || mark_useful(d, useful) != 0) {
        mem_free(useful);
        return err_nomem(e);
    }
    for (size_t s = 0; s < d->n_states; s++) {
        struct text_dfa_state *state = &d->states[s];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < state->n; i++) {
            const struct text_dfa_edge edge = d->edges[state->first + i];
            if (useful[edge.to]) {
                d->edges[state->first + kept++] = edge;
            }
        }
        state->n = kept;
    }
    mem_free(useful);
    return 0;
}

bool text_dfa_is_empty(const struct text_dfa *d)
{
    return !d->states[0].accepts && d->states[0].n == 0;
}

bool text_dfa_matches(const struct text_dfa *d, const char *text)
{
    const size_t len = strlen(text);
    uint32_t state = 0;
    for (size_t at = 0; at < len;) {
        uint32_t c, to = NONE;
        const int n = utf8_decode(text + at, len - at, &c);
        if (n <= 0) {
            return false;
        }
        at += (size_t)n;
        for (uint32_t i = 0; i < d->states[state].n && to == NONE; i++) {
            const struct text_dfa_edge *edge = &d->edges[d->states[state].first + i];
            to = c >= edge->lo && c <= edge->hi ? edge->to : NONE;
        }
        if (to == NONE) {
            return false;
        }
        state = to;
    }
    return d->states[state].accepts;
}

/* Pairs of states of a and b; the state of the result is the pair's number. */
struct pairs {
    struct pair {
        uint32_t a, b;
    } * list;
    size_t n, cap;
    uint32_t *slots; /* (n_slots) pair + 1 or 0 */
    size_t n_slots;
};

static size_t pair_slot(const struct pairs *p, struct pair x)
{
    size_t slot = hash_bytes(&x, sizeof(x)) & (p->n_slots - 1);
    while (p->slots[slot] != 0 && memcmp(&p->list[p->slots[slot] - 1], &x, sizeof(x)) != 0) {
        slot = (slot + 1) & (p->n_slots - 1);
    }
    return slot;
}

/* The number of a pair, NONE when out of memory. */
static uint32_t find_pair(struct pairs *p, uint32_t a, uint32_t b)
{
    const struct pair x = {a, b};
    if ((p->n + 1) * 2 > p->n_slots) {
        const size_t n = p->n_slots == 0 ? 256 : p->n_slots * 2;
        uint32_t *slots = mem_zarray(n, sizeof(*slots));
        if (!slots) {
            return NONE;
        }
        mem_free(p->slots);
        p->slots = slots;
        p->n_slots = n;
        for (size_t i = 0; i < p->n; i++) {
            slots[pair_slot(p, p->list[i])] = (uint32_t)i + 1;
        }
    }
    const size_t slot = pair_slot(p, x);
    if (p->slots[slot] == 0) {
        if (ARRAY_RESERVE(p->list, p->cap, p->n + 1) != 0) {
            return NONE;
        }
        p->list[p->n++] = x;
        p->slots[slot] = (uint32_t)p->n;
    }
    return p->slots[slot] - 1;
}

static bool pair_is_alive(uint32_t a, uint32_t b, enum text_dfa_op op)
{
    return op == TEXT_DFA_AND  ? a != NONE && b != NONE
           : op == TEXT_DFA_OR ? a != NONE || b != NONE
                               : a != NONE;
}

static bool pair_accepts(const struct text_dfa *a, const struct text_dfa *b, struct pair x,
                         enum text_dfa_op op)
{
    const bool in_a = x.a != NONE && a->states[x.a].accepts;
    const bool in_b = x.b != NONE && b->states[x.b].accepts;
    return op == TEXT_DFA_AND ? in_a && in_b : op == TEXT_DFA_OR ? in_a || in_b : in_a && !in_b;
}

/* The edges of one side of a pair, while both sides are swept from low characters to high. */
struct sweep {
    const struct text_dfa_edge *edge, *end;
};

static struct sweep sweep_begin(const struct text_dfa *d, uint32_t state)
{
    if (state == NONE || d->states[state].n == 0) {
        return (struct sweep){NULL, NULL};
    }
    const struct text_dfa_edge *first = d->edges + d->states[state].first;
    return (struct sweep){first, first + d->states[state].n};
}

/* Where characters from `at` on lead, and in *last the last for which that holds. */
static uint32_t sweep_to(struct sweep *s, uint32_t at, uint32_t *last)
{
    while (s->edge != s->end && s->edge->hi < at) {
        s->edge++;
    }
    if (s->edge == s->end) {
        return NONE;
    }
    if (s->edge->lo > at) {
        *last = s->edge->lo - 1 < *last ? s->edge->lo - 1 : *last;
        return NONE;
    }
    *last = s->edge->hi < *last ? s->edge->hi : *last;
    return s->edge->to;
}

static int combine_edges(struct text_dfa *d, struct pairs *pairs, const struct text_dfa *a,
                         const struct text_dfa *b, struct pair x, enum text_dfa_op op,
                         struct err *e)
{
    struct sweep in_a = sweep_begin(a, x.a), in_b = sweep_begin(b, x.b);
    for (uint32_t at = 0; at <= CODE_POINT_MAX;) {
        uint32_t last = CODE_POINT_MAX;
        const uint32_t to_a = sweep_to(&in_a, at, &last);
        const uint32_t to_b = sweep_to(&in_b, at, &last);
        if (pair_is_alive(to_a, to_b, op)) {
            const uint32_t to = find_pair(pairs, to_a, to_b);
            if (to == NONE) {
                return err_nomem(e);
            }
            if (text_dfa_add_edge(d, at, last, to, e) != 0) {
                return -1;
            }
        }
        at = last + 1;
    }
    return 0;
}

int text_dfa_combine(struct text_dfa *d, const struct text_dfa *a, const struct text_dfa *b,
                     enum text_dfa_op op, const struct budget *budget, struct err *e)
{
    struct pairs pairs = {0};
    int rc = -1;
    *d = (struct text_dfa){0};
    if (find_pair(&pairs, 0, 0) == NONE) {
        err_nomem(e);
        goto cleanup;
    }
    for (size_t i = 0; i < pairs.n; i++) {
        const struct pair x = pairs.list[i];
        if (i % 64 == 0 && budget_check(budget, e) != 0) {
            goto cleanup;
        }
        if (text_dfa_add_state(d, pair_accepts(a, b, x, op), e) != 0 ||
            combine_edges(d, &pairs, a, b, x, op, e) != 0) {
            goto cleanup;
        }
    }
    rc = text_dfa_trim(d, e);
cleanup:
    mem_free(pairs.list);
    mem_free(pairs.slots);
    if (rc != 0) {
        text_dfa_deinit(d);
    }
    return rc;
}

/* A character inside a class of a grammar. */
static void write_char(struct buf *rules, uint32_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
        buf_append_char(rules, (char)c);
    } else if (c < 0x100) {
        buf_printf(rules, "\\x%02X", c);
    } else if (c < 0x10000) {
        buf_printf(rules, "\\u%04X", c);
    } else {
        buf_printf(rules, "\\U%08X", c);
    }
}

static void write_range(struct buf *rules, uint32_t lo, uint32_t hi)
{
    if (lo > hi) {
        return;
    }
    write_char(rules, lo);
    if (hi > lo) {
        buf_append_char(rules, '-');
        write_char(rules, hi);
    }
}

/* What of a range may stand in a JSON string as it is (RFC 8259, section 7). */
static void write_plain(struct buf *rules, uint32_t lo, uint32_t hi)
{
    static const struct char_range plain[] = {
        {0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, 0xD7FF}, {0xE000, CODE_POINT_MAX}};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        write_range(rules, lo > plain[i].lo ? lo : plain[i].lo,
                    hi < plain[i].hi ? hi : plain[i].hi);
    }
}

/* What must be escaped, in its shortest form. U+0000 is left out: see json_schema.h. */
static void write_escaped(struct buf *rules, uint32_t lo, uint32_t hi)
{
    static const char short_forms[] = "\bb\ff\nn\rr\tt";
    for (uint32_t c = lo > 0 ? lo : 1; c <= hi && c < 0x20; c++) {
        const char *form = short_forms;
        while (*form && (uint32_t)form[0] != c) {
            form += 2;
        }
        if (*form) {
            buf_printf(rules, " | \"\\\\%c\"", form[1]);
        } else {
            buf_printf(rules, " | \"\\\\u%04x\"", c);
        }
    }
    if (lo <= '"' && '"' <= hi) {
        buf_append_str(rules, " | \"\\\\\\\"\"");
    }
    if (lo <= '\\' && '\\' <= hi) {
        buf_append_str(rules, " | \"\\\\\\\\\"");
    }
}

int text_dfa_to_gbnf(const struct text_dfa *d, const char *prefix, struct buf *rules)
{
    for (size_t s = 0; s < d->n_states; s++) {
        const struct text_dfa_state *state = &d->states[s];
        buf_printf(rules, "%s%zu ::= %s", prefix, s, state->accepts ? "\"\"" : "[]");
        for (uint32_t i = 0; i < state->n; i++) {
            const struct text_dfa_edge *edge = &d->edges[state->first + i];
            buf_append_str(rules, " | ([");
            write_plain(rules, edge->lo, edge->hi);
            buf_append_str(rules, "]");
            write_escaped(rules, edge->lo, edge->hi);
            buf_printf(rules, ") %s%u", prefix, edge->to);
        }
        buf_append_char(rules, '\n');
    }
    return rules->failed ? -1 : 0;
}

/* Automata over characters from expressions, lists and lengths (text_dfa.h). */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/grammar/array.h"
#include "runtime/grammar/regex.h"
#include "runtime/grammar/text_dfa.h"

#define NONE      UINT32_MAX
#define NODES_MAX 50000

enum nfa_kind { NFA_CHARS, NFA_SPLIT, NFA_BEGIN, NFA_END, NFA_MATCH };

struct nfa_node {
    enum nfa_kind kind;
    uint32_t expr;  /* NFA_CHARS */
    uint32_t to[2]; /* the second for NFA_SPLIT alone, or NONE */
};

struct builder {
    const struct syntax *s;
    struct nfa_node *nodes;
    size_t n_nodes, cap_nodes;
    uint32_t start;
    /* Sets of nodes, one a state: all in a row, where each begins, and by hash. */
    uint32_t *sets;
    size_t n_sets, cap_sets;
    uint32_t *begin;
    size_t n_begin, cap_begin;
    uint32_t *slots;
    size_t n_slots;
    /* Working memory: the set that is being made. */
    uint32_t *set, *pending;
    uint32_t *seen; /* (n_nodes) stamp */
    uint32_t stamp;
    size_t n_set, n_pending;
    bool matched;
    struct char_range *cuts;
    size_t cap_cuts;
    const struct budget *budget;
    struct err *e;
};

static uint32_t build_expr(struct builder *b, uint32_t expr, uint32_t next);

static uint32_t add_node(struct builder *b, enum nfa_kind kind, uint32_t expr, uint32_t to,
                         uint32_t or_to)
{
    if (b->n_nodes >= NODES_MAX) {
        err_set(b->e, ERR_LIMIT, "the pattern is too complex");
        return NONE;
    }
    if (ARRAY_RESERVE(b->nodes, b->cap_nodes, b->n_nodes + 1) != 0) {
        err_nomem(b->e);
        return NONE;
    }
    b->nodes[b->n_nodes] = (struct nfa_node){kind, expr, {to, or_to}};
    return (uint32_t)b->n_nodes++;
}

/* Children from last to first. The list is short or its tail is what recursion costs anyway. */
static uint32_t build_seq(struct builder *b, uint32_t child, uint32_t next)
{
    uint32_t *children = NULL;
    size_t n = 0, cap = 0;
    for (; child != SYNTAX_NONE; child = b->s->exprs[child].next) {
        if (ARRAY_RESERVE(children, cap, n + 1) != 0) {
            mem_free(children);
            err_nomem(b->e);
            return NONE;
        }
        children[n++] = child;
    }
    while (n > 0 && next != NONE) {
        next = build_expr(b, children[--n], next);
    }
    mem_free(children);
    return next;
}

static uint32_t build_alt(struct builder *b, uint32_t child, uint32_t next)
{
    uint32_t node = NONE;
    for (; child != SYNTAX_NONE; child = b->s->exprs[child].next) {
        const uint32_t one = build_expr(b, child, next);
        node = one == NONE ? NONE : add_node(b, NFA_SPLIT, 0, one, node);
        if (node == NONE) {
            return NONE;
        }
    }
    return node;
}

/* Counted turns are copies here. */
static uint32_t build_repeat(struct builder *b, const struct expr *x, uint32_t next)
{
    if (x->hi == SYNTAX_UNBOUNDED) {
        const uint32_t loop = add_node(b, NFA_SPLIT, 0, NONE, next);
        const uint32_t body = loop == NONE ? NONE : build_expr(b, x->a, loop);
        if (body == NONE) {
            return NONE;
        }
        b->nodes[loop].to[0] = body;
        next = loop;
    } else {
        const uint32_t end = next;
        for (uint32_t i = x->lo; i < x->hi && next != NONE; i++) {
            const uint32_t body = build_expr(b, x->a, next);
            next = body == NONE ? NONE : add_node(b, NFA_SPLIT, 0, body, end);
        }
    }
    for (uint32_t i = 0; i < x->lo && next != NONE; i++) {
        next = build_expr(b, x->a, next);
    }
    return next;
}

static uint32_t build_expr(struct builder *b, uint32_t expr, uint32_t next)
{
    const struct expr *x = &b->s->exprs[expr];
    switch (x->kind) {
    case EXPR_CHARS:
        return add_node(b, NFA_CHARS, expr, next, NONE);
    case EXPR_SEQ:
        return build_seq(b, x->a, next);
    case EXPR_ALT:
        return build_alt(b, x->a, next);
    case EXPR_REPEAT:
        return build_repeat(b, x, next);
    case EXPR_BEGIN:
        return add_node(b, NFA_BEGIN, 0, next, NONE);
    case EXPR_END:
        return add_node(b, NFA_END, 0, next, NONE);
    case EXPR_LITERAL: /* of a regular expression: the empty one */
    case EXPR_CALL:
        break;
    }
    return next;
}

static void push(struct builder *b, uint32_t node)
{
    if (node != NONE && b->seen[node] != b->stamp) {
        b->seen[node] = b->stamp;
        b->pending[b->n_pending++] = node;
    }
}

/* Follows what reads nothing. `^` and `$` let through where the text begins or ends. */
static void close_set(struct builder *b, bool at_begin, bool at_end)
{
    while (b->n_pending > 0) {
        const uint32_t node = b->pending[--b->n_pending];
        const struct nfa_node *n = &b->nodes[node];
        if (n->kind == NFA_SPLIT || (n->kind == NFA_BEGIN && at_begin) ||
            (n->kind == NFA_END && at_end)) {
            push(b, n->to[0]);
            push(b, n->to[1]);
        }
        if (n->kind == NFA_CHARS || n->kind == NFA_END) {
            b->set[b->n_set++] = node;
        }
        b->matched |= n->kind == NFA_MATCH;
    }
}

static void begin_set(struct builder *b)
{
    b->stamp++;
    b->n_set = 0;
    b->matched = false;
}

static int compare_nodes(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t set_slot(const struct builder *b, const uint32_t *set, size_t n)
{
    size_t slot = hash_bytes(set, n * sizeof(*set)) & (b->n_slots - 1);
    for (; b->slots[slot] != 0; slot = (slot + 1) & (b->n_slots - 1)) {
        const uint32_t i = b->slots[slot] - 1;
        if (b->begin[i + 1] - b->begin[i] == n &&
            (n == 0 || memcmp(b->sets + b->begin[i], set, n * sizeof(*set)) == 0)) {
            break;
        }
    }
    return slot;
}

static int grow_slots(struct builder *b)
{
    const size_t n = b->n_slots == 0 ? 256 : b->n_slots * 2;
    uint32_t *slots = mem_zarray(n, sizeof(*slots));
    if (!slots) {
        return err_nomem(b->e);
    }
    mem_free(b->slots);
    b->slots = slots;
    b->n_slots = n;
    for (size_t i = 0; i + 1 < b->n_begin; i++) {
        slots[set_slot(b, b->sets + b->begin[i], b->begin[i + 1] - b->begin[i])] =
            (uint32_t)i + 1;
    }
    return 0;
}

/* The number of the set that was made, NONE on failure. A set that has matched is the one with
 * the match alone: whatever follows, the expression has been found. */
static uint32_t intern_set(struct builder *b)
{
    if (b->matched) {
        b->set[0] = NONE;
        b->n_set = 1;
    }
    qsort(b->set, b->n_set, sizeof(*b->set), compare_nodes);
    if (b->n_begin * 2 >= b->n_slots && grow_slots(b) != 0) {
        return NONE;
    }
    const size_t slot = set_slot(b, b->set, b->n_set);
    if (b->slots[slot] == 0) {
        if (ARRAY_RESERVE(b->sets, b->cap_sets, b->n_sets + b->n_set + 1) != 0 ||
            ARRAY_RESERVE(b->begin, b->cap_begin, b->n_begin + 1) != 0) {
            err_nomem(b->e);
            return NONE;
        }
        memcpy(b->sets + b->n_sets, b->set, b->n_set * sizeof(*b->set));
        b->n_sets += b->n_set;
        b->begin[b->n_begin] = (uint32_t)b->n_sets;
        b->slots[slot] = (uint32_t)b->n_begin++;
    }
    return b->slots[slot] - 1;
}

static bool is_matched(const struct builder *b, size_t set)
{
    return b->begin[set + 1] == b->begin[set] + 1 && b->sets[b->begin[set]] == NONE;
}

/* Whether the text may end here: `$` lets through now. */
static bool matches_at_end(struct builder *b, size_t set)
{
    begin_set(b);
    for (uint32_t i = b->begin[set]; i < b->begin[set + 1]; i++) {
        push(b, b->sets[i]);
    }
    close_set(b, set == 0, true);
    return b->matched;
}

static bool has_char(const struct builder *b, const struct nfa_node *n, uint32_t c)
{
    const struct expr *x = &b->s->exprs[n->expr];
    for (uint32_t i = 0; i < x->b; i++) {
        const struct char_range *r = &b->s->ranges[x->a + i];
        if (c >= r->lo && c <= r->hi) {
            return true;
        }
    }
    return false;
}

static int compare_cuts(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Characters at which some node of the set begins or ceases to match, sorted; in cuts[].lo. */
static int find_cuts(struct builder *b, size_t set, size_t *n)
{
    *n = 0;
    for (uint32_t i = b->begin[set]; i < b->begin[set + 1]; i++) {
        const struct nfa_node *node = &b->nodes[b->sets[i]];
        const struct expr *x = &b->s->exprs[node->expr];
        if (node->kind != NFA_CHARS) {
            continue;
        }
        if (ARRAY_RESERVE(b->cuts, b->cap_cuts, *n + 2 * (size_t)x->b + 1) != 0) {
            return err_nomem(b->e);
        }
        for (uint32_t k = 0; k < x->b; k++) {
            const struct char_range *r = &b->s->ranges[x->a + k];
            b->cuts[(*n)++].lo = r->lo;
            b->cuts[(*n)++].lo = r->hi + 1;
        }
    }
    if (ARRAY_RESERVE(b->cuts, b->cap_cuts, *n + 1) != 0) {
        return err_nomem(b->e);
    }
    b->cuts[(*n)++].lo = 0;
    qsort(b->cuts, *n, sizeof(*b->cuts), compare_cuts);
    return 0;
}

static int build_edges(struct builder *b, struct text_dfa *d, size_t set)
{
    size_t n;
    if (is_matched(b, set)) {
        return text_dfa_add_edge(d, 0, CODE_POINT_MAX, (uint32_t)set, b->e);
    }
    if (find_cuts(b, set, &n) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t lo = b->cuts[i].lo;
        const uint32_t hi = i + 1 < n ? b->cuts[i + 1].lo - 1 : CODE_POINT_MAX;
        if (lo > CODE_POINT_MAX || (i + 1 < n && b->cuts[i + 1].lo == lo)) {
            continue;
        }
        begin_set(b);
        for (uint32_t k = b->begin[set]; k < b->begin[set + 1]; k++) {
            const struct nfa_node *node = &b->nodes[b->sets[k]];
            if (node->kind == NFA_CHARS && has_char(b, node, lo)) {
                push(b, node->to[0]);
            }
        }
        push(b, b->start); /* the expression may begin anywhere */
        close_set(b, false, false);
        const uint32_t to = intern_set(b);
        if (to == NONE || text_dfa_add_edge(d, lo, hi, to, b->e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Subsets of nodes become states, in the order in which they are found. */
static int determinize(struct builder *b, struct text_dfa *d)
{
    if (ARRAY_RESERVE(b->begin, b->cap_begin, 1) != 0 ||
        ARRAY_RESERVE(b->sets, b->cap_sets, 1) != 0) {
        return err_nomem(b->e);
    }
    b->begin[b->n_begin++] = 0;
    begin_set(b);
    push(b, b->start);
    close_set(b, true, false);
    if (intern_set(b) == NONE) {
        return -1;
    }
    for (size_t set = 0; set + 1 < b->n_begin; set++) {
        if (budget_check(b->budget, b->e) != 0) {
            return -1;
        }
        const bool accepts = is_matched(b, set) || matches_at_end(b, set);
        if (text_dfa_add_state(d, accepts, b->e) != 0 || build_edges(b, d, set) != 0) {
            return -1;
        }
    }
    return text_dfa_trim(d, b->e);
}

int text_dfa_from_regex(struct text_dfa *d, const char *pattern, size_t len,
                        const struct budget *budget, struct err *e)
{
    struct syntax s;
    struct builder b = {.s = &s, .budget = budget, .e = e};
    uint32_t expr;
    int rc = -1;
    syntax_init(&s);
    *d = (struct text_dfa){0};
    if (regex_parse(pattern, len, &s, &expr, e) != 0) {
        goto cleanup;
    }
    const uint32_t match = add_node(&b, NFA_MATCH, 0, NONE, NONE);
    b.start = match != NONE ? build_expr(&b, expr, match) : NONE;
    if (b.start == NONE) {
        goto cleanup;
    }
    b.set = mem_array(b.n_nodes + 1, sizeof(*b.set));
    b.pending = mem_array(b.n_nodes + 1, sizeof(*b.pending));
    b.seen = mem_zarray(b.n_nodes + 1, sizeof(*b.seen));
    if (!b.set || !b.pending || !b.seen) {
        err_nomem(e);
        goto cleanup;
    }
    rc = determinize(&b, d);
cleanup:
    syntax_deinit(&s);
    mem_free(b.nodes);
    mem_free(b.sets);
    mem_free(b.begin);
    mem_free(b.slots);
    mem_free(b.set);
    mem_free(b.pending);
    mem_free(b.seen);
    mem_free(b.cuts);
    if (rc != 0) {
        text_dfa_deinit(d);
    }
    return rc;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Texts first to first + n, sorted, agree in their first `at` bytes, whole characters: makes
 * the state for them. States of one level follow each other, so `pending` is a queue. */
struct text_group {
    const char *const *texts;
    size_t n, at;
};

static int add_groups(struct text_dfa *d, struct text_group **queue, size_t *n, size_t *cap,
                      struct text_group g, struct err *e)
{
    size_t i = 0;
    bool ends = false;
    for (; i < g.n && g.texts[i][g.at] == '\0'; i++) {
        ends = true;
    }
    if (text_dfa_add_state(d, ends, e) != 0) {
        return -1;
    }
    while (i < g.n) {
        const char *first = g.texts[i];
        uint32_t c;
        const int len = utf8_decode(first + g.at, strlen(first + g.at), &c);
        size_t end = i + 1;
        if (len <= 0) {
            return err_set(e, ERR_INVALID, "a text is not valid UTF-8");
        }
        while (end < g.n && strncmp(g.texts[end] + g.at, first + g.at, (size_t)len) == 0) {
            end++;
        }
        if (text_dfa_add_edge(d, c, c, (uint32_t)*n, e) != 0) {
            return -1;
        }
        if (ARRAY_RESERVE(*queue, *cap, *n + 1) != 0) {
            return err_nomem(e);
        }
        (*queue)[(*n)++] = (struct text_group){g.texts + i, end - i, g.at + (size_t)len};
        i = end;
    }
    return 0;
}

int text_dfa_from_texts(struct text_dfa *d, const char *const *texts, size_t n, struct err *e)
{
    const char **sorted = mem_array(n + 1, sizeof(*sorted));
    struct text_group *queue = NULL;
    size_t n_queue = 0, cap = 0;
    int rc = -1;
    *d = (struct text_dfa){0};
    if (!sorted || ARRAY_RESERVE(queue, cap, 1) != 0) {
        err_nomem(e);
        goto cleanup;
    }
    if (n > 0) {
        memcpy(sorted, texts, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), compare_texts);
    }
    queue[n_queue++] = (struct text_group){sorted, n, 0};
    for (size_t i = 0; i < n_queue; i++) {
        if (add_groups(d, &queue, &n_queue, &cap, queue[i], e) != 0) {
            goto cleanup;
        }
    }
    rc = 0;
cleanup:
    mem_free(sorted);
    mem_free(queue);
    if (rc != 0) {
        text_dfa_deinit(d);
    }
    return rc;
}

int text_dfa_from_length(struct text_dfa *d, uint32_t lo, uint32_t hi, struct err *e)
{
    const uint32_t last = hi == SYNTAX_UNBOUNDED ? lo : hi;
    int rc = 0;
    *d = (struct text_dfa){0};
    for (uint32_t i = 0; i <= last && rc == 0; i++) {
        rc = text_dfa_add_state(d, i >= lo, e);
        if (rc == 0 && (i < last || hi == SYNTAX_UNBOUNDED)) {
            rc = text_dfa_add_edge(d, 0, CODE_POINT_MAX, i < last ? i + 1 : last, e);
        }
    }
    if (rc != 0) {
        text_dfa_deinit(d);
    }
    return rc;
}

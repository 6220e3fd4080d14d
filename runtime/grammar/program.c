#include "runtime/grammar/program.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/array.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/program_check.h"
#include "runtime/grammar/utf8_ranges.h"

#define NO_NODE UINT32_MAX
/* From so many literal alternatives on, they become a prefix tree. */
#define TREE_MIN 4

/* Compiles from right to left: each compile_* function is given the node that follows and
 * returns the node to begin at, NO_NODE when it failed. */
struct compiler {
    struct program *p;
    const struct syntax *s;
    const struct budget *budget;
    struct err *e;
};

static uint32_t compile_expr(struct compiler *c, uint32_t expr, uint32_t next);

static uint32_t no_memory(struct compiler *c)
{
    err_nomem(c->e);
    return NO_NODE;
}

static uint32_t add_node(struct compiler *c, struct node node)
{
    struct program *p = c->p;
    if (p->n_nodes >= GRAMMAR_NODES_MAX) {
        err_set(c->e, ERR_LIMIT,
                "the schema or grammar is too complex: it needs more than %d automaton nodes",
                GRAMMAR_NODES_MAX);
        return NO_NODE;
    }
    if (p->n_nodes % 1024 == 0 && budget_check(c->budget, c->e) != 0) {
        return NO_NODE;
    }
    if (ARRAY_RESERVE(p->nodes, p->cap_nodes, p->n_nodes + 1) != 0) {
        return no_memory(c);
    }
    p->nodes[p->n_nodes] = node;
    return (uint32_t)p->n_nodes++;
}

/* A node that reads one byte by n sorted edges. */
static uint32_t add_bytes(struct compiler *c, const struct edge *edges, size_t n)
{
    struct program *p = c->p;
    const uint32_t at = (uint32_t)p->n_edges;
    if (ARRAY_RESERVE(p->edges, p->cap_edges, p->n_edges + n) != 0) {
        return no_memory(c);
    }
    if (n > 0) {
        memcpy(p->edges + at, edges, n * sizeof(*edges));
    }
    p->n_edges += n;
    return add_node(c, (struct node){.kind = NODE_BYTES, .a = at, .b = (uint32_t)n});
}

/* A split to n targets that are filled in later. */
static uint32_t add_split(struct compiler *c, size_t n)
{
    struct program *p = c->p;
    const uint32_t at = (uint32_t)p->n_targets;
    if (ARRAY_RESERVE(p->targets, p->cap_targets, p->n_targets + n) != 0) {
        return no_memory(c);
    }
    p->n_targets += n;
    return add_node(c, (struct node){.kind = NODE_SPLIT, .a = at, .b = (uint32_t)n});
}

static uint32_t *targets_of(struct compiler *c, uint32_t split)
{
    return c->p->targets + c->p->nodes[split].a;
}

static uint32_t compile_literal(struct compiler *c, const struct expr *x, uint32_t next)
{
    const uint8_t *bytes = (const uint8_t *)c->s->bytes.data + x->a;
    for (uint32_t i = x->b; i > 0 && next != NO_NODE; i--) {
        const struct edge edge = {bytes[i - 1], bytes[i - 1], next};
        next = add_bytes(c, &edge, 1);
    }
    return next;
}

/* The bytes behind the first of a sequence, as nodes. Sequences of one class share tails: they
 * are found among the nodes made since `since`. */
static uint32_t compile_tail(struct compiler *c, const struct utf8_sequence *seq, size_t since,
                             uint32_t next)
{
    for (int i = seq->n - 1; i > 0 && next != NO_NODE; i--) {
        const struct edge edge = {seq->lo[i], seq->hi[i], next};
        const struct program *p = c->p;
        uint32_t found = NO_NODE;
        for (size_t k = since; k < p->n_nodes && found == NO_NODE; k++) {
            const struct edge *have = &p->edges[p->nodes[k].a];
            if (have->lo == edge.lo && have->hi == edge.hi && have->to == next) {
                found = (uint32_t)k;
            }
        }
        next = found != NO_NODE ? found : add_bytes(c, &edge, 1);
    }
    return next;
}

/* Two sequences may have first bytes in common and differ later, so one byte may take several
 * edges. */
static uint32_t compile_chars(struct compiler *c, const struct expr *x, uint32_t next)
{
    struct edge *edges = NULL;
    size_t n = 0, cap = 0;
    const size_t since = c->p->n_nodes;
    uint32_t node = NO_NODE;
    for (uint32_t i = 0; i < x->b; i++) {
        struct utf8_sequence seqs[UTF8_SEQUENCES_MAX];
        const struct char_range *range = &c->s->ranges[x->a + i];
        const size_t n_seqs = utf8_ranges(range->lo, range->hi, seqs);
        if (ARRAY_RESERVE(edges, cap, n + n_seqs) != 0) {
            no_memory(c);
            goto cleanup;
        }
        for (size_t k = 0; k < n_seqs; k++) {
            const uint32_t to = compile_tail(c, &seqs[k], since, next);
            if (to == NO_NODE) {
                goto cleanup;
            }
            edges[n++] = (struct edge){seqs[k].lo[0], seqs[k].hi[0], to};
        }
    }
    node = add_bytes(c, edges, n);
cleanup:
    mem_free(edges);
    return node;
}

static uint32_t compile_seq(struct compiler *c, const struct expr *x, uint32_t next)
{
    uint32_t *children = NULL;
    size_t n = 0, cap = 0;
    for (uint32_t k = x->a; k != SYNTAX_NONE; k = c->s->exprs[k].next) {
        if (ARRAY_RESERVE(children, cap, n + 1) != 0) {
            mem_free(children);
            return no_memory(c);
        }
        children[n++] = k;
    }
    while (n > 0 && next != NO_NODE) {
        next = compile_expr(c, children[--n], next);
    }
    mem_free(children);
    return next;
}

struct text {
    const uint8_t *bytes;
    uint32_t len;
};

static int compare_texts(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    const uint32_t n = x->len < y->len ? x->len : y->len;
    const int order = n > 0 ? memcmp(x->bytes, y->bytes, n) : 0;
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static uint32_t compile_tree(struct compiler *c, const struct text *texts, size_t n,
                             uint32_t depth, uint32_t next);

/* The node for texts that agree in their first `depth` bytes and all go on. */
static uint32_t compile_branches(struct compiler *c, const struct text *texts, size_t n,
                                 uint32_t depth, uint32_t next)
{
    struct edge *edges = NULL;
    size_t n_edges = 0, cap = 0;
    uint32_t node = NO_NODE;
    for (size_t i = 0; i < n;) {
        const uint8_t byte = texts[i].bytes[depth];
        size_t end = i + 1;
        while (end < n && texts[end].bytes[depth] == byte) {
            end++;
        }
        if (ARRAY_RESERVE(edges, cap, n_edges + 1) != 0) {
            no_memory(c);
            goto cleanup;
        }
        const uint32_t to = compile_tree(c, texts + i, end - i, depth + 1, next);
        if (to == NO_NODE) {
            goto cleanup;
        }
        edges[n_edges++] = (struct edge){byte, byte, to};
        i = end;
    }
    node = add_bytes(c, edges, n_edges);
cleanup:
    mem_free(edges);
    return node;
}

/* Sorted texts as a prefix tree, so that one state stands for all that begin alike. Recursion
 * is as deep as there are branchings on a path. */
static uint32_t compile_tree(struct compiler *c, const struct text *texts, size_t n,
                             uint32_t depth, uint32_t next)
{
    const struct text *first = &texts[0], *last = &texts[n - 1];
    uint32_t common = depth;
    while (common < first->len && first->bytes[common] == last->bytes[common]) {
        common++;
    }
    size_t ended = 0;
    while (ended < n && texts[ended].len == common) {
        ended++;
    }
    uint32_t node = next;
    if (ended < n) {
        node = compile_branches(c, texts + ended, n - ended, common, next);
        if (node != NO_NODE && ended > 0) {
            const uint32_t branches = node;
            node = add_split(c, 2);
            if (node != NO_NODE) {
                targets_of(c, node)[0] = branches;
                targets_of(c, node)[1] = next;
            }
        }
    }
    for (; common > depth && node != NO_NODE; common--) {
        const struct edge edge = {first->bytes[common - 1], first->bytes[common - 1], node};
        node = add_bytes(c, &edge, 1);
    }
    return node;
}

/* The literals among the children of x, sorted, and how many the others are. */
static int gather_literals(struct compiler *c, const struct expr *x, struct text **texts,
                           size_t *n, size_t *n_others)
{
    size_t cap = 0;
    *texts = NULL;
    *n = *n_others = 0;
    for (uint32_t k = x->a; k != SYNTAX_NONE; k = c->s->exprs[k].next) {
        const struct expr *child = &c->s->exprs[k];
        if (child->kind != EXPR_LITERAL) {
            ++*n_others;
            continue;
        }
        if (ARRAY_RESERVE(*texts, cap, *n + 1) != 0) {
            return err_nomem(c->e);
        }
        (*texts)[(*n)++] =
            (struct text){(const uint8_t *)c->s->bytes.data + child->a, child->b};
    }
    if (*n > 1) {
        qsort(*texts, *n, sizeof(**texts), compare_texts);
    }
    return 0;
}

static uint32_t compile_alt(struct compiler *c, const struct expr *x, uint32_t next)
{
    struct text *texts;
    size_t n_texts, n_others;
    uint32_t split = NO_NODE;
    if (gather_literals(c, x, &texts, &n_texts, &n_others) != 0) {
        goto cleanup;
    }
    const bool tree = n_texts >= TREE_MIN;
    const size_t n = n_others + (tree ? 1 : n_texts);
    split = add_split(c, n);
    size_t filled = 0;
    if (split != NO_NODE && tree) {
        const uint32_t root = compile_tree(c, texts, n_texts, 0, next);
        targets_of(c, split)[filled++] = root;
        split = root == NO_NODE ? NO_NODE : split;
    }
    for (uint32_t k = x->a; k != SYNTAX_NONE && split != NO_NODE; k = c->s->exprs[k].next) {
        if (tree && c->s->exprs[k].kind == EXPR_LITERAL) {
            continue;
        }
        const uint32_t target = compile_expr(c, k, next);
        targets_of(c, split)[filled++] = target;
        split = target == NO_NODE ? NO_NODE : split;
    }
cleanup:
    mem_free(texts);
    return split;
}

/* x* and x+, without a counter. */
static uint32_t compile_unbounded(struct compiler *c, const struct expr *x, uint32_t next)
{
    const uint32_t split = add_split(c, 2);
    const uint32_t body = split != NO_NODE ? compile_expr(c, x->a, split) : NO_NODE;
    if (body == NO_NODE) {
        return NO_NODE;
    }
    targets_of(c, split)[0] = body;
    targets_of(c, split)[1] = next;
    return x->lo == 0 ? split : body;
}

static uint32_t compile_optional(struct compiler *c, const struct expr *x, uint32_t next)
{
    const uint32_t split = add_split(c, 2);
    const uint32_t body = split != NO_NODE ? compile_expr(c, x->a, next) : NO_NODE;
    if (body == NO_NODE) {
        return NO_NODE;
    }
    targets_of(c, split)[0] = body;
    targets_of(c, split)[1] = next;
    return split;
}

static uint32_t compile_counted(struct compiler *c, const struct expr *x, uint32_t next)
{
    const uint32_t end = add_node(c, (struct node){.kind = NODE_RETURN});
    const uint32_t body = end != NO_NODE ? compile_expr(c, x->a, end) : NO_NODE;
    if (body == NO_NODE) {
        return NO_NODE;
    }
    return add_node(
        c, (struct node){.kind = NODE_LOOP, .a = body, .b = next, .lo = x->lo, .hi = x->hi});
}

static uint32_t compile_repeat(struct compiler *c, const struct expr *x, uint32_t next)
{
    if (x->hi == 0) {
        return next;
    }
    if (x->hi == 1) {
        return x->lo == 1 ? compile_expr(c, x->a, next) : compile_optional(c, x, next);
    }
    if (x->hi == SYNTAX_UNBOUNDED && x->lo <= 1) {
        return compile_unbounded(c, x, next);
    }
    return compile_counted(c, x, next);
}

static uint32_t compile_expr(struct compiler *c, uint32_t expr, uint32_t next)
{
    const struct expr *x = &c->s->exprs[expr];
    switch (x->kind) {
    case EXPR_LITERAL:
        return compile_literal(c, x, next);
    case EXPR_CHARS:
        return compile_chars(c, x, next);
    case EXPR_CALL:
        return add_node(c, (struct node){.kind = NODE_CALL,
                                         .a = x->a,
                                         .b = next,
                                         .tail = c->p->nodes[next].kind == NODE_RETURN});
    case EXPR_SEQ:
        return compile_seq(c, x, next);
    case EXPR_ALT:
        return compile_alt(c, x, next);
    case EXPR_REPEAT:
        return compile_repeat(c, x, next);
    case EXPR_BEGIN:
    case EXPR_END:
        break; /* regex.h leaves none behind */
    }
    return next;
}

/* Bytes that no edge tells apart become one class. */
static void find_classes(struct program *p)
{
    bool begins[257] = {true};
    for (size_t i = 0; i < p->n_edges; i++) {
        begins[p->edges[i].lo] = true;
        begins[p->edges[i].hi + 1] = true;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        if (begins[byte]) {
            p->class_byte[p->n_classes++] = (uint8_t)byte;
        }
        p->byte_class[byte] = (uint8_t)(p->n_classes - 1);
    }
}

int program_compile(struct program *p, const struct syntax *s, const struct budget *budget,
                    struct err *e)
{
    struct compiler c = {p, s, budget, e};
    *p = (struct program){.n_rules = s->n_rules, .root = s->root};
    p->entries = mem_array(s->n_rules, sizeof(*p->entries));
    if (!p->entries) {
        err_nomem(e);
        goto fail;
    }
    for (size_t i = 0; i < s->n_rules; i++) {
        const uint32_t end = add_node(&c, (struct node){.kind = NODE_RETURN});
        p->entries[i] = end != NO_NODE ? compile_expr(&c, s->rules[i].body, end) : NO_NODE;
        if (p->entries[i] == NO_NODE) {
            goto fail;
        }
    }
    if (program_check(p, s, budget, e) != 0) {
        goto fail;
    }
    find_classes(p);
    return 0;
fail:
    program_deinit(p);
    return -1;
}

void program_deinit(struct program *p)
{
    mem_free(p->nodes);
    mem_free(p->edges);
    mem_free(p->targets);
    mem_free(p->entries);
    *p = (struct program){0};
}

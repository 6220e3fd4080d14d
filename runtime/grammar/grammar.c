#include "runtime/grammar/grammar.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/grammar_cache.h"
#include "runtime/grammar/json_schema.h"
#include "runtime/grammar/regex.h"

#define CHOICES_MAX 100000

struct grammar *grammar_from_program(struct program *p, struct err *e)
{
    struct grammar *g = mem_zalloc(sizeof(*g));
    if (!g || pthread_mutex_init(&g->lock, NULL) != 0) {
        mem_free(g);
        program_deinit(p);
        err_nomem(e);
        return NULL;
    }
    atomic_init(&g->refs, 1);
    g->program = *p;
    return g;
}

struct grammar *grammar_retain(struct grammar *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void grammar_release(struct grammar *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1) {
        return;
    }
    while (g->caches) {
        struct grammar_cache *next = g->caches->next;
        grammar_cache_destroy(g->caches);
        g->caches = next;
    }
    program_deinit(&g->program);
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

static struct grammar *compile(const struct syntax *s, const struct budget *budget,
                               struct err *e)
{
    struct program p;
    return program_compile(&p, s, budget, e) == 0 ? grammar_from_program(&p, e) : NULL;
}

static struct grammar *from_gbnf(const char *text, size_t len, const struct budget *budget,
                                 struct err *e)
{
    struct syntax s;
    syntax_init(&s);
    struct grammar *g = gbnf_parse(text, len, &s, e) == 0 ? compile(&s, budget, e) : NULL;
    syntax_deinit(&s);
    return g;
}

struct grammar *grammar_from_gbnf(const char *text, size_t len, struct err *e)
{
    const struct budget budget = budget_begin();
    return from_gbnf(text, len, &budget, e);
}

struct grammar *grammar_from_json_schema(const cJSON *schema, struct err *e)
{
    const struct budget budget = budget_begin();
    struct buf rules;
    struct grammar *g = NULL;
    buf_init(&rules, GRAMMAR_TEXT_MAX);
    if (json_schema_to_gbnf(schema, "root", &rules, e) == 0) {
        g = from_gbnf(rules.data, rules.len, &budget, e);
    }
    buf_deinit(&rules);
    return g;
}

struct grammar *grammar_from_json_object(struct err *e)
{
    struct buf rules;
    struct grammar *g = NULL;
    buf_init(&rules, GRAMMAR_TEXT_MAX);
    if (json_value_to_gbnf("root", true, &rules, e) == 0) {
        g = grammar_from_gbnf(rules.data, rules.len, e);
    }
    buf_deinit(&rules);
    return g;
}

/* Makes an expression the only rule and compiles it. */
static struct grammar *from_expr(struct syntax *s, uint32_t expr, const struct budget *budget,
                                 struct err *e)
{
    s->root = syntax_find_rule(s, "root", 4, 1, e);
    if (s->root == SYNTAX_NONE) {
        return NULL;
    }
    s->rules[s->root].body = expr;
    return compile(s, budget, e);
}

struct grammar *grammar_from_regex(const char *pattern, size_t len, struct err *e)
{
    const struct budget budget = budget_begin();
    struct syntax s;
    struct grammar *g = NULL;
    uint32_t expr;
    syntax_init(&s);
    if (regex_parse(pattern, len, &s, &expr, e) == 0 && regex_anchor(&s, &expr, e) == 0) {
        g = from_expr(&s, expr, &budget, e);
    }
    syntax_deinit(&s);
    return g;
}

struct grammar *grammar_from_choice(const char *const *choices, size_t n, struct err *e)
{
    const struct budget budget = budget_begin();
    struct syntax s;
    struct expr_list list = EXPR_LIST_EMPTY;
    struct grammar *g = NULL;
    syntax_init(&s);
    if (n == 0 || n > CHOICES_MAX) {
        err_set(e, n == 0 ? ERR_INVALID : ERR_LIMIT, "choice: 1 to %d texts are allowed",
                CHOICES_MAX);
        goto cleanup;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(choices[i]);
        if (!utf8_is_valid(choices[i], len)) {
            err_set(e, ERR_INVALID, "choice: text %zu is not valid UTF-8", i + 1);
            goto cleanup;
        }
        const uint32_t literal = syntax_literal(&s, choices[i], len, e);
        if (literal == SYNTAX_NONE) {
            goto cleanup;
        }
        expr_list_add(&s, &list, literal);
    }
    const uint32_t expr = syntax_alt(&s, &list, e);
    g = expr != SYNTAX_NONE ? from_expr(&s, expr, &budget, e) : NULL;
cleanup:
    syntax_deinit(&s);
    return g;
}

/* Operators and operands, from the loosest binding to the tightest. */
#include <stdbool.h>
#include <string.h>

#include "models/template/jinja_parser.h"

struct jinja_expr *jinja_expr_new(struct jinja_parser *p, enum jinja_expr_kind kind)
{
    struct jinja_expr *x = jinja_parser_alloc(p, sizeof(*x));
    if (x) {
        x->kind = kind;
        x->line = p->token.line;
    }
    return x;
}

static struct jinja_expr *binary_new(struct jinja_parser *p, enum jinja_expr_kind kind,
                                     struct jinja_expr *left, struct jinja_expr *right)
{
    struct jinja_expr *x = left && right ? jinja_expr_new(p, kind) : NULL;
    if (x) {
        x->operands.left = left;
        x->operands.right = right;
        x->line = left->line;
    }
    return x;
}

/* Appends to a list of items, whose end is *tail. */
static struct jinja_expr **append(struct jinja_expr **tail, struct jinja_expr *item)
{
    *tail = item;
    return &item->next;
}

/* --- operands --- */

static struct jinja_expr *parse_string(struct jinja_parser *p)
{
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_CONST);
    struct jinja_string *s = jinja_parser_alloc(p, sizeof(*s));
    if (!x || !s) {
        return NULL;
    }
    *s = (struct jinja_string){.data = "", .trusted = true};
    /* As in Python, literals beside one another are one. */
    while (jinja_parser_at(p, JINJA_TOKEN_STRING)) {
        char *joined = jinja_parser_alloc(p, s->len + p->token.len + 1);
        if (!joined) {
            return NULL;
        }
        memcpy(joined, s->data, s->len);
        size_t n = jinja_token_unescape(&p->token, joined + s->len, p->err);
        if (n == SIZE_MAX || jinja_parser_advance(p) != 0) {
            return NULL;
        }
        s->data = joined;
        s->len += n;
    }
    x->constant = (struct jinja_value){.type = JINJA_STRING, .string = s};
    return x;
}

static struct jinja_expr *parse_name(struct jinja_parser *p)
{
    static const struct {
        const char *text;
        struct jinja_value value;
    } constants[] = {
        {"true", {.type = JINJA_BOOL, .boolean = true}},
        {"True", {.type = JINJA_BOOL, .boolean = true}},
        {"false", {.type = JINJA_BOOL}},
        {"False", {.type = JINJA_BOOL}},
        {"none", {.type = JINJA_NONE}},
        {"None", {.type = JINJA_NONE}},
    };
    static const char *const reserved[] = {"and", "else", "if", "in", "is", "not", "or"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (jinja_parser_at_word(p, reserved[i])) {
            jinja_parser_expected(p, "a value");
            return NULL;
        }
    }
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_NAME);
    if (!x || jinja_parser_name(p, &x->name) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        if (strcmp(x->name.text, constants[i].text) == 0) {
            x->kind = JINJA_EXPR_CONST;
            x->constant = constants[i].value;
            break;
        }
    }
    return x;
}

static struct jinja_expr *parse_number(struct jinja_parser *p)
{
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_CONST);
    if (!x) {
        return NULL;
    }
    x->constant = p->token.kind == JINJA_TOKEN_INT ? jinja_int(p->token.integer)
                                                   : jinja_float(p->token.real);
    return jinja_parser_advance(p) == 0 ? x : NULL;
}

/* "(a)", "(a, b)", "()" */
static struct jinja_expr *parse_parentheses(struct jinja_parser *p)
{
    if (jinja_parser_advance(p) != 0) {
        return NULL;
    }
    struct jinja_expr *x = jinja_parser_at(p, JINJA_TOKEN_RPAREN)
                               ? jinja_expr_new(p, JINJA_EXPR_TUPLE)
                               : jinja_parse_tuple(p, true);
    return x && jinja_parser_expect(p, JINJA_TOKEN_RPAREN) == 0 ? x : NULL;
}

/* "[a, b]" and "{a: b}" */
static struct jinja_expr *parse_display(struct jinja_parser *p, enum jinja_expr_kind kind,
                                        enum jinja_token_kind end)
{
    struct jinja_expr *x = jinja_expr_new(p, kind);
    if (!x || jinja_parser_advance(p) != 0) {
        return NULL;
    }
    struct jinja_expr **tail = &x->items;
    while (!jinja_parser_at(p, end)) {
        struct jinja_expr *item = jinja_parse_expression(p);
        if (!item) {
            return NULL;
        }
        tail = append(tail, item);
        if (kind == JINJA_EXPR_DICT) {
            struct jinja_expr *value = jinja_parser_expect(p, JINJA_TOKEN_COLON) == 0
                                           ? jinja_parse_expression(p)
                                           : NULL;
            if (!value) {
                return NULL;
            }
            tail = append(tail, value);
        }
        if (!jinja_parser_at(p, end) && jinja_parser_expect(p, JINJA_TOKEN_COMMA) != 0) {
            return NULL;
        }
    }
    return jinja_parser_advance(p) == 0 ? x : NULL;
}

struct jinja_expr *jinja_parse_primary(struct jinja_parser *p)
{
    switch (p->token.kind) {
    case JINJA_TOKEN_NAME:
        return parse_name(p);
    case JINJA_TOKEN_STRING:
        return parse_string(p);
    case JINJA_TOKEN_INT:
    case JINJA_TOKEN_FLOAT:
        return parse_number(p);
    case JINJA_TOKEN_LPAREN:
        return parse_parentheses(p);
    case JINJA_TOKEN_LBRACKET:
        return parse_display(p, JINJA_EXPR_LIST, JINJA_TOKEN_RBRACKET);
    case JINJA_TOKEN_LBRACE:
        return parse_display(p, JINJA_EXPR_DICT, JINJA_TOKEN_RBRACE);
    default:
        jinja_parser_expected(p, "a value");
        return NULL;
    }
}

/* --- operators --- */

/* A sign binds tighter than a filter: -1|abs is 1. */
static struct jinja_expr *parse_unary(struct jinja_parser *p, bool with_filter)
{
    unsigned depth = p->depth;
    struct jinja_expr *x;
    if (jinja_parser_at(p, JINJA_TOKEN_SUBTRACT) || jinja_parser_at(p, JINJA_TOKEN_ADD)) {
        x = jinja_expr_new(p, jinja_parser_at(p, JINJA_TOKEN_ADD) ? JINJA_EXPR_PLUS
                                                                  : JINJA_EXPR_NEGATE);
        if (!x || jinja_parser_deeper(p) != 0 || jinja_parser_advance(p) != 0 ||
            !(x->operands.left = parse_unary(p, false))) {
            return NULL;
        }
    } else {
        x = jinja_parse_primary(p);
    }
    x = x ? jinja_parse_postfix(p, x) : NULL;
    x = x && with_filter ? jinja_parse_filter_expr(p, x) : x;
    p->depth = depth;
    return x;
}

static const struct {
    enum jinja_token_kind token;
    enum jinja_operator op;
} arithmetic[] = {
    {JINJA_TOKEN_MULTIPLY, JINJA_OP_MULTIPLY},
    {JINJA_TOKEN_DIVIDE, JINJA_OP_DIVIDE},
    {JINJA_TOKEN_FLOOR_DIVIDE, JINJA_OP_FLOOR_DIVIDE},
    {JINJA_TOKEN_MODULO, JINJA_OP_MODULO},
    {JINJA_TOKEN_POWER, JINJA_OP_POWER},
    {JINJA_TOKEN_SUBTRACT, JINJA_OP_SUBTRACT},
};

#define N_ARITHMETIC (sizeof(arithmetic) / sizeof(arithmetic[0]))

/* Takes the operator that the token is, and makes x the left operand. */
static struct jinja_expr *parse_arithmetic(struct jinja_parser *p, struct jinja_expr *x,
                                           struct jinja_expr *(*operand)(struct jinja_parser *))
{
    size_t i = 0;
    while (i + 1 < N_ARITHMETIC && arithmetic[i].token != p->token.kind) {
        i++;
    }
    if (jinja_parser_deeper(p) != 0 || jinja_parser_advance(p) != 0) {
        return NULL;
    }
    x = binary_new(p, JINJA_EXPR_ARITHMETIC, x, operand(p));
    if (x) {
        x->op = arithmetic[i].op;
    }
    return x;
}

static struct jinja_expr *parse_power_operand(struct jinja_parser *p)
{
    return parse_unary(p, true);
}

/* From the left, as Jinja has it and unlike Python. */
static struct jinja_expr *parse_power(struct jinja_parser *p)
{
    unsigned depth = p->depth;
    struct jinja_expr *x = parse_power_operand(p);
    while (x && jinja_parser_at(p, JINJA_TOKEN_POWER)) {
        x = parse_arithmetic(p, x, parse_power_operand);
    }
    p->depth = depth;
    return x;
}

static struct jinja_expr *parse_product(struct jinja_parser *p)
{
    unsigned depth = p->depth;
    struct jinja_expr *x = parse_power(p);
    while (x && (jinja_parser_at(p, JINJA_TOKEN_MULTIPLY) ||
                 jinja_parser_at(p, JINJA_TOKEN_DIVIDE) ||
                 jinja_parser_at(p, JINJA_TOKEN_FLOOR_DIVIDE) ||
                 jinja_parser_at(p, JINJA_TOKEN_MODULO))) {
        x = parse_arithmetic(p, x, parse_power);
    }
    p->depth = depth;
    return x;
}

/* A run of the same operator becomes one node with many items: `a ~ b ~ c`, `a + b + c`.
 * Building one string from all of them is linear; building each from the one before is not. */
static struct jinja_expr *parse_run(struct jinja_parser *p, struct jinja_expr *first,
                                    enum jinja_expr_kind kind, enum jinja_token_kind token,
                                    struct jinja_expr *(*operand)(struct jinja_parser *))
{
    struct jinja_expr *x = jinja_parser_deeper(p) == 0 ? jinja_expr_new(p, kind) : NULL;
    if (!x) {
        return NULL;
    }
    x->line = first->line;
    struct jinja_expr **tail = append(&x->items, first);
    while (jinja_parser_at(p, token)) {
        struct jinja_expr *item = jinja_parser_advance(p) == 0 ? operand(p) : NULL;
        if (!item) {
            return NULL;
        }
        tail = append(tail, item);
    }
    return x;
}

static struct jinja_expr *parse_concat(struct jinja_parser *p)
{
    unsigned depth = p->depth;
    struct jinja_expr *x = parse_product(p);
    if (x && jinja_parser_at(p, JINJA_TOKEN_TILDE)) {
        x = parse_run(p, x, JINJA_EXPR_CONCAT, JINJA_TOKEN_TILDE, parse_product);
    }
    p->depth = depth;
    return x;
}

static struct jinja_expr *parse_sum(struct jinja_parser *p)
{
    unsigned depth = p->depth;
    struct jinja_expr *x = parse_concat(p);
    while (x &&
           (jinja_parser_at(p, JINJA_TOKEN_ADD) || jinja_parser_at(p, JINJA_TOKEN_SUBTRACT))) {
        x = jinja_parser_at(p, JINJA_TOKEN_ADD)
                ? parse_run(p, x, JINJA_EXPR_SUM, JINJA_TOKEN_ADD, parse_concat)
                : parse_arithmetic(p, x, parse_concat);
    }
    p->depth = depth;
    return x;
}

/* The comparison that begins at the token, taken; 0 in *found when there is none. */
static int parse_comparator(struct jinja_parser *p, enum jinja_operator *op, bool *found)
{
    static const struct {
        enum jinja_token_kind token;
        enum jinja_operator op;
    } symbols[] = {
        {JINJA_TOKEN_EQ, JINJA_OP_EQ}, {JINJA_TOKEN_NE, JINJA_OP_NE},
        {JINJA_TOKEN_LT, JINJA_OP_LT}, {JINJA_TOKEN_LE, JINJA_OP_LE},
        {JINJA_TOKEN_GT, JINJA_OP_GT}, {JINJA_TOKEN_GE, JINJA_OP_GE},
    };
    *found = true;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        if (jinja_parser_at(p, symbols[i].token)) {
            *op = symbols[i].op;
            return jinja_parser_advance(p);
        }
    }
    if (jinja_parser_at_word(p, "in")) {
        *op = JINJA_OP_IN;
        return jinja_parser_advance(p);
    }
    *found = false;
    struct jinja_token after;
    if (!jinja_parser_at_word(p, "not")) {
        return 0;
    }
    if (jinja_parser_peek(p, &after) != 0) {
        return -1;
    }
    if (after.kind == JINJA_TOKEN_NAME && after.len == 2 && memcmp(after.text, "in", 2) == 0) {
        *op = JINJA_OP_NOT_IN;
        *found = true;
        return jinja_parser_advance(p) == 0 ? jinja_parser_advance(p) : -1;
    }
    return 0;
}

static struct jinja_expr *parse_compare(struct jinja_parser *p)
{
    unsigned depth = p->depth;
    struct jinja_expr *first = parse_sum(p);
    struct jinja_expr *x = NULL;
    struct jinja_expr **tail = NULL;
    for (;;) {
        enum jinja_operator op;
        bool found;
        if (!first || parse_comparator(p, &op, &found) != 0) {
            return NULL;
        }
        if (!found) {
            break;
        }
        if (!x) {
            x = jinja_parser_deeper(p) == 0 ? jinja_expr_new(p, JINJA_EXPR_COMPARE) : NULL;
            if (!x) {
                return NULL;
            }
            tail = append(&x->items, first);
        }
        struct jinja_expr *operand = parse_sum(p);
        if (!operand) {
            return NULL;
        }
        operand->compare = op;
        tail = append(tail, operand);
    }
    p->depth = depth;
    return x ? x : first;
}

static struct jinja_expr *parse_not(struct jinja_parser *p)
{
    if (!jinja_parser_at_word(p, "not")) {
        return parse_compare(p);
    }
    unsigned depth = p->depth;
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_NOT);
    if (!x || jinja_parser_deeper(p) != 0 || jinja_parser_advance(p) != 0 ||
        !(x->operands.left = parse_not(p))) {
        return NULL;
    }
    p->depth = depth;
    return x;
}

static struct jinja_expr *parse_logic(struct jinja_parser *p, const char *word,
                                      enum jinja_expr_kind kind,
                                      struct jinja_expr *(*operand)(struct jinja_parser *))
{
    unsigned depth = p->depth;
    struct jinja_expr *x = operand(p);
    while (x && jinja_parser_at_word(p, word)) {
        if (jinja_parser_deeper(p) != 0 || jinja_parser_advance(p) != 0) {
            return NULL;
        }
        x = binary_new(p, kind, x, operand(p));
    }
    p->depth = depth;
    return x;
}

static struct jinja_expr *parse_and(struct jinja_parser *p)
{
    return parse_logic(p, "and", JINJA_EXPR_AND, parse_not);
}

static struct jinja_expr *parse_or(struct jinja_parser *p)
{
    return parse_logic(p, "or", JINJA_EXPR_OR, parse_and);
}

/* `a if condition else b`; without else it is undefined when the condition is false. */
struct jinja_expr *jinja_parse_expression(struct jinja_parser *p)
{
    unsigned depth = p->depth;
    if (jinja_parser_deeper(p) != 0) {
        return NULL;
    }
    struct jinja_expr *x = parse_or(p);
    while (x && jinja_parser_at_word(p, "if")) {
        if (jinja_parser_deeper(p) != 0 || jinja_parser_advance(p) != 0) {
            return NULL;
        }
        struct jinja_expr *condition = parse_or(p);
        struct jinja_expr *choice = condition ? jinja_expr_new(p, JINJA_EXPR_IF_ELSE) : NULL;
        if (!choice) {
            return NULL;
        }
        choice->operands.left = x;
        choice->operands.condition = condition;
        if (jinja_parser_at_word(p, "else") &&
            (jinja_parser_advance(p) != 0 ||
             !(choice->operands.right = jinja_parse_expression(p)))) {
            return NULL;
        }
        x = choice;
    }
    p->depth = depth;
    return x;
}

struct jinja_expr *jinja_parse_tuple(struct jinja_parser *p, bool with_condition)
{
    struct jinja_expr *(*parse)(struct jinja_parser *) =
        with_condition ? jinja_parse_expression : parse_or;
    struct jinja_expr *first = parse(p);
    if (!first || !jinja_parser_at(p, JINJA_TOKEN_COMMA)) {
        return first;
    }
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_TUPLE);
    if (!x) {
        return NULL;
    }
    struct jinja_expr **tail = append(&x->items, first);
    while (jinja_parser_at(p, JINJA_TOKEN_COMMA)) {
        if (jinja_parser_advance(p) != 0) {
            return NULL;
        }
        if (jinja_parser_at(p, JINJA_TOKEN_RPAREN) ||
            jinja_parser_at(p, JINJA_TOKEN_PRINT_END) ||
            jinja_parser_at(p, JINJA_TOKEN_BLOCK_END)) {
            break;
        }
        struct jinja_expr *item = parse(p);
        if (!item) {
            return NULL;
        }
        tail = append(tail, item);
    }
    return x;
}

/* What follows an operand: attributes, subscripts, calls, filters and tests. Here names of
 * filters, tests, methods and functions are looked up and arguments given their places. */
#include <string.h>

#include "models/template/jinja_builtin.h"
#include "models/template/jinja_parser.h"

/* --- arguments --- */

static int parse_argument(struct jinja_parser *p, struct jinja_arg *arg)
{
    if (jinja_parser_at(p, JINJA_TOKEN_MULTIPLY) || jinja_parser_at(p, JINJA_TOKEN_POWER)) {
        return jinja_parser_fail(p, ERR_UNSUPPORTED,
                                 "arguments given as * or ** are not supported");
    }
    struct jinja_token after = {.kind = JINJA_TOKEN_END};
    if (jinja_parser_at(p, JINJA_TOKEN_NAME) && jinja_parser_peek(p, &after) != 0) {
        return -1;
    }
    if (after.kind == JINJA_TOKEN_ASSIGN &&
        (jinja_parser_name(p, &arg->name) != 0 || jinja_parser_advance(p) != 0)) {
        return -1;
    }
    arg->value = jinja_parse_expression(p);
    return arg->value ? 0 : -1;
}

/* "(a, b, c=d)" */
static int parse_arguments(struct jinja_parser *p, struct jinja_arg **out)
{
    struct jinja_arg **tail = out;
    bool named = false;
    if (jinja_parser_expect(p, JINJA_TOKEN_LPAREN) != 0) {
        return -1;
    }
    while (!jinja_parser_at(p, JINJA_TOKEN_RPAREN)) {
        struct jinja_arg *arg = jinja_parser_alloc(p, sizeof(*arg));
        if (!arg || parse_argument(p, arg) != 0) {
            return -1;
        }
        if (named && !arg->name.text) {
            return jinja_parser_fail(p, ERR_FORMAT, "a positional argument after a named one");
        }
        named = arg->name.text != NULL;
        *tail = arg;
        tail = &arg->next;
        if (!jinja_parser_at(p, JINJA_TOKEN_RPAREN) &&
            jinja_parser_expect(p, JINJA_TOKEN_COMMA) != 0) {
            return -1;
        }
    }
    return jinja_parser_advance(p);
}

/* The named arguments as a dict's items; those without a name stay in *positional. */
static int keywords_to_dict(struct jinja_parser *p, const struct jinja_arg *args,
                            struct jinja_expr *dict, struct jinja_expr **positional)
{
    struct jinja_expr **tail = &dict->items;
    for (; args; args = args->next) {
        if (!args->name.text) {
            if (*positional) {
                return jinja_parser_fail(p, ERR_FORMAT, "too many arguments");
            }
            *positional = args->value;
            continue;
        }
        struct jinja_expr *key = jinja_expr_new(p, JINJA_EXPR_CONST);
        struct jinja_string *s = jinja_parser_alloc(p, sizeof(*s));
        if (!key || !s) {
            return -1;
        }
        *s = (struct jinja_string){.data = args->name.text, .trusted = true};
        s->len = strlen(s->data);
        key->constant = (struct jinja_value){.type = JINJA_STRING, .string = s};
        key->next = args->value;
        *tail = key;
        tail = &args->value->next;
    }
    return 0;
}

static unsigned parameter_index(const struct jinja_builtin *b, const char *name)
{
    unsigned i = 0;
    while (i < JINJA_MAX_PARAMS && b->params[i] && strcmp(b->params[i], name) != 0) {
        i++;
    }
    return i;
}

/* The use of a filter, test, method or function, its arguments in the order of its parameters.
 */
static struct jinja_expr *bind(struct jinja_parser *p, const struct jinja_builtin *b,
                               struct jinja_expr *self, const struct jinja_arg *args)
{
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_BUILTIN);
    if (!x) {
        return NULL;
    }
    x->builtin.function = b;
    x->builtin.self = self;
    if (b->keywords) {
        struct jinja_expr *dict = jinja_expr_new(p, JINJA_EXPR_DICT);
        x->builtin.args[0] = dict;
        return dict && keywords_to_dict(p, args, dict, &x->builtin.args[1]) == 0 ? x : NULL;
    }
    unsigned position = 0;
    for (const struct jinja_arg *arg = args; arg; arg = arg->next) {
        unsigned i = arg->name.text ? parameter_index(b, arg->name.text) : position++;
        if (i >= JINJA_MAX_PARAMS || !b->params[i]) {
            jinja_parser_fail(p, ERR_FORMAT, "\"%s\" has no %s argument%s%s", b->name,
                              arg->name.text ? "" : "further", arg->name.text ? " " : "",
                              arg->name.text ? arg->name.text : "");
            return NULL;
        }
        if (x->builtin.args[i]) {
            jinja_parser_fail(p, ERR_FORMAT, "\"%s\" is given \"%s\" twice", b->name,
                              b->params[i]);
            return NULL;
        }
        x->builtin.args[i] = arg->value;
    }
    for (unsigned i = 0; i < b->required; i++) {
        if (!x->builtin.args[i]) {
            jinja_parser_fail(p, ERR_FORMAT, "\"%s\" needs the argument \"%s\"", b->name,
                              b->params[i]);
            return NULL;
        }
    }
    return x;
}

/* --- postfixes --- */

static struct jinja_expr *parse_attribute(struct jinja_parser *p, struct jinja_expr *target)
{
    if (jinja_parser_advance(p) != 0) {
        return NULL;
    }
    if (jinja_parser_at(p, JINJA_TOKEN_INT)) { /* a.0 is a[0] */
        struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_ITEM);
        if (!x || !(x->item.key = jinja_parse_primary(p))) {
            return NULL;
        }
        x->item.target = target;
        return x;
    }
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_ATTRIBUTE);
    struct jinja_name name;
    if (!x || jinja_parser_name(p, &name) != 0) {
        return NULL;
    }
    x->attribute.target = target;
    x->attribute.name = name.text;
    return x;
}

/* One bound of a slice, which may be left out. */
static int parse_bound(struct jinja_parser *p, struct jinja_expr **out)
{
    if (jinja_parser_at(p, JINJA_TOKEN_COLON) || jinja_parser_at(p, JINJA_TOKEN_RBRACKET)) {
        return 0;
    }
    *out = jinja_parse_expression(p);
    return *out ? 0 : -1;
}

/* "[key]", "[start:stop]", "[start:stop:step]" */
static struct jinja_expr *parse_subscript(struct jinja_parser *p, struct jinja_expr *target)
{
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_ITEM);
    if (!x || jinja_parser_advance(p) != 0 || parse_bound(p, &x->item.start) != 0) {
        return NULL;
    }
    x->item.target = target;
    if (jinja_parser_at(p, JINJA_TOKEN_COLON)) {
        x->kind = JINJA_EXPR_SLICE;
        if (jinja_parser_advance(p) != 0 || parse_bound(p, &x->item.stop) != 0) {
            return NULL;
        }
        if (jinja_parser_at(p, JINJA_TOKEN_COLON) &&
            (jinja_parser_advance(p) != 0 || parse_bound(p, &x->item.step) != 0)) {
            return NULL;
        }
    } else if (!x->item.start) {
        jinja_parser_expected(p, "a value");
        return NULL;
    } else {
        x->item.key = x->item.start;
        x->item.start = NULL;
    }
    return jinja_parser_expect(p, JINJA_TOKEN_RBRACKET) == 0 ? x : NULL;
}

static int note_call(struct jinja_parser *p, const struct jinja_expr *call)
{
    struct jinja_mention *mention = jinja_parser_alloc(p, sizeof(*mention));
    if (!mention) {
        return -1;
    }
    *mention = (struct jinja_mention){p->calls, call->call.name.text, call->line};
    p->calls = mention;
    return 0;
}

/* Functions and methods are known by name; every other name must be a macro's. */
static struct jinja_expr *parse_call(struct jinja_parser *p, struct jinja_expr *callee)
{
    struct jinja_arg *args = NULL;
    if (callee->kind == JINJA_EXPR_ATTRIBUTE) {
        const struct jinja_builtin *method = jinja_method_find(callee->attribute.name);
        if (!method) {
            jinja_parser_fail(p, ERR_UNSUPPORTED, "the method \"%s\" is not supported",
                              callee->attribute.name);
            return NULL;
        }
        return parse_arguments(p, &args) == 0 ? bind(p, method, callee->attribute.target, args)
                                              : NULL;
    }
    if (callee->kind != JINJA_EXPR_NAME) {
        jinja_parser_fail(p, ERR_UNSUPPORTED,
                          "only functions, methods and macros can be called");
        return NULL;
    }
    const struct jinja_builtin *function = jinja_function_find(callee->name.text);
    if (parse_arguments(p, &args) != 0) {
        return NULL;
    }
    if (function) {
        return bind(p, function, NULL, args);
    }
    struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_CALL);
    if (!x) {
        return NULL;
    }
    x->line = callee->line;
    x->call.name = callee->name;
    x->call.args = args;
    return note_call(p, x) == 0 ? x : NULL;
}

struct jinja_expr *jinja_parse_postfix(struct jinja_parser *p, struct jinja_expr *x)
{
    unsigned depth = p->depth;
    while (x) {
        struct jinja_expr *(*parse)(struct jinja_parser *, struct jinja_expr *) =
            jinja_parser_at(p, JINJA_TOKEN_DOT)        ? parse_attribute
            : jinja_parser_at(p, JINJA_TOKEN_LBRACKET) ? parse_subscript
            : jinja_parser_at(p, JINJA_TOKEN_LPAREN)   ? parse_call
                                                       : NULL;
        if (!parse) {
            break;
        }
        x = jinja_parser_deeper(p) == 0 ? parse(p, x) : NULL;
    }
    p->depth = depth;
    return x;
}

/* --- filters and tests --- */

static struct jinja_expr *parse_filter(struct jinja_parser *p, struct jinja_expr *x)
{
    struct jinja_name name;
    if (jinja_parser_advance(p) != 0 || jinja_parser_name(p, &name) != 0) {
        return NULL;
    }
    const struct jinja_builtin *filter = jinja_filter_find(name.text);
    if (!filter) {
        jinja_parser_fail(p, ERR_UNSUPPORTED, "the filter \"%s\" is not supported", name.text);
        return NULL;
    }
    struct jinja_arg *args = NULL;
    if (jinja_parser_at(p, JINJA_TOKEN_LPAREN) && parse_arguments(p, &args) != 0) {
        return NULL;
    }
    return bind(p, filter, x, args);
}

struct jinja_expr *jinja_parse_filters(struct jinja_parser *p, struct jinja_expr *x)
{
    unsigned depth = p->depth;
    while (x && jinja_parser_at(p, JINJA_TOKEN_PIPE)) {
        x = jinja_parser_deeper(p) == 0 ? parse_filter(p, x) : NULL;
    }
    p->depth = depth;
    return x;
}

/* A test that has a parameter takes one operand without parentheses: `x is equalto y`. */
static int parse_test_arguments(struct jinja_parser *p, const struct jinja_builtin *test,
                                struct jinja_arg **args)
{
    if (jinja_parser_at(p, JINJA_TOKEN_LPAREN)) {
        return parse_arguments(p, args);
    }
    if (!test->params[0]) {
        return 0;
    }
    struct jinja_arg *arg = jinja_parser_alloc(p, sizeof(*arg));
    struct jinja_expr *x = arg ? jinja_parse_primary(p) : NULL;
    if (!x || !(arg->value = jinja_parse_postfix(p, x))) {
        return -1;
    }
    *args = arg;
    return 0;
}

/* "is defined", "is not in [a, b]" */
static struct jinja_expr *parse_test(struct jinja_parser *p, struct jinja_expr *x)
{
    struct jinja_expr *negation = jinja_expr_new(p, JINJA_EXPR_NOT);
    if (!negation || jinja_parser_advance(p) != 0) {
        return NULL;
    }
    bool negated = jinja_parser_at_word(p, "not");
    struct jinja_name name;
    if ((negated && jinja_parser_advance(p) != 0) || jinja_parser_name(p, &name) != 0) {
        return NULL;
    }
    const struct jinja_builtin *test = jinja_test_find(name.text);
    if (!test) {
        jinja_parser_fail(p, ERR_UNSUPPORTED, "the test \"%s\" is not supported", name.text);
        return NULL;
    }
    struct jinja_arg *args = NULL;
    if (parse_test_arguments(p, test, &args) != 0) {
        return NULL;
    }
    x = bind(p, test, x, args);
    if (!negated || !x) {
        return x;
    }
    negation->operands.left = x;
    return negation;
}

struct jinja_expr *jinja_parse_filter_expr(struct jinja_parser *p, struct jinja_expr *x)
{
    unsigned depth = p->depth;
    while (x) {
        bool pipe = jinja_parser_at(p, JINJA_TOKEN_PIPE);
        if (!pipe && !jinja_parser_at_word(p, "is")) {
            break;
        }
        x = jinja_parser_deeper(p) != 0 ? NULL : pipe ? parse_filter(p, x) : parse_test(p, x);
    }
    p->depth = depth;
    return x;
}

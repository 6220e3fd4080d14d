/* Expressions: displays, decisions, calls, and the choice of what evaluates a node. */
#include "models/template/jinja_eval.h"

#include "models/template/jinja_builtin.h"

int jinja_fail_undefined(struct jinja_run *run, const struct jinja_value *v)
{
    return jinja_fail(run, ERR_INVALID, "\"%s\" is undefined", v->name);
}

static int eval_list(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    enum jinja_type type = x->kind == JINJA_EXPR_TUPLE ? JINJA_TUPLE : JINJA_LIST;
    if (jinja_list_new(run, type, 0, out) != 0) {
        return -1;
    }
    for (const struct jinja_expr *item = x->items; item; item = item->next) {
        struct jinja_value v = {0};
        if (jinja_eval(run, item, &v) != 0 || jinja_list_push(run, out->list, v) != 0) {
            return -1;
        }
    }
    return 0;
}

static int eval_dict(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    if (jinja_dict_new(run, JINJA_DICT, out) != 0) {
        return -1;
    }
    for (const struct jinja_expr *item = x->items; item; item = item->next->next) {
        struct jinja_value key, value;
        if (jinja_eval(run, item, &key) != 0 || jinja_eval(run, item->next, &value) != 0 ||
            jinja_dict_set(run, out->dict, &key, value) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The value of the operand that decided, as in Python. */
static int eval_logic(struct jinja_run *run, const struct jinja_expr *x,
                      struct jinja_value *out)
{
    if (jinja_eval(run, x->operands.left, out) != 0) {
        return -1;
    }
    return jinja_is_true(out) == (x->kind == JINJA_EXPR_AND)
               ? jinja_eval(run, x->operands.right, out)
               : 0;
}

static int eval_if_else(struct jinja_run *run, const struct jinja_expr *x,
                        struct jinja_value *out)
{
    struct jinja_value condition;
    if (jinja_eval(run, x->operands.condition, &condition) != 0) {
        return -1;
    }
    if (jinja_is_true(&condition)) {
        return jinja_eval(run, x->operands.left, out);
    }
    *out = jinja_undefined("the value of an if without else");
    return x->operands.right ? jinja_eval(run, x->operands.right, out) : 0;
}

/* --- calls --- */

static int eval_builtin(struct jinja_run *run, const struct jinja_expr *x,
                        struct jinja_value *out)
{
    const struct jinja_builtin *b = x->builtin.function;
    struct jinja_value self = {.type = JINJA_MISSING};
    struct jinja_value argv[JINJA_MAX_PARAMS] = {{.type = JINJA_MISSING}};
    if (x->builtin.self && jinja_eval(run, x->builtin.self, &self) != 0) {
        return -1;
    }
    for (size_t i = 0; i < JINJA_MAX_PARAMS; i++) {
        if (x->builtin.args[i] && jinja_eval(run, x->builtin.args[i], &argv[i]) != 0) {
            return -1;
        }
    }
    run->line = x->line;
    if (b->self != JINJA_MISSING && self.type != b->self) { /* a method of another type */
        return self.type == JINJA_UNDEFINED
                   ? jinja_fail_undefined(run, &self)
                   : jinja_fail(run, ERR_INVALID, "%s has no method \"%s\"",
                                jinja_type_name(self.type), b->name);
    }
    return b->call(run, &self, argv, out);
}

static int eval_call(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    struct jinja_value *callee;
    if (jinja_scope_get(run, &x->call.name, &callee) != 0) {
        return -1;
    }
    if (!callee || callee->type != JINJA_MACRO) {
        return jinja_fail(run, ERR_INVALID, "\"%s\" is not a macro here", x->call.name.text);
    }
    return jinja_call_macro(run, callee->macro, x->call.args, out);
}

static int eval_kind(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    switch (x->kind) {
    case JINJA_EXPR_CONST:
        *out = x->constant;
        return 0;
    case JINJA_EXPR_NAME:
        return jinja_eval_name(run, x, out);
    case JINJA_EXPR_LIST:
    case JINJA_EXPR_TUPLE:
        return eval_list(run, x, out);
    case JINJA_EXPR_DICT:
        return eval_dict(run, x, out);
    case JINJA_EXPR_ATTRIBUTE:
        return jinja_eval_attribute(run, x, out);
    case JINJA_EXPR_ITEM:
        return jinja_eval_item(run, x, out);
    case JINJA_EXPR_SLICE:
        return jinja_eval_slice(run, x, out);
    case JINJA_EXPR_BUILTIN:
        return eval_builtin(run, x, out);
    case JINJA_EXPR_CALL:
        return eval_call(run, x, out);
    case JINJA_EXPR_NOT:
    case JINJA_EXPR_NEGATE:
    case JINJA_EXPR_PLUS:
        return jinja_eval_unary(run, x, out);
    case JINJA_EXPR_AND:
    case JINJA_EXPR_OR:
        return eval_logic(run, x, out);
    case JINJA_EXPR_IF_ELSE:
        return eval_if_else(run, x, out);
    case JINJA_EXPR_SUM:
        return jinja_eval_sum(run, x, out);
    case JINJA_EXPR_CONCAT:
        return jinja_eval_concat(run, x, out);
    case JINJA_EXPR_ARITHMETIC:
        return jinja_eval_arithmetic(run, x, out);
    case JINJA_EXPR_COMPARE:
        return jinja_eval_compare(run, x, out);
    }
    return -1;
}

int jinja_eval(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    run->line = x->line;
    if (jinja_charge(run, 1) != 0 || jinja_enter(run) != 0) {
        return -1;
    }
    int rc = eval_kind(run, x, out);
    jinja_leave(run);
    return rc;
}

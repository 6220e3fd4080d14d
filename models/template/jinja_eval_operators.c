/* Operators on values. */
#include <math.h>

#include "models/template/jinja_builtin.h"
#include "models/template/jinja_eval.h"

static int fail_operands(struct jinja_run *run, const char *op, const struct jinja_value *a,
                         const struct jinja_value *b)
{
    if (a->type == JINJA_UNDEFINED) {
        return jinja_fail_undefined(run, a);
    }
    if (b->type == JINJA_UNDEFINED) {
        return jinja_fail_undefined(run, b);
    }
    return jinja_fail(run, ERR_INVALID, "\"%s\" cannot be applied to %s and %s", op,
                      jinja_type_name(a->type), jinja_type_name(b->type));
}

int jinja_eval_concat(struct jinja_run *run, const struct jinja_expr *x,
                      struct jinja_value *out)
{
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    for (const struct jinja_expr *item = x->items; item; item = item->next) {
        struct jinja_value v;
        if (jinja_eval(run, item, &v) != 0 || jinja_append_value(run, &b, &v) != 0) {
            return -1;
        }
    }
    return jinja_builder_value(&b, out);
}

static int add_lists(struct jinja_run *run, const struct jinja_value *a,
                     const struct jinja_value *b, struct jinja_value *out)
{
    size_t n = a->list->count + b->list->count;
    struct jinja_value sum;
    if (jinja_charge_items(run, n) != 0 || jinja_list_new(run, a->type, n, &sum) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        sum.list->items[i] =
            i < a->list->count ? a->list->items[i] : b->list->items[i - a->list->count];
    }
    sum.list->count = n;
    *out = sum; /* which may be a */
    return 0;
}

static int add(struct jinja_run *run, const struct jinja_value *a, const struct jinja_value *b,
               struct jinja_value *out)
{
    int64_t i, j;
    double u, v;
    if (jinja_as_int(a, &i) && jinja_as_int(b, &j)) {
        *out = jinja_int(0);
        return __builtin_add_overflow(i, j, &out->integer)
                   ? jinja_fail(run, ERR_LIMIT, "an integer of more than 64 bits")
                   : 0;
    }
    if (jinja_as_double(a, &u) && jinja_as_double(b, &v)) {
        *out = jinja_float(u + v);
        return 0;
    }
    if (a->type == b->type && jinja_is_sequence(a)) {
        return add_lists(run, a, b, out);
    }
    return fail_operands(run, "+", a, b);
}

/* `a + b + c`; strings are gathered in one builder. */
int jinja_eval_sum(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    struct jinja_value sum;
    if (jinja_eval(run, x->items, &sum) != 0 ||
        (sum.type == JINJA_STRING && jinja_builder_append(&b, sum.string) != 0)) {
        return -1;
    }
    for (const struct jinja_expr *item = x->items->next; item; item = item->next) {
        struct jinja_value v;
        if (jinja_eval(run, item, &v) != 0) {
            return -1;
        }
        run->line = item->line;
        if (sum.type == JINJA_STRING && v.type == JINJA_STRING) {
            if (jinja_builder_append(&b, v.string) != 0) {
                return -1;
            }
        } else if (add(run, &sum, &v, &sum) != 0) {
            return -1;
        }
    }
    *out = sum;
    return sum.type == JINJA_STRING ? jinja_builder_value(&b, out) : 0;
}

static int repeat(struct jinja_run *run, const struct jinja_value *v, int64_t times,
                  struct jinja_value *out)
{
    if (v->type == JINJA_STRING) {
        struct jinja_builder b;
        jinja_builder_init(&b, run);
        for (int64_t i = 0; i < times && v->string->len > 0; i++) {
            if (jinja_charge(run, 1) != 0 || jinja_builder_append(&b, v->string) != 0) {
                return -1;
            }
        }
        return jinja_builder_value(&b, out);
    }
    if (jinja_list_new(run, v->type, 0, out) != 0) {
        return -1;
    }
    for (int64_t i = 0; i < times && v->list->count > 0; i++) {
        for (size_t j = 0; j < v->list->count; j++) {
            if (jinja_charge(run, 1) != 0 ||
                jinja_list_push(run, out->list, v->list->items[j]) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* True when it overflows. Squaring keeps this to 64 rounds. */
static bool power_overflows(int64_t base, int64_t exponent, int64_t *out)
{
    *out = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(*out, base, out)) {
            return true;
        }
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) {
            return true;
        }
    }
    return false;
}

/* Python's // and % round towards minus infinity. */
static bool integer_overflows(enum jinja_operator op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case JINJA_OP_SUBTRACT:
        return __builtin_sub_overflow(a, b, out);
    case JINJA_OP_MULTIPLY:
        return __builtin_mul_overflow(a, b, out);
    case JINJA_OP_POWER:
        return power_overflows(a, b, out);
    default:
        break;
    }
    if (b == -1) { /* INT64_MIN / -1 traps */
        *out = 0;
        return op == JINJA_OP_FLOOR_DIVIDE && __builtin_sub_overflow(0, a, out);
    }
    int64_t remainder = a % b;
    bool down = remainder != 0 && (remainder < 0) != (b < 0);
    *out = op == JINJA_OP_MODULO ? remainder + (down ? b : 0) : a / b - down;
    return false;
}

static double modulo(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double float_result(enum jinja_operator op, double a, double b)
{
    switch (op) {
    case JINJA_OP_SUBTRACT:
        return a - b;
    case JINJA_OP_MULTIPLY:
        return a * b;
    case JINJA_OP_DIVIDE:
        return a / b;
    case JINJA_OP_FLOOR_DIVIDE:
        return floor(a / b);
    case JINJA_OP_POWER:
        return pow(a, b);
    default:
        return modulo(a, b);
    }
}

int jinja_eval_arithmetic(struct jinja_run *run, const struct jinja_expr *x,
                          struct jinja_value *out)
{
    static const char *const names[] = {"-", "*", "/", "//", "%", "**"};
    struct jinja_value a, b;
    int64_t i, j;
    double u, v;
    if (jinja_eval(run, x->operands.left, &a) != 0 ||
        jinja_eval(run, x->operands.right, &b) != 0) {
        return -1;
    }
    run->line = x->line;
    if (x->op == JINJA_OP_MULTIPLY && (a.type == JINJA_STRING || jinja_is_sequence(&a)) &&
        jinja_as_int(&b, &j)) {
        return repeat(run, &a, j, out);
    }
    if (!jinja_as_double(&a, &u) || !jinja_as_double(&b, &v)) {
        return fail_operands(run, names[x->op], &a, &b);
    }
    bool divides =
        x->op == JINJA_OP_DIVIDE || x->op == JINJA_OP_FLOOR_DIVIDE || x->op == JINJA_OP_MODULO;
    if (divides && v == 0) {
        return jinja_fail(run, ERR_INVALID, "division by zero");
    }
    bool integers = jinja_as_int(&a, &i) && jinja_as_int(&b, &j);
    if (integers && x->op != JINJA_OP_DIVIDE && (x->op != JINJA_OP_POWER || j >= 0)) {
        *out = jinja_int(0);
        return integer_overflows(x->op, i, j, &out->integer)
                   ? jinja_fail(run, ERR_LIMIT, "an integer of more than 64 bits")
                   : 0;
    }
    *out = jinja_float(float_result(x->op, u, v));
    return 0;
}

int jinja_holds(struct jinja_run *run, enum jinja_operator op, const struct jinja_value *a,
                const struct jinja_value *b, bool *holds)
{
    int order = 0;
    bool found = false;
    switch (op) {
    case JINJA_OP_EQ:
    case JINJA_OP_NE:
        if (jinja_equal(run, a, b, &found) != 0) {
            return -1;
        }
        *holds = found == (op == JINJA_OP_EQ);
        return 0;
    case JINJA_OP_IN:
    case JINJA_OP_NOT_IN:
        if (jinja_contains(run, b, a, &found) != 0) {
            return -1;
        }
        *holds = found == (op == JINJA_OP_IN);
        return 0;
    default:
        break;
    }
    if (a->type == JINJA_UNDEFINED || b->type == JINJA_UNDEFINED) {
        return jinja_fail_undefined(run, a->type == JINJA_UNDEFINED ? a : b);
    }
    if (jinja_compare(run, a, b, &order) != 0) {
        return -1;
    }
    *holds = op == JINJA_OP_LT   ? order < 0
             : op == JINJA_OP_LE ? order <= 0
             : op == JINJA_OP_GT ? order > 0
                                 : order >= 0;
    return 0;
}

/* `a < b < c` is `a < b and b < c`. */
int jinja_eval_compare(struct jinja_run *run, const struct jinja_expr *x,
                       struct jinja_value *out)
{
    struct jinja_value left, right;
    bool holds = true;
    if (jinja_eval(run, x->items, &left) != 0) {
        return -1;
    }
    for (const struct jinja_expr *item = x->items->next; holds && item; item = item->next) {
        if (jinja_eval(run, item, &right) != 0) {
            return -1;
        }
        run->line = item->line;
        if (jinja_holds(run, item->compare, &left, &right, &holds) != 0) {
            return -1;
        }
        left = right;
    }
    *out = jinja_bool(holds);
    return 0;
}

int jinja_eval_unary(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    struct jinja_value v;
    int64_t i;
    double d;
    if (jinja_eval(run, x->operands.left, &v) != 0) {
        return -1;
    }
    bool negate = x->kind == JINJA_EXPR_NEGATE;
    if (x->kind == JINJA_EXPR_NOT) {
        *out = jinja_bool(!jinja_is_true(&v));
    } else if (jinja_as_int(&v, &i)) {
        *out = jinja_int(negate && i != INT64_MIN ? -i : i);
    } else if (jinja_as_double(&v, &d)) {
        *out = jinja_float(negate ? -d : d);
    } else {
        return fail_operands(run, negate ? "-" : "+", &v, &v);
    }
    return 0;
}

/* What stands behind `is`. */
#include "models/template/jinja_builtin.h"

/* A test that needs to look at the value alone. */
#define VALUE_TEST(name, condition)                                                 \
    static int test_##name(struct jinja_run *run, const struct jinja_value *self,   \
                           const struct jinja_value *argv, struct jinja_value *out) \
    {                                                                               \
        (void)run;                                                                  \
        (void)argv;                                                                 \
        *out = jinja_bool(condition);                                               \
        return 0;                                                                   \
    }

static bool is_odd(const struct jinja_value *v)
{
    int64_t i;
    return jinja_as_int(v, &i) && i % 2 != 0;
}

static bool is_even(const struct jinja_value *v)
{
    int64_t i;
    return jinja_as_int(v, &i) && i % 2 == 0;
}

/* Python: what has an order and a length. */
static bool is_container(const struct jinja_value *v)
{
    return jinja_is_sequence(v) || v->type == JINJA_STRING || v->type == JINJA_DICT;
}

static bool is_number(const struct jinja_value *v)
{
    return v->type == JINJA_INT || v->type == JINJA_FLOAT || v->type == JINJA_BOOL;
}

VALUE_TEST(boolean, self->type == JINJA_BOOL)
VALUE_TEST(callable, self->type == JINJA_MACRO || self->type == JINJA_FUNCTION)
VALUE_TEST(defined, self->type != JINJA_UNDEFINED)
VALUE_TEST(even, is_even(self))
VALUE_TEST(false, self->type == JINJA_BOOL && !self->boolean)
VALUE_TEST(float, self->type == JINJA_FLOAT)
VALUE_TEST(integer, self->type == JINJA_INT)
VALUE_TEST(iterable, is_container(self) || self->type == JINJA_UNDEFINED)
VALUE_TEST(mapping, self->type == JINJA_DICT)
VALUE_TEST(none, self->type == JINJA_NONE)
VALUE_TEST(number, is_number(self))
VALUE_TEST(odd, is_odd(self))
VALUE_TEST(sequence, is_container(self) || self->type == JINJA_UNDEFINED)
VALUE_TEST(string, self->type == JINJA_STRING)
VALUE_TEST(true, self->type == JINJA_BOOL && self->boolean)
VALUE_TEST(undefined, self->type == JINJA_UNDEFINED)

/* A test that is a comparison with its argument. */
#define COMPARISON_TEST(name, op)                                                   \
    static int test_##name(struct jinja_run *run, const struct jinja_value *self,   \
                           const struct jinja_value *argv, struct jinja_value *out) \
    {                                                                               \
        bool holds = false;                                                         \
        int rc = jinja_holds(run, op, self, &argv[0], &holds);                      \
        *out = jinja_bool(holds);                                                   \
        return rc;                                                                  \
    }

COMPARISON_TEST(eq, JINJA_OP_EQ)
COMPARISON_TEST(ne, JINJA_OP_NE)
COMPARISON_TEST(lt, JINJA_OP_LT)
COMPARISON_TEST(le, JINJA_OP_LE)
COMPARISON_TEST(gt, JINJA_OP_GT)
COMPARISON_TEST(ge, JINJA_OP_GE)
COMPARISON_TEST(in, JINJA_OP_IN)

static int test_divisibleby(struct jinja_run *run, const struct jinja_value *self,
                            const struct jinja_value *argv, struct jinja_value *out)
{
    int64_t a, b;
    if (!jinja_as_int(self, &a) || !jinja_as_int(&argv[0], &b) || b == 0) {
        return jinja_fail(run, ERR_INVALID, "divisibleby takes integers, the second not 0");
    }
    *out = jinja_bool(b == -1 || a % b == 0);
    return 0;
}

/* Python's `is`, for what templates compare that way: none, true and false. */
static int test_sameas(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    bool equal = false;
    int rc = self->type == argv[0].type ? jinja_equal(run, self, &argv[0], &equal) : 0;
    *out = jinja_bool(equal);
    return rc;
}

const struct jinja_builtin *jinja_test_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "boolean", .call = test_boolean},
        {.name = "callable", .call = test_callable},
        {.name = "defined", .call = test_defined},
        {.name = "divisibleby", .call = test_divisibleby, .params = {"num"}, .required = 1},
        {.name = "eq", .call = test_eq, .params = {"other"}, .required = 1},
        {.name = "equalto", .call = test_eq, .params = {"other"}, .required = 1},
        {.name = "==", .call = test_eq, .params = {"other"}, .required = 1},
        {.name = "even", .call = test_even},
        {.name = "false", .call = test_false},
        {.name = "float", .call = test_float},
        {.name = "ge", .call = test_ge, .params = {"other"}, .required = 1},
        {.name = "gt", .call = test_gt, .params = {"other"}, .required = 1},
        {.name = "greaterthan", .call = test_gt, .params = {"other"}, .required = 1},
        {.name = "in", .call = test_in, .params = {"seq"}, .required = 1},
        {.name = "integer", .call = test_integer},
        {.name = "iterable", .call = test_iterable},
        {.name = "le", .call = test_le, .params = {"other"}, .required = 1},
        {.name = "lessthan", .call = test_lt, .params = {"other"}, .required = 1},
        {.name = "lt", .call = test_lt, .params = {"other"}, .required = 1},
        {.name = "mapping", .call = test_mapping},
        {.name = "ne", .call = test_ne, .params = {"other"}, .required = 1},
        {.name = "!=", .call = test_ne, .params = {"other"}, .required = 1},
        {.name = "none", .call = test_none},
        {.name = "number", .call = test_number},
        {.name = "odd", .call = test_odd},
        {.name = "sameas", .call = test_sameas, .params = {"other"}, .required = 1},
        {.name = "sequence", .call = test_sequence},
        {.name = "string", .call = test_string},
        {.name = "true", .call = test_true},
        {.name = "undefined", .call = test_undefined},
        {0},
    };
    return jinja_builtin_find(table, name);
}

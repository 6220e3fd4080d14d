/* jinja_ast.h: a compiled template.
 *
 * Lists of things are linked through `next`, in the order of the source. Filters, tests,
 * methods and functions are resolved and their arguments put in the order of their parameters
 * when the template is compiled, so that a template which needs something that is not here
 * fails when the model is loaded and not in the middle of somebody's request.
 *
 * Ownership: everything is in the template's arena and immutable once compiled.
 */
#pragma once

#include "models/template/jinja_value.h"

/* The most arguments that a filter, test, method or function of the interpreter's own takes. */
#define JINJA_MAX_PARAMS 4

struct jinja_builtin;

/* A name of the source. The hash makes most comparisons of different names one integer's. */
struct jinja_name {
    const char *text; /* NUL-terminated */
    uint32_t hash;
};

enum jinja_expr_kind {
    JINJA_EXPR_CONST,
    JINJA_EXPR_NAME,
    JINJA_EXPR_LIST,
    JINJA_EXPR_TUPLE,
    JINJA_EXPR_DICT,
    JINJA_EXPR_ATTRIBUTE,
    JINJA_EXPR_ITEM,
    JINJA_EXPR_SLICE,
    JINJA_EXPR_BUILTIN,
    JINJA_EXPR_CALL,
    JINJA_EXPR_NOT,
    JINJA_EXPR_NEGATE,
    JINJA_EXPR_PLUS,
    JINJA_EXPR_AND,
    JINJA_EXPR_OR,
    JINJA_EXPR_IF_ELSE,
    JINJA_EXPR_SUM,
    JINJA_EXPR_CONCAT,
    JINJA_EXPR_ARITHMETIC,
    JINJA_EXPR_COMPARE,
};

enum jinja_operator {
    JINJA_OP_SUBTRACT,
    JINJA_OP_MULTIPLY,
    JINJA_OP_DIVIDE,
    JINJA_OP_FLOOR_DIVIDE,
    JINJA_OP_MODULO,
    JINJA_OP_POWER,
    JINJA_OP_EQ,
    JINJA_OP_NE,
    JINJA_OP_LT,
    JINJA_OP_LE,
    JINJA_OP_GT,
    JINJA_OP_GE,
    JINJA_OP_IN,
    JINJA_OP_NOT_IN,
};

struct jinja_expr {
    enum jinja_expr_kind kind;
    enum jinja_operator op;      /* ARITHMETIC */
    enum jinja_operator compare; /* of an operand of COMPARE: to the one before it */
    uint32_t line;
    struct jinja_expr *next; /* in a list of items or operands */
    union {
        struct jinja_value constant;
        struct jinja_name name;
        /* LIST, TUPLE, SUM, CONCAT, COMPARE: operands. DICT: key, value, key, value. */
        struct jinja_expr *items;
        struct {
            struct jinja_expr *target;
            const char *name;
        } attribute;
        struct {
            struct jinja_expr *target;
            struct jinja_expr *key;                 /* ITEM */
            struct jinja_expr *start, *stop, *step; /* SLICE; each may be NULL */
        } item;
        struct {
            const struct jinja_builtin *function;
            struct jinja_expr *self; /* what is filtered or tested, or the method's object */
            struct jinja_expr *args[JINJA_MAX_PARAMS]; /* NULL where not given */
        } builtin;
        struct {
            struct jinja_name name;
            struct jinja_arg *args;
        } call; /* of a macro */
        struct {
            struct jinja_expr *left; /* the only operand of NOT, NEGATE and PLUS */
            struct jinja_expr *right;
            struct jinja_expr *condition; /* IF_ELSE; its right may be NULL */
        } operands;
    };
};

/* An argument of a macro's call, or a parameter of its definition (value: the default or NULL).
 */
struct jinja_arg {
    struct jinja_arg *next;
    struct jinja_name name; /* text NULL for a positional argument */
    struct jinja_expr *value;
};

/* What `set` and `for` assign to: one name, an attribute of a namespace, or several names. */
struct jinja_target {
    struct jinja_target *next;
    struct jinja_name name;
    const char *attribute; /* or NULL */
};

enum jinja_stmt_kind {
    JINJA_STMT_TEXT,
    JINJA_STMT_PRINT,
    JINJA_STMT_IF,
    JINJA_STMT_FOR,
    JINJA_STMT_SET,
    JINJA_STMT_SET_BLOCK,
    JINJA_STMT_MACRO,
    JINJA_STMT_BREAK,
    JINJA_STMT_CONTINUE,
};

struct jinja_stmt {
    enum jinja_stmt_kind kind;
    uint32_t line;
    struct jinja_stmt *next;
    union {
        struct jinja_string text;
        struct jinja_expr *print;
        struct jinja_branch {
            struct jinja_expr *condition; /* NULL: else */
            struct jinja_stmt *body;
            struct jinja_branch *next;
        } * branches;
        struct {
            struct jinja_target *targets;
            bool unpack; /* targets take the items of each value */
            struct jinja_expr *iterable;
            struct jinja_expr *filter; /* the `if` of the for, or NULL */
            struct jinja_stmt *body;
            struct jinja_stmt *otherwise;
        } loop;
        struct {
            struct jinja_target *targets;
            bool unpack;
            struct jinja_expr *value; /* SET_BLOCK: filters over the target once set, or NULL */
            struct jinja_stmt *body;  /* SET_BLOCK */
        } set;
        struct {
            struct jinja_name name;
            struct jinja_arg *params;
            struct jinja_stmt *body;
        } macro;
    };
};

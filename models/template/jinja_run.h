/* jinja_run.h: one rendering in progress, and the bounds it runs under.
 *
 * A template comes out of a model file that anyone may have made, and it works on text that
 * anyone may have sent. So every rendering has a budget of steps, of memory, of bytes in one
 * string and of nesting; using one up is an error of kind ERR_LIMIT, never a crash and never a
 * wait.
 *
 * Threads: a run belongs to one thread; the program it runs is shared and immutable.
 */
#pragma once

#include "models/template/jinja_arena.h"
#include "models/template/jinja_ast.h"
#include "models/template/jinja_string.h"

/* Evaluations within one another, macros called included. Bounds the C stack. */
#define JINJA_MAX_RUN_DEPTH 400
/* Items that range() may make. */
#define JINJA_MAX_RANGE 10000

struct jinja_variable {
    const struct jinja_name *name;
    struct jinja_value value;
};

/* The names set in one for body or macro body, or at the top. `if` makes none, as in Jinja. */
struct jinja_scope {
    struct jinja_scope *parent;
    struct jinja_variable *variables;
    size_t count;
    size_t cap;
};

/* A macro and the scope it was defined in, where its free names are looked up. */
struct jinja_macro {
    const struct jinja_stmt *definition;
    struct jinja_scope *scope;
};

struct jinja_run {
    struct jinja_arena *arena;
    struct err *err;
    struct jinja_scope *scope; /* innermost */
    struct jinja_builder *out; /* where print statements go */
    struct jinja_name loop;    /* the name "loop" */
    int64_t unix_time;         /* for strftime_now */
    uint64_t steps;            /* left */
    size_t max_string;         /* bytes */
    unsigned depth;
    uint32_t line; /* of the template, for messages */
};

/* Sets the error, with the line of the template in front, and returns -1. */
int jinja_fail(struct jinja_run *run, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes steps from the budget: one a node evaluated, one for about each 64 bytes or 16 items
 * that an operation looks at. */
int jinja_charge(struct jinja_run *run, uint64_t steps);
int jinja_charge_bytes(struct jinja_run *run, size_t bytes);
int jinja_charge_items(struct jinja_run *run, size_t items);

/* One level deeper; every successful enter is paired with a leave. */
int jinja_enter(struct jinja_run *run);
void jinja_leave(struct jinja_run *run);

void *jinja_alloc(struct jinja_run *run, size_t count, size_t size);

/* Variables. set puts a name into the innermost scope, get looks outwards from there and gives
 * NULL in *out when there is none; `name` is borrowed until the rendering ends. */
struct jinja_scope *jinja_scope_new(struct jinja_run *run, struct jinja_scope *parent);
int jinja_scope_set(struct jinja_run *run, const struct jinja_name *name,
                    struct jinja_value value);
int jinja_scope_get(struct jinja_run *run, const struct jinja_name *name,
                    struct jinja_value **out);

/* jinja_eval.c */
int jinja_eval(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out);
/* `target.name` and `target[key]`, undefined when there is none. */
int jinja_get_attribute(struct jinja_run *run, const struct jinja_value *target,
                        const char *name, struct jinja_value *out);
int jinja_get_item(struct jinja_run *run, const struct jinja_value *target,
                   const struct jinja_value *key, struct jinja_value *out);
/* Whether a comparison (JINJA_OP_EQ and those after it) holds. */
int jinja_holds(struct jinja_run *run, enum jinja_operator op, const struct jinja_value *a,
                const struct jinja_value *b, bool *holds);
/* jinja_exec.c */
int jinja_exec(struct jinja_run *run, const struct jinja_stmt *body);
int jinja_call_macro(struct jinja_run *run, const struct jinja_macro *macro,
                     const struct jinja_arg *args, struct jinja_value *out);

/* jinja_eval.h: the parts of the evaluator, one function a kind of node. Each returns 0, or -1
 * with the error set in the run. */
#pragma once

#include "models/template/jinja_run.h"

/* Using what is undefined, other than by printing, testing or going through it, is an error. */
int jinja_fail_undefined(struct jinja_run *run, const struct jinja_value *v);

/* jinja_eval_access.c */
int jinja_eval_name(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out);
int jinja_eval_attribute(struct jinja_run *run, const struct jinja_expr *x,
                         struct jinja_value *out);
int jinja_eval_item(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out);
int jinja_eval_slice(struct jinja_run *run, const struct jinja_expr *x,
                     struct jinja_value *out);

/* jinja_eval_operators.c */
int jinja_eval_sum(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out);
int jinja_eval_concat(struct jinja_run *run, const struct jinja_expr *x,
                      struct jinja_value *out);
int jinja_eval_arithmetic(struct jinja_run *run, const struct jinja_expr *x,
                          struct jinja_value *out);
int jinja_eval_compare(struct jinja_run *run, const struct jinja_expr *x,
                       struct jinja_value *out);
int jinja_eval_unary(struct jinja_run *run, const struct jinja_expr *x,
                     struct jinja_value *out);

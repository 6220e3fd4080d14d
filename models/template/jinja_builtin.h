/* jinja_builtin.h: the filters, tests, methods and functions that templates may use.
 *
 * Each is one entry of a table: its name, its parameters and what it does. Adding one touches
 * its table and nothing else. A template that names one which is in no table does not compile.
 *
 * Semantics: Jinja 3.1 "List of Builtin Filters" and "List of Builtin Tests"; for methods,
 * Python's str, dict and list. Letter case is that of ASCII.
 */
#pragma once

#include "models/template/jinja_run.h"

/* `self` is what is filtered or tested or the method's object, JINJA_MISSING for a function.
 * `argv` has JINJA_MAX_PARAMS values in the order of the parameters; those not given are
 * JINJA_MISSING. A test gives a boolean. Returns 0, or -1 with the error set. */
typedef int (*jinja_builtin_fn)(struct jinja_run *run, const struct jinja_value *self,
                                const struct jinja_value *argv, struct jinja_value *out);

struct jinja_builtin {
    const char *name;
    jinja_builtin_fn call;
    const char *params[JINJA_MAX_PARAMS];
    unsigned required;    /* how many of the first must be given */
    enum jinja_type self; /* methods: of what */
    bool keywords;        /* takes any keyword arguments: a dict of them is argv[0] */
};

/* NULL when there is none of that name. */
const struct jinja_builtin *jinja_filter_find(const char *name);
const struct jinja_builtin *jinja_test_find(const char *name);
const struct jinja_builtin *jinja_method_find(const char *name);
const struct jinja_builtin *jinja_function_find(const char *name);

/* In a table that ends with a NULL name. */
const struct jinja_builtin *jinja_builtin_find(const struct jinja_builtin *table,
                                               const char *name);

/* Reads an argument. Each leaves *out as it was when the argument was not given, and fails when
 * it has another type. `name` is for the message. */
int jinja_arg_string(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                     const struct jinja_string **out);
int jinja_arg_int(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                  int64_t *out);
bool jinja_arg_true(const struct jinja_value *arg, bool otherwise);

/* --- operations that a filter and a method share --- */

/* `value` as text: a string as it is, else as Python's str() writes it (jinja_text.c). */
int jinja_to_string(struct jinja_run *run, const struct jinja_value *value,
                    struct jinja_string *out);
int jinja_append_value(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_value *value);
/* JSON as Python's json.dumps writes it. `indent` below 0: on one line. */
struct jinja_json_style {
    int indent;
    bool ascii;
    bool sort_keys;
    const struct jinja_string *item_separator;
    const struct jinja_string *key_separator;
};
int jinja_append_json(struct jinja_run *run, struct jinja_builder *b,
                      const struct jinja_value *value, const struct jinja_json_style *style);
/* A float as Python's repr() writes it, into at least 32 bytes. */
void jinja_format_float(double d, char *out);

enum jinja_case { JINJA_LOWER, JINJA_UPPER, JINJA_CAPITALIZE, JINJA_TITLE };
int jinja_change_case(struct jinja_run *run, const struct jinja_string *s, enum jinja_case how,
                      struct jinja_value *out);
int jinja_replace(struct jinja_run *run, const struct jinja_string *s,
                  const struct jinja_value *argv, struct jinja_value *out);
int jinja_join(struct jinja_run *run, const struct jinja_value *items,
               const struct jinja_string *separator, struct jinja_value *out);
int jinja_items(struct jinja_run *run, const struct jinja_dict *dict, struct jinja_value *out);
/* Stable; order as jinja_compare has it. Sorts list->items by the keys beside them. */
int jinja_sort(struct jinja_run *run, struct jinja_value *items, struct jinja_value *keys,
               size_t count, bool reverse);

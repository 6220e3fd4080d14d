/* jinja_builtin.h: the filters, tests, methods and functions that templates may use.
 *
 * Each is one entry of a table: its name, its parameters and what it does. Adding one touches
 * its table and nothing else. A template that names one which is in no table does not compile.
 *
 * Semantics: Jinja 3.1 "List of Builtin Filters" and "List of Builtin Tests"; for methods,
 * Python's str, dict and list; for tojson and strftime_now, transformers' apply_chat_template.
 * Letter case is that of Unicode, letter by letter: only the German sharp s becomes two.
 */
#pragma once

#include "models/template/jinja_run.h"
#include "runtime/base/json.h"

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
    bool keywords; /* takes any keyword arguments: a dict of them is argv[0]; then argv[1] is
                      the positional argument */
};

/* NULL when there is none of that name. */
const struct jinja_builtin *jinja_filter_find(const char *name);
const struct jinja_builtin *jinja_test_find(const char *name);
const struct jinja_builtin *jinja_method_find(const char *name);
const struct jinja_builtin *jinja_function_find(const char *name);

/* The filters that take or give lists, a table of their own (jinja_list_filters.c). */
extern const struct jinja_builtin jinja_list_filters[];

/* In a table that ends with a NULL name. */
const struct jinja_builtin *jinja_builtin_find(const struct jinja_builtin *table,
                                               const char *name);

/* Reads an argument. Each leaves *out as it was when the argument was not given or is none, and
 * fails when it has another type. `name` is for the message. */
int jinja_arg_string(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                     const struct jinja_string **out);
int jinja_arg_int(struct jinja_run *run, const struct jinja_value *arg, const char *name,
                  int64_t *out);
bool jinja_arg_true(const struct jinja_value *arg, bool otherwise);

/* --- values as text (jinja_text.c, jinja_json.c), and JSON as values (jinja_from_json.c) ---
 */

/* As Python's str() writes it; a string is itself, undefined is nothing. */
int jinja_to_string(struct jinja_run *run, const struct jinja_value *value,
                    struct jinja_string *out);
int jinja_append_value(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_value *value);

#define JINJA_FLOAT_MAX 40
/* A float as Python's repr() writes it: the fewest digits that read back as the same number. */
void jinja_format_float(double d, char out[JINJA_FLOAT_MAX]);

struct jinja_json_style {
    int indent; /* below 0: all on one line */
    bool ascii;
    bool sort_keys;
    const struct jinja_string *item_separator;
    const struct jinja_string *key_separator;
};
/* As Python's json.dumps writes it. */
int jinja_append_json(struct jinja_run *run, struct jinja_builder *b,
                      const struct jinja_value *value, const struct jinja_json_style *style);

/* The value of a JSON tree, copied. */
int jinja_from_cjson(struct jinja_run *run, const cJSON *json, struct jinja_value *out);

/* --- operations that a filter and a method share (jinja_filters.c) --- */

enum jinja_case {
    JINJA_LOWER,
    JINJA_UPPER,
    JINJA_CAPITALIZE,
    JINJA_TITLE,         /* the filter */
    JINJA_TITLE_LETTERS, /* the method */
};
int jinja_change_case(struct jinja_run *run, const struct jinja_string *s, enum jinja_case how,
                      struct jinja_value *out);
int jinja_strip(struct jinja_run *run, const struct jinja_string *s,
                const struct jinja_value *chars, enum jinja_side sides,
                struct jinja_value *out);
/* argv: old, new, count. */
int jinja_replace(struct jinja_run *run, const struct jinja_string *s,
                  const struct jinja_value *argv, struct jinja_value *out);
/* The items, or with an attribute (which may be NULL) that of each. */
int jinja_join(struct jinja_run *run, const struct jinja_value *items,
               const struct jinja_string *separator, const struct jinja_string *attribute,
               struct jinja_value *out);

/* --- lists (jinja_list_filters.c) --- */

enum jinja_dict_part { JINJA_KEYS, JINJA_VALUES, JINJA_ITEMS };
/* A list of a dict's keys, values, or (key, value) tuples. */
int jinja_dict_list(struct jinja_run *run, const struct jinja_dict *dict,
                    enum jinja_dict_part part, struct jinja_value *out);
/* `a.b.0` of a value. */
int jinja_get_path(struct jinja_run *run, const struct jinja_value *value,
                   const struct jinja_string *path, struct jinja_value *out);
/* Stable, by the keys, in the order that jinja_compare has. */
int jinja_sort(struct jinja_run *run, struct jinja_pair *pairs, size_t count, bool reverse);

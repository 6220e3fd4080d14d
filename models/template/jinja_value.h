/* jinja_value.h: the values that a template computes with.
 *
 * Strings know for each of their bytes whether it is trusted: whether it stood in the template
 * (or is a constant of the model, such as bos_token) or came from outside, such as a message's
 * text. Every operation on strings carries that mark along byte by byte, so that after any
 * amount of slicing, joining and replacing the output still says which of its bytes may be a
 * control token. What an operation makes up itself (numbers as text, JSON, padding) is
 * untrusted: it loses nothing by it.
 *
 * Ownership: values and all they point to live in an arena, the template's or the rendering's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja_run;
struct jinja_builtin;

enum jinja_type {
    JINJA_MISSING, /* an optional argument that was not given; templates never see it */
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_FLOAT,
    JINJA_STRING,
    JINJA_LIST,
    JINJA_TUPLE,
    JINJA_DICT,
    JINJA_NAMESPACE,
    JINJA_LOOP,
    JINJA_MACRO,
    JINJA_FUNCTION,
};

/* Immutable. `data` is never NULL, not NUL-terminated, and need not be valid UTF-8. */
struct jinja_string {
    const char *data;
    const unsigned char
        *trust; /* (len) 1 for a trusted byte; NULL when all are as `trusted` says */
    size_t len;
    bool trusted;
};

struct jinja_value {
    enum jinja_type type;
    union {
        const char *name; /* JINJA_UNDEFINED: what was not found */
        bool boolean;
        int64_t integer;
        double real;
        const struct jinja_string *string;
        struct jinja_list *list; /* JINJA_LIST, JINJA_TUPLE */
        struct jinja_dict *dict; /* JINJA_DICT, JINJA_NAMESPACE */
        const struct jinja_loop *loop;
        const struct jinja_macro *macro;
        const struct jinja_builtin *function;
    };
};

struct jinja_list {
    struct jinja_value *items;
    size_t count;
    size_t cap;
};

struct jinja_pair {
    struct jinja_value key;
    struct jinja_value value;
};

/* In order of insertion. Looked up from the front, which the step budget pays for. */
struct jinja_dict {
    struct jinja_pair *pairs;
    size_t count;
    size_t cap;
};

/* The `loop` variable of one for statement. */
struct jinja_loop {
    const struct jinja_value *items;
    size_t count;
    size_t index; /* from 0 */
};

static inline struct jinja_value jinja_none(void)
{
    return (struct jinja_value){.type = JINJA_NONE};
}

static inline struct jinja_value jinja_bool(bool b)
{
    return (struct jinja_value){.type = JINJA_BOOL, .boolean = b};
}

static inline struct jinja_value jinja_int(int64_t i)
{
    return (struct jinja_value){.type = JINJA_INT, .integer = i};
}

static inline struct jinja_value jinja_float(double d)
{
    return (struct jinja_value){.type = JINJA_FLOAT, .real = d};
}

static inline struct jinja_value jinja_undefined(const char *name)
{
    return (struct jinja_value){.type = JINJA_UNDEFINED, .name = name};
}

static inline bool jinja_given(const struct jinja_value *argument)
{
    return argument->type != JINJA_MISSING;
}

/* The word for a type in messages: "string", "list". */
const char *jinja_type_name(enum jinja_type type);

/* Python's truth: false are undefined, none, false, zero and what is empty. */
bool jinja_is_true(const struct jinja_value *v);

bool jinja_is_sequence(const struct jinja_value *v); /* list or tuple */

/* Integers and booleans; false for all else. */
bool jinja_as_int(const struct jinja_value *v, int64_t *out);
/* The above and floats. */
bool jinja_as_double(const struct jinja_value *v, double *out);

/* The functions below return 0, or -1 with the error set in the run. */

int jinja_equal(struct jinja_run *run, const struct jinja_value *a, const struct jinja_value *b,
                bool *equal);
/* Below 0, 0 or above 0 in *order. Numbers, strings and sequences of them can be ordered. */
int jinja_compare(struct jinja_run *run, const struct jinja_value *a,
                  const struct jinja_value *b, int *order);
/* `needle in haystack` */
int jinja_contains(struct jinja_run *run, const struct jinja_value *haystack,
                   const struct jinja_value *needle, bool *found);

/* Lists. list_new gives an empty one with room for `cap`. */
int jinja_list_new(struct jinja_run *run, enum jinja_type type, size_t cap,
                   struct jinja_value *out);
int jinja_list_push(struct jinja_run *run, struct jinja_list *list, struct jinja_value item);
/* What a for statement walks over: items of a sequence, keys of a dict, characters of a string,
 * nothing for undefined. A list is given as it is, not copied. */
int jinja_to_list(struct jinja_run *run, const struct jinja_value *v, struct jinja_list **out);

/* Dicts. put adds a key that is known to be new; set looks for it first. find gives NULL in
 * *out when the key is not there. */
int jinja_dict_new(struct jinja_run *run, enum jinja_type type, struct jinja_value *out);
int jinja_dict_put(struct jinja_run *run, struct jinja_dict *dict, struct jinja_value key,
                   struct jinja_value value);
int jinja_dict_set(struct jinja_run *run, struct jinja_dict *dict,
                   const struct jinja_value *key, struct jinja_value value);
int jinja_dict_find(struct jinja_run *run, const struct jinja_dict *dict,
                    const struct jinja_value *key, struct jinja_value **out);
/* The same by a string key of the interpreter's own. */
int jinja_dict_find_name(struct jinja_run *run, const struct jinja_dict *dict, const char *name,
                         struct jinja_value **out);

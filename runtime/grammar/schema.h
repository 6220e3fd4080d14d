/* schema.h: inside of the translation of JSON Schema (json_schema.h).
 *
 * A value is translated by the set of schemas that it must be valid under, all of them: a
 * property that two members of an allOf describe has two. schema_expand (schema_parse.c)
 * follows $ref, allOf, anyOf and oneOf and gives the alternatives, each a `shape`: the schema
 * objects whose own keywords all apply. What a keyword says is then read from the parts of a
 * shape where it is needed, so that nothing has to be merged. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/grammar/budget.h"
#include "runtime/grammar/text_dfa.h"

enum {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_FRACTION = 8, /* numbers that are not whole */
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
    TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
    TYPE_ANY = 127,
};

/* A growing list of borrowed JSON nodes. */
struct node_list {
    const cJSON **nodes; /* (n) */
    size_t n, cap;
};

int node_list_add(struct node_list *l, const cJSON *node, struct err *e);
int node_list_copy(struct node_list *to, const struct node_list *from, struct err *e);
void node_list_deinit(struct node_list *l);

struct shape {
    struct node_list parts; /* schema objects */
    unsigned types;
};

struct shape_list {
    struct shape *shapes; /* (n) */
    size_t n, cap;
};

void shape_list_deinit(struct shape_list *l);

/* One translation. */
struct schema {
    const cJSON *root;
    bool has_ids; /* a part of the document has an $id of its own */
    const char *prefix;
    struct buf *rules;
    struct budget budget;
    struct node_list *sets; /* (n_sets) schemas of each rule; rule i is "PREFIX-i" */
    size_t n_sets, cap_sets;
    size_t n_helpers;     /* helper rules made so far */
    const cJSON *listing; /* the values at hand come from the enum of this schema, or NULL */
    struct err *e;
};

/* schema_keywords.c */

bool schema_is_one(const cJSON *value); /* an object or a boolean */
/* Every keyword of a schema object is known and well-formed. */
int schema_check_keywords(struct schema *s, const cJSON *object);
/* TYPE_* of a `type` keyword with its `nullable`. */
unsigned schema_types(const cJSON *object);
/* The types that a `not` leaves: of types, of everything and of nothing it is exact, all else
 * is refused. */
int schema_types_by_not(struct schema *s, const cJSON *object, unsigned *types);

/* schema_parse.c */

/* All fail with -1 and the keyword's place in the message: "#/properties/a/KEYWORD". */
int schema_fail(struct schema *s, enum err_kind kind, const cJSON *object, const char *keyword,
                const char *why);
int schema_unsupported(struct schema *s, const cJSON *object, const char *keyword,
                       const char *why);

/* The alternatives of a set of schemas; none when no value can be valid. */
int schema_expand(struct schema *s, const struct node_list *set, struct shape_list *out);
/* The schema that a $ref names. NULL on failure. */
const cJSON *schema_resolve(struct schema *s, const cJSON *object, const cJSON *ref);

static inline const cJSON *schema_get(const cJSON *object, const char *keyword)
{
    return cJSON_GetObjectItemCaseSensitive(object, keyword);
}

/* The largest (or smallest) value of a count keyword over all parts, or `otherwise`. */
uint32_t shape_count(const struct shape *x, const char *keyword, bool largest,
                     uint32_t otherwise);

/* schema_disjoint.c */

/* Whether nothing that is written for x can be valid under the shape y: 1, 0, or -1 on failure.
 */
int schema_disjoint(struct schema *s, const struct shape *x, const struct shape *y, int depth);

/* schema_valid.c */

/* Whether a value is valid under all schemas of a list: 1, 0, or -1 on failure. */
int schema_valid(struct schema *s, const cJSON *value, const struct node_list *set);

/* schema_number.c, schema_string.c, schema_object.c, schema_array.c: append to *out an
 * expression for the values of one type, and helper rules to s->rules. */
int schema_write_number(struct schema *s, const struct shape *x, struct buf *out);
int schema_write_string(struct schema *s, const struct shape *x, struct buf *out);
int schema_write_object(struct schema *s, const struct shape *x, struct buf *out);
int schema_write_array(struct schema *s, const struct shape *x, struct buf *out);

struct number_bounds {
    double lo, hi; /* infinite: none */
    bool lo_exclusive, hi_exclusive;
};
struct number_bounds shape_bounds(const struct shape *x);

/* The set of texts that a string of this shape may have. *restricted is false, and *d empty,
 * when any may. */
int schema_string_set(struct schema *s, const struct shape *x, struct text_dfa *d,
                      bool *restricted);
/* The texts that one pattern keyword finds. */
int schema_pattern_set(struct schema *s, const cJSON *object, const char *keyword,
                       const char *pattern, struct text_dfa *d);

/* A literal of a grammar. */
void schema_write_literal(struct buf *out, const char *text);
/* The literal of a value's JSON, or of a string's. -1 when out of memory. */
int schema_write_json(struct schema *s, struct buf *out, const cJSON *value);
/* The rule for a set of schemas, made when it is new: appends its name. */
int schema_write_rule(struct schema *s, const struct node_list *set, struct buf *out);

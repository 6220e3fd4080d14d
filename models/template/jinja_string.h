/* jinja_string.h: strings whose bytes are marked trusted or not (see jinja_value.h), and the
 * builder that makes them.
 *
 * Positions are bytes unless said otherwise. Python's are code points: the functions that
 * templates reach convert. A byte that is not valid UTF-8 counts as a character of its own.
 */
#pragma once

#include "models/template/jinja_value.h"

#define JINJA_STR(s) ((struct jinja_string){(s), NULL, sizeof(s) - 1, false})

/* --- reading --- */

bool jinja_string_equal(const struct jinja_string *a, const struct jinja_string *b);
bool jinja_string_is(const struct jinja_string *s, const char *text);
bool jinja_string_trusted_at(const struct jinja_string *s, size_t i);
bool jinja_string_starts_with(const struct jinja_string *s, const struct jinja_string *prefix);
bool jinja_string_ends_with(const struct jinja_string *s, const struct jinja_string *suffix);
/* Byte position of the first occurrence of a non-empty needle at or after `from`, or SIZE_MAX.
 * Linear time. */
size_t jinja_string_find(const struct jinja_string *s, size_t from,
                         const struct jinja_string *needle);
struct jinja_string jinja_string_slice(const struct jinja_string *s, size_t from, size_t to);

/* Bytes of the character at the front; len > 0. */
size_t jinja_char_len(const char *data, size_t len);
/* Bytes of the character at the end; len > 0. */
size_t jinja_char_len_back(const char *data, size_t len);
size_t jinja_char_count(const char *data, size_t len);
/* Whether the character of n bytes is one that Python's str.strip() takes away. */
bool jinja_char_is_space(const char *data, size_t n);

enum jinja_side { JINJA_LEFT = 1, JINJA_RIGHT = 2, JINJA_BOTH = 3 };
/* Without the characters of `chars` (NULL: white space) at its ends. */
struct jinja_string jinja_string_strip(const struct jinja_string *s,
                                       const struct jinja_string *chars, enum jinja_side sides);

/* --- making --- */

/* Puts a string into a value. The bytes are borrowed and must outlive the run, or be in its
 * arena. */
int jinja_string_value(struct jinja_run *run, struct jinja_string s, struct jinja_value *out);

/* A string under construction. Nothing to release: its memory is the run's. */
struct jinja_builder {
    struct jinja_run *run;
    char *data;
    unsigned char *trust; /* NULL while all bytes have the same mark */
    size_t len;
    size_t cap;
    bool trusted; /* the mark of all bytes while trust is NULL */
};

void jinja_builder_init(struct jinja_builder *b, struct jinja_run *run);
int jinja_builder_append(struct jinja_builder *b, const struct jinja_string *s);
/* Untrusted bytes. */
int jinja_builder_bytes(struct jinja_builder *b, const char *data, size_t len);
int jinja_builder_text(struct jinja_builder *b, const char *text);
int jinja_builder_fill(struct jinja_builder *b, char c, size_t count);
/* What was built; the builder may go on, which leaves the string as it is. */
struct jinja_string jinja_builder_string(const struct jinja_builder *b);
int jinja_builder_value(const struct jinja_builder *b, struct jinja_value *out);

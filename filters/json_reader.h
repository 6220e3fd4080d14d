/* json_reader.h: says of each character of a text what it is in JSON (RFC 8259).
 *
 * A strict reader reads one document. A lenient one looks for documents in any text: an opening
 * bracket begins one, also where none may stand inside another, and what no JSON has (words
 * without quotation marks, a missing comma) is taken for what it is most like, so that a name
 * before a colon is a name. Both tell where the text is not JSON.
 *
 * A number or a word ends with the character after it: `token_ended` is told with that.
 *
 * Threads: none; belongs to one text. Ownership: as json_place.
 */
#pragma once

#include "filters/json_paths.h"

enum json_kind {
    JSON_OTHER, /* no part of a value: brackets, names, blanks, text around documents */
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL,
    JSON_WORD, /* something else where a value may stand: no JSON */
};

struct json_step {
    enum json_kind kind; /* of the value that the character is a part of */
    bool begins;         /* it is the first one: a string's quotation mark, too */
    bool closes;         /* it is the quotation mark behind a string */
    bool completes;      /* of a string: one character of what it says is complete */
    bool token_ended;    /* a number or word ended before this character */
    bool token_is_json;  /* and is one of JSON */
    bool is_wrong;       /* not JSON from here on */
    bool is_meant;       /* with begins: by a path */
    uint32_t path;
};

enum json_state {
    JSON_STATE_OUTSIDE, /* of documents; strict: before the first and only one */
    JSON_STATE_FIRST_NAME,
    JSON_STATE_NAME,
    JSON_STATE_COLON,
    JSON_STATE_FIRST_VALUE,
    JSON_STATE_VALUE,
    JSON_STATE_AFTER, /* a value */
};

struct json_escape {
    uint8_t left;  /* characters of an escape still to come; 0: none */
    bool is_hex;   /* they are hexadecimal digits */
    uint32_t code; /* read so far */
    uint32_t high; /* the first half of a surrogate pair stands before */
};

struct json_reader {
    struct json_place place;
    bool is_strict;
    bool saw_other_text; /* around documents, but for blanks */
    enum json_state state;
    enum json_kind token; /* that is open */
    bool in_name;         /* the string or word that is open is a name */
    bool token_is_wrong;
    uint8_t number;      /* how far a number has come */
    const char *literal; /* what is left of true, false, null */
    struct json_escape escape;
};

/* 0, or -1 when out of memory. */
int json_reader_init(struct json_reader *reader, const struct json_paths *paths,
                     bool is_strict);
void json_reader_deinit(struct json_reader *reader);

/* The next character. -1 when objects and lists are nested too deep. */
int json_reader_read(struct json_reader *reader, uint32_t c, struct json_step *step);
/* There is no next character: only token_ended and token_is_json are told. */
void json_reader_end(struct json_reader *reader, struct json_step *step);

/* Skips what changes nothing: text around documents, and inside of strings that are values.
 * Returns how many bytes of the text, whole characters. */
size_t json_reader_skip(struct json_reader *reader, const char *text, size_t len);

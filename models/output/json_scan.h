/* json_scan.h: JSON that arrives byte by byte (RFC 8259), checked while it arrives.
 *
 * base/json.h wants the whole text; a model's tool call is to be handed on while the model
 * still writes it. The scanner keeps no text. It says of each byte what it means, so that its
 * caller can pick out members. Bytes above 0x7f are taken in strings as they are: the decoder
 * has made valid UTF-8 of them.
 *
 * Threads: none. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Arrays and objects within one another; one more is no JSON here. */
#define JSON_SCAN_MAX_DEPTH 64

enum json_scan_event {
    JSON_SCAN_BAD,   /* no JSON can go on like this */
    JSON_SCAN_INNER, /* nothing begins or ends */
    JSON_SCAN_KEY,   /* the quote that closes a member's name */
    JSON_SCAN_BEGIN, /* the first byte of a value */
    JSON_SCAN_END,   /* the last byte of a value that is a string, an object or an array */
};

/* All-zero awaits a value. */
struct json_scan {
    int state;           /* private */
    bool key;            /* the string that is open is a member's name */
    unsigned depth;      /* objects and arrays that are open, after the last byte */
    uint64_t arrays;     /* bit d: the one opened at depth d is an array */
    const char *word;    /* the rest of true, false or null */
    unsigned hex_awaits; /* digits of \u */
};

enum json_scan_event json_scan_feed(struct json_scan *s, char byte);

/* Whether the value that began at depth 0 has ended; after that only white space is taken. Of a
 * number nobody knows before the next byte, so it never counts as ended. */
bool json_scan_done(const struct json_scan *s);

/* Whether the last byte lies within a string's quotes, the closing one not included. */
bool json_scan_in_string(const struct json_scan *s);

bool json_is_space(char byte);

/* What stands between the quotes of a string to the characters that it means. All-zero is the
 * beginning of a string. */
struct json_chars {
    int state;     /* private */
    unsigned unit; /* of \u, as far as it is read */
    unsigned high; /* a high surrogate that awaits its other half, or 0 */
    unsigned digits;
    bool lenient; /* NUL and half a surrogate pair are U+FFFD, and no error */
};

#define JSON_CHARS_MAX 8

/* Bytes that this one completes, written to out: 0 to JSON_CHARS_MAX, or -1: no escape of JSON,
 * NUL, or half a surrogate pair. */
int json_chars_feed(struct json_chars *c, char byte, char out[JSON_CHARS_MAX]);

/* Whether a string may end here. */
bool json_chars_whole(const struct json_chars *c);

/* The same for a lenient one, of which this writes what is left: U+FFFD for half a pair. The
 * bytes written, or -1. */
int json_chars_end(struct json_chars *c, char out[JSON_CHARS_MAX]);

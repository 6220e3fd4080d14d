/* key_file.h: API keys as they stand in a file, of which only their SHA-256 is known.
 *
 *   # comment
 *   NAME:SHA256[:SCOPES[:LIMITS[:PROMPT[:FILTERS[:MODEL]]]]]
 *   alice:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *   indexer:2c26b46b...:embeddings,tokenize:requests=60,tokens=100000,concurrent=2
 *   shop:fcde2b2e...:::::tiny@sha256:5f0c6b1e9a42
 *
 * NAME is 1 to 64 letters, digits and ._-, SHA256 64 hex digits of the key's bytes. SCOPES are
 * those of routes.h, separated by commas; "" or "*" is all. LIMITS are for a minute, but
 * `concurrent`, which counts requests under way; what is missing is not limited. PROMPT names
 * the prompt (registry/prompt.h) that the key's requests get, FILTERS the filter chain that
 * they go through; "" is that of the server. MODEL is what they get, and all that they may ask
 * for: "name", "name@version", "name@label" or "name@sha256:PREFIX" (its colon is no end of a
 * field); "" is any.
 *
 * A line without a colon is a key in plain text, as files had them once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define KEY_NAME_MAX 64
#define KEY_MAX      255 /* bytes of a key */
#define KEY_FILE_MAX ((size_t)1 << 20)
#define KEY_PIN_MAX  264 /* bytes of a model's name and version */

struct key_limits { /* 0: none */
    uint32_t requests_per_minute;
    uint32_t tokens_per_minute;
    uint32_t concurrent;
};

struct key_record {
    char name[KEY_NAME_MAX + 1];
    char sha256[HASH_HEX_LEN + 1]; /* lower case */
    uint32_t scopes;               /* bit 1u << SCOPE_...; all bits: whatever there will be */
    struct key_limits limits;
    char prompt[KEY_NAME_MAX + 1];  /* or "": that of the model */
    char filters[KEY_NAME_MAX + 1]; /* likewise */
    char model[KEY_PIN_MAX + 1];    /* "" is any */
};

#define KEY_SCOPES_ALL UINT32_MAX

/* A key in plain text, with all scopes and no limits. */
int key_record_make(struct key_record *k, const char *name, const char *key, size_t len,
                    struct err *e);

/* One line without its end, of either form; `number` is for names and messages. */
int key_record_parse(struct key_record *k, const char *line, size_t len, size_t number,
                     struct err *e);

/* "chat,models" or "*"; "requests=60,concurrent=2" or "". */
int key_scopes_parse(uint32_t *scopes, const char *text, size_t len, struct err *e);
int key_scopes_format(uint32_t scopes, struct buf *out);
int key_limits_format(const struct key_limits *limits, struct buf *out);

/* "name", "name@version" or "name@sha256:PREFIX". */
int key_pin_parse(char out[KEY_PIN_MAX + 1], const char *text, size_t len, struct err *e);

/* Appends the line and its end. */
int key_record_format(const struct key_record *k, struct buf *out);

/* Goes through a file's text: each line that holds a key. -1 and a message with the line's
 * number when one cannot be read or visit returns not 0. */
int key_file_visit(const char *text, size_t len,
                   int (*visit)(void *ctx, const struct key_record *k, struct err *e),
                   void *ctx, struct err *e);

/* "weir-" and 32 random bytes in hex, from the kernel. */
#define KEY_MADE_LEN (5 + 64)
int key_generate(char out[KEY_MADE_LEN + 1], struct err *e);

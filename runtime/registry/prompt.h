/* prompt.h: what the owner tells the model before anything else, as immutable versions.
 *
 * A profile ("default", "support") is a sequence of versions, numbered 1, 2, 3 ... A version is
 * a text, and may have example turns, reference documents and variables. It never changes:
 * something new is the next version, and what is active is a pointer (prompt_store.h). A
 * request takes a reference on the version it began with and keeps it to its end.
 *
 * `{{name}}` in the text, in examples and in documents stands for a variable. Other braces are
 * text. Values are not looked through again, so a variable whose default is "{{x}}" writes
 * these five bytes.
 *
 * Threads: a version may be used and its references counted on any thread. What fills one in
 * (prompt_set_version) is called before it is shared. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"
#include "runtime/registry/version_name.h"

#define PROMPT_BYTES_MAX         ((size_t)256 << 10) /* text, examples, documents, defaults */
#define PROMPT_RENDERED_MAX      ((size_t)1 << 20)   /* with variables filled in */
#define PROMPT_EXAMPLES_MAX      64
#define PROMPT_DOCUMENTS_MAX     64
#define PROMPT_TITLE_MAX         200
#define PROMPT_VARIABLES_MAX     64
#define PROMPT_VARIABLE_NAME_MAX 40

/* How it meets the system messages of a request. */
enum prompt_mode {
    PROMPT_PREPEND,  /* always first; the client's stand after it */
    PROMPT_DEFAULT,  /* only if the client sends none */
    PROMPT_OVERRIDE, /* always; the client's are dropped */
};

/* A turn that shows the model how to answer. */
struct prompt_example {
    char *user;
    char *assistant;
};

struct prompt_document {
    char *title; /* one line */
    char *text;
};

struct prompt_variable {
    char *name;
    char *value; /* the default; NULL: each request must give one */
};

/* All texts are NUL-terminated UTF-8 without NUL inside. Read only. */
struct prompt {
    atomic_int refs;
    uint64_t version; /* 1, 2, 3 ...; version 0 is "no prompt", or one not stored yet */
    char sha256[HASH_HEX_LEN + 1];   /* of what the model reads; see prompt_create */
    char name[VERSION_NAME_MAX + 1]; /* of its profile, or "" */
    enum prompt_mode mode;
    size_t text_len;
    char *text;
    size_t n_examples;
    struct prompt_example *examples; /* (n_examples) */
    size_t n_documents;
    struct prompt_document *documents; /* (n_documents) */
    size_t n_variables;
    struct prompt_variable *variables; /* (n_variables), by name */
    char *author;                      /* or "" */
    char *note;                        /* or "" */
    int64_t created;                   /* Unix seconds; 0: not stored */
};

/* A version that is a text and nothing else, in mode prepend. One reference, the caller's.
 * ERR_INVALID when the text is not UTF-8, holds a NUL or is too long.
 *
 * Its sha256 is that of the text. A version with more than a text has the hash of a canonical
 * form of text, mode, examples, documents and variables; author and note do not count. */
struct prompt *prompt_create(uint64_t version, const char *text, size_t len, struct err *e);
struct prompt *prompt_ref(struct prompt *p);
void prompt_unref(struct prompt *p); /* accepts NULL */

/* Bounds, and that every variable in use is declared. What prompt_from_json returns has passed.
 * Errors name the field as prompt_from_json does. */
int prompt_check(const struct prompt *p, struct err *e);

/* "prepend", "default" or "override". */
const char *prompt_mode_name(enum prompt_mode mode);

/* Says which version it is, before anybody else has it. `name` has passed version_name_check.
 */
void prompt_set_version(struct prompt *p, const char *name, uint64_t version, int64_t created);

/* "name@version", that of the default profile where it has no name. */
#define PROMPT_ID_SIZE (VERSION_NAME_MAX + 22)
void prompt_id(const struct prompt *p, char out[PROMPT_ID_SIZE]);

/* --- JSON --- */

/* {"text": "...", "mode": "prepend", "examples": [{"user", "assistant"}],
 *  "documents": [{"title", "text"}], "variables": {"name": "default" or null},
 *  "author": "...", "note": "..."}: only text must be there. A field that is not known is
 * refused. ERR_INVALID and ERR_LIMIT name the field (`examples[2].user`, `variables.city`) in
 * e->param; ERR_FORMAT: no JSON. */
struct prompt *prompt_from_json(const char *body, size_t len, struct err *e);

/* The same with name, version, sha256 and created. The caller's (mem_free); NULL: no memory. */
char *prompt_to_json(const struct prompt *p, size_t *len);
/* Only what prompt_from_json reads. */
char *prompt_content_json(const struct prompt *p, size_t *len);

/* --- for a request --- */

struct prompt_value {
    const char *name;
    const char *value;
};

/* Appends what the system message says: the text, then the documents as a section of their own.
 * A value that a request gives goes before the default. *static_len (or NULL): how many of the
 * appended bytes stand before the first value that the request gave; they are the same for all
 * requests that give none of these.
 *
 * ERR_INVALID with e->param `prompt_variables.NAME`: a value is missing, or is for a variable
 * that is not declared. ERR_LIMIT: more than PROMPT_RENDERED_MAX bytes. */
int prompt_render(const struct prompt *p, const struct prompt_value *values, size_t n_values,
                  struct buf *system, size_t *static_len, struct err *e);

/* Appends `text`, one of an example's two, with variables filled in. Errors as above. */
int prompt_fill(const struct prompt *p, const char *text, const struct prompt_value *values,
                size_t n_values, struct buf *out, struct err *e);

/* --- for people --- */

/* Appends what changes from a to b in the form of `diff -u`, line by line; nothing when nothing
 * the model reads has changed. Texts come first, then mode, variables, examples and documents
 * as lines of their own. Versions that differ in more than a thousand lines are shown as
 * removed and added whole. -1: no memory, or more than the buffer's maximum. */
int prompt_diff(const struct prompt *a, const struct prompt *b, struct buf *out, struct err *e);

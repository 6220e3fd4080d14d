/* answer_form.h: the texts that an answer may be, as a grammar.
 *
 * A request can ask for a form in two ways: by a schema, grammar, expression or list of
 * choices, and by tools, whose calls must be such that they can be run. Both may come together:
 * then the answer is a call, or has the form. Before either a model that reasons may reason.
 *
 * Compiling takes up to 50 ms of processor time, so it is done off the loop, and grammars are
 * kept for the next request with the same form; what one answer has taught a grammar serves the
 * next.
 *
 * Threads: answer_form_compile anywhere; all else on the loop. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "models/output/output_format.h"
#include "runtime/api/answer_request.h"
#include "runtime/base/hash.h"
#include "runtime/grammar/grammar.h"

struct answer_form {
    const struct answer_request *request;
    const struct output_format *format; /* NULL: all text is content */
    bool reasoning_open;                /* the prompt ends inside of reasoning */
};

/* Any text will do: there is nothing to compile. */
bool answer_form_is_free(const struct answer_form *f);

/* Whether reasoning may stand before the answer. */
bool answer_form_may_reason(const struct answer_form *f);

/* One reference, the caller's. NULL: e->param names the field that cannot be enforced. */
struct grammar *answer_form_compile(const struct answer_form *f, struct err *e);

/* ---- grammars that were compiled before ---- */

#define FORM_CACHE_SIZE 32

struct form_cache {
    struct {
        char key[HASH_HEX_LEN + 1];
        struct grammar *grammar; /* or NULL */
        uint64_t used;           /* when last */
    } items[FORM_CACHE_SIZE];
    uint64_t uses;
};

void form_cache_deinit(struct form_cache *c);

/* What tells forms apart. */
int answer_form_key(const struct answer_form *f, char key[HASH_HEX_LEN + 1], struct err *e);

/* One reference, the caller's, or NULL. */
struct grammar *form_cache_find(struct form_cache *c, const char *key);
/* Keeps the grammar, unless another request that came with the same key was faster. Takes the
 * caller's reference over and returns one to that which is kept. */
struct grammar *form_cache_add(struct form_cache *c, const char *key, struct grammar *g);

/* ---- compiling off the loop ---- */

struct form_job {
    uv_work_t work;
    struct answer_form form; /* what it points to must live until done is called */
    struct grammar *grammar;
    struct err e;
    /* On the loop. The grammar is the callee's; NULL: e says why. */
    void (*done)(void *user, struct grammar *grammar, const struct err *e);
    void *user;
};

/* The job is the caller's, with form, done and user set. done is called exactly once, unless
 * this returns -1. */
int form_job_start(struct form_job *job, uv_loop_t *loop, struct err *e);

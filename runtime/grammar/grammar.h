/* grammar.h: answers of a stated form, enforced token by token (constrained decoding).
 *
 * A grammar says which texts are allowed. Before each token the matcher gives the set of tokens
 * that keep the text a beginning of an allowed one; the sampler draws among these, and the
 * answer may end only where the grammar may. So whatever a model prefers, a finished answer is
 * in the grammar.
 *
 *     struct grammar_vocab *vocab = grammar_vocab_from_tokenizer(tokenizer, &e);   once a model
 *     struct grammar *g = grammar_from_json_schema(schema, &e);                   once a
 * request struct grammar_matcher *m = grammar_matcher_create(g, vocab, &e);           once an
 * answer for (;;) { if (grammar_matcher_mask(m, mask) <= 0) break;      nothing may follow (or
 * no memory) token = ... the sampler's choice among the bits that are set ... if
 * (grammar_matcher_accept(m, token, &e) != 0) break; if (tokenizer_is_eog(tokenizer, token))
 * break;
 *     }
 *
 * Every way to state a form (JSON Schema, regular expression, choice) is written as GBNF, the
 * notation of llama.cpp's grammars, and goes through one compiler: rules become a byte-level
 * automaton with calls (a recursive transition network; Woods 1970). A state of a matcher is a
 * set of such automaton states, each with its stack of returns; equal stacks and equal sets are
 * kept once and their transitions remembered, so that the automaton becomes deterministic
 * where it is used. Masks are computed by a walk over the vocabulary as a prefix tree and
 * remembered by state.
 *
 * Bounds: a text of GRAMMAR_TEXT_MAX bytes, GRAMMAR_NODES_MAX automaton nodes, 50 ms of this
 * thread's processor time to compile, GRAMMAR_DEPTH_MAX calls inside each other in an answer,
 * and GRAMMAR_CACHE_BYTES of remembered states and masks a grammar: when they are full all are
 * forgotten but the states in use.
 *
 * Threads: a grammar and a vocabulary are immutable for their users and counted atomically; any
 * thread may make, retain and release them, and matchers of one grammar may work in several
 * threads (what is remembered is under a lock of the grammar's). One matcher belongs to one
 * thread at a time.
 *
 * Determinism: the same grammar, vocabulary and accepted tokens give the same masks, whatever
 * else was asked before.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define GRAMMAR_TEXT_MAX    ((size_t)1 << 20)
#define GRAMMAR_NODES_MAX   200000
#define GRAMMAR_DEPTH_MAX   256
#define GRAMMAR_CACHE_BYTES ((size_t)32 << 20)
#define GRAMMAR_REPEAT_MAX  1000000 /* largest m and n of {m,n} */

/* A compiled grammar. All makers return one reference of the caller's, or NULL: ERR_INVALID for
 * text that is malformed or allows no answer at all, ERR_UNSUPPORTED for what can not be
 * enforced, ERR_LIMIT for what is too complex. Nothing is ever ignored silently. */
struct grammar;

/* GBNF: `name ::= ...`, "literals", [classes], `.`, ( ), |, ?, *, +, {m}, {m,}, {m,n}, `#`
 * comments and escapes \n \r \t \\ \" \[ \] \xNN \uNNNN \UNNNNNNNN. The answer matches `root`.
 * Errors name the line. */
struct grammar *grammar_from_gbnf(const char *text, size_t len, struct err *e);

/* A JSON value that is valid under the schema (2020-12; see json_schema.h for what is enforced
 * and how objects and strings are written). Errors name keyword and place:
 * "#/properties/a/not". The schema is borrowed for the call. */
struct grammar *grammar_from_json_schema(const cJSON *schema, struct err *e);

/* Any JSON object. */
struct grammar *grammar_from_json_object(struct err *e);

/* A regular expression that the whole answer matches (see regex.h). */
struct grammar *grammar_from_regex(const char *pattern, size_t len, struct err *e);

/* One of n texts, as they are. */
struct grammar *grammar_from_choice(const char *const *choices, size_t n, struct err *e);

struct grammar *grammar_retain(struct grammar *g); /* returns g */
void grammar_release(struct grammar *g);           /* accepts NULL */

/* The tokens of a vocabulary as a prefix tree over their bytes. Counted like a grammar. */
struct grammar_vocab;

/* One token for grammar_vocab_from_tokens. */
struct grammar_token {
    const char *bytes; /* (len) what it adds to the answer */
    size_t len;        /* 0: never allowed (a control token), unless it ends the answer */
    bool ends;         /* ends the answer: allowed exactly where the grammar may end */
};

struct grammar_vocab *grammar_vocab_from_tokenizer(const struct tokenizer *t, struct err *e);
/* tokens: (n), by id; borrowed for the call. */
struct grammar_vocab *grammar_vocab_from_tokens(const struct grammar_token *tokens, int32_t n,
                                                struct err *e);
struct grammar_vocab *grammar_vocab_retain(struct grammar_vocab *v); /* returns v */
void grammar_vocab_release(struct grammar_vocab *v);                 /* accepts NULL */

int32_t grammar_vocab_size(const struct grammar_vocab *v);
/* Length of a mask in 32-bit words: token t is bit t % 32 of word t / 32. */
size_t grammar_vocab_words(const struct grammar_vocab *v);

/* The state of one answer. */
struct grammar_matcher;

/* Retains both. NULL when out of memory. */
struct grammar_matcher *grammar_matcher_create(struct grammar *g, struct grammar_vocab *v,
                                               struct err *e);
void grammar_matcher_destroy(struct grammar_matcher *m); /* accepts NULL */

/* Back to the beginning of an answer. */
void grammar_matcher_reset(struct grammar_matcher *m);

/* Makes `to` stand where `from` stands: saving and restoring around guessed tokens. Both must
 * be of the same grammar and vocabulary. Takes nanoseconds and can not fail. */
void grammar_matcher_copy(struct grammar_matcher *to, const struct grammar_matcher *from);

/* Writes the tokens that may come next into mask, (grammar_vocab_words), and returns how many
 * they are; -1 when out of memory. 0: no token of the vocabulary can follow, and the answer
 * ends here. That it does so where the grammar may not end (grammar_matcher_may_end is false)
 * needs a vocabulary without a token for some byte, or an answer nested GRAMMAR_DEPTH_MAX deep.
 */
int32_t grammar_matcher_mask(struct grammar_matcher *m, uint32_t *mask);

/* The one bit of the mask, without computing the others. False when out of memory. */
bool grammar_matcher_allows(struct grammar_matcher *m, int32_t token);

/* Moves on by a token. 0, or -1 and the state is as it was: ERR_INVALID when the mask does not
 * have the token, ERR_NOMEM. After a token that ends the answer nothing is allowed. */
int grammar_matcher_accept(struct grammar_matcher *m, int32_t token, struct err *e);

/* The same by bytes, however they are cut into tokens. */
int grammar_matcher_accept_bytes(struct grammar_matcher *m, const char *bytes, size_t len,
                                 struct err *e);

/* The text so far is a whole answer. */
bool grammar_matcher_may_end(const struct grammar_matcher *m);

/* shadow.h: copies of requests that run on another version of the model, to be compared.
 *
 * A copy begins once its request is in the engine of the version that serves: the same
 * conversation, rendered for the other version, with the same sampling, seed and form. Of
 * several answers the first is copied. It runs in the other version's engine, which has stepped
 * aside (generation.h), under a tenant of its own; no filters see it, no limits are charged,
 * and nothing of what it says is kept: both answers are compared as they come (text_match.h).
 *
 * What is compared is what the models wrote, before stop strings are cut off and filters change
 * anything. Where a filter has ended the real answer, as far as that.
 *
 * At most SHADOW_COPIES_MAX run at once; what comes beyond them is counted as dropped. The
 * request itself never waits for its copy and never fails by it.
 *
 * Threads: the loop; tokens are made on a worker, during which the exchange stays. */
#pragma once

#include "runtime/api/traffic_reply.h"
#include "runtime/engine/engine.h"
#include "runtime/serve/generation.h"

#define SHADOW_COPIES_MAX 8

struct exchange;
struct grammar;
struct server;

/* ---- the copies of one model's requests ---- */

struct shadows;

struct shadows *shadows_create(struct server *s, struct err *e);

/* Another version is the shadow: the report begins anew. */
void shadows_begin(struct shadows *all, struct generation *g);

/* No version is: copies that run are cancelled, the report stays. */
void shadows_end(struct shadows *all);

/* What still runs then counts for nothing and ends by itself. Accepts NULL. */
void shadows_destroy(struct shadows *all);

const struct shadow_report *shadows_report(const struct shadows *all);

/* ---- a copy, from its exchange's side ---- */

struct shadow;

/* The exchange was submitted, with that many tokens at the most and that form (or NULL): a copy
 * may begin, in x->shadow. Whatever goes wrong is the copy's affair. */
void shadow_begin(struct exchange *x, int max_tokens, struct grammar *grammar);

/* The next token of the exchange's first answer; sh may be NULL here and below. */
void shadow_take_token(struct shadow *sh, int32_t token);

/* It has ended; is_cut: by a filter. */
void shadow_take_end(struct shadow *sh, const char *finish, bool is_cut);

/* The client's side is over: without an end before there is nothing to compare with. */
void shadow_leave(struct shadow *sh);

/* Whether the exchange has to stay for now. */
bool shadow_needs_exchange(const struct shadow *sh);

/* The exchange goes. What the copy still needs of it, it takes. */
void shadow_outlive(struct shadow *sh);

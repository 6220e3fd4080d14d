#include <stdio.h>
#include <string.h>

#include "models/output/refusal.h"
#include "runtime/base/clock.h"
#include "runtime/serve/drift_desk.h"
#include "runtime/serve/exchange_parts.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/server_metrics.h"

/* Hex digits of hashes that are shown. */
#define SHORT_HASH 12

void exchange_time_token(struct choice *c, double entropy)
{
    const struct exchange *x = c->exchange;
    const struct model *model = x->generation->model;
    struct answer_times *t = &c->exchange->times;
    uint64_t now = clock_now_ns();
    if (c->token_ns > 0) {
        server_metrics_note_gap(x->server->metrics, model->name, model->version,
                                clock_seconds(c->token_ns, now));
    }
    c->token_ns = now;
    if (c->index == 0) {
        t->last_ns = now;
        t->first_ns = t->n_tokens++ == 0 ? t->last_ns : t->first_ns;
        t->entropy += entropy;
    }
}

static bool have_all_ended(const struct exchange *x)
{
    for (size_t i = 0; i < x->n_choices; i++) {
        if (!x->choices[i].ended) {
            return false;
        }
    }
    return x->n_choices > 0;
}

/* What ended the first answer of several counts for all; a filter counts wherever it was. */
static enum model_ending ending_of(const struct exchange *x)
{
    if (x->has_left) {
        return MODEL_ENDING_LEFT;
    }
    if (x->failure == ERR_DEADLINE) {
        return MODEL_ENDING_LATE;
    }
    if (x->failure != ERR_NONE || !have_all_ended(x)) {
        return MODEL_ENDING_FAILED;
    }
    for (size_t i = 0; i < x->n_choices; i++) {
        if (x->answers[i].finish == ANSWER_FINISH_CONTENT_FILTER) {
            return MODEL_ENDING_BLOCKED;
        }
    }
    return x->answers[0].finish == ANSWER_FINISH_LENGTH ? MODEL_ENDING_LENGTH
                                                        : MODEL_ENDING_COMPLETE;
}

/* What the client got wrong, and a queue that is full, tell nothing of the version. */
static bool is_clients(enum err_kind failure)
{
    return failure != ERR_NONE && failure != ERR_DEADLINE && failure != ERR_CANCELED &&
           failure != ERR_IO && failure != ERR_NOMEM;
}

/* Which answers it is one of: what made it, by names and versions, and by hashes. */
static void fill_key(const struct exchange *x, struct drift_key *key)
{
    const struct model *m = x->generation->model;
    const struct prompt *p = x->prompt;
    const char *id = x->adapter ? x->adapter->id : x->generation->id; /* NAME@VERSION */
    const char *at = strrchr(id, '@');
    snprintf(key->model, sizeof(key->model), "%s", x->adapter ? x->adapter->name : m->name);
    snprintf(key->version, sizeof(key->version), "%s", at ? at + 1 : m->version);
    prompt_id(x->prompt, key->prompt);
    snprintf(key->hashes, sizeof(key->hashes), "%.*s-%.*s%s%.*s", SHORT_HASH, m->sha256,
             SHORT_HASH, p->sha256, x->adapter ? "-" : "", SHORT_HASH,
             x->adapter ? x->adapter->adapter->sha256 : "");
}

/* Answers that the client did not wait for, and failures, which have metrics of their own, are
 * no answers to compare. */
static void note_drift(struct exchange *x, const struct model_outcome *o)
{
    bool is_whole = o->ending == MODEL_ENDING_COMPLETE || o->ending == MODEL_ENDING_LENGTH;
    if (!x->server->drift || (!is_whole && o->ending != MODEL_ENDING_BLOCKED)) {
        return;
    }
    struct drift_key key;
    const struct answer_seen seen = {.is_blocked = !is_whole,
                                     .is_refusal = o->is_refusal,
                                     .tokens = (double)o->tokens,
                                     .entropy = o->entropy};
    fill_key(x, &key);
    x->drift_mark = drift_desk_note(x->server->drift, &key, &seen);
}

void exchange_note_outcome(struct exchange *x)
{
    const struct answer_times *t = &x->times;
    if (t->submitted_ns == 0 || x->n_choices == 0 || is_clients(x->failure)) {
        return;
    }
    struct model_outcome o = {.ending = ending_of(x),
                              .is_drawn = !x->names_version,
                              .caller = x->caller,
                              .conversation = x->conversation,
                              .tokens = x->usage.completion_tokens / x->n_choices,
                              .first_token_s = -1,
                              .token_s = -1,
                              .entropy = -1};
    if (t->n_tokens > 0) {
        o.first_token_s = clock_seconds(t->submitted_ns, t->first_ns);
    } else if (x->has_left) {
        o.first_token_s = clock_seconds(t->submitted_ns, clock_now_ns());
    }
    if (t->n_tokens > 0 && x->server->drift) {
        o.entropy = t->entropy / (double)t->n_tokens;
    }
    if (t->n_tokens > 1) {
        o.token_s = clock_seconds(t->first_ns, t->last_ns) / (double)(t->n_tokens - 1);
    }
    if (o.ending == MODEL_ENDING_COMPLETE || o.ending == MODEL_ENDING_LENGTH) {
        const struct buf *text = &x->answers[0].content;
        o.is_refusal = text->len > 0 && refusal_begins(text->data, text->len);
    }
    model_outcome_note(x->server, x->generation, &o);
    note_drift(x, &o);
}

/* --- what is told of the request when it is over --- */

static void count_tokens(struct exchange *x)
{
    const struct answer_usage *u = &x->usage;
    struct answer_usage *seen = &x->counted;
    if (!x->generation || x->times.submitted_ns == 0) {
        return; /* no engine had them */
    }
    const struct model *model = x->generation->model;
    server_metrics_add_tokens(
        x->server->metrics, model->name, model->version, u->prompt_tokens - seen->prompt_tokens,
        u->cached_tokens - seen->cached_tokens, u->completion_tokens - seen->completion_tokens);
    *seen = *u;
}

void exchange_count_all_tokens(struct server *s)
{
    for (struct exchange *x = s->exchanges; x; x = x->next) {
        count_tokens(x);
    }
}

/* What the status alone will not tell. A refusal before the engine had it tells its own. */
static const char *outcome_of(const struct exchange *x)
{
    if (x->failure == ERR_FILTERED) {
        return model_ending_name(MODEL_ENDING_BLOCKED);
    }
    bool was_asked = x->times.submitted_ns > 0 && x->n_choices > 0 && !is_clients(x->failure);
    return was_asked ? model_ending_name(ending_of(x)) : "";
}

/* A request that has waited for its model comes here again: all is set anew. */
void exchange_fill_record(struct exchange *x)
{
    struct request_record *r = request_watch_record(x->http);
    count_tokens(x);
    if (!r) {
        return;
    }
    if (x->generation) {
        const struct model *model = x->generation->model;
        snprintf(r->model, sizeof(r->model), "%s", model->name);
        snprintf(r->version, sizeof(r->version), "%s", model->version);
        snprintf(r->answered_by, sizeof(r->answered_by), "%s", x->reply.model);
    }
    if (x->prompt) {
        prompt_id(x->prompt, r->prompt);
    }
    if (x->chain) {
        snprintf(r->filters, sizeof(r->filters), "%s@%u", chain_name(x->chain),
                 chain_version(x->chain));
    }
    bool has_ended = x->n_choices > 0 && x->choices[0].ended;
    snprintf(r->answer, sizeof(r->answer), "%s", x->n_choices > 0 ? x->reply.id : "");
    r->finish = has_ended ? reply_finish_name(x->answers[0].finish) : NULL;
    r->outcome = outcome_of(x);
    r->prompt_tokens = x->usage.prompt_tokens;
    r->cached_tokens = x->usage.cached_tokens;
    r->completion_tokens = x->usage.completion_tokens;
    r->submitted_ns = x->times.submitted_ns;
    r->started_ns = x->times.started_ns;
    r->first_ns = x->times.first_ns;
    r->last_ns = x->times.last_ns;
    r->n_timed = x->times.n_tokens;
}

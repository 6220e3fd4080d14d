#include "filters/replay.h"

#include <string.h>

#include "filters/replay_parts.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* Between two looks at whether it is over. */
#define PIECE_BYTES ((size_t)16384)

#define DIFFERENCES_BYTES_MAX ((size_t)32 << 20)

/* --- one text through one chain --- */

static void release_outcome(struct replay_outcome *o)
{
    buf_deinit(&o->out);
    chain_stream_destroy(o->stream);
}

static int cancel(struct err *e)
{
    return err_set(e, ERR_CANCELED, "the replay was ended before its last text");
}

static int feed(const struct replay *r, const struct replay_text *text,
                struct replay_outcome *o, struct err *e)
{
    struct chain_sink sink = chain_sink_buf(&o->out);
    int rc = CHAIN_GOES_ON;
    for (size_t at = 0; rc == CHAIN_GOES_ON && at < text->len;) {
        size_t n = text->len - at;
        if (n > PIECE_BYTES) {
            n = PIECE_BYTES - utf8_incomplete_tail(text->text + at, PIECE_BYTES);
        }
        if (r->options.is_over && r->options.is_over(r->options.context)) {
            return cancel(e);
        }
        rc = chain_feed(o->stream, text->channel, text->text + at, n, &sink, e);
        at += n;
    }
    rc = rc == CHAIN_GOES_ON ? chain_finish(o->stream, &sink, e) : rc;
    return o->out.failed ? err_nomem(e) : rc;
}

/* -1: as of chain_feed; *e says why. */
static int run_one(const struct replay *r, struct chain *chain, const struct replay_text *text,
                   struct replay_outcome *o, struct err *e)
{
    o->stream = chain_stream_create(chain, text->side, e);
    if (o->stream) {
        chain_stream_leave_out_asking(o->stream);
    }
    if (!o->stream || feed(r, text, o, e) < 0) {
        return -1;
    }
    o->events = chain_stream_events(o->stream, &o->n_events, &o->is_truncated);
    o->stop = chain_stream_stop(o->stream);
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        o->ns += chain_stream_cost(o->stream, i)->ns;
    }
    return 0;
}

/* --- comparing --- */

static bool is_same_verdict(const struct chain_event *a, const struct chain_event *b)
{
    return a->kind == b->kind && a->is_recorded == b->is_recorded &&
           strcmp(a->name, b->name) == 0 && strcmp(a->code, b->code) == 0;
}

static bool is_same_place(const struct chain_event *a, const struct chain_event *b)
{
    return a->from == b->from && a->to == b->to;
}

/* Pairs what is the same but, with `moved`, for its place. Each event is in one pair; there are
 * at most CHAIN_MAX_EVENTS by filter. */
static void pair(const struct replay_outcome outcomes[2], enum replay_match *const matches[2],
                 bool moved)
{
    const struct replay_outcome *a = &outcomes[0];
    const struct replay_outcome *b = &outcomes[1];
    for (size_t i = 0; i < a->n_events; i++) {
        for (size_t k = 0; k < b->n_events && matches[0][i] == REPLAY_ONLY_HERE; k++) {
            if (matches[1][k] == REPLAY_ONLY_HERE &&
                is_same_verdict(&a->events[i], &b->events[k]) &&
                (moved || is_same_place(&a->events[i], &b->events[k]))) {
                matches[0][i] = matches[1][k] = moved ? REPLAY_MOVED : REPLAY_IN_BOTH;
            }
        }
    }
}

static bool is_same_text(const struct replay_outcome outcomes[2])
{
    const struct buf *a = &outcomes[0].out;
    const struct buf *b = &outcomes[1].out;
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool has_unpaired(const struct replay_outcome *o, const enum replay_match *matches)
{
    for (size_t i = 0; i < o->n_events; i++) {
        if (matches[i] != REPLAY_IN_BOTH) {
            return true;
        }
    }
    return false;
}

static enum replay_change compare(const struct replay_outcome outcomes[2],
                                  enum replay_match *const matches[2])
{
    const struct chain_event *before = outcomes[0].stop;
    const struct chain_event *after = outcomes[1].stop;
    if (!before != !after) {
        return after ? REPLAY_NEWLY_STOPPED : REPLAY_NO_LONGER_STOPPED;
    }
    if (before && (!is_same_verdict(before, after) || !is_same_text(outcomes))) {
        return REPLAY_STOPPED_OTHERWISE;
    }
    if (!is_same_text(outcomes)) {
        return REPLAY_TEXT_CHANGED;
    }
    return has_unpaired(&outcomes[0], matches[0]) || has_unpaired(&outcomes[1], matches[1])
               ? REPLAY_VERDICTS_CHANGED
               : REPLAY_UNCHANGED;
}

/* --- counting --- */

static struct replay_rule *rule_of(struct replay *r, const struct chain_event *event)
{
    for (size_t i = 0; i < r->n_rules; i++) {
        struct replay_rule *rule = &r->rules[i];
        if (rule->kind == event->kind && rule->is_recorded == event->is_recorded &&
            strcmp(rule->code, event->code) == 0 && strcmp(rule->name, event->name) == 0) {
            return rule;
        }
    }
    bool is_full = r->n_rules >= REPLAY_RULES_MAX;
    if (r->n_rules > REPLAY_RULES_MAX) {
        return &r->rules[REPLAY_RULES_MAX];
    }
    struct replay_rule *rule = &r->rules[r->n_rules++];
    *rule = (struct replay_rule){.kind = event->kind, .is_recorded = event->is_recorded};
    strncpy(rule->name, is_full ? "other" : event->name, sizeof(rule->name) - 1);
    strncpy(rule->type, is_full ? "other" : event->type, sizeof(rule->type) - 1);
    strncpy(rule->code, is_full ? "other" : event->code, sizeof(rule->code) - 1);
    return rule;
}

static void count(struct replay *r, const struct replay_outcome outcomes[2],
                  enum replay_match *const matches[2])
{
    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < outcomes[side].n_events; i++) {
            struct replay_rule *rule = rule_of(r, &outcomes[side].events[i]);
            bool is_only = matches[side][i] == REPLAY_ONLY_HERE;
            bool is_moved = side == 1 && matches[side][i] == REPLAY_MOVED;
            *(side == 0 ? &rule->before : &rule->after) += 1;
            *(side == 0 ? &rule->removed : &rule->added) += is_only;
            *(side == 0 ? &r->verdicts_removed : &r->verdicts_added) += is_only;
            rule->moved += is_moved;
            r->verdicts_moved += is_moved;
        }
        r->ns[side] += outcomes[side].ns;
    }
    r->n_truncated += outcomes[0].is_truncated || outcomes[1].is_truncated;
}

static int conclude(struct replay *r, const struct replay_text *text,
                    const struct replay_outcome outcomes[2], struct err *e)
{
    enum replay_match *matches[2] = {
        mem_zarray(outcomes[0].n_events + 1, sizeof(**matches)),
        mem_zarray(outcomes[1].n_events + 1, sizeof(**matches)),
    };
    int rc = -1;
    if (!matches[0] || !matches[1]) {
        err_nomem(e);
        goto cleanup;
    }
    pair(outcomes, matches, false);
    pair(outcomes, matches, true);
    enum replay_change change = compare(outcomes, matches);
    rc = change == REPLAY_UNCHANGED
             ? 0
             : replay_append_difference(r, text, change, outcomes,
                                        (const enum replay_match *const *)matches, NULL);
    if (rc != 0) {
        err_nomem(e);
        goto cleanup;
    }
    count(r, outcomes, matches);
    r->counts[change]++;
cleanup:
    mem_free(matches[0]);
    mem_free(matches[1]);
    return rc;
}

/* A text that one of the chains did not take. */
static int leave_out(struct replay *r, const struct replay_text *text, struct err *e)
{
    if (e->kind == ERR_NOMEM || e->kind == ERR_CANCELED) {
        return -1;
    }
    if (replay_append_difference(r, text, REPLAY_NOT_RUN, NULL, NULL, e) != 0) {
        return err_nomem(e);
    }
    r->counts[REPLAY_NOT_RUN]++;
    return 0;
}

/* --- what the header promises --- */

struct replay *replay_create(struct chain *before, struct chain *after,
                             const struct replay_options *options, struct err *e)
{
    struct replay *r = mem_zalloc(sizeof(*r));
    if (!r) {
        err_nomem(e);
        return NULL;
    }
    r->chains[0] = chain_ref(before);
    r->chains[1] = chain_ref(after);
    r->options = *options;
    buf_init(&r->differences, DIFFERENCES_BYTES_MAX);
    return r;
}

void replay_destroy(struct replay *r)
{
    if (r) {
        chain_unref(r->chains[0]);
        chain_unref(r->chains[1]);
        buf_deinit(&r->differences);
        mem_free(r);
    }
}

int replay_run(struct replay *r, const struct replay_text *text, struct err *e)
{
    struct replay_outcome outcomes[2] = {0};
    buf_init(&outcomes[0].out, SIZE_MAX / 2);
    buf_init(&outcomes[1].out, SIZE_MAX / 2);
    int rc = run_one(r, r->chains[0], text, &outcomes[0], e) == 0 &&
                     run_one(r, r->chains[1], text, &outcomes[1], e) == 0
                 ? conclude(r, text, outcomes, e)
                 : leave_out(r, text, e);
    release_outcome(&outcomes[0]);
    release_outcome(&outcomes[1]);
    return rc;
}

uint64_t replay_count(const struct replay *r, enum replay_change change)
{
    return r->counts[change];
}

uint64_t replay_total(const struct replay *r)
{
    uint64_t total = 0;
    for (size_t i = 0; i < REPLAY_CHANGES; i++) {
        total += r->counts[i];
    }
    return total;
}

const struct replay_rule *replay_rules(const struct replay *r, size_t *n)
{
    *n = r->n_rules;
    return r->rules;
}

const char *replay_change_name(enum replay_change change)
{
    static const char *const names[REPLAY_CHANGES] = {"unchanged",
                                                      "newly_stopped",
                                                      "no_longer_stopped",
                                                      "stopped_otherwise",
                                                      "text_changed",
                                                      "verdicts_changed",
                                                      "not_run"};
    return names[change];
}

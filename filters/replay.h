/* replay.h: texts through two chains, and what the second does otherwise.
 *
 * For who wants to know what a new version of a chain would change before it is activated: each
 * text goes through both, side and channel as they were; what comes out, where it is stopped
 * and what is noticed are compared.
 *
 * Verdicts are compared by name of the filter, code, kind, mode and place. A filter that is put
 * before others may shift what these see; verdicts that differ in nothing but their place are
 * counted as moved, not as removed and added.
 *
 * Filters that ask services outside are left out of both chains, and the report says which:
 * what a service would answer now is not what it answered then, and no text leaves for a
 * replay.
 *
 * Threads: one at a time. A replay is off the loop: it takes as long as the filters do.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/chain.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define REPLAY_RULES_MAX       512  /* of the report; verdicts of others count as one */
#define REPLAY_DIFFERENCES_MAX 1000 /* that are listed one by one */
#define REPLAY_VERDICTS_MAX    32   /* of a difference that are listed */
#define REPLAY_ID_MAX          128  /* bytes of a text's id */

struct replay_text {
    const char *id;
    enum filter_side side;
    enum filter_channel channel;
    const char *text; /* (len) UTF-8 */
    size_t len;
};

enum replay_change {
    REPLAY_UNCHANGED,
    REPLAY_NEWLY_STOPPED,
    REPLAY_NO_LONGER_STOPPED,
    REPLAY_STOPPED_OTHERWISE, /* by another verdict, or elsewhere */
    REPLAY_TEXT_CHANGED,      /* another text comes out */
    REPLAY_VERDICTS_CHANGED,  /* the same text, other verdicts */
    REPLAY_NOT_RUN,           /* a chain could not take it: it is no UTF-8, or grew too long */
    REPLAY_CHANGES,
};

/* Verdicts of one kind: filter, code, note or stop ... */
struct replay_rule {
    char name[64]; /* the filter's; its type's unless it was given one */
    char type[64];
    char code[FILTER_MAX_CODE + 1];
    enum chain_event_kind kind;
    bool is_recorded;       /* of a filter in mode "record" */
    uint64_t before, after; /* how many with each chain */
    uint64_t added, removed, moved;
};

struct replay_options {
    bool show_text; /* the report quotes some of what came out, where it differs */
    /* Asked now and then; true ends the replay. NULL: never. */
    bool (*is_over)(void *context);
    void *context;
};

struct replay;

/* before, after: the chains, held until replay_destroy. NULL when out of memory. */
struct replay *replay_create(struct chain *before, struct chain *after,
                             const struct replay_options *options, struct err *e);
void replay_destroy(struct replay *r); /* accepts NULL */

/* Sends one more text through both. -1: out of memory, or ERR_CANCELED as is_over said so; the
 * text is not counted then. */
int replay_run(struct replay *r, const struct replay_text *text, struct err *e);

uint64_t replay_count(const struct replay *r, enum replay_change change);
uint64_t replay_total(const struct replay *r);
const struct replay_rule *replay_rules(const struct replay *r, size_t *n);

/* "newly_stopped" */
const char *replay_change_name(enum replay_change change);

/* ---- replay_json.c ---- */

/* {"id": "...", "side": "input", "channel": "content", "text": "..."}, or the text alone as a
 * string. Without a side it is `side`, without a channel content; an id that is a number is
 * taken too. *out borrows from `item`; id_text is for an id that is none: `number`. */
int replay_text_from_json(struct replay_text *out, const cJSON *item, enum filter_side side,
                          size_t number, char id_text[REPLAY_ID_MAX + 1], struct err *e);

/* "input" or "output"; -1 for others. */
int replay_side_named(const char *name, enum filter_side *side);

/* The report as a JSON object. 0, or -1 as buf.h. */
int replay_report(const struct replay *r, struct buf *out);

/* finder.h: the machinery of filters that look for things by rules: what is found, what waits,
 * what is done there.
 *
 * A filter brings one function that finds the first match of one rule, or the place where one
 * may begin that more text has to decide. The finder keeps the text, asks for each rule what
 * is new, and acts when nothing can change any more. A filter of many rules that few places of
 * a text concern brings two others in its place: one that names these places and the rules
 * that may begin there, for all rules at once, and one that looks at a place for a rule. Each
 * rule can be searched for in either way.
 *
 * Each rule is searched for from left to right; its next search begins where its last match
 * ended. Matches of different rules that share a byte are one hit, from the beginning of the
 * first to the end of the last, so that no byte of a match of any rule leaves; a hit is known
 * by the rule that begins it, and of several that begin together by the first in order. It is
 * acted on when no rule can begin before its end any more (a stop: before it or with it).
 * Before the first place that any rule is undecided about, everything passes.
 *
 * Cost. A rule that is undecided is asked again with every character while its match is
 * shorter than FINDER_EAGER, and beyond that whenever it has grown by a sixteenth. So the time
 * is linear in the text when the rule's search is, and only long candidates wait longer than
 * they must. What a cut changes is when text is released, never which.
 *
 * Threads and ownership: the rules belong to a filter's config and are read only; a finder
 * belongs to the state of one text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/filter.h"
#include "runtime/base/buf.h"

#define FINDER_MAX_RULES       64
#define FINDER_MAX_CONTEXT     4096u /* bytes */
#define FINDER_MAX_REPLACEMENT 256u  /* bytes */
#define FINDER_EAGER           512u  /* bytes of a candidate */
#define FINDER_SHORT           64u   /* bytes of a piece that is looked at beforehand */

/* ---- what is done with a hit: settings that such filters share ---- */

enum finder_action { FINDER_STOP, FINDER_REPLACE, FINDER_MASK, FINDER_NOTE };
extern const char *const finder_action_names[]; /* for FILTER_KEY_CHOICE */

struct finder_policy {
    enum finder_action action;
    char replacement[FINDER_MAX_REPLACEMENT + 1];
    size_t replacement_len;
    char mask[5]; /* one character */
    size_t mask_len;
};

/* Reads the values of the keys "action", "replacement" (NULL: the filter has no such key) and
 * "mask"; refuses those that the action has no use for. Returns 0, or -1 with *error. */
int finder_policy_read(struct finder_policy *policy, const struct filter_value *action,
                       const struct filter_value *replacement, const struct filter_value *mask,
                       struct filter_error *error);

/* ---- what is looked for ---- */

enum finder_found {
    FINDER_NONE,      /* nothing begins in the text shown */
    FINDER_UNDECIDED, /* at `from` something may begin, and nothing begins before it */
    FINDER_MATCH,     /* [from, to) */
    FINDER_FAILED,    /* a limit was reached; `why` says which */
};

struct finder_result {
    size_t from, to; /* offsets in the text of the call */
    const char *why; /* constant */
};

/* A place where some rules may begin; bit n stands for rule n. */
struct finder_spot {
    size_t at;
    uint64_t rules;
};

struct finder_rules {
    size_t count;     /* at most FINDER_MAX_RULES */
    size_t context;   /* bytes before the search that callbacks may look at: at least 1 */
    uint64_t spotted; /* the rules that `spot` and `scan` look for; `find`, if there is one,
                         does the others */
    struct finder_policy policy;
    const void *config; /* borrowed, given to the callbacks */

    /* Finds the first match of `rule` in text[at, len) that begins at `at` or later. The text
     * before `at` is `context` bytes (up to 3 fewer, to begin with a whole character), or all
     * there is. has_ended: no more will come, so nothing is undecided. A match is not empty
     * and lies on character boundaries; what is found must not depend on text that is yet to
     * come. */
    enum finder_found (*find)(const void *config, void *scratch, size_t rule, const char *text,
                              size_t len, size_t at, bool has_ended,
                              struct finder_result *result);

    /* NULL, or: a bit for each rule of which a match may begin in this text, of which the
     * finder shows short pieces, so that it need not search them for each rule. */
    uint64_t (*may_begin)(const void *config, const char *text, size_t len);

    /* The first place in text[at, end) where a spotted rule may begin, false when there is
     * none. The text goes on up to `len`. It may name rules that do not begin there, but none
     * must be missing that does, or that may when more text comes (unless has_ended). */
    bool (*spot)(const void *config, const char *text, size_t len, size_t at, size_t end,
                 bool has_ended, struct finder_spot *spot);

    /* Whether `rule` begins at `at`: FINDER_MATCH up to *to, FINDER_NONE or
     * FINDER_UNDECIDED. What holds for find holds here. */
    enum finder_found (*scan)(const void *config, size_t rule, const char *text, size_t len,
                              size_t at, bool has_ended, size_t *to);

    /* What to say about a match of `rule`: sets code and message of *why (`message` is room
     * for FILTER_MAX_MESSAGE + 1 bytes) and may set another replacement. */
    void (*describe)(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len);
};

/* ---- one text ---- */

struct finder_match {
    uint64_t from, to;
    size_t rule;
};

struct finder {
    const struct finder_rules *rules;
    void *scratch; /* the filter's own, for `find` */
    struct buf window;
    uint64_t start;                   /* offset of window.data[0] */
    uint64_t next[FINDER_MAX_RULES];  /* where the rule's next match may begin, at the least */
    uint64_t again[FINDER_MAX_RULES]; /* end of text from which to ask it again */
    uint64_t undecided;               /* spotted rules that wait at their `next` */
    uint64_t spotted_to;              /* offset before which all places are known */
    struct finder_match *matches;     /* not acted on yet; by from, then rule */
    size_t match_count, match_room;
    bool has_ended;
};

void finder_init(struct finder *f, const struct finder_rules *rules, void *scratch);
void finder_deinit(struct finder *f);

/* Callbacks of a filter type that has FILTER_ANY_CUT. Its state begins with a struct finder. */
int finder_feed(void *state, const struct filter_span *span, struct filter_host *host);
int finder_finish(void *state, const struct filter_span *span, struct filter_host *host);

/* For a type whose state is a finder and nothing else: what its open does, and its close. */
int finder_create(void **state, const struct finder_rules *rules);
void finder_destroy(void *state);

/* model_traffic.h: how requests that name no version are shared among the versions of one
 * model, and which version a label means.
 *
 *   split   a percentage of the callers gets another version than the one that serves: always
 *           the same callers (registry/traffic_plan.h), told apart by sticky.h
 *   shadow  a copy of a percentage of the requests runs on another version, and what it answers
 *           is compared and dropped (shadow.h)
 *   labels  names for versions that an admin moves; they win over those of the manifests
 *
 * Each version in use here is loaded, passed its gate, and stays among the kept ones of its set
 * for as long as it is in use. A split or shadow ends when its version serves, is unloaded, or
 * its files are gone. There is one of each at a time; another one takes its place.
 *
 * Threads: the loop's. Ownership: a part of struct model_set. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/api/traffic_reply.h"
#include "runtime/registry/model_labels.h"
#include "runtime/serve/generation.h"

/* Versions that are in use at once, beside the one that serves. */
#define MODEL_TRAFFIC_HELD_MAX 2

struct model_set;
struct shadows;

struct traffic_share {
    struct generation *generation; /* a reference; NULL: there is none */
    int percent;
};

struct model_traffic {
    struct model_set *set;
    struct traffic_share split;
    bool is_by_conversation; /* the split: callers with a key too are told apart by what they
                                ask, so that one key for all is no obstacle */
    struct traffic_share shadow;
    struct shadows *shadows; /* the copies and what they showed; NULL before the first */
    struct model_labels labels;
};

void model_traffic_init(struct model_traffic *t, struct model_set *set);

/* Ends all of it; copies that run are cancelled. */
void model_traffic_stop(struct model_traffic *t);

/* Of all requests that name no version, `percent` (1..99) get `version`, which must be loaded;
 * 0 ends it, whatever the version. ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT. */
int model_traffic_split(struct model_traffic *t, const char *version, int percent,
                        struct err *e);

/* Whether the split in force goes by conversation and not by key. A split goes by key until
 * this is called for it. */
void model_traffic_split_by(struct model_traffic *t, bool is_by_conversation);

/* A copy of `percent` (1..100) of the requests that the serving version answers runs on
 * `version`; 0 ends it. Its generation steps aside (generation.h), so to serve or to get a
 * share it is loaded again. */
int model_traffic_shadow(struct model_traffic *t, const char *version, int percent,
                         struct err *e);

/* Whether the one or the other would succeed. */
int model_traffic_check(const struct model_traffic *t, bool is_shadow, const char *version,
                        int percent, struct err *e);

/* What a request gets that names no version. sticky 0, of a request by which nobody can be told
 * apart: what serves. */
struct generation *model_traffic_choose(const struct model_traffic *t,
                                        struct generation *serving, uint64_t sticky);

/* version NULL: takes the label away. ERR_INVALID, ERR_LIMIT, ERR_CONFLICT: a version has that
 * name. Whether the version exists is the caller's to check. */
int model_traffic_check_label(const struct model_traffic *t, const char *label,
                              const char *version, struct err *e);
int model_traffic_label(struct model_traffic *t, const char *label, const char *version,
                        struct err *e);

/* Whether a split or a shadow needs the generation. */
bool model_traffic_uses(const struct model_traffic *t, const struct generation *g);

/* A version serves now, is unloaded, or its files are gone: what it had ends. `why` is for the
 * log: "it serves now". */
void model_traffic_drop(struct model_traffic *t, const char *version, const char *why);

/* What is in force, borrowed until it changes. */
struct traffic_view model_traffic_view(const struct model_traffic *t);

/* The report of the copies, or NULL before the first shadow. */
const struct shadow_report *model_traffic_report(const struct model_traffic *t);

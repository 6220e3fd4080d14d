/* filter_replay.h: `weir filter --chain B --against A --texts FILE`: texts through two chains.
 * Command-internal. */
#pragma once

#include <stdbool.h>

#include "filters/chain.h"
#include "runtime/base/err.h"

struct filter_replay {
    const char *chain;     /* the new one's file */
    const char *against;   /* the old one's */
    const char *texts;     /* .jsonl: an object or string a line; else texts, one a line; "-" */
    enum filter_side side; /* of texts that do not say */
    bool json;
    bool show_text;
};

int filter_replay_run(const struct filter_replay *f, struct err *e);

/* spam.h: how much a text looks like an advertisement or a lure.
 *
 * A sum of signs, each bounded, so that no single one decides: phrases of the trade (offers,
 * calls to click or call, promises, urgency, links and sums of money, capitals and exclamation
 * marks), in relation to the text's length. English phrases only; what it finds elsewhere are
 * links, capitals and sums. It is a rule of thumb, measured in docs/training-data.md.
 *
 * Threads: any. */
#pragma once

#include <stddef.h>

/* 0 to 1; half is where the default bound lies. */
double spam_score(const char *text, size_t len);

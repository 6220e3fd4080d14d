/* roughen.h: sentences as people write them: with and without capitals and full stops, joined,
 * with slips of the finger, and with letters hidden from filters.
 *
 * All of it happens to harmless and harmful sentences alike, so that it tells nothing.
 * Threads: none. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/rng.h"

/* text becomes out, which is emptied first. */
void roughen(const char *text, struct rng *r, struct buf *out);

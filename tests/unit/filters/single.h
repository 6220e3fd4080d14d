/* single.h: one built-in filter on one text, held against what is expected of it, for every
 * way of cutting the text. */
#pragma once

#include "tests/unit/filters/trace.h"

/* A chain of this one filter: `settings` is the inside of its JSON object, type included. */
struct chain *single_chain(const char *settings);

/* The text as steps of one channel, which are joined before they are cut; released with
 * mem_free. */
struct trace_step *single_steps(const char *text, size_t *count);

/* Text and events (one line each, as trace.h writes them) for the text whole, by characters
 * and with random cuts. `events` may be NULL: any, but the same for all cuts. */
void single_expect(const char *settings, const char *in, const char *out, const char *events);

/* The settings are refused with a message that contains `message`. */
void single_expect_refused(const char *settings, const char *message);

/* plugin.h: a filter type out of a shared object.
 *
 * A plugin is compiled against filters/filter.h alone and exports one symbol, which
 * FILTER_PLUGIN of that header defines. Its code runs in this process with all of its rights,
 * from the moment it is loaded: what is checked here finds mistakes, not malice. One that
 * crashes, hangs or leaves while it is loaded or given its settings does so in a child
 * (trial.h).
 *
 * It is loaded from bytes, not from a path, so that what runs is what the chain's content hash
 * was taken over, even when somebody replaces the file meanwhile.
 *
 * Threads: closing from any thread, the rest from any but the event loop. Ownership:
 * plugin_open's result is released with plugin_close, after everything that its type has made.
 */
#pragma once

#include <stddef.h>

#include "filters/filter.h"
#include "runtime/base/err.h"

struct plugin;

/* NULL with an error that says what is wrong, without naming the file. */
struct plugin *plugin_open(const char *bytes, size_t len, struct err *e);
/* Whether its configure and release come to an end with these settings, whatever they say of
 * them. 0, or -1 with an error like the one of plugin_open. */
int plugin_try_settings(const struct plugin *plugin, const struct filter_value *values,
                        struct err *e);
void plugin_close(struct plugin *plugin); /* accepts NULL */

const struct filter_type *plugin_type(const struct plugin *plugin);

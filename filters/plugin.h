/* plugin.h: a filter type out of a shared object.
 *
 * A plugin is compiled against filters/filter.h alone and exports one symbol, which
 * FILTER_PLUGIN of that header defines. Its code runs in this process with all of its rights,
 * from the moment it is loaded: what is checked here finds mistakes, not malice.
 *
 * It is loaded from bytes, not from a path, so that what runs is what the chain's content hash
 * was taken over, even when somebody replaces the file meanwhile.
 *
 * Threads: opening and closing from any thread. Ownership: plugin_open's result is released
 * with plugin_close, after everything that its type has made. */
#pragma once

#include <stddef.h>

#include "filters/filter.h"
#include "runtime/base/err.h"

struct plugin;

/* NULL with an error that says what is wrong, without naming the file. */
struct plugin *plugin_open(const char *bytes, size_t len, struct err *e);
void plugin_close(struct plugin *plugin); /* accepts NULL */

const struct filter_type *plugin_type(const struct plugin *plugin);

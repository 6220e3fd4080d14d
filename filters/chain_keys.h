/* chain_keys.h: the keys that every filter of a chain has besides "type", "side" and "fail",
 * whatever its type: "name", "channels", "mode" and "view".
 *
 * Threads: none. Ownership: everything is borrowed.
 */
#pragma once

#include <cjson/cJSON.h>

#include "filters/chain_config.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* Whether a filter type may not have a key of this name, as all filters have it. */
bool chain_keys_has(const char *name);

/* Reads the four keys of a filter whose type is known. `path` is the filter's: "filters[0]".
 * 0, or -1 with an error that names the path at fault. */
int chain_keys_read(struct chain_filter *filter, const cJSON *object, const char *path,
                    struct err *e);

/* A name that was written belongs to one filter only, also of those that are named by their
 * type. Returns as above. */
int chain_keys_check_names(const struct chain *chain, struct err *e);

/* Appends what the content hash is taken over. What is not written adds nothing, and a name
 * never does: it changes nothing that the chain does. */
void chain_keys_append_canonical(const struct chain_filter *filter, struct buf *out);

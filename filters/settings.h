/* settings.h: a filter's JSON object, read against the keys of its type.
 *
 * Unknown keys, wrong types, values outside a choice and missing required keys are errors that
 * name the path: `filters[0].action: "stpo" is not one of "stop", "replace"`. What is not
 * written takes the key's fallback.
 *
 * Ownership: settings_init takes nothing, settings_deinit releases. Threads: none.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "filters/filter.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct settings {
    const struct filter_type *type; /* borrowed */
    struct filter_value *values;    /* key_count, in the order of type->keys */
    size_t key_count;
    bool has_path; /* the object also has "path", which is not the type's (plugins) */
};

void settings_init(struct settings *settings, const struct filter_type *type);
void settings_deinit(struct settings *settings);

/* `path` is the object's own, "filters[0]"; `folder` is where relative file paths start,
 * NULL when files may not be named. */
int settings_read(struct settings *settings, const cJSON *object, const char *path,
                  const char *folder, struct err *e);

/* The bytes of the file that the object's key `name` names, which must be set and lie inside
 * the folder. Released with mem_free. */
char *settings_read_file(const cJSON *object, const char *name, const char *path,
                         const char *folder, size_t *len, struct err *e);

/* Appends all values in one form that is the same for the same meaning: fallbacks filled in,
 * keys in the type's order, strings with their length before them, files as the hash of
 * their content. */
int settings_append_canonical(const struct settings *settings, struct buf *out, struct err *e);

/* Makes of the strings of lists and files what the normalised view (view.h) makes of such a
 * text. Those that are not UTF-8 stay, for the filter to refuse them. */
int settings_normalise(struct settings *settings, struct err *e);

#include "filters/chain_keys.h"

#include <stdio.h>
#include <string.h>

#define PATH_ROOM 64

bool chain_keys_has(const char *name)
{
    static const char *const names[] = {"type",     "side", "fail", "name",
                                        "channels", "mode", "view"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool chain_is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= CHAIN_MAX_NAME &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               len;
}

static int set_error(const char *path, const char *what, struct err *e)
{
    return err_set_param(e, ERR_INVALID, path, "%s: %s", path, what);
}

static int read_name(struct chain_filter *filter, const cJSON *item, const char *path,
                     struct err *e)
{
    if (item && (!cJSON_IsString(item) || !chain_is_name(item->valuestring))) {
        return set_error(
            path, "must be a string of 1 to 64 letters, digits, \".\", \"_\" or \"-\"", e);
    }
    filter->has_name = item != NULL;
    snprintf(filter->name, sizeof(filter->name), "%s",
             item ? item->valuestring : filter->type->name);
    return 0;
}

static int find_channel(const cJSON *item)
{
    const char *name = cJSON_GetStringValue(item);
    for (int i = 0; name && i < FILTER_CHANNELS; i++) {
        if (strcmp(chain_channel_name((enum filter_channel)i), name) == 0) {
            return i;
        }
    }
    return -1;
}

static int read_channels(struct chain_filter *filter, const cJSON *list, const char *path,
                         struct err *e)
{
    filter->channels = list ? 0 : CHAIN_ALL_CHANNELS;
    if (list && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)) {
        return set_error(
            path,
            "must be a list of \"content\", \"reasoning\" or \"tool_args\", of one or more", e);
    }
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, list)
    {
        char at[PATH_ROOM + 16];
        snprintf(at, sizeof(at), "%.63s[%d]", path, i++);
        int channel = find_channel(item);
        if (channel < 0) {
            return set_error(at, "must be \"content\", \"reasoning\" or \"tool_args\"", e);
        }
        if (filter->channels & 1u << channel) {
            return set_error(at, "is there twice", e);
        }
        filter->channels |= 1u << channel;
    }
    return 0;
}

/* One of two words, the first of which is the default. */
static int read_word(bool *is_second, const cJSON *item, const char *first, const char *second,
                     const char *path, struct err *e)
{
    const char *word = item ? cJSON_GetStringValue(item) : first;
    *is_second = word && strcmp(word, second) == 0;
    if (!word || (!*is_second && strcmp(word, first) != 0)) {
        return err_set_param(e, ERR_INVALID, path, "%s: must be \"%s\" or \"%s\"", path, first,
                             second);
    }
    return 0;
}

int chain_keys_read(struct chain_filter *filter, const cJSON *object, const char *path,
                    struct err *e)
{
    char at[PATH_ROOM];
    snprintf(at, sizeof(at), "%s.name", path);
    if (read_name(filter, cJSON_GetObjectItemCaseSensitive(object, "name"), at, e) != 0) {
        return -1;
    }
    snprintf(at, sizeof(at), "%s.channels", path);
    if (read_channels(filter, cJSON_GetObjectItemCaseSensitive(object, "channels"), at, e) !=
        0) {
        return -1;
    }
    snprintf(at, sizeof(at), "%s.mode", path);
    if (read_word(&filter->is_recording, cJSON_GetObjectItemCaseSensitive(object, "mode"),
                  "enforce", "record", at, e) != 0) {
        return -1;
    }
    snprintf(at, sizeof(at), "%s.view", path);
    return read_word(&filter->is_normalised, cJSON_GetObjectItemCaseSensitive(object, "view"),
                     "as_written", "normalised", at, e);
}

int chain_keys_check_names(const struct chain *chain, struct err *e)
{
    for (size_t i = 0; i < chain->filter_count; i++) {
        for (size_t k = 0; chain->filters[i].has_name && k < chain->filter_count; k++) {
            if (k != i && strcmp(chain->filters[i].name, chain->filters[k].name) == 0) {
                char at[PATH_ROOM];
                snprintf(at, sizeof(at), "filters[%zu].name", i);
                return err_set_param(e, ERR_INVALID, at,
                                     "%s: \"%s\" is the name of filters[%zu] too", at,
                                     chain->filters[i].name, k);
            }
        }
    }
    return 0;
}

void chain_keys_append_canonical(const struct chain_filter *filter, struct buf *out)
{
    if (filter->channels != CHAIN_ALL_CHANNELS) {
        buf_printf(out, "channels %u\n", filter->channels);
    }
    if (filter->is_recording) {
        buf_append_str(out, "mode record\n");
    }
    if (filter->is_normalised) {
        buf_append_str(out, "view normalised\n");
    }
}

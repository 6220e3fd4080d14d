#include "filters/setting_checks.h"

#include <stdio.h>

int setting_refuse(struct filter_error *error, const char *key, const char *message)
{
    snprintf(error->key, sizeof(error->key), "%.*s", (int)FILTER_MAX_KEY, key);
    snprintf(error->message, sizeof(error->message), "%.*s", (int)FILTER_MAX_ERROR, message);
    return -1;
}

int setting_whole(const struct filter_value *value, const char *key, uint32_t min, uint32_t max,
                  uint32_t *number, struct filter_error *error)
{
    double given = value->number;
    if (!(given >= min && given <= max) || given != (double)(uint32_t)given) {
        char message[96];
        snprintf(message, sizeof(message), "must be a whole number from %u to %u", min, max);
        return setting_refuse(error, key, message);
    }
    *number = (uint32_t)given;
    return 0;
}

#include "runtime/base/unique_id.h"

#include <stdio.h>
#include <sys/random.h>

#include "runtime/base/log.h"

void unique_id(char *out, size_t size, const char *prefix)
{
    unsigned char random[12] = {0};
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) < 0) {
        log_warn("no random numbers for an id");
    }
    char hex[2 * sizeof(random) + 1];
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(hex + 2 * i, 3, "%02x", random[i]);
    }
    snprintf(out, size, "%s%s", prefix, hex);
}

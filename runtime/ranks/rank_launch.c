#include "runtime/ranks/rank_launch.h"

#include <stddef.h>
#include <stdlib.h>

/* 0: it does not say, or nothing sensible. */
static int read_size(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    long n = text ? strtol(text, &end, 10) : 0;
    return text && end != text && *end == '\0' && n > 0 && n < 1 << 20 ? (int)n : 0;
}

int rank_launch_size(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    int most = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && most <= 1; i++) {
        int n = read_size(names[i]);
        most = n > most ? n : most;
    }
    if (most > 0) {
        return most;
    }
    return getenv("PMIX_RANK") ? RANK_LAUNCH_UNKNOWN : 1;
}

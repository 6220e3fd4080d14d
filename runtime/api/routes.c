#include "runtime/api/routes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct route table[] = {
#define X(id, method, path, auth) {ROUTE_##id, method, path, auth},
    ROUTES(X)
#undef X
};

static const struct route not_found = {ROUTE_NOT_FOUND, "", "", ROUTE_OPEN};
static const struct route wrong_method = {ROUTE_WRONG_METHOD, "", "", ROUTE_OPEN};

static bool path_matches(const char *pattern, const char *path)
{
    size_t len = strlen(pattern);
    if (pattern[len - 1] != '*') {
        return strcmp(pattern, path) == 0;
    }
    return strncmp(pattern, path, len - 1) == 0 && path[len - 1] != '\0';
}

const struct route *route_find(const char *method, const char *path, char allow[64])
{
    if (strcmp(method, "HEAD") == 0) {
        method = "GET";
    }
    allow[0] = '\0';
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (!path_matches(table[i].path, path)) {
            continue;
        }
        if (strcmp(table[i].method, method) == 0) {
            return &table[i];
        }
        size_t len = strlen(allow);
        snprintf(allow + len, 64 - len, "%s%s", len ? ", " : "", table[i].method);
    }
    return allow[0] ? &wrong_method : &not_found;
}

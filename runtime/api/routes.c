#include "runtime/api/routes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct route table[] = {
#define X(id, method, path, auth, scope) {ROUTE_##id, method, path, auth, scope},
    ROUTES(X)
#undef X
};

static const struct route not_found = {ROUTE_NOT_FOUND, "", "", ROUTE_OPEN, SCOPE_NONE};
static const struct route wrong_method = {ROUTE_WRONG_METHOD, "", "", ROUTE_OPEN, SCOPE_NONE};

/* Part by part; a part in braces is any that is not empty. */
static bool path_matches(const char *pattern, const char *path)
{
    while (*pattern && *path) {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");
            if (len == 0) {
                return false;
            }
            path += len;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

static void add_method(char allow[64], const char *method)
{
    size_t len = strlen(allow);
    snprintf(allow + len, 64 - len, "%s%s", len ? ", " : "", method);
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
        add_method(allow, table[i].method);
        if (strcmp(table[i].method, "GET") == 0) {
            add_method(allow, "HEAD");
        }
    }
    if (!allow[0]) {
        return &not_found;
    }
    add_method(allow, "OPTIONS");
    return &wrong_method;
}

static const char *const scope_names[] = {"",
#define X(id, name) name,
                                          SCOPES(X)
#undef X
};

const char *route_scope_name(enum route_scope scope)
{
    return scope_names[scope];
}

enum route_scope route_scope_named(const char *name, size_t len)
{
    for (int i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        if (strlen(scope_names[i]) == len && memcmp(scope_names[i], name, len) == 0) {
            return (enum route_scope)i;
        }
    }
    return SCOPE_NONE;
}

/* json_paths.h: which values of a JSON document the operator means, and where a reader of one
 * stands.
 *
 * A path is names with dots between them: "password" is every value of that name, "user.email"
 * the email of every user, "$.user.email" only that of the whole document's user, "$" is all of
 * it. "*" stands for any name. An element of a list has its place for a name, from 0. A
 * backslash takes a dot, a star or a backslash into a name.
 *
 * Each level of nesting knows for each path how many of its names the way down to here ends
 * with, as bits, so that a path with "*" in it costs no searching. Everything inside a value
 * that is meant is meant too.
 *
 * Threads: paths are read-only once made, a place belongs to one text. Ownership: init takes
 * memory, deinit releases it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define JSON_PATHS_MAX      64
#define JSON_PATH_MAX       256 /* bytes of one */
#define JSON_PATH_NAMES_MAX 31
#define JSON_DEPTH_MAX      128
#define JSON_NAME_MAX       256 /* bytes of a name in the text; a longer one is only a "*" */

struct json_path {
    bool is_rooted;
    uint32_t count;
    char *names[JSON_PATH_NAMES_MAX]; /* NULL: any */
};

struct json_paths {
    bool ignores_case;
    struct json_path paths[JSON_PATHS_MAX];
    size_t count;
};

void json_paths_init(struct json_paths *paths, bool ignores_case);
void json_paths_deinit(struct json_paths *paths);
/* UTF-8. Errors say what is wrong with the path. */
int json_paths_add(struct json_paths *paths, const char *text, size_t len, struct err *e);

struct json_level {
    bool is_list;
    bool is_meant;
    uint32_t path;    /* the first that means it */
    uint32_t element; /* of a list: the place of the next value */
};

struct json_place {
    const struct json_paths *paths;
    size_t depth;                                 /* 0: in no object or list */
    struct json_level levels[JSON_DEPTH_MAX + 2]; /* [depth]: around, [depth + 1]: the value */
    uint32_t *matched; /* (JSON_DEPTH_MAX + 2, paths->count); bit n: the first n names */
    char name[JSON_NAME_MAX + 4]; /* of the value to come, in an object */
    size_t name_len;
    bool name_is_long;
};

/* 0, or -1 when out of memory. */
int json_place_init(struct json_place *place, const struct json_paths *paths);
void json_place_deinit(struct json_place *place);
/* A document begins. */
void json_place_restart(struct json_place *place);

bool json_place_in_list(const struct json_place *place);

/* The name of the next value in an object. */
void json_place_begin_name(struct json_place *place);
void json_place_add_to_name(struct json_place *place, uint32_t code_point);

/* A value begins. Returns whether it is meant, and by which path. */
bool json_place_value(struct json_place *place, uint32_t *path);
/* It is an object or a list. -1 when there are too many in each other. */
int json_place_enter(struct json_place *place, bool is_list);
void json_place_leave(struct json_place *place);
/* A comma: the next element of a list. */
void json_place_next(struct json_place *place);

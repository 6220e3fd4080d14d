#include "filters/json_paths.h"

#include <stdio.h>
#include <string.h>

#include "filters/letters.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* ---- paths ---- */

void json_paths_init(struct json_paths *paths, bool ignores_case)
{
    *paths = (struct json_paths){.ignores_case = ignores_case};
}

void json_paths_deinit(struct json_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        for (uint32_t n = 0; n < paths->paths[i].count; n++) {
            mem_free(paths->paths[i].names[n]);
        }
    }
    paths->count = 0;
}

static uint32_t fold(const struct json_paths *paths, uint32_t code_point)
{
    return paths->ignores_case ? letter_fold(code_point) : code_point;
}

/* Reads the name at text[*at, len) up to the dot behind it. */
static int read_name(const struct json_paths *paths, struct json_path *path, const char *text,
                     size_t len, size_t *at, struct err *e)
{
    char name[4 * JSON_PATH_MAX + 1]; /* a character may be longer in its other case */
    size_t n = 0;
    bool is_any =
        len - *at >= 1 && text[*at] == '*' && (*at + 1 == len || text[*at + 1] == '.');
    while (*at < len && text[*at] != '.') {
        uint32_t code_point;
        *at += text[*at] == '\\' && *at + 1 < len;
        *at += (size_t)utf8_decode(text + *at, len - *at, &code_point);
        n += (size_t)utf8_encode(fold(paths, code_point), name + n);
    }
    if (n == 0) {
        return err_set(e, ERR_INVALID, "has an empty name in it");
    }
    if (path->count == JSON_PATH_NAMES_MAX) {
        return err_set(e, ERR_LIMIT, "has more than %d names", JSON_PATH_NAMES_MAX);
    }
    name[n] = '\0';
    char *kept = is_any ? NULL : mem_strdup(name);
    if (!is_any && !kept) {
        return err_nomem(e);
    }
    path->names[path->count++] = kept;
    return 0;
}

int json_paths_add(struct json_paths *paths, const char *text, size_t len, struct err *e)
{
    if (paths->count == JSON_PATHS_MAX) {
        return err_set(e, ERR_LIMIT, "is one too many, %d are allowed", JSON_PATHS_MAX);
    }
    if (len > JSON_PATH_MAX) {
        return err_set(e, ERR_LIMIT, "is longer than %d bytes", JSON_PATH_MAX);
    }
    if (!utf8_is_valid(text, len)) {
        return err_set(e, ERR_FORMAT, "is not UTF-8");
    }
    struct json_path *path = &paths->paths[paths->count++];
    *path = (struct json_path){.is_rooted =
                                   len > 0 && text[0] == '$' && (len == 1 || text[1] == '.')};
    if (path->is_rooted && len == 1) {
        return 0;
    }
    for (size_t at = path->is_rooted ? 2 : 0;; at++) {
        if (read_name(paths, path, text, len, &at, e) != 0) {
            return -1;
        }
        if (at == len) {
            return 0;
        }
    }
}

/* ---- places ---- */

int json_place_init(struct json_place *place, const struct json_paths *paths)
{
    size_t rows = JSON_DEPTH_MAX + 2;
    place->paths = paths;
    place->matched = mem_zarray(rows * paths->count + 1, sizeof(*place->matched));
    if (!place->matched) {
        return -1;
    }
    json_place_restart(place);
    return 0;
}

void json_place_deinit(struct json_place *place)
{
    mem_free(place->matched);
    place->matched = NULL;
}

static uint32_t *row(struct json_place *place, size_t level)
{
    return place->matched + level * place->paths->count;
}

void json_place_restart(struct json_place *place)
{
    place->depth = 0;
    place->levels[0] = (struct json_level){0};
}

bool json_place_in_list(const struct json_place *place)
{
    return place->levels[place->depth].is_list;
}

void json_place_begin_name(struct json_place *place)
{
    place->name_len = 0;
    place->name_is_long = false;
}

void json_place_add_to_name(struct json_place *place, uint32_t code_point)
{
    if (place->name_len > JSON_NAME_MAX - 4) {
        place->name_is_long = true;
        return;
    }
    place->name_len +=
        (size_t)utf8_encode(fold(place->paths, code_point), place->name + place->name_len);
}

static bool is_name(const struct json_place *place, const char *name)
{
    if (!name) {
        return true;
    }
    return !place->name_is_long && strlen(name) == place->name_len &&
           memcmp(name, place->name, place->name_len) == 0;
}

/* How many names of a path the way down to the value ends with, from those around it. */
static uint32_t match_path(const struct json_place *place, const struct json_path *path,
                           uint32_t around)
{
    uint32_t matched = path->is_rooted ? 0 : 1;
    for (uint32_t n = 0; n < path->count; n++) {
        if (around >> n & 1 && is_name(place, path->names[n])) {
            matched |= UINT32_C(1) << (n + 1);
        }
    }
    return matched;
}

bool json_place_value(struct json_place *place, uint32_t *path)
{
    const struct json_level *around = &place->levels[place->depth];
    struct json_level *value = &place->levels[place->depth + 1];
    *value = (struct json_level){.is_meant = around->is_meant, .path = around->path};
    if (around->is_list) {
        place->name_len =
            (size_t)snprintf(place->name, sizeof(place->name), "%u", around->element);
        place->name_is_long = false;
    }
    const uint32_t *from = row(place, place->depth);
    uint32_t *to = row(place, place->depth + 1);
    for (size_t i = 0; i < place->paths->count; i++) {
        const struct json_path *p = &place->paths->paths[i];
        to[i] = place->depth == 0 ? 1 : match_path(place, p, from[i]);
        bool is_whole = to[i] >> p->count & 1 && (p->count > 0 || place->depth == 0);
        if (is_whole && !value->is_meant) {
            value->is_meant = true;
            value->path = (uint32_t)i;
        }
    }
    *path = value->path;
    return value->is_meant;
}

int json_place_enter(struct json_place *place, bool is_list)
{
    if (place->depth == JSON_DEPTH_MAX) {
        return -1;
    }
    place->depth++;
    place->levels[place->depth].is_list = is_list;
    json_place_begin_name(place);
    return 0;
}

void json_place_leave(struct json_place *place)
{
    if (place->depth > 0) {
        place->depth--;
    }
}

void json_place_next(struct json_place *place)
{
    place->levels[place->depth].element++;
    json_place_begin_name(place);
}

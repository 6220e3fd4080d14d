#include "filters/view_map.h"

#include <string.h>

#include "runtime/base/mem.h"

void view_map_init(struct view_map *map)
{
    *map = (struct view_map){0};
}

void view_map_deinit(struct view_map *map)
{
    mem_free(map->segments);
    map->segments = NULL;
}

static struct view_segment *new_segment(struct view_map *map)
{
    if (map->count == map->cap && map->head > map->cap / 2) {
        map->count -= map->head;
        memmove(map->segments, map->segments + map->head, map->count * sizeof(*map->segments));
        map->head = 0;
    }
    if (map->count == map->cap) {
        size_t cap = map->cap ? map->cap * 2 : 16;
        struct view_segment *moved = mem_realloc_array(map->segments, cap, sizeof(*moved));
        if (!moved) {
            map->failed = true;
            return NULL;
        }
        map->segments = moved;
        map->cap = cap;
    }
    return &map->segments[map->count++];
}

/* What is shown as it is goes on in the segment before it, and so does what is not shown. */
static bool goes_on(const struct view_map *map, size_t view_len, bool is_same)
{
    if (map->count == map->head) {
        return false;
    }
    const struct view_segment *last = &map->segments[map->count - 1];
    bool is_last_hidden = !last->is_same && last->view == map->view_end;
    return is_same ? last->is_same : is_last_hidden && view_len == 0;
}

void view_map_add(struct view_map *map, size_t view_len, uint64_t text_len, bool is_same)
{
    if (text_len == 0) {
        return;
    }
    if (!goes_on(map, view_len, is_same)) {
        struct view_segment *segment = new_segment(map);
        if (!segment) {
            return;
        }
        *segment = (struct view_segment){
            .view = map->view_end, .text = map->text_end, .is_same = is_same};
    }
    map->view_end += view_len;
    map->text_end += text_len;
}

/* The last segment that begins at `at` or before it; head when there is none. */
static size_t find(const struct view_map *map, uint64_t at)
{
    size_t low = map->head;
    size_t high = map->count;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (map->segments[middle].view <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t view_end(const struct view_map *map, size_t segment)
{
    return segment + 1 < map->count ? map->segments[segment + 1].view : map->view_end;
}

static uint64_t text_end(const struct view_map *map, size_t segment)
{
    return segment + 1 < map->count ? map->segments[segment + 1].text : map->text_end;
}

/* The segment whose whole `at` lies in, count when it lies in none. */
static size_t find_whole(const struct view_map *map, uint64_t at)
{
    if (at == 0 || map->head == map->count) {
        return map->count;
    }
    size_t i = find(map, at - 1);
    return !map->segments[i].is_same && at < view_end(map, i) ? i : map->count;
}

uint64_t view_map_floor(const struct view_map *map, uint64_t at)
{
    size_t whole = find_whole(map, at);
    return whole < map->count ? map->segments[whole].view : at;
}

uint64_t view_map_ceil(const struct view_map *map, uint64_t at)
{
    size_t whole = find_whole(map, at);
    return whole < map->count ? view_end(map, whole) : at;
}

uint64_t view_map_before(const struct view_map *map, uint64_t at)
{
    if (at == 0 || map->head == map->count) {
        return 0;
    }
    size_t i = find(map, at - 1);
    const struct view_segment *segment = &map->segments[i];
    return segment->is_same ? segment->text + (at - segment->view) : text_end(map, i);
}

uint64_t view_map_begin(const struct view_map *map, uint64_t at)
{
    if (at >= map->view_end || map->head == map->count) {
        return view_map_before(map, at);
    }
    const struct view_segment *segment = &map->segments[find(map, at)];
    return segment->is_same ? segment->text + (at - segment->view) : segment->text;
}

void view_map_forget(struct view_map *map, uint64_t at)
{
    if (at == 0) {
        return;
    }
    /* One byte before `at` must still be found. */
    map->head = map->head < map->count ? find(map, at - 1) : map->head;
}

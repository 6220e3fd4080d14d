/* view_map.h: which bytes of a text each byte of its view was made of.
 *
 * A view is made of a text from left to right, unit by unit: some bytes of the text became some
 * bytes of the view. A unit is either shown as it is, then offsets run side by side in it; or
 * it is one whole, of which no part is taken without the rest ("ﬁ" shown as "fi"); or nothing
 * of it is shown (a soft hyphen).
 *
 * Where something that is not shown stands at an offset of the view, that offset is two places
 * of the text. The functions say which they mean.
 *
 * Ownership: view_map_init takes nothing, view_map_deinit releases.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here to the next one, or to the end: one unit, or several that are shown as they are. */
struct view_segment {
    uint64_t view;
    uint64_t text;
    bool is_same; /* shown as it is; else one unit */
};

struct view_map {
    struct view_segment *segments; /* segments[head, count) are known, in order */
    size_t head, count, cap;
    uint64_t view_end, text_end;
    bool failed; /* memory ran out: some unit is missing */
};

void view_map_init(struct view_map *map);
void view_map_deinit(struct view_map *map);

/* The next unit. is_same: both lengths are equal and the bytes too. */
void view_map_add(struct view_map *map, size_t view_len, uint64_t text_len, bool is_same);

/* All take an offset of the view up to its end, not before what was forgotten. */

/* The offset itself, or where the whole begins or ends that it lies in. */
uint64_t view_map_floor(const struct view_map *map, uint64_t at);
uint64_t view_map_ceil(const struct view_map *map, uint64_t at);

/* Places in the text of an offset that lies in no whole: behind the last byte that is shown
 * before it; and where the byte begins that is shown there, behind all that is not shown (at
 * the end of the view: the first). */
uint64_t view_map_before(const struct view_map *map, uint64_t at);
uint64_t view_map_begin(const struct view_map *map, uint64_t at);

/* Offsets before `at` will not be asked for any more. */
void view_map_forget(struct view_map *map, uint64_t at);

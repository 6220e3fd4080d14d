/* The normalised view of any text, whole and cut in ways that the first byte seeds: both are
 * the same, what was shown stays shown, and the way back to the text is in order and leads to
 * whole characters.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/view.h"
#include "runtime/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX ((size_t)1 << 20)

#define CHECK(holds)                                           \
    do {                                                       \
        if (!(holds)) {                                        \
            fprintf(stderr, "%d: not %s\n", __LINE__, #holds); \
            abort();                                           \
        }                                                      \
    } while (0)

static bool is_inside(const char *text, uint64_t at)
{
    return ((unsigned char)text[at] & 0xC0u) == 0x80u;
}

static void feed_cut(struct view *view, const struct view *whole, const char *text, size_t len,
                     uint32_t seed)
{
    for (size_t at = 0; at < len;) {
        seed = seed * 1103515245u + 12345u;
        size_t end = at + 1 + (seed >> 16) % 9;
        end = end < len ? end : len;
        while (end < len && is_inside(text, end)) {
            end++;
        }
        uint64_t shown = view_end(view);
        CHECK(view_feed(view, text + at, end - at) == 0);
        CHECK(view_end(view) >= shown && view_end(view) <= view_end(whole));
        CHECK(memcmp(view_text(view), view_text(whole), (size_t)view_end(view)) == 0);
        at = end;
    }
    CHECK(view_finish(view) == 0);
    CHECK(view_end(view) == view_end(whole));
}

static void check_way_back(const struct view *view, const char *text, size_t len)
{
    uint64_t last = 0;
    for (uint64_t at = 0; at <= view_end(view); at++) {
        if (at < view_end(view) && is_inside(view_text(view), at)) {
            continue;
        }
        uint64_t floor = view_floor(view, at);
        uint64_t before = view_before(view, floor);
        uint64_t begin = view_begin(view, floor);
        CHECK(floor <= at && at <= view_ceil(view, at));
        CHECK(last <= before && before <= begin && begin <= len);
        CHECK(before == len || !is_inside(text, before));
        CHECK(begin == len || !is_inside(text, begin));
        last = before;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    size_t len = utf8_valid_prefix(text, size - 1);
    struct view whole, cut;
    view_init(&whole, true, MAX, MAX);
    view_init(&cut, true, MAX, MAX);
    CHECK(view_feed(&whole, text, len) == 0);
    CHECK(view_finish(&whole) == 0);
    CHECK(utf8_is_valid(view_text(&whole), (size_t)view_end(&whole)));
    feed_cut(&cut, &whole, text, len, data[0]);
    check_way_back(&whole, text, len);
    check_way_back(&cut, text, len);
    view_deinit(&whole);
    view_deinit(&cut);
    return 0;
}

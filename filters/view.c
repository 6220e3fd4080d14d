#include "filters/view.h"

#include <string.h>

#include "filters/json_escape.h"
#include "runtime/base/utf8.h"

void view_init(struct view *view, bool is_normalised, bool is_json, size_t max, size_t history)
{
    *view =
        (struct view){.is_normalised = is_normalised, .is_json = is_json, .history = history};
    view_join_init(&view->join, max);
}

void view_deinit(struct view *view)
{
    view_join_deinit(&view->join);
}

/* ---- characters ---- */

static void close_unit(struct view *view)
{
    if (view->unit.count == 0) {
        return;
    }
    struct view_shown shown;
    view_unit_show(&view->unit, &shown);
    view->is_plain = shown.ends_plain;
    if (shown.len == 0) {
        view_join_hide(&view->join, view->unit.text_len);
    } else {
        struct view_glyph glyph = {
            .bytes = shown.bytes,
            .len = shown.len,
            .text_len = view->unit.text_len,
            .is_same = view->unit.is_copied && view->unit.source_len == shown.len &&
                       memcmp(view->unit.source, shown.bytes, shown.len) == 0,
            .begins_word = shown.begins_word,
            .ends_word = shown.ends_word,
        };
        view_join_take(&view->join, &glyph);
    }
    view->unit.count = 0;
}

/* `source` is how the character is written, NULL when by an entity. */
static void read_character(struct view *view, uint32_t code_point, const char *source,
                           size_t text_len)
{
    bool is_printed = code_point >= 0x20 && code_point < 0x7F;
    if (is_printed || (code_point >= '\t' && code_point <= '\r')) {
        close_unit(view);
        view_join_take_ascii(&view->join, (char)code_point, text_len, source != NULL);
        view->is_plain = true;
        return;
    }
    int32_t points[VIEW_POINTS];
    size_t count = view_unit_decompose(code_point, points);
    struct view_unit *unit = &view->unit;
    if (count == 0 && unit->count > 0) {
        view_unit_hide(unit, text_len);
        return;
    }
    if (count == 0 || (unit->count == 0 && view->is_plain && view_unit_is_mark(points[0]))) {
        view_join_hide(&view->join, text_len);
        return;
    }
    if (!view_unit_goes_on(unit, points[0])) {
        close_unit(view);
    }
    view_unit_add(unit, points, count, source, text_len);
    if (view_unit_is_settled(unit)) {
        close_unit(view);
    }
}

/* ---- JSON ---- */

static void show_as_written(struct view *view, const char *text, size_t len)
{
    if (len > 0) {
        buf_append(&view->join.shown, text, len);
        view_map_add(&view->join.map, len, len, true);
    }
}

static void show_character(struct view *view, uint32_t code_point, size_t text_len)
{
    char bytes[4];
    size_t len = (size_t)utf8_encode(code_point, bytes);
    buf_append(&view->join.shown, bytes, len);
    view_map_add(&view->join.map, len, text_len, false);
}

/* The bytes of the escape at text[0], 0 when it waits for more. A backslash that begins none is
 * shown itself. */
static size_t read_escape(struct view *view, const char *text, size_t len)
{
    uint32_t code_point;
    size_t n;
    switch (json_escape_read(text, len, view->has_ended, &code_point, &n)) {
    case JSON_ESCAPE_PARTIAL:
        return 0;
    case JSON_ESCAPE_NONE:
        code_point = '\\';
        n = 1;
        break;
    case JSON_ESCAPE_FOUND:
        break;
    }
    if (view->is_normalised) {
        read_character(view, code_point, n == 1 ? text : NULL, n);
    } else if (n == 1) {
        show_as_written(view, text, 1);
    } else {
        show_character(view, code_point, n);
    }
    return n;
}

static size_t up_to_escape(const struct view *view, const char *text, size_t len)
{
    const char *escape = view->is_json ? memchr(text, '\\', len) : NULL;
    return escape ? (size_t)(escape - text) : len;
}

/* ---- the text ---- */

static void wait_for_more(struct view *view, const char *text, size_t len)
{
    memcpy(view->entity, text, len);
    view->entity_len = len;
}

/* The bytes of what begins at text[0], or 0 when that waits for more. */
static size_t read_one(struct view *view, const char *text, size_t len)
{
    uint32_t code_point = 0;
    if (view->is_json && text[0] == '\\') {
        return read_escape(view, text, len);
    }
    if (text[0] == '&') {
        size_t n = 1;
        enum entity_found found = entity_read(text, len, view->has_ended, &code_point, &n);
        if (found == ENTITY_PARTIAL) {
            return 0;
        }
        if (found == ENTITY_FOUND) {
            read_character(view, code_point, NULL, n);
            return n;
        }
    }
    int n = utf8_decode(text, len, &code_point);
    size_t size = n > 0 ? (size_t)n : 1;
    read_character(view, code_point, text, size);
    return size;
}

static void normalise(struct view *view, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (view->unit.count == 0 && (unsigned char)text[at] < 0x80) {
            size_t clean = view_join_take_clean(&view->join, text + at,
                                                up_to_escape(view, text + at, len - at));
            view->is_plain |= clean > 0;
            at += clean;
        }
        if (at == len) {
            return;
        }
        size_t n = read_one(view, text + at, len - at);
        if (n == 0) {
            wait_for_more(view, text + at, len - at);
            return;
        }
        at += n;
    }
}

static void decode(struct view *view, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t clean = up_to_escape(view, text + at, len - at);
        show_as_written(view, text + at, clean);
        at += clean;
        size_t n = at < len ? read_escape(view, text + at, len - at) : 0;
        if (n == 0 && at < len) {
            wait_for_more(view, text + at, len - at);
            return;
        }
        at += n;
    }
}

static void read_text(struct view *view, const char *text, size_t len)
{
    (view->is_normalised ? normalise : decode)(view, text, len);
}

/* Reads what waits as the beginning of an entity or escape again, now that there is more of it.
 */
static void read_entity(struct view *view)
{
    char text[sizeof(view->entity)];
    size_t len = view->entity_len;
    memcpy(text, view->entity, len);
    view->entity_len = 0;
    read_text(view, text, len);
}

static size_t character_len(const char *text, size_t len)
{
    size_t n = 1;
    while (n < len && ((unsigned char)text[n] & 0xC0u) == 0x80u) {
        n++;
    }
    return n;
}

static int status(const struct view *view)
{
    return view_join_has_failed(&view->join) ? -1 : 0;
}

int view_feed(struct view *view, const char *text, size_t len)
{
    view->read += len;
    while (view->entity_len > 0 && len > 0) {
        size_t n = character_len(text, len);
        memcpy(view->entity + view->entity_len, text, n);
        view->entity_len += n;
        text += n;
        len -= n;
        read_entity(view);
    }
    read_text(view, text, len);
    return status(view);
}

int view_finish(struct view *view)
{
    view->has_ended = true;
    read_entity(view);
    close_unit(view);
    view_join_end(&view->join);
    return status(view);
}

/* ---- what is shown ---- */

const char *view_text(const struct view *view)
{
    return view->join.shown.data ? view->join.shown.data + view->head : "";
}

uint64_t view_end(const struct view *view)
{
    return view->start + (view->join.shown.len - view->head);
}

void view_drop(struct view *view, uint64_t at)
{
    view->head += (size_t)(at - view->start);
    view->start = at;
}

void view_compact(struct view *view)
{
    buf_consume(&view->join.shown, view->head);
    view->head = 0;
    if (view->start > view->history) {
        view_map_forget(&view->join.map, view->start - view->history);
    }
}

uint64_t view_floor(const struct view *view, uint64_t at)
{
    return view_map_floor(&view->join.map, at);
}

uint64_t view_ceil(const struct view *view, uint64_t at)
{
    return view_map_ceil(&view->join.map, at);
}

uint64_t view_before(const struct view *view, uint64_t at)
{
    return view_map_before(&view->join.map, at);
}

uint64_t view_begin(const struct view *view, uint64_t at)
{
    return view_map_begin(&view->join.map, at);
}

int view_normalise(const char *text, size_t len, struct buf *out)
{
    struct view view;
    view_init(&view, true, false, out->max, 0);
    int rc = view_feed(&view, text, len) == 0 ? view_finish(&view) : -1;
    if (rc == 0) {
        rc = buf_append(out, view_text(&view), (size_t)(view_end(&view) - view.start));
    }
    view_deinit(&view);
    return rc;
}

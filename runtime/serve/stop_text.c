#include "runtime/serve/stop_text.h"

#include <stdint.h>
#include <string.h>

void stop_text_init(struct stop_text *s, const char *const *stops, size_t n_stops)
{
    *s = (struct stop_text){.stops = stops, .n_stops = n_stops};
    buf_init(&s->held, SIZE_MAX / 2);
}

void stop_text_deinit(struct stop_text *s)
{
    buf_deinit(&s->held);
}

/* Finds the stop string that is complete first, and of several that end there the longest: the
 * one on which feeding single bytes would stop. *begin is where it begins. NULL: none. */
static const char *find_stop(const struct stop_text *s, size_t *begin)
{
    size_t first_end = SIZE_MAX;
    const char *met = NULL;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t stop_len = strlen(s->stops[i]);
        const char *at = memmem(s->held.data, s->held.len, s->stops[i], stop_len);
        size_t from = at ? (size_t)(at - s->held.data) : 0;
        size_t end = from + stop_len;
        if (at && (end < first_end || (end == first_end && from < *begin))) {
            first_end = end;
            *begin = from;
            met = s->stops[i];
        }
    }
    return met;
}

/* Length of the longest end of `held` that is a beginning of some stop string. */
static size_t undecided(const struct stop_text *s)
{
    size_t longest = 0;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t stop_len = strlen(s->stops[i]);
        size_t n = s->held.len < stop_len - 1 ? s->held.len : stop_len - 1;
        for (; n > longest; n--) {
            if (memcmp(s->held.data + s->held.len - n, s->stops[i], n) == 0) {
                longest = n;
            }
        }
    }
    return longest;
}

int stop_text_feed(struct stop_text *s, const char *text, size_t len, struct buf *out)
{
    if (s->stopped) {
        return 0;
    }
    if (s->n_stops == 0) {
        return buf_append(out, text, len);
    }
    if (buf_append(&s->held, text, len) != 0) {
        return -1;
    }
    size_t pass = 0;
    s->met = find_stop(s, &pass);
    s->stopped = s->met != NULL;
    if (!s->stopped) {
        pass = s->held.len - undecided(s);
    }
    if (buf_append(out, s->held.data, pass) != 0) {
        return -1;
    }
    buf_consume(&s->held, pass);
    return 0;
}

int stop_text_finish(struct stop_text *s, struct buf *out)
{
    if (s->stopped) {
        return 0;
    }
    int rc = s->held.len > 0 ? buf_append(out, s->held.data, s->held.len) : 0;
    buf_clear(&s->held);
    return rc;
}

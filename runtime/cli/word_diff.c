#include "runtime/cli/word_diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "runtime/base/mem.h"

struct word {
    const char *text;
    size_t len;
    size_t gap; /* bytes of white space before it */
};

struct words {
    struct word *items; /* (n) */
    size_t n;
    const char *tail; /* white space behind the last one */
    size_t tail_len;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word at or behind *at, which is then behind it. */
static bool next_word(const char *text, size_t len, size_t *at, struct word *out)
{
    size_t from = *at, to;
    while (*at < len && is_space(text[*at])) {
        ++*at;
    }
    for (to = *at; to < len && !is_space(text[to]); to++) {
    }
    *out = (struct word){.text = text + *at, .len = to - *at, .gap = *at - from};
    *at = to;
    return out->len > 0;
}

size_t word_count(const char *text, size_t len)
{
    struct word word;
    size_t n = 0;
    for (size_t at = 0; next_word(text, len, &at, &word);) {
        n++;
    }
    return n;
}

static int split(struct words *w, const char *text, size_t len, struct err *e)
{
    w->items = mem_zarray(word_count(text, len) + 1, sizeof(*w->items));
    if (!w->items) {
        return err_nomem(e);
    }
    w->n = 0;
    size_t at = 0;
    while (next_word(text, len, &at, &w->items[w->n])) {
        w->n++;
    }
    w->tail_len = w->items[w->n].gap;
    w->tail = text + len - w->tail_len;
    return 0;
}

static bool is_same(const struct word *a, const struct word *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* --- writing --- */

static void put_word(struct buf *out, const struct word *w, bool with_gap)
{
    if (with_gap) {
        buf_append(out, w->text - w->gap, w->gap);
    }
    buf_append(out, w->text, w->len);
}

/* Words of a that are gone, and words of b that came in their place. The white space before
 * them stays outside of the marks. */
static void put_change(struct buf *out, const struct word *a, size_t n_a, const struct word *b,
                       size_t n_b)
{
    const struct word *first = n_b > 0 ? b : a;
    if (n_a + n_b == 0) {
        return;
    }
    buf_append(out, first->text - first->gap, first->gap);
    for (size_t i = 0; i < n_a; i++) {
        buf_append_str(out, i == 0 ? "[-" : "");
        put_word(out, &a[i], i > 0);
        buf_append_str(out, i == n_a - 1 ? "-]" : "");
    }
    for (size_t i = 0; i < n_b; i++) {
        buf_append_str(out, i == 0 ? "{+" : "");
        put_word(out, &b[i], i > 0);
        buf_append_str(out, i == n_b - 1 ? "+}" : "");
    }
}

/* --- a longest common part --- */

/* Rows are words of a, columns those of b: the length of the longest common part of what
 * follows. */
struct table {
    uint32_t *cells;
    size_t width;
};

static uint32_t *cell(const struct table *t, size_t i, size_t k)
{
    return &t->cells[i * t->width + k];
}

static void fill(const struct table *t, const struct word *a, size_t n_a, const struct word *b,
                 size_t n_b)
{
    for (size_t i = n_a; i-- > 0;) {
        for (size_t k = n_b; k-- > 0;) {
            uint32_t down = *cell(t, i + 1, k), right = *cell(t, i, k + 1);
            *cell(t, i, k) = is_same(&a[i], &b[k]) ? *cell(t, i + 1, k + 1) + 1
                             : down > right        ? down
                                                   : right;
        }
    }
}

static void walk(const struct table *t, const struct word *a, size_t n_a, const struct word *b,
                 size_t n_b, struct buf *out)
{
    size_t i = 0, k = 0, from_a = 0, from_b = 0;
    while (i < n_a && k < n_b) {
        if (is_same(&a[i], &b[k])) {
            put_change(out, a + from_a, i - from_a, b + from_b, k - from_b);
            put_word(out, &b[k], true);
            from_a = ++i;
            from_b = ++k;
        } else if (*cell(t, i + 1, k) >= *cell(t, i, k + 1)) {
            i++;
        } else {
            k++;
        }
    }
    put_change(out, a + from_a, n_a - from_a, b + from_b, n_b - from_b);
}

static int put_middle(const struct word *a, size_t n_a, const struct word *b, size_t n_b,
                      struct buf *out, struct err *e)
{
    struct table t = {.width = n_b + 1};
    if (n_a == 0 || n_b == 0 || n_a > WORD_DIFF_CELLS_MAX / n_b) {
        put_change(out, a, n_a, b, n_b);
        return 0;
    }
    t.cells = mem_zarray((n_a + 1) * (n_b + 1), sizeof(*t.cells));
    if (!t.cells) {
        return err_nomem(e);
    }
    fill(&t, a, n_a, b, n_b);
    walk(&t, a, n_a, b, n_b, out);
    mem_free(t.cells);
    return 0;
}

static int put_all(const struct words *a, const struct words *b, struct buf *out, struct err *e)
{
    size_t begin = 0, end = 0;
    while (begin < a->n && begin < b->n && is_same(&a->items[begin], &b->items[begin])) {
        put_word(out, &b->items[begin++], true);
    }
    while (end < a->n - begin && end < b->n - begin &&
           is_same(&a->items[a->n - 1 - end], &b->items[b->n - 1 - end])) {
        end++;
    }
    if (put_middle(a->items + begin, a->n - begin - end, b->items + begin, b->n - begin - end,
                   out, e) != 0) {
        return -1;
    }
    for (size_t i = b->n - end; i < b->n; i++) {
        put_word(out, &b->items[i], true);
    }
    return buf_append(out, b->tail, b->tail_len) == 0 ? 0 : err_nomem(e);
}

int word_diff(const char *a, size_t a_len, const char *b, size_t b_len, struct buf *out,
              struct err *e)
{
    struct words of_a = {0}, of_b = {0};
    int rc = split(&of_a, a, a_len, e) == 0 && split(&of_b, b, b_len, e) == 0
                 ? put_all(&of_a, &of_b, out, e)
                 : -1;
    mem_free(of_a.items);
    mem_free(of_b.items);
    return rc;
}

#include "runtime/registry/line_diff.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/base/mem.h"

#define CONTEXT 3

struct line {
    const char *text;
    size_t len; /* with its line break, which the last line may lack */
};

/* The lines of both texts, and of each whether it is in the other one too. */
struct side {
    struct line *lines; /* (n) */
    bool *changed;      /* (n) */
    size_t n;
};

static bool same(const struct line *x, const struct line *y)
{
    return x->len == y->len && memcmp(x->text, y->text, x->len) == 0;
}

static size_t line_length(const char *text)
{
    const char *end = strchr(text, '\n');
    return end ? (size_t)(end - text) + 1 : strlen(text);
}

static int split_lines(const char *text, struct side *s)
{
    size_t n = 0;
    for (const char *at = text; *at; at += line_length(at)) {
        n++;
    }
    s->lines = mem_array(n, sizeof(*s->lines));
    s->changed = mem_zarray(n, sizeof(*s->changed));
    if (!s->lines || !s->changed) {
        return -1;
    }
    for (const char *at = text; *at; at += s->lines[s->n++].len) {
        s->lines[s->n] = (struct line){.text = at, .len = line_length(at)};
    }
    return 0;
}

static void side_deinit(struct side *s)
{
    mem_free(s->lines);
    mem_free(s->changed);
}

/* --- search ---
 *
 * x counts lines of a, y those of b, diagonal k is x - y. After d changes reach[d][k] is the
 * greatest x on diagonal k; -d <= k <= d in steps of two, so row d has d + 1 numbers. */

struct search {
    const struct line *a;
    const struct line *b;
    long n; /* lines of a */
    long m; /* lines of b */
    int *reach;
};

static int *reach_at(const struct search *s, long d, long k)
{
    return &s->reach[d * (d + 1) / 2 + (k + d) / 2];
}

/* Whether the best way to diagonal k with d changes ends by adding a line of b. */
static bool comes_by_adding(const struct search *s, long d, long k)
{
    return k == -d || (k != d && *reach_at(s, d - 1, k - 1) < *reach_at(s, d - 1, k + 1));
}

/* The way's x before lines that are the same are passed. */
static long step(const struct search *s, long d, long k)
{
    if (d == 0) {
        return 0;
    }
    return comes_by_adding(s, d, k) ? *reach_at(s, d - 1, k + 1)
                                    : *reach_at(s, d - 1, k - 1) + 1;
}

/* The least number of changes, or -1 when it is more than LINE_DIFF_CHANGES_MAX. */
static long find_changes(const struct search *s)
{
    for (long d = 0; d <= LINE_DIFF_CHANGES_MAX; d++) {
        for (long k = -d; k <= d; k += 2) {
            long x = step(s, d, k);
            while (x < s->n && x - k < s->m && same(&s->a[x], &s->b[x - k])) {
                x++;
            }
            *reach_at(s, d, k) = (int)x;
            if (x >= s->n && x - k >= s->m) {
                return d;
            }
        }
    }
    return -1;
}

static void mark_changes(const struct search *s, long d, bool *a_changed, bool *b_changed)
{
    for (long k = s->n - s->m; d > 0; d--) {
        long x = step(s, d, k);
        if (comes_by_adding(s, d, k)) {
            b_changed[x - k - 1] = true;
            k++;
        } else {
            a_changed[x - 1] = true;
            k--;
        }
    }
}

static int compare(struct side *a, struct side *b)
{
    size_t head = 0;
    size_t tail = 0;
    while (head < a->n && head < b->n && same(&a->lines[head], &b->lines[head])) {
        head++;
    }
    while (tail < a->n - head && tail < b->n - head &&
           same(&a->lines[a->n - 1 - tail], &b->lines[b->n - 1 - tail])) {
        tail++;
    }
    struct search s = {.a = a->lines + head,
                       .b = b->lines + head,
                       .n = (long)(a->n - head - tail),
                       .m = (long)(b->n - head - tail)};
    size_t rows = LINE_DIFF_CHANGES_MAX + 1;
    s.reach = mem_array(rows * (rows + 1) / 2, sizeof(*s.reach));
    if (!s.reach) {
        return -1;
    }
    long d = find_changes(&s);
    if (d >= 0) {
        mark_changes(&s, d, a->changed + head, b->changed + head);
    } else {
        memset(a->changed + head, true, (size_t)s.n);
        memset(b->changed + head, true, (size_t)s.m);
    }
    mem_free(s.reach);
    return 0;
}

/* --- output --- */

static void write_line(struct buf *out, char mark, const struct line *l)
{
    buf_append_char(out, mark);
    buf_append(out, l->text, l->len);
    if (l->len == 0 || l->text[l->len - 1] != '\n') {
        buf_append_str(out, "\n\\ No newline at end of file\n");
    }
}

/* From (i, j), at or before a change: behind the last change that belongs to the same hunk,
 * and its context. */
static void find_hunk_end(const struct side *a, const struct side *b, size_t *i, size_t *j)
{
    size_t unchanged = 0;
    while (*i < a->n || *j < b->n) {
        if (*i < a->n && a->changed[*i]) {
            ++*i;
            unchanged = 0;
        } else if (*j < b->n && b->changed[*j]) {
            ++*j;
            unchanged = 0;
        } else if (unchanged == 2 * CONTEXT) {
            break;
        } else {
            ++*i;
            ++*j;
            unchanged++;
        }
    }
    size_t surplus = unchanged > CONTEXT ? unchanged - CONTEXT : 0;
    *i -= surplus;
    *j -= surplus;
}

/* diff(1): an empty range stands behind the line before it. */
static void write_range(struct buf *out, char mark, size_t begin, size_t end)
{
    size_t count = end - begin;
    buf_printf(out, "%c%zu", mark, count ? begin + 1 : begin);
    if (count != 1) {
        buf_printf(out, ",%zu", count);
    }
}

static void write_hunk(struct buf *out, const struct side *a, const struct side *b,
                       const size_t begin[2], const size_t end[2])
{
    buf_append_str(out, "@@ ");
    write_range(out, '-', begin[0], end[0]);
    buf_append_char(out, ' ');
    write_range(out, '+', begin[1], end[1]);
    buf_append_str(out, " @@\n");
    for (size_t i = begin[0], j = begin[1]; i < end[0] || j < end[1];) {
        if (i < end[0] && a->changed[i]) {
            write_line(out, '-', &a->lines[i++]);
        } else if (j < end[1] && b->changed[j]) {
            write_line(out, '+', &b->lines[j++]);
        } else {
            write_line(out, ' ', &a->lines[i++]);
            j++;
        }
    }
}

static void write_hunks(struct buf *out, const struct side *a, const struct side *b)
{
    size_t i = 0;
    size_t j = 0;
    for (size_t kept = 0;;) {
        while (i < a->n && j < b->n && !a->changed[i] && !b->changed[j]) {
            i++;
            j++;
            kept++;
        }
        if (i == a->n && j == b->n) {
            return;
        }
        size_t context = kept < CONTEXT ? kept : CONTEXT;
        size_t begin[2] = {i - context, j - context};
        find_hunk_end(a, b, &i, &j);
        write_hunk(out, a, b, begin, (size_t[2]){i, j});
        kept = 0;
    }
}

int line_diff(const char *a_text, const char *b_text, struct buf *out, struct err *e)
{
    struct side a = {0};
    struct side b = {0};
    int rc =
        split_lines(a_text, &a) == 0 && split_lines(b_text, &b) == 0 ? compare(&a, &b) : -1;
    if (rc == 0) {
        write_hunks(out, &a, &b);
        rc = out->failed ? -1 : 0;
    }
    side_deinit(&a);
    side_deinit(&b);
    return rc == 0 ? 0 : err_nomem(e);
}

int line_diff_versions(const char *a, const struct line_diff_name *a_name, const char *b,
                       const struct line_diff_name *b_name, struct buf *out, struct err *e)
{
    size_t before = out->len;
    buf_printf(out, "--- %s@%" PRIu64 "\n", a_name->name, a_name->version);
    buf_printf(out, "+++ %s@%" PRIu64 "\n", b_name->name, b_name->version);
    size_t head = out->len;
    if (out->failed) {
        return err_nomem(e);
    }
    int rc = line_diff(a, b, out, e);
    if (rc == 0 && out->len == head) {
        out->len = before;
        out->data[before] = '\0';
    }
    return rc;
}

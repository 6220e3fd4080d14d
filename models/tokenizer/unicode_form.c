#include "models/tokenizer/unicode_form.h"

#include <string.h>
#include <utf8proc.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_PARTS   32 /* of one code point; Unicode has at most 18 */
#define FEW         32 /* marks that are sorted one by one */
#define FIRST_MARK  0x300
#define BYTE_OF_IT  0xcc /* with which FIRST_MARK and what is above begin at least */
#define N_IN_TABLE  0x10000
#define TABLE_BYTES (N_IN_TABLE / 8)
#define BLOCK       64 /* bytes that are looked at together */
#define N_CLASSES   256
#define COMPOSITION (UTF8PROC_COMPOSE | UTF8PROC_STABLE)

/* A character in parts, and all marks behind it. */
struct cluster {
    const struct unicode_form *form;
    int32_t *points; /* (count) code points */
    int32_t *sorted; /* (cap) */
    size_t count, cap;
    struct buf *out;
};

static bool composes(const struct unicode_form *f)
{
    return f->kind == UNICODE_NFC || f->kind == UNICODE_NFKC;
}

/* The code points that one becomes when it is taken apart; how many. */
static size_t take_apart(const struct unicode_form *f, uint32_t code_point,
                         int32_t parts[MAX_PARTS])
{
    const bool compatibility = f->kind == UNICODE_NFKC || f->kind == UNICODE_NFKD;
    const int how = UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
    int ignored = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char((int32_t)code_point, parts, MAX_PARTS,
                                                       (utf8proc_option_t)how, &ignored);
    if (n >= 1 && n <= MAX_PARTS) {
        return (size_t)n;
    }
    parts[0] = (int32_t)code_point;
    return 1;
}

/* Of code points that are taken apart and in order; how many are left. */
static size_t compose(int32_t *points, size_t count)
{
    const utf8proc_ssize_t n =
        utf8proc_normalize_utf32(points, (utf8proc_ssize_t)count, COMPOSITION);
    return n > 0 ? (size_t)n : count;
}

/* --- clusters --- */

static uint8_t combining_class(int32_t point)
{
    return (uint8_t)utf8proc_get_property(point)->combining_class;
}

/* Letters that join with what stands before them: vowels and final consonants of Hangul, vowels
 * of Kirat Rai. */
static bool is_joining_letter(int32_t point)
{
    return (point >= 0x1161 && point <= 0x1175) || (point >= 0x11a8 && point <= 0x11c2) ||
           (point >= 0x16d40 && point <= 0x16d7f);
}

/* Whether nothing before a code point, itself in parts already, can join with it or change
 * places with it. All others that can are marks. (utf8proc 2.8 would join U+11A7 too, which
 * stands alone here.) */
static bool begins_cluster(int32_t point)
{
    if (point < FIRST_MARK) {
        return true;
    }
    utf8proc_category_t kind = utf8proc_category(point);
    return kind != UTF8PROC_CATEGORY_MN && kind != UTF8PROC_CATEGORY_MC &&
           kind != UTF8PROC_CATEGORY_ME && !is_joining_letter(point);
}

/* Stable, by class, for many: one pass to count and one to place. */
static void sort_many(int32_t *points, size_t n, int32_t *sorted)
{
    size_t begin[N_CLASSES + 1] = {0};
    for (size_t i = 0; i < n; i++) {
        begin[combining_class(points[i]) + 1]++;
    }
    for (size_t c = 0; c < N_CLASSES; c++) {
        begin[c + 1] += begin[c];
    }
    for (size_t i = 0; i < n; i++) {
        sorted[begin[combining_class(points[i])]++] = points[i];
    }
    memcpy(points, sorted, n * sizeof(*points));
}

static void sort_few(int32_t *points, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const int32_t point = points[i];
        size_t at = i;
        for (; at > 0 && combining_class(points[at - 1]) > combining_class(point); at--) {
            points[at] = points[at - 1];
        }
        points[at] = point;
    }
}

/* Canonical Ordering Algorithm: each run of marks with a class is in the order of classes. */
static void sort_marks(struct cluster *c)
{
    for (size_t at = 0; at < c->count;) {
        size_t end = at;
        while (end < c->count && combining_class(c->points[end]) != 0) {
            end++;
        }
        if (end - at > FEW) {
            sort_many(c->points + at, end - at, c->sorted);
        } else {
            sort_few(c->points + at, end - at);
        }
        at = end + 1;
    }
}

/* Writes what is held; the cluster is empty then. */
static int flush(struct cluster *c)
{
    size_t count = c->count;
    if (count > 1) {
        sort_marks(c);
        count = composes(c->form) ? compose(c->points, count) : count;
    }
    for (size_t i = 0; i < count; i++) {
        char bytes[4];
        buf_append(c->out, bytes, (size_t)utf8_encode((uint32_t)c->points[i], bytes));
    }
    c->count = 0;
    return c->out->failed ? -1 : 0;
}

static int reserve(struct cluster *c, size_t more)
{
    if (c->cap - c->count >= more) {
        return 0;
    }
    if (c->cap > SIZE_MAX / 4) {
        return -1;
    }
    const size_t cap = c->cap ? 2 * c->cap : 2 * (size_t)MAX_PARTS;
    int32_t *points = mem_realloc_array(c->points, cap, sizeof(*points));
    if (!points) {
        return -1;
    }
    c->points = points;
    int32_t *sorted = mem_realloc_array(c->sorted, cap, sizeof(*sorted));
    if (!sorted) {
        return -1;
    }
    c->sorted = sorted;
    c->cap = cap;
    return 0;
}

static int take(struct cluster *c, uint32_t code_point)
{
    int32_t parts[MAX_PARTS];
    const size_t n = take_apart(c->form, code_point, parts);
    for (size_t i = 0; i < n; i++) {
        if (begins_cluster(parts[i]) && flush(c) != 0) {
            return -1;
        }
        if (reserve(c, 1) != 0) {
            return -1;
        }
        c->points[c->count++] = parts[i];
    }
    return 0;
}

/* --- what stays as it is --- */

static bool table_has(const unsigned char *table, uint32_t c)
{
    return c < N_IN_TABLE && table[c / 8] >> c % 8 & 1;
}

static void table_add(unsigned char *table, uint32_t c)
{
    table[c / 8] |= (unsigned char)(1U << c % 8);
}

/* All code points that can be joined with one before them: those that stand in some other's
 * parts, but for the first. */
static void find_joining(unsigned char joining[TABLE_BYTES])
{
    static const struct unicode_form canonical = {.kind = UNICODE_NFD};
    int32_t parts[MAX_PARTS];
    memset(joining, 0, TABLE_BYTES);
    for (uint32_t c = 0; c < N_IN_TABLE; c++) {
        const size_t n = take_apart(&canonical, c, parts);
        for (size_t i = 1; i < n; i++) {
            if (parts[i] < N_IN_TABLE) {
                table_add(joining, (uint32_t)parts[i]);
            }
        }
    }
}

/* Whether a code point is in the form by itself. */
static bool is_formed(const struct unicode_form *f, uint32_t code_point)
{
    int32_t parts[MAX_PARTS];
    size_t n = take_apart(f, code_point, parts);
    n = n > 1 && composes(f) ? compose(parts, n) : n;
    return n == 1 && parts[0] == (int32_t)code_point;
}

int unicode_form_init(struct unicode_form *f, enum unicode_form_kind kind)
{
    unsigned char joining[TABLE_BYTES];
    *f = (struct unicode_form){.kind = kind, .alone = mem_zalloc(TABLE_BYTES)};
    if (!f->alone) {
        return -1;
    }
    find_joining(joining);
    for (uint32_t c = 0; c < N_IN_TABLE; c++) {
        if (combining_class((int32_t)c) == 0 && !table_has(joining, c) && is_formed(f, c)) {
            table_add(f->alone, c);
        }
    }
    return 0;
}

void unicode_form_deinit(struct unicode_form *f)
{
    mem_free(f->alone);
    f->alone = NULL;
}

static bool has_byte_from(const char *text, size_t len, unsigned char least)
{
    unsigned found = 0;
    for (size_t i = 0; i < len; i++) {
        found |= (unsigned char)text[i] >= least;
    }
    return found != 0;
}

/* The least byte of characters that a form may change: those from U+0300 on, or for other forms
 * than NFC all that are not of ASCII. */
static unsigned char least_byte(const struct unicode_form *f)
{
    return f->kind == UNICODE_NFC ? BYTE_OF_IT : 0x80;
}

/* How many bytes from the beginning on are less. */
static size_t plain_length(const char *text, size_t len, unsigned char least)
{
    size_t n = 0;
    while (len - n >= BLOCK && !has_byte_from(text + n, BLOCK, least)) {
        n += BLOCK;
    }
    while (n < len && (unsigned char)text[n] < least) {
        n++;
    }
    return n;
}

/* The bytes of the last character of a plain text. */
static size_t last_length(const char *text, size_t len)
{
    return len > 1 && (unsigned char)text[len - 2] >= 0xc0 ? 2 : 1;
}

/* How many bytes from the beginning on stay as they are: those of characters that stand alone,
 * but for a last one that something may join. */
static size_t kept_length(const struct unicode_form *f, const char *text, size_t len)
{
    const unsigned char least = least_byte(f);
    size_t at = 0, last = 0; /* bytes; and of the character before */
    while (at < len) {
        uint32_t c;
        if ((unsigned char)text[at] < least) {
            const size_t plain = plain_length(text + at, len - at, least);
            last = last_length(text + at, plain);
            at += plain;
            continue;
        }
        const int size = utf8_decode(text + at, len - at, &c);
        if (size <= 0 || !table_has(f->alone, c)) {
            return at - last;
        }
        last = (size_t)size;
        at += last;
    }
    return len;
}

bool unicode_form_keeps(const struct unicode_form *f, const char *text, size_t len)
{
    return kept_length(f, text, len) == len;
}

/* --- the text --- */

/* One character, or one byte that belongs to none; its length. 0 on failure. */
static size_t take_one(struct cluster *c, const char *text, size_t len)
{
    uint32_t code_point;
    const int size = utf8_decode(text, len, &code_point);
    if (size > 0) {
        return take(c, code_point) == 0 ? (size_t)size : 0;
    }
    return flush(c) == 0 && buf_append(c->out, text, 1) == 0 ? 1 : 0;
}

int unicode_form_apply(const struct unicode_form *f, const char *text, size_t len,
                       struct buf *out)
{
    struct cluster c = {.form = f, .out = out};
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0;) {
        const size_t kept = kept_length(f, text + at, len - at);
        if (kept > 0 && flush(&c) == 0) {
            buf_append(out, text + at, kept);
        }
        at += kept;
        const size_t n = at < len ? take_one(&c, text + at, len - at) : 0;
        rc = out->failed || (at < len && n == 0) ? -1 : 0;
        at += n;
    }
    rc = rc == 0 ? flush(&c) : rc;
    mem_free(c.points);
    mem_free(c.sorted);
    return rc;
}

#include "models/template/jinja_string.h"

#include <string.h>

#include "models/template/jinja_run.h"
#include "runtime/base/utf8.h"

bool jinja_string_equal(const struct jinja_string *a, const struct jinja_string *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

bool jinja_string_is(const struct jinja_string *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}

bool jinja_string_trusted_at(const struct jinja_string *s, size_t i)
{
    return s->trust ? s->trust[i] != 0 : s->trusted;
}

bool jinja_string_starts_with(const struct jinja_string *s, const struct jinja_string *prefix)
{
    return s->len >= prefix->len && memcmp(s->data, prefix->data, prefix->len) == 0;
}

bool jinja_string_ends_with(const struct jinja_string *s, const struct jinja_string *suffix)
{
    return s->len >= suffix->len &&
           memcmp(s->data + s->len - suffix->len, suffix->data, suffix->len) == 0;
}

size_t jinja_string_find(const struct jinja_string *s, size_t from,
                         const struct jinja_string *needle)
{
    if (from > s->len || needle->len > s->len - from) {
        return SIZE_MAX;
    }
    /* glibc's memmem is the two-way algorithm: linear whatever the needle. */
    const char *at = memmem(s->data + from, s->len - from, needle->data, needle->len);
    return at ? (size_t)(at - s->data) : SIZE_MAX;
}

struct jinja_string jinja_string_slice(const struct jinja_string *s, size_t from, size_t to)
{
    struct jinja_string part = *s;
    part.data += from;
    if (part.trust) {
        part.trust += from;
    }
    part.len = to - from;
    return part;
}

size_t jinja_char_len(const char *data, size_t len)
{
    uint32_t code_point;
    int n = utf8_decode(data, len, &code_point);
    return n > 0 ? (size_t)n : 1;
}

size_t jinja_char_len_back(const char *data, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++) {
        if (((unsigned char)data[len - n] & 0xC0u) != 0x80u) {
            return jinja_char_len(data + len - n, n) == n ? n : 1;
        }
    }
    return 1;
}

size_t jinja_char_count(const char *data, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; count++) {
        i += jinja_char_len(data + i, len - i);
    }
    return count;
}

bool jinja_char_is_space(const char *data, size_t n)
{
    uint32_t c;
    if (utf8_decode(data, n, &c) <= 0) {
        return false;
    }
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool stripped(const char *data, size_t n, const struct jinja_string *chars)
{
    if (!chars) {
        return jinja_char_is_space(data, n);
    }
    for (size_t i = 0; i < chars->len;) {
        size_t m = jinja_char_len(chars->data + i, chars->len - i);
        if (m == n && memcmp(chars->data + i, data, n) == 0) {
            return true;
        }
        i += m;
    }
    return false;
}

struct jinja_string jinja_string_strip(const struct jinja_string *s,
                                       const struct jinja_string *chars, enum jinja_side sides)
{
    size_t from = 0;
    size_t to = s->len;
    while ((sides & JINJA_LEFT) && from < to) {
        size_t n = jinja_char_len(s->data + from, to - from);
        if (!stripped(s->data + from, n, chars)) {
            break;
        }
        from += n;
    }
    while ((sides & JINJA_RIGHT) && from < to) {
        size_t n = jinja_char_len_back(s->data + from, to - from);
        if (!stripped(s->data + to - n, n, chars)) {
            break;
        }
        to -= n;
    }
    return jinja_string_slice(s, from, to);
}

int jinja_string_value(struct jinja_run *run, struct jinja_string s, struct jinja_value *out)
{
    struct jinja_string *boxed = jinja_alloc(run, 1, sizeof(*boxed));
    if (!boxed) {
        return -1;
    }
    *boxed = s;
    *out = (struct jinja_value){.type = JINJA_STRING, .string = boxed};
    return 0;
}

void jinja_builder_init(struct jinja_builder *b, struct jinja_run *run)
{
    *b = (struct jinja_builder){.run = run};
}

/* Room for n more bytes. Memory given up by growing stays in the arena: at most as much again.
 */
static int builder_reserve(struct jinja_builder *b, size_t n)
{
    if (n > b->run->max_string || b->len > b->run->max_string - n) {
        return jinja_fail(b->run, ERR_LIMIT, "a text longer than %zu KiB",
                          b->run->max_string / 1024);
    }
    if (b->len + n <= b->cap) {
        return 0;
    }
    size_t cap = b->cap ? b->cap * 2 : 64;
    if (cap < b->len + n) {
        cap = b->len + n;
    }
    char *data = jinja_alloc(b->run, cap, 1);
    unsigned char *trust = NULL;
    if (!data || (b->trust && !(trust = jinja_alloc(b->run, cap, 1)))) {
        return -1;
    }
    if (b->len > 0) {
        memcpy(data, b->data, b->len);
    }
    if (b->trust) {
        memcpy(trust, b->trust, b->len);
    }
    b->data = data;
    b->trust = trust;
    b->cap = cap;
    return 0;
}

/* From here on each byte has a mark of its own. */
static int builder_mark_each(struct jinja_builder *b)
{
    if (b->trust) {
        return 0;
    }
    b->trust = jinja_alloc(b->run, b->cap, 1);
    if (!b->trust) {
        return -1;
    }
    memset(b->trust, b->trusted, b->len);
    return 0;
}

int jinja_builder_append(struct jinja_builder *b, const struct jinja_string *s)
{
    if (s->len == 0) {
        return 0;
    }
    if (builder_reserve(b, s->len) != 0) {
        return -1;
    }
    if (b->len == 0) {
        b->trusted = s->trusted;
    }
    if ((s->trust || s->trusted != b->trusted) && builder_mark_each(b) != 0) {
        return -1;
    }
    memcpy(b->data + b->len, s->data, s->len);
    if (b->trust && s->trust) {
        memcpy(b->trust + b->len, s->trust, s->len);
    } else if (b->trust) {
        memset(b->trust + b->len, s->trusted, s->len);
    }
    b->len += s->len;
    return 0;
}

int jinja_builder_bytes(struct jinja_builder *b, const char *data, size_t len)
{
    return jinja_builder_append(b, &(struct jinja_string){.data = data, .len = len});
}

int jinja_builder_text(struct jinja_builder *b, const char *text)
{
    return jinja_builder_bytes(b, text, strlen(text));
}

int jinja_builder_fill(struct jinja_builder *b, char c, size_t count)
{
    if (builder_reserve(b, count) != 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (jinja_builder_bytes(b, &c, 1) != 0) {
            return -1;
        }
    }
    return 0;
}

struct jinja_string jinja_builder_string(const struct jinja_builder *b)
{
    return (struct jinja_string){b->data ? b->data : "", b->trust, b->len, b->trusted};
}

int jinja_builder_value(const struct jinja_builder *b, struct jinja_value *out)
{
    return jinja_string_value(b->run, jinja_builder_string(b), out);
}

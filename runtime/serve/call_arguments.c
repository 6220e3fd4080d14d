#include "runtime/serve/call_arguments.h"

#include <string.h>

/* Of a string, as much is decoded at a time. */
#define VALUE_BYTES 512

struct value {
    char text[VALUE_BYTES + 2 * JSON_CHARS_MAX]; /* and what one more character is */
    size_t len;
};

/* Appends the inside of a JSON string (RFC 8259, section 7). */
static int append_escaped(struct buf *out, const char *text, size_t len)
{
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    for (size_t i = 0; i < len; i++) {
        const char *name = text[i] ? strchr(named, text[i]) : NULL;
        if (name) {
            buf_append_char(out, '\\');
            buf_append_char(out, letters[name - named]);
        } else if ((unsigned char)text[i] < 0x20) {
            buf_printf(out, "\\u%04x", (unsigned)(unsigned char)text[i]);
        } else {
            buf_append_char(out, text[i]);
        }
    }
    return out->failed ? -1 : 0;
}

void call_arguments_writer_init(struct call_arguments_writer *w)
{
    w->in_number = false;
    buf_init(&w->number, SIZE_MAX / 2);
    buf_init(&w->filtered, SIZE_MAX / 2);
}

void call_arguments_writer_deinit(struct call_arguments_writer *w)
{
    buf_deinit(&w->number);
    buf_deinit(&w->filtered);
}

int call_arguments_emit(struct call_arguments_writer *w, struct buf *out, const char *text,
                        size_t len)
{
    return w->in_number ? buf_append(&w->filtered, text, len) : append_escaped(out, text, len);
}

/* A number stays one if no filter has touched it. */
static int write_number(struct call_arguments_writer *w, struct buf *out)
{
    bool is_same = w->number.len == w->filtered.len &&
                   memcmp(w->number.data, w->filtered.data, w->number.len) == 0;
    if (is_same) {
        buf_append(out, w->number.data, w->number.len);
    } else {
        buf_append_char(out, '"');
        append_escaped(out, w->filtered.data, w->filtered.len);
        buf_append_char(out, '"');
    }
    w->in_number = false;
    buf_clear(&w->number);
    buf_clear(&w->filtered);
    return out->failed ? -1 : 0;
}

int call_arguments_around(struct call_arguments_writer *w, struct buf *out, uint64_t tag,
                          const char *bytes, size_t len)
{
    switch (tag) {
    case CALL_ARGUMENTS_NUMBER_PART:
        w->in_number = true;
        return buf_append(&w->number, bytes, len);
    case CALL_ARGUMENTS_NUMBER_END:
        return write_number(w, out);
    default:
        return buf_append(out, bytes, len);
    }
}

/* --- the way in --- */

static int filter_value(struct value *v, struct chain_stream *filters,
                        const struct chain_sink *sink, struct err *e)
{
    size_t len = v->len;
    v->len = 0;
    return len > 0 ? chain_feed(filters, FILTER_TOOL_ARGS, v->text, len, sink, e)
                   : CHAIN_GOES_ON;
}

/* A byte within quotes. The value is cut only where a character begins. */
static int take_inner(struct call_arguments *c, char byte, struct value *v,
                      struct chain_stream *filters, const struct chain_sink *sink,
                      struct err *e)
{
    int rc = CHAIN_GOES_ON;
    if (v->len >= VALUE_BYTES && ((unsigned char)byte & 0xC0) != 0x80) {
        rc = filter_value(v, filters, sink, e);
    }
    int n = json_chars_feed(&c->chars, byte, v->text + v->len);
    if (n < 0) {
        return err_set(e, ERR_FORMAT, "arguments of a call are no JSON");
    }
    v->len += (size_t)n;
    return rc;
}

static int end_string(struct call_arguments *c, struct value *v, struct chain_stream *filters,
                      const struct chain_sink *sink, struct err *e)
{
    int n = json_chars_end(&c->chars, v->text + v->len);
    if (n < 0) {
        return err_set(e, ERR_FORMAT, "arguments of a call are no JSON");
    }
    v->len += (size_t)n;
    int rc = filter_value(v, filters, sink, e);
    return rc == CHAIN_GOES_ON ? chain_end_text(filters, FILTER_TOOL_ARGS, sink, e) : rc;
}

static bool is_number_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || byte == '-' || byte == '+' || byte == '.' ||
           byte == 'e' || byte == 'E';
}

static size_t number_length(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && is_number_byte(text[n])) {
        n++;
    }
    return n;
}

static int pass_number(const char *text, size_t len, struct chain_stream *filters,
                       const struct chain_sink *sink, struct err *e)
{
    int rc = chain_around(filters, CALL_ARGUMENTS_NUMBER_PART, text, len, sink, e);
    return rc == CHAIN_GOES_ON ? chain_feed(filters, FILTER_TOOL_ARGS, text, len, sink, e) : rc;
}

static int end_number(struct call_arguments *c, struct chain_stream *filters,
                      const struct chain_sink *sink, struct err *e)
{
    c->in_number = false;
    int rc = chain_end_text(filters, FILTER_TOOL_ARGS, sink, e);
    return rc == CHAIN_GOES_ON
               ? chain_around(filters, CALL_ARGUMENTS_NUMBER_END, "", 0, sink, e)
               : rc;
}

/* The first byte of a number, which is the only place outside of strings and words that has
 * one; `len` when there is none. */
static size_t find_number(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] != '-' && !(text[n] >= '0' && text[n] <= '9')) {
        n++;
    }
    return n;
}

/* What stands between strings, quotes included: JSON that goes around the filters, and numbers,
 * which go through them. */
static int pass_json(struct call_arguments *c, const char *text, size_t len,
                     struct chain_stream *filters, const struct chain_sink *sink, struct err *e)
{
    int rc = CHAIN_GOES_ON;
    while (len > 0 && rc == CHAIN_GOES_ON) {
        size_t n = c->in_number ? number_length(text, len) : find_number(text, len);
        if (n > 0 && c->in_number) {
            rc = pass_number(text, n, filters, sink, e);
        } else if (n > 0) {
            rc = chain_around(filters, CALL_ARGUMENTS_JSON, text, n, sink, e);
        }
        text += n;
        len -= n;
        if (len > 0 && rc == CHAIN_GOES_ON && c->in_number) {
            rc = end_number(c, filters, sink, e);
        } else if (len > 0) {
            c->in_number = true;
        }
    }
    return rc;
}

int call_arguments_feed(struct call_arguments *c, const char *text, size_t len,
                        struct chain_stream *filters, const struct chain_sink *sink,
                        struct err *e)
{
    struct value v = {.len = 0};
    size_t between = 0; /* where the JSON between strings begins */
    int rc = CHAIN_GOES_ON;
    for (size_t i = 0; i < len && rc == CHAIN_GOES_ON; i++) {
        if (json_scan_feed(&c->scan, text[i]) == JSON_SCAN_BAD) {
            return err_set(e, ERR_FORMAT, "arguments of a call are no JSON");
        }
        bool in_string = json_scan_in_string(&c->scan);
        if (c->in_string && in_string) {
            rc = take_inner(c, text[i], &v, filters, sink, e);
        } else if (c->in_string) {
            rc = end_string(c, &v, filters, sink, e);
            between = i;
        } else if (in_string) {
            rc = pass_json(c, text + between, i + 1 - between, filters, sink, e);
            c->chars = (struct json_chars){.lenient = true};
        }
        c->in_string = in_string;
    }
    if (rc != CHAIN_GOES_ON) {
        return rc;
    }
    return c->in_string ? filter_value(&v, filters, sink, e)
                        : pass_json(c, text + between, len - between, filters, sink, e);
}

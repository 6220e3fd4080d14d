#include "runtime/serve/call_arguments.h"

#include <string.h>

/* Of a string, as much is decoded at a time. */
#define VALUE_BYTES 512

struct value {
    char text[VALUE_BYTES + 2 * JSON_CHARS_MAX]; /* and what one more character is */
    size_t len;
};

int call_arguments_escape(struct buf *out, const char *text, size_t len)
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

/* What stands between strings, quotes included. */
static int pass_json(const char *text, size_t len, struct chain_stream *filters,
                     const struct chain_sink *sink, struct err *e)
{
    return len > 0 ? chain_around(filters, CALL_ARGUMENTS_JSON, text, len, sink, e)
                   : CHAIN_GOES_ON;
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
            rc = pass_json(text + between, i + 1 - between, filters, sink, e);
            c->chars = (struct json_chars){.lenient = true};
        }
        c->in_string = in_string;
    }
    if (rc != CHAIN_GOES_ON) {
        return rc;
    }
    return c->in_string ? filter_value(&v, filters, sink, e)
                        : pass_json(text + between, len - between, filters, sink, e);
}

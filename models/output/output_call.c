#include "models/output/output_call.h"

#include <string.h>

void output_call_init(struct output_call *c, size_t max_bytes)
{
    *c = (struct output_call){0};
    buf_init(&c->arguments, max_bytes);
}

void output_call_deinit(struct output_call *c)
{
    buf_deinit(&c->arguments);
}

void output_call_reset(struct output_call *c, bool strict)
{
    struct buf arguments = c->arguments;

    buf_clear(&arguments);
    *c = (struct output_call){.strict = strict, .arguments = arguments};
}

static enum call_step keep(struct output_call *c, const char *bytes, size_t n)
{
    return buf_append(&c->arguments, bytes, n) == 0 ? CALL_MORE : CALL_FULL;
}

static bool key_is(const struct output_call *c, const char *key)
{
    return c->key_len == strlen(key) && memcmp(c->key, key, c->key_len) == 0;
}

static bool is_arguments(const struct output_call *c)
{
    return key_is(c, "arguments") || key_is(c, "parameters");
}

/* A member that is neither name nor arguments, where only a call's may be. */
static enum call_step begin_strict(struct output_call *c, char byte)
{
    if (!key_is(c, "type") || byte != '"') {
        return CALL_BAD;
    }
    c->member = MEMBER_TYPE;
    c->rest = "function";
    return CALL_MORE;
}

/* The first byte of a member's value. Of a name or arguments that are there twice the first
 * count. */
static enum call_step begin_member(struct output_call *c, char byte)
{
    c->chars = (struct json_chars){0};
    c->member = MEMBER_OTHER;
    if (key_is(c, "name")) {
        if (byte != '"') {
            return CALL_BAD;
        }
        c->member = c->has_name ? MEMBER_OTHER : MEMBER_NAME;
        return CALL_MORE;
    }
    if (!is_arguments(c)) {
        return c->strict ? begin_strict(c, byte) : CALL_MORE;
    }
    if (byte != '{' && byte != '"' && byte != 'n') {
        return CALL_BAD;
    }
    if (c->has_arguments || byte == 'n') {
        return CALL_MORE;
    }
    if (byte == '"') {
        c->member = MEMBER_TEXT;
        return CALL_MORE;
    }
    c->member = MEMBER_OBJECT;
    c->has_arguments = true;
    return keep(c, &byte, 1);
}

/* A byte of a string: of the name, or of arguments within a string. */
static enum call_step take_char(struct output_call *c, char byte)
{
    char out[JSON_CHARS_MAX];
    const int n = json_chars_feed(&c->chars, byte, out);

    if (n < 0) {
        return CALL_BAD;
    }
    for (int i = 0; i < n; i++) {
        if (c->member == MEMBER_NAME) {
            if (c->name_len == OUTPUT_NAME_MAX) {
                return CALL_BAD;
            }
            c->name[c->name_len++] = out[i];
            continue;
        }
        if (json_is_space(out[i]) && c->inner.depth == 0) {
            continue; /* around the object */
        }
        if ((!c->has_arguments && out[i] != '{') ||
            json_scan_feed(&c->inner, out[i]) == JSON_SCAN_BAD) {
            return CALL_BAD;
        }
        c->has_arguments = true;
        if (keep(c, &out[i], 1) != CALL_MORE) {
            return CALL_FULL;
        }
    }
    return CALL_MORE;
}

static enum call_step end_string(struct output_call *c)
{
    const enum call_member member = c->member;

    c->member = MEMBER_NONE;
    if (!json_chars_whole(&c->chars)) {
        return CALL_BAD;
    }
    if (member == MEMBER_NAME) {
        c->has_name = true;
        return CALL_MORE;
    }
    /* An empty text is as good as no arguments. */
    return !c->has_arguments || json_scan_done(&c->inner) ? CALL_MORE : CALL_BAD;
}

static enum call_step in_member(struct output_call *c, enum json_scan_event event, char byte)
{
    const bool ended = event == JSON_SCAN_END && c->scan.depth == 1;

    if (c->member == MEMBER_NAME || c->member == MEMBER_TEXT) {
        return ended ? end_string(c) : take_char(c, byte);
    }
    if (c->member == MEMBER_TYPE && ended) {
        c->member = MEMBER_NONE;
        return *c->rest ? CALL_BAD : CALL_MORE;
    }
    if (c->member == MEMBER_TYPE) {
        return *c->rest && byte == *c->rest++ ? CALL_MORE : CALL_BAD;
    }
    if (c->member == MEMBER_OBJECT) {
        c->member = ended ? MEMBER_NONE : MEMBER_OBJECT;
        return keep(c, &byte, 1);
    }
    return CALL_MORE;
}

/* The object is closed. A tool without parameters may be called without arguments. */
static enum call_step end_object(struct output_call *c)
{
    if (!c->has_name) {
        return CALL_BAD;
    }
    c->has_arguments = true;
    return CALL_DONE;
}

/* A byte between the quotes of a member's name. */
static void take_key(struct output_call *c, char byte)
{
    if (c->key_len < sizeof(c->key)) {
        c->key[c->key_len++] = byte;
    }
}

enum call_step output_call_feed(struct output_call *c, char byte)
{
    const unsigned depth = c->scan.depth;
    const bool in_key = depth == 1 && c->scan.key && json_scan_in_string(&c->scan);
    const enum json_scan_event event = json_scan_feed(&c->scan, byte);

    if (event == JSON_SCAN_BAD) {
        return CALL_BAD;
    }
    if (event == JSON_SCAN_BEGIN && depth == 1) {
        return begin_member(c, byte);
    }
    if (event == JSON_SCAN_END && c->scan.depth == 0) {
        return end_object(c);
    }
    if (in_key && event != JSON_SCAN_KEY) {
        take_key(c, byte);
    } else if (depth == 1 && !in_key && c->scan.key && json_scan_in_string(&c->scan)) {
        c->key_len = 0; /* the quote that opens a name */
        c->member = MEMBER_NONE;
    } else if (c->member > MEMBER_OTHER) {
        return in_member(c, event, byte);
    }
    return CALL_MORE;
}

bool output_call_ready(const struct output_call *c)
{
    return c->has_name && c->has_arguments;
}

#include "models/output/output_parser.h"

#include <string.h>

#include "models/output/output_marker.h"

enum parser_state {
    IN_CONTENT,
    IN_REASONING,
    IN_FRAME,     /* behind a marker, before the first call's object or name */
    IN_OBJECT,    /* in a call's object */
    IN_NAME,      /* OUTPUT_CALLS_NAMED: in the name */
    IN_NAME_MARK, /* in [ARGS] or [CALL_ID] */
    IN_CALL_ID,   /* in the id */
    BEFORE_ARGUMENTS,
    IN_ARGUMENTS, /* of OUTPUT_CALLS_NAMED */
    AFTER_CALL,   /* another call may follow, or the end of the frame */
    IN_FRAME_END,
};

void output_parser_init(struct output_parser *p, const struct output_parser_settings *settings)
{
    *p = (struct output_parser){.settings = *settings, .at_start = true};
    p->state = settings->reasoning_open ? IN_REASONING : IN_CONTENT;
    output_call_init(&p->call, OUTPUT_HELD_MAX);
    buf_init(&p->held, OUTPUT_HELD_MAX);
    buf_init(&p->held_control, OUTPUT_HELD_MAX);
    output_writer_init(&p->out, settings->sink, settings->user, OUTPUT_HELD_MAX);
    p->out.plain = settings->n_tools == 0 && !settings->format->think_open;
    p->out.trim = settings->reasoning_open;
}

void output_parser_deinit(struct output_parser *p)
{
    output_call_deinit(&p->call);
    buf_deinit(&p->held);
    buf_deinit(&p->held_control);
    output_writer_deinit(&p->out);
}

/* One byte of content or reasoning. */
static int put_text(struct output_parser *p, char byte, bool control, struct err *e)
{
    const bool reasoning = p->state == IN_REASONING;

    if (control) {
        return 0;
    }
    const int rc =
        output_writer_char(&p->out, reasoning ? OUTPUT_REASONING : OUTPUT_CONTENT, byte, e);
    if (rc > 0) {
        p->at_start = p->at_start && reasoning;
    }
    return rc < 0 ? -1 : 0;
}

/* --- what is held --- */

static int hold(struct output_parser *p, char byte, bool control)
{
    if (buf_append_char(&p->held, byte) != 0) {
        return -1;
    }
    if (buf_append_char(&p->held_control, (char)control) != 0) {
        p->held.len--;
        return -1;
    }
    return 0;
}

static void drop_held(struct output_parser *p)
{
    buf_clear(&p->held);
    buf_clear(&p->held_control);
}

/* The first n held bytes are text. */
static int release(struct output_parser *p, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (put_text(p, p->held.data[i], p->held_control.data[i] != 0, e) != 0) {
            return -1;
        }
    }
    buf_consume(&p->held, n);
    buf_consume(&p->held_control, n);
    return 0;
}

/* What is held is no call. */
static int give_up(struct output_parser *p, struct err *e)
{
    p->state = IN_CONTENT;
    const int rc = release(p, p->held.len, e);
    drop_held(p);
    return rc;
}

/* --- markers --- */

#define MARKERS_MAX 3

/* What may begin here; n of them. */
static size_t markers(const struct output_parser *p, const char *out[MARKERS_MAX])
{
    const struct output_format *f = p->settings.format;
    size_t n = 0;

    if (p->state == IN_REASONING) {
        out[n++] = f->think_close;
        if (p->out.trim) {
            out[n++] = f->think_open; /* written again though the prompt has it */
        }
        return n;
    }
    if (f->think_open && p->at_start) {
        out[n++] = f->think_open;
    }
    if (p->settings.n_tools == 0) {
        return n;
    }
    if (f->calls == OUTPUT_CALLS_TAGGED) {
        out[n++] = MARKER_TOOL_CALL;
    } else if (f->calls == OUTPUT_CALLS_LIST || f->calls == OUTPUT_CALLS_NAMED) {
        out[n++] = MARKER_TOOL_CALLS;
    } else {
        if (f->calls == OUTPUT_CALLS_BARE) {
            out[n++] = MARKER_PYTHON_TAG;
        }
        if (p->at_start) {
            out[n++] = "{";
        }
    }
    return n;
}

/* The marker that is held entirely, or NULL; *partly: its beginning or another's is held. */
static const char *held_marker(const struct output_parser *p, bool *partly)
{
    const char *all[MARKERS_MAX];
    const size_t n = markers(p, all);

    *partly = false;
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(all[i]);
        if (p->held.len <= len && memcmp(all[i], p->held.data, p->held.len) == 0) {
            if (p->held.len == len) {
                return all[i];
            }
            *partly = true;
        }
    }
    return NULL;
}

static int begin_object(struct output_parser *p, bool strict)
{
    output_call_reset(&p->call, strict);
    p->state = IN_OBJECT;
    return output_call_feed(&p->call, '{') == CALL_MORE ? 0 : -1;
}

static void turn_reasoning(struct output_parser *p, bool on)
{
    drop_held(p);
    buf_clear(&p->out.space);
    p->state = on ? IN_REASONING : IN_CONTENT;
    p->out.trim = true;
}

/* A marker is held entirely. */
static int begin(struct output_parser *p, const char *marker)
{
    const struct output_format *f = p->settings.format;

    if (f->think_open && strcmp(marker, f->think_open) == 0) {
        turn_reasoning(p, true);
        return 0;
    }
    if (p->state == IN_REASONING) {
        turn_reasoning(p, false);
        return 0;
    }
    p->announced = false;
    p->marked = marker[0] != '{';
    if (!p->marked && f->calls == OUTPUT_CALLS_BARE) {
        return begin_object(p, true);
    }
    p->state = IN_FRAME;
    p->rest = f->calls == OUTPUT_CALLS_JSON ? " \"tool_calls\" : [ {"
              : f->calls == OUTPUT_CALLS_TAGGED || f->calls == OUTPUT_CALLS_BARE ? " {"
                                                                                 : NULL;
    return 0;
}

/* A byte of content or reasoning that may be part of a marker. */
static int in_text(struct output_parser *p, char byte, bool control, struct err *e)
{
    if (p->out.plain) {
        return put_text(p, byte, control, e);
    }
    if (hold(p, byte, control) != 0) {
        return err_nomem(e);
    }
    while (p->held.len > 0) {
        bool partly;
        const char *marker = held_marker(p, &partly);
        if (marker) {
            return begin(p, marker) == 0 ? 0 : err_nomem(e);
        }
        if (partly) {
            return 0;
        }
        if (release(p, 1, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- calls --- */

enum frame_step { FRAME_BAD, FRAME_MORE, FRAME_DONE };

/* The next byte of a frame, in which a space stands for any white space or none. */
static enum frame_step frame_feed(const char **rest, char byte)
{
    if (**rest == ' ') {
        if (json_is_space(byte)) {
            return FRAME_MORE;
        }
        ++*rest;
    }
    if (byte != **rest) {
        return FRAME_BAD;
    }
    ++*rest;
    return **rest ? FRAME_MORE : FRAME_DONE;
}

static bool is_tool(const struct output_parser *p)
{
    for (size_t i = 0; i < p->settings.n_tools; i++) {
        const char *name = p->settings.tools[i];
        if (strlen(name) == p->call.name_len &&
            memcmp(name, p->call.name, p->call.name_len) == 0) {
            return true;
        }
    }
    return false;
}

static int announce(struct output_parser *p, struct err *e)
{
    drop_held(p);
    p->announced = true;
    p->at_start = false;
    p->call.name[p->call.name_len] = '\0';
    return output_writer_begin_call(&p->out, p->call.name, e);
}

/* The call is complete. */
static int end_call(struct output_parser *p, enum parser_state next, struct err *e)
{
    drop_held(p);
    p->announced = false;
    p->state = (int)next;
    return output_writer_end_call(&p->out, OUTPUT_CALL_END, e);
}

/* The byte does not go on with what is held: text again. */
static int no_call(struct output_parser *p, char byte, bool control, struct err *e)
{
    p->state = IN_CONTENT;
    if (p->announced) {
        p->announced = false;
        p->cut = true;
        if (output_writer_end_call(&p->out, OUTPUT_CALL_CUT, e) != 0) {
            return -1;
        }
    }
    return give_up(p, e) == 0 ? in_text(p, byte, control, e) : -1;
}

/* Holds the byte while the call is not announced. 1, or 0 when there is too much, so that it is
 * text now and no call, or -1. */
static int hold_call(struct output_parser *p, char byte, bool control, struct err *e)
{
    return p->announced || hold(p, byte, control) == 0 ? 1 : no_call(p, byte, control, e);
}

static const char *frame_end(const struct output_format *f)
{
    return f->calls == OUTPUT_CALLS_TAGGED ? " " MARKER_TOOL_CALL_END
           : f->calls == OUTPUT_CALLS_JSON ? " ] }"
           : f->calls == OUTPUT_CALLS_BARE ? ""
                                           : " ]";
}

/* What the object has given so far. */
static int pass_object(struct output_parser *p, bool done, struct err *e)
{
    struct buf *arguments = &p->call.arguments;

    if (!p->announced && p->call.has_name && !is_tool(p)) {
        return give_up(p, e);
    }
    if (!p->announced && output_call_ready(&p->call)) {
        if (announce(p, e) != 0 ||
            (arguments->len == 0 &&
             output_writer_put(&p->out, OUTPUT_CALL_ARGUMENTS, "{}", 2, e) != 0)) {
            return -1;
        }
    }
    if (p->announced && arguments->len > 0) {
        if (output_writer_put(&p->out, OUTPUT_CALL_ARGUMENTS, arguments->data, arguments->len,
                              e) != 0) {
            return -1;
        }
        buf_clear(arguments);
    }
    return done ? end_call(p, AFTER_CALL, e) : 0;
}

static int in_object(struct output_parser *p, char byte, bool control, struct err *e)
{
    const enum call_step step = output_call_feed(&p->call, byte);

    if (step == CALL_BAD || step == CALL_FULL) {
        return no_call(p, byte, control, e);
    }
    const int held = hold_call(p, byte, control, e);
    return held > 0 ? pass_object(p, step == CALL_DONE, e) : held;
}

static bool is_name_char(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

/* Behind [TOOL_CALLS]: a list of objects, an object, or a name. */
static int in_mistral_frame(struct output_parser *p, char byte, bool control, struct err *e)
{
    const bool space = json_is_space(byte);

    if (!space && byte != '[' && byte != '{' && !is_name_char(byte)) {
        return no_call(p, byte, control, e);
    }
    const int held = hold_call(p, byte, control, e);
    if (held <= 0 || space) {
        return held < 0 ? -1 : 0;
    }
    if (byte == '[') {
        p->rest = " {";
        return 0;
    }
    if (byte == '{') {
        return begin_object(p, false) == 0 ? 0 : err_nomem(e);
    }
    output_call_reset(&p->call, false);
    p->call.name[p->call.name_len++] = byte;
    p->state = IN_NAME;
    return 0;
}

static int in_frame(struct output_parser *p, char byte, bool control, struct err *e)
{
    if (!p->rest) {
        return in_mistral_frame(p, byte, control, e);
    }
    const enum frame_step step = frame_feed(&p->rest, byte);
    if (step == FRAME_BAD) {
        return no_call(p, byte, control, e);
    }
    const int held = hold_call(p, byte, control, e);
    if (held <= 0 || step == FRAME_MORE) {
        return held < 0 ? -1 : 0;
    }
    p->marked = true; /* no text looks like this by chance */
    return begin_object(p, false) == 0 ? 0 : err_nomem(e);
}

/* Behind a call: white space, a separator, the next call, or the end of the frame. */
static int after_call(struct output_parser *p, char byte, bool control, struct err *e)
{
    if (json_is_space(byte) || byte == ',' || byte == ';' || byte == '{') {
        const int held = hold_call(p, byte, control, e);
        return held <= 0 || byte != '{'      ? (held < 0 ? -1 : 0)
               : begin_object(p, false) == 0 ? 0
                                             : err_nomem(e);
    }
    p->rest = frame_end(p->settings.format);
    p->state = IN_FRAME_END;
    return 1;
}

static int in_frame_end(struct output_parser *p, char byte, bool control, struct err *e)
{
    const enum frame_step step = *p->rest ? frame_feed(&p->rest, byte) : FRAME_BAD;

    if (step == FRAME_BAD) {
        return no_call(p, byte, control, e);
    }
    if (step == FRAME_DONE) {
        drop_held(p);
        p->state = IN_CONTENT;
        return 0;
    }
    return hold_call(p, byte, control, e) < 0 ? -1 : 0;
}

/* --- calls of the form name[ARGS]{} --- */

static int begin_arguments(struct output_parser *p, char byte, struct err *e)
{
    if (announce(p, e) != 0) {
        return -1;
    }
    p->call.scan = (struct json_scan){0};
    json_scan_feed(&p->call.scan, byte);
    p->state = IN_ARGUMENTS;
    return output_writer_put(&p->out, OUTPUT_CALL_ARGUMENTS, &byte, 1, e);
}

static int in_name(struct output_parser *p, char byte, bool control, struct err *e)
{
    const bool mark = byte == '[' || byte == '{';

    if (mark ? !is_tool(p) : !is_name_char(byte) || p->call.name_len == OUTPUT_NAME_MAX) {
        return no_call(p, byte, control, e);
    }
    if (byte == '{') {
        return begin_arguments(p, byte, e);
    }
    if (mark) {
        p->call.key_len = 0;
        p->state = IN_NAME_MARK;
    } else {
        p->call.name[p->call.name_len++] = byte;
    }
    return p->state == IN_NAME_MARK ? 1 : hold_call(p, byte, control, e) < 0 ? -1 : 0;
}

/* The mark is gathered in call.key, which nothing else uses here. */
static int in_name_mark(struct output_parser *p, char byte, bool control, struct err *e)
{
    static const struct {
        const char *mark;
        enum parser_state next;
    } marks[] = {{MARKER_ARGS, BEFORE_ARGUMENTS}, {MARKER_CALL_ID, IN_CALL_ID}};
    struct output_call *c = &p->call;

    for (size_t i = 0; i < 2; i++) {
        const char *mark = marks[i].mark;
        if (strncmp(mark, c->key, c->key_len) == 0 && mark[c->key_len] == byte) {
            c->key[c->key_len++] = byte;
            if (mark[c->key_len] == '\0') {
                p->state = (int)marks[i].next;
            }
            return hold_call(p, byte, control, e) < 0 ? -1 : 0;
        }
    }
    return no_call(p, byte, control, e);
}

static int in_call_id(struct output_parser *p, char byte, bool control, struct err *e)
{
    if (byte == '[') {
        p->call.key_len = 0;
        p->state = IN_NAME_MARK;
        return 1;
    }
    if (!is_name_char(byte)) {
        return no_call(p, byte, control, e);
    }
    return hold_call(p, byte, control, e) < 0 ? -1 : 0;
}

static int before_arguments(struct output_parser *p, char byte, bool control, struct err *e)
{
    if (byte == '{') {
        return begin_arguments(p, byte, e);
    }
    if (!json_is_space(byte)) {
        return no_call(p, byte, control, e);
    }
    return hold_call(p, byte, control, e) < 0 ? -1 : 0;
}

static int in_arguments(struct output_parser *p, char byte, bool control, struct err *e)
{
    if (json_scan_feed(&p->call.scan, byte) == JSON_SCAN_BAD) {
        return no_call(p, byte, control, e);
    }
    if (output_writer_put(&p->out, OUTPUT_CALL_ARGUMENTS, &byte, 1, e) != 0) {
        return -1;
    }
    return json_scan_done(&p->call.scan) ? end_call(p, IN_CONTENT, e) : 0;
}

/* --- the whole --- */

/* 1 when the byte was not taken: the state has changed, and it is to be fed again. */
static int feed_byte(struct output_parser *p, char byte, bool control, struct err *e)
{
    switch ((enum parser_state)p->state) {
    case IN_FRAME:
        return in_frame(p, byte, control, e);
    case IN_OBJECT:
        return in_object(p, byte, control, e);
    case IN_NAME:
        return in_name(p, byte, control, e);
    case IN_NAME_MARK:
        return in_name_mark(p, byte, control, e);
    case IN_CALL_ID:
        return in_call_id(p, byte, control, e);
    case BEFORE_ARGUMENTS:
        return before_arguments(p, byte, control, e);
    case IN_ARGUMENTS:
        return in_arguments(p, byte, control, e);
    case AFTER_CALL:
        return after_call(p, byte, control, e);
    case IN_FRAME_END:
        return in_frame_end(p, byte, control, e);
    default:
        return in_text(p, byte, control, e);
    }
}

int output_parser_feed(struct output_parser *p, const char *text, size_t len, bool control,
                       struct err *e)
{
    for (size_t i = 0; i < len; i++) {
        int rc;
        do {
            rc = feed_byte(p, text[i], control, e);
        } while (rc > 0);
        if (rc < 0) {
            return -1;
        }
    }
    return output_writer_flush(&p->out, e);
}

bool output_parser_is_reasoning(const struct output_parser *p)
{
    return p->state == IN_REASONING;
}

/* Text or reasoning that waited. White space behind reasoning or a call is not in out.space. */
static int finish_text(struct output_parser *p, struct err *e)
{
    const bool reasoning = p->state == IN_REASONING;

    if (release(p, p->held.len, e) != 0) {
        return -1;
    }
    return reasoning ? 0
                     : output_writer_put(&p->out, OUTPUT_CONTENT, p->out.space.data,
                                         p->out.space.len, e);
}

/* The text ends inside of a call. */
static int finish_call(struct output_parser *p, struct err *e)
{
    if (p->announced) {
        p->cut = true;
        return output_writer_end_call(&p->out, OUTPUT_CALL_CUT, e);
    }
    if (p->marked || p->out.n_calls > 0 || p->call.has_name) {
        p->cut = true;
        drop_held(p);
        return 0;
    }
    p->state = IN_CONTENT;
    return finish_text(p, e);
}

int output_parser_finish(struct output_parser *p, struct err *e)
{
    int rc = 0;

    if (p->state == IN_CONTENT || p->state == IN_REASONING) {
        rc = finish_text(p, e);
    } else if (p->state != AFTER_CALL && p->state != IN_FRAME_END) {
        rc = finish_call(p, e);
    }
    return rc == 0 ? output_writer_flush(&p->out, e) : -1;
}

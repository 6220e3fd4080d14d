#include "models/output/output_writer.h"

#include <stdint.h>
#include <string.h>

#include "models/output/json_scan.h"

/* So many bytes are handed on at once. */
#define SEGMENT_BYTES ((size_t)16 << 10)

void output_writer_init(struct output_writer *w, output_sink sink, void *user, size_t max_space)
{
    *w = (struct output_writer){.sink = sink, .user = user};
    buf_init(&w->space, max_space);
    buf_init(&w->text, SIZE_MAX / 2);
}

void output_writer_deinit(struct output_writer *w)
{
    buf_deinit(&w->space);
    buf_deinit(&w->text);
}

static int hand_on(struct output_writer *w, enum output_kind kind, const char *text, size_t len,
                   struct err *e)
{
    const struct output_segment segment = {
        .kind = kind, .call = w->n_calls > 0 ? w->n_calls - 1 : 0, .text = text, .len = len};
    return w->sink(w->user, &segment, e);
}

int output_writer_flush(struct output_writer *w, struct err *e)
{
    if (w->text.failed) {
        return err_nomem(e);
    }
    if (w->text.len == 0) {
        return 0;
    }
    const int rc = hand_on(w, w->kind, w->text.data, w->text.len, e);
    buf_clear(&w->text);
    return rc;
}

int output_writer_put(struct output_writer *w, enum output_kind kind, const char *text,
                      size_t len, struct err *e)
{
    if ((kind != w->kind || w->text.len >= SEGMENT_BYTES) && output_writer_flush(w, e) != 0) {
        return -1;
    }
    w->kind = kind;
    return buf_append(&w->text, text, len) == 0 ? 0 : err_nomem(e);
}

int output_writer_char(struct output_writer *w, enum output_kind kind, char byte, struct err *e)
{
    if (json_is_space(byte) && !w->plain &&
        (w->trim || buf_append_char(&w->space, byte) == 0)) {
        return 0;
    }
    if (output_writer_put(w, kind, w->space.data, w->space.len, e) != 0 ||
        output_writer_put(w, kind, &byte, 1, e) != 0) {
        return -1;
    }
    buf_clear(&w->space);
    w->trim = false;
    return 1;
}

int output_writer_begin_call(struct output_writer *w, const char *name, struct err *e)
{
    buf_clear(&w->space);
    if (output_writer_flush(w, e) != 0) {
        return -1;
    }
    w->n_calls++;
    return hand_on(w, OUTPUT_CALL_BEGIN, name, strlen(name), e);
}

int output_writer_end_call(struct output_writer *w, enum output_kind kind, struct err *e)
{
    w->trim = true;
    return output_writer_flush(w, e) == 0 ? hand_on(w, kind, "", 0, e) : -1;
}

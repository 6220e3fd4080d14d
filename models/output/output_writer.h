/* output_writer.h: segments on their way to the sink. Bytes of one kind are gathered; white
 * space of content and reasoning waits for what follows it. Private to this folder. */
#pragma once

#include <stdbool.h>

#include "models/output/output_segment.h"
#include "runtime/base/buf.h"

struct output_writer {
    output_sink sink;
    void *user;
    bool plain;       /* white space does not wait */
    bool trim;        /* white space that comes next is dropped */
    size_t n_calls;   /* announced so far; the last is the one that is written */
    struct buf space; /* content or reasoning if something follows it */
    struct buf text;  /* of `kind` */
    enum output_kind kind;
};

/* At most max_space bytes of white space wait; more come out, whatever follows. */
void output_writer_init(struct output_writer *w, output_sink sink, void *user,
                        size_t max_space);
void output_writer_deinit(struct output_writer *w);

/* All return 0, or -1 with the error set: memory ran out or the sink gave up. */

int output_writer_put(struct output_writer *w, enum output_kind kind, const char *text,
                      size_t len, struct err *e);
/* One byte of content or reasoning. 1: it has come out. */
int output_writer_char(struct output_writer *w, enum output_kind kind, char byte,
                       struct err *e);
/* A new call. */
int output_writer_begin_call(struct output_writer *w, const char *name, struct err *e);
/* OUTPUT_CALL_END or OUTPUT_CALL_CUT. */
int output_writer_end_call(struct output_writer *w, enum output_kind kind, struct err *e);
int output_writer_flush(struct output_writer *w, struct err *e);

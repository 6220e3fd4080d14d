/* output_parser.h: what a model writes, taken apart: reasoning, content, calls of tools.
 *
 * Text goes in as the decoder gives it, segments come out as soon as they are certain: the
 * longest end that may still become a marker is held, so that no part of one is ever taken for
 * content. The segments, joined by kind and call, do not depend on how the text was cut. They
 * hold whole UTF-8 characters if every text that is fed does.
 *
 * Calls. A call is announced when its name and the opening brace of its arguments are known;
 * then the arguments follow as the model writes them, JSON text checked byte by byte. Until
 * then all is held, and if it turns out to be no call it is content as it was written: the name
 * is not among the request's tools, or it is not JSON. If the arguments cease to be JSON after
 * the call was announced, what was handed out stands, the call is OUTPUT_CALL_CUT and the rest
 * is content. The same when the text ends inside of a call; a call that was not announced by
 * then is dropped, for half a call is nothing to read. A call without arguments has "{}".
 *
 * White space. What stands before and behind reasoning and before and behind calls is dropped.
 * Otherwise, and always where the request has no tools and the model does not reason, content
 * is the text as it was.
 *
 * Control tokens. The names of those that output_format_token_text tells are fed with `control`
 * set. They work as markers and are never part of any text that comes out.
 *
 * Ownership: format and names are borrowed. Threads: none; one parser for one answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/output/output_call.h"
#include "models/output/output_format.h"
#include "models/output/output_segment.h"
#include "models/output/output_writer.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* What may be held of a call that is not announced; more is content. */
#define OUTPUT_HELD_MAX ((size_t)1 << 20)

struct output_parser_settings {
    const struct output_format *format;
    const char *const *tools; /* (n_tools) names that may be called; none: no calls at all */
    size_t n_tools;
    bool reasoning_open; /* the prompt ends inside reasoning: output_format_prompt_open */
    output_sink sink;
    void *user;
};

struct output_parser {
    struct output_parser_settings settings;
    int state;        /* private */
    bool at_start;    /* no content and no call has come yet: reasoning and bare calls may */
    bool marked;      /* what is held began with the family's marker */
    bool announced;   /* the call that is being read was */
    bool cut;         /* some call was cut or dropped */
    const char *rest; /* of the marker or frame that is being read */
    struct output_call call;
    struct buf held;          /* a candidate for a marker, or a call that is not announced */
    struct buf held_control;  /* (held.len) 1: of a control token */
    struct output_writer out; /* out.n_calls: calls announced so far */
};

void output_parser_init(struct output_parser *p, const struct output_parser_settings *settings);
void output_parser_deinit(struct output_parser *p);

/* The next text. -1: the sink gave up or memory ran out. */
int output_parser_feed(struct output_parser *p, const char *text, size_t len, bool control,
                       struct err *e);

/* Whether the text so far ends inside reasoning: a token that is fed now counts as one of it.
 */
bool output_parser_is_reasoning(const struct output_parser *p);

/* The end of the answer. Afterwards p->out.n_calls says how many calls were announced, and
 * p->cut whether the text ended or broke off inside of one. */
int output_parser_finish(struct output_parser *p, struct err *e);

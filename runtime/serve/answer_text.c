#include "runtime/serve/answer_text.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/clock.h"

static int take_segment(void *user, const struct output_segment *segment, struct err *e);

int answer_text_init(struct answer_text *a, const struct answer_text_settings *set,
                     struct err *e)
{
    *a = (struct answer_text){.set = *set};
    decoder_init(&a->decoder, set->tokenizer);
    stop_text_init(&a->stop, set->stops, set->n_stops);
    buf_init(&a->decoded, SIZE_MAX / 2);
    buf_init(&a->passed, SIZE_MAX / 2);
    buf_init(&a->out, SIZE_MAX / 2);
    call_arguments_writer_init(&a->written);
    if (set->format) {
        output_parser_init(
            &a->parser, &(struct output_parser_settings){.format = set->format,
                                                         .tools = set->tools,
                                                         .n_tools = set->n_tools,
                                                         .reasoning_open = set->reasoning_open,
                                                         .sink = take_segment,
                                                         .user = a});
    }
    a->reasoning = set->reasoning_open;
    a->has_filters = chain_has_side(set->chain, FILTER_OUTPUT);
    a->filters = chain_stream_create(set->chain, FILTER_OUTPUT, e);
    if (!a->filters) {
        return -1;
    }
    if (set->keep_fed) {
        fed_texts_listen(&a->fed, a->filters);
    }
    chain_stream_set_prompt(a->filters, set->prompt, set->prompt_len);
    if (set->is_json) {
        chain_stream_set_json(a->filters);
    }
    chain_stream_set_outside(a->filters, set->outside, set->wake, set->user);
    if (set->leaves_out_asking) {
        chain_stream_leave_out_asking(a->filters);
    }
    return 0;
}

void answer_text_deinit(struct answer_text *a)
{
    stop_text_deinit(&a->stop);
    if (a->set.format) {
        output_parser_deinit(&a->parser);
    }
    buf_deinit(&a->decoded);
    buf_deinit(&a->passed);
    buf_deinit(&a->out);
    call_arguments_writer_deinit(&a->written);
    chain_stream_destroy(a->filters);
    fed_texts_deinit(&a->fed);
    a->filters = NULL;
}

/* --- pieces --- */

/* Tokens whose text has passed go out with the next piece. */
static size_t tokens_due(const struct answer_text *a)
{
    const struct answer_tokens *t = &a->set.choice->tokens;
    size_t n = a->n_shown;
    while (n < t->count && t->items[n].text_end <= a->passed_bytes) {
        n++;
    }
    return n - a->n_shown;
}

static int show(struct answer_text *a, struct answer_piece *piece, struct err *e)
{
    piece->first_token = a->n_shown;
    piece->n_tokens = tokens_due(a);
    a->n_shown += piece->n_tokens;
    if (answer_choice_add(a->set.choice, piece) != 0) {
        return err_nomem(e);
    }
    a->set.piece(a->set.user, piece);
    return 0;
}

/* The first thing that a filter found, NULL: there is none. A stop is no such thing: what comes
 * before it is good. What is only recorded is the operator's. */
static const struct chain_event *first_finding(const struct answer_text *a)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(a->filters, &count, NULL);
    count -= chain_stream_stop(a->filters) != NULL; /* the last one */
    for (size_t i = 0; i < count; i++) {
        if (!events[i].is_recorded) {
            return &events[i];
        }
    }
    return NULL;
}

/* Whether the client asked not to get what something was found in, and it was. */
static bool is_blocked(const struct answer_text *a)
{
    return a->set.block && first_finding(a) != NULL;
}

/* Sends what has gathered, as one piece. What came with a finding is not sent; the finding is
 * noted when the call of the chain returns. */
static int flush(struct answer_text *a, struct err *e)
{
    if (a->out.len == 0) {
        return 0;
    }
    if (a->state == ANSWER_OPEN && is_blocked(a)) {
        buf_clear(&a->out);
        return 0;
    }
    struct answer_piece piece = {
        .kind = a->out_kind, .text = a->out.data, .len = a->out.len, .call = a->call};
    int rc = show(a, &piece, e);
    buf_clear(&a->out);
    return rc;
}

/* An answer that a filter has ended closes with the owner's words, if there are any: they are
 * not the model's, so no filter reads them. */
static int close_filtered(struct answer_text *a, struct err *e)
{
    const char *refusal = chain_refusal(a->set.chain);
    if (a->state != ANSWER_FILTERED || !refusal || a->refused) {
        return 0;
    }
    a->refused = true;
    const char *gap = a->set.choice->content.len > 0 ? "\n\n" : "";
    if (buf_printf(&a->out, "%s%s", gap, refusal) != 0) {
        return err_nomem(e);
    }
    a->out_kind = ANSWER_CONTENT;
    return flush(a, e);
}

/* Sends what a token has brought. */
static int flush_token(struct answer_text *a, struct err *e)
{
    return flush(a, e) == 0 ? close_filtered(a, e) : -1;
}

/* --- filters --- */

static enum answer_piece_kind kind_of(enum filter_channel channel)
{
    switch (channel) {
    case FILTER_REASONING:
        return ANSWER_REASONING;
    case FILTER_TOOL_ARGS:
        return ANSWER_CALL_ARGUMENTS;
    case FILTER_CONTENT:
        break;
    }
    return ANSWER_CONTENT;
}

static int take_filtered(void *context, enum filter_channel channel, const char *text,
                         size_t len)
{
    struct answer_text *a = context;
    struct err ignored = {0};
    enum answer_piece_kind kind = kind_of(channel);
    if (kind != a->out_kind && flush(a, &ignored) != 0) {
        return -1;
    }
    a->out_kind = kind;
    return channel == FILTER_TOOL_ARGS ? call_arguments_emit(&a->written, &a->out, text, len)
                                       : buf_append(&a->out, text, len);
}

/* What goes around the filters; the tag of a call's beginning and end has its index above. */
enum { AROUND_CALL_BEGIN = CALL_ARGUMENTS_TAGS, AROUND_CALL_END };
#define TAG_CALL_SHIFT 8
#define TAG_KIND       0xFFu

static uint64_t call_tag(unsigned kind, size_t call)
{
    return (uint64_t)call << TAG_CALL_SHIFT | kind;
}

static int show_call(struct answer_text *a, uint64_t tag, const char *name, size_t len)
{
    struct err ignored = {0};
    bool begins = (tag & TAG_KIND) == AROUND_CALL_BEGIN;
    if (flush(a, &ignored) != 0) {
        return -1;
    }
    if (is_blocked(a)) {
        return 0;
    }
    a->out_kind = ANSWER_CALL_ARGUMENTS;
    a->call = (size_t)(tag >> TAG_CALL_SHIFT);
    /* The buffer adds the NUL that a piece's text has. */
    if (buf_append(&a->out, name, len) != 0) {
        return -1;
    }
    struct answer_piece piece = {.kind = begins ? ANSWER_CALL_BEGIN : ANSWER_CALL_END,
                                 .text = a->out.data ? a->out.data : "",
                                 .len = len,
                                 .call = a->call};
    int rc = show(a, &piece, &ignored);
    buf_clear(&a->out);
    return rc;
}

static int take_around(void *context, uint64_t tag, const char *bytes, size_t len)
{
    struct answer_text *a = context;
    struct err ignored = {0};
    if ((tag & TAG_KIND) >= CALL_ARGUMENTS_TAGS) {
        return show_call(a, tag, bytes, len);
    }
    if (a->out_kind != ANSWER_CALL_ARGUMENTS && flush(a, &ignored) != 0) {
        return -1;
    }
    a->out_kind = ANSWER_CALL_ARGUMENTS;
    return call_arguments_around(&a->written, &a->out, tag, bytes, len);
}

static struct chain_sink sink_of(struct answer_text *a)
{
    return (struct chain_sink){.emit = take_filtered, .around = take_around, .context = a};
}

/* What a call of the chain returned becomes the answer's state. fresh: bytes that it was shown.
 */
static int note_verdict(struct answer_text *a, int rc, size_t fresh)
{
    if (a->has_filters) {
        filter_hold_look(&a->hold, chain_stream_held(a->filters), fresh, clock_now_ns());
    }
    if (rc == CHAIN_STOPPED) {
        const struct chain_event *stop = chain_stream_stop(a->filters);
        a->state = ANSWER_FILTERED;
        a->set.choice->filter_code = stop->code;
        a->set.choice->filter_message = stop->message;
    }
    if (rc >= 0 && is_blocked(a)) {
        if (a->state != ANSWER_FILTERED) {
            const struct chain_event *finding = first_finding(a);
            a->set.choice->filter_code = finding->code;
            a->set.choice->filter_message = finding->message;
            a->state = ANSWER_FILTERED;
        }
        buf_clear(&a->out);
    }
    return rc < 0 ? -1 : 0;
}

static int filter(struct answer_text *a, enum filter_channel channel, const char *text,
                  size_t len, struct err *e)
{
    struct chain_sink sink = sink_of(a);
    if (a->state == ANSWER_FILTERED || len == 0) {
        return 0;
    }
    return note_verdict(a, chain_feed(a->filters, channel, text, len, &sink, e), len);
}

static int filter_finish(struct answer_text *a, struct err *e)
{
    struct chain_sink sink = sink_of(a);
    return a->state == ANSWER_FILTERED ? 0
                                       : note_verdict(a, chain_finish(a->filters, &sink, e), 0);
}

/* A text that has ended before others come: nothing of it may be held behind them. */
static int filter_end_text(struct answer_text *a, enum filter_channel channel, struct err *e)
{
    struct chain_sink sink = sink_of(a);
    return a->state == ANSWER_FILTERED
               ? 0
               : note_verdict(a, chain_end_text(a->filters, channel, &sink, e), 0);
}

/* --- segments: what the model's output was taken apart to --- */

static int send_around(struct answer_text *a, uint64_t tag, const char *bytes, size_t len,
                       struct err *e)
{
    struct chain_sink sink = sink_of(a);
    return a->state == ANSWER_FILTERED
               ? 0
               : note_verdict(a, chain_around(a->filters, tag, bytes, len, &sink, e), len);
}

static int begin_call(struct answer_text *a, const struct output_segment *segment,
                      struct err *e)
{
    if (filter_end_text(a, FILTER_REASONING, e) != 0 ||
        filter_end_text(a, FILTER_CONTENT, e) != 0) {
        return -1;
    }
    a->arguments = (struct call_arguments){0};
    return send_around(a, call_tag(AROUND_CALL_BEGIN, segment->call), segment->text,
                       segment->len, e);
}

static int take_arguments(struct answer_text *a, const struct output_segment *segment,
                          struct err *e)
{
    struct chain_sink sink = sink_of(a);
    if (!a->has_filters) {
        return buf_append(&a->out, segment->text, segment->len) == 0 ? 0 : err_nomem(e);
    }
    return note_verdict(
        a,
        call_arguments_feed(&a->arguments, segment->text, segment->len, a->filters, &sink, e),
        segment->len);
}

static int end_call(struct answer_text *a, const struct output_segment *segment, struct err *e)
{
    return send_around(a, call_tag(AROUND_CALL_END, segment->call), "", 0, e);
}

static int take_content(struct answer_text *a, const struct output_segment *segment,
                        struct err *e)
{
    bool reasoning = segment->kind == OUTPUT_REASONING;
    enum filter_channel channel = reasoning ? FILTER_REASONING : FILTER_CONTENT;
    if (a->reasoning && !reasoning && filter_end_text(a, FILTER_REASONING, e) != 0) {
        return -1;
    }
    a->reasoning = reasoning;
    return filter(a, channel, segment->text, segment->len, e);
}

static int take_segment(void *user, const struct output_segment *segment, struct err *e)
{
    struct answer_text *a = user;
    if (a->state == ANSWER_FILTERED) {
        return 0;
    }
    switch (segment->kind) {
    case OUTPUT_REASONING:
    case OUTPUT_CONTENT:
        return take_content(a, segment, e);
    case OUTPUT_CALL_BEGIN:
        return begin_call(a, segment, e);
    case OUTPUT_CALL_ARGUMENTS:
        return take_arguments(a, segment, e);
    case OUTPUT_CALL_END:
        return end_call(a, segment, e);
    case OUTPUT_CALL_CUT: /* what was said of it stands, and it never becomes complete */
        return flush(a, e);
    }
    return 0;
}

static int take_apart(struct answer_text *a, const char *text, size_t len, bool control,
                      struct err *e)
{
    if (len == 0) {
        return 0;
    }
    if (!a->set.format) {
        return filter(a, FILTER_CONTENT, text, len, e);
    }
    return output_parser_feed(&a->parser, text, len, control, e);
}

/* --- tokens --- */

/* Once no filter waits, the text that came before the stop string has become what it is. */
static void note_stop(struct answer_text *a)
{
    if (a->state == ANSWER_OPEN && a->stop.stopped && !answer_text_is_waiting(a)) {
        a->state = ANSWER_STOPPED;
        a->set.choice->stop = a->stop.met;
    }
}

/* Runs a->decoded through the stop strings and all that comes behind them. */
static int pass_on(struct answer_text *a, bool is_end, struct err *e)
{
    buf_clear(&a->passed);
    if (stop_text_feed(&a->stop, a->decoded.data, a->decoded.len, &a->passed) != 0 ||
        (is_end && stop_text_finish(&a->stop, &a->passed) != 0)) {
        return err_nomem(e);
    }
    a->passed_bytes += a->passed.len;
    int rc = take_apart(a, a->passed.data, a->passed.len, false, e);
    if (rc == 0 && (is_end || a->stop.stopped)) {
        a->has_ended = true;
        rc = a->set.format ? output_parser_finish(&a->parser, e) : 0;
        rc = rc == 0 ? filter_finish(a, e) : rc;
    }
    if (rc != 0) {
        return rc;
    }
    note_stop(a);
    return flush_token(a, e);
}

bool answer_text_is_waiting(const struct answer_text *a)
{
    return a->state != ANSWER_FILTERED && chain_stream_is_waiting(a->filters);
}

int answer_text_resume(struct answer_text *a, struct err *e)
{
    struct chain_sink sink = sink_of(a);
    if (a->state != ANSWER_OPEN) {
        return 0;
    }
    if (note_verdict(a, chain_resume(a->filters, &sink, e), 0) != 0) {
        return -1;
    }
    note_stop(a);
    return flush_token(a, e);
}

/* A control token whose name tells how the output is to be read. It is no text, so what the
 * stop strings hold cannot go on behind it. */
static int take_marker(struct answer_text *a, const char *name, struct err *e)
{
    buf_clear(&a->passed);
    buf_clear(&a->decoded);
    if (decoder_flush(&a->decoder, &a->decoded) != 0 ||
        stop_text_feed(&a->stop, a->decoded.data, a->decoded.len, &a->passed) != 0 ||
        stop_text_finish(&a->stop, &a->passed) != 0) {
        return err_nomem(e);
    }
    a->passed_bytes += a->passed.len;
    int rc = take_apart(a, a->passed.data, a->passed.len, false, e);
    rc = rc == 0 ? take_apart(a, name, strlen(name), true, e) : rc;
    return rc == 0 ? flush_token(a, e) : rc;
}

/* Tokens that only served to write a stop string, or came behind it, are not shown. */
static void drop_tokens_behind_the_end(struct answer_text *a)
{
    struct answer_tokens *t = &a->set.choice->tokens;
    while (t->count > a->n_shown && t->items[t->count - 1].text_end > a->passed_bytes) {
        t->count--;
    }
}

int answer_text_feed(struct answer_text *a, const struct answer_token *token,
                     const struct answer_alternative *tops, size_t n_tops, struct err *e)
{
    if (a->state != ANSWER_OPEN || a->has_ended) {
        return 0;
    }
    buf_clear(&a->decoded);
    if (decoder_feed(&a->decoder, token->token, &a->decoded) != 0) {
        return err_nomem(e);
    }
    a->decoded_bytes += a->decoded.len;
    struct answer_token kept = *token;
    kept.text_end = a->decoded_bytes;
    if (a->set.keep_tokens &&
        answer_tokens_add(&a->set.choice->tokens, &kept, tops, n_tops) != 0) {
        return err_nomem(e);
    }
    const char *marker =
        a->set.format ? output_format_token_text(a->set.format, a->set.tokenizer, token->token)
                      : NULL;
    int rc = marker ? take_marker(a, marker, e) : a->decoded.len > 0 ? pass_on(a, false, e) : 0;
    if (a->state != ANSWER_OPEN) {
        drop_tokens_behind_the_end(a);
    }
    return rc;
}

int answer_text_finish(struct answer_text *a, struct err *e)
{
    if (a->state != ANSWER_OPEN || a->has_ended) {
        return 0;
    }
    buf_clear(&a->decoded);
    if (decoder_flush(&a->decoder, &a->decoded) != 0) {
        return err_nomem(e);
    }
    a->decoded_bytes += a->decoded.len;
    return pass_on(a, true, e);
}

enum answer_finish answer_text_finish_as(const struct answer_text *a, enum answer_finish finish)
{
    if (a->state == ANSWER_FILTERED) {
        return ANSWER_FINISH_CONTENT_FILTER;
    }
    if (a->state == ANSWER_STOPPED) {
        finish = ANSWER_FINISH_STOP;
    }
    const struct answer_choice *c = a->set.choice;
    bool called = c->n_calls > 0 && c->calls[c->n_calls - 1].complete;
    return finish == ANSWER_FINISH_STOP && called ? ANSWER_FINISH_TOOL_CALLS : finish;
}

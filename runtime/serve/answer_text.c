#include "runtime/serve/answer_text.h"

#include <stdint.h>

int answer_text_init(struct answer_text *a, const struct answer_text_settings *set,
                     struct err *e)
{
    *a = (struct answer_text){.set = *set};
    decoder_init(&a->decoder, set->tokenizer);
    stop_text_init(&a->stop, set->stops, set->n_stops);
    buf_init(&a->decoded, SIZE_MAX / 2);
    buf_init(&a->passed, SIZE_MAX / 2);
    buf_init(&a->out, SIZE_MAX / 2);
    a->filters = chain_stream_create(set->chain, FILTER_OUTPUT, e);
    return a->filters ? 0 : -1;
}

void answer_text_deinit(struct answer_text *a)
{
    stop_text_deinit(&a->stop);
    buf_deinit(&a->decoded);
    buf_deinit(&a->passed);
    buf_deinit(&a->out);
    chain_stream_destroy(a->filters);
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

/* Sends what has gathered, as one piece. */
static int flush(struct answer_text *a, struct err *e)
{
    if (a->out.len == 0) {
        return 0;
    }
    struct answer_piece piece = {.kind = a->out_kind, .text = a->out.data, .len = a->out.len};
    int rc = show(a, &piece, e);
    buf_clear(&a->out);
    return rc;
}

/* --- filters --- */

static int take_filtered(void *context, enum filter_channel channel, const char *text,
                         size_t len)
{
    struct answer_text *a = context;
    struct err ignored = {0};
    enum answer_piece_kind kind =
        channel == FILTER_REASONING ? ANSWER_REASONING : ANSWER_CONTENT;
    if (kind != a->out_kind && flush(a, &ignored) != 0) {
        return -1;
    }
    a->out_kind = kind;
    return buf_append(&a->out, text, len);
}

/* What a call of the chain returned becomes the answer's state. */
static int note_verdict(struct answer_text *a, int rc)
{
    if (rc == CHAIN_STOPPED) {
        const struct chain_event *stop = chain_stream_stop(a->filters);
        a->state = ANSWER_FILTERED;
        a->set.choice->filter_code = stop->code;
        a->set.choice->filter_message = stop->message;
    }
    return rc < 0 ? -1 : 0;
}

static int filter(struct answer_text *a, enum filter_channel channel, const char *text,
                  size_t len, struct err *e)
{
    struct chain_sink sink = {.emit = take_filtered, .context = a};
    if (a->state == ANSWER_FILTERED || len == 0) {
        return 0;
    }
    return note_verdict(a, chain_feed(a->filters, channel, text, len, &sink, e));
}

static int filter_finish(struct answer_text *a, struct err *e)
{
    struct chain_sink sink = {.emit = take_filtered, .context = a};
    return a->state == ANSWER_FILTERED ? 0
                                       : note_verdict(a, chain_finish(a->filters, &sink, e));
}

/* --- tokens --- */

/* Runs a->decoded through the stop strings and all that comes behind them. */
static int pass_on(struct answer_text *a, bool is_end, struct err *e)
{
    buf_clear(&a->passed);
    if (stop_text_feed(&a->stop, a->decoded.data, a->decoded.len, &a->passed) != 0 ||
        (is_end && stop_text_finish(&a->stop, &a->passed) != 0)) {
        return err_nomem(e);
    }
    a->passed_bytes += a->passed.len;
    int rc = filter(a, FILTER_CONTENT, a->passed.data, a->passed.len, e);
    if (rc == 0 && (is_end || a->stop.stopped)) {
        rc = filter_finish(a, e);
    }
    if (rc == 0 && a->state == ANSWER_OPEN && a->stop.stopped) {
        a->state = ANSWER_STOPPED;
        a->set.choice->stop = a->stop.met;
    }
    return rc == 0 ? flush(a, e) : rc;
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
    if (a->state != ANSWER_OPEN) {
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
    int rc = a->decoded.len > 0 ? pass_on(a, false, e) : 0;
    if (a->state != ANSWER_OPEN) {
        drop_tokens_behind_the_end(a);
    }
    return rc;
}

int answer_text_finish(struct answer_text *a, struct err *e)
{
    if (a->state != ANSWER_OPEN) {
        return 0;
    }
    buf_clear(&a->decoded);
    if (decoder_flush(&a->decoder, &a->decoded) != 0) {
        return err_nomem(e);
    }
    a->decoded_bytes += a->decoded.len;
    return pass_on(a, true, e);
}

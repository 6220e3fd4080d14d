#include "runtime/serve/answer_text.h"

#include <stdint.h>

int answer_text_init(struct answer_text *a, const struct tokenizer *t, const char *const *stops,
                     size_t n_stops, struct chain *chain, struct err *e)
{
    *a = (struct answer_text){0};
    decoder_init(&a->decoder, t);
    stop_text_init(&a->stop, stops, n_stops);
    buf_init(&a->decoded, SIZE_MAX / 2);
    buf_init(&a->passed, SIZE_MAX / 2);
    buf_init(&a->released, SIZE_MAX / 2);
    a->filters = chain_stream_create(chain, FILTER_OUTPUT, e);
    return a->filters ? 0 : -1;
}

void answer_text_deinit(struct answer_text *a)
{
    stop_text_deinit(&a->stop);
    buf_deinit(&a->decoded);
    buf_deinit(&a->passed);
    buf_deinit(&a->released);
    chain_stream_destroy(a->filters);
    a->filters = NULL;
}

/* Runs a->decoded through the stop strings and the filters. */
static int pass_on(struct answer_text *a, bool is_end, struct err *e)
{
    buf_clear(&a->passed);
    if (stop_text_feed(&a->stop, a->decoded.data, a->decoded.len, &a->passed) != 0 ||
        (is_end && stop_text_finish(&a->stop, &a->passed) != 0)) {
        return err_nomem(e);
    }
    struct chain_sink sink = chain_sink_buf(&a->released);
    int rc = CHAIN_GOES_ON;
    if (a->passed.len > 0) {
        rc = chain_feed(a->filters, FILTER_CONTENT, a->passed.data, a->passed.len, &sink, e);
    }
    if (rc == CHAIN_GOES_ON && (is_end || a->stop.stopped)) {
        rc = chain_finish(a->filters, &sink, e);
    }
    if (rc == CHAIN_STOPPED) {
        a->state = ANSWER_FILTERED;
    } else if (rc == CHAIN_GOES_ON && a->stop.stopped) {
        a->state = ANSWER_STOPPED;
    }
    return rc < 0 ? -1 : 0;
}

int answer_text_feed(struct answer_text *a, int32_t token, struct err *e)
{
    if (a->state != ANSWER_OPEN) {
        return 0;
    }
    buf_clear(&a->decoded);
    if (decoder_feed(&a->decoder, token, &a->decoded) != 0) {
        return err_nomem(e);
    }
    return a->decoded.len > 0 ? pass_on(a, false, e) : 0;
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
    return pass_on(a, true, e);
}

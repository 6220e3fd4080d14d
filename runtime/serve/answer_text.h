/* answer_text.h: from tokens to the text that may leave: decoder, stop strings, filter chain.
 *
 * The same for streamed and whole answers. What has been appended to `released` is final.
 *
 * Threads: the loop only. */
#pragma once

#include "filters/chain.h"
#include "models/tokenizer/decoder.h"
#include "runtime/serve/stop_text.h"

enum answer_state {
    ANSWER_OPEN,
    ANSWER_STOPPED,  /* a stop string was met */
    ANSWER_FILTERED, /* a filter ended it */
};

struct answer_text {
    struct decoder decoder;
    struct stop_text stop;
    struct chain_stream *filters;
    struct buf decoded;  /* scratch: whole characters of one token */
    struct buf passed;   /* scratch: what the stop strings let pass */
    struct buf released; /* the caller consumes it */
    enum answer_state state;
};

/* `stops` is borrowed for the life of the answer. */
int answer_text_init(struct answer_text *a, const struct tokenizer *t, const char *const *stops,
                     size_t n_stops, struct chain *chain, struct err *e);
void answer_text_deinit(struct answer_text *a);

/* The next token. 0, or -1 when the answer must be ended as an error. */
int answer_text_feed(struct answer_text *a, int32_t token, struct err *e);

/* No more tokens: what is held is decided and released. */
int answer_text_finish(struct answer_text *a, struct err *e);

/* answer_text.h: from tokens to what may leave: decoder, stop strings, the model's own way to
 * write reasoning and calls, filter chain.
 *
 * The same for streamed and whole answers. What comes out are pieces (runtime/api/answer.h);
 * they are final, and have been added to the choice.
 *
 * Of a call's arguments the filters see each string's decoded value, and never the JSON around
 * it; what they let pass is written as JSON again.
 *
 * A filter may wait for a service outside. What comes meanwhile gathers in the chain, in its
 * order, and the answer is not over before all of it is through.
 *
 * Threads: one for an answer; the loop's where filters may ask. */
#pragma once

#include "filters/chain.h"
#include "models/output/output_parser.h"
#include "models/tokenizer/decoder.h"
#include "runtime/api/answer.h"
#include "runtime/serve/call_arguments.h"
#include "runtime/serve/fed_texts.h"
#include "runtime/serve/filter_hold.h"
#include "runtime/serve/stop_text.h"

enum answer_state {
    ANSWER_OPEN,
    ANSWER_STOPPED,  /* a stop string was met */
    ANSWER_FILTERED, /* a filter ended it */
};

struct answer_text_settings {
    const struct tokenizer *tokenizer;
    const char *const *stops; /* (n_stops), borrowed for the life of the answer */
    size_t n_stops;
    struct chain *chain;
    const char *prompt; /* the owner's, for filters; borrowed for the life of the answer */
    size_t prompt_len;
    const struct output_format *format; /* borrowed; NULL: all text is content */
    const char *const *tools; /* (n_tools) names of tools that may be called, borrowed */
    size_t n_tools;
    bool reasoning_open; /* the prompt ends inside of reasoning */
    bool keep_tokens;    /* for logprobs */
    bool keep_fed;       /* what goes into the filters, for records */
    bool is_json;        /* the content is to be one JSON text */
    bool block;          /* whatever a filter finds ends the answer */
    struct answer_choice *choice;
    void (*piece)(void *user, const struct answer_piece *piece);
    struct chain_outside *outside; /* for filters that ask; NULL: they fail */
    bool leaves_out_asking;        /* in its place: no service is asked */
    void (*wake)(void *user);      /* an answer from outside has come: answer_text_resume */
    void *user;
};

struct answer_text {
    struct answer_text_settings set;
    struct decoder decoder;
    struct stop_text stop;
    struct output_parser parser;
    struct call_arguments arguments; /* of the call that is open */
    struct call_arguments_writer written;
    struct chain_stream *filters;
    bool has_filters;
    struct fed_texts fed; /* with keep_fed */
    struct filter_hold hold;
    bool has_ended;     /* no more tokens are read */
    bool reasoning;     /* what came last */
    struct buf decoded; /* scratch: whole characters of one token */
    struct buf passed;  /* scratch: what the stop strings let pass */
    enum answer_state state;
    bool refused; /* the chain's refusal was said */

    struct buf out; /* of kind out_kind, for the next piece */
    enum answer_piece_kind out_kind;
    size_t call; /* whose arguments they are */

    size_t decoded_bytes; /* of the whole answer */
    size_t passed_bytes;  /* of these, that the stop strings let pass */
    size_t n_shown;       /* tokens that went out with pieces */
};

int answer_text_init(struct answer_text *a, const struct answer_text_settings *set,
                     struct err *e);
void answer_text_deinit(struct answer_text *a);

/* The next token; tops: (n_tops). 0, or -1 when the answer must be ended as an error. Does
 * nothing once has_ended. */
int answer_text_feed(struct answer_text *a, const struct answer_token *token,
                     const struct answer_alternative *tops, size_t n_tops, struct err *e);

/* No more tokens: what is held is decided and released. */
int answer_text_finish(struct answer_text *a, struct err *e);

/* Whether a filter waits, and with it what comes behind: the state is not the last word then.
 */
bool answer_text_is_waiting(const struct answer_text *a);

/* How it ended, if the model ended it like this: a stop string, a filter, or calls that are
 * whole may be the reason. */
enum answer_finish answer_text_finish_as(const struct answer_text *a,
                                         enum answer_finish finish);

/* Goes on after wake. Returns as answer_text_feed. */
int answer_text_resume(struct answer_text *a, struct err *e);

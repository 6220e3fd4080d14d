/* exchange_parts.h: an exchange and its stages, each a file. Internal to runtime/serve.
 *
 *   exchange.c          from beginning to end: the order in which things happen
 *   exchange_request.c  body to tokens, and to the engine
 *   exchange_output.c   what the answer says to bytes
 *   exchange_outcome.c  what became of it, for whoever compares versions
 *   exchange_feedback.c what is kept of it, for feedback
 *
 * Threads: the loop only. */
#pragma once

#include "runtime/api/reply.h"
#include "runtime/serve/answer_form.h"
#include "runtime/serve/answer_text.h"
#include "runtime/serve/engine_user.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/filter_findings.h"
#include "runtime/serve/filter_record.h"
#include "runtime/serve/filter_run.h"
#include "runtime/serve/input_texts.h"
#include "runtime/serve/model_outcomes.h"
#include "runtime/serve/prompt_pick.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/shadow.h"

/* An API: how its requests are read and its answers written. */
struct exchange_api {
    int (*parse)(struct answer_request *r, const char *body, size_t len, struct err *e);
    const struct reply_format *format;
    const char *input; /* the field that holds what the model is to read */
};

/* One answer of a request. */
struct choice {
    struct engine_user user; /* first */
    struct exchange *exchange;
    size_t index;
    struct answer_text text;
    bool text_begun; /* `text` is initialised */
    uint64_t engine_id;
    bool engine_running;
    bool is_complete;          /* the model has written it all, and filters may still wait */
    enum answer_finish finish; /* how, when it is complete */
    bool held_back;            /* too much of it waits for filters: the engine is to wait too */
    bool paused;               /* in the engine */
    bool ended;                /* nothing more is said of it */
    int cached_tokens;         /* of its prompt, as far as is known */
    uint64_t token_ns;         /* when its last token came; 0: none has */
};

/* When the first answer's tokens came, and how sure the model was of them. */
struct answer_times {
    uint64_t submitted_ns; /* to the engine; 0: not yet */
    uint64_t first_ns, last_ns;
    uint64_t started_ns; /* by the engine; 0: not yet */
    size_t n_tokens;
    double entropy; /* of their distributions, the sum, in nats */
};

struct exchange {
    struct http_exchange *http; /* NULL when the client has its answer or is gone */
    struct server *server;
    struct exchange *next, **link; /* among all of the server */
    struct generation *generation;
    const struct served_adapter *adapter; /* of the generation, or NULL */
    struct model_missing missing;         /* what it may have to wait for */
    struct prompt *prompt;
    struct chain *chain; /* NULL before it is known which */
    const struct exchange_api *api;
    struct answer_request request;
    struct choice *choices;        /* (n_choices) */
    struct answer_choice *answers; /* (n_choices): what each says */
    size_t n_choices;
    uint64_t tenant;            /* whose request it is: access.h */
    struct token_list *prompts; /* (n_prompts), until they are submitted */
    size_t n_prompts;
    const char *tools[TOOLS_MAX]; /* (n_tools) names of those that may be called */
    size_t n_tools;
    struct form_job form; /* that the answers must have */
    char form_key[HASH_HEX_LEN + 1];
    bool prefix_counted;                  /* in the statistics of prompts */
    bool working;                         /* a job off the loop, or a filter's, points here */
    struct input_texts input_texts;       /* what the client wrote */
    struct filter_run input;              /* it goes through the filters */
    struct filter_outside_traced outside; /* whom those of the answers ask */
    struct prompt_job pick;               /* of the prompt */
    struct shadow *shadow;                /* a copy of it runs on another version; or NULL */
    struct answer_usage usage;
    struct moderation_result found_input, found_output; /* when the client wants to know */
    char *moderation;                                   /* the same as JSON text, at the end */
    struct reply reply;
    bool streaming;   /* the head of a stream was sent */
    bool paused;      /* the client reads slowly */
    uint64_t sent_ns; /* when the stream was last written to */
    uint64_t deadline_ns;
    uv_timer_t *deadline; /* runs until the client's side is over; or NULL. It frees itself. */
    struct provenance made_by;
    uint64_t caller, conversation; /* sticky.h */
    bool names_version;            /* so that no chance chose it */
    struct answer_times times;
    struct drift_mark drift_mark;
    struct answer_usage counted; /* of the usage, what metrics have seen */
    enum err_kind failure;       /* that the client was told, or ERR_NONE */
    bool has_left;               /* the client, before it had the answer */
};

/* The client's side is over; the engine may have to be told. */
void exchange_leave_client(struct exchange *x);

/* The time that the client gave begins to run. The engine keeps to it too; this is for all that
 * it knows nothing of: filters that wait, jobs off the loop. */
int exchange_set_deadline(struct exchange *x, struct err *e);

/* -1 once that time is over. */
int exchange_check_deadline(const struct exchange *x, struct err *e);

/* What somebody needed of the exchange is needed no more: it goes if nothing else is left to
 * do.
 */
void exchange_release(struct exchange *x);

/* Answers with an error, or has the request wait for its model, and leaves the client. */
void exchange_refuse(struct exchange *x, const struct err *e);

/* What the engine says about a choice. */
void exchange_on_event(struct engine_user *user, const struct engine_event *ev);

/* A filter of the choice has got the answer that it waited for. For struct answer_text. */
void exchange_on_wake(void *user);

/* ---- exchange_request.c ---- */

/* Reads and checks the body. */
int exchange_read(struct exchange *x, struct err *e);

/* Texts of the request for the filters, and what became of them. For struct filter_run_owner.
 */
int exchange_input_get(void *user, size_t index, struct filter_run_text *text, struct err *e);
int exchange_input_take(void *user, size_t index, char *text, size_t len, struct err *e);

/* Whether what the filters found there lets the request go on. */
int exchange_check_findings(const struct exchange *x, struct err *e);

/* With the prompt known: makes the tokens, and the answers to be filled. */
int exchange_prepare(struct exchange *x, struct err *e);

/* Hands all prompts to the engine. grammar: the form of the answers, or NULL. */
int exchange_submit(struct exchange *x, struct grammar *grammar, struct err *e);

/* ---- exchange_outcome.c ---- */

/* A token of the choice has come; entropy: of its distribution. */
void exchange_time_token(struct choice *c, double entropy);

/* Once, when the client's side is over. */
void exchange_note_outcome(struct exchange *x);

/* Likewise: what is told of the request when it is over (request_record.h). */
void exchange_fill_record(struct exchange *x);

/* ---- exchange_feedback.c ---- */

/* Likewise: from now on users can say what they think of the answer. */
void exchange_remember(const struct exchange *x);

/* ---- exchange_output.c ---- */

/* One JSON text as an event of the stream; it is released. For struct reply. */
void exchange_send_event(void *ctx, const char *name, char *json, size_t len);

/* A piece of a choice's text. For struct answer_text. */
void exchange_take_piece(void *user, const struct answer_piece *piece);

/* Sends the head of a stream, unless it was sent. */
void exchange_begin_stream(struct exchange *x);
void exchange_write(struct exchange *x, const void *data, size_t len);

/* A client that reads slowly makes its answers wait in the engine. */
void exchange_pause(struct exchange *x, bool paused);

/* And so does a filter that waits, once enough of the choice's text has gathered behind it. */
void exchange_hold_back(struct choice *c);

/* The choice is complete; after the last one the client has its answer. */
void exchange_end_choice(struct choice *c, enum answer_finish finish);

/* Something broke inside of an answer. */
void exchange_fail(struct exchange *x, const struct err *e);

/* reply.h: an answer in the words of one API.
 *
 * A reply is told what happens to the answer, and says it as JSON texts: as events of a stream
 * while the answer is written, or as one text when it is complete. The formats are those of
 * OpenAI's chat completions, completions and responses, and of Anthropic's messages; each is a
 * file of its own.
 *
 * Order of the calls for a stream: begin; for each choice any number of times piece and once
 * finish, mixed with those of other choices; end. At any point after the beginning `failed` may
 * end it instead. The caller has added a piece to the choice (answer_choice_add) before it
 * shows it here.
 *
 * Ownership: everything in `struct reply` is borrowed. Threads: none. */
#pragma once

#include "models/tokenizer/tokenizer.h"
#include "runtime/api/answer.h"
#include "runtime/api/answer_request.h"
#include "runtime/api/api_error.h"

/* Takes the JSON text (mem_free); name NULL: an event without one; json NULL: out of memory. */
typedef void reply_event_fn(void *ctx, const char *name, char *json, size_t len);

struct reply;

struct reply_format {
    const char *id_prefix;
    const char *last; /* text that ends a good stream, or "" */
    void (*begin)(struct reply *r);
    void (*piece)(struct reply *r, size_t choice, const struct answer_piece *piece);
    void (*finish)(struct reply *r, size_t choice);
    void (*end)(struct reply *r);
    void (*failed)(struct reply *r, const struct api_error *error);
    /* The caller's (mem_free); NULL when out of memory. */
    char *(*whole)(struct reply *r, size_t *len);
};

extern const struct reply_format reply_chat;
extern const struct reply_format reply_completion;
extern const struct reply_format reply_responses;
extern const struct reply_format reply_anthropic;

struct reply {
    const struct reply_format *format;
    const struct answer_request *request;
    const struct tokenizer *tokenizer;
    const struct answer_choice *choices; /* (n_choices) */
    size_t n_choices;
    const struct answer_usage *usage;
    const char *moderation; /* JSON text: what the filters found; or NULL */
    char id[48];
    int64_t created;         /* Unix seconds */
    const char *model;       /* "name@version" */
    const char *fingerprint; /* names weights, prompt and filters */

    reply_event_fn *event;
    void *event_ctx;

    /* The format's own. */
    int sequence;      /* events so far */
    size_t n_parts;    /* of the choice, that were begun */
    bool part_is_open; /* the last of them */
};

/* Hands a JSON tree to the stream and releases it; NULL is passed on as out of memory. */
void reply_send(struct reply *r, const char *name, cJSON *json);

/* The text of a part that is content or reasoning, as a JSON string. */
cJSON *reply_part_text(const struct answer_choice *c, const struct answer_part *part);

/* "stop", "length", "tool_calls", "content_filter". */
const char *reply_finish_name(enum answer_finish finish);

/* OpenAI's logprobs of tokens [first, first + n) of a choice: {"content": [...]}. */
cJSON *reply_logprobs(const struct reply *r, const struct answer_choice *c, size_t first,
                      size_t n);
/* The array alone. */
cJSON *reply_logprobs_array(const struct reply *r, const struct answer_choice *c, size_t first,
                            size_t n);

/* The text of a token, what is no whole character in it replaced by U+FFFD; out is cleared
 * first. */
void reply_token_text(const struct reply *r, int32_t token, struct buf *out);

/* prompt_tokens and completion_tokens as OpenAI's completions name them. */
void reply_add_usage(cJSON *root, const struct answer_usage *usage);

/* answer_request.h: a request for an answer, whichever API it came through.
 *
 * Each API reads its own JSON into this one struct: chat_request.h, completion_request.h,
 * responses_request.h and anthropic_request.h. Fields that only carry information for other
 * servers are ignored; those that would change the answer and that this server cannot honour
 * are refused by name, never skipped. null counts as absent everywhere.
 *
 * Ownership: the parse function of the API fills, answer_request_deinit releases. Strings point
 * into `json` or into what the request owns. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/template/chat_template.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/api/constraint_fields.h"
#include "runtime/api/sampling_fields.h"
#include "runtime/api/tool_fields.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define ANSWER_MESSAGES_MAX   1024
#define ANSWER_STOP_MAX       16
#define ANSWER_STOP_BYTES_MAX 256
#define ANSWER_CHOICES_MAX    16
#define ANSWER_LOGPROBS_MAX   20
#define ANSWER_VARIABLES_MAX  64

/* A text to go on with, in place of messages. */
struct answer_prompt {
    const char *text; /* NULL: `tokens` */
    size_t text_len;
    struct token_list tokens;
};

/* What the client wants to know of the filters' findings. */
enum answer_moderation_mode {
    MODERATION_UNTOLD,
    MODERATION_SCORE, /* the answer tells them */
    MODERATION_BLOCK, /* and whatever a filter finds ends the answer */
};

struct answer_moderation {
    enum answer_moderation_mode input, output;
    const char *model; /* the chain, or NULL */
};

struct answer_request {
    const char *model; /* as asked for, or NULL */

    /* Either messages or prompts. */
    struct chat_message *messages; /* (n_messages), owned */
    size_t n_messages;
    struct answer_prompt *prompts; /* (n_prompts), owned */
    size_t n_prompts;
    const char *prompt_pin;    /* "profile" or "profile@version", or NULL */
    cJSON *prompt_variables;   /* object of up to ANSWER_VARIABLES_MAX strings, or NULL */
    cJSON *template_arguments; /* for the chat template beside the messages; owned, or NULL */

    bool stream;
    bool include_usage; /* a stream ends with the usage */
    int max_tokens;     /* 0: as many as fit */
    struct sampling sampling;
    unsigned given;                    /* enum sampling_given */
    const char *stop[ANSWER_STOP_MAX]; /* (n_stop) */
    size_t n_stop;
    int n_choices; /* answers to each prompt, 1 .. ANSWER_CHOICES_MAX */
    struct answer_moderation moderation;
    bool logprobs;
    int top_logprobs; /* 0 .. ANSWER_LOGPROBS_MAX */
    struct tool_list tools;
    struct constraint constraint; /* the form that the answer must have */

    /* Beyond OpenAI's: vLLM's ignore_eos, priority and cache_salt, and of Weir's own a
     * deadline. truncation is that of OpenAI's responses. */
    bool ignore_eos;
    bool truncate;          /* "truncation": "auto" */
    int priority;           /* lower comes first */
    int64_t deadline_ms;    /* from the arrival on; 0: none */
    const char *cache_salt; /* or NULL */

    cJSON *json;  /* the parsed body */
    char **owned; /* (n_owned) texts that are not in `json` */
    size_t n_owned;

    /* Of the last message while the body is read, when it comes in parts. */
    struct buf joined_text;
    cJSON *calls;
    size_t n_calls;
};

/* Reads a body: `fields` fills what the API in question has. On failure nothing is left to
 * release. Errors name the field in err.param. */
int answer_request_parse(struct answer_request *r, const char *body, size_t len,
                         int (*fields)(struct answer_request *r, struct err *e), struct err *e);
void answer_request_deinit(struct answer_request *r);

/* Takes `text` (mem_free) over; it lives as long as the request. On failure it is released, and
 * -1 returned. NULL is passed on as out of memory. */
int answer_request_own(struct answer_request *r, char *text, struct err *e);

/* Adds a message that says nothing yet; valid until the next one is added. NULL after an error.
 */
struct chat_message *answer_request_add_message(struct answer_request *r, const char *role,
                                                struct err *e);
void answer_message_set_text(struct chat_message *m, const char *text);

/* Puts text behind what the last message says, and one more call behind those it made
 * (`arguments` is JSON text). The message is whole when the next one is added or the body was
 * read. */
int answer_request_join_text(struct answer_request *r, const char *text, struct err *e);
int answer_request_add_call(struct answer_request *r, const char *id, const char *name,
                            const char *arguments, struct err *e);

/* ---- fields that several APIs have ---- */

int answer_fields_model(struct answer_request *r, struct err *e);
int answer_fields_stream(struct answer_request *r, struct err *e);
int answer_fields_max_tokens(struct answer_request *r, const char *name, struct err *e);
int answer_fields_stop(struct answer_request *r, const char *name, struct err *e);
/* How the request is run: how often, when, and beside whom. */
int answer_fields_running(struct answer_request *r, struct err *e);
/* prompt_variables, and where the API has no other use for that name `prompt`: the owner's
 * prompt that the request is for. */
int answer_fields_prompt(struct answer_request *r, bool has_pin, struct err *e);
/* chat_template_kwargs and reasoning_effort. */
int answer_fields_template(struct answer_request *r, struct err *e);
/* How much to think: a setting of some models' templates; of others "none" switches it off.
 * `where` is the field's name in errors. */
int answer_fields_effort(struct answer_request *r, const cJSON *object, const char *name,
                         const char *where, struct err *e);
/* Of those that cannot be honoured, the ones that APIs share. */
int answer_fields_unsupported(const struct answer_request *r, struct err *e);

/* The texts of a content: a string, or an array of parts of the given types (NULL-terminated
 * list), joined. Borrowed from the request; NULL after an error. */
const char *answer_fields_text(struct answer_request *r, const cJSON *content,
                               const char *const *types, const char *where, struct err *e);

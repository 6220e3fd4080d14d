/* chat_request.h: the body of POST /v1/chat/completions, checked.
 *
 * Fields are OpenAI's. Those that only carry information for other servers are ignored; those
 * that would change the answer and that this server cannot honour are refused by name, never
 * skipped. null counts as absent everywhere.
 *
 * Ownership: chat_request_parse fills, chat_request_deinit releases. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/template/chat_template.h"
#include "runtime/api/sampling_fields.h"
#include "runtime/base/err.h"

#define CHAT_MESSAGES_MAX   1024
#define CHAT_STOP_MAX       16
#define CHAT_STOP_BYTES_MAX 256
#define CHAT_CHOICES_MAX    16

enum chat_given {
    CHAT_GIVEN_TEMPERATURE = SAMPLING_GIVEN_TEMPERATURE,
    CHAT_GIVEN_SEED = SAMPLING_GIVEN_SEED
};

struct chat_request {
    const char *model; /* as asked for, or NULL */
    struct chat_message
        *messages; /* (n_messages); role and content point into `json` or `owned` */
    size_t n_messages;
    bool stream;
    bool include_usage;
    int max_tokens; /* 0: as many as fit */
    struct sampling sampling;
    unsigned given; /* enum chat_given: which settings the client chose itself */
    const char *stop[CHAT_STOP_MAX]; /* (n_stop) */
    size_t n_stop;
    int n_choices; /* answers, 1 .. CHAT_CHOICES_MAX */

    /* Beyond OpenAI's: vLLM's ignore_eos, priority and cache_salt, and of Weir's own a
     * deadline. truncation is that of OpenAI's responses. */
    bool ignore_eos;
    bool truncate;          /* "truncation": "auto" */
    int priority;           /* lower comes first */
    int64_t deadline_ms;    /* from the arrival on; 0: none */
    const char *cache_salt; /* or NULL */

    cJSON *json;  /* the parsed body */
    char **owned; /* (n_messages) contents joined from parts, or NULL */
};

/* Errors name the field in err.param. */
int chat_request_parse(struct chat_request *r, const char *body, size_t len, struct err *e);
void chat_request_deinit(struct chat_request *r);

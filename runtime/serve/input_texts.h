/* input_texts.h: all that the model will read of a request, as texts for the filters' input
 * side.
 *
 * That is everything a client can have the model read: contents of messages, the assistant's
 * too, as nothing proves that the model wrote them; reasoning; calls of tools; definitions of
 * tools; variables of the owner's prompt; arguments of the chat template; prompts. Of JSON the
 * strings and the names of members count, decoded, but not the words of JSON Schema itself, ids
 * and numbers.
 *
 * Each string is a text of its own. Only where filters ask a service outside, the strings of
 * one call list, tool or argument object are shown joined first, each on its own line, and one
 * by one if a filter changes that: so the service is asked once for each tool.
 *
 * Threads: the loop only. Ownership: the texts are the request's, which must stay. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/api/answer_request.h"
#include "runtime/serve/filter_run.h"

struct input_text;

/* The calls of a message, parsed. */
struct input_calls {
    cJSON *json;     /* NULL: none */
    bool is_changed; /* by a filter */
};

struct input_texts {
    struct answer_request *request;
    struct input_text *items; /* (n) */
    size_t n, cap;
    bool joins;
    struct input_calls *calls; /* (request->n_messages), or NULL */
};

/* All-zero holds nothing. */
void input_texts_deinit(struct input_texts *t);

/* ERR_UNSUPPORTED: a prompt of tokens, which filters cannot read. */
int input_texts_collect(struct input_texts *t, struct answer_request *request, bool joins,
                        struct err *e);

/* For struct filter_run_owner. Errors name "messages[i].content", "messages[i].tool_calls",
 * "tools[i]", "prompt_variables.NAME", "chat_template_kwargs" or "prompt". */
int input_texts_get(const struct input_texts *t, size_t index, struct filter_run_text *text);
/* ERR_FILTERED: a filter would have another name for a member, and then nobody knows it. */
int input_texts_take(struct input_texts *t, size_t index, char *text, size_t len,
                     struct err *e);

/* All are taken: calls that were changed are written again. */
int input_texts_finish(struct input_texts *t, struct err *e);

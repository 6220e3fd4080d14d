/* sft_example.h: one line of a fine-tuning file to a conversation.
 *
 * Known are the forms in which such files are found:
 *
 *     {"messages": [{"role", "content", ...}, ...], "tools": [...]}
 *                      OpenAI's: roles system (developer), user, assistant, tool; tool_calls
 * and tool_call_id; content as text, as parts of type text, or null beside calls; "weight": 0
 * at an answer that is not to be learnt; reasoning_content; "chat_template_kwargs" as in a
 * request
 *     {"prompt": "...", "completion": "..."}
 *                      a question and its answer; or both as lists of messages (TRL)
 *
 * What is wrong is said with the place: "messages[2].role". Keys that say nothing about the
 * conversation (an id, a source) are left alone, and so is a message's name, as the server
 * does.
 *
 * Ownership: an example owns all it points to. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/template/chat_template.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"

struct sft_example {
    cJSON *json;
    struct chat_message *messages; /* (n_messages); the last one is the assistant's */
    bool *learn;                   /* (n_messages) answers of the assistant's that count */
    size_t n_messages;
    const cJSON *tools;  /* or NULL */
    const cJSON *kwargs; /* or NULL */
    char **owned;        /* (n_owned) texts that were put together */
    size_t n_owned;
};

/* On failure nothing needs releasing. */
int sft_example_parse(struct sft_example *x, const char *line, size_t len, struct err *e);
void sft_example_deinit(struct sft_example *x);

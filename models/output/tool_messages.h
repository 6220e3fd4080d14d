/* tool_messages.h: a conversation with tools, made fit for a model's template.
 *
 * In the API arguments are JSON text, an answer may have several calls and ids are whatever the
 * server once chose; templates want objects, one call, ids of nine letters
 * (output_format.h). For a template that knows tools the messages are changed to that. For one
 * that does not, the tools are described in the system message (where the template takes none,
 * in front of the first user message), earlier calls become the text that the model would have
 * written, and results become messages of the user.
 *
 * All that comes from messages and tools stays text: none of it can become a control token.
 *
 * Ownership: tool_messages_init fills, tool_messages_deinit releases; texts that are not
 * changed are borrowed from the messages given. Threads: none. */
#pragma once

#include "models/output/output_format.h"
#include "models/template/chat_template.h"

#define TOOL_CALLS_MAX 128 /* in one message */

struct tool_messages {
    struct chat_message *messages; /* (n_messages) */
    size_t n_messages;
    const cJSON *tools; /* what chat_render.tools is to be; borrowed */
    char **owned;       /* (n_owned) */
    size_t n_owned;
    size_t cap_owned;
};

/* `tools`: array in the shape of chat completions, or NULL; what it says is taken to have been
 * checked. `in`: tool_calls are JSON text of an array of {id, type, function: {name,
 * arguments}}. Arguments that are no JSON object (half a call that was sent back) stay text. On
 * failure nothing needs releasing; errors name the message: "messages[3].tool_calls". */
int tool_messages_init(struct tool_messages *m, const struct output_format *f,
                       const struct chat_message *in, size_t n, const cJSON *tools,
                       struct err *e);
void tool_messages_deinit(struct tool_messages *m);

/* Writes an id of nine letters and digits for any id; the same for the same, and one that has
 * this form already as it is. */
void tool_messages_short_id(const char *id, char out[10]);

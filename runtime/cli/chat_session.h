/* chat_session.h: the conversation of `weir chat`: messages go to a source of answers, lines
 * that begin with / are commands. Command-internal. */
#pragma once

#include <stdbool.h>

#include "runtime/cli/chat.h"
#include "runtime/cli/chat_input.h"

#define CHAT_MESSAGE_MAX ((size_t)4 << 20)
#define CHAT_ANSWER_MAX  ((size_t)16 << 20)

struct chat_session {
    const struct chat_source *source; /* borrowed */
    struct chat_input *input;         /* borrowed */
    struct chat_turns turns;          /* the caller deinitialises them */
    struct chat_parameters parameters;
    bool is_terminal; /* somebody sits there: mistakes are told and do not end it, Ctrl-C stops
                         an answer, control characters of answers are not passed on */
    bool has_ended;
};

/* Until the end of the input or /exit. Without a terminal the first error ends it. */
int chat_session_run(struct chat_session *s, struct err *e);

/* Has the source answer the user's message, which is the last one, shows what comes, and adds
 * it to the turns. Without an answer, also where it was stopped, they stay as they are. */
int chat_session_answer(struct chat_session *s, struct err *e);

/* A line that begins with '/'. */
int chat_command(struct chat_session *s, const char *line, struct err *e);

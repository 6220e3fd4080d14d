/* chat_reply.h: the answers of POST /v1/chat/completions as JSON text.
 *
 * One chat.completion object, or a chat.completion.chunk for each piece of a stream: for each
 * choice first a chunk with the role, then text, then one with the finish reason; behind all of
 * them, if asked for, one with the usage.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chat_reply {
    const char *id;          /* "chatcmpl-..." */
    int64_t created;         /* Unix seconds */
    const char *model;       /* "name@version" */
    const char *fingerprint; /* names weights, prompt and filters */
};

struct chat_usage {
    size_t prompt_tokens;
    size_t cached_tokens; /* of those, that were computed before */
    size_t completion_tokens;
};

enum chat_finish { CHAT_FINISH_STOP, CHAT_FINISH_LENGTH, CHAT_FINISH_CONTENT_FILTER };

struct chat_choice {
    const char *content;
    enum chat_finish finish;
};

/* choices: (n), index 0 first. */
char *chat_reply_whole(const struct chat_reply *r, const struct chat_choice *choices, size_t n,
                       const struct chat_usage *usage, size_t *len);

/* Chunks of a stream. with_usage: the stream ends with a usage chunk, so all others carry a
 * null. */
char *chat_chunk_role(const struct chat_reply *r, bool with_usage, int index, size_t *len);
char *chat_chunk_text(const struct chat_reply *r, bool with_usage, int index, const char *text,
                      size_t *len);
char *chat_chunk_finish(const struct chat_reply *r, bool with_usage, int index,
                        enum chat_finish finish, size_t *len);
char *chat_chunk_usage(const struct chat_reply *r, const struct chat_usage *usage, size_t *len);

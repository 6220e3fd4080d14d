/* chat.h: what the two kinds of `weir chat` share: lines in, answers out. Command-internal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/template/chat_template.h"
#include "runtime/base/err.h"

struct chat_turns {
    struct chat_message *messages; /* (count); contents owned */
    size_t count;
    size_t cap;
};

/* Copies the text. */
int chat_turns_add(struct chat_turns *t, const char *role, const char *content, size_t len,
                   struct err *e);
void chat_turns_clear(struct chat_turns *t); /* all but a leading system message */
void chat_turns_deinit(struct chat_turns *t);

/* Gives one piece of an answer to the terminal. */
typedef int chat_text_fn(void *ctx, const char *text, size_t len);

/* Where answers come from. */
struct chat_source {
    void *ctx;
    int (*answer)(void *ctx, const struct chat_turns *t, chat_text_fn *on_text, void *text_ctx,
                  struct err *e);
};

struct chat_remote;

/* A server's /v1/chat/completions. key may be NULL. The source is valid until
 * chat_remote_close. */
struct chat_remote *chat_remote_open(const char *url, const char *key,
                                     struct chat_source *source, struct err *e);
void chat_remote_close(struct chat_remote *r);

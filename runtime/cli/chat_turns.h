/* chat_turns.h: a conversation, and its file. Command-internal. */
#pragma once

#include <stddef.h>

#include "models/template/chat_template.h"
#include "runtime/base/err.h"

struct chat_turns {
    struct chat_message *messages; /* (count); contents owned, roles are of the program */
    size_t count;
    size_t cap;
};

/* Copies the text. role: "system", "user" or "assistant", not copied. */
int chat_turns_add(struct chat_turns *t, const char *role, const char *content, size_t len,
                   struct err *e);
void chat_turns_drop(struct chat_turns *t);  /* the last one */
void chat_turns_clear(struct chat_turns *t); /* all but a leading system message */
void chat_turns_deinit(struct chat_turns *t);

/* The role of the last one, "" if there is none. */
const char *chat_turns_last_role(const struct chat_turns *t);

/* The leading system message, or NULL. */
const char *chat_turns_system(const struct chat_turns *t);

/* Puts one there, or takes it away (text NULL). */
int chat_turns_set_system(struct chat_turns *t, const char *text, struct err *e);

/* {"messages": [{"role", "content"}, ...]}, readable by its owner alone. */
int chat_turns_save(const struct chat_turns *t, const char *path, struct err *e);

/* Replaces all; on failure nothing changes, and the message names the member. An array of
 * messages is read too. */
int chat_turns_load(struct chat_turns *t, const char *path, struct err *e);

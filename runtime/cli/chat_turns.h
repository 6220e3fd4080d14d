/* chat_turns.h: a conversation, and its file. Command-internal. */
#pragma once

#include <stdbool.h>
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

/* Takes the last one out; the content is the caller's (mem_free), or goes back with
 * chat_turns_put_back, which needs no memory. */
struct chat_message chat_turns_take(struct chat_turns *t);
void chat_turns_put_back(struct chat_turns *t, struct chat_message taken);

/* Whether the last one is of that role. */
bool chat_turns_ends_with(const struct chat_turns *t, const char *role);

/* Whether the last one is the user's, or an answer to it. */
bool chat_turns_has_question(const struct chat_turns *t);

/* The leading system message, or NULL. */
const char *chat_turns_system(const struct chat_turns *t);

/* Puts one there, or takes it away (text NULL). */
int chat_turns_set_system(struct chat_turns *t, const char *text, struct err *e);

/* {"messages": [{"role", "content"}, ...]}. A new file is its owner's alone; one that is there
 * keeps its mode. */
int chat_turns_save(const struct chat_turns *t, const char *path, struct err *e);

/* Replaces all; on failure nothing changes, and the message names the member. An array of
 * messages is read too. */
int chat_turns_load(struct chat_turns *t, const char *path, struct err *e);

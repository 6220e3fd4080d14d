/* conversation.h: the messages that the model reads: the owner's prompt first, then the
 * client's.
 *
 * Models are trained with one system message at the beginning, so the owner's text and any
 * system messages that the client put first become one, the owner's before the client's, unless
 * the prompt's mode says otherwise. Where it stands alone, system messages further on are left
 * out too. Behind it come the prompt's examples, as turns that were
 * held before. */
#pragma once

#include "models/template/chat_template.h"
#include "runtime/api/answer_request.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/answer_prompt.h"

struct conversation {
    struct chat_message *messages; /* (n_messages); contents borrowed but for the system text */
    size_t n_messages;
    size_t first;  /* of the client's among them */
    char *system;  /* owned, or NULL */
    char **filled; /* (n_filled) texts of examples, owned */
    size_t n_filled;
};

/* What the source points to is borrowed until conversation_deinit. */
int conversation_init(struct conversation *c, const struct answer_prompt_source *s,
                      struct err *e);
void conversation_deinit(struct conversation *c);

/* How many messages may be dropped to make a conversation shorter: all but leading system
 * messages and the last one. */
size_t conversation_droppable(const struct chat_message *messages, size_t n);

/* How many of them have to go before the rest has at most max_bytes. */
size_t conversation_excess(const struct chat_message *messages, size_t n, size_t max_bytes);

/* Drops the oldest ones of the client's. */
void conversation_drop_oldest(struct conversation *c, size_t n);

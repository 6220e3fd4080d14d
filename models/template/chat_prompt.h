/* chat_prompt.h: a conversation to the tokens that the model reads.
 *
 * Control tokens are looked for only in bytes that the template wrote. What lies between two of
 * them is encoded as one text, whether it came from the template or from a message: the same
 * tokens that peers get from encoding the whole rendered text, without their risk. */
#pragma once

#include "models/template/chat_template.h"
#include "models/tokenizer/tokenizer.h"

/* Appends the prompt of a conversation, the beginning of the assistant's turn included. */
int chat_prompt_tokens(const struct chat_template *t, const struct tokenizer *tokenizer,
                       const struct chat_message *messages, size_t n_messages,
                       struct token_list *out, struct err *e);

/* The text of the same prompt, for people. The caller releases it with chat_text_deinit. */
int chat_prompt_text(const struct chat_template *t, const struct tokenizer *tokenizer,
                     const struct chat_message *messages, size_t n_messages,
                     bool add_generation_prompt, struct chat_text *out, struct err *e);

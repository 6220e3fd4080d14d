/* chat_prompt.h: a conversation to the tokens that the model reads.
 *
 * Control tokens are looked for only in bytes that the template wrote. What lies between two of
 * them is encoded as one text, whether it came from the template or from a message: byte-pair
 * merges may join "user\n" from the template with "\nHello" from a message, as they do for
 * peers who encode the whole rendered text, so the tokens are the ones that the model was
 * trained on. The peers' risk is not taken: no byte of a message is ever part of a control
 * token. */
#pragma once

#include "models/template/chat_template.h"
#include "models/tokenizer/tokenizer.h"

/* Appends the prompt of a conversation, the beginning of the assistant's turn included. On
 * failure *out is as it was. */
int chat_prompt_tokens(const struct chat_template *t, const struct tokenizer *tokenizer,
                       const struct chat_message *messages, size_t n_messages,
                       struct token_list *out, struct err *e);

/* The two halves of it, for all that chat_render can say. Renders with the tokenizer's bos and
 * eos; those of `in` are not read. */
int chat_prompt_render(const struct chat_template *t, const struct tokenizer *tokenizer,
                       const struct chat_render *in, struct chat_text *out, struct err *e);
/* Appends the tokens of a rendered text, with bos in front where the model wants it and the
 * template did not write it. On failure *out is as it was. */
int chat_prompt_encode(const struct tokenizer *tokenizer, const struct chat_text *text,
                       struct token_list *out, struct err *e);
/* The same for a text that others go before: without bos. */
int chat_prompt_encode_part(const struct tokenizer *tokenizer, const struct chat_text *text,
                            struct token_list *out, struct err *e);

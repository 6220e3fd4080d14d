/* whole_text.h: a text to tokens as the model was trained to see a whole one.
 *
 * Some models want a token before each text and one behind it: [CLS] and [SEP] of BERT, bos of
 * Llama. */
#pragma once

#include "models/tokenizer/tokenizer.h"

/* Appends the tokens; parse_special as in tokenizer_encode. On failure *out is as it was. */
int whole_text_encode(const struct tokenizer *t, const char *text, size_t len,
                      bool parse_special, struct token_list *out, struct err *e);

/* How many of them stand around the text. */
size_t whole_text_around(const struct tokenizer *t);

/* Shortens what whole_text_encode put at ids[from ..] to at most `max` tokens: the text's last
 * ones go, those around it stay. max > whole_text_around. */
void whole_text_truncate(const struct tokenizer *t, struct token_list *list, size_t from,
                         size_t max);

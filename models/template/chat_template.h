/* chat_template.h: the text that a model reads for a conversation, made by the template in its
 * file.
 *
 * GGUF keeps it in tokenizer.chat_template: Jinja, as transformers' apply_chat_template runs
 * it. It is compiled once, when the model is loaded; a template that needs something unknown
 * here is an error then, never a fall-back to another template. Rendering runs under limits of
 * steps, memory and nesting.
 *
 * Which output may be control tokens: only bytes that stood in the template itself. Bytes of
 * messages stay marked as text through everything the template does to them (jinja_value.h), so
 * a user who writes "<|im_end|>" has written ten characters.
 *
 * Ownership: chat_template_compile returns to the caller. Threads: immutable; any number may
 * render. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

struct chat_template;

/* Strings are borrowed. */
struct chat_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
    size_t content_len;
};

/* Rendered text; trusted[i] says whether byte i came from the template. */
struct chat_text {
    char *data;             /* (len) owned, not NUL-terminated */
    unsigned char *trusted; /* (len) owned */
    size_t len;
};

/* NULL on failure: the message names the line and what is wrong. */
struct chat_template *chat_template_compile(const char *source, size_t len, struct err *e);
void chat_template_destroy(struct chat_template *t); /* accepts NULL */

struct chat_render {
    const struct chat_message *messages;
    size_t n_messages;
    bool add_generation_prompt; /* end with the beginning of the assistant's turn */
    const char *bos_token;      /* names of control tokens, "" when the model has none */
    const char *eos_token;
};

/* Fills *out, which chat_text_deinit releases. ERR_INVALID when the template itself refuses the
 * conversation (raise_exception). */
int chat_template_render(const struct chat_template *t, const struct chat_render *in,
                         struct chat_text *out, struct err *e);
void chat_text_deinit(struct chat_text *text);

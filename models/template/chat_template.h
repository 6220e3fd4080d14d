/* chat_template.h: the text that a model reads for a conversation, made by the template in its
 * file.
 *
 * GGUF keeps it in tokenizer.chat_template: Jinja, as transformers' apply_chat_template runs
 * it. It is compiled once, when the model is loaded; a template that needs something unknown
 * here is an error then, never a fall-back to another template.
 *
 * Both the template and the conversation may be hostile. A rendering may use steps, memory and
 * output in proportion to the conversation it renders, and nesting is bounded: a loop without
 * end is an error of kind ERR_LIMIT after some milliseconds.
 *
 * Which output may be control tokens: only bytes that stood in the template itself, in
 * bos_token and eos_token, and in the names of the usual roles. Bytes of messages and tools
 * stay marked as text through everything the template does to them (jinja_value.h), so a user
 * who writes
 * "<|im_end|>" has written ten characters.
 *
 * Ownership: chat_template_compile returns to the caller. Threads: immutable; any number may
 * render. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/json.h"

#define CHAT_TEMPLATE_BYTES_MAX ((size_t)256 << 10)

struct chat_template;
struct gguf;

/* Strings are borrowed; all-zero but for the role and content is a plain message. */
struct chat_message {
    const char *role;    /* "system", "user", "assistant", "tool" */
    const char *content; /* NULL: none, as beside tool_calls */
    size_t content_len;
    const char *reasoning;    /* reasoning_content (and thinking) in the template, or NULL */
    const char *tool_calls;   /* JSON text of an array, or NULL */
    const char *tool_call_id; /* or NULL */
};

/* Rendered text; trusted[i] says whether byte i came from the template. */
struct chat_text {
    char *data;             /* (len) owned, not NUL-terminated */
    unsigned char *trusted; /* (len) owned; 0 or 1 */
    size_t len;
};

/* NULL on failure: the message names the line and what is wrong. ERR_FORMAT: it is no Jinja;
 * ERR_UNSUPPORTED: it uses what is not here; ERR_LIMIT: it is too large or too deep. */
struct chat_template *chat_template_compile(const char *source, size_t len, struct err *e);
/* The one in a model's file. ERR_UNSUPPORTED: it has none. */
struct chat_template *chat_template_from_gguf(const struct gguf *g, struct err *e);
void chat_template_destroy(struct chat_template *t); /* accepts NULL */

struct chat_render {
    const struct chat_message *messages;
    size_t n_messages;
    bool add_generation_prompt; /* end with the beginning of the assistant's turn */
    const char *bos_token;      /* names of control tokens, "" when the model has none */
    const char *eos_token;
    const cJSON *tools;  /* array as in a request, or NULL */
    const cJSON *kwargs; /* chat_template_kwargs: enable_thinking, reasoning_effort; or NULL */
    int64_t unix_time;   /* what strftime_now shows, as UTC; 0: the present */
};

/* Fills *out, which chat_text_deinit releases. ERR_INVALID when the template itself refuses the
 * conversation (raise_exception, whose words are the message) or cannot work on it. */
int chat_template_render(const struct chat_template *t, const struct chat_render *in,
                         struct chat_text *out, struct err *e);
void chat_text_deinit(struct chat_text *text);

/* output_format.h: how a model writes calls of tools and its reasoning, and how its template
 * wants the calls of earlier turns.
 *
 * None of it stands in a model file. The template is asked: short conversations with a tool, a
 * call and its result are rendered, and what stands around the call's name and arguments is how
 * the model was taught to write one. A template that does not know tools, or writes calls in a
 * way that is unknown here, gets OUTPUT_CALLS_JSON: tool_messages.h then describes the tools in
 * plain words, and calls are written as it says there.
 *
 * Ownership: a plain value; its strings are static. Threads: immutable once detected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/template/chat_template.h"
#include "models/tokenizer/tokenizer.h"

enum output_calls {
    OUTPUT_CALLS_JSON,   /* {"tool_calls": [{"name": "f", "arguments": {}}, ...]} */
    OUTPUT_CALLS_TAGGED, /* <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call> ...
                            (Hermes, Qwen, Granite) */
    OUTPUT_CALLS_BARE,   /* {"name": "f", "parameters": {}}, or that behind <|python_tag|>
                            (Llama 3) */
    OUTPUT_CALLS_LIST,   /* [TOOL_CALLS][{"name": "f", "arguments": {}}, ...] (Mistral) */
    OUTPUT_CALLS_NAMED,  /* [TOOL_CALLS]f[ARGS]{} ... (Mistral since 2025) */
};

#define OUTPUT_VISIBLE_MAX 8

struct output_format {
    enum output_calls calls;
    bool call_ids; /* OUTPUT_CALLS_NAMED: [CALL_ID] and an id stand before [ARGS] */

    /* Around reasoning: "<think>" and "</think>", or NULL where the model has none. */
    const char *think_open;
    const char *think_close;

    /* What the template wants; of OUTPUT_CALLS_JSON only no_system is used. */
    bool arguments_text; /* arguments as JSON text, not as an object */
    bool empty_content;  /* beside calls "" and not null */
    bool short_ids;      /* ids of calls are nine letters and digits */
    bool one_call;       /* a message has one call at most */
    bool no_system;      /* no system messages */

    /* Control tokens of which the parser must see the names, though no reader may. */
    int32_t visible[OUTPUT_VISIBLE_MAX]; /* (n_visible) */
    size_t n_visible;
};

/* Asks a template. The tokenizer may be NULL: then nothing is in `visible`. -1 when memory ran
 * out; a template that refuses all that it is asked has told its format by it. */
int output_format_detect(struct output_format *f, const struct chat_template *t,
                         const struct tokenizer *tokenizer, struct err *e);

/* Whether the template is to be given the tools; if not, tool_messages.h describes them. */
bool output_format_template_has_tools(const struct output_format *f);

/* Whether a rendered prompt ends inside reasoning that it has opened itself. */
bool output_format_prompt_open(const struct output_format *f, const char *prompt, size_t len);

/* The text of a control token for output_parser_feed, or NULL: then the decoder says what the
 * token means. Constrained output too must take such a token for this text. */
const char *output_format_token_text(const struct output_format *f,
                                     const struct tokenizer *tokenizer, int32_t id);

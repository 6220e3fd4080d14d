/* sft_render.h: a conversation to the tokens that are trained on, by the model's own chat
 * template, with the answers marked.
 *
 * What is learnt is what the server will want: for each answer the prompt is rendered and made
 * into tokens exactly as for a request that asks for it (tools included, tool_messages.h), and
 * the answer is what the template writes behind that prompt, up to the token that ends a
 * generation. Answers that the next prompt repeats token by token share a document; where a
 * template writes earlier turns in another way (it drops their reasoning, say), the next answer
 * begins a document of its own.
 *
 * Where the text with the answer does not begin with the prompt:
 *   - the prompt may have opened the reasoning (DeepSeek R1): reasoning_content, or nothing,
 * and its end come before the answer;
 *   - the template may have written what lies further back differently (Mistral puts the system
 *     message into the last question): the answer is found by rendering another one in its
 *     place, and must follow the same words of the template as the prompt ends with.
 * Anything else is an error. So is an answer whose text, reasoning or calls the template leaves
 * out: nothing is learnt that nobody wrote.
 *
 * Control tokens come from the template alone, as in chat_prompt.h.
 *
 * Ownership: everything is borrowed. Threads: none. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/output/output_format.h"
#include "models/template/chat_template.h"
#include "models/tokenizer/tokenizer.h"
#include "models/train/sft_example.h"
#include "runtime/base/err.h"

struct sft_renderer {
    const struct chat_template *chat_template;
    const struct tokenizer *tokenizer;
    struct output_format format; /* output_format_detect */
    int64_t unix_time;           /* what the template takes for the present */
    uint64_t n_ends_added; /* answers behind which the template wrote no token that ends them,
                              so that eos was put there */
};

/* A document: tokens with DATASET_LEARN (dataset.h) at what is learnt. -1 ends the rendering.
 */
typedef int (*sft_emit)(void *ctx, const uint32_t *tokens, size_t n, struct err *e);

int sft_render(struct sft_renderer *r, const struct sft_example *x, sft_emit emit, void *ctx,
               struct err *e);

#include <string.h>

#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/model_gate_parts.h"

int model_gate_tokens(const struct generation *g, const struct prompt *no_prompt,
                      const struct model_question *q, struct token_list *out,
                      bool *reasoning_open, struct err *e)
{
    struct chat_message messages[MODEL_GOLDEN_TURNS_MAX];
    struct answer_prompt text = {.text = q->prompt,
                                 .text_len = q->prompt ? strlen(q->prompt) : 0};
    for (size_t i = 0; i < q->n_turns; i++) {
        messages[i] = (struct chat_message){.role = q->turns[i].role,
                                            .content = q->turns[i].content,
                                            .content_len = strlen(q->turns[i].content)};
    }
    const struct answer_request request = {.messages = messages,
                                           .n_messages = q->n_turns,
                                           .prompts = q->prompt ? &text : NULL,
                                           .n_prompts = q->prompt ? 1 : 0,
                                           .n_choices = 1};
    const struct answer_prompt_source source = {
        .generation = g, .prompt = no_prompt, .request = &request};
    return answer_prompt_tokens(&source, 0, out, reasoning_open, e);
}

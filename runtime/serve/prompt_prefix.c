#include "runtime/serve/prompt_prefix.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/serve/answer_prompt.h"

/* The tokens of a conversation that asks `text`, which is also what variables say that have no
 * value of their own. */
static int ask(const struct generation *g, struct prompt *p, const char *text,
               struct token_list *out, struct err *e)
{
    struct prompt_value values[PROMPT_VARIABLES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < p->n_variables; i++) {
        if (!p->variables[i].value) {
            values[n++] = (struct prompt_value){.name = p->variables[i].name, .value = text};
        }
    }
    struct chat_message message = {
        .role = "user", .content = text, .content_len = strlen(text)};
    const struct answer_request request = {
        .messages = &message, .n_messages = 1, .n_choices = 1};
    const struct answer_prompt_source source = {
        .generation = g, .prompt = p, .values = values, .n_values = n, .request = &request};
    bool reasoning_open;
    return answer_prompt_tokens(&source, 0, out, &reasoning_open, e);
}

int prompt_prefix_find(const struct generation *g, struct prompt *p, struct token_list *out,
                       struct err *e)
{
    struct token_list other = {0};
    /* What is common to two questions that have nothing in common. */
    if (ask(g, p, "a", out, e) != 0 || ask(g, p, "9 %", &other, e) != 0) {
        out->count = 0;
        token_list_deinit(&other);
        return -1;
    }
    size_t n = 0;
    while (n < out->count && n < other.count && out->ids[n] == other.ids[n]) {
        n++;
    }
    out->count = n;
    token_list_deinit(&other);
    return 0;
}

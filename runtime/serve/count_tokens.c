#include "runtime/serve/count_tokens.h"

#include "runtime/api/anthropic_request.h"
#include "runtime/api/json_text.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/prompt_pick.h"
#include "runtime/serve/respond.h"

void count_tokens_answer(struct server *s, struct http_exchange *http)
{
    const struct http_request *body = http_exchange_request(http);
    struct err e = {0};
    struct answer_request request;
    struct prompt *prompt;
    struct token_list tokens = {0};
    bool reasoning_open;
    if (anthropic_count_request_parse(&request, body->body, body->body_len, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct prompt_value values[ANSWER_VARIABLES_MAX];
    struct answer_prompt_source source = {.generation = s->generation,
                                          .values = values,
                                          .n_values = answer_prompt_values(&request, values),
                                          .request = &request};
    if (prompt_pick_served(s, http, &request, &prompt, &e) == 0) {
        source.prompt = prompt;
    }
    if (!source.prompt || answer_prompt_tokens(&source, 0, &tokens, &reasoning_open, &e) != 0) {
        respond_err(http, &e);
    } else {
        size_t len = 0;
        cJSON *root = cJSON_CreateObject();
        cJSON_AddNumberToObject(root, "input_tokens", (double)tokens.count);
        char *text = json_text_take(root, &len);
        respond_json(http, 200, text, len, NULL, 0);
    }
    token_list_deinit(&tokens);
    answer_request_deinit(&request);
}

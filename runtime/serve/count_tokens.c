#include "runtime/serve/count_tokens.h"

#include "runtime/api/anthropic_request.h"
#include "runtime/api/json_text.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/prompt_pick.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/sticky.h"

static int count(struct server *s, struct http_exchange *http,
                 const struct answer_request *request, struct model_missing *missing, size_t *n,
                 struct provenance *made_by, struct err *e)
{
    const struct model_ask ask = {.http = http_exchange_request(http),
                                  .model = request->model,
                                  .sticky = sticky_of(s, http, request),
                                  .conversation = sticky_of_conversation(request),
                                  .missing = missing};
    struct generation *g = model_pick(s, &ask, e);
    if (!g || generation_check_text(g, e) != 0) {
        return -1;
    }
    (void)provenance_model(made_by, g);
    struct prompt *prompt;
    if (prompt_pick_served(s, http, request, &prompt, e) != 0) {
        return -1;
    }
    if (!prompt) {
        return err_set_param(e, ERR_UNSUPPORTED, "prompt",
                             "tokens are counted under versions that are active or in a trial");
    }
    struct prompt_value values[ANSWER_VARIABLES_MAX];
    const struct answer_prompt_source source = {.generation = g,
                                                .prompt = prompt,
                                                .values = values,
                                                .n_values =
                                                    answer_prompt_values(request, values),
                                                .request = request};
    struct token_list tokens = {0};
    bool reasoning_open;
    int rc = answer_prompt_tokens(&source, 0, &tokens, &reasoning_open, e);
    *n = tokens.count;
    token_list_deinit(&tokens);
    return rc;
}

void count_tokens_answer(struct server *s, struct http_exchange *http)
{
    const struct http_request *body = http_exchange_request(http);
    struct err e = {0};
    struct answer_request request;
    struct model_missing missing = {0};
    struct provenance made_by;
    size_t n = 0;
    if (anthropic_count_request_parse(&request, body->body, body->body_len, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    if (count(s, http, &request, &missing, &n, &made_by, &e) != 0) {
        model_wait_or_refuse(s, http, &missing, 0, &e);
    } else {
        size_t len = 0;
        cJSON *root = cJSON_CreateObject();
        cJSON_AddNumberToObject(root, "input_tokens", (double)n);
        char *text = json_text_take(root, &len);
        const struct http_header header = {"weir-model", made_by.model};
        respond_json(http, 200, text, len, &header, 1);
    }
    answer_request_deinit(&request);
}

#include "runtime/api/tokens_request.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/json.h"

static int parse_string(const cJSON *json, const char *name, const char **out, struct err *e)
{
    const cJSON *item = json_field_get(json, name);
    if (item && !cJSON_IsString(item)) {
        return json_field_wrong_type(name, "a string", e);
    }
    *out = item ? item->valuestring : NULL;
    return 0;
}

/* One of the three must be there: llama-server's "content", or vLLM's "prompt" or "messages".
 */
static int parse_subject(struct tokenize_request *r, struct err *e)
{
    const char *content = NULL, *prompt = NULL;
    if (parse_string(r->json, "content", &content, e) != 0 ||
        parse_string(r->json, "prompt", &prompt, e) != 0) {
        return -1;
    }
    bool messages = json_field_get(r->json, "messages") != NULL;
    if ((content != NULL) + (prompt != NULL) + messages != 1) {
        return err_set_param(e, ERR_INVALID, "content",
                             "one of \"content\", \"prompt\" and \"messages\" is needed");
    }
    r->text = content ? content : prompt;
    r->text_len = r->text ? strlen(r->text) : 0;
    if (r->text_len > TOKENIZE_BYTES_MAX) {
        const char *name = content ? "content" : "prompt";
        return err_set_param(e, ERR_LIMIT, name, "\"%s\" has %zu bytes, %zu are allowed", name,
                             r->text_len, TOKENIZE_BYTES_MAX);
    }
    r->add_special = prompt != NULL; /* vLLM adds them if nothing is said, llama-server not */
    return 0;
}

int tokenize_request_parse(struct tokenize_request *r, const char *body, size_t len,
                           struct err *e)
{
    *r = (struct tokenize_request){.add_generation_prompt = true};
    r->json = json_parse_object(body, len, e);
    if (!r->json) {
        return -1;
    }
    if (parse_string(r->json, "model", &r->model, e) != 0 || parse_subject(r, e) != 0 ||
        json_field_bool(r->json, "add_special", &r->add_special, e) != 0 ||
        json_field_bool(r->json, "add_special_tokens", &r->add_special, e) != 0 ||
        json_field_bool(r->json, "parse_special", &r->parse_special, e) != 0 ||
        json_field_bool(r->json, "with_pieces", &r->with_pieces, e) != 0 ||
        json_field_bool(r->json, "return_token_strs", &r->with_names, e) != 0 ||
        json_field_bool(r->json, "add_generation_prompt", &r->add_generation_prompt, e) != 0) {
        tokenize_request_deinit(r);
        return -1;
    }
    return 0;
}

void tokenize_request_deinit(struct tokenize_request *r)
{
    cJSON_Delete(r->json);
    *r = (struct tokenize_request){0};
}

static int wrong_token(size_t index, int vocab, struct err *e)
{
    return err_set_param(e, ERR_INVALID, "tokens",
                         "\"tokens[%zu]\" is no token id; ids are 0 to %d", index, vocab - 1);
}

static int parse_tokens(struct detokenize_request *r, struct err *e)
{
    const cJSON *list = json_field_get(r->json, "tokens");
    if (!cJSON_IsArray(list)) {
        return json_field_wrong_type("tokens", "an array of token ids", e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
        if (!(id >= 0.0 && id < INT32_MAX && floor(id) == id)) {
            return wrong_token(r->tokens.count, INT32_MAX, e);
        }
        if (r->tokens.count == DETOKENIZE_TOKENS_MAX) {
            return err_set_param(e, ERR_LIMIT, "tokens", "\"tokens\" has more than %d ids",
                                 DETOKENIZE_TOKENS_MAX);
        }
        if (token_list_push(&r->tokens, (int32_t)id) != 0) {
            return err_nomem(e);
        }
    }
    return 0;
}

int detokenize_request_parse(struct detokenize_request *r, const char *body, size_t len,
                             struct err *e)
{
    *r = (struct detokenize_request){.json = json_parse_object(body, len, e)};
    if (!r->json) {
        return -1;
    }
    if (parse_string(r->json, "model", &r->model, e) != 0 || parse_tokens(r, e) != 0) {
        detokenize_request_deinit(r);
        return -1;
    }
    return 0;
}

int detokenize_request_check(const struct detokenize_request *r, int vocab, struct err *e)
{
    for (size_t i = 0; i < r->tokens.count; i++) {
        if (r->tokens.ids[i] >= vocab) {
            return wrong_token(i, vocab, e);
        }
    }
    return 0;
}

void detokenize_request_deinit(struct detokenize_request *r)
{
    token_list_deinit(&r->tokens);
    cJSON_Delete(r->json);
    *r = (struct detokenize_request){0};
}

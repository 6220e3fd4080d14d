#include "runtime/api/embeddings_request.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

void embeddings_request_name(const struct embeddings_request *r, size_t i, char out[32])
{
    if (r->is_list) {
        snprintf(out, 32, "input[%zu]", i);
    } else {
        snprintf(out, 32, "input");
    }
}

/* --- input --- */

static int refuse_id(const char *where, int vocab, struct err *e)
{
    return err_set_param(e, ERR_INVALID, where,
                         "\"%s\" holds what is no token id; ids are 0 to %d", where, vocab - 1);
}

/* An id, or a negative number after an error. */
static int32_t read_id(const cJSON *item, const char *where, int vocab, struct err *e)
{
    double id = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
    int most = vocab > 0 ? vocab : INT32_MAX;
    return id >= 0.0 && id < most && floor(id) == id ? (int32_t)id : refuse_id(where, most, e);
}

/* `items` is the whole input, or one of its elements. */
static int add_tokens(struct embeddings_request *r, const cJSON *items, int vocab,
                      struct err *e)
{
    char where[32];
    struct embeddings_input *input = &r->inputs[r->n_inputs];
    embeddings_request_name(r, r->n_inputs, where);
    *input = (struct embeddings_input){.first = r->tokens.count};
    const cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        int32_t id = read_id(item, where, vocab, e);
        if (id < 0) {
            return -1;
        }
        if (r->tokens.count == EMBEDDINGS_TOKENS_MAX) {
            return err_set_param(e, ERR_LIMIT, "input",
                                 "\"input\" has more than %d tokens together",
                                 EMBEDDINGS_TOKENS_MAX);
        }
        if (token_list_push(&r->tokens, id) != 0) {
            return err_nomem(e);
        }
    }
    input->end = r->tokens.count;
    if (input->end == input->first) {
        return err_set_param(e, ERR_INVALID, where, "\"%s\" is empty", where);
    }
    r->n_inputs++;
    return 0;
}

static int add_text(struct embeddings_request *r, const cJSON *item, struct err *e)
{
    char where[32];
    embeddings_request_name(r, r->n_inputs, where);
    if (item->valuestring[0] == '\0') {
        return err_set_param(e, ERR_INVALID, where, "\"%s\" is empty", where);
    }
    r->inputs[r->n_inputs++] = (struct embeddings_input){.text = item->valuestring,
                                                         .text_len = strlen(item->valuestring)};
    return 0;
}

/* Elements must all be what the first one is. */
static int add_elements(struct embeddings_request *r, const cJSON *input, int vocab,
                        struct err *e)
{
    bool texts = cJSON_IsString(input->child);
    const cJSON *item;
    cJSON_ArrayForEach(item, input)
    {
        char where[32];
        embeddings_request_name(r, r->n_inputs, where);
        if (texts ? !cJSON_IsString(item) : !cJSON_IsArray(item)) {
            return json_field_wrong_type(
                where, texts ? "a string as the others" : "a string or an array of token ids",
                e);
        }
        if ((texts ? add_text(r, item, e) : add_tokens(r, item, vocab, e)) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_bytes(const struct embeddings_request *r, struct err *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->n_inputs; i++) {
        bytes += r->inputs[i].text_len;
    }
    return bytes <= EMBEDDINGS_BYTES_MAX
               ? 0
               : err_set_param(e, ERR_LIMIT, "input",
                               "\"input\" has %zu bytes of text, %zu are allowed", bytes,
                               EMBEDDINGS_BYTES_MAX);
}

static int parse_input(struct embeddings_request *r, int vocab, struct err *e)
{
    const cJSON *input = json_field_get(r->json, "input");
    if (!cJSON_IsString(input) && !cJSON_IsArray(input)) {
        return json_field_wrong_type("input", "a string, or an array of strings or token ids",
                                     e);
    }
    bool one = cJSON_IsString(input) || cJSON_IsNumber(input->child);
    int count = one ? 1 : cJSON_GetArraySize(input);
    if (count < 1 || count > EMBEDDINGS_TEXTS_MAX) {
        return err_set_param(e, ERR_INVALID, "input",
                             "\"input\" has %d texts, 1 to %d are allowed", count,
                             EMBEDDINGS_TEXTS_MAX);
    }
    r->is_list = !one;
    r->inputs = mem_zarray((size_t)count, sizeof(*r->inputs));
    if (!r->inputs) {
        return err_nomem(e);
    }
    int rc = cJSON_IsString(input) ? add_text(r, input, e)
             : one                 ? add_tokens(r, input, vocab, e)
                                   : add_elements(r, input, vocab, e);
    return rc == 0 ? check_bytes(r, e) : -1;
}

/* --- settings --- */

static int parse_format(struct embeddings_request *r, struct err *e)
{
    const cJSON *format = json_field_get(r->json, "encoding_format");
    const char *name = cJSON_IsString(format) ? format->valuestring : format ? "" : "float";
    r->base64 = strcmp(name, "base64") == 0;
    return r->base64 || strcmp(name, "float") == 0
               ? 0
               : json_field_wrong_type("encoding_format", "\"float\" or \"base64\"", e);
}

static int parse_dimensions(struct embeddings_request *r, int d_model, struct err *e)
{
    double dimensions = 0.0;
    int width = d_model > 0 ? d_model : INT32_MAX;
    if (json_field_integer(r->json, "dimensions", 1, width, &dimensions, e) != 0) {
        return -1;
    }
    r->dimensions = (int)dimensions;
    if (d_model == 0) {
        return 0;
    }
    size_t most = EMBEDDINGS_NUMBERS_MAX / (size_t)d_model;
    return r->n_inputs <= most
               ? 0
               : err_set_param(e, ERR_LIMIT, "input",
                               "\"input\" has %zu texts, at most %zu make an answer of vectors "
                               "of %d numbers",
                               r->n_inputs, most, d_model);
}

static int parse_others(struct embeddings_request *r, struct err *e)
{
    static const char *const refused[] = {"pooling", "truncate_prompt_tokens"};
    const cJSON *model = json_field_get(r->json, "model");
    if (model && !cJSON_IsString(model)) {
        return json_field_wrong_type("model", "a string", e);
    }
    r->model = model ? model->valuestring : NULL;
    const cJSON *truncation = json_field_get(r->json, "truncation");
    const char *name = cJSON_IsString(truncation) ? truncation->valuestring
                       : truncation               ? ""
                                                  : "disabled";
    r->truncate = strcmp(name, "auto") == 0;
    if (!r->truncate && strcmp(name, "disabled") != 0) {
        return json_field_wrong_type("truncation", "\"auto\" or \"disabled\"", e);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (json_field_get(r->json, refused[i])) {
            return json_field_refuse(refused[i], "", e);
        }
    }
    return 0;
}

int embeddings_request_parse(struct embeddings_request *r, const char *body, size_t len,
                             int vocab, int d_model, struct err *e)
{
    *r = (struct embeddings_request){0};
    r->json = json_parse(body, len, e);
    if (!r->json) {
        return -1;
    }
    int rc = 0;
    if (!cJSON_IsObject(r->json)) {
        rc = err_set(e, ERR_INVALID, "the body must be a JSON object");
    } else if (parse_others(r, e) != 0 || parse_input(r, vocab, e) != 0 ||
               parse_format(r, e) != 0 || parse_dimensions(r, d_model, e) != 0) {
        rc = -1;
    }
    if (rc != 0) {
        embeddings_request_deinit(r);
    }
    return rc;
}

int embeddings_request_check(struct embeddings_request *r, int vocab, int d_model,
                             struct err *e)
{
    for (size_t i = 0; i < r->n_inputs; i++) {
        const struct embeddings_input *input = &r->inputs[i];
        for (size_t k = input->first; !input->text && k < input->end; k++) {
            if (r->tokens.ids[k] >= vocab) {
                char where[32];
                embeddings_request_name(r, i, where);
                return refuse_id(where, vocab, e);
            }
        }
    }
    return parse_dimensions(r, d_model, e);
}

void embeddings_request_deinit(struct embeddings_request *r)
{
    for (size_t i = 0; i < r->n_inputs; i++) {
        mem_free(r->inputs[i].owned);
    }
    mem_free(r->inputs);
    token_list_deinit(&r->tokens);
    cJSON_Delete(r->json);
    *r = (struct embeddings_request){0};
}

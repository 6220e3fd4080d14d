#include "runtime/api/completion_request.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/mem.h"

/* OpenAI's own default, which clients rely on. */
#define MAX_TOKENS_DEFAULT 16

#define LOGPROBS_MAX 5

static int add_prompt(struct answer_request *r, const struct answer_prompt *prompt,
                      struct err *e)
{
    if (r->n_prompts == COMPLETION_PROMPTS_MAX) {
        return err_set_param(e, ERR_INVALID, "prompt", "\"prompt\" has more than %d texts",
                             COMPLETION_PROMPTS_MAX);
    }
    struct answer_prompt *moved =
        mem_realloc_array(r->prompts, r->n_prompts + 1, sizeof(*moved));
    if (!moved) {
        return err_nomem(e);
    }
    r->prompts = moved;
    moved[r->n_prompts++] = *prompt;
    return 0;
}

static int add_text(struct answer_request *r, const cJSON *item, struct err *e)
{
    struct answer_prompt prompt = {.text = item->valuestring,
                                   .text_len = strlen(item->valuestring)};
    return add_prompt(r, &prompt, e);
}

static int wrong_prompt(struct err *e)
{
    return json_field_wrong_type(
        "prompt", "a string, an array of strings, of token ids, or of arrays of token ids", e);
}

/* Whether the ids are in the vocabulary is for those to say who have one. */
static int add_tokens(struct answer_request *r, const cJSON *list, struct err *e)
{
    struct answer_prompt prompt = {0};
    const cJSON *item;
    int rc = 0;
    cJSON_ArrayForEach(item, list)
    {
        bool is_id = cJSON_IsNumber(item) && item->valuedouble >= 0 &&
                     item->valuedouble <= INT_MAX &&
                     floor(item->valuedouble) == item->valuedouble;
        if (rc == 0 && !is_id) {
            rc = wrong_prompt(e);
        } else if (rc == 0 &&
                   token_list_push(&prompt.tokens, (int32_t)item->valuedouble) != 0) {
            rc = err_nomem(e);
        }
    }
    rc = rc == 0 ? add_prompt(r, &prompt, e) : rc;
    if (rc != 0) {
        token_list_deinit(&prompt.tokens);
    }
    return rc;
}

static int parse_prompt(struct answer_request *r, struct err *e)
{
    const cJSON *prompt = json_field_get(r->json, "prompt");
    if (cJSON_IsString(prompt)) {
        return add_text(r, prompt, e);
    }
    if (!cJSON_IsArray(prompt) || !prompt->child) {
        return wrong_prompt(e);
    }
    if (cJSON_IsNumber(prompt->child)) {
        return add_tokens(r, prompt, e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, prompt)
    {
        int rc = cJSON_IsString(item)  ? add_text(r, item, e)
                 : cJSON_IsArray(item) ? add_tokens(r, item, e)
                                       : wrong_prompt(e);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

static int parse_logprobs(struct answer_request *r, struct err *e)
{
    double top = 0.0;
    if (json_field_integer(r->json, "logprobs", 0, LOGPROBS_MAX, &top, e) != 0) {
        return -1;
    }
    r->logprobs = json_field_get(r->json, "logprobs") != NULL;
    r->top_logprobs = (int)top;
    return 0;
}

static int check_unsupported(const struct answer_request *r, struct err *e)
{
    bool echo = false;
    double best_of = r->n_choices;
    const cJSON *suffix = json_field_get(r->json, "suffix");
    if (suffix && !(cJSON_IsString(suffix) && suffix->valuestring[0] == '\0')) {
        return json_field_refuse("suffix", "", e);
    }
    if (json_field_bool(r->json, "echo", &echo, e) != 0 ||
        json_field_integer(r->json, "best_of", 1, ANSWER_CHOICES_MAX, &best_of, e) != 0) {
        return -1;
    }
    if (echo) {
        return json_field_refuse("echo", "", e);
    }
    return best_of == r->n_choices ? 0 : json_field_refuse("best_of", " other than n", e);
}

static int parse_fields(struct answer_request *r, struct err *e)
{
    r->max_tokens = MAX_TOKENS_DEFAULT;
    bool bad = answer_fields_model(r, e) != 0 || answer_fields_prompt(r, false, e) != 0 ||
               parse_prompt(r, e) != 0 || answer_fields_stream(r, e) != 0 ||
               answer_fields_max_tokens(r, "max_tokens", e) != 0 ||
               sampling_fields_parse(r->json, &r->sampling, &r->given, e) != 0 ||
               answer_fields_stop(r, "stop", e) != 0 || answer_fields_running(r, e) != 0 ||
               parse_logprobs(r, e) != 0 ||
               constraint_fields_parse(r->json, &r->constraint, e) != 0 ||
               check_unsupported(r, e) != 0 || answer_fields_unsupported(r, e) != 0;
    return bad ? -1 : 0;
}

int completion_request_parse(struct answer_request *r, const char *body, size_t len,
                             struct err *e)
{
    return answer_request_parse(r, body, len, parse_fields, e);
}

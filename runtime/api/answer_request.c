#include "runtime/api/answer_request.h"

#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

int answer_request_parse(struct answer_request *r, const char *body, size_t len,
                         int (*fields)(struct answer_request *r, struct err *e), struct err *e)
{
    *r = (struct answer_request){.n_choices = 1};
    r->json = json_parse(body, len, e);
    if (!r->json) {
        return -1;
    }
    int rc = cJSON_IsObject(r->json)
                 ? fields(r, e)
                 : err_set(e, ERR_INVALID, "the body must be a JSON object");
    if (rc != 0) {
        answer_request_deinit(r);
    }
    return rc;
}

void answer_request_deinit(struct answer_request *r)
{
    for (size_t i = 0; i < r->n_owned; i++) {
        mem_free(r->owned[i]);
    }
    for (size_t i = 0; i < r->n_prompts; i++) {
        token_list_deinit(&r->prompts[i].tokens);
    }
    mem_free(r->owned);
    mem_free(r->prompts);
    mem_free(r->messages);
    sampling_deinit(&r->sampling);
    tool_list_deinit(&r->tools);
    cJSON_Delete(r->template_arguments);
    cJSON_Delete(r->json);
    *r = (struct answer_request){0};
}

int answer_request_own(struct answer_request *r, char *text, struct err *e)
{
    char **moved = text ? mem_realloc_array(r->owned, r->n_owned + 1, sizeof(*r->owned)) : NULL;
    if (!moved) {
        mem_free(text);
        return err_nomem(e);
    }
    r->owned = moved;
    r->owned[r->n_owned++] = text;
    return 0;
}

struct chat_message *answer_request_add_message(struct answer_request *r, const char *role,
                                                struct err *e)
{
    if (r->n_messages == ANSWER_MESSAGES_MAX) {
        err_set_param(e, ERR_INVALID, "messages",
                      "more than %d messages; that many are allowed", ANSWER_MESSAGES_MAX);
        return NULL;
    }
    struct chat_message *moved =
        mem_realloc_array(r->messages, r->n_messages + 1, sizeof(*moved));
    if (!moved) {
        err_nomem(e);
        return NULL;
    }
    r->messages = moved;
    moved[r->n_messages] = (struct chat_message){.role = role};
    return &moved[r->n_messages++];
}

void answer_message_set_text(struct chat_message *m, const char *text)
{
    m->content = text;
    m->content_len = strlen(text);
}

int answer_request_add_call(struct answer_request *r, struct chat_message *m, const char *id,
                            const char *name, const char *arguments, struct err *e)
{
    cJSON *list = m->tool_calls ? cJSON_Parse(m->tool_calls) : cJSON_CreateArray();
    if (!list || tool_calls_append(list, id, name, arguments) != 0) {
        cJSON_Delete(list);
        return err_nomem(e);
    }
    size_t len;
    if (answer_request_own(r, json_text_take(list, &len), e) != 0) {
        return -1;
    }
    m->tool_calls = r->owned[r->n_owned - 1];
    return 0;
}

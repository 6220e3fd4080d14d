#include "runtime/api/answer_request.h"

#include <stdint.h>
#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

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

void answer_message_set_text(struct chat_message *m, const char *text)
{
    m->content = text;
    m->content_len = strlen(text);
}

/* --- a message that comes in parts ---
 *
 * Joined once, at its end: what each part costs must not grow with the parts before it. */

int answer_request_join_text(struct answer_request *r, const char *text, struct err *e)
{
    struct chat_message *m = &r->messages[r->n_messages - 1];
    if (!m->content) {
        answer_message_set_text(m, text);
        return 0;
    }
    if (r->joined_text.len == 0) {
        buf_append(&r->joined_text, m->content, m->content_len);
    }
    buf_append_str(&r->joined_text, text);
    return r->joined_text.failed ? err_nomem(e) : 0;
}

int answer_request_add_call(struct answer_request *r, const char *id, const char *name,
                            const char *arguments, struct err *e)
{
    if (r->n_calls == TOOL_CALLS_MAX) {
        return err_set_param(e, ERR_INVALID, "messages",
                             "a message makes more than %d calls; that many are allowed",
                             TOOL_CALLS_MAX);
    }
    if (!r->calls) {
        r->calls = cJSON_CreateArray();
    }
    r->n_calls++;
    return r->calls && tool_calls_append(r->calls, id, name, arguments) == 0 ? 0 : err_nomem(e);
}

static int end_message(struct answer_request *r, struct err *e)
{
    if (r->joined_text.len > 0) {
        if (answer_request_own(r, buf_take(&r->joined_text, NULL), e) != 0) {
            return -1;
        }
        answer_message_set_text(&r->messages[r->n_messages - 1], r->owned[r->n_owned - 1]);
    }
    if (r->calls) {
        size_t len;
        cJSON *calls = r->calls;
        r->calls = NULL;
        r->n_calls = 0;
        if (answer_request_own(r, json_text_take(calls, &len), e) != 0) {
            return -1;
        }
        r->messages[r->n_messages - 1].tool_calls = r->owned[r->n_owned - 1];
    }
    return 0;
}

int answer_request_parse(struct answer_request *r, const char *body, size_t len,
                         int (*fields)(struct answer_request *r, struct err *e), struct err *e)
{
    *r = (struct answer_request){.n_choices = 1};
    buf_init(&r->joined_text, SIZE_MAX / 2);
    r->json = json_parse(body, len, e);
    if (!r->json) {
        return -1;
    }
    int rc = cJSON_IsObject(r->json)
                 ? fields(r, e)
                 : err_set(e, ERR_INVALID, "the body must be a JSON object");
    if (rc != 0 || end_message(r, e) != 0) {
        answer_request_deinit(r);
        return -1;
    }
    return 0;
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
    buf_deinit(&r->joined_text);
    cJSON_Delete(r->calls);
    cJSON_Delete(r->template_arguments);
    cJSON_Delete(r->json);
    *r = (struct answer_request){0};
}

struct chat_message *answer_request_add_message(struct answer_request *r, const char *role,
                                                struct err *e)
{
    if (end_message(r, e) != 0) {
        return NULL;
    }
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

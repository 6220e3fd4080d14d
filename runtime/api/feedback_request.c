#include "runtime/api/feedback_request.h"

#include <string.h>

#include "runtime/api/answer_request.h"
#include "runtime/api/json_field.h"
#include "runtime/base/json.h"
#include "runtime/registry/feedback_store.h"

/* A text of at most `max` bytes; absent: NULL. */
static int read_text(const cJSON *object, const char *name, size_t max, const char **out,
                     struct err *e)
{
    const cJSON *item = json_field_get(object, name);
    *out = NULL;
    if (!item) {
        return 0;
    }
    if (!cJSON_IsString(item)) {
        return json_field_wrong_type(name, "a string", e);
    }
    if (strlen(item->valuestring) > max) {
        return err_set_param(e, ERR_LIMIT, name, "\"%s\" has more than %zu bytes", name, max);
    }
    *out = item->valuestring;
    return 0;
}

static int read_choice(const cJSON *object, const char *name, int *out, struct err *e)
{
    double value = 0;
    if (json_field_integer(object, name, 0, ANSWER_CHOICES_MAX * ANSWER_MESSAGES_MAX, &value,
                           e) != 0) {
        return -1;
    }
    *out = (int)value;
    return 0;
}

/* An id of an answer; "" is none. */
static int read_id(const cJSON *object, const char *name, const char **out, struct err *e)
{
    if (read_text(object, name, FEEDBACK_ID_SIZE - 1, out, e) != 0) {
        return -1;
    }
    return *out && **out ? 0 : json_field_wrong_type(name, "the id of an answer", e);
}

static int read_thumb(struct feedback_request *r, struct err *e)
{
    const cJSON *item = json_field_get(r->json, "thumb");
    const char *word = cJSON_GetStringValue(item);
    r->thumb = word && strcmp(word, "up") == 0 ? 1 : word && strcmp(word, "down") == 0 ? -1 : 0;
    return item && r->thumb == 0 ? json_field_wrong_type("thumb", "\"up\" or \"down\"", e) : 0;
}

static int read_over(struct feedback_request *r, struct err *e)
{
    const cJSON *item = json_field_get(r->json, "over");
    if (!item) {
        return 0;
    }
    if (cJSON_IsString(item)) {
        return read_id(r->json, "over", &r->over, e);
    }
    if (!cJSON_IsObject(item)) {
        return json_field_wrong_type(
            "over", "the id of the other answer, or {\"id\": ..., \"choice\": ...}", e);
    }
    return read_id(item, "id", &r->over, e) == 0 &&
                   read_choice(item, "choice", &r->over_choice, e) == 0
               ? 0
               : err_prefix(e, "\"over\"");
}

static int check_message(const cJSON *m, struct err *e)
{
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(m, "role");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(m, "content");
    return cJSON_IsString(role) && cJSON_IsString(content)
               ? 0
               : json_field_wrong_type(
                     "messages", "an array of objects with the strings role and content", e);
}

/* What was asked, where the server has not kept it. */
static int read_asked(struct feedback_request *r, struct err *e)
{
    const cJSON *messages = json_field_get(r->json, "messages"), *m;
    const cJSON *prompt = json_field_get(r->json, "prompt");
    r->messages = messages ? messages : prompt;
    if (messages && prompt) {
        return json_field_refuse("prompt", "beside \"messages\"", e);
    }
    if (prompt && !cJSON_IsString(prompt)) {
        return json_field_wrong_type("prompt", "a string", e);
    }
    int count = cJSON_GetArraySize(messages);
    if (messages && (!cJSON_IsArray(messages) || count < 1 || count > ANSWER_MESSAGES_MAX)) {
        return json_field_wrong_type("messages", "an array of 1 to 1024 messages", e);
    }
    cJSON_ArrayForEach(m, messages)
    {
        if (check_message(m, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_names(const cJSON *json, struct err *e)
{
    static const char *const names[] = {"id",     "choice", "thumb",      "correction",
                                        "over",   "user",   "comment",    "messages",
                                        "prompt", "answer", "over_answer"};
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        size_t i = 0;
        while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i], item->string) != 0) {
            i++;
        }
        if (i == sizeof(names) / sizeof(names[0])) {
            return err_set_param(e, ERR_INVALID, item->string, "\"%.40s\" is not known",
                                 item->string);
        }
    }
    return 0;
}

static int read_fields(struct feedback_request *r, struct err *e)
{
    if (check_names(r->json, e) != 0 || read_id(r->json, "id", &r->id, e) != 0 ||
        read_choice(r->json, "choice", &r->choice, e) != 0 || read_thumb(r, e) != 0 ||
        read_text(r->json, "correction", FEEDBACK_TEXT_MAX, &r->correction, e) != 0 ||
        read_over(r, e) != 0 ||
        read_text(r->json, "user", FEEDBACK_USER_SIZE - 1, &r->user, e) != 0 ||
        read_text(r->json, "comment", FEEDBACK_COMMENT_MAX, &r->comment, e) != 0 ||
        read_asked(r, e) != 0 ||
        read_text(r->json, "answer", FEEDBACK_TEXT_MAX, &r->answer, e) != 0 ||
        read_text(r->json, "over_answer", FEEDBACK_TEXT_MAX, &r->over_answer, e) != 0) {
        return -1;
    }
    if (r->thumb == 0 && !r->correction && !r->over) {
        return err_set_param(e, ERR_INVALID, "thumb",
                             "one of \"thumb\", \"correction\" and \"over\" is needed");
    }
    if (r->correction && r->over) {
        return json_field_refuse("over", "beside \"correction\"", e);
    }
    if (r->over && strcmp(r->over, r->id) == 0 && r->over_choice == r->choice) {
        return err_set_param(e, ERR_INVALID, "over", "\"over\" is the same answer as \"id\"");
    }
    return 0;
}

int feedback_request_parse(struct feedback_request *r, const char *body, size_t len,
                           struct err *e)
{
    *r = (struct feedback_request){.json = json_parse_object(body, len, e)};
    if (r->json && read_fields(r, e) == 0) {
        return 0;
    }
    feedback_request_deinit(r);
    return -1;
}

void feedback_request_deinit(struct feedback_request *r)
{
    cJSON_Delete(r->json);
    *r = (struct feedback_request){0};
}

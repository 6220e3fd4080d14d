#include "runtime/api/chat_reply.h"

#include "runtime/api/json_text.h"

static const char *finish_name(enum chat_finish finish)
{
    switch (finish) {
    case CHAT_FINISH_LENGTH:
        return "length";
    case CHAT_FINISH_CONTENT_FILTER:
        return "content_filter";
    case CHAT_FINISH_STOP:
        break;
    }
    return "stop";
}

static cJSON *create_root(const struct chat_reply *r, const char *object)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", r->id);
    cJSON_AddStringToObject(root, "object", object);
    cJSON_AddNumberToObject(root, "created", (double)r->created);
    cJSON_AddStringToObject(root, "model", r->model);
    cJSON_AddStringToObject(root, "system_fingerprint", r->fingerprint);
    return root;
}

static void add_usage(cJSON *root, const struct chat_usage *usage)
{
    cJSON *object = cJSON_AddObjectToObject(root, "usage");
    cJSON_AddNumberToObject(object, "prompt_tokens", (double)usage->prompt_tokens);
    cJSON_AddNumberToObject(object, "completion_tokens", (double)usage->completion_tokens);
    cJSON_AddNumberToObject(object, "total_tokens",
                            (double)(usage->prompt_tokens + usage->completion_tokens));
    cJSON *details = cJSON_AddObjectToObject(object, "prompt_tokens_details");
    cJSON_AddNumberToObject(details, "cached_tokens", (double)usage->cached_tokens);
}

/* Adds a choice with what comes after its index. */
static cJSON *add_choice(cJSON *choices, int index)
{
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddNumberToObject(choice, "index", index);
    cJSON_AddItemToArray(choices, choice);
    return choice;
}

char *chat_reply_whole(const struct chat_reply *r, const struct chat_choice *choices, size_t n,
                       const struct chat_usage *usage, size_t *len)
{
    cJSON *root = create_root(r, "chat.completion");
    cJSON *list = cJSON_AddArrayToObject(root, "choices");
    for (size_t i = 0; i < n; i++) {
        cJSON *choice = add_choice(list, (int)i);
        cJSON *message = cJSON_AddObjectToObject(choice, "message");
        cJSON_AddStringToObject(message, "role", "assistant");
        cJSON_AddStringToObject(message, "content", choices[i].content);
        cJSON_AddNullToObject(message, "refusal");
        cJSON_AddNullToObject(choice, "logprobs");
        cJSON_AddStringToObject(choice, "finish_reason", finish_name(choices[i].finish));
    }
    add_usage(root, usage);
    return json_text_take(root, len);
}

/* One chunk; delta NULL for an empty one, finish NULL while the answer goes on. */
static char *chunk(const struct chat_reply *r, bool with_usage, int index,
                   const char *delta_name, const char *delta_value, const char *finish,
                   size_t *len)
{
    cJSON *root = create_root(r, "chat.completion.chunk");
    cJSON *choice = add_choice(cJSON_AddArrayToObject(root, "choices"), index);
    cJSON *delta = cJSON_AddObjectToObject(choice, "delta");
    if (delta_name) {
        cJSON_AddStringToObject(delta, delta_name, delta_value);
    }
    cJSON_AddNullToObject(choice, "logprobs");
    json_add_string_or_null(choice, "finish_reason", finish);
    if (with_usage) {
        cJSON_AddNullToObject(root, "usage");
    }
    return json_text_take(root, len);
}

char *chat_chunk_role(const struct chat_reply *r, bool with_usage, int index, size_t *len)
{
    return chunk(r, with_usage, index, "role", "assistant", NULL, len);
}

char *chat_chunk_text(const struct chat_reply *r, bool with_usage, int index, const char *text,
                      size_t *len)
{
    return chunk(r, with_usage, index, "content", text, NULL, len);
}

char *chat_chunk_finish(const struct chat_reply *r, bool with_usage, int index,
                        enum chat_finish finish, size_t *len)
{
    return chunk(r, with_usage, index, NULL, NULL, finish_name(finish), len);
}

char *chat_chunk_usage(const struct chat_reply *r, const struct chat_usage *usage, size_t *len)
{
    cJSON *root = create_root(r, "chat.completion.chunk");
    cJSON_AddArrayToObject(root, "choices");
    add_usage(root, usage);
    return json_text_take(root, len);
}

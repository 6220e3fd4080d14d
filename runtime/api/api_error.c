#include "runtime/api/api_error.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_text.h"

struct api_error api_error_make(int status, const char *type, const char *code,
                                const char *param, const char *message)
{
    struct api_error out = {.status = status, .type = type, .code = code};
    snprintf(out.param, sizeof(out.param), "%s", param ? param : "");
    snprintf(out.message, sizeof(out.message), "%s", message);
    return out;
}

struct api_error api_error_from(const struct err *e)
{
    static const char bad_request[] = "invalid_request_error";
    switch (e->kind) {
    case ERR_INVALID:
    case ERR_FORMAT:
        return api_error_make(400, bad_request, NULL, e->param, e->message);
    case ERR_UNSUPPORTED:
        return api_error_make(400, bad_request, "unsupported_parameter", e->param, e->message);
    case ERR_LIMIT: /* that of the messages together is the context */
        return api_error_make(400, bad_request,
                              strcmp(e->param, "messages") == 0 ? "context_length_exceeded"
                                                                : NULL,
                              e->param, e->message);
    case ERR_FILTERED:
        return api_error_make(400, bad_request, "content_filter", e->param, e->message);
    case ERR_NOT_FOUND:
        return api_error_make(404, bad_request,
                              strcmp(e->param, "model") == 0 ? "model_not_found" : "not_found",
                              e->param, e->message);
    case ERR_BUSY: {
        struct api_error out =
            api_error_make(429, "rate_limit_error", "queue_full", e->param, e->message);
        out.retry_after_s = e->retry_after_s > 0 ? e->retry_after_s : 1;
        return out;
    }
    case ERR_DEADLINE:
        return api_error_make(504, "timeout", "deadline_exceeded", e->param, e->message);
    case ERR_NOMEM: {
        struct api_error out = api_error_make(503, "server_error", "out_of_memory", NULL,
                                              "the server is out of memory, try again later");
        out.retry_after_s = 1;
        return out;
    }
    case ERR_NONE:
    case ERR_CANCELED:
    case ERR_IO:
        break;
    }
    return api_error_make(500, "server_error", "internal_error", NULL,
                          "the server failed; its log says why");
}

char *api_error_body(const struct api_error *e, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "message", e->message);
    cJSON_AddStringToObject(error, "type", e->type);
    json_add_string_or_null(error, "param", e->param[0] ? e->param : NULL);
    json_add_string_or_null(error, "code", e->code);
    return json_text_take(root, len);
}

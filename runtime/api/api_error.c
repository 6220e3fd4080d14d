#include "runtime/api/api_error.h"

#include <stdbool.h>
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

/* The limit of what the model is to read is the context. */
static bool is_input(const char *param)
{
    return strcmp(param, "messages") == 0 || strcmp(param, "prompt") == 0 ||
           strcmp(param, "input") == 0;
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
    case ERR_LIMIT:
        return api_error_make(400, bad_request,
                              is_input(e->param) ? "context_length_exceeded" : NULL, e->param,
                              e->message);
    case ERR_DENIED:
        return api_error_make(403, "permission_error",
                              strcmp(e->param, "model") == 0 ? "model_not_allowed"
                                                             : "missing_scope",
                              e->param, e->message);
    case ERR_FILTERED:
        return api_error_make(400, bad_request, "content_filter", e->param, e->message);
    case ERR_NOT_FOUND:
        return api_error_make(404, bad_request,
                              strcmp(e->param, "model") == 0 ? "model_not_found" : "not_found",
                              e->param, e->message);
    case ERR_NOT_LOADED:
        return api_error_make(404, bad_request, "model_not_loaded", e->param, e->message);
    case ERR_CONFLICT:
        return api_error_make(412, bad_request, "precondition_failed", e->param, e->message);
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

enum api_dialect api_dialect_of(const char *path)
{
    static const char messages[] = "/v1/messages";
    return strncmp(path, messages, sizeof(messages) - 1) == 0 ? API_ANTHROPIC : API_OPENAI;
}

static const char *anthropic_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
    case 405:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
        return "overloaded_error";
    case 504:
        return "timeout_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static cJSON *anthropic_json(const struct api_error *e, const char *request_id)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "type", "error");
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "type", anthropic_type(e->status));
    cJSON_AddStringToObject(error, "message", e->message);
    json_add_string_or_null(root, "request_id", request_id);
    return root;
}

cJSON *api_error_json(const struct api_error *e, enum api_dialect dialect,
                      const char *request_id)
{
    if (dialect == API_ANTHROPIC) {
        return anthropic_json(e, request_id);
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "message", e->message);
    cJSON_AddStringToObject(error, "type", e->type);
    json_add_string_or_null(error, "param", e->param[0] ? e->param : NULL);
    json_add_string_or_null(error, "code", e->code);
    return root;
}

char *api_error_body(const struct api_error *e, enum api_dialect dialect,
                     const char *request_id, size_t *len)
{
    return json_text_take(api_error_json(e, dialect, request_id), len);
}

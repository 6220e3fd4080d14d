#include "runtime/api/upgrade_reply.h"

#include <cjson/cJSON.h>

#include "runtime/api/json_text.h"

char *upgrade_view_text(const struct upgrade_view *view, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "pid", (double)view->pid);
    cJSON_AddStringToObject(root, "version", view->version);
    cJSON_AddStringToObject(root, "state", view->state);
    json_add_string_or_null(root, "problem", view->problem);
    return json_text_take(root, len);
}

char *upgrade_done_text(long pid, const char *version, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "status", "upgraded");
    cJSON_AddNumberToObject(root, "pid", (double)pid);
    cJSON_AddStringToObject(root, "version", version);
    return json_text_take(root, len);
}

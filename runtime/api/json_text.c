#include "runtime/api/json_text.h"

#include <string.h>

#include "runtime/base/mem.h"

void json_add_string_or_null(cJSON *object, const char *name, const char *value)
{
    if (value) {
        cJSON_AddStringToObject(object, name, value);
    } else {
        cJSON_AddNullToObject(object, name);
    }
}

char *json_text_take(cJSON *root, size_t *len)
{
    char *printed = root ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (!printed) {
        return NULL;
    }
    *len = strlen(printed);
    char *text = mem_strndup(printed, *len);
    cJSON_free(printed);
    return text;
}

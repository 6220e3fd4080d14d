#include "runtime/api/json_text.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/base/mem.h"

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

int json_append_string(struct buf *out, const char *text, size_t len)
{
    buf_append_char(out, '"');
    for (size_t at = 0, end; at < len; at = end) {
        for (end = at; end < len && !needs_escape(text[end]); end++) {
        }
        buf_append(out, text + at, end - at);
        if (end < len) {
            buf_printf(out, "\\u%04x", (unsigned)(unsigned char)text[end++]);
        }
    }
    buf_append_char(out, '"');
    return out->failed ? -1 : 0;
}

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

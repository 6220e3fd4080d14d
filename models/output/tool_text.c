#include "models/output/tool_text.h"

#include <string.h>

#include "models/output/tool_messages.h"

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool is_call(const cJSON *call)
{
    const cJSON *function = get(call, "function");
    const cJSON *arguments = get(function, "arguments");

    return cJSON_IsString(get(call, "id")) && cJSON_IsString(get(function, "name")) &&
           (cJSON_IsString(arguments) || cJSON_IsObject(arguments));
}

int tool_text_check_calls(const cJSON *calls)
{
    int n = 0;
    const cJSON *call;

    cJSON_ArrayForEach(call, calls)
    {
        if (++n > TOOL_CALLS_MAX || !is_call(call)) {
            return -1;
        }
    }
    return 0;
}

cJSON *tool_text_arguments(const cJSON *text)
{
    struct err ignored = {0};
    const size_t len = strlen(text->valuestring);

    if (strspn(text->valuestring, " \t\r\n") == len) {
        return cJSON_CreateObject(); /* some clients send "" for no arguments */
    }
    cJSON *object = json_parse(text->valuestring, len, &ignored);
    if (object && !cJSON_IsObject(object)) {
        cJSON_Delete(object);
        object = NULL;
    }
    return object;
}

static void put_json(const cJSON *json, struct buf *out)
{
    char *text = cJSON_PrintUnformatted(json);

    if (text) {
        buf_append_str(out, text);
    } else {
        out->failed = true;
    }
    cJSON_free(text);
}

/* JSON text stays as it was written: numbers keep all their digits. */
static void put_arguments(const cJSON *arguments, struct buf *out)
{
    cJSON *object = cJSON_IsString(arguments) ? tool_text_arguments(arguments) : NULL;

    if (object && object->child) {
        buf_append_str(out, arguments->valuestring);
    } else {
        put_json(object ? object : arguments, out);
    }
    cJSON_Delete(object);
}

void tool_text_put_calls(const cJSON *calls, struct buf *out)
{
    const cJSON *call;
    const char *separator = "";

    buf_append_str(out, "{\"tool_calls\": [");
    cJSON_ArrayForEach(call, calls)
    {
        const cJSON *function = get(call, "function");
        buf_printf(out, "%s{\"name\": ", separator);
        put_json(get(function, "name"), out);
        buf_append_str(out, ", \"arguments\": ");
        put_arguments(get(function, "arguments"), out);
        buf_append_char(out, '}');
        separator = ", ";
    }
    buf_append_str(out, "]}");
}

void tool_text_put_description(const cJSON *tools, struct buf *out)
{
    const cJSON *tool;

    buf_append_str(out, "You can call functions. They are, each as a JSON object with its name "
                        "and a JSON schema of its parameters:\n");
    cJSON_ArrayForEach(tool, tools)
    {
        put_json(get(tool, "function"), out);
        buf_append_char(out, '\n');
    }
    buf_append_str(out,
                   "\nTo call one or more of them, answer with a JSON object of this form and "
                   "nothing else:\n"
                   "{\"tool_calls\": [{\"name\": \"NAME\", \"arguments\": {\"PARAMETER\": "
                   "\"VALUE\"}}]}\n"
                   "The results come in the next message. When no function is needed, answer "
                   "in plain words.");
}

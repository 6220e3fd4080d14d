#include "runtime/api/moderation_request.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* The text of {"type": "text", "text": "..."}, or NULL after an error. */
static const char *part_text(const cJSON *part, const char *where, struct err *e)
{
    const cJSON *type = json_field_get(part, "type");
    const cJSON *text = json_field_get(part, "text");
    if (cJSON_IsString(type) && strcmp(type->valuestring, "text") != 0) {
        err_set_param(e, ERR_UNSUPPORTED, where,
                      "\"%s\": parts of type \"%.40s\" are not supported, filters read text",
                      where, type->valuestring);
        return NULL;
    }
    if (!cJSON_IsString(type) || !cJSON_IsString(text)) {
        json_field_wrong_type(where, "a string, or {\"type\": \"text\", \"text\": \"...\"}", e);
        return NULL;
    }
    return text->valuestring;
}

/* Elements are strings, each an input, or objects, the parts of one. */
static int add_elements(struct moderation_request *r, const cJSON *input, struct err *e)
{
    r->are_parts = cJSON_IsObject(input->child);
    const cJSON *item;
    cJSON_ArrayForEach(item, input)
    {
        char where[32];
        snprintf(where, sizeof(where), "input[%zu]", r->n_texts);
        if (r->are_parts != (bool)cJSON_IsObject(item) ||
            (!r->are_parts && !cJSON_IsString(item))) {
            return json_field_wrong_type(
                where, r->are_parts ? "a text part as the others" : "a string", e);
        }
        const char *text = r->are_parts ? part_text(item, where, e) : item->valuestring;
        if (!text) {
            return -1;
        }
        r->texts[r->n_texts++] = text;
    }
    return 0;
}

static int check_bytes(const struct moderation_request *r, struct err *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->n_texts; i++) {
        bytes += strlen(r->texts[i]);
    }
    return bytes <= MODERATION_BYTES_MAX
               ? 0
               : err_set_param(e, ERR_LIMIT, "input",
                               "\"input\" has %zu bytes of text, %zu are allowed", bytes,
                               MODERATION_BYTES_MAX);
}

static int parse_input(struct moderation_request *r, struct err *e)
{
    const cJSON *input = json_field_get(r->json, "input");
    if (!cJSON_IsString(input) && !cJSON_IsArray(input)) {
        return json_field_wrong_type("input", "a string, or an array of strings or text parts",
                                     e);
    }
    int count = cJSON_IsString(input) ? 1 : cJSON_GetArraySize(input);
    if (count < 1 || count > MODERATION_TEXTS_MAX) {
        return err_set_param(e, ERR_INVALID, "input",
                             "\"input\" has %d texts, 1 to %d are allowed", count,
                             MODERATION_TEXTS_MAX);
    }
    r->texts = mem_zarray((size_t)count, sizeof(*r->texts));
    if (!r->texts) {
        return err_nomem(e);
    }
    if (cJSON_IsString(input)) {
        r->texts[r->n_texts++] = input->valuestring;
    } else if (add_elements(r, input, e) != 0) {
        return -1;
    }
    return check_bytes(r, e);
}

static int parse_model(struct moderation_request *r, struct err *e)
{
    const cJSON *model = json_field_get(r->json, "model");
    if (model && !cJSON_IsString(model)) {
        return json_field_wrong_type("model", "a string", e);
    }
    r->model = model ? model->valuestring : NULL;
    return 0;
}

int moderation_request_parse(struct moderation_request *r, const char *body, size_t len,
                             struct err *e)
{
    *r = (struct moderation_request){.json = json_parse(body, len, e)};
    if (!r->json) {
        return -1;
    }
    int rc = 0;
    if (!cJSON_IsObject(r->json)) {
        rc = err_set(e, ERR_INVALID, "the body must be a JSON object");
    } else if (parse_model(r, e) != 0 || parse_input(r, e) != 0) {
        rc = -1;
    }
    if (rc != 0) {
        moderation_request_deinit(r);
    }
    return rc;
}

void moderation_request_deinit(struct moderation_request *r)
{
    mem_free(r->texts);
    cJSON_Delete(r->json);
    *r = (struct moderation_request){0};
}

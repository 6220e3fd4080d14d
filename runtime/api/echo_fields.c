#include "runtime/api/echo_fields.h"

#include <string.h>

#include "runtime/api/json_field.h"

/* --- metadata --- */

/* Of valid UTF-8. */
static size_t count_characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        n += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return n;
}

static int check_pair(const cJSON *pair, struct err *e)
{
    if (!cJSON_IsString(pair)) {
        return json_field_wrong_type("metadata", "an object of strings", e);
    }
    size_t key = count_characters(pair->string);
    if (key > METADATA_KEY_MAX) {
        return err_set_param(e, ERR_INVALID, "metadata",
                             "\"metadata\" has a key of %zu characters, %d are allowed", key,
                             METADATA_KEY_MAX);
    }
    size_t value = count_characters(pair->valuestring);
    return value <= METADATA_VALUE_MAX
               ? 0
               : err_set_param(e, ERR_INVALID, "metadata",
                               "\"metadata\" has a value of %zu characters, %d are allowed",
                               value, METADATA_VALUE_MAX);
}

static int check_metadata(const cJSON *metadata, struct err *e)
{
    if (metadata && !cJSON_IsObject(metadata)) {
        return json_field_wrong_type("metadata", "an object of strings", e);
    }
    int n = cJSON_GetArraySize(metadata);
    if (n > METADATA_PAIRS_MAX) {
        return err_set_param(e, ERR_INVALID, "metadata",
                             "\"metadata\" has %d pairs, %d are allowed", n,
                             METADATA_PAIRS_MAX);
    }
    const cJSON *pair;
    cJSON_ArrayForEach(pair, metadata)
    {
        if (check_pair(pair, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the size --- */

/* Adds the bytes of a field's JSON. */
static int add_size(const cJSON *field, size_t *bytes, struct err *e)
{
    char *text = field ? cJSON_PrintUnformatted(field) : NULL;
    if (field && !text) {
        return err_nomem(e);
    }
    *bytes += text ? strlen(text) : 0;
    cJSON_free(text);
    return 0;
}

int echo_fields_check(const cJSON *body, struct err *e)
{
    /* Those that may be long; numbers and words are not. */
    static const char *const fields[] = {"metadata", "reasoning",   "text",
                                         "tools",    "tool_choice", "instructions"};
    if (check_metadata(json_field_get(body, "metadata"), e) != 0) {
        return -1;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (add_size(json_field_get(body, fields[i]), &bytes, e) != 0) {
            return -1;
        }
        if (bytes > ECHO_BYTES_MAX) {
            return err_set_param(e, ERR_LIMIT, fields[i],
                                 "\"%s\", with what else the answer repeats of the request, "
                                 "has more than %zu bytes of JSON",
                                 fields[i], ECHO_BYTES_MAX);
        }
    }
    return 0;
}

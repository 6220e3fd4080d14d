#include "runtime/api/admin_request.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"

int admin_reload_request(const char *body, size_t len, bool *force, struct err *e)
{
    *force = false;
    if (len == 0) {
        return 0;
    }
    cJSON *root = json_parse_object(body, len, e);
    if (!root) {
        return -1;
    }
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "force");
    int rc = 0;
    if (item && !cJSON_IsBool(item)) {
        rc = err_set_param(e, ERR_INVALID, "force", "\"force\" must be true or false");
    } else {
        *force = cJSON_IsTrue(item);
    }
    cJSON_Delete(root);
    return rc;
}

int admin_version_request(const char *body, size_t len, char *version, size_t size,
                          struct err *e)
{
    version[0] = '\0';
    if (len == 0) {
        return 0;
    }
    cJSON *root = json_parse_object(body, len, e);
    if (!root) {
        return -1;
    }
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "version");
    bool is_there = item && !cJSON_IsNull(item);
    cJSON_Delete(root);
    return is_there ? admin_activate_request(body, len, version, size, e) : 0;
}

int admin_activate_request(const char *body, size_t len, char *version, size_t size,
                           struct err *e)
{
    cJSON *root = json_parse_object(body, len, e);
    if (!root) {
        return -1;
    }
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "version"));
    int rc = text && text[0] && strlen(text) < size
                 ? 0
                 : err_set_param(e, ERR_INVALID, "version",
                                 "\"version\" must be the name of a version, or a label");
    if (rc == 0) {
        snprintf(version, size, "%s", text);
    }
    cJSON_Delete(root);
    return rc;
}

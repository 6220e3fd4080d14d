#include "runtime/api/admin_request.h"

#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static cJSON *parse_object(const char *body, size_t len, struct err *e)
{
    cJSON *root = json_parse(body, len, e);
    if (root && !cJSON_IsObject(root)) {
        cJSON_Delete(root);
        err_set(e, ERR_INVALID, "the body must be a JSON object");
        return NULL;
    }
    return root;
}

int admin_reload_request(const char *body, size_t len, bool *force, struct err *e)
{
    *force = false;
    if (len == 0) {
        return 0;
    }
    cJSON *root = parse_object(body, len, e);
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

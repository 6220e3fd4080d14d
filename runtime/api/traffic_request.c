#include "runtime/api/traffic_request.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"

/* null reads as "", a field that is missing too. */
static int read_name(const cJSON *root, const char *field, char out[VERSION_NAME_MAX + 1],
                     struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, field);
    const char *text = cJSON_GetStringValue(item);
    out[0] = '\0';
    if (!item || cJSON_IsNull(item)) {
        return 0;
    }
    if (!text) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be a string or null", field);
    }
    if (version_name_check(text, field, e) != 0) {
        return -1;
    }
    snprintf(out, VERSION_NAME_MAX + 1, "%s", text);
    return 0;
}

static int read_share(struct share_request *r, const cJSON *root, int most, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "percent");
    double percent = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
    if (read_name(root, "version", r->version, e) != 0) {
        return -1;
    }
    bool ends = !r->version[0] && (!item || cJSON_IsNull(item));
    if (ends) {
        return 0;
    }
    if (!(percent >= 0.0 && percent <= most && floor(percent) == percent)) {
        return err_set_param(e, ERR_INVALID, "percent",
                             "\"percent\" must be a whole number, 0 to %d", most);
    }
    r->percent = (int)percent;
    return r->percent == 0 || r->version[0]
               ? 0
               : err_set_param(e, ERR_INVALID, "version",
                               "\"version\" must be the name of a version, or a label");
}

static int read_by(struct share_request *r, const cJSON *root, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "by");
    const char *text = cJSON_GetStringValue(item);
    if (!item || cJSON_IsNull(item)) {
        return 0;
    }
    r->is_by_conversation = text && strcmp(text, "conversation") == 0;
    return r->is_by_conversation || (text && strcmp(text, "key") == 0)
               ? 0
               : err_set_param(e, ERR_INVALID, "by",
                               "\"by\" must be \"key\" or \"conversation\"");
}

static int parse_share(struct share_request *r, const char *body, size_t len, int most,
                       struct err *e)
{
    *r = (struct share_request){0};
    if (len == 0) {
        return 0;
    }
    cJSON *root = json_parse_object(body, len, e);
    if (!root) {
        return -1;
    }
    int rc = read_share(r, root, most, e) == 0 ? read_by(r, root, e) : -1;
    cJSON_Delete(root);
    return rc;
}

int split_request_parse(struct share_request *r, const char *body, size_t len, struct err *e)
{
    return parse_share(r, body, len, 99, e);
}

int shadow_request_parse(struct share_request *r, const char *body, size_t len, struct err *e)
{
    return parse_share(r, body, len, 100, e);
}

int label_request_parse(struct label_request *r, const char *body, size_t len, struct err *e)
{
    cJSON *root = json_parse_object(body, len, e);
    if (!root) {
        return -1;
    }
    int rc = read_name(root, "label", r->label, e) == 0
                 ? read_name(root, "version", r->version, e)
                 : -1;
    if (rc == 0 && !r->label[0]) {
        rc = err_set_param(e, ERR_INVALID, "label", "\"label\" must be the name of a label");
    }
    if (rc == 0 && !cJSON_GetObjectItemCaseSensitive(root, "version")) {
        rc = err_set_param(e, ERR_INVALID, "version",
                           "\"version\" must be the name of a version, or null");
    }
    cJSON_Delete(root);
    return rc;
}

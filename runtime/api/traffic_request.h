/* traffic_request.h: bodies of the admin routes that share requests among versions, checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/registry/version_name.h"

struct share_request {
    char version[VERSION_NAME_MAX + 1]; /* or a label; "" if percent is 0 */
    int percent;
    bool is_by_conversation;
};

/* {"version": "3", "percent": 10}; of a split also "by": "key" (default) or "conversation". To
 * end it: {"percent": 0}, {"version": null} or no body. */
int split_request_parse(struct share_request *r, const char *body, size_t len, struct err *e);
int shadow_request_parse(struct share_request *r, const char *body, size_t len, struct err *e);

struct label_request {
    char label[VERSION_NAME_MAX + 1];
    char version[VERSION_NAME_MAX + 1]; /* "": the label is taken away */
};

/* {"label": "stable", "version": "2"}; version null takes it away. */
int label_request_parse(struct label_request *r, const char *body, size_t len, struct err *e);

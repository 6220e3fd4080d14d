#include "runtime/net/http_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "runtime/base/clock.h"

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return NULL;
}

void http_request_make_id(char id[HTTP_REQUEST_ID_MAX + 1])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != (ssize_t)sizeof(bytes)) {
        /* Only before the kernel has gathered any randomness; the time tells requests apart. */
        uint64_t words[2] = {clock_now_ns(), (uint64_t)clock_unix_s()};
        memcpy(bytes, words, sizeof(bytes));
    }
    int at = snprintf(id, HTTP_REQUEST_ID_MAX + 1, "req_");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        at += snprintf(id + at, 3, "%02x", bytes[i]);
    }
}

/* Visible characters only: it is written into logs, where a space would begin another word. */
static bool is_sane_id(const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; i < len; i++) {
        if (id[i] <= 0x20 || id[i] >= 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= HTTP_REQUEST_ID_MAX;
}

void http_request_choose_id(const struct http_request *request,
                            char id[HTTP_REQUEST_ID_MAX + 1])
{
    const char *sent = http_request_header(request, "x-request-id");
    if (sent && is_sane_id(sent)) {
        snprintf(id, HTTP_REQUEST_ID_MAX + 1, "%s", sent);
    } else {
        http_request_make_id(id);
    }
}

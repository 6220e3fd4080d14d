/* http_target.h: the request target (RFC 9112 3.2), split and decoded. Internal to runtime/net.
 *
 * Takes origin-form ("/path?query"), absolute-form ("http://host/path?query") and, for OPTIONS,
 * "*". Percent-encoding is resolved once, in the path only; a path that decodes to control
 * bytes is refused, so that no later layer meets an embedded NUL. Dot segments are left as they
 * are: paths here name routes, never files.
 */
#pragma once

#include <stddef.h>

struct http_target {
    const char *path;  /* decoded, begins with "/", or "*" */
    const char *query; /* points into the target; "" when there is none */
    const char *host;  /* authority of an absolute target, else NULL */
};

/* `target` is NUL-terminated, not empty and consists of bytes 0x21 to 0x7e. `storage` has room
 * for strlen(target) + 3 bytes and holds path and host afterwards. Returns NULL, or in a user's
 * words what is wrong. */
const char *http_target_parse(const char *method, const char *target, char *storage,
                              struct http_target *out);

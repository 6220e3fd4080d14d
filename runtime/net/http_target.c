#include "runtime/net/http_target.h"

#include <string.h>
#include <strings.h>

#include "runtime/base/hex.h"

/* Decodes [from, end) to `to`, which is never longer. */
static const char *decode_path(const char *from, const char *end, char *to)
{
    while (from < end) {
        int byte = (unsigned char)*from;
        if (byte == '%') {
            int high = end - from >= 3 ? hex_value(from[1]) : -1;
            int low = end - from >= 3 ? hex_value(from[2]) : -1;
            if (high < 0 || low < 0) {
                return "the path has a % that is not followed by two hexadecimal digits";
            }
            byte = high * 16 + low;
            if (byte < 0x20 || byte == 0x7f) {
                return "the path has a percent-encoded control character";
            }
            from += 2;
        }
        from++;
        *to++ = (char)byte;
    }
    *to = '\0';
    return NULL;
}

/* The length of "http://" or "https://" if target begins so, else 0. */
static size_t scheme_length(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

const char *http_target_parse(const char *method, const char *target, char *storage,
                              struct http_target *out)
{
    *out = (struct http_target){.path = "*", .query = ""};
    if (strcmp(target, "*") == 0) {
        return strcmp(method, "OPTIONS") == 0 ? NULL : "the target * is for OPTIONS only";
    }
    if (strchr(target, '#')) {
        return "the target has a fragment (#), which clients must not send";
    }

    const char *path = target;
    size_t scheme = scheme_length(target);
    if (scheme > 0) {
        const char *authority = target + scheme;
        size_t authority_len = strcspn(authority, "/?");
        if (authority_len == 0 || memchr(authority, '@', authority_len)) {
            return "the target's host is empty or has user information";
        }
        memcpy(storage, authority, authority_len);
        storage[authority_len] = '\0';
        out->host = storage;
        storage += authority_len + 1;
        path = authority + authority_len;
    } else if (*path != '/') {
        return "the target must begin with / or http://";
    }

    const char *mark = strchr(path, '?');
    const char *end = mark ? mark : path + strlen(path);
    out->query = mark ? mark + 1 : "";
    if (path == end) {
        out->path = "/";
        return NULL;
    }
    out->path = storage;
    return decode_path(path, end, storage);
}

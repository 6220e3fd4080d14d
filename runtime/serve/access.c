#include "runtime/serve/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/crypto.h>

#define KEY_BYTES 32

int access_generate_key(char out[ACCESS_KEY_MAX], struct err *e)
{
    unsigned char bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return err_set_errno(e, errno, "cannot make an admin key");
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}

bool access_host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    /* As addresses, not by their beginning: 127.0.0.1.example.org is anybody's. */
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcasecmp(host, "localhost") == 0;
}

/* The name in "name:port" or "[v6]:port". */
static bool host_field_is_loopback(const char *field)
{
    char name[256];
    size_t len = field[0] == '[' ? strcspn(field, "]") : strcspn(field, ":");
    const char *from = field[0] == '[' ? field + 1 : field;
    len -= field[0] == '[' ? 1 : 0;
    if (len >= sizeof(name)) {
        return false;
    }
    memcpy(name, from, len);
    name[len] = '\0';
    return access_host_is_loopback(name);
}

static const char *sent_key(const struct http_request *r)
{
    const char *authorization = http_request_header(r, "authorization");
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0) {
        return authorization + 7;
    }
    const char *key = http_request_header(r, "x-api-key");
    return key ? key : "";
}

/* Compares fixed-size copies, so that the time tells nothing of the key or its length. */
static bool same_key(const char *sent, const char *wanted)
{
    char a[ACCESS_KEY_MAX] = {0};
    char b[ACCESS_KEY_MAX] = {0};
    if (strlen(sent) >= sizeof(a)) {
        return false;
    }
    memcpy(a, sent, strlen(sent));
    memcpy(b, wanted, strlen(wanted));
    return CRYPTO_memcmp(a, b, sizeof(a)) == 0;
}

bool access_check(const struct access *a, const struct route *route,
                  const struct http_request *r, struct api_error *refusal)
{
    if (a->loopback_only && r->host[0] && !host_field_is_loopback(r->host)) {
        *refusal =
            api_error_make(403, "permission_error", "host_not_allowed", NULL,
                           "this server is bound to a loopback address and answers only to "
                           "that name; start it with --host to serve others");
        return false;
    }
    bool is_admin = route->auth == ROUTE_ADMIN;
    if (route->auth == ROUTE_OPEN || (!is_admin && a->api_key[0] == '\0')) {
        return true;
    }
    if (same_key(sent_key(r), is_admin ? a->admin_key : a->api_key)) {
        return true;
    }
    *refusal =
        api_error_make(401, "invalid_request_error", "invalid_api_key", NULL,
                       is_admin ? "admin routes need the admin key: Authorization: Bearer KEY"
                                : "a valid API key is needed: Authorization: Bearer KEY");
    return false;
}

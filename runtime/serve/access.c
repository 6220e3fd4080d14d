#include "runtime/serve/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/crypto.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define KEY_BYTES    32
#define KEY_FILE_MAX ((size_t)1 << 20)

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

void access_deinit(struct access *a)
{
    if (a->api_keys) {
        OPENSSL_cleanse(a->api_keys, a->n_api_keys * sizeof(*a->api_keys));
    }
    mem_free(a->api_keys);
    *a = (struct access){0};
}

int access_add_key(struct access *a, const char *key, size_t len, struct err *e)
{
    if (len == 0 || len >= ACCESS_KEY_MAX || memchr(key, '\0', len)) {
        return err_set(e, ERR_INVALID, "an API key has 1 to %d bytes", ACCESS_KEY_MAX - 1);
    }
    char(*moved)[ACCESS_KEY_MAX] =
        mem_realloc_array(a->api_keys, a->n_api_keys + 1, sizeof(*moved));
    if (!moved) {
        return err_nomem(e);
    }
    a->api_keys = moved;
    memset(moved[a->n_api_keys], 0, sizeof(*moved));
    memcpy(moved[a->n_api_keys++], key, len);
    return 0;
}

int access_add_key_file(struct access *a, const char *path, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, KEY_FILE_MAX, &len, e);
    if (!text) {
        return -1;
    }
    int rc = 0;
    for (const char *line = text, *end = text + len; rc == 0 && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - line);
        n -= n > 0 && line[n - 1] == '\r';
        if (n > 0 && line[0] != '#') {
            rc = access_add_key(a, line, n, e);
        }
        line = stop + 1;
    }
    OPENSSL_cleanse(text, len);
    mem_free(text);
    if (rc == 0 && a->n_api_keys == 0) {
        rc = err_set(e, ERR_INVALID, "no key is in it; one a line is wanted");
    }
    return rc == 0 ? 0 : err_prefix(e, "%s", path);
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

uint64_t access_tenant(const struct access *a, const struct http_request *r)
{
    const char *sent = sent_key(r);
    uint64_t tenant = 0;
    /* All are compared, so that the time does not tell which it is. */
    for (size_t i = 0; i < a->n_api_keys; i++) {
        tenant = same_key(sent, a->api_keys[i]) ? i + 1 : tenant;
    }
    return tenant;
}

static bool has_key(const struct access *a, bool is_admin, const struct http_request *r)
{
    if (is_admin) {
        return same_key(sent_key(r), a->admin_key);
    }
    return a->n_api_keys == 0 || access_tenant(a, r) != 0;
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
    if (route->auth == ROUTE_OPEN || has_key(a, is_admin, r)) {
        return true;
    }
    *refusal =
        api_error_make(401, "invalid_request_error", "invalid_api_key", NULL,
                       is_admin ? "admin routes need the admin key: Authorization: Bearer KEY"
                                : "a valid API key is needed: Authorization: Bearer KEY");
    return false;
}

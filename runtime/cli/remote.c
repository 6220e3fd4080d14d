#include "runtime/cli/remote.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"

#define CONNECT_TIMEOUT_S 10L
#define HEADER_MAX        ((size_t)16 << 10)

static int set_base(struct remote *r, const char *url, struct err *e)
{
    static const char unix_prefix[] = "unix:";
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    if (len >= sizeof(r->base)) {
        return err_set(e, ERR_INVALID, "the URL is too long");
    }
    snprintf(r->name, sizeof(r->name), "%.*s", (int)len, url);
    if (strncmp(url, unix_prefix, sizeof(unix_prefix) - 1) == 0) {
        curl_easy_setopt(r->curl, CURLOPT_UNIX_SOCKET_PATH, url + sizeof(unix_prefix) - 1);
        snprintf(r->base, sizeof(r->base), "http://localhost");
    } else {
        snprintf(r->base, sizeof(r->base), "%s", r->name);
    }
    return 0;
}

int remote_open(struct remote *r, const char *url, const char *key, struct err *e)
{
    char bearer[512];
    *r = (struct remote){.curl = curl_easy_init()};
    if (!r->curl) {
        return err_nomem(e);
    }
    curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    if (set_base(r, url, e) != 0 ||
        remote_add_header(r, "Content-Type", "application/json", e) != 0) {
        return -1;
    }
    if (!key) {
        return 0;
    }
    return snprintf(bearer, sizeof(bearer), "Bearer %s", key) < (int)sizeof(bearer)
               ? remote_add_header(r, "Authorization", bearer, e)
               : err_set(e, ERR_INVALID, "the key is too long");
}

void remote_close(struct remote *r)
{
    curl_slist_free_all(r->headers);
    curl_easy_cleanup(r->curl);
    *r = (struct remote){0};
}

int remote_add_header(struct remote *r, const char *name, const char *value, struct err *e)
{
    struct buf line;
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            return err_set(e, ERR_INVALID, "%s: a control character is in it", name);
        }
    }
    buf_init(&line, HEADER_MAX);
    bool is_whole = buf_printf(&line, "%s: %s", name, value) == 0;
    struct curl_slist *longer = is_whole ? curl_slist_append(r->headers, line.data) : NULL;
    buf_deinit(&line);
    if (!is_whole) {
        return err_set(e, ERR_INVALID, "%s: the value is too long", name);
    }
    if (!longer) {
        return err_nomem(e);
    }
    r->headers = longer;
    curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
    return 0;
}

int remote_set_path(struct remote *r, const char *path, struct err *e)
{
    char url[sizeof(r->base) + 4096];
    if (snprintf(url, sizeof(url), "%s%s", r->base, path) >= (int)sizeof(url)) {
        return err_set(e, ERR_INVALID, "the URL is too long");
    }
    return curl_easy_setopt(r->curl, CURLOPT_URL, url) == CURLE_OK ? 0 : err_nomem(e);
}

int remote_failed(const struct remote *r, CURLcode code, struct err *e)
{
    return err_set(e, ERR_IO, "%s: %s", r->name, curl_easy_strerror(code));
}

int remote_refused(long status, const struct buf *body, struct err *e)
{
    const char *text = body->data ? body->data : "";
    cJSON *root = json_parse(text, body->len, e);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const char *message =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
    err_set(e, ERR_IO, "the server answered %ld: %.400s", status,
            message        ? message
            : text[0] != 0 ? text
                           : "nothing");
    cJSON_Delete(root);
    return -1;
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
    return buf_append(ctx, data, size * n) == 0 ? size * n : 0;
}

int remote_exchange(struct remote *r, const char *method, const char *path, const char *body,
                    struct buf *answer, long *status, struct err *e)
{
    bool has_body = body || strcmp(method, "POST") == 0;
    if (remote_set_path(r, path, e) != 0) {
        return -1;
    }
    buf_clear(answer);
    curl_easy_setopt(r->curl, CURLOPT_HTTPGET, 1L);
    if (has_body) {
        curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE, body ? (long)strlen(body) : 0L);
        curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body ? body : "");
    }
    curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(r->curl);
    if (answer->failed) {
        return err_set(e, ERR_LIMIT, "the server's answer is too large");
    }
    if (code != CURLE_OK) {
        return remote_failed(r, code, e);
    }
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, status);
    return 0;
}

int remote_request(struct remote *r, const char *method, const char *path, const char *body,
                   struct buf *answer, struct err *e)
{
    long status = 0;
    if (remote_exchange(r, method, path, body, answer, &status, e) != 0) {
        return -1;
    }
    return status / 100 == 2 ? 0 : remote_refused(status, answer, e);
}

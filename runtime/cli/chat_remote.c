#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/chat.h"

#define ENDPOINT_MAX 1024
#define EVENT_MAX    ((size_t)4 << 20)

struct chat_remote {
    CURL *curl;
    struct curl_slist *headers;
    char endpoint[ENDPOINT_MAX];

    /* The answer that is being read. */
    struct buf pending; /* bytes of events that are not whole yet, or of an error body */
    chat_text_fn *on_text;
    void *text_ctx;
    bool is_done;
    struct err *e;
};

static char *request_body(const struct chat_turns *t)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddTrueToObject(root, "stream");
    cJSON *messages = cJSON_AddArrayToObject(root, "messages");
    for (size_t i = 0; i < t->count; i++) {
        cJSON *message = cJSON_CreateObject();
        cJSON_AddStringToObject(message, "role", t->messages[i].role);
        cJSON_AddStringToObject(message, "content", t->messages[i].content);
        cJSON_AddItemToArray(messages, message);
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* What an error body says, or its first bytes. */
static int set_server_error(struct chat_remote *r, long status)
{
    struct err ignored;
    cJSON *root = json_parse(r->pending.data ? r->pending.data : "", r->pending.len, &ignored);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
    err_set(r->e, ERR_IO, "the server answered %ld: %.300s", status,
            cJSON_IsString(message) ? message->valuestring
            : r->pending.data       ? r->pending.data
                                    : "nothing");
    cJSON_Delete(root);
    return -1;
}

static int take_event(struct chat_remote *r, const char *data, size_t len)
{
    if (len == 6 && memcmp(data, "[DONE]", 6) == 0) {
        r->is_done = true;
        return 0;
    }
    cJSON *root = json_parse(data, len, r->e);
    if (!root) {
        return -1;
    }
    const cJSON *choice =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "choices"), 0);
    const cJSON *delta = cJSON_GetObjectItemCaseSensitive(choice, "delta");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(delta, "content");
    int rc = 0;
    if (cJSON_IsString(content)) {
        rc = r->on_text(r->text_ctx, content->valuestring, strlen(content->valuestring));
    }
    cJSON_Delete(root);
    return rc;
}

/* Takes whole events ("data: ...\n\n") from the front of `pending`. */
static int take_events(struct chat_remote *r)
{
    char *end;
    while (r->pending.data && (end = strstr(r->pending.data, "\n\n"))) {
        size_t len = (size_t)(end - r->pending.data);
        if (len > 6 && memcmp(r->pending.data, "data: ", 6) == 0 &&
            take_event(r, r->pending.data + 6, len - 6) != 0) {
            return -1;
        }
        buf_consume(&r->pending, len + 2);
    }
    return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
    struct chat_remote *r = ctx;
    long status = 0;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (buf_append(&r->pending, data, size * n) != 0) {
        err_set(r->e, ERR_LIMIT, "the server's answer is too large");
        return 0;
    }
    return status == 200 && take_events(r) != 0 ? 0 : size * n;
}

static int answer(void *ctx, const struct chat_turns *t, chat_text_fn *on_text, void *text_ctx,
                  struct err *e)
{
    struct chat_remote *r = ctx;
    r->on_text = on_text;
    r->text_ctx = text_ctx;
    r->is_done = false;
    r->e = e;
    buf_clear(&r->pending);
    char *body = request_body(t);
    if (!body) {
        return err_nomem(e);
    }
    curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(r->curl);
    cJSON_free(body);
    long status = 0;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR && e->kind != ERR_NONE) {
        return -1;
    }
    if (code != CURLE_OK) {
        return err_set(e, ERR_IO, "%s: %s", r->endpoint, curl_easy_strerror(code));
    }
    if (status != 200) {
        return set_server_error(r, status);
    }
    return r->is_done ? 0 : err_set(e, ERR_IO, "the server's answer broke off");
}

static int add_header(struct chat_remote *r, const char *line)
{
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    if (!longer) {
        return -1;
    }
    r->headers = longer;
    return 0;
}

struct chat_remote *chat_remote_open(const char *url, const char *key,
                                     struct chat_source *source, struct err *e)
{
    struct chat_remote *r = mem_zalloc(sizeof(*r));
    char authorization[512];
    if (!r) {
        err_nomem(e);
        return NULL;
    }
    buf_init(&r->pending, EVENT_MAX);
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    int wanted =
        snprintf(r->endpoint, sizeof(r->endpoint), "%.*s/v1/chat/completions", (int)len, url);
    if (wanted >= (int)sizeof(r->endpoint) ||
        snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s",
                 key ? key : "") >= (int)sizeof(authorization)) {
        err_set(e, ERR_INVALID, "the URL or the key is too long");
        chat_remote_close(r);
        return NULL;
    }
    r->curl = curl_easy_init();
    if (!r->curl || add_header(r, "Content-Type: application/json") != 0 ||
        (key && add_header(r, authorization) != 0)) {
        err_nomem(e);
        chat_remote_close(r);
        return NULL;
    }
    curl_easy_setopt(r->curl, CURLOPT_URL, r->endpoint);
    curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    *source = (struct chat_source){r, answer};
    return r;
}

void chat_remote_close(struct chat_remote *r)
{
    curl_slist_free_all(r->headers);
    curl_easy_cleanup(r->curl);
    buf_deinit(&r->pending);
    mem_free(r);
}

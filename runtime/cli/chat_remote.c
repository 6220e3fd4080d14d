#include <stdio.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/chat.h"
#include "runtime/cli/remote.h"

#define EVENT_MAX ((size_t)4 << 20)

struct chat_remote {
    struct remote server;

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
    curl_easy_getinfo(r->server.curl, CURLINFO_RESPONSE_CODE, &status);
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
    curl_easy_setopt(r->server.curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(r->server.curl);
    cJSON_free(body);
    long status = 0;
    curl_easy_getinfo(r->server.curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR && e->kind != ERR_NONE) {
        return -1;
    }
    if (code != CURLE_OK) {
        return remote_failed(&r->server, code, e);
    }
    if (status != 200) {
        return remote_refused(status, &r->pending, e);
    }
    return r->is_done ? 0 : err_set(e, ERR_IO, "the server's answer broke off");
}

struct chat_remote *chat_remote_open(const char *url, const char *key,
                                     struct chat_source *source, struct err *e)
{
    struct chat_remote *r = mem_zalloc(sizeof(*r));
    if (!r) {
        err_nomem(e);
        return NULL;
    }
    buf_init(&r->pending, EVENT_MAX);
    if (remote_open(&r->server, url, key, e) != 0 ||
        remote_set_path(&r->server, "/v1/chat/completions", e) != 0) {
        chat_remote_close(r);
        return NULL;
    }
    curl_easy_setopt(r->server.curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(r->server.curl, CURLOPT_WRITEDATA, r);
    *source = (struct chat_source){r, answer};
    return r;
}

void chat_remote_close(struct chat_remote *r)
{
    remote_close(&r->server);
    buf_deinit(&r->pending);
    mem_free(r);
}

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/chat.h"
#include "runtime/cli/chat_stop.h"
#include "runtime/cli/remote.h"

#define EVENT_MAX     ((size_t)4 << 20)
#define CHAT_NAME_MAX 512
#define LIST_MAX      ((size_t)4 << 20)

#define ASIDE_TIMEOUT_S 30L

/* What made the last answer, as its header fields say. */
struct made_by {
    char model[CHAT_NAME_MAX];
    char prompt[CHAT_NAME_MAX];
    char filters[CHAT_NAME_MAX];
};

struct chat_remote {
    struct remote server;
    struct remote aside;       /* for what is asked besides, with other settings */
    char model[CHAT_NAME_MAX]; /* to ask for; "": none is named */
    char prompt[CHAT_NAME_MAX];
    struct made_by made_by;

    /* The answer that is being read. */
    struct buf pending; /* bytes of events that are not whole yet, or of an error body */
    const struct chat_request *request;
    bool is_done;
    struct err *e;
};

/* --- a question --- */

static void add_parameters(cJSON *root, const struct chat_parameters *p)
{
    for (int i = 0; i < CHAT_PARAMETERS; i++) {
        if (p->given[i]) {
            cJSON_AddNumberToObject(root, chat_parameter_kinds[i].name, p->values[i]);
        }
    }
}

static char *request_body(const struct chat_remote *r)
{
    const struct chat_turns *t = r->request->turns;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddTrueToObject(root, "stream");
    if (r->model[0]) {
        cJSON_AddStringToObject(root, "model", r->model);
    }
    if (r->prompt[0]) {
        cJSON_AddStringToObject(root, "prompt", r->prompt);
    }
    add_parameters(root, r->request->parameters);
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

/* --- its answer --- */

static int take_delta(struct chat_remote *r, const cJSON *root)
{
    const cJSON *choice =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "choices"), 0);
    const cJSON *delta = cJSON_GetObjectItemCaseSensitive(choice, "delta");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(delta, "content");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    if (error) {
        const char *message =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
        return err_set(r->e, ERR_IO, "the server broke the answer off: %.400s",
                       message ? message : "no reason is given");
    }
    if (!cJSON_IsString(content) || content->valuestring[0] == '\0') {
        return 0;
    }
    return r->request->on_text(r->request->text_ctx, content->valuestring,
                               strlen(content->valuestring)) == 0
               ? 0
               : err_set(r->e, ERR_CANCELED, "the answer was stopped");
}

static int take_event(struct chat_remote *r, const char *data, size_t len)
{
    if (len == 6 && memcmp(data, "[DONE]", 6) == 0) {
        r->is_done = true;
        return 0;
    }
    cJSON *root = json_parse(data, len, r->e);
    int rc = root ? take_delta(r, root) : -1;
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

/* "weir-model: NAME...\r\n" */
static void take_field(const char *line, size_t len, const char *name, char out[CHAT_NAME_MAX])
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return;
    }
    line += n + 1;
    len -= n + 1;
    while (len > 0 && *line == ' ') {
        line++;
        len--;
    }
    while (len > 0 && (unsigned char)line[len - 1] <= ' ') {
        len--;
    }
    snprintf(out, CHAT_NAME_MAX, "%.*s", (int)(len < CHAT_NAME_MAX ? len : CHAT_NAME_MAX - 1),
             line);
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct made_by *m = ctx;
    take_field(line, size * n, "weir-model", m->model);
    take_field(line, size * n, "weir-prompt", m->prompt);
    take_field(line, size * n, "weir-filters", m->filters);
    return size * n;
}

/* curl asks now and then, also while nothing comes. */
static int on_progress(void *ctx, curl_off_t down, curl_off_t down_now, curl_off_t up,
                       curl_off_t up_now)
{
    (void)ctx;
    (void)down;
    (void)down_now;
    (void)up;
    (void)up_now;
    return chat_stop_is_wanted() ? 1 : 0;
}

static int answer(void *ctx, const struct chat_request *request, struct err *e)
{
    struct chat_remote *r = ctx;
    r->request = request;
    r->is_done = false;
    r->e = e;
    r->made_by = (struct made_by){.model = ""};
    buf_clear(&r->pending);
    char *body = request_body(r);
    if (!body) {
        return err_nomem(e);
    }
    curl_easy_setopt(r->server.curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(r->server.curl);
    cJSON_free(body);
    long status = 0;
    curl_easy_getinfo(r->server.curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return err_set(e, ERR_CANCELED, "the answer was stopped");
    }
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

/* --- who answers --- */

static int append_models(const struct chat_remote *r, const struct buf *body, struct buf *out,
                         struct err *e)
{
    cJSON *root = json_parse(body->data ? body->data : "", body->len, e);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
    for (const cJSON *m = data ? data->child : NULL; m; m = m->next) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "id"));
        if (id) {
            buf_printf(out, "%s %s\n", strcmp(id, r->model) == 0 ? "*" : " ", id);
        }
    }
    int rc = root ? 0 : -1;
    cJSON_Delete(root);
    return rc;
}

static int ask_aside(struct chat_remote *r, const char *path, struct buf *body, long *status,
                     struct err *e)
{
    int rc = remote_exchange(&r->aside, "GET", path, NULL, body, status, e);
    return rc != 0 && chat_stop_is_wanted() ? err_set(e, ERR_CANCELED, "(stopped)") : rc;
}

static int list_models(void *ctx, struct buf *out, struct err *e)
{
    struct chat_remote *r = ctx;
    struct buf body;
    long status = 0;
    buf_init(&body, LIST_MAX);
    int rc = ask_aside(r, "/v1/models", &body, &status, e);
    rc = rc == 0 && status / 100 != 2 ? remote_refused(status, &body, e) : rc;
    rc = rc == 0 ? append_models(r, &body, out, e) : rc;
    if (rc == 0 && r->model[0] == '\0') {
        buf_append_str(out, "(the server's default answers; /model NAME asks for another)\n");
    }
    buf_deinit(&body);
    return rc;
}

static int store_name(char out[CHAT_NAME_MAX], const char *name, struct err *e)
{
    if (strlen(name) >= CHAT_NAME_MAX) {
        return err_set(e, ERR_LIMIT, "the name is too long");
    }
    snprintf(out, CHAT_NAME_MAX, "%s", name);
    return 0;
}

/* A name that the server does not know is refused now rather than at the next question. Keys
 * that may not ask for models, and other servers, answer otherwise. */
static int set_model(void *ctx, const char *name, struct err *e)
{
    struct chat_remote *r = ctx;
    struct buf body;
    long status = 0;
    char path[3 * CHAT_NAME_MAX + 32];
    char *escaped = curl_easy_escape(r->aside.curl, name, 0);
    if (!escaped) {
        return err_nomem(e);
    }
    buf_init(&body, LIST_MAX);
    int n = snprintf(path, sizeof(path), "/v1/models/%s", escaped);
    curl_free(escaped);
    int rc = n < (int)sizeof(path) ? ask_aside(r, path, &body, &status, e)
                                   : err_set(e, ERR_LIMIT, "the name is too long");
    if (rc == 0 && status == 404) {
        rc = remote_refused(status, &body, e);
    }
    buf_deinit(&body);
    return rc == 0 ? store_name(r->model, name, e) : rc;
}

static int set_prompt(void *ctx, const char *name, struct err *e)
{
    struct chat_remote *r = ctx;
    return store_name(r->prompt, name ? name : "", e);
}

static int describe(void *ctx, struct buf *out)
{
    const struct chat_remote *r = ctx;
    const struct made_by *m = &r->made_by;
    buf_printf(out, "server: %s\n", r->server.name);
    if (!m->model[0]) {
        return buf_printf(out, "model: %s\nprompt: %s\n(an answer says which versions)\n",
                          r->model[0] ? r->model : "the server's default",
                          r->prompt[0] ? r->prompt : "the server's default");
    }
    return buf_printf(out, "model: %s\nprompt: %s\nfilters: %s\n", m->model, m->prompt,
                      m->filters);
}

/* --- a connection --- */

/* Ctrl-C ends what curl does. */
static void make_stoppable(CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
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
    if (remote_open(&r->server, url, key, e) != 0 || remote_open(&r->aside, url, key, e) != 0 ||
        remote_set_path(&r->server, "/v1/chat/completions", e) != 0) {
        chat_remote_close(r);
        return NULL;
    }
    curl_easy_setopt(r->server.curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(r->server.curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->server.curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(r->server.curl, CURLOPT_HEADERDATA, &r->made_by);
    curl_easy_setopt(r->aside.curl, CURLOPT_TIMEOUT, ASIDE_TIMEOUT_S);
    make_stoppable(r->server.curl);
    make_stoppable(r->aside.curl);
    *source = (struct chat_source){.ctx = r,
                                   .answer = answer,
                                   .list_models = list_models,
                                   .set_model = set_model,
                                   .set_prompt = set_prompt,
                                   .describe = describe};
    return r;
}

void chat_remote_close(struct chat_remote *r)
{
    remote_close(&r->server);
    remote_close(&r->aside);
    buf_deinit(&r->pending);
    mem_free(r);
}

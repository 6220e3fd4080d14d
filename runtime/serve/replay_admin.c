#include "runtime/serve/replay_admin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "filters/replay.h"
#include "runtime/api/json_field.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/serve/respond.h"

#define REPLY_BYTES_MAX ((size_t)64 << 20)

struct replay_request {
    struct finding_wait wait; /* first */
    uv_work_t work;
    struct server *server;
    struct http_exchange *http; /* NULL: nobody waits */
    atomic_bool is_abandoned;
    double end_s; /* by clock_now_s */
    struct finding_store *store;
    struct chain *published;
    char *body; /* (body_len), owned */
    size_t body_len;

    struct err e;
    bool failed;
    struct buf reply;
};

/* --- on a worker --- */

static bool is_over(void *context)
{
    const struct replay_request *r = context;
    return atomic_load_explicit(&r->is_abandoned, memory_order_relaxed) ||
           clock_now_s() > r->end_s;
}

/* The chain that a body names: its JSON as an object, or the published one by its name, with or
 * without its version. The one place where such names are looked up. */
static struct chain *find_chain(const struct replay_request *r, const char *field,
                                const cJSON *item, struct err *e)
{
    struct chain *c = r->published;
    if (cJSON_IsString(item)) {
        char name[CHAIN_MAX_NAME + 16];
        snprintf(name, sizeof(name), "%s@%u", chain_name(c), chain_version(c));
        if (strcmp(item->valuestring, chain_name(c)) == 0 ||
            strcmp(item->valuestring, name) == 0) {
            return chain_ref(c);
        }
        err_set_param(e, ERR_NOT_FOUND, field, "there is no chain \"%.100s\"; %s is published",
                      item->valuestring, name);
        return NULL;
    }
    if (!cJSON_IsObject(item)) {
        json_field_wrong_type(field, "a filter chain, or the name of one", e);
        return NULL;
    }
    char *text = cJSON_PrintUnformatted(item);
    if (!text) {
        err_nomem(e);
        return NULL;
    }
    /* No folder: a chain that comes over the network names no files of this machine. */
    c = chain_from_json(text, strlen(text), NULL, e);
    cJSON_free(text);
    if (!c) {
        e->kind = e->kind == ERR_NOT_FOUND ? ERR_INVALID : e->kind;
        err_prefix(e, "%s", field);
    }
    return c;
}

static int run_given(struct replay *replay, const cJSON *texts, struct err *e)
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, texts)
    {
        char id[REPLAY_ID_MAX + 1];
        struct replay_text text;
        if (replay_text_from_json(&text, item, FILTER_OUTPUT, n, id, e) != 0) {
            snprintf(e->param, sizeof(e->param), "texts[%zu]", n);
            return err_prefix(e, "texts[%zu]", n);
        }
        n++;
        if (replay_run(replay, &text, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Texts are copied out of the store first, which others wait for. */
struct stored_texts {
    struct finding_text *items; /* (n of cap), each text owned */
    size_t n, cap;
};

static int keep_stored(void *ctx, const struct finding_text *text, struct err *e)
{
    struct stored_texts *kept = ctx;
    char *copy = mem_strndup(text->text, text->len);
    if (!copy) {
        return err_nomem(e);
    }
    kept->items[kept->n] = *text;
    kept->items[kept->n++].text = copy;
    return 0;
}

static enum filter_channel channel_named(const char *name)
{
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        if (strcmp(name, chain_channel_name((enum filter_channel)i)) == 0) {
            return (enum filter_channel)i;
        }
    }
    return FILTER_CONTENT;
}

static int run_one_stored(struct replay *replay, const struct finding_text *kept, struct err *e)
{
    char id[REPLAY_ID_MAX + 1];
    struct replay_text text = {.id = id,
                               .side = FILTER_OUTPUT,
                               .channel = channel_named(kept->channel),
                               .text = kept->text,
                               .len = kept->len};
    replay_side_named(kept->side, &text.side);
    snprintf(id, sizeof(id), "%llu", (unsigned long long)kept->id);
    return replay_run(replay, &text, e);
}

static int run_stored(const struct replay_request *r, struct replay *replay, size_t n,
                      struct err *e)
{
    struct stored_texts kept = {.items = mem_zarray(n, sizeof(*kept.items))};
    if (!kept.items) {
        return err_nomem(e);
    }
    int rc = finding_store_texts(r->store, "", n, REPLAY_BYTES_MAX, keep_stored, &kept, e);
    for (size_t i = 0; rc == 0 && i < kept.n; i++) {
        rc = run_one_stored(replay, &kept.items[i], e);
    }
    for (size_t i = 0; i < kept.n; i++) {
        mem_free(kept.items[i].text);
    }
    mem_free(kept.items);
    return rc;
}

static int run_texts(const struct replay_request *r, struct replay *replay, const cJSON *body,
                     struct err *e)
{
    const cJSON *texts = json_field_get(body, "texts");
    double stored = 0;
    if (json_field_integer(body, "stored", 1, REPLAY_TEXTS_MAX, &stored, e) != 0) {
        return -1;
    }
    if (!texts == (stored == 0)) {
        return err_set_param(e, ERR_INVALID, "texts",
                             "either \"texts\" or \"stored\" is needed");
    }
    if (!texts) {
        return run_stored(r, replay, (size_t)stored, e);
    }
    if (!cJSON_IsArray(texts) || cJSON_GetArraySize(texts) > REPLAY_TEXTS_MAX) {
        return err_set_param(e, ERR_INVALID, "texts",
                             "\"texts\" must be an array of at most %d texts",
                             REPLAY_TEXTS_MAX);
    }
    return run_given(replay, texts, e);
}

/* A replay whose time is over tells how far it came. */
static int run_and_report(struct replay_request *r, const cJSON *body, struct chain *before,
                          struct chain *after, struct err *e)
{
    struct replay_options options = {.is_over = is_over, .context = r};
    if (json_field_bool(body, "show_text", &options.show_text, e) != 0) {
        return -1;
    }
    struct replay *replay = replay_create(before, after, &options, e);
    if (!replay) {
        return -1;
    }
    int rc = run_texts(r, replay, body, e);
    bool is_complete = rc == 0;
    if (rc == 0 || e->kind == ERR_CANCELED) {
        rc = replay_report(replay, &r->reply) == 0 ? 0 : err_nomem(e);
    }
    if (rc == 0) {
        r->reply.len--; /* one more member */
        rc = buf_printf(&r->reply, ",\"complete\":%s}", is_complete ? "true" : "false") == 0
                 ? 0
                 : err_nomem(e);
    }
    replay_destroy(replay);
    return rc;
}

static int run_with_chains(struct replay_request *r, const cJSON *body, struct err *e)
{
    const cJSON *against = json_field_get(body, "against");
    struct chain *after = find_chain(r, "chain", json_field_get(body, "chain"), e);
    struct chain *before = NULL;
    if (after) {
        before = against ? find_chain(r, "against", against, e) : chain_ref(r->published);
    }
    int rc = before ? run_and_report(r, body, before, after, e) : -1;
    chain_unref(before);
    chain_unref(after);
    return rc;
}

static void run_on_worker(uv_work_t *work)
{
    struct replay_request *r = work->data;
    cJSON *body = json_parse_large(r->body, r->body_len, &r->e);
    if (body && !cJSON_IsObject(body)) {
        r->failed = err_set(&r->e, ERR_INVALID, "the body must be a JSON object") != 0;
    } else {
        r->failed = !body || run_with_chains(r, body, &r->e) != 0;
    }
    cJSON_Delete(body);
}

/* --- on the loop --- */

static void destroy(struct replay_request *r)
{
    r->server->replay_runs = false;
    chain_unref(r->published);
    buf_deinit(&r->reply);
    mem_free(r->body);
    mem_free(r);
}

static void refuse(struct replay_request *r, const struct err *e)
{
    if (r->http) {
        http_exchange_set_data(r->http, NULL);
        respond_err(r->http, e);
    }
    destroy(r);
}

static void after_work(uv_work_t *work, int status)
{
    struct replay_request *r = work->data;
    (void)status;
    if (r->failed) {
        refuse(r, &r->e);
        return;
    }
    if (r->http) {
        static const struct http_header headers[] = {{"Content-Type", "application/json"}};
        http_respond(r->http, 200, headers, 1, r->reply.data, r->reply.len);
    }
    destroy(r);
}

/* What was filtered before this request came is among the stored texts. */
static void start(struct finding_wait *wait)
{
    struct replay_request *r = (struct replay_request *)wait;
    struct err e = {0};
    r->work.data = r;
    r->end_s = clock_now_s() + REPLAY_SECONDS_MAX;
    if (uv_queue_work(&r->server->loop, &r->work, run_on_worker, after_work) != 0) {
        err_nomem(&e);
        refuse(r, &e);
    }
}

static struct replay_request *create(struct server *s, struct http_exchange *http,
                                     struct err *e)
{
    const struct http_request *request = http_exchange_request(http);
    if (s->replay_runs) {
        err_set(e, ERR_BUSY, "another replay runs; one at a time is made");
        e->retry_after_s = 5;
        return NULL;
    }
    struct replay_request *r = mem_zalloc(sizeof(*r));
    char *body = mem_strndup(request->body, request->body_len);
    if (!r || !body) {
        mem_free(r);
        mem_free(body);
        err_nomem(e);
        return NULL;
    }
    atomic_init(&r->is_abandoned, false);
    r->server = s;
    r->http = http;
    r->store = finding_log_store(s->findings);
    r->published = chain_ref(s->chain);
    r->body = body;
    r->body_len = request->body_len;
    r->wait.done = start;
    buf_init(&r->reply, REPLY_BYTES_MAX);
    s->replay_runs = true;
    return r;
}

void replay_admin_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct replay_request *r = create(s, http, &e);
    if (!r) {
        respond_err(http, &e);
        return;
    }
    http_exchange_set_data(http, r);
    finding_log_wait(s->findings, &r->wait);
}

void replay_admin_abort(struct http_exchange *http)
{
    struct replay_request *r = http_exchange_data(http);
    if (r) {
        atomic_store_explicit(&r->is_abandoned, true, memory_order_relaxed);
        r->http = NULL;
    }
}

#include "runtime/serve/replay_admin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/replay.h"
#include "runtime/api/json_field.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/chain_store.h"
#include "runtime/serve/respond.h"

#define REPLY_BYTES_MAX ((size_t)64 << 20)

struct replay_served {
    char name[VERSION_NAME_MAX + 1];
    struct chain *chain; /* a reference */
};

struct replay_request {
    struct finding_wait wait; /* first */
    uv_work_t work;
    struct server *server;
    struct http_exchange *http; /* NULL: nobody waits */
    atomic_bool is_abandoned;
    double end_s; /* by clock_now_s */
    struct finding_store *store;
    struct version_store *versions;
    struct replay_served *served; /* (n_served) what requests get, when this one came */
    size_t n_served;
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

/* A chain that requests get, by the name under which they do, else by its own; version 0: any.
 */
static struct chain *find_served(const struct replay_request *r, const char *name,
                                 unsigned long version)
{
    for (int own = 0; own < 2; own++) {
        for (size_t i = 0; i < r->n_served; i++) {
            struct chain *c = r->served[i].chain;
            const char *called = own ? chain_name(c) : r->served[i].name;
            if (strcmp(called, name) == 0 && (version == 0 || chain_version(c) == version)) {
                return c;
            }
        }
    }
    return NULL;
}

/* NAME: what requests get under it; NAME@VERSION: that, or a stored version, by number or
 * label. The one place where such names are looked up. */
static struct chain *find_named(const struct replay_request *r, const char *field,
                                const char *text, struct err *e)
{
    char name[VERSION_NAME_MAX + 1];
    size_t len = strcspn(text, "@");
    const char *which = text[len] ? text + len + 1 : NULL;
    if (len >= sizeof(name)) {
        err_set_param(e, ERR_NOT_FOUND, field, "no chain has so long a name");
        return NULL;
    }
    memcpy(name, text, len);
    name[len] = '\0';
    struct chain *c = find_served(r, name, which ? strtoul(which, NULL, 10) : 0);
    if (c && (!which || (*which >= '0' && *which <= '9'))) {
        return chain_ref(c);
    }
    c = which ? chain_store_compile(r->versions, name, which, e) : NULL;
    if (!which) {
        err_set_param(e, ERR_NOT_FOUND, field, "no chain \"%.100s\" is published", text);
    }
    snprintf(e->param, sizeof(e->param), "%s", field);
    return c;
}

/* A chain's JSON, or the name of one. */
static struct chain *find_chain(const struct replay_request *r, const char *field,
                                const cJSON *item, struct err *e)
{
    if (cJSON_IsString(item)) {
        return find_named(r, field, item->valuestring, e);
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
    struct chain *c = chain_from_json(text, strlen(text), NULL, e);
    cJSON_free(text);
    if (!c) {
        e->kind = e->kind == ERR_NOT_FOUND ? ERR_INVALID : e->kind;
        err_prefix(e, "%s", field);
    }
    return c;
}

/* What is compared with if the body does not say: what requests get under the new chain's
 * name, else under the server's. */
static struct chain *find_present(const struct replay_request *r, const struct chain *after,
                                  struct err *e)
{
    struct chain *c = find_served(r, chain_name(after), 0);
    c = c ? c : find_served(r, r->server->set.filters_chain, 0);
    if (!c) {
        err_set_param(e, ERR_NOT_FOUND, "against", "no chain is published; name one");
    }
    return c ? chain_ref(c) : NULL;
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
        before = against ? find_chain(r, "against", against, e) : find_present(r, after, e);
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
    for (size_t i = 0; i < r->n_served; i++) {
        chain_unref(r->served[i].chain);
    }
    mem_free(r->served);
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

/* Without references yet. NULL when out of memory. */
static struct replay_served *copy_served(const struct chain_set *set)
{
    struct replay_served *served = mem_zarray(set->count + 1, sizeof(*served));
    for (size_t i = 0; served && i < set->count; i++) {
        served[i].chain = set->chains[i].chain;
        memcpy(served[i].name, set->chains[i].name, sizeof(served[i].name));
    }
    return served;
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
    struct replay_served *served = copy_served(&s->chains);
    char *body = mem_strndup(request->body, request->body_len);
    if (!r || !served || !body) {
        mem_free(r);
        mem_free(served);
        mem_free(body);
        err_nomem(e);
        return NULL;
    }
    atomic_init(&r->is_abandoned, false);
    r->server = s;
    r->http = http;
    r->store = finding_log_store(s->findings);
    r->versions = version_database_store(s->database, VERSION_FILTERS);
    r->served = served;
    r->n_served = s->chains.count;
    for (size_t i = 0; i < r->n_served; i++) {
        chain_ref(served[i].chain);
    }
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

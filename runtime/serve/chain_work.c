#include "runtime/serve/chain_work.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/chain_store.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/watched_dir.h"

struct chain_request {
    struct version_request base; /* first */
    struct served_chain served;  /* as it was when the request came; its chain may be NULL */
    struct served_chain *all;    /* (n_all) of a list: what is served under any name */
    size_t n_all;
    struct chain *ready;  /* a version that the work has compiled, or NULL */
    struct chain *active; /* to publish */
};

static struct chain_request *of(struct version_request *r)
{
    return (struct chain_request *)r;
}

/* --- on the loop --- */

/* Without memory the list goes without it. */
static void take_all(struct chain_request *c, const struct chain_set *set)
{
    c->all = mem_array(set->count, sizeof(*c->all));
    for (; c->all && c->n_all < set->count; c->n_all++) {
        c->all[c->n_all] = set->chains[c->n_all];
        chain_ref(c->all[c->n_all].chain);
    }
}

static void begin(struct version_request *r)
{
    if (r->op == VERSION_OP_LIST) {
        take_all(of(r), &r->server->chains);
    }
    const struct served_chain *served = chain_set_find(&r->server->chains, r->name);
    if (served) {
        of(r)->served = *served;
        chain_ref(served->chain);
    }
}

static void release(struct version_request *r)
{
    chain_unref(of(r)->served.chain);
    chain_unref(of(r)->ready);
    chain_unref(of(r)->active);
    for (size_t i = 0; i < of(r)->n_all; i++) {
        chain_unref(of(r)->all[i].chain);
    }
    mem_free(of(r)->all);
}

/* Whether it says which version requests shall get. */
static bool is_choice(const struct version_request *r)
{
    return r->op == VERSION_OP_ACTIVATE || r->op == VERSION_OP_ROLLBACK ||
           (r->op == VERSION_OP_PUT && r->activate);
}

static int publish(struct version_request *r, void (*done)(void *r), struct err *e)
{
    int rc = chain_set_publish(&r->server->chains, &r->state, of(r)->active, is_choice(r), e);
    if (rc == 0) {
        done(r);
    }
    return rc;
}

static void put_failed(struct version_request *r)
{
    watched_dir_failed(r->server->filters_dir, r->name, &r->e);
}

/* --- reading --- */

static bool is_version(const struct chain *c, uint64_t number)
{
    return c && chain_version(c) == number;
}

/* What is active was often compiled before: by this request, or for those that get it. */
static int load(struct version_request *r, struct err *e)
{
    struct chain_request *c = of(r);
    if (version_store_load(r->store, r->name, &r->state, NULL, NULL, e) != 0) {
        return -1;
    }
    bool is_served =
        c->served.origin == CHAIN_OF_STORE && is_version(c->served.chain, r->state.active);
    if (is_version(c->ready, r->state.active)) {
        c->active = chain_ref(c->ready);
    } else if (is_served) {
        c->active = chain_ref(c->served.chain);
    } else {
        return chain_store_load(r->store, r->name, &r->state, &c->active, e);
    }
    return 0;
}

static void add_chain(cJSON *root, const struct chain *c)
{
    cJSON_AddNumberToObject(root, "version", chain_version(c));
    cJSON_AddStringToObject(root, "sha256", chain_hash(c));
    cJSON_AddNumberToObject(root, "filters", (double)chain_filter_count(c));
}

/* A version's JSON as a part of an answer. */
static int add_content(struct version_request *r, cJSON *root, const char *which, struct err *e)
{
    struct version_text t;
    if (version_store_get(r->store, r->name, which, &t, e) != 0) {
        return -1;
    }
    cJSON *content = json_parse_large(t.content, strlen(t.content), e);
    cJSON_AddItemToObject(root, "chain", content);
    version_text_deinit(&t);
    return content ? 0 : -1;
}

static const char *origin_name(enum chain_origin origin)
{
    static const char *const names[] = {
        [CHAIN_OF_NOBODY] = "nobody", [CHAIN_OF_STORE] = "store", [CHAIN_OF_FILE] = "file"};
    return names[origin];
}

static bool is_served(const struct version_request *r)
{
    return ((const struct chain_request *)r)->served.chain != NULL;
}

/* What requests get: `version`, `sha256` and `filters` are its, whether or not it is one of the
 * store's versions. */
static int describe(struct version_request *r, bool is_none, cJSON *root, struct err *e)
{
    struct chain_request *c = of(r);
    bool is_file_in_force = c->served.origin == CHAIN_OF_FILE && !is_choice(r);
    const struct chain *in_force = c->active && !is_file_in_force ? c->active : c->served.chain;
    if (in_force) {
        add_chain(root, in_force);
        cJSON_AddStringToObject(
            root, "from",
            origin_name(in_force == c->active ? CHAIN_OF_STORE : c->served.origin));
    }
    if (r->op == VERSION_OP_GET && r->state.active && !is_none) {
        return add_content(r, root, "active", e);
    }
    return 0;
}

/* What requests get under each name, from files too. */
static void add_served(struct version_request *r, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "served");
    for (size_t i = 0; i < of(r)->n_all; i++) {
        const struct served_chain *served = &of(r)->all[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", served->name);
        add_chain(row, served->chain);
        cJSON_AddStringToObject(row, "from", origin_name(served->origin));
        cJSON_AddItemToArray(list, row);
    }
}

static void add_to_info(const struct version_info *v, cJSON *row)
{
    cJSON_AddNumberToObject(row, "filters", v->detail);
    cJSON_AddNumberToObject(row, "bytes", (double)v->size);
}

static int show(struct version_request *r, struct err *e)
{
    struct version_text t;
    if (version_store_get(r->store, r->name, r->item, &t, e) != 0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", t.name);
    cJSON_AddNumberToObject(root, "version", (double)t.number);
    cJSON_AddStringToObject(root, "sha256", t.sha256);
    cJSON_AddNumberToObject(root, "created", (double)t.created);
    cJSON_AddStringToObject(root, "author", t.author);
    cJSON_AddStringToObject(root, "note", t.note);
    cJSON *content = json_parse_large(t.content, strlen(t.content), e);
    cJSON_AddItemToObject(root, "chain", content);
    version_text_deinit(&t);
    if (!content) {
        cJSON_Delete(root);
        return -1;
    }
    return version_work_reply(r, root, e);
}

static int diff(struct version_request *r, const char *from, const char *to, struct buf *out,
                struct err *e)
{
    struct version_text a = {.number = 0};
    struct version_text b = {.number = 0};
    int rc = version_store_get(r->store, r->name, from, &a, e);
    rc = rc == 0 ? version_store_get(r->store, r->name, to, &b, e) : -1;
    rc = rc == 0 ? chain_store_diff(&a, &b, out, e) : -1;
    version_text_deinit(&a);
    version_text_deinit(&b);
    return rc;
}

/* --- changing --- */

static int put(struct version_request *r, struct err *e)
{
    struct chain_request *c = of(r);
    struct chain_draft draft;
    if (chain_draft_parse(&draft, r->name, r->body, r->body_len, e) != 0) {
        return -1;
    }
    /* What a file serves may have a version too; numbers of one name go up. */
    uint64_t above = c->served.chain ? chain_version(c->served.chain) : 0;
    int there = version_work_activate_numbered(r, chain_hash(draft.chain), e);
    if (there != 0 || version_work_is_stored(r, chain_hash(draft.chain))) {
        chain_draft_deinit(&draft);
        return there < 0 ? -1 : 0;
    }
    int rc =
        chain_store_put(r->store, r->name, &draft, above, r->activate, &r->change, NULL, e);
    if (rc == 0) {
        c->ready = chain_ref(draft.chain);
    }
    chain_draft_deinit(&draft);
    return rc;
}

/* One that this build can compile. */
static int find(struct version_request *r, const char *which, uint64_t *version, struct err *e)
{
    struct chain_request *c = of(r);
    c->ready = chain_store_compile(r->store, r->name, which, e);
    *version = c->ready ? chain_version(c->ready) : 0;
    return c->ready ? 0 : -1;
}

/* --- trying --- */

struct trial {
    struct chain *chain; /* a reference */
    enum filter_side side;
    enum filter_channel channel;
    const char *text; /* borrowed from the body */
};

static int choose(const cJSON *body, const char *field, const char *const *names, int n,
                  int *chosen, struct err *e)
{
    const cJSON *item = json_field_get(body, field);
    const char *text = item ? cJSON_GetStringValue(item) : names[*chosen];
    for (int i = 0; text && i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *chosen = i;
            return 0;
        }
    }
    char wanted[96] = "one of";
    for (int i = 0; i < n; i++) {
        size_t used = strlen(wanted);
        snprintf(wanted + used, sizeof(wanted) - used, "%s \"%s\"", i > 0 ? "," : "", names[i]);
    }
    return json_field_wrong_type(field, wanted, e);
}

/* The chain of the body, or the version that it names, or what is active. */
static struct chain *trial_chain(struct version_request *r, const cJSON *body, struct err *e)
{
    char which[VERSION_NAME_MAX + 1] = "active";
    const cJSON *content = json_field_get(body, "chain");
    if (!content) {
        bool is_named = json_field_get(body, "version") != NULL;
        if (is_named && version_work_which(body, which, e) != 0) {
            return NULL;
        }
        /* A file's chain has no version in the store. */
        struct chain *served = of(r)->served.chain;
        return is_named || !served ? chain_store_compile(r->store, r->name, which, e)
                                   : chain_ref(served);
    }
    struct chain_draft draft;
    struct chain *c = NULL;
    char *text = cJSON_PrintUnformatted(content);
    if (!text) {
        err_nomem(e);
    } else if (chain_draft_parse(&draft, r->name, text, strlen(text), e) == 0) {
        c = chain_ref(draft.chain);
        chain_draft_deinit(&draft);
    }
    cJSON_free(text);
    return c;
}

static int read_trial(struct version_request *r, const cJSON *body, struct trial *t,
                      struct err *e)
{
    static const char *const sides[] = {"output", "input"};
    const char *const channels[] = {[FILTER_CONTENT] = chain_channel_name(FILTER_CONTENT),
                                    [FILTER_REASONING] = chain_channel_name(FILTER_REASONING),
                                    [FILTER_TOOL_ARGS] = chain_channel_name(FILTER_TOOL_ARGS)};
    int side = 0;
    int channel = FILTER_CONTENT;
    if (!cJSON_IsObject(body)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    t->text = cJSON_GetStringValue(json_field_get(body, "text"));
    if (!t->text) {
        return json_field_wrong_type("text", "the text to try, a string", e);
    }
    if (choose(body, "side", sides, 2, &side, e) != 0 ||
        choose(body, "channel", channels, 3, &channel, e) != 0) {
        return -1;
    }
    t->side = side == 0 ? FILTER_OUTPUT : FILTER_INPUT;
    t->channel = (enum filter_channel)channel;
    t->chain = trial_chain(r, body, e);
    return t->chain ? 0 : -1;
}

static cJSON *event_json(const struct chain_event *event)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "verdict", chain_event_name(event->kind));
    cJSON_AddNumberToObject(o, "filter", (double)event->filter);
    cJSON_AddStringToObject(o, "type", event->type);
    cJSON_AddStringToObject(o, "name", event->name);
    cJSON_AddStringToObject(o, "channel", chain_channel_name(event->channel));
    cJSON_AddNumberToObject(o, "from", (double)event->from);
    cJSON_AddNumberToObject(o, "to", (double)event->to);
    cJSON_AddNumberToObject(o, "at", (double)event->at);
    cJSON_AddStringToObject(o, "code", event->code);
    cJSON_AddStringToObject(o, "message", event->message);
    cJSON_AddBoolToObject(o, "recorded", event->is_recorded);
    return o;
}

/* A trial asks no services: it is off the loop, and a text to try is for nobody else. */
static void add_left_out(cJSON *root, const struct chain *chain)
{
    cJSON *list = cJSON_AddArrayToObject(root, "left_out");
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (chain_filter_asks(chain, i)) {
            cJSON_AddItemToArray(list, cJSON_CreateNumber((double)i));
        }
    }
}

static cJSON *trial_json(const struct trial *t, const struct chain_stream *stream,
                         const struct buf *out)
{
    size_t count;
    bool truncated;
    const struct chain_event *events = chain_stream_events(stream, &count, &truncated);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", chain_name(t->chain));
    add_chain(root, t->chain);
    cJSON_AddStringToObject(root, "text", out->data ? out->data : "");
    cJSON_AddBoolToObject(root, "stopped", chain_stream_stop(stream) != NULL);
    cJSON *list = cJSON_AddArrayToObject(root, "events");
    for (size_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, event_json(&events[i]));
    }
    cJSON_AddBoolToObject(root, "truncated", truncated);
    add_left_out(root, t->chain);
    return root;
}

static int run_trial(struct version_request *r, const struct trial *t, struct err *e)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    const struct chain_sink sink = chain_sink_buf(&out);
    struct chain_stream *stream = chain_stream_create(t->chain, t->side, e);
    if (stream) {
        chain_stream_leave_out_asking(stream);
    }
    int rc = stream ? chain_feed(stream, t->channel, t->text, strlen(t->text), &sink, e) : -1;
    if (rc == CHAIN_GOES_ON) {
        rc = chain_finish(stream, &sink, e);
    }
    if (rc >= 0) {
        rc = version_work_reply(r, trial_json(t, stream, &out), e);
    }
    chain_stream_destroy(stream);
    buf_deinit(&out);
    return rc;
}

static int dry_run(struct version_request *r, struct err *e)
{
    struct trial t = {.chain = NULL};
    cJSON *body = json_parse_large(r->body, r->body_len, e);
    int rc = body && read_trial(r, body, &t, e) == 0 ? run_trial(r, &t, e) : -1;
    chain_unref(t.chain);
    cJSON_Delete(body);
    return rc;
}

const struct version_api chain_work_api = {
    .kind = VERSION_FILTERS,
    .request_size = sizeof(struct chain_request),
    .list = "chains",
    .noun = "filter chain",
    .param = "chain",
    .begin = begin,
    .release = release,
    .load = load,
    .is_served = is_served,
    .describe = describe,
    .add_to_list = add_served,
    .add_to_info = add_to_info,
    .find = find,
    .put = put,
    .show = show,
    .diff = diff,
    .dry_run = dry_run,
    .publish = publish,
    .put_failed = put_failed,
};

#include "runtime/serve/chain_work.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/chain_store.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/chain_trial.h"
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
        chain_trial_add_chain(root, in_force);
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
        chain_trial_add_chain(row, served->chain);
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

/* report: chain_trial_result or chain_trial_trace. */
static int try_text(struct version_request *r,
                    cJSON *(*report)(const struct chain_trial *t, struct chain *chain,
                                     struct err *e),
                    struct err *e)
{
    struct chain_trial t;
    cJSON *body = json_parse_large(r->body, r->body_len, e);
    struct chain *chain =
        body && chain_trial_read(&t, body, e) == 0 ? trial_chain(r, body, e) : NULL;
    cJSON *root = chain ? report(&t, chain, e) : NULL;
    chain_unref(chain);
    cJSON_Delete(body);
    return root ? version_work_reply(r, root, e) : -1;
}

static int dry_run(struct version_request *r, struct err *e)
{
    return try_text(r, chain_trial_result, e);
}

static int trace(struct version_request *r, struct err *e)
{
    return try_text(r, chain_trial_trace, e);
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
    .trace = trace,
    .publish = publish,
    .put_failed = put_failed,
};

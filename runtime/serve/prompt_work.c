#include "runtime/serve/prompt_work.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt_store.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/prompt_prefix.h"
#include "runtime/serve/watched_dir.h"

/* Fewer tokens than this for question and answer are too few for a warning to be left out. */
#define ROOM_WANTED 256

struct prompt_request {
    struct version_request base; /* first */
    struct generation *generation;
    struct prompt_prefix_stats prefix; /* as it was when the request came */
    struct prompt *active, *split;     /* to publish */
};

static struct prompt_request *of(struct version_request *r)
{
    return (struct prompt_request *)r;
}

/* --- on the loop --- */

static void begin(struct version_request *r)
{
    of(r)->prefix = r->server->prompts.stats;
    of(r)->generation = r->server->generation ? generation_ref(r->server->generation) : NULL;
}

static void release(struct version_request *r)
{
    prompt_unref(of(r)->active);
    prompt_unref(of(r)->split);
    generation_unref(of(r)->generation);
}

static int publish(struct version_request *r, void (*done)(void *r), struct err *e)
{
    return prompt_set_publish(&r->server->prompts, &r->state, of(r)->active, of(r)->split, done,
                              r, e);
}

static void put_failed(struct version_request *r)
{
    watched_dir_failed(r->server->prompts_dir, r->name, &r->e);
}

/* --- versions and what they make of a conversation --- */

/* A version as it stands in the tree of an answer. */
static cJSON *version_tree(const struct prompt *p)
{
    size_t len = 0;
    char *text = prompt_to_json(p, &len);
    cJSON *tree = text ? cJSON_Parse(text) : NULL;
    mem_free(text);
    return tree;
}

struct trial {
    struct token_list tokens; /* of the shortest conversation */
    struct token_list prefix; /* of these, what all conversations share */
};

static void trial_deinit(struct trial *t)
{
    token_list_deinit(&t->tokens);
    token_list_deinit(&t->prefix);
}

/* Variables without a value stand for a letter here: some value will come. */
static int try_version(struct prompt_request *r, struct prompt *p, struct trial *t,
                       struct err *e)
{
    struct prompt_value values[PROMPT_VARIABLES_MAX];
    struct chat_message message = {.role = "user", .content = "?", .content_len = 1};
    const struct answer_request request = {
        .messages = &message, .n_messages = 1, .n_choices = 1};
    struct answer_prompt_source source = {
        .generation = r->generation, .prompt = p, .values = values, .request = &request};
    for (size_t i = 0; i < p->n_variables; i++) {
        if (!p->variables[i].value) {
            values[source.n_values++] =
                (struct prompt_value){.name = p->variables[i].name, .value = "x"};
        }
    }
    bool reasoning_open;
    *t = (struct trial){0};
    if (answer_prompt_tokens(&source, 0, &t->tokens, &reasoning_open, e) != 0 ||
        prompt_prefix_find(r->generation, p, &t->prefix, e) != 0) {
        trial_deinit(t);
        return -1;
    }
    return 0;
}

/* The model must be able to read it, and must have room for an answer. */
static int check_fits(struct prompt_request *r, struct prompt *p, struct err *e)
{
    struct trial t;
    if (!r->generation || !r->generation->engine) {
        return 0;
    }
    if (try_version(r, p, &t, e) != 0) {
        return -1;
    }
    size_t context = (size_t)generation_context(r->generation);
    size_t n = t.tokens.count;
    trial_deinit(&t);
    return n < context ? 0
                       : err_set_param(e, ERR_LIMIT, "text",
                                       "the prompt makes a conversation of %zu tokens, and the "
                                       "context has %zu; shorten it",
                                       n, context);
}

/* --- reading --- */

static int load(struct version_request *r, struct err *e)
{
    return prompt_store_load(r->store, r->name, &r->state, &of(r)->active, &of(r)->split, e);
}

/* Where nobody has set one there is version 0, which says nothing. */
static bool is_served(const struct version_request *r)
{
    return strcmp(r->name, VERSION_DEFAULT_NAME) == 0;
}

static int describe(struct version_request *r, bool is_none, cJSON *root, struct err *e)
{
    const struct prompt *p = is_none ? r->server->no_prompt : of(r)->active;
    (void)e;
    if (p) {
        cJSON_AddNumberToObject(root, "version", (double)p->version);
        cJSON_AddStringToObject(root, "sha256", p->sha256);
        cJSON_AddStringToObject(root, "text", p->text);
    }
    cJSON_AddItemToObject(root, "prompt", p && !is_none ? version_tree(p) : cJSON_CreateNull());
    return 0;
}

/* How often what was read ahead was found, and why not. */
static void add_prefix_stats(struct version_request *r, cJSON *root)
{
    const struct prompt_prefix_stats *stats = &of(r)->prefix;
    cJSON *prefix = cJSON_AddObjectToObject(root, "prefix");
    cJSON *misses = cJSON_CreateObject();
    cJSON_AddNumberToObject(prefix, "hits", (double)stats->hits);
    cJSON_AddItemToObject(prefix, "misses", misses);
    cJSON_AddNumberToObject(misses, "variables", (double)stats->variables);
    cJSON_AddNumberToObject(misses, "not_served", (double)stats->not_served);
    cJSON_AddNumberToObject(misses, "not_read", (double)stats->not_read);
    cJSON_AddNumberToObject(misses, "evicted", (double)stats->evicted);
}

static void add_to_info(const struct version_info *v, cJSON *row)
{
    cJSON_AddStringToObject(row, "mode", prompt_mode_name((enum prompt_mode)v->detail));
    cJSON_AddNumberToObject(row, "text_bytes", (double)v->size);
}

static int show(struct version_request *r, struct err *e)
{
    struct prompt *p = prompt_store_get(r->store, r->name, r->item, e);
    if (!p) {
        return -1;
    }
    r->reply = prompt_to_json(p, &r->reply_len);
    prompt_unref(p);
    return r->reply ? 0 : err_nomem(e);
}

static int diff(struct version_request *r, const char *from, const char *to, struct buf *out,
                struct err *e)
{
    struct prompt *a = prompt_store_get(r->store, r->name, from, e);
    struct prompt *b = a ? prompt_store_get(r->store, r->name, to, e) : NULL;
    int rc = b ? prompt_diff(a, b, out, e) : -1;
    prompt_unref(a);
    prompt_unref(b);
    return rc;
}

/* --- trying --- */

static char *token_text(const struct tokenizer *t, const struct token_list *tokens)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < tokens->count; i++) {
        size_t len;
        const char *bytes = tokenizer_token_bytes(t, tokens->ids[i], &len);
        const char *name = len > 0 ? NULL : tokenizer_token_name(t, tokens->ids[i]);
        if (name) {
            buf_append_str(&text, name);
        } else {
            buf_append(&text, bytes, len);
        }
    }
    char *taken = buf_take(&text, NULL);
    buf_deinit(&text);
    return taken;
}

static int answer_trial(struct prompt_request *r, struct prompt *p, const struct trial *t,
                        struct err *e)
{
    char *text = token_text(r->generation->model->tokenizer, &t->tokens);
    if (!text) {
        return err_nomem(e);
    }
    double context = generation_context(r->generation);
    double left = context - (double)t->tokens.count;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "text", text);
    mem_free(text);
    cJSON_AddNumberToObject(root, "tokens", (double)t->tokens.count);
    cJSON_AddNumberToObject(root, "shared_tokens", (double)t->prefix.count);
    cJSON_AddNumberToObject(root, "context", context);
    cJSON_AddNumberToObject(root, "left", left);
    cJSON *warnings = cJSON_AddArrayToObject(root, "warnings");
    if (left < ROOM_WANTED) {
        cJSON_AddItemToArray(warnings,
                             cJSON_CreateString(left <= 0 ? "it does not fit into the context"
                                                          : "little of the context is left for "
                                                            "conversations"));
    }
    bool volatile_early = p->n_variables > 0 && t->prefix.count * 2 < t->tokens.count;
    if (volatile_early) {
        cJSON_AddItemToArray(
            warnings, cJSON_CreateString("variables stand early: what comes behind the "
                                         "first one that requests give is read again "
                                         "for each of its values; move them to the end"));
    }
    return version_work_reply(&r->base, root, e);
}

static int dry_run(struct version_request *base, struct err *e)
{
    struct prompt_request *r = of(base);
    struct trial t;
    if (!r->generation || !r->generation->engine) {
        return err_set(e, ERR_UNSUPPORTED, "the served model makes no text");
    }
    struct prompt *p = base->body_len > 0
                           ? prompt_from_json(base->body, base->body_len, e)
                           : prompt_store_get(base->store, base->name, "active", e);
    if (!p) {
        return -1;
    }
    int rc = try_version(r, p, &t, e);
    if (rc == 0) {
        rc = answer_trial(r, p, &t, e);
        trial_deinit(&t);
    }
    prompt_unref(p);
    return rc;
}

/* --- changing --- */

static int put(struct version_request *r, struct err *e)
{
    struct prompt *p = prompt_from_json(r->body, r->body_len, e);
    int rc = p ? check_fits(of(r), p, e) : -1;
    if (rc == 0) {
        rc = version_work_activate_numbered(r, p->sha256, e);
    }
    if (rc == 0 && !version_work_is_stored(r, p->sha256)) {
        rc = prompt_store_put(r->store, r->name, p, r->activate, &r->change, NULL, e);
    }
    prompt_unref(p);
    return rc < 0 ? -1 : 0;
}

/* One that the model can read. */
static int find(struct version_request *r, const char *which, uint64_t *version, struct err *e)
{
    struct prompt *p = prompt_store_get(r->store, r->name, which, e);
    if (!p) {
        return -1;
    }
    *version = p->version;
    int rc = check_fits(of(r), p, e);
    prompt_unref(p);
    return rc;
}

const struct version_api prompt_work_api = {
    .kind = VERSION_PROMPTS,
    .request_size = sizeof(struct prompt_request),
    .list = "profiles",
    .noun = "prompt",
    .param = "profile",
    .begin = begin,
    .release = release,
    .load = load,
    .is_served = is_served,
    .describe = describe,
    .add_to_list = add_prefix_stats,
    .add_to_info = add_to_info,
    .find = find,
    .put = put,
    .show = show,
    .diff = diff,
    .dry_run = dry_run,
    .publish = publish,
    .put_failed = put_failed,
};

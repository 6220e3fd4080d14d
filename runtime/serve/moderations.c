#include "runtime/serve/moderations.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/moderation_reply.h"
#include "runtime/api/moderation_request.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/filter_findings.h"
#include "runtime/serve/filter_run.h"
#include "runtime/serve/respond.h"

#define NAME_MAX_BYTES (CHAIN_MAX_NAME + 16) /* "default@3" */
static void name_version(const char *name, const struct chain *chain, char out[NAME_MAX_BYTES])
{
    snprintf(out, NAME_MAX_BYTES, "%s@%u", name, chain_version(chain));
}

/* Whether `asked` is that name, with or without the chain's version. */
static bool names(const char *asked, const char *name, const struct chain *chain)
{
    char full[NAME_MAX_BYTES];
    name_version(name, chain, full);
    return strcmp(asked, name) == 0 || strcmp(asked, full) == 0;
}

/* By the name under which it is published, else by the one that its file gives it. */
static struct chain *find_published(const struct chain_set *set, const char *asked)
{
    for (int own = 0; own < 2; own++) {
        for (size_t i = 0; i < set->count; i++) {
            const struct served_chain *c = &set->chains[i];
            if (names(asked, own ? chain_name(c->chain) : c->name, c->chain)) {
                return c->chain;
            }
        }
    }
    return NULL;
}

/* Clients name OpenAI's models if nobody tells them otherwise; here a chain is meant: that of
 * their requests, unless they name a published one. */
static int pick(const struct server *s, struct http_exchange *http, const char *asked,
                struct chain **out, struct err *e)
{
    static const char *const families[] = {"omni-moderation", "text-moderation"};
    bool is_theirs = !asked;
    for (size_t i = 0; asked && i < sizeof(families) / sizeof(families[0]); i++) {
        is_theirs = is_theirs || strncmp(asked, families[i], strlen(families[i])) == 0;
    }
    if (is_theirs) {
        return chain_pick(s, http, server_model_name(s), out, e);
    }
    *out = find_published(&s->chains, asked);
    return *out ? 0
                : err_set_param(e, ERR_NOT_FOUND, "model",
                                "there is no published filter chain \"%.100s\"", asked);
}

struct moderation {
    struct server *server;
    struct http_exchange *http;
    struct chain *chain;
    struct moderation_request request;
    struct moderation_result *results; /* (n_results) */
    size_t n_results;
    struct filter_run run; /* each text past the filters of both sides */
    char name[NAME_MAX_BYTES];
    char id[48]; /* of the answer */
};

static void destroy(struct moderation *x)
{
    for (size_t i = 0; x->results && i < x->n_results; i++) {
        moderation_result_deinit(&x->results[i]);
    }
    mem_free(x->results);
    moderation_request_deinit(&x->request);
    chain_unref(x->chain);
    mem_free(x);
}

/* Each text twice, up to where a filter stops it. */
static int get_text(void *user, size_t index, struct filter_run_text *text, struct err *e)
{
    static const enum filter_side sides[] = {FILTER_INPUT, FILTER_OUTPUT};
    (void)e;
    const struct moderation *x = user;
    size_t i = index / 2;
    text->side = sides[index % 2];
    text->text = x->request.texts[i];
    text->len = strlen(text->text);
    text->findings = &x->results[x->request.are_parts ? 0 : i];
    return 1;
}

/* What filters make of a text is of no interest here. */
static int drop_text(void *user, size_t index, char *text, size_t len, struct err *e)
{
    (void)user, (void)index, (void)len, (void)e;
    mem_free(text);
    return 0;
}

/* Answers, and is over. e: NULL, or why there are no results. */
static void answer(void *user, struct err *e)
{
    struct moderation *x = user;
    char value[NAME_MAX_BYTES + 32];
    if (e) {
        http_exchange_set_data(x->http, NULL);
        respond_err(x->http, e);
        destroy(x);
        return;
    }
    snprintf(value, sizeof(value), "%s; sha256=%.12s", x->name, chain_hash(x->chain));
    const struct http_header made_by = {"weir-filters", value};
    size_t len = 0;
    char *text = moderation_reply_text(x->id, x->name, x->results, x->n_results, &len);
    http_exchange_set_data(x->http, NULL);
    respond_json(x->http, 200, text, len, &made_by, 1);
    destroy(x);
}

/* ---- the classifier that is built in ---- */

/* Who asks here wants scores of the usual categories, also if no filter of the chain gives any.
 * NULL on failure. */
static struct chain *builtin_classifier(struct server *s, struct err *e)
{
    static const char json[] = "{\"name\": \"moderations\", \"filters\": [{\"type\": "
                               "\"classifier\", \"side\": \"input\", \"action\": \"note\"}]}";
    if (!s->classifier) {
        s->classifier = chain_from_json(json, sizeof(json) - 1, NULL, e);
    }
    return s->classifier;
}

static int get_for_scores(void *user, size_t index, struct filter_run_text *text, struct err *e)
{
    (void)e;
    const struct moderation *x = user;
    text->text = x->request.texts[index];
    text->len = strlen(text->text);
    text->findings = &x->results[x->request.are_parts ? 0 : index];
    text->is_untold = true;
    return 1;
}

/* As filter_run_start. */
static int start_scores(struct moderation *x, struct err *e)
{
    static const struct filter_run_owner owner = {
        .get = get_for_scores, .take = drop_text, .done = answer};
    if (filter_findings_has_classifier(x->chain)) {
        return FILTER_RUN_OVER;
    }
    struct chain *classifier = builtin_classifier(x->server, e);
    if (!classifier) {
        return -1;
    }
    for (size_t i = 0; i < x->n_results; i++) {
        if (filter_findings_begin(&x->results[i], classifier) != 0) {
            return err_nomem(e);
        }
    }
    const struct filter_origin origin = {x->server, x->http, x->id};
    return filter_run_start(&x->run, &owner, x, classifier, &origin, x->request.n_texts, e);
}

/* The filters are through. */
static void add_scores(void *user, struct err *why)
{
    struct err e = {0};
    int rc = why ? -1 : start_scores(user, &e);
    if (rc != FILTER_RUN_WAITS) {
        answer(user, rc == FILTER_RUN_OVER ? NULL : why ? why : &e);
    }
}

static int begin_results(struct moderation *x, struct err *e)
{
    x->n_results = x->request.are_parts ? 1 : x->request.n_texts;
    x->results = mem_zarray(x->n_results, sizeof(*x->results));
    for (size_t i = 0; x->results && i < x->n_results; i++) {
        if (filter_findings_begin(&x->results[i], x->chain) != 0) {
            return err_nomem(e);
        }
    }
    return x->results ? 0 : err_nomem(e);
}

static int examine(struct moderation *x, struct server *s, struct err *e)
{
    static const struct filter_run_owner owner = {
        .get = get_text, .take = drop_text, .done = add_scores};
    const struct http_request *http = http_exchange_request(x->http);
    struct chain *chain;
    if (moderation_request_parse(&x->request, http->body, http->body_len, e) != 0 ||
        pick(s, x->http, x->request.model, &chain, e) != 0) {
        return -1;
    }
    x->chain = chain_ref(chain);
    name_version(chain_name(chain), chain, x->name);
    if (begin_results(x, e) != 0) {
        return -1;
    }
    unique_id(x->id, sizeof(x->id), "modr-");
    const struct filter_origin origin = {s, x->http, x->id};
    return filter_run_start(&x->run, &owner, x, x->chain, &origin, 2 * x->request.n_texts, e);
}

void moderations_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct moderation *x = mem_zalloc(sizeof(*x));
    if (!x) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    x->server = s;
    x->http = http;
    http_exchange_set_data(http, x);
    int rc = examine(x, s, &e);
    if (rc != FILTER_RUN_WAITS) {
        add_scores(x, rc == FILTER_RUN_OVER ? NULL : &e);
    }
}

void moderations_abort(struct http_exchange *http)
{
    struct moderation *x = http_exchange_data(http);
    if (x) {
        filter_run_cancel(&x->run);
        destroy(x);
    }
}

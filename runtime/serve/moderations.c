#include "runtime/serve/moderations.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/moderation_reply.h"
#include "runtime/api/moderation_request.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/filter_findings.h"
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
        return chain_pick(s, http, s->generation->model->name, out, e);
    }
    *out = find_published(&s->chains, asked);
    return *out ? 0
                : err_set_param(e, ERR_NOT_FOUND, "model",
                                "there is no published filter chain \"%.100s\"", asked);
}

static int drop(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)context;
    (void)channel;
    (void)text;
    (void)len;
    return 0;
}

/* A text past the filters of one side, up to where one of them stops. */
static int examine_side(struct moderation_result *result, struct chain *chain,
                        enum filter_side side, const char *text, struct err *e)
{
    const struct chain_sink sink = {.emit = drop};
    struct chain_stream *stream = chain_stream_create(chain, side, e);
    if (!stream) {
        return -1;
    }
    int rc = chain_feed(stream, FILTER_CONTENT, text, strlen(text), &sink, e);
    if (rc == CHAIN_GOES_ON) {
        rc = chain_finish(stream, &sink, e);
    }
    if (rc >= 0) {
        rc = filter_findings_take(result, stream) == 0 ? 0 : err_nomem(e);
    }
    chain_stream_destroy(stream);
    return rc;
}

static int examine(struct moderation_result *result, struct chain *chain, const char *text,
                   struct err *e)
{
    static const enum filter_side sides[] = {FILTER_INPUT, FILTER_OUTPUT};
    if (filter_findings_begin(result, chain) != 0) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        if (chain_has_side(chain, sides[i]) &&
            examine_side(result, chain, sides[i], text, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The answer's text, or NULL. */
static char *make_answer(struct chain *chain, const char *name,
                         const struct moderation_request *r, size_t *len, struct err *e)
{
    size_t n_results = r->are_parts ? 1 : r->n_texts;
    struct moderation_result *results = mem_zarray(n_results, sizeof(*results));
    char *text = NULL;
    int rc = results ? 0 : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < r->n_texts; i++) {
        rc = examine(&results[r->are_parts ? 0 : i], chain, r->texts[i], e);
    }
    if (rc == 0) {
        char id[48];
        unique_id(id, sizeof(id), "modr-");
        text = moderation_reply_text(id, name, results, n_results, len);
        if (!text) {
            err_nomem(e);
        }
    }
    for (size_t i = 0; results && i < n_results; i++) {
        moderation_result_deinit(&results[i]);
    }
    mem_free(results);
    return text;
}

void moderations_answer(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct moderation_request r;
    const struct http_request *request = http_exchange_request(http);
    if (moderation_request_parse(&r, request->body, request->body_len, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct chain *chain = NULL;
    char name[NAME_MAX_BYTES];
    char value[NAME_MAX_BYTES + 32] = "";
    size_t len = 0;
    char *text = NULL;
    if (pick(s, http, r.model, &chain, &e) == 0) {
        name_version(chain_name(chain), chain, name);
        snprintf(value, sizeof(value), "%s; sha256=%.12s", name, chain_hash(chain));
        text = make_answer(chain, name, &r, &len, &e);
    }
    const struct http_header made_by = {"weir-filters", value};
    if (text) {
        respond_json(http, 200, text, len, &made_by, 1);
    } else {
        respond_err(http, &e);
    }
    moderation_request_deinit(&r);
}

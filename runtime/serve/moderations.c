#include "runtime/serve/moderations.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/moderation_reply.h"
#include "runtime/api/moderation_request.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/serve/filter_findings.h"
#include "runtime/serve/respond.h"

#define NAME_MAX_BYTES (CHAIN_MAX_NAME + 16) /* "default@3" */

/* Clients name OpenAI's models if nobody tells them otherwise; here the chain is meant. */
static int check_model(const struct chain *chain, const char *name, const char *asked,
                       struct err *e)
{
    static const char *const families[] = {"omni-moderation", "text-moderation"};
    if (!asked || strcmp(asked, name) == 0 || strcmp(asked, chain_name(chain)) == 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strncmp(asked, families[i], strlen(families[i])) == 0) {
            return 0;
        }
    }
    return err_set_param(e, ERR_NOT_FOUND, "model",
                         "there is no filter chain \"%.100s\"; \"%s\" is published", asked,
                         name);
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
    if (!chain) {
        return 0;
    }
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

/* Who asks here wants scores of the usual categories: what judges if no filter of the published
 * chain does. *classifier stays NULL if one does. */
static int find_classifier(struct server *s, struct chain **classifier, struct err *e)
{
    static const char json[] = "{\"name\": \"moderations\", \"filters\": [{\"type\": "
                               "\"classifier\", \"side\": \"input\", \"action\": \"note\"}]}";
    *classifier = NULL;
    if (filter_findings_has_classifier(s->chain)) {
        return 0;
    }
    if (!s->classifier) {
        s->classifier = chain_from_json(json, sizeof(json) - 1, NULL, e);
    }
    *classifier = s->classifier;
    return s->classifier ? 0 : -1;
}

/* The answer's text, or NULL. */
static char *make_answer(struct server *s, const char *name, const struct moderation_request *r,
                         size_t *len, struct err *e)
{
    struct chain *classifier;
    if (find_classifier(s, &classifier, e) != 0) {
        return NULL;
    }
    size_t n_results = r->are_parts ? 1 : r->n_texts;
    struct moderation_result *results = mem_zarray(n_results, sizeof(*results));
    char *text = NULL;
    int rc = results ? 0 : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < r->n_texts; i++) {
        struct moderation_result *result = &results[r->are_parts ? 0 : i];
        rc = examine(result, s->chain, r->texts[i], e) == 0
                 ? examine(result, classifier, r->texts[i], e)
                 : -1;
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
    char name[NAME_MAX_BYTES], value[NAME_MAX_BYTES + 32];
    snprintf(name, sizeof(name), "%s@%u", chain_name(s->chain), chain_version(s->chain));
    snprintf(value, sizeof(value), "%s; sha256=%.12s", name, chain_hash(s->chain));
    const struct http_header made_by = {"weir-filters", value};
    size_t len = 0;
    char *text = NULL;
    if (check_model(s->chain, name, r.model, &e) == 0) {
        text = make_answer(s, name, &r, &len, &e);
    }
    if (text) {
        respond_json(http, 200, text, len, &made_by, 1);
    } else {
        respond_err(http, &e);
    }
    moderation_request_deinit(&r);
}

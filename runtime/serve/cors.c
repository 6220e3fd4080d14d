#include "runtime/serve/cors.h"

#include <ctype.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/net/http_server.h"

/* What a page may read beside the few fields that browsers show it anyway. */
#define EXPOSED                                                                               \
    "x-request-id, request-id, openai-processing-ms, weir-model, weir-prompt, weir-filters, " \
    "retry-after, x-should-retry, x-ratelimit-limit-requests, "                               \
    "x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "  \
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"

/* Seconds for which a browser need not ask again; Chromium's cap is 7200. */
#define MAX_AGE "7200"

#define ORIGIN_MAX 255

/* scheme "://" host [":" port], in the form in which browsers send it: no path, no capitals. */
static bool is_origin(const char *text, size_t len)
{
    const char *host = memmem(text, len, "://", 3);
    if (!host || host == text || host + 3 == text + len || len > ORIGIN_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool is_mark = text + i >= host && text + i < host + 3;
        if (!is_mark && !islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) &&
            !strchr(".-+_:[]", text[i])) {
            return false;
        }
    }
    return true;
}

static int allow_one(struct cors *c, const char *text, size_t len, struct err *e)
{
    if (len == 1 && text[0] == '*') {
        c->any = true;
        return 0;
    }
    if (!is_origin(text, len)) {
        return err_set(e, ERR_INVALID,
                       "\"%.*s\" is no origin; https://example.org is one, in lower case and "
                       "without a path; * stands for all",
                       (int)len, text);
    }
    if (c->n_origins == CORS_ORIGINS_MAX) {
        return err_set(e, ERR_LIMIT, "at most %d origins can be allowed", CORS_ORIGINS_MAX);
    }
    c->origins[c->n_origins] = mem_strndup(text, len);
    return c->origins[c->n_origins++] ? 0 : err_nomem(e);
}

int cors_allow(struct cors *c, const char *list, struct err *e)
{
    for (;;) {
        size_t len = strcspn(list, ",");
        if (allow_one(c, list, len, e) != 0) {
            return -1;
        }
        if (list[len] == '\0') {
            return 0;
        }
        list += len + 1;
    }
}

void cors_deinit(struct cors *c)
{
    for (size_t i = 0; i < c->n_origins; i++) {
        mem_free(c->origins[i]);
    }
    *c = (struct cors){0};
}

bool cors_allows(const struct cors *c, const struct http_request *r)
{
    const char *origin = http_request_header(r, "origin");
    if (!origin || c->any) {
        return origin != NULL;
    }
    for (size_t i = 0; i < c->n_origins; i++) {
        if (strcmp(c->origins[i], origin) == 0) {
            return true;
        }
    }
    return false;
}

bool cors_is_preflight(const struct http_request *r)
{
    return strcmp(r->method, "OPTIONS") == 0 && http_request_header(r, "origin") &&
           http_request_header(r, "access-control-request-method");
}

void cors_add_fields(const struct cors *c, const struct http_request *r, struct buf *head)
{
    if (!c->any && c->n_origins > 0) {
        http_field_add(head, "Vary", "Origin");
    }
    if (!cors_allows(c, r)) {
        return;
    }
    http_field_add(head, "Access-Control-Allow-Origin",
                   c->any ? "*" : http_request_header(r, "origin"));
    if (strcmp(r->method, "OPTIONS") != 0) {
        http_field_add(head, "Access-Control-Expose-Headers", EXPOSED);
    }
}

/* Names of fields with commas, as browsers send them. */
static bool is_field_list(const char *text)
{
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && !strchr("-_, ", *text)) {
            return false;
        }
    }
    return true;
}

void cors_add_preflight_fields(const struct http_request *r, const char *methods,
                               struct buf *head)
{
    /* Clients send many fields of their own (x-stainless-..., anthropic-...). What they may be
     * is no secret, and whether the page may ask at all was decided by its origin. */
    const char *wanted = http_request_header(r, "access-control-request-headers");
    http_field_add(head, "Access-Control-Allow-Methods", methods);
    if (wanted && is_field_list(wanted)) {
        http_field_add(head, "Access-Control-Allow-Headers", wanted);
    }
    /* From a public page to a server on this machine or network. */
    if (http_request_header(r, "access-control-request-private-network")) {
        http_field_add(head, "Access-Control-Allow-Private-Network", "true");
    }
    http_field_add(head, "Access-Control-Max-Age", MAX_AGE);
}

/* routes.h: the table of routes: method, path, who may call.
 *
 * Dispatch, the 405 answer's Allow field and the documentation's test all read this one table.
 */
#pragma once

enum route_auth {
    ROUTE_OPEN,   /* anybody */
    ROUTE_PUBLIC, /* the API key, if one is set */
    ROUTE_ADMIN,  /* the admin key, always */
};

/* id, method, path, auth. A path that ends in '*' matches everything that begins so. */
#define ROUTES(X)                                                      \
    X(CHAT_PAGE, "GET", "/", ROUTE_OPEN)                               \
    X(OPENAPI, "GET", "/openapi.json", ROUTE_OPEN)                     \
    X(HEALTHZ, "GET", "/healthz", ROUTE_OPEN)                          \
    X(READYZ, "GET", "/readyz", ROUTE_OPEN)                            \
    X(CHAT_COMPLETIONS, "POST", "/v1/chat/completions", ROUTE_PUBLIC)  \
    X(COMPLETIONS, "POST", "/v1/completions", ROUTE_PUBLIC)            \
    X(RESPONSES, "POST", "/v1/responses", ROUTE_PUBLIC)                \
    X(MESSAGES, "POST", "/v1/messages", ROUTE_PUBLIC)                  \
    X(COUNT_TOKENS, "POST", "/v1/messages/count_tokens", ROUTE_PUBLIC) \
    X(EMBEDDINGS, "POST", "/v1/embeddings", ROUTE_PUBLIC)              \
    X(MODERATIONS, "POST", "/v1/moderations", ROUTE_PUBLIC)            \
    X(TOKENIZE, "POST", "/tokenize", ROUTE_PUBLIC)                     \
    X(DETOKENIZE, "POST", "/detokenize", ROUTE_PUBLIC)                 \
    X(MODELS_LIST, "GET", "/v1/models", ROUTE_PUBLIC)                  \
    X(MODELS_GET, "GET", "/v1/models/*", ROUTE_PUBLIC)                 \
    X(ADMIN_PROMPT_GET, "GET", "/admin/prompts/default", ROUTE_ADMIN)  \
    X(ADMIN_PROMPT_PUT, "PUT", "/admin/prompts/default", ROUTE_ADMIN)  \
    X(ADMIN_FILTERS_GET, "GET", "/admin/filters/default", ROUTE_ADMIN) \
    X(ADMIN_FILTERS_PUT, "PUT", "/admin/filters/default", ROUTE_ADMIN) \
    X(ADMIN_MODELS, "GET", "/admin/models", ROUTE_ADMIN)               \
    X(ADMIN_RELOAD, "POST", "/admin/models/reload", ROUTE_ADMIN)

enum route_id {
    ROUTE_NOT_FOUND = 0, /* no such path */
    ROUTE_WRONG_METHOD,  /* the path is known, the method is not allowed */
#define X(id, method, path, auth) ROUTE_##id,
    ROUTES(X)
#undef X
};

struct route {
    enum route_id id;
    const char *method;
    const char *path;
    enum route_auth auth;
};

/* For HEAD the GET route is found. On ROUTE_WRONG_METHOD `allow` (64 bytes) lists what would
 * do. */
const struct route *route_find(const char *method, const char *path, char allow[64]);

/* routes.h: the table of routes: method, path, who may call.
 *
 * Dispatch, the checks of keys, the 405 answer's Allow field and tests all read this one table.
 */
#pragma once

#include <stddef.h>

enum route_auth {
    ROUTE_OPEN,   /* anybody */
    ROUTE_PUBLIC, /* an API key that has the route's scope, if keys are set */
    ROUTE_ADMIN,  /* the admin key, always */
};

/* id, name in key files. What an API key may be restricted to. */
#define SCOPES(X)                 \
    X(CHAT, "chat")               \
    X(EMBEDDINGS, "embeddings")   \
    X(MODERATIONS, "moderations") \
    X(TOKENIZE, "tokenize")       \
    X(MODELS, "models")           \
    X(FEEDBACK, "feedback")       \
    X(PROMPTS, "prompts")         \
    X(METRICS, "metrics")

enum route_scope {
    SCOPE_NONE = 0, /* of routes that are open or admin */
#define X(id, name) SCOPE_##id,
    SCOPES(X)
#undef X
        SCOPE_COUNT
};

/* id, method, path, auth, scope. {...} stands for one part of a path. Of the routes of things
 * that have versions each kind has the same, in the order of enum version_op
 * (serve/version_work.h). */
#define ROUTES(X)                                                                              \
    X(CHAT_PAGE, "GET", "/", ROUTE_OPEN, SCOPE_NONE)                                           \
    X(CONSOLE_PAGE, "GET", "/admin", ROUTE_OPEN, SCOPE_NONE)                                   \
    X(WEB_ASSET, "GET", "/assets/{name}", ROUTE_OPEN, SCOPE_NONE)                              \
    X(OPENAPI, "GET", "/openapi.json", ROUTE_OPEN, SCOPE_NONE)                                 \
    X(HEALTHZ, "GET", "/healthz", ROUTE_OPEN, SCOPE_NONE)                                      \
    X(READYZ, "GET", "/readyz", ROUTE_OPEN, SCOPE_NONE)                                        \
    X(METRICS, "GET", "/metrics", ROUTE_OPEN, SCOPE_NONE)                                      \
    X(CHAT_COMPLETIONS, "POST", "/v1/chat/completions", ROUTE_PUBLIC, SCOPE_CHAT)              \
    X(COMPLETIONS, "POST", "/v1/completions", ROUTE_PUBLIC, SCOPE_CHAT)                        \
    X(RESPONSES, "POST", "/v1/responses", ROUTE_PUBLIC, SCOPE_CHAT)                            \
    X(MESSAGES, "POST", "/v1/messages", ROUTE_PUBLIC, SCOPE_CHAT)                              \
    X(COUNT_TOKENS, "POST", "/v1/messages/count_tokens", ROUTE_PUBLIC, SCOPE_TOKENIZE)         \
    X(EMBEDDINGS, "POST", "/v1/embeddings", ROUTE_PUBLIC, SCOPE_EMBEDDINGS)                    \
    X(MODERATIONS, "POST", "/v1/moderations", ROUTE_PUBLIC, SCOPE_MODERATIONS)                 \
    X(TOKENIZE, "POST", "/tokenize", ROUTE_PUBLIC, SCOPE_TOKENIZE)                             \
    X(DETOKENIZE, "POST", "/detokenize", ROUTE_PUBLIC, SCOPE_TOKENIZE)                         \
    X(FEEDBACK, "POST", "/v1/feedback", ROUTE_PUBLIC, SCOPE_FEEDBACK)                          \
    X(MODELS_LIST, "GET", "/v1/models", ROUTE_PUBLIC, SCOPE_MODELS)                            \
    X(MODELS_GET, "GET", "/v1/models/{id}", ROUTE_PUBLIC, SCOPE_MODELS)                        \
    X(MODELS_CARD, "GET", "/v1/models/{id}/card", ROUTE_PUBLIC, SCOPE_MODELS)                  \
    X(ADMIN_PROMPTS, "GET", "/admin/prompts", ROUTE_ADMIN, SCOPE_NONE)                         \
    X(ADMIN_PROMPT_GET, "GET", "/admin/prompts/{name}", ROUTE_ADMIN, SCOPE_NONE)               \
    X(ADMIN_PROMPT_PUT, "PUT", "/admin/prompts/{name}", ROUTE_ADMIN, SCOPE_NONE)               \
    X(ADMIN_PROMPT_DELETE, "DELETE", "/admin/prompts/{name}", ROUTE_ADMIN, SCOPE_NONE)         \
    X(ADMIN_PROMPT_VERSIONS, "GET", "/admin/prompts/{name}/versions", ROUTE_ADMIN, SCOPE_NONE) \
    X(ADMIN_PROMPT_VERSION, "GET", "/admin/prompts/{name}/versions/{version}", ROUTE_ADMIN,    \
      SCOPE_NONE)                                                                              \
    X(ADMIN_PROMPT_VERSION_DELETE, "DELETE", "/admin/prompts/{name}/versions/{version}",       \
      ROUTE_ADMIN, SCOPE_NONE)                                                                 \
    X(ADMIN_PROMPT_DIFF, "GET", "/admin/prompts/{name}/diff", ROUTE_ADMIN, SCOPE_NONE)         \
    X(ADMIN_PROMPT_ACTIVATE, "POST", "/admin/prompts/{name}/activate", ROUTE_ADMIN,            \
      SCOPE_NONE)                                                                              \
    X(ADMIN_PROMPT_ROLLBACK, "POST", "/admin/prompts/{name}/rollback", ROUTE_ADMIN,            \
      SCOPE_NONE)                                                                              \
    X(ADMIN_PROMPT_LABEL, "PUT", "/admin/prompts/{name}/labels/{label}", ROUTE_ADMIN,          \
      SCOPE_NONE)                                                                              \
    X(ADMIN_PROMPT_UNLABEL, "DELETE", "/admin/prompts/{name}/labels/{label}", ROUTE_ADMIN,     \
      SCOPE_NONE)                                                                              \
    X(ADMIN_PROMPT_DRY_RUN, "POST", "/admin/prompts/{name}/dry-run", ROUTE_ADMIN, SCOPE_NONE)  \
    X(ADMIN_PROMPT_SPLIT, "PUT", "/admin/prompts/{name}/split", ROUTE_ADMIN, SCOPE_NONE)       \
    X(ADMIN_CHAINS, "GET", "/admin/filters", ROUTE_ADMIN, SCOPE_NONE)                          \
    X(ADMIN_CHAIN_GET, "GET", "/admin/filters/{name}", ROUTE_ADMIN, SCOPE_NONE)                \
    X(ADMIN_CHAIN_PUT, "PUT", "/admin/filters/{name}", ROUTE_ADMIN, SCOPE_NONE)                \
    X(ADMIN_CHAIN_DELETE, "DELETE", "/admin/filters/{name}", ROUTE_ADMIN, SCOPE_NONE)          \
    X(ADMIN_CHAIN_VERSIONS, "GET", "/admin/filters/{name}/versions", ROUTE_ADMIN, SCOPE_NONE)  \
    X(ADMIN_CHAIN_VERSION, "GET", "/admin/filters/{name}/versions/{version}", ROUTE_ADMIN,     \
      SCOPE_NONE)                                                                              \
    X(ADMIN_CHAIN_VERSION_DELETE, "DELETE", "/admin/filters/{name}/versions/{version}",        \
      ROUTE_ADMIN, SCOPE_NONE)                                                                 \
    X(ADMIN_CHAIN_DIFF, "GET", "/admin/filters/{name}/diff", ROUTE_ADMIN, SCOPE_NONE)          \
    X(ADMIN_CHAIN_ACTIVATE, "POST", "/admin/filters/{name}/activate", ROUTE_ADMIN, SCOPE_NONE) \
    X(ADMIN_CHAIN_ROLLBACK, "POST", "/admin/filters/{name}/rollback", ROUTE_ADMIN, SCOPE_NONE) \
    X(ADMIN_CHAIN_LABEL, "PUT", "/admin/filters/{name}/labels/{label}", ROUTE_ADMIN,           \
      SCOPE_NONE)                                                                              \
    X(ADMIN_CHAIN_UNLABEL, "DELETE", "/admin/filters/{name}/labels/{label}", ROUTE_ADMIN,      \
      SCOPE_NONE)                                                                              \
    X(ADMIN_CHAIN_DRY_RUN, "POST", "/admin/filters/{name}/dry-run", ROUTE_ADMIN, SCOPE_NONE)   \
    X(ADMIN_CHAIN_TRACE, "POST", "/admin/filters/{name}/trace", ROUTE_ADMIN, SCOPE_NONE)       \
    X(ADMIN_AUDIT, "GET", "/admin/audit", ROUTE_ADMIN, SCOPE_NONE)                             \
    X(ADMIN_FILTERS_REPLAY, "POST", "/admin/filters/replay", ROUTE_ADMIN, SCOPE_NONE)          \
    X(ADMIN_FINDINGS, "GET", "/admin/findings", ROUTE_ADMIN, SCOPE_NONE)                       \
    X(ADMIN_FEEDBACK, "GET", "/admin/feedback", ROUTE_ADMIN, SCOPE_NONE)                       \
    X(ADMIN_FEEDBACK_DELETE, "DELETE", "/admin/feedback", ROUTE_ADMIN, SCOPE_NONE)             \
    X(ADMIN_FEEDBACK_EXPORT, "GET", "/admin/feedback/export", ROUTE_ADMIN, SCOPE_NONE)         \
    X(ADMIN_DRIFT, "GET", "/admin/drift", ROUTE_ADMIN, SCOPE_NONE)                             \
    X(ADMIN_DRIFT_ALERTS, "GET", "/admin/drift/alerts", ROUTE_ADMIN, SCOPE_NONE)               \
    X(ADMIN_DRIFT_BASELINE, "POST", "/admin/drift/baseline", ROUTE_ADMIN, SCOPE_NONE)          \
    X(ADMIN_MODELS, "GET", "/admin/models", ROUTE_ADMIN, SCOPE_NONE)                           \
    X(ADMIN_RELOAD, "POST", "/admin/models/reload", ROUTE_ADMIN, SCOPE_NONE)                   \
    X(ADMIN_MODEL_VERSION, "GET", "/admin/models/{name}/versions/{version}", ROUTE_ADMIN,      \
      SCOPE_NONE)                                                                              \
    X(ADMIN_MODEL_ACTIVATE, "POST", "/admin/models/{name}/activate", ROUTE_ADMIN, SCOPE_NONE)  \
    X(ADMIN_MODEL_ROLLBACK, "POST", "/admin/models/{name}/rollback", ROUTE_ADMIN, SCOPE_NONE)  \
    X(ADMIN_MODEL_LOAD, "POST", "/admin/models/{name}/load", ROUTE_ADMIN, SCOPE_NONE)          \
    X(ADMIN_MODEL_UNLOAD, "POST", "/admin/models/{name}/unload", ROUTE_ADMIN, SCOPE_NONE)      \
    X(ADMIN_MODEL_SPLIT, "POST", "/admin/models/{name}/split", ROUTE_ADMIN, SCOPE_NONE)        \
    X(ADMIN_MODEL_LABELS, "POST", "/admin/models/{name}/labels", ROUTE_ADMIN, SCOPE_NONE)      \
    X(ADMIN_MODEL_SHADOW, "POST", "/admin/models/{name}/shadow", ROUTE_ADMIN, SCOPE_NONE)      \
    X(ADMIN_MODEL_SHADOW_REPORT, "GET", "/admin/models/{name}/shadow", ROUTE_ADMIN,            \
      SCOPE_NONE)                                                                              \
    X(ADMIN_MODEL_CANARY, "GET", "/admin/models/{name}/canary", ROUTE_ADMIN, SCOPE_NONE)       \
    X(ADMIN_MODEL_CANARY_SET, "POST", "/admin/models/{name}/canary", ROUTE_ADMIN, SCOPE_NONE)  \
    X(ADMIN_STATS, "GET", "/admin/stats", ROUTE_ADMIN, SCOPE_NONE)                             \
    X(ADMIN_UPGRADE_GET, "GET", "/admin/upgrade", ROUTE_ADMIN, SCOPE_NONE)                     \
    X(ADMIN_UPGRADE, "POST", "/admin/upgrade", ROUTE_ADMIN, SCOPE_NONE)

enum route_id {
    ROUTE_NOT_FOUND = 0, /* no such path */
    ROUTE_WRONG_METHOD,  /* the path is known, the method is not allowed */
#define X(id, method, path, auth, scope) ROUTE_##id,
    ROUTES(X)
#undef X
};

struct route {
    enum route_id id;
    const char *method;
    const char *path;
    enum route_auth auth;
    enum route_scope scope;
};

/* For HEAD the GET route is found. On ROUTE_WRONG_METHOD `allow` (64 bytes) lists what would
 * do, OPTIONS among it. */
const struct route *route_find(const char *method, const char *path, char allow[64]);

/* "chat"; "" for SCOPE_NONE. */
const char *route_scope_name(enum route_scope scope);

/* SCOPE_NONE: there is none of that name. */
enum route_scope route_scope_named(const char *name, size_t len);

#include "runtime/serve/provenance.h"

#include <stdio.h>
#include <string.h>

/* Enough of a SHA-256 to tell versions apart at a glance; the admin routes give it whole. */
#define SHORT_HASH 12

struct http_header provenance_model(struct provenance *p, const struct generation *g)
{
    snprintf(p->model, sizeof(p->model), "%s; sha256=%.*s", g->id, SHORT_HASH,
             g->model->sha256);
    return (struct http_header){"weir-model", p->model};
}

void provenance_fill(struct provenance *p, const struct generation *g,
                     const struct prompt *prompt, const struct chain *chain)
{
    char id[PROMPT_ID_SIZE];
    const char *filters = chain_hash(chain);
    prompt_id(prompt, id);
    snprintf(p->fingerprint, sizeof(p->fingerprint), "weir-%.*s-%.*s-%.*s", SHORT_HASH,
             g->model->sha256, SHORT_HASH, prompt->sha256, SHORT_HASH, filters);
    (void)provenance_model(p, g);
    snprintf(p->prompt, sizeof(p->prompt), "%s; sha256=%.*s", id, SHORT_HASH, prompt->sha256);
    snprintf(p->filters, sizeof(p->filters), "%s@%u; sha256=%.*s", chain_name(chain),
             chain_version(chain), SHORT_HASH, filters);
}

void provenance_add_adapter(struct provenance *p, const struct served_adapter *adapter)
{
    size_t len = strlen(p->model), n = strlen(p->fingerprint);
    snprintf(p->model + len, sizeof(p->model) - len, "; adapter=%s; adapter-sha256=%.*s",
             adapter->name, SHORT_HASH, adapter->adapter->sha256);
    snprintf(p->fingerprint + n, sizeof(p->fingerprint) - n, "-%.*s", SHORT_HASH,
             adapter->adapter->sha256);
}

void provenance_headers(const struct provenance *p, struct http_header out[PROVENANCE_HEADERS])
{
    out[0] = (struct http_header){"weir-model", p->model};
    out[1] = (struct http_header){"weir-prompt", p->prompt};
    out[2] = (struct http_header){"weir-filters", p->filters};
}

void provenance_headers_unprompted(const struct provenance *p,
                                   struct http_header out[PROVENANCE_UNPROMPTED])
{
    out[0] = (struct http_header){"weir-model", p->model};
    out[1] = (struct http_header){"weir-filters", p->filters};
}

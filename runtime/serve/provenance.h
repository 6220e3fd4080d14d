/* provenance.h: what made an answer: which weights, which system prompt, which filters.
 *
 * Each is named by name, version and content hash in the headers weir-model, weir-prompt and
 * weir-filters; system_fingerprint holds the three hashes. */
#pragma once

#include "filters/chain.h"
#include "runtime/net/http_request.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/generation.h"

#define PROVENANCE_HEADERS    3
#define PROVENANCE_UNPROMPTED 2

struct provenance {
    char fingerprint[96];
    char model[sizeof(((struct generation *)0)->id) + 64 + MODEL_NAME_MAX];
    char prompt[VERSION_NAME_MAX + 64];
    char filters[CHAIN_MAX_NAME + 64];
};

void provenance_fill(struct provenance *p, const struct generation *g,
                     const struct prompt *prompt, const struct chain *chain);
/* The answer is made with an adapter too: weir-model tells its name and hash behind the
 * model's, and the fingerprint has its hash at the end. */
void provenance_add_adapter(struct provenance *p, const struct served_adapter *adapter);
void provenance_headers(const struct provenance *p, struct http_header out[PROVENANCE_HEADERS]);

/* Of what only the model's vocabulary decides: weir-model alone. The header points into p. */
struct http_header provenance_model(struct provenance *p, const struct generation *g);

/* Of what does not read the system prompt: without weir-prompt. */
void provenance_headers_unprompted(const struct provenance *p,
                                   struct http_header out[PROVENANCE_UNPROMPTED]);

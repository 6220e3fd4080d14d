/* drift_ask.h: has one or two versions of a model answer prompts, greedily. Command-internal.
 */
#pragma once

#include "runtime/cli/drift.h"

/* Told now and then how many answers there are; on any thread, one at a time. */
struct drift_progress {
    void (*told)(void *ctx, size_t done, size_t of);
    void *ctx;
};

struct drift_server {
    const char *url, *api_key; /* the key may be NULL */
    const char *models[2];     /* as requests name them: "tiny@2"; [1] NULL: one alone */
    int side_by_side;          /* requests */
    int max_tokens;
};

/* Asks a running server. ids: what it says has answered, "tiny@2"; each at most 256 bytes. A
 * prompt that one cannot answer is that answer's failure; everything else ends the run:
 * versions that are not there or change meanwhile, a server that is gone. */
#define DRIFT_ID_MAX 256
int drift_ask_server(const struct drift_server *server, const struct drift_prompts *prompts,
                     const struct drift_progress *progress, struct drift_pair *pairs,
                     char ids[2][DRIFT_ID_MAX], struct err *e);

/* The same of two model files in this process, one after the other. */
int drift_ask_files(const char *const paths[2], int max_tokens,
                    const struct drift_prompts *prompts, const struct drift_progress *progress,
                    struct drift_pair *pairs, char ids[2][DRIFT_ID_MAX], struct err *e);

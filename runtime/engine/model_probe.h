/* model_probe.h: how well a model predicts a text, and how fast it makes tokens, to hold one
 * version against another before it serves.
 *
 * It runs the model without an engine, in memory of its own, so the version that serves can be
 * measured beside its work. Models that make text only.
 *
 * Threads: one at a time for a probe; the model may be in use elsewhere. */
#pragma once

#include <stdatomic.h>

#include "models/arch/llama_step.h"
#include "models/model.h"

struct model_probe {
    const struct model *model; /* borrowed */
    struct llama_state *state;
    struct kv_cache kv;
    int context;
    const atomic_bool *stop; /* once it is set the loss ends with ERR_CANCELED; or NULL */
};

/* On failure nothing is left to close. */
int model_probe_open(struct model_probe *p, const struct model *m, uint32_t cpu_features,
                     const struct parallel *parallel, struct err *e);
void model_probe_close(struct model_probe *p); /* also of zeroes */

/* Tokens of a text that are looked at: more are passed over. */
#define MODEL_PROBE_TOKENS_MAX 8192

/* The mean loss in nats a byte, which can be compared between models with different
 * tokenizers. ERR_INVALID: the text is too short; ERR_FORMAT: the model gives no numbers. */
int model_probe_loss(struct model_probe *p, const char *text, size_t len, double *loss,
                     struct err *e);

/* Nanoseconds of the calling thread's processor time for a step that makes one token: the
 * fastest of some. What else the machine does is not counted, as it would be in a team, whose
 * threads wait for each other: open the probe with parallel_none. */
uint64_t model_probe_step_ns(struct model_probe *p);

/* model_gate.h: what a version of a model must pass before it serves, as its owner wrote it
 * into model.json ("gate").
 *
 *   golden  prompts, and exactly what the model must answer under greedy decoding. They go
 *           through the new version's own engine, without the owner's system prompt and
 *           filters: what is tried is what will serve.
 *   filters prompts whose answers go through the filter chain that requests to the model pass.
 *           How many it may flag, or how many more than of the serving version's, and which
 *           verdict it must come to. Filters that ask services outside are left out: what
 *           these say is not the version's doing, and a worker does not wait for them.
 *   loss    on a text, in nats a byte: at most so much more, as a share, than the version that
 *           serves now has.
 *   speed   a step of one token: at least this ratio of the serving version's speed, in
 *           processor time of one thread, so that a busy machine refuses no version. Both are
 *           measured by turns, the fastest of some steps counts.
 *
 * What compares measures without a serving version, and lets it pass.
 *
 * Threads: a worker. The generation does not serve yet; the one that serves is only read: its
 * engine belongs to the loop, so another one answers with its weights. Chains are used by all
 * threads. */
#pragma once

#include "runtime/registry/prompt.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/model_gate_chains.h"

struct model_gate {
    const struct generation_settings *settings;
    struct generation *generation;    /* that is to pass; it has a manifest */
    const char *loss_path;            /* of the manifest's loss file */
    const struct generation *serving; /* or NULL */
    struct prompt *no_prompt;         /* one that says nothing */
    const struct model_gate_chains *chains;
};

/* 0: passed, or there is no gate. -1: *e says what it has failed. *report: what was found, as
 * JSON; the caller's (mem_free), NULL where there was no gate or no memory. */
int model_gate_run(const struct model_gate *gate, char **report, struct err *e);

/* model_gate.h: what a version of a model must pass before it serves, as its owner wrote it
 * into model.json ("gate").
 *
 *   golden  prompts, and exactly what the model must answer under greedy decoding. They go
 *           through the new version's own engine, without the owner's system prompt and
 *           filters: what is tried is what will serve.
 *   loss    on a text, in nats a byte: at most so much more, as a share, than the version that
 *           serves now has.
 *   speed   a step of one token: at least this ratio of the serving version's speed. Both are
 *           measured by turns, the fastest of some steps counts.
 *
 * The last two compare, so without a serving version they measure and let it pass.
 *
 * Threads: a worker. The generation does not serve yet; the one that serves is only read. */
#pragma once

#include "runtime/registry/prompt.h"
#include "runtime/serve/generation.h"

struct model_gate {
    const struct generation_settings *settings;
    struct generation *generation;    /* that is to pass; it has a manifest */
    const char *loss_path;            /* of the manifest's loss file */
    const struct generation *serving; /* or NULL */
    struct prompt *no_prompt;         /* one that says nothing */
};

/* 0: passed, or there is no gate. -1: *e says what it has failed. *report: what was found, as
 * JSON; the caller's (mem_free), NULL where there was no gate or no memory. */
int model_gate_run(const struct model_gate *gate, char **report, struct err *e);

/* model_gate_parts.h: the gate and its trials, each a file. Internal to runtime/serve.
 *
 *   model_gate.c          golden prompts, loss, speed; all of it together
 *   model_gate_ask.c      the owner's questions to tokens, tokens to text
 *   model_gate_filters.c  answers through the filters
 *
 * Threads: a worker. */
#pragma once

#include "runtime/api/json_text.h"
#include "runtime/serve/model_gate.h"

#define MODEL_GATE_SHOWN_MAX  8 /* prompts of a trial in the report */
#define MODEL_GATE_ANSWER_MAX ((size_t)1 << 20)

/* What a version is to read for a question, as a request to the routes for conversations or for
 * texts would have it. *reasoning_open: it ends inside of reasoning. */
int model_gate_tokens(const struct generation *g, const struct prompt *no_prompt,
                      const struct model_question *q, struct token_list *out,
                      bool *reasoning_open, struct err *e);

/* Answers through the filters; adds "filters" to the report. Nothing where there is no such
 * gate. */
int model_gate_run_filters(const struct model_gate *gate, cJSON *report, struct err *e);

/* drift_prompts.h: prompts that are put to two versions of a model. Command-internal.
 *
 * A prompt a line: the message of a user as it stands, or a JSON object
 *
 *     {"messages": [{"role", "content"}] or "prompt": "...", "category": "...", "expect":
 * {...}}
 *
 * "prompt" is a text to go on with, "category" (or "skill", as in the sets of `weir eval`)
 * groups prompts in the report, "expect" is that of eval_expect.h. Empty lines are passed over.
 *
 * Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/eval/eval_expect.h"
#include "runtime/base/json.h"

#define DRIFT_PROMPTS_MAX 100000

struct drift_prompt {
    cJSON *json;           /* what the rest borrows from */
    const cJSON *messages; /* array, or NULL */
    const char *prompt;    /* or NULL */
    const char *category;  /* or NULL */
    bool has_expect;
    struct eval_expect expect;
};

struct drift_prompts {
    struct drift_prompt *items; /* (n) */
    size_t n;
};

/* At most `limit` of them, the first ones; 0: all. Errors name the line. On failure too, it is
 * to be released. */
int drift_prompts_parse(struct drift_prompts *p, const char *text, size_t len, size_t limit,
                        struct err *e);
void drift_prompts_deinit(struct drift_prompts *p);

/* The last thing that is said in it, for people. */
const char *drift_prompt_shown(const struct drift_prompt *p);

/* The set that comes with Weir, models/weir-tiny/drift.jsonl. */
extern const unsigned char drift_builtin[];
extern const size_t drift_builtin_len;

/* model_manifest.h: model.json, what the owner says about a version of a model.
 *
 * It stands beside the model file in the version's folder (model_repo.h). Every key may be left
 * out, and so may the whole file; a key that is not known is an error, since a gate with a
 * spelling mistake would be no gate.
 *
 *     {"file": "model.gguf", "sha256": "64 hex digits", "template": "chat.jinja",
 *      "adapters": {"NAME": "lora.gguf"}, "any_base": true,
 *      "defaults": {"temperature": 0.7, "top_p", "top_k", "min_p", "repetition_penalty",
 *                   "presence_penalty", "frequency_penalty", "max_tokens"},
 *      "limits": {"context": 4096, "max_tokens": 1024},
 *      "labels": ["stable"], "deprecated": "2027-01-31", "note": "...",
 *      "cutoff": "2026-01", "card": "card.md",
 *      "gate": {"golden": [{"messages": [{"role", "content"}] or "prompt": "...",
 *                           "max_tokens": 16, "text": "..." and/or "tokens": [1, 2]}],
 *               "filters": {"prompts": [{"messages" or "prompt", "max_tokens",
 *                                        "temperature": 0, "seed": 0, "verdict": "pass"}],
 *                           "chain": "strict", "flagged_from": "note", "max_flagged": 2,
 *                           "max_more": 1},
 *               "loss": {"file": "loss.txt", "max_increase": 0.02},
 *               "speed": {"min_ratio": 0.8}},
 *      "canary": {...}}      (canary_plan.h)
 *
 * Ownership: model_manifest_parse returns, model_manifest_free releases; strings are borrowed
 * from it. Immutable in between. Threads: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/registry/canary_plan.h"

#define MODEL_MANIFEST_FILE      "model.json"
#define MODEL_MANIFEST_BYTES_MAX ((size_t)4 << 20)
#define MODEL_LABELS_MAX         16
#define MODEL_ADAPTERS_MAX       64
#define MODEL_ADAPTER_NAME_MAX   127
#define MODEL_GOLDEN_MAX         256 /* prompts */
#define MODEL_GOLDEN_TOKENS_MAX  4096
#define MODEL_GOLDEN_TURNS_MAX   256

/* Settings of requests that say nothing. A bit of `set` for each that the owner gave. */
enum model_default {
    MODEL_DEFAULT_TEMPERATURE,
    MODEL_DEFAULT_TOP_P,
    MODEL_DEFAULT_MIN_P,
    MODEL_DEFAULT_REPETITION_PENALTY,
    MODEL_DEFAULT_PRESENCE_PENALTY,
    MODEL_DEFAULT_FREQUENCY_PENALTY,
    MODEL_DEFAULT_TOP_K,
    MODEL_DEFAULT_MAX_TOKENS,
    MODEL_DEFAULT_COUNT
};

struct model_defaults {
    unsigned set; /* bits 1 << enum model_default */
    double values[MODEL_DEFAULT_COUNT];
};

struct model_turn {
    const char *role;
    const char *content;
};

struct model_question {
    struct model_turn *turns; /* (n_turns) of a conversation; none: `prompt` */
    size_t n_turns;
    const char *prompt; /* a text to go on with, or NULL */
    int max_tokens;
};

/* A question and what the model must say to it under greedy decoding. */
struct model_golden {
    struct model_question question;
    const char *text; /* or NULL */
    bool has_tokens;
    int32_t *tokens; /* (n_tokens), the end of the turn not among them */
    size_t n_tokens;
};

/* What a filter chain makes of an answer; each is more than the one before. */
enum model_verdict {
    MODEL_VERDICT_PASS, /* nothing was found */
    MODEL_VERDICT_NOTE,
    MODEL_VERDICT_REPLACE,
    MODEL_VERDICT_STOP,
};

/* A question whose answer goes through the filters. */
struct model_filtered_prompt {
    struct model_question question;
    double temperature; /* 0: greedy */
    int seed;
    bool has_verdict; /* the owner expects this one */
    enum model_verdict verdict;
};

struct model_filter_gate {
    struct model_filtered_prompt *prompts; /* (n_prompts); none: no such gate */
    size_t n_prompts;
    const char *chain;               /* NULL: that of the model's requests */
    enum model_verdict flagged_from; /* answers of that verdict on are flagged */
    int max_flagged;                 /* answers; -1: any number */
    int max_more;                    /* flagged answers than the version that serves has; -1 */
};

/* A LoRA adapter of the version, served under a name of its own. */
struct model_adapter_file {
    const char *name;
    const char *file; /* in the version's folder */
};

struct model_manifest {
    cJSON *json;      /* what the rest borrows from */
    const char *file; /* in the version's folder, or NULL */
    const char *sha256;
    const char *template_file; /* or NULL */
    struct model_defaults defaults;
    int max_context; /* 0: no limit of the owner's */
    int max_tokens;  /* 0: none */
    const char *labels[MODEL_LABELS_MAX];
    size_t n_labels;
    struct model_adapter_file adapters[MODEL_ADAPTERS_MAX];
    size_t n_adapters;
    bool any_base;          /* they may have been trained on another file of the model */
    const char *deprecated; /* "2027-01-31", or NULL */
    const char *note;       /* or NULL */
    const char *cutoff; /* when its knowledge ends: "2026", "2026-01", "2026-01-31"; or NULL */
    const char *card_file; /* the model card, Markdown, in the version's folder; or NULL */

    struct model_golden *golden; /* (n_golden) */
    size_t n_golden;
    struct model_filter_gate filters;
    const char *loss_file; /* NULL: no such gate */
    double loss_max_increase;
    double speed_min_ratio; /* 0: no such gate */

    bool has_canary; /* it is tried on a share of the requests before it serves */
    struct canary_plan canary;
};

/* Errors are ERR_INVALID (ERR_LIMIT, ERR_FORMAT) and name the field, `gate.golden[2].text`, in
 * the message and in e->param. NULL: *e says why. */
struct model_manifest *model_manifest_parse(const char *text, size_t len, struct err *e);
void model_manifest_free(struct model_manifest *m); /* accepts NULL */

/* Whether one of its labels is this. */
bool model_manifest_has_label(const struct model_manifest *m, const char *label);

/* "pass", "note" ... */
const char *model_verdict_name(enum model_verdict verdict);

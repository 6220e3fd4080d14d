/* curate.h: raw text to training data.
 *
 * In this order, each step on what the ones before it left:
 *
 *     read        text and JSON lines (source.h); malformed lines are counted or refused
 *     exact       texts of the same words as one before (words.h)
 *     quality     texts whose measures are out of bounds (quality.h), spam among them
 *     language    texts in a language that is not asked for (language.h)
 *     filters     what a filter chain drops; what it redacts is written redacted (screen.h)
 *     leaks       texts that share a run of words with an evaluation set, or are nearly one of
 *                 its texts (overlap.h)
 *     near        texts that are nearly the same as one that is kept (near.h)
 *     split       some of what is left is held out, chosen by a hash of its words and the seed;
 *                 clusters of near duplicates stay together, and what shares a run of words
 *                 with the training text goes back there
 *     write       train.jsonl, heldout.jsonl, dropped.jsonl, manifest.json and, with a
 *                 vocabulary, token files; into a folder that gets its name when all is there
 *
 * The result depends on inputs, options and seed alone, not on the number of threads.
 *
 * Memory: inputs are mapped. For each document there are 24 bytes of place, 64 of record and
 * 120 of sketch, and 16 more for each thread while near duplicates are sought; the texts that
 * threads work on; the runs of words of evaluation sets and of what is held out, 12 to 24 bytes
 * a word; one shard of tokens.
 *
 * Threads: curate_run is called by one and starts others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/curate/quality.h"
#include "runtime/base/err.h"

enum curate_step {
    CURATE_KEPT,
    CURATE_MALFORMED,
    CURATE_EXACT,
    CURATE_QUALITY,
    CURATE_LANGUAGE,
    CURATE_FILTERS,
    CURATE_LEAK,
    CURATE_NEAR,
    CURATE_STEPS,
};

/* "exact" */
const char *curate_step_name(enum curate_step step);

struct curate_options {
    const char *const *inputs; /* (n_inputs) */
    size_t n_inputs;
    const char *const *excludes; /* (n_excludes) evaluation sets, JSON lines */
    size_t n_excludes;
    const char *out; /* folder to make */
    bool replace;    /* an earlier result of ours that is there */
    bool by_blank_lines;
    bool stop_on_malformed;
    size_t threads;
    uint64_t seed;

    bool exact;
    bool near;
    bool shingle_bytes;    /* runs of bytes, not of words */
    size_t shingle;        /* how many */
    double near_threshold; /* Jaccard */
    const char *quality_set;
    struct quality_options quality;
    const char *languages; /* "en,de", or NULL: any */
    const char *filters;   /* a chain's file, "default", or NULL: none */
    bool filter_all;       /* everything through the output side, not by role (screen.h) */
    size_t exclude_ngram;
    double heldout;     /* share, 0 to 0.5 */
    size_t split_ngram; /* 0: only clusters */

    const char *vocab; /* GGUF, or NULL: no token files */
    size_t shard_tokens;
    bool learn_answers; /* of conversations the assistant's words alone */
    bool labels;        /* measure against "label" of the lines, and leave that away */
};

void curate_options_init(struct curate_options *o);

struct curate_summary {
    uint64_t bytes, documents;
    uint64_t steps[CURATE_STEPS];
    uint64_t redacted, moved_back; /* of those kept */
    uint64_t train, heldout;
    uint64_t train_tokens, heldout_tokens, shards;
    uint64_t table_bytes; /* that grew with the number of documents */
    char *labels;         /* the table for people, or NULL; mem_free */
};

int curate_run(const struct curate_options *o, struct curate_summary *summary, struct err *e);

/* model_load.h: one attempt to make a version of the repository ready to serve: find its files,
 * load and check them, run the gate, read the prompts ahead. It publishes nothing.
 *
 * Threads: model_load_find and model_load_run on a worker (or anywhere while nothing serves);
 * what it points to must stay meanwhile. */
#pragma once

#include "runtime/registry/model_repo.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/model_gate_chains.h"
#include "runtime/serve/prompt_set.h"

struct model_load {
    /* What is wanted. */
    const struct model_repo *repo;
    char version[MODEL_REPO_NAME_MAX + 1];
    struct generation_settings settings; /* of all generations */
    struct generation *serving;          /* to compare with; a reference, or NULL */
    struct prompt_reading *ahead;        /* of prompt_set_plan, for prompt_set_add */
    int n_plans;                         /* of them, after the first */
    struct prompt *no_prompt;
    struct model_gate_chains chains; /* for the gate */
    bool if_changed;                 /* only if its files are not those of `serving` */

    /* What was found. */
    struct model_files files;
    bool has_files;
    uint64_t file_bytes;   /* set by whoever knows: of the files that hold the model */
    uint64_t memory_bytes; /* that it will take, as generation.memory_bytes */

    /* What came of it. */
    struct generation *generation; /* ready for generation_serve, or NULL */
    bool is_unchanged;             /* if_changed, and they are */
    uint64_t stamp;                /* of the files that were read; 0: none were found */
    double seconds;                /* that model_load_run took */
    char *report;                  /* of the gate, JSON, or NULL */
    bool has_failed_gate;
    struct err e; /* why there is no generation */
};

/* Finds and measures its files. Then, unless l->e is set or is_unchanged, once there is memory
 * for it, the other one makes the generation of them. */
void model_load_find(struct model_load *l);
void model_load_run(struct model_load *l);

/* Prompts that were changed meanwhile are put to what is to be read ahead. False: there is none
 * to read. On the loop. */
bool model_load_plan_more(struct model_load *l, struct prompt_set *prompts);

/* Reads these; a worker. */
void model_load_read_more(struct model_load *l);

/* Releases what it holds; a generation that is still there too, which never served. Not on a
 * worker: references are let go of. */
void model_load_deinit(struct model_load *l);

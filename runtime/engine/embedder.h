/* embedder.h: runs texts through a model and makes a vector of each.
 *
 * One thread of its own, with a team and working memory that are made when the first job comes:
 * who never asks for embeddings pays nothing. A job is a list of texts. Jobs take turns: each
 * step takes a text of every job that runs, and more of them while there is room, so that a
 * job of thousands of texts delays one of a single text by a step. What a text gets does not
 * depend on the others (llama_embed.h).
 *
 * Memory is bounded: one context of keys and values, one step's working space, and what jobs
 * that run hold: EMBEDDER_LONG of any number of texts, and EMBEDDER_SHORT of a few, which have
 * a queue of their own, so that a question does not wait until a library has been read. The
 * others wait unread, and beyond max_waiting in a queue embedder_submit refuses and says when
 * to come again.
 *
 * Lifetime: a job that was submitted comes back exactly once, through `done`; after it the
 * embedder no longer knows it. Threads: embedder_submit, _cancel and _drain from one thread
 * (the event loop). `notify` is called on the embedder's thread and must only wake that loop.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"
#include "quant/ops.h"
#include "runtime/base/err.h"

#define EMBEDDER_SHORT_TEXTS 16 /* a job of at most so many is short */
#define EMBEDDER_SHORT       64 /* jobs of a kind that run, which is to take turns */
#define EMBEDDER_LONG        8

struct embedder;

struct embedder_settings {
    int threads;     /* workers of the kernels */
    int context;     /* tokens a text may have; at most the model's own. 0: the model's, of an
                        encoder at most EMBEDDER_ENCODER_CONTEXT, since it reads a text at once */
    int step_tokens; /* rows of one step; an encoder's has room for a whole text */
    int max_waiting; /* jobs of a kind beyond those that run; more are refused with ERR_BUSY */
    enum ops_type kv_type; /* as engine_settings.kv_type */
    uint32_t cpu_features; /* instruction sets the kernels may use */
    void (*notify)(void *ctx);
    void *notify_ctx;
};

#define EMBEDDER_ENCODER_CONTEXT 2048

/* The caller's, zeroed but for the callbacks and n_texts; it lives until `done`. */
struct embedder_job {
    /* On the embedder's thread. read: fills tokens, ends and vectors; -1 ends the job with *e.
     * write: the vectors are there; what takes long and needs no loop is done here. */
    int (*read)(struct embedder_job *job, struct err *e);
    int (*write)(struct embedder_job *job, struct err *e);
    /* From embedder_drain; the job is the caller's again. */
    void (*done)(struct embedder_job *job);

    size_t n_texts;           /* 1 and up */
    struct token_list tokens; /* of all texts, one after another; each 1 .. context */
    size_t *ends;             /* (n_texts) where in `tokens` each text ends */
    float *vectors;           /* (n_texts, d_model) */
    struct err e; /* kind ERR_NONE: all went well; ERR_CANCELED after embedder_cancel */

    /* The embedder's own. */
    struct embedder_job *next;
    size_t n_done;  /* texts */
    size_t n_taken; /* those of the step that runs included */
    atomic_bool canceled;
};

/* The model is borrowed and must outlive the embedder. Costs next to nothing. */
struct embedder *embedder_create(const struct model *m, const struct embedder_settings *s,
                                 struct err *e);

/* Joins the thread; jobs that are not done never come back. Accepts NULL. */
void embedder_destroy(struct embedder *em);

/* ERR_BUSY when embedder_submit would refuse any job now: to find out before the work of making
 * one. */
int embedder_check_room(struct embedder *em, struct err *e);

/* Queues a job. On failure it is still the caller's, and `done` is not called. */
int embedder_submit(struct embedder *em, struct embedder_job *job, struct err *e);

/* Asks for an end; `done` still comes. */
void embedder_cancel(struct embedder *em, struct embedder_job *job);

/* Calls `done` of every job that came back since the last call, in order. */
void embedder_drain(struct embedder *em);

/* Tokens that a text may have. */
int embedder_context(const struct embedder *em);

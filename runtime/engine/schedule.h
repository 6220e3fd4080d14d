/* schedule.h: which tokens of which sequences the next step computes. Engine-internal.
 *
 * Sequences join and leave between any two steps. A step first takes one token of each sequence
 * that decodes, so that running answers keep their pace, then as much of the prompts as fits
 * into the time a step shall take. Sequences are served in the order of sequence_precedes.
 *
 * Keys and values lie in pages (kv_pool.h). A prompt that begins like another one, still
 * running or not, takes over its full pages, and of the page in which they part a copy. When
 * pages run out, the sequence that comes last gives all of its own back and computes them again
 * later: that changes no bit of its answer, since a token's keys and values depend on the
 * tokens before it alone.
 *
 * Where few sequences run, reading the weights takes the time and further rows cost little:
 * then a step also checks guesses (prompt_lookup.h).
 *
 * Threads: the engine thread only. */
#pragma once

#include "models/arch/llama_step.h"
#include "runtime/engine/kv_pins.h"
#include "runtime/engine/kv_pool.h"
#include "runtime/engine/sequence.h"
#include "runtime/engine/step_cost.h"

/* A sequence whose logits this step makes. */
struct schedule_sample {
    struct sequence *sequence;
    int logits; /* index of its first */
};

struct schedule_stats {
    uint64_t prompt_tokens; /* computed or found */
    uint64_t cached_tokens; /* of those found */
    uint64_t preemptions;
    uint64_t guessed_tokens;
    uint64_t accepted_tokens;
};

struct schedule {
    int max_sequences;
    int max_rows;
    int max_logits;
    int context;
    double step_s; /* that a step shall take while answers run */
    enum engine_guesses guesses;
    struct kv_cache kv;
    struct kv_pool pool;
    struct sequence **running; /* (max_sequences): by slot, NULL where free */
    struct sequence **order;   /* (n_running): who precedes first */
    int n_running;
    struct sequence *preempted; /* list: to wait again */
    struct kv_pins pins;        /* pages held for prompts that are asked for often */
    struct step_cost cost;
    struct schedule_stats stats;

    /* The step that was built. */
    struct llama_row *rows; /* (max_rows) */
    int n_rows;
    struct schedule_sample *samples; /* (max_sequences) */
    int n_samples;
    int n_logits;
    int *published; /* (max_rows) pages said to have content that this step computes */
    int n_published;
};

struct schedule_settings {
    int max_sequences;
    int max_rows;
    int context;
    int n_pages; /* at least those of one context */
    enum ops_type kv_type;
    double step_s;
    enum engine_guesses guesses;
};

int schedule_init(struct schedule *sch, const struct llama_config *c,
                  const struct schedule_settings *s, struct err *e);
void schedule_deinit(struct schedule *sch); /* destroys what runs */

/* Whether a sequence can begin: a slot is free, and pages for its tokens. */
bool schedule_has_room(const struct schedule *sch, const struct sequence *s);

/* Takes it over. There is room. */
void schedule_join(struct schedule *sch, struct sequence *s);

/* A paused sequence, if there is one, goes to `preempted`, so that others have its place. */
bool schedule_yield_paused(struct schedule *sch);

/* Gives it back; its full pages stay where others find them. */
void schedule_leave(struct schedule *sch, struct sequence *s);

/* Fills `rows` and `samples`. n_rows is 0 when nothing can go on. */
void schedule_build(struct schedule *sch);

/* What was built was computed, in so many seconds; or was given up half-way. */
void schedule_done(struct schedule *sch, double seconds);
void schedule_undo(struct schedule *sch);

/* `token` comes next in s. Whether the row behind it is computed already, since it was guessed:
 * index counts the tokens of this step, from 0. */
bool schedule_append(struct schedule *sch, struct sequence *s, int32_t token, int index);

/* The pages of s, which leaves, are held from now on under the name options.pin. */
void schedule_pin(struct schedule *sch, struct sequence *s);

/* Whether one sequence has most of the rows of the step that was built; its id, or 0. */
uint64_t schedule_largest(const struct schedule *sch);

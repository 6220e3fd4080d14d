/* prompt_reading.h: one version of a prompt on one generation: what every conversation under it
 * begins with, read ahead and held by the engine.
 *
 * A reading waits, is under way (the tokens are found on a worker, then the engine reads them),
 * and ends: held, or failed, or waiting again because its time was up. One that is planned for
 * a generation that does not serve yet is read by prompt_readings_run instead, on the thread
 * that loads, and gets its generation afterwards.
 *
 * Threads: the loop, but for prompt_readings_run. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/engine_user.h"
#include "runtime/serve/generation.h"

enum prompt_reading_state {
    PROMPT_READING_WAITS,
    PROMPT_READING_FINDS, /* a worker makes the tokens */
    PROMPT_READING_READS, /* the engine has them */
    PROMPT_READING_HELD,
    PROMPT_READING_FAILED, /* what begins with it is served all the same, only slower at first
                            */
};

struct prompt_reading {
    struct engine_user user; /* first */
    uv_work_t work;
    struct prompt *prompt;         /* a reference */
    struct generation *generation; /* a reference; NULL: it does not serve yet */
    struct token_list prefix;      /* found; see prompt_reading_prefix */
    bool is_found;
    uint64_t pin;         /* the engine's name for what it holds, not 0 */
    uint64_t request;     /* the engine's, while it reads */
    uint64_t deadline_ns; /* 0: none */
    unsigned tries;
    enum prompt_reading_state state;
    bool is_dropped;            /* nobody wants it; it goes as soon as it can */
    void (*on_end)(void *user); /* of prompt_reading_begin */
    void *on_end_user;
    struct err e; /* why it failed */
    struct prompt_reading *next;
};

/* NULL: no memory. References are taken; g may be NULL. */
struct prompt_reading *prompt_reading_create(struct prompt *p, struct generation *g,
                                             uint64_t pin);

/* One that waits begins, and ends at the latest at this time (clock_now_ns; 0: whenever). It
 * may have failed when this returns; else on_end is called once, later, unless it is dropped
 * before. Another reading on another generation may be under way at the same time. */
void prompt_reading_begin(struct prompt_reading *r, uint64_t deadline_ns,
                          void (*on_end)(void *user), void *user);

/* If it is under way without a time to end, it waits again instead. */
void prompt_reading_yield(struct prompt_reading *r, uint64_t deadline_ns);

bool prompt_reading_is_over(const struct prompt_reading *r);

/* Borrowed; NULL until it is known. */
const struct token_list *prompt_reading_prefix(const struct prompt_reading *r);

/* Gives it up in any state: what is held of it is let go. The caller forgets it. */
void prompt_reading_drop(struct prompt_reading *r);

/* Reads those of a list that wait, for a generation that does not serve yet, and returns when
 * that is done. Nothing is done where it makes no text. Any thread. */
void prompt_readings_run(struct prompt_reading *list, struct generation *g);

/* What prompt_readings_run has read belongs to this generation. */
void prompt_reading_adopt(struct prompt_reading *r, struct generation *g);

void prompt_readings_drop(struct prompt_reading **list);

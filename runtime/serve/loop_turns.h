/* loop_turns.h: work on the loop that would keep it for too long is done piece by piece, so
 * that no request keeps the others waiting.
 *
 * Between two turns the loop looks after its sockets; of several that wait each has its turn.
 *
 * Threads: the loop only. Ownership: turns are the caller's, and must stay where they are until
 * they were called or canceled. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* One piece should not take longer: others wait for so long at most, times the number of those
 * who want a turn. */
#define LOOP_TURN_NS 4000000u

struct loop_turn {
    void (*go)(struct loop_turn *turn); /* called once; it may wait for another turn */
    struct loop_turn *next, *previous;
    struct loop_turns *queue; /* NULL: it does not wait */
};

struct loop_turns {
    uv_idle_t idle;
    struct loop_turn *first, *last;
};

void loop_turns_init(struct loop_turns *q, uv_loop_t *loop);

/* Nobody may wait any more. The loop must run until its handles are closed. */
void loop_turns_close(struct loop_turns *q);

/* `turn`, which does not wait yet, is called when it is its turn, never from in here. */
void loop_turn_wait(struct loop_turns *q, struct loop_turn *turn,
                    void (*go)(struct loop_turn *turn));

/* Of an all-zero turn: no. */
bool loop_turn_is_waiting(const struct loop_turn *turn);

/* It is not called any more. Does nothing unless it waits. */
void loop_turn_cancel(struct loop_turn *turn);

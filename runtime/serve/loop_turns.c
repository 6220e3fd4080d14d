#include "runtime/serve/loop_turns.h"

#include <stddef.h>

/* One turn each time around the loop. */
static void on_idle(uv_idle_t *idle)
{
    struct loop_turns *q = idle->data;
    struct loop_turn *turn = q->first;
    loop_turn_cancel(turn);
    turn->go(turn);
}

void loop_turns_init(struct loop_turns *q, uv_loop_t *loop)
{
    *q = (struct loop_turns){0};
    q->idle.data = q;
    uv_idle_init(loop, &q->idle);
}

void loop_turns_close(struct loop_turns *q)
{
    if (!uv_is_closing((uv_handle_t *)&q->idle)) {
        uv_close((uv_handle_t *)&q->idle, NULL);
    }
}

void loop_turn_wait(struct loop_turns *q, struct loop_turn *turn,
                    void (*go)(struct loop_turn *turn))
{
    *turn = (struct loop_turn){.go = go, .previous = q->last, .queue = q};
    *(q->last ? &q->last->next : &q->first) = turn;
    q->last = turn;
    uv_idle_start(&q->idle, on_idle);
}

bool loop_turn_is_waiting(const struct loop_turn *turn)
{
    return turn->queue != NULL;
}

void loop_turn_cancel(struct loop_turn *turn)
{
    struct loop_turns *q = turn->queue;
    if (!q) {
        return;
    }
    *(turn->previous ? &turn->previous->next : &q->first) = turn->next;
    *(turn->next ? &turn->next->previous : &q->last) = turn->previous;
    turn->queue = NULL;
    if (!q->first) {
        uv_idle_stop(&q->idle);
    }
}

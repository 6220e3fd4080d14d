#include "runtime/serve/successor.h"

#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/listening.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/version_refresh.h"

#define LOOK_EVERY_MS 10

/* Prompts are read ahead before anybody is served, unless that takes longer. */
#define WARMING_MAX_MS 10000

enum step {
    WARMING,
    WAITING, /* for "go" */
    REFRESHING,
};

struct successor {
    struct server *server;
    uv_timer_t timer;
    int end; /* of the handover */
    enum step step;
    uint64_t warm_by; /* uv_now */
    size_t reading;   /* prompts that were changed meanwhile */
};

static void fail(struct successor *su, const struct err *e)
{
    server_fail(su->server, e); /* tells the other process at the end */
}

/* The last step: from here on both are asked, until the old one hears of it. */
static void take_over(struct successor *su)
{
    struct server *s = su->server;
    struct err e = {0};
    if (listening_begin(s, &e) != 0 || server_open(s, &e) != 0) {
        fail(su, &e);
        return;
    }
    static const char *const outcome = "done";
    metrics_add(s->metrics, SERVER_METRIC_UPGRADES, &outcome, 1);
    log_info("this process, %ld, has taken over", (long)getpid());
    handover_send(su->end, HANDOVER_SERVING, NULL);
    successor_stop(s);
}

static void refresh(struct successor *su)
{
    struct err e = {0};
    su->step = REFRESHING;
    if (version_refresh(su->server, &su->reading, &e) != 0 ||
        drift_desk_load(su->server->drift, &e) != 0) {
        fail(su, &e);
    }
}

static void wait_for_go(struct successor *su)
{
    char text[ERR_MESSAGE_MAX];
    enum handover_word word = handover_receive(su->end, text);
    if (word == HANDOVER_ENDED) {
        log_warn("the process that was to be replaced is gone; this one serves");
    }
    if (word == HANDOVER_GO || word == HANDOVER_ENDED) {
        refresh(su);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct successor *su = timer->data;
    struct server *s = su->server;
    if (su->step == WARMING &&
        (!prompt_set_is_reading(&s->prompts) || uv_now(&s->loop) > su->warm_by)) {
        handover_send(su->end, HANDOVER_LOADED, s->set.version);
        su->step = WAITING;
    } else if (su->step == WAITING) {
        wait_for_go(su);
    } else if (su->step == REFRESHING && su->reading == 0) {
        take_over(su);
    }
}

int successor_begin(struct server *s, struct err *e)
{
    struct successor *su = mem_zalloc(sizeof(*su));
    if (!su) {
        return err_nomem(e);
    }
    su->server = s;
    su->end = s->set.predecessor;
    su->warm_by = uv_now(&s->loop) + WARMING_MAX_MS;
    su->timer.data = su;
    uv_timer_init(&s->loop, &su->timer);
    uv_timer_start(&su->timer, on_timer, 0, LOOK_EVERY_MS);
    s->successor = su;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void successor_stop(struct server *s)
{
    if (s->successor) {
        uv_close((uv_handle_t *)&s->successor->timer, on_closed);
        s->successor = NULL;
    }
}

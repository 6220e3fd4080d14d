#include "runtime/serve/service_reload.h"

#include "runtime/serve/server.h"
#include "runtime/serve/service_notify.h"

#define LOOK_EVERY_MS 50

static bool is_loading(const struct server *s)
{
    return s->reload || (s->catalog && model_catalog_is_loading(s->catalog));
}

static void on_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    if (is_loading(s)) {
        return;
    }
    uv_timer_stop(timer);
    s->service_reload.is_told = false;
    /* An upgrade that has begun meanwhile is one more reload, which tells its own end. */
    if (!s->upgrade && !s->stopping) {
        service_notify(s->service_reload.keeps_status ? "READY=1" : "READY=1\nSTATUS=Serving");
    }
}

void service_reload_init(struct server *s)
{
    uv_timer_init(&s->loop, &s->service_reload.timer);
    s->service_reload.timer.data = s;
}

void service_reload_begin(struct server *s)
{
    if (s->service_reload.is_told || s->upgrade) {
        return;
    }
    s->service_reload.is_told = true;
    s->service_reload.keeps_status = false;
    service_notify_reloading("Reloading");
    uv_timer_start(&s->service_reload.timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

void service_reload_close(struct server *s)
{
    uv_close((uv_handle_t *)&s->service_reload.timer, NULL);
}

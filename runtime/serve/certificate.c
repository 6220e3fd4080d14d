#include "runtime/serve/certificate.h"

#include <stdbool.h>

#include "runtime/base/log.h"

#define LOOK_EVERY_MS 2000

static void take_stamp(const struct certificate *c, struct certificate_stamp *stamp)
{
    file_stamp_take(c->cert_path, &stamp->files[0]);
    file_stamp_take(c->key_path, &stamp->files[1]);
}

static bool is_same(const struct certificate_stamp *a, const struct certificate_stamp *b)
{
    return file_stamp_is_same(&a->files[0], &b->files[0]) &&
           file_stamp_is_same(&a->files[1], &b->files[1]);
}

void certificate_reload(struct certificate *c)
{
    struct err e = {0};
    if (!c->tls) {
        return;
    }
    take_stamp(c, &c->loaded); /* before reading: a change meanwhile is seen as one */
    c->seen = c->loaded;
    if (tls_context_reload(c->tls, &e) != 0) {
        log_error("TLS: the new certificate cannot serve, the old one goes on: %s", e.message);
    }
}

static void on_look(uv_timer_t *timer)
{
    struct certificate *c = timer->data;
    struct certificate_stamp now;
    take_stamp(c, &now);
    if (!is_same(&now, &c->loaded) && is_same(&now, &c->seen)) {
        certificate_reload(c);
    }
    c->seen = now;
}

int certificate_open(struct certificate *c, uv_loop_t *loop, const char *cert_path,
                     const char *key_path, struct err *e)
{
    *c = (struct certificate){.cert_path = cert_path, .key_path = key_path};
    take_stamp(c, &c->loaded);
    c->seen = c->loaded;
    c->tls = tls_context_create(cert_path, key_path, e);
    if (!c->tls) {
        return -1;
    }
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    return 0;
}

void certificate_stop_watching(struct certificate *c)
{
    if (c->tls && !uv_is_closing((uv_handle_t *)&c->timer)) {
        uv_close((uv_handle_t *)&c->timer, NULL);
    }
}

void certificate_deinit(struct certificate *c)
{
    tls_context_destroy(c->tls);
    c->tls = NULL;
}

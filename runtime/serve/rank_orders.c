#include "runtime/serve/rank_orders.h"

#include <pthread.h>

#include "runtime/base/clock.h"
#include "runtime/base/cond.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/rank_order.h"

/* Signs of life in the time that the others wait for one. */
#define PULSES 6

struct rank_orders {
    struct rank_group *group;
    struct rank_channel *channel;
    pthread_t pulse;
    int next_channel;

    pthread_mutex_t lock; /* held by who talks on the channel, and throughout a load */

    pthread_mutex_t stop_lock;
    pthread_cond_t stopped;
    bool stop;
};

static void order(struct rank_orders *o, enum rank_order_kind kind, int channel)
{
    const struct rank_order order = {.kind = kind, .channel = channel};
    rank_channel_tell(o->channel, &order, sizeof(order));
}

/* Until it is time for a sign of life, or false: the end. */
static bool wait_for_pulse(struct rank_orders *o)
{
    uint64_t until = clock_now_ns() + rank_group_timeout_ms(o->group) * 1000000ull / PULSES;
    pthread_mutex_lock(&o->stop_lock);
    bool is_time = false;
    while (!o->stop && !is_time) {
        is_time = !cond_wait_until(&o->stopped, &o->stop_lock, until);
    }
    bool goes_on = !o->stop;
    pthread_mutex_unlock(&o->stop_lock);
    return goes_on;
}

static void *pulse(void *arg)
{
    struct rank_orders *o = arg;
    while (wait_for_pulse(o)) {
        /* While they load they wait for no sign. */
        if (pthread_mutex_trylock(&o->lock) == 0) {
            order(o, RANK_ORDER_NONE, 0);
            pthread_mutex_unlock(&o->lock);
        }
    }
    return NULL;
}

struct rank_orders *rank_orders_create(struct rank_group *g, struct err *e)
{
    struct rank_orders *o = mem_zalloc(sizeof(*o));
    if (!o) {
        err_nomem(e);
        return NULL;
    }
    o->group = g;
    o->next_channel = RANK_CHANNEL_ORDERS + 1;
    pthread_mutex_init(&o->lock, NULL);
    pthread_mutex_init(&o->stop_lock, NULL);
    cond_init(&o->stopped);
    o->channel = rank_channel_open(g, RANK_CHANNEL_ORDERS, e);
    if (o->channel && pthread_create(&o->pulse, NULL, pulse, o) == 0) {
        return o;
    }
    rank_group_fail(g, "no memory to serve with other ranks");
}

void rank_orders_destroy(struct rank_orders *o)
{
    if (!o) {
        return;
    }
    pthread_mutex_lock(&o->stop_lock);
    o->stop = true;
    pthread_cond_signal(&o->stopped);
    pthread_mutex_unlock(&o->stop_lock);
    pthread_join(o->pulse, NULL);
    order(o, RANK_ORDER_END, 0);
    rank_channel_close(o->channel);
    pthread_cond_destroy(&o->stopped);
    pthread_mutex_destroy(&o->stop_lock);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

struct rank_group *rank_orders_group(const struct rank_orders *o)
{
    return o ? o->group : NULL;
}

/* --- loads --- */

void rank_order_log_share(const struct rank_group *g, const struct model *m)
{
    log_info("rank %d of %d has its share of %s (sha256 %.12s): %.3f MiB of weights",
             rank_group_rank(g), rank_group_size(g), m->name, m->sha256,
             (double)m->weights.block_bytes / 0x1p20);
}

int rank_load_begin(struct rank_load *l, struct rank_orders *o, const struct rank_model *m,
                    struct err *e)
{
    *l = (struct rank_load){.orders = o};
    if (!o) {
        return 0;
    }
    pthread_mutex_lock(&o->lock);
    int number = o->next_channel;
    l->channel = rank_channel_open(o->group, number, e);
    if (!l->channel) {
        pthread_mutex_unlock(&o->lock);
        return -1;
    }
    o->next_channel++;
    l->is_under_way = true;
    order(o, RANK_ORDER_LOAD, number);
    rank_channel_tell(o->channel, m, sizeof(*m));
    return 0;
}

int rank_load_agree(struct rank_load *l, const char *fact, int rc, struct err *e)
{
    if (!l->orders) {
        return rc;
    }
    rc = rank_channel_agree(l->channel, fact, rc, e);
    l->n_agreed++;
    if (rc != 0) {
        l->is_under_way = false;
    }
    return rc;
}

int rank_load_end(struct rank_load *l, const struct engine *engine, int rc, struct err *e)
{
    if (!l->orders || !l->channel) {
        return rc;
    }
    if (l->is_under_way && l->n_agreed == RANK_LOAD_MODEL_STAGES) {
        struct rank_engine shape = {0};
        if (rc == 0) {
            engine_describe(engine, &shape);
        }
        rank_channel_tell(l->channel, &shape, sizeof(shape));
    }
    rc = l->is_under_way ? rank_load_agree(l, "", rc, e) : rc;
    l->is_under_way = false;
    pthread_mutex_unlock(&l->orders->lock);
    return rc;
}

void rank_load_log(const struct rank_load *l, const struct model *m)
{
    if (l->orders) {
        rank_order_log_share(l->orders->group, m);
    }
}

void rank_load_deinit(struct rank_load *l)
{
    rank_channel_close(l->channel);
    *l = (struct rank_load){0};
}

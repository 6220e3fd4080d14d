#include <signal.h>
#include <time.h>

#include "models/template/chat_template.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/engine/parallel_team.h"
#include "runtime/engine/self_test.h"
#include "runtime/serve/rank_order.h"
#include "runtime/serve/rank_orders.h"

/* A generation of rank 0's, as far as it is here. */
struct followed {
    struct rank_channel *channel;
    struct model *model;
    struct rank_follower *follower;
    struct followed *next;
};

struct follow {
    struct rank_group *group;
    const struct rank_follow_settings *set;
    struct rank_channel *orders;
    struct followed *generations;
};

static void destroy(struct followed *f)
{
    rank_follower_destroy(f->follower);
    model_close(f->model);
    rank_channel_close(f->channel);
    mem_free(f);
}

/* --- loading --- */

static struct model *open_model(const struct follow *w, const struct followed *f,
                                const struct rank_model *m, struct err *e)
{
    struct team *team = team_create_behind(w->set->threads, e);
    char *text = NULL;
    size_t len = 0;
    struct model *model = NULL;
    if (!team) {
        return NULL;
    }
    struct parallel parallel = parallel_team(team);
    parallel.ranks = rank_channel_ranks(f->channel);
    if (!m->template_path[0]) {
        model = model_open(m->path, MODEL_HASHED, &parallel, e);
    } else if ((text = file_read_regular(m->template_path, CHAT_TEMPLATE_BYTES_MAX, &len, e))) {
        model = model_open_templated(m->path, text, len, &parallel, e);
    }
    mem_free(text);
    team_destroy(team);
    return model;
}

/* This rank's part of rank 0's engine, once that has one. */
static int create_follower(const struct follow *w, struct followed *f, struct err *e)
{
    struct rank_engine shape;
    const struct rank_steps steps = {.group = w->group, .channel = f->channel};
    rank_channel_hear(f->channel, &shape, sizeof(shape), rank_group_timeout_ms(w->group));
    if (!shape.is_there) {
        return 0; /* rank 0 will say why */
    }
    f->follower = rank_follower_create(f->model, &shape, w->set->threads, w->set->cpu_features,
                                       &steps, e);
    return f->follower ? 0 : -1;
}

/* The first two of the meetings of which rank_orders.h tells. */
static int load_model(const struct follow *w, struct followed *f, const struct rank_model *m,
                      struct err *e)
{
    struct self_test test = {0};
    const struct ranks *ranks = rank_channel_ranks(f->channel);
    f->model = open_model(w, f, m, e);
    int rc = f->model ? self_test_init(&test, f->model, ranks, w->set->cpu_features, e) : -1;
    rc = rank_channel_agree(f->channel, rc == 0 ? f->model->sha256 : "", rc, e);
    if (rc == 0) {
        rc = self_test_run(&test, e);
        rc = rank_channel_agree(f->channel, "", rc, e);
    }
    self_test_deinit(&test);
    return rc;
}

static int load(const struct follow *w, struct followed *f, const struct rank_model *m,
                struct err *e)
{
    if (load_model(w, f, m, e) != 0) {
        return -1;
    }
    int rc = create_follower(w, f, e);
    rc = rank_channel_agree(f->channel, "", rc, e);
    if (rc == 0 && rank_follower_start(f->follower, e) != 0) {
        rank_group_fail(w->group, "%s", e->message);
    }
    return rc;
}

static void obey_load(struct follow *w, int number)
{
    struct err e = {0};
    struct rank_model m;
    struct followed *f = mem_zalloc(sizeof(*f));
    rank_channel_hear(w->orders, &m, sizeof(m), rank_group_timeout_ms(w->group));
    m.path[PATH_MAX - 1] = m.template_path[PATH_MAX - 1] = '\0';
    f = f && (f->channel = rank_channel_open(w->group, number, &e)) ? f : NULL;
    if (!f) {
        rank_group_fail(w->group, "no memory to load %s", m.path);
    }
    if (load(w, f, &m, &e) != 0) {
        log_warn("rank %d does not load %s: %s", rank_group_rank(w->group), m.path, e.message);
        destroy(f);
        return;
    }
    rank_order_log_share(w->group, f->model);
    f->next = w->generations;
    w->generations = f;
}

/* --- following --- */

/* Those whose engine rank 0 has taken down. */
static void take_down_ended(struct follow *w)
{
    bool any = false;
    for (struct followed **at = &w->generations; *at;) {
        struct followed *f = *at;
        if (rank_follower_is_over(f->follower)) {
            *at = f->next;
            log_info("rank %d of %d has let go of its share of %s (sha256 %.12s)",
                     rank_group_rank(w->group), rank_group_size(w->group), f->model->name,
                     f->model->sha256);
            destroy(f);
            any = true;
        } else {
            at = &f->next;
        }
    }
    if (any) {
        mem_give_back();
    }
}

/* Each engine's end was told before the server's, so it is here soon. */
static void wait_for_ends(struct follow *w)
{
    uint64_t until = clock_now_ns() + (uint64_t)rank_group_timeout_ms(w->group) * 1000000u;
    take_down_ended(w);
    while (w->generations && clock_now_ns() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        take_down_ended(w);
    }
    if (w->generations) {
        rank_group_fail(w->group, "an engine of rank 0 has not come to its end");
    }
}

/* Signals are for rank 0, which ends the others when it ends. */
static void leave_signals_to_rank_0(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        signal(numbers[i], SIG_IGN);
    }
}

int rank_follow(struct rank_group *g, const struct rank_follow_settings *s, struct err *e)
{
    struct follow w = {.group = g, .set = s};
    struct rank_order order = {0};
    w.orders = rank_channel_open(g, RANK_CHANNEL_ORDERS, e);
    if (!w.orders) {
        return -1;
    }
    leave_signals_to_rank_0();
    mem_keep_large_apart();
    while (order.kind != RANK_ORDER_END) {
        rank_channel_hear(w.orders, &order, sizeof(order), rank_group_timeout_ms(g));
        take_down_ended(&w);
        if (order.kind == RANK_ORDER_LOAD) {
            obey_load(&w, order.channel);
        }
    }
    wait_for_ends(&w);
    rank_channel_close(w.orders);
    return 0;
}

#include "models/train/team.h"

#include <pthread.h>
#include <stdbool.h>

#include "runtime/base/mem.h"

struct member {
    struct train_team *team;
    size_t index;
    pthread_t thread;
};

struct train_team {
    size_t n;
    size_t started;         /* threads to join */
    struct member *members; /* (n), member 0 is the caller */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    void (*fn)(void *arg, size_t member);
    void *arg;
    unsigned long round; /* goes up with each train_team_run */
    size_t running;
    bool stop;
};

static void *member_main(void *arg)
{
    struct member *me = arg;
    struct train_team *t = me->team;
    unsigned long seen = 0;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (t->round == seen && !t->stop) {
            pthread_cond_wait(&t->changed, &t->lock);
        }
        if (t->stop) {
            break;
        }
        seen = t->round;
        pthread_mutex_unlock(&t->lock);
        t->fn(t->arg, me->index);
        pthread_mutex_lock(&t->lock);
        if (--t->running == 0) {
            pthread_cond_broadcast(&t->changed);
        }
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct train_team *train_team_create(size_t n, struct err *e)
{
    struct train_team *t = mem_zalloc(sizeof(*t));
    struct member *members = mem_zarray(n, sizeof(*members));
    if (!t || !members) {
        mem_free(t);
        mem_free(members);
        err_nomem(e);
        return NULL;
    }
    t->n = n;
    t->members = members;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    for (size_t i = 1; i < n; i++) {
        members[i] = (struct member){.team = t, .index = i};
        int rc = pthread_create(&members[i].thread, NULL, member_main, &members[i]);
        if (rc != 0) {
            err_set_errno(e, rc, "cannot start training thread %zu", i);
            train_team_destroy(t);
            return NULL;
        }
        t->started++;
    }
    return t;
}

void train_team_destroy(struct train_team *t)
{
    if (!t) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 1; i <= t->started; i++) {
        pthread_join(t->members[i].thread, NULL);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    mem_free(t->members);
    mem_free(t);
}

void train_team_run(struct train_team *t, void (*fn)(void *arg, size_t member), void *arg)
{
    pthread_mutex_lock(&t->lock);
    t->fn = fn;
    t->arg = arg;
    t->running = t->n - 1;
    t->round++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    fn(arg, 0);
    pthread_mutex_lock(&t->lock);
    while (t->running > 0) {
        pthread_cond_wait(&t->changed, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

#include "runtime/ranks/rank_group.h"

#include <mpi.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/ranks/rank_launch.h"

#define MAGIC          0x72616e6bu /* "rank" */
#define TAGS           30000       /* 0 is the orders' own; MPI promises 32767 */
#define HOST_MAX       64
#define AGREE_PATIENCE 10 /* times as long as for a step */

/* Who waits looks without a pause for a moment, where there is a core for it, then sleeps. */
#define SPIN_NS      30000u
#define SLEEP_MIN_NS 10000u
#define SLEEP_MAX_NS 5000000u

struct rank_group {
    int rank, n_ranks, here;
    uint32_t timeout_ms;
    bool spins;
    char (*hosts)[HOST_MAX]; /* (n_ranks) */
};

struct rank_channel {
    struct rank_group *group;
    struct ranks ranks;
    int tag;
    uint32_t count; /* of messages so far, the same on all ranks */
};

/* Before everything that is sent. */
struct head {
    uint32_t magic;
    uint32_t kind;
    uint32_t tag;
    uint32_t count;
    uint64_t bytes; /* head included */
    int32_t rank;   /* sender */
    uint32_t flag;
};
_Static_assert(sizeof(struct head) <= RANKS_HEAD, "the head of a block holds it");

enum kind { KIND_GATHER = 1, KIND_TELL, KIND_AGREE };

/* --- the group --- */

int rank_group_rank(const struct rank_group *g)
{
    return g ? g->rank : 0;
}

int rank_group_size(const struct rank_group *g)
{
    return g ? g->n_ranks : 1;
}

int rank_group_size_here(const struct rank_group *g)
{
    return g ? g->here : 1;
}

uint32_t rank_group_timeout_ms(const struct rank_group *g)
{
    return g ? g->timeout_ms : 0;
}

void rank_group_fail(const struct rank_group *g, const char *format, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_error("rank %d of %d: %s; all ranks end", g->rank, g->n_ranks, text);
    MPI_Abort(MPI_COMM_WORLD, 1);
    _exit(1);
}

static void check(const struct rank_group *g, int rc, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int len;
    if (rc != MPI_SUCCESS) {
        MPI_Error_string(rc, text, &len);
        rank_group_fail(g, "%s: %s", what, text);
    }
}

/* What is checked about the others before anything else. */
struct hello {
    char host[HOST_MAX];
    char version[32];
    int wanted;
};

static int compare(const struct rank_group *g, const struct hello *all, struct err *e)
{
    for (int i = 1; i < g->n_ranks; i++) {
        if (strcmp(all[i].version, all[0].version) != 0) {
            return err_set(e, ERR_CONFLICT,
                           "rank %d (%s) runs weir %s, rank 0 (%s) weir %s; all must be the "
                           "same program",
                           i, all[i].host, all[i].version, all[0].host, all[0].version);
        }
    }
    int wanted = all[0].wanted;
    return wanted > 0 && wanted != g->n_ranks
               ? err_set_param(e, ERR_INVALID, "ranks",
                               "--ranks: %d are wanted, %d were started; give mpirun -np %d",
                               wanted, g->n_ranks, wanted)
               : 0;
}

static int get_to_know(struct rank_group *g, const struct rank_group_settings *s, struct err *e)
{
    struct hello own = {.wanted = s->wanted};
    struct hello *all = mem_zarray((size_t)g->n_ranks, sizeof(*all));
    g->hosts = mem_zarray((size_t)g->n_ranks, sizeof(*g->hosts));
    if (!all || !g->hosts) {
        mem_free(all);
        return err_nomem(e);
    }
    gethostname(own.host, sizeof(own.host) - 1);
    snprintf(own.version, sizeof(own.version), "%s", s->version);
    MPI_Allgather(&own, sizeof(own), MPI_BYTE, all, sizeof(own), MPI_BYTE, MPI_COMM_WORLD);
    for (int i = 0; i < g->n_ranks; i++) {
        memcpy(g->hosts[i], all[i].host, HOST_MAX);
        g->here += strcmp(all[i].host, own.host) == 0;
    }
    int rc = compare(g, all, e);
    mem_free(all);
    g->spins = g->here <= sysconf(_SC_NPROCESSORS_ONLN);
    return rc;
}

static void destroy(struct rank_group *g)
{
    mem_free(g->hosts);
    mem_free(g);
}

int rank_group_open(struct rank_group **out, const struct rank_group_settings *s, struct err *e)
{
    int provided;
    const int n_launched = rank_launch_size();
    *out = NULL;
    if (n_launched == 1) {
        return s->wanted > 1 ? err_set_param(e, ERR_INVALID, "ranks",
                                             "--ranks: %d are wanted, and this process was "
                                             "started alone; start it with mpirun -np %d weir",
                                             s->wanted, s->wanted)
                             : 0;
    }
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS) {
        return err_set(e, ERR_IO, "MPI could not be started");
    }
    struct rank_group *g = mem_zalloc(sizeof(*g));
    if (!g) {
        return err_nomem(e);
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &g->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &g->n_ranks);
    g->timeout_ms = s->timeout_ms;
    int rc = 0;
    if (provided < MPI_THREAD_MULTIPLE) {
        rc = err_set(e, ERR_UNSUPPORTED,
                     "this MPI does not let several threads talk (MPI_THREAD_MULTIPLE)");
    } else if (n_launched != RANK_LAUNCH_UNKNOWN && g->n_ranks != n_launched) {
        rc = err_set(e, ERR_INVALID,
                     "%d processes were started together, this MPI sees %d; use the mpirun of "
                     "the MPI that weir was built with",
                     n_launched, g->n_ranks);
    } else if (g->n_ranks > RANKS_MAX) {
        rc = err_set(e, ERR_LIMIT, "%d ranks were started, at most %d can share a model",
                     g->n_ranks, RANKS_MAX);
    } else {
        rc = get_to_know(g, s, e);
    }
    if (rc != 0 || g->n_ranks == 1) {
        MPI_Finalize();
        destroy(g);
        return rc;
    }
    *out = g;
    return 0;
}

/* --- waiting --- */

static void pause_for(uint64_t waited_ns)
{
    static _Thread_local bool is_prompt;
    if (!is_prompt) {
        prctl(PR_SET_TIMERSLACK, 1000UL); /* else a short sleep takes 50 us more */
        is_prompt = true;
    }
    uint64_t ns = waited_ns / 8;
    ns = ns < SLEEP_MIN_NS ? SLEEP_MIN_NS : ns > SLEEP_MAX_NS ? SLEEP_MAX_NS : ns;
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* The first whose message is not there, or was not taken. */
static int find_late(MPI_Request *requests, const int *peers, int n)
{
    for (int i = 0; i < n; i++) {
        int done = 1;
        if (requests[i] != MPI_REQUEST_NULL &&
            MPI_Request_get_status(requests[i], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS &&
            !done) {
            return peers[i];
        }
    }
    return peers[0];
}

/* timeout_ms 0: for ever. */
static void wait_all(const struct rank_group *g, MPI_Request *requests, MPI_Status *statuses,
                     const int *peers, int n, uint64_t timeout_ms)
{
    uint64_t begin = clock_now_ns();
    for (;;) {
        int done = 0;
        int rc = MPI_Testall(n, requests, &done, statuses);
        for (int i = 0; rc == MPI_ERR_IN_STATUS && i < n; i++) {
            check(g,
                  statuses[i].MPI_ERROR == MPI_ERR_PENDING ? MPI_SUCCESS
                                                           : statuses[i].MPI_ERROR,
                  "a message of another rank");
        }
        check(g, rc, "messages between ranks");
        if (done) {
            return;
        }
        uint64_t waited = clock_now_ns() - begin;
        if (timeout_ms > 0 && waited > timeout_ms * 1000000u) {
            int late = find_late(requests, peers, n);
            rank_group_fail(g, "rank %d (%s) has not answered for %llu s", late, g->hosts[late],
                            (unsigned long long)(timeout_ms / 1000));
        }
        if (g->spins && waited < SPIN_NS) {
            sched_yield();
        } else {
            pause_for(waited);
        }
    }
}

void rank_group_close(struct rank_group *g)
{
    MPI_Request all;
    MPI_Status status;
    if (!g) {
        return;
    }
    check(g, MPI_Ibarrier(MPI_COMM_WORLD, &all), "the end");
    const int peer = g->rank == 0 ? 1 : 0;
    wait_all(g, &all, &status, &peer, 1, (uint64_t)g->timeout_ms * AGREE_PATIENCE);
    MPI_Finalize();
    destroy(g);
}

/* --- channels --- */

static bool gather(void *channel, unsigned char *blocks, const size_t *at, bool to_all,
                   bool flag);

static int tag_of(int number)
{
    return number == RANK_CHANNEL_ORDERS ? 0 : 1 + (number - 1) % (TAGS - 1);
}

struct rank_channel *rank_channel_open(struct rank_group *g, int number, struct err *e)
{
    struct rank_channel *c = mem_zalloc(sizeof(*c));
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    *c = (struct rank_channel){.group = g, .tag = tag_of(number)};
    c->ranks =
        (struct ranks){.channel = c, .rank = g->rank, .n_ranks = g->n_ranks, .gather = gather};
    return c;
}

void rank_channel_close(struct rank_channel *c)
{
    mem_free(c);
}

const struct ranks *rank_channel_ranks(const struct rank_channel *c)
{
    return c ? &c->ranks : NULL;
}

static void write_head(const struct rank_channel *c, unsigned char *block, enum kind kind,
                       size_t bytes, bool flag)
{
    const struct head h = {.magic = MAGIC,
                           .kind = kind,
                           .tag = (uint32_t)c->tag,
                           .count = c->count,
                           .bytes = bytes,
                           .rank = c->group->rank,
                           .flag = flag};
    memcpy(block, &h, sizeof(h));
}

/* What came is what this rank waits for, and as long. Returns its flag. */
static bool check_head(const struct rank_channel *c, const unsigned char *block, enum kind kind,
                       size_t bytes, int rank, MPI_Status *status)
{
    struct head h;
    int got = 0;
    memcpy(&h, block, sizeof(h));
    MPI_Get_count(status, MPI_BYTE, &got);
    if ((size_t)got != bytes || h.magic != MAGIC || h.kind != (uint32_t)kind ||
        h.tag != (uint32_t)c->tag || h.count != c->count || h.bytes != bytes ||
        h.rank != rank) {
        rank_group_fail(c->group,
                        "rank %d (%s) is elsewhere in the program: message %u of kind %u with "
                        "%llu bytes came, %u of kind %u with %zu was expected",
                        rank, c->group->hosts[rank], h.count, h.kind,
                        (unsigned long long)h.bytes, c->count, (unsigned)kind, bytes);
    }
    return h.flag != 0;
}

/* Messages under way. */
struct transfer {
    struct rank_channel *c;
    MPI_Request requests[2 * RANKS_MAX];
    MPI_Status statuses[2 * RANKS_MAX];
    int peers[2 * RANKS_MAX];
    int n;
};

static void send_to(struct transfer *t, const void *data, size_t bytes, int rank)
{
    t->peers[t->n] = rank;
    check(t->c->group,
          MPI_Isend(data, (int)bytes, MPI_BYTE, rank, t->c->tag, MPI_COMM_WORLD,
                    &t->requests[t->n++]),
          "a message to another rank");
}

static void receive_from(struct transfer *t, void *data, size_t bytes, int rank)
{
    t->peers[t->n] = rank;
    check(t->c->group,
          MPI_Irecv(data, (int)bytes, MPI_BYTE, rank, t->c->tag, MPI_COMM_WORLD,
                    &t->requests[t->n++]),
          "a message from another rank");
}

static void finish(struct transfer *t, uint64_t timeout_ms)
{
    if (t->n > 0) {
        wait_all(t->c->group, t->requests, t->statuses, t->peers, t->n, timeout_ms);
    }
}

/* Blocks of all ranks to all, or to rank 0. Returns rank 0's flag, where it comes here. */
static bool exchange(struct rank_channel *c, enum kind kind, unsigned char *blocks,
                     const size_t *at, bool to_all, bool flag, uint64_t timeout_ms)
{
    struct transfer t = {.c = c};
    int own = c->group->rank, n = c->group->n_ranks;
    bool receives = to_all || own == 0, first = flag;
    write_head(c, blocks + at[own], kind, at[own + 1] - at[own], flag);
    for (int i = 0; i < n && receives; i++) {
        if (i != own) {
            receive_from(&t, blocks + at[i], at[i + 1] - at[i], i);
        }
    }
    int n_received = t.n;
    for (int i = 0; i < n; i++) {
        if (i != own && (to_all || i == 0)) {
            send_to(&t, blocks + at[own], at[own + 1] - at[own], i);
        }
    }
    finish(&t, timeout_ms);
    for (int i = 0; i < n_received; i++) {
        int rank = t.peers[i];
        bool theirs = check_head(c, blocks + at[rank], kind, at[rank + 1] - at[rank], rank,
                                 &t.statuses[i]);
        first = rank == 0 ? theirs : first;
    }
    c->count++;
    return first;
}

static bool gather(void *channel, unsigned char *blocks, const size_t *at, bool to_all,
                   bool flag)
{
    struct rank_channel *c = channel;
    return exchange(c, KIND_GATHER, blocks, at, to_all, flag, c->group->timeout_ms);
}

void rank_channel_tell(struct rank_channel *c, const void *message, size_t bytes)
{
    struct transfer t = {.c = c};
    unsigned char *block = mem_alloc(sizeof(struct head) + bytes);
    if (!block) {
        rank_group_fail(c->group, "no memory for a message of %zu bytes", bytes);
    }
    size_t all = sizeof(struct head) + bytes;
    write_head(c, block, KIND_TELL, all, false);
    memcpy(block + sizeof(struct head), message, bytes);
    for (int i = 1; i < c->group->n_ranks; i++) {
        send_to(&t, block, all, i);
    }
    finish(&t, c->group->timeout_ms);
    mem_free(block);
    c->count++;
}

void rank_channel_hear(struct rank_channel *c, void *message, size_t bytes, uint32_t timeout_ms)
{
    struct transfer t = {.c = c};
    size_t all = sizeof(struct head) + bytes;
    unsigned char *block = mem_alloc(all);
    if (!block) {
        rank_group_fail(c->group, "no memory for a message of %zu bytes", bytes);
    }
    receive_from(&t, block, all, 0);
    finish(&t, timeout_ms);
    check_head(c, block, KIND_TELL, all, 0, &t.statuses[0]);
    memcpy(message, block + sizeof(struct head), bytes);
    mem_free(block);
    c->count++;
}

/* --- agreeing --- */

struct verdict {
    char head[RANKS_HEAD];
    int rc;
    enum err_kind kind;
    char fact[RANK_FACT_MAX];
    char message[ERR_MESSAGE_MAX];
};

static int judge(const struct rank_group *g, const struct verdict *all, struct err *e)
{
    for (int i = 0; i < g->n_ranks; i++) {
        if (all[i].rc != 0) {
            err_set(e, all[i].kind, "%s", all[i].message);
            return i == 0 ? -1 : err_prefix(e, "rank %d (%s)", i, g->hosts[i]);
        }
    }
    for (int i = 1; i < g->n_ranks; i++) {
        if (strcmp(all[i].fact, all[0].fact) != 0) {
            return err_set(e, ERR_CONFLICT,
                           "rank %d (%s) has not the same file as rank 0 (%s): %s, and %s", i,
                           g->hosts[i], g->hosts[0], all[i].fact, all[0].fact);
        }
    }
    return 0;
}

int rank_channel_agree(struct rank_channel *c, const char *fact, int rc, struct err *e)
{
    struct rank_group *g = c->group;
    size_t at[RANKS_MAX + 1] = {0};
    struct verdict *all = mem_zarray((size_t)g->n_ranks, sizeof(*all));
    if (!all) {
        rank_group_fail(g, "no memory to hear the other ranks");
    }
    for (int i = 0; i < g->n_ranks; i++) {
        at[i + 1] = at[i] + sizeof(*all);
    }
    struct verdict *own = &all[g->rank];
    own->rc = rc;
    snprintf(own->fact, sizeof(own->fact), "%s", fact);
    if (rc != 0) {
        own->kind = e->kind;
        snprintf(own->message, sizeof(own->message), "%s", e->message);
    }
    exchange(c, KIND_AGREE, (unsigned char *)all, at, true, false,
             (uint64_t)g->timeout_ms * AGREE_PATIENCE);
    for (int i = 0; i < g->n_ranks; i++) {
        all[i].fact[RANK_FACT_MAX - 1] = '\0';
        all[i].message[ERR_MESSAGE_MAX - 1] = '\0';
    }
    rc = judge(g, all, e);
    mem_free(all);
    return rc;
}

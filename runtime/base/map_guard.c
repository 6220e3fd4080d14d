#include "runtime/base/map_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Looked at by a signal handler, so without locks. begin is 0 in a place that is free; it is
 * stored last and cleared first. */
struct place {
    atomic_uintptr_t begin;
    atomic_uintptr_t end;
    atomic_bool is_cut;
};

static struct place places[MAP_GUARD_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of adding */
static struct sigaction before;
static uintptr_t page_size;

static struct place *find_address(uintptr_t address)
{
    for (size_t i = 0; i < MAP_GUARD_MAX; i++) {
        uintptr_t begin = atomic_load(&places[i].begin);
        if (begin != 0 && address >= begin && address < atomic_load(&places[i].end)) {
            return &places[i];
        }
    }
    return NULL;
}

/* All that lies behind the address is lost too: one signal does for all of it. */
static bool replace_rest(struct place *p, uintptr_t address)
{
    uintptr_t from = address / page_size * page_size;
    void *zeroes = mmap((void *)from, atomic_load(&p->end) - from, PROT_READ,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    atomic_store(&p->is_cut, true);
    return zeroes != MAP_FAILED;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct place *p = find_address((uintptr_t)info->si_addr);
    if (!p || !replace_rest(p, (uintptr_t)info->si_addr)) {
        sigaction(number, &before, NULL); /* the same instruction comes again */
    }
}

/* Anew where somebody else has taken the signal since. */
static void install(void)
{
    struct sigaction now;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction != on_bus_error) {
        page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
        before = now;
        sigemptyset(&action.sa_mask);
        sigaction(SIGBUS, &action, NULL);
    }
}

void map_guard_add(const void *data, uint64_t size)
{
    pthread_mutex_lock(&lock);
    install();
    for (size_t i = 0; i < MAP_GUARD_MAX; i++) {
        if (atomic_load(&places[i].begin) == 0) {
            atomic_store(&places[i].is_cut, false);
            atomic_store(&places[i].end, (uintptr_t)data + size);
            atomic_store(&places[i].begin, (uintptr_t)data);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

static struct place *find_begin(const void *data)
{
    for (size_t i = 0; data && i < MAP_GUARD_MAX; i++) {
        if (atomic_load(&places[i].begin) == (uintptr_t)data) {
            return &places[i];
        }
    }
    return NULL;
}

void map_guard_remove(const void *data)
{
    struct place *p = find_begin(data);
    if (p) {
        atomic_store(&p->begin, 0);
    }
}

bool map_guard_is_cut(const void *data)
{
    struct place *p = find_begin(data);
    return p && atomic_load(&p->is_cut);
}

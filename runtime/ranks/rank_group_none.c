/* Built without MPI: a process is alone, and says so when it was started as one of several. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/log.h"
#include "runtime/ranks/rank_group.h"
#include "runtime/ranks/rank_launch.h"

int rank_group_open(struct rank_group **out, const struct rank_group_settings *s, struct err *e)
{
    *out = NULL;
    int n = rank_launch_size();
    return n > 1 || s->wanted > 1
               ? err_set(
                     e, ERR_UNSUPPORTED,
                     "%d ranks: this weir was built without MPI; install libopenmpi-dev and "
                     "openmpi-bin and build it anew",
                     s->wanted > 1 ? s->wanted : n)
               : 0;
}

void rank_group_close(struct rank_group *g)
{
    (void)g;
}

int rank_group_rank(const struct rank_group *g)
{
    (void)g;
    return 0;
}

int rank_group_size(const struct rank_group *g)
{
    (void)g;
    return 1;
}

int rank_group_size_here(const struct rank_group *g)
{
    (void)g;
    return 1;
}

uint32_t rank_group_timeout_ms(const struct rank_group *g)
{
    (void)g;
    return 0;
}

/* Nobody has a group or a channel, so the rest is never called. */
void rank_group_fail(const struct rank_group *g, const char *format, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list args;
    (void)g;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_error("%s", text);
    exit(1);
}

struct rank_channel *rank_channel_open(struct rank_group *g, int number, struct err *e)
{
    (void)g;
    err_set(e, ERR_UNSUPPORTED, "channel %d: built without MPI", number);
    return NULL;
}

void rank_channel_close(struct rank_channel *c)
{
    (void)c;
}

const struct ranks *rank_channel_ranks(const struct rank_channel *c)
{
    (void)c;
    return NULL;
}

void rank_channel_tell(struct rank_channel *c, const void *message, size_t bytes)
{
    (void)c;
    (void)message;
    (void)bytes;
}

void rank_channel_hear(struct rank_channel *c, void *message, size_t bytes, uint32_t timeout_ms)
{
    (void)c;
    (void)message;
    (void)bytes;
    (void)timeout_ms;
}

int rank_channel_agree(struct rank_channel *c, const char *fact, int rc, struct err *e)
{
    (void)c;
    (void)fact;
    (void)e;
    return rc;
}

#include "runtime/cli/ranks.h"

#include <sched.h>

#include "runtime/cli/local_model.h"

int cli_ranks_open(const struct cli_ranks *r, struct rank_group **out, struct err *e)
{
    const struct rank_group_settings s = {.wanted = (int)r->wanted,
                                          .timeout_ms = (uint32_t)r->timeout_s * 1000,
                                          .version = WEIR_VERSION};
    return rank_group_open(out, &s, e);
}

int cli_ranks_check_pin(const struct rank_group *g, bool pin, struct err *e)
{
    return g && pin ? err_set_param(e, ERR_INVALID, "pin",
                                    "--pin: ranks on one machine would all take the same "
                                    "cores; leave it out, mpirun ties processes to cores "
                                    "(--bind-to, --map-by)")
                    : 0;
}

/* That this process may run on: mpirun ties it to some, unless it is told not to. */
static long cores_allowed(void)
{
    cpu_set_t set;
    long all = local_core_count();
    long n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : all;
    return n < all ? n : all;
}

int cli_ranks_threads(const struct rank_group *g, long asked)
{
    if (asked > 0) {
        return (int)asked;
    }
    if (!g) {
        return (int)local_core_count();
    }
    long share = local_core_count() / rank_group_size_here(g), allowed = cores_allowed();
    share = share < allowed ? share : allowed;
    return share > 1 ? (int)share : 1;
}

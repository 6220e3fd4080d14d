/* ranks.h: commands that several processes run together (runtime/ranks/rank_group.h). */
#pragma once

#include "runtime/ranks/rank_group.h"

/* The options --ranks and --rank-timeout. */
struct cli_ranks {
    long wanted;    /* 0: as many as there are */
    long timeout_s; /* CLI_RANK_TIMEOUT_S where it is not asked for */
};

#define CLI_RANK_TIMEOUT_S 60
#define CLI_RANKS_HELP                                                                        \
    "processes that share the model out, started by mpirun -np N weir ... (as many as there " \
    "are)"
#define CLI_RANK_TIMEOUT_HELP \
    "seconds that a rank may take for its part of a step before all end (60)"

/* *out: NULL where this process is alone. */
int cli_ranks_open(const struct cli_ranks *r, struct rank_group **out, struct err *e);

/* Each rank knows its own threads alone, so it would tie them to the cores of another's. */
int cli_ranks_check_pin(const struct rank_group *g, bool pin, struct err *e);

/* Threads for one rank: its share of the cores that this machine has, at least one. */
int cli_ranks_threads(const struct rank_group *g, long asked);

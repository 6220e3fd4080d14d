#include "runtime/engine/parallel_team.h"

static void run(void *team, parallel_work_fn *work, void *ctx)
{
    team_run(team, work, ctx);
}

static void barrier(void *team)
{
    team_barrier(team);
}

struct parallel parallel_team(struct team *team)
{
    return (struct parallel){
        .team = team, .n_workers = team_size(team), .run = run, .barrier = barrier};
}

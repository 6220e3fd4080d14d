/* parallel_team.h: lets a model share its work out over a thread team. */
#pragma once

#include "models/parallel.h"
#include "runtime/engine/team.h"

/* The team is borrowed and used as team.h says. */
struct parallel parallel_team(struct team *team);

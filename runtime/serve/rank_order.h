/* rank_order.h: what goes over the channel of orders; private to rank_orders.c and
 * rank_follow.c. */
#pragma once

#include <stdint.h>

#include "models/model.h"
#include "runtime/ranks/rank_group.h"

enum rank_order_kind {
    RANK_ORDER_NONE = 1, /* a sign of life */
    RANK_ORDER_LOAD,     /* a struct rank_model follows; all that comes of it on `channel` */
    RANK_ORDER_END,
};

struct rank_order {
    uint32_t kind;
    int32_t channel;
};

/* Of a load's three meetings, those before the engine: read, tested. */
#define RANK_LOAD_MODEL_STAGES 2

void rank_order_log_share(const struct rank_group *g, const struct model *m);

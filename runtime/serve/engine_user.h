/* engine_user.h: who gets the engine's events of a request. */
#pragma once

#include "runtime/engine/engine.h"

/* The first member of whatever engine_request.user points to. */
struct engine_user {
    void (*on_event)(struct engine_user *user, const struct engine_event *ev);
};

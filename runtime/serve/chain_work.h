/* chain_work.h: what the admin routes of filter chains do that those of other things do not. */
#pragma once

#include "runtime/serve/version_work.h"

extern const struct version_api chain_work_api;

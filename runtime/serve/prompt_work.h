/* prompt_work.h: what the admin routes of prompts do that those of other things do not. */
#pragma once

#include "runtime/serve/version_work.h"

extern const struct version_api prompt_work_api;

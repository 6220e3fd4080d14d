/* guard_fixture.h: a small random classifier. */
#pragma once

#include "filters/guard_model.h"
#include "runtime/base/rng.h"

struct guard_model *guard_fixture(uint64_t seed, uint32_t dims, uint32_t bits, uint32_t hidden);

/* The file it makes; the caller's (mem_free). */
char *guard_fixture_file(const struct guard_model *model, size_t *len);

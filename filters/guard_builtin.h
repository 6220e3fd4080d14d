/* guard_builtin.h: the classifier that comes with Weir, models/weir-guard/weir-guard.bin, as it
 * is embedded in the program. */
#pragma once

#include <stddef.h>

extern const unsigned char guard_builtin[];
extern const size_t guard_builtin_len;

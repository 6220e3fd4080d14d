/* script.h: the filter type "script", a function that the operator wrote in Lua 5.4.
 *
 * Each text has a Lua state of its own (lua_sandbox.h), so that what a script remembers ends
 * with its text and no two threads ever share a state. docs/filters.md says what a script can
 * call. The type is there in every build; without Lua its settings are refused with what to
 * install. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_script;

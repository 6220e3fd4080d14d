/* lua_sandbox.h: a Lua 5.4 state in which nobody's code can do harm, or take long.
 *
 * What is not there: files, processes, modules, debugging, loading of code, coroutines,
 * metatables, catching of errors, clocks, random numbers, patterns, and whatever shows
 * addresses or the order of a hash (pairs, tostring of a table). What is left is deterministic.
 *
 * What is bounded, for each run:
 *   - steps: instructions of the virtual machine, which a count hook sees; functions in C are
 *     charged for the length of their first argument, as no hook sees inside them. Functions
 *     whose work has no such bound are left out (patterns, table.sort, table.move) or written
 *     anew (string.rep, string.find)
 *   - memory of the whole state, any one block of it (LUA_SANDBOX_MAX_BLOCK, so that no single
 *     instruction works on more), and the bytes allocated in one run (LUA_SANDBOX_TRAFFIC times
 *     the memory), garbage or not
 *
 * Threads: a sandbox belongs to one thread at a time. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LUA_SANDBOX_MAX_BLOCK ((size_t)64 << 10) /* bytes */
#define LUA_SANDBOX_TRAFFIC   4u

struct lua_sandbox {
    lua_State *lua;
    uint64_t max_steps; /* of one run */
    size_t max_memory;  /* bytes */

    uint64_t steps;
    size_t memory;
    size_t traffic;
    bool is_out_of_steps;
    bool is_out_of_memory;
    int line; /* of the last error, 0: not known */
};

/* 0, or -1 when there is not enough memory. */
int lua_sandbox_init(struct lua_sandbox *sandbox, uint64_t max_steps, size_t max_memory);
void lua_sandbox_deinit(struct lua_sandbox *sandbox); /* accepts one that failed to init */

/* Calls function(L) with `context` as its light userdata argument, protected and bounded. 0, or
 * -1 with the error's message on top of the stack; else the stack is as before. The message
 * may quote what the code was given: show it only where that is the operator's own. */
int lua_sandbox_run(struct lua_sandbox *sandbox, lua_CFunction function, void *context);

/* What the last failed run failed of, without quoting anything. */
void lua_sandbox_explain(const struct lua_sandbox *sandbox, char *message, size_t room);

/* Pushes the table of globals, for functions to be added. */
void lua_sandbox_push_globals(lua_State *L);
/* Pushes the chunk as a function with these globals, or raises its error. Text only. */
void lua_sandbox_load(lua_State *L, const char *code, size_t len);

#include "filters/lua_sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

#define HOOK_STEPS      100 /* instructions between two calls of the hook */
#define BYTES_PER_STEP  16  /* of a C function's first argument */
#define GLOBALS         "weir.globals"
#define MAX_REPEAT_SIZE LUA_SANDBOX_MAX_BLOCK

/* ---- bounds ---- */

/* lua_Alloc. Lua relies on it that shrinking never fails. */
static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    struct lua_sandbox *s = context;
    size_t before = block ? old_size : 0; /* without a block it is the kind of object */
    if (size == 0) {
        mem_free(block);
        s->memory -= before;
        return NULL;
    }
    size_t growth = size > before ? size - before : 0;
    if (growth > 0 && (size > LUA_SANDBOX_MAX_BLOCK || growth > s->max_memory - s->memory ||
                       size > s->max_memory * LUA_SANDBOX_TRAFFIC - s->traffic)) {
        return NULL;
    }
    void *moved = mem_realloc_array(block, 1, size);
    if (!moved && growth > 0) {
        return NULL;
    }
    s->memory = s->memory - before + size;
    s->traffic += growth > 0 ? size : 0;
    return moved ? moved : block;
}

static struct lua_sandbox *sandbox_of(lua_State *L)
{
    void *context;
    lua_getallocf(L, &context);
    return context;
}

/* Raises an error when the run has no more steps. */
static void charge(lua_State *L, uint64_t steps)
{
    struct lua_sandbox *s = sandbox_of(L);
    s->steps += steps;
    if (s->steps > s->max_steps) {
        s->is_out_of_steps = true;
        luaL_error(L, "too many steps");
    }
}

static void count_hook(lua_State *L, lua_Debug *activation)
{
    (void)activation;
    charge(L, HOOK_STEPS);
}

/* ---- functions ---- */

/* Upvalue 1 is a function in C that needs no upvalues. */
static int call_charged(lua_State *L)
{
    charge(L, 1 + lua_rawlen(L, 1) / BYTES_PER_STEP);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* tostring without addresses. */
static int safe_tostring(lua_State *L)
{
    if (lua_istable(L, 1) || lua_isfunction(L, 1)) {
        return luaL_argerror(L, 1, "a table or function has no text");
    }
    luaL_checkany(L, 1);
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* string.rep(s, n): the one of the library runs n times even when s is empty. */
static int safe_rep(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer count = luaL_checkinteger(L, 2);
    if (count <= 0 || len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)count > MAX_REPEAT_SIZE / len) {
        return luaL_error(L, "the string is too long");
    }
    charge(L, 1 + (uint64_t)count * (1 + len) / BYTES_PER_STEP);
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, (size_t)count * len);
    for (lua_Integer i = 0; i < count; i++) {
        memcpy(to + (size_t)i * len, text, len);
    }
    luaL_pushresultsize(&buffer, (size_t)count * len);
    return 1;
}

/* string.find(s, what, from): where the text `what` stands in s first, as begin and end. */
static int safe_find(lua_State *L)
{
    size_t len, what_len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *what = luaL_checklstring(L, 2, &what_len);
    lua_Integer from = luaL_optinteger(L, 3, 1);
    if (from < 0) {
        from = -from > (lua_Integer)len ? 1 : (lua_Integer)len + from + 1;
    }
    size_t at = from > 0 ? (size_t)from - 1 : 0;
    charge(L, 1 + (len + what_len) / BYTES_PER_STEP);
    const char *found = at <= len ? memmem(text + at, len - at, what, what_len) : NULL;
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, found - text + (lua_Integer)what_len);
    return 2;
}

/* ---- the environment ---- */

struct library {
    const char *name; /* of the table; NULL: globals */
    lua_CFunction open;
    const char *const *functions; /* NULL-terminated */
    const char *const *constants; /* NULL-terminated, or NULL */
};

static const char *const base_functions[] = {"assert", "error",    "ipairs", "rawequal",
                                             "select", "tonumber", "type",   NULL};
static const char *const string_functions[] = {"byte",    "char", "len",   "lower",
                                               "reverse", "sub",  "upper", NULL};
static const char *const table_functions[] = {"concat", "insert", "pack",
                                              "remove", "unpack", NULL};
static const char *const utf8_functions[] = {"char", "codepoint", "codes",
                                             "len",  "offset",    NULL};
static const char *const math_functions[] = {"abs", "ceil", "floor",     "fmod", "max",
                                             "min", "sqrt", "tointeger", "type", NULL};
static const char *const math_constants[] = {"huge", "maxinteger", "mininteger", NULL};

static const struct library libraries[] = {
    {NULL, luaopen_base, base_functions, NULL},
    {LUA_STRLIBNAME, luaopen_string, string_functions, NULL},
    {LUA_TABLIBNAME, luaopen_table, table_functions, NULL},
    {LUA_UTF8LIBNAME, luaopen_utf8, utf8_functions, NULL},
    {LUA_MATHLIBNAME, luaopen_math, math_functions, math_constants},
};

/* From the library on top of the stack into the table below it. */
static void copy_library(lua_State *L, const struct library *library)
{
    for (const char *const *name = library->functions; *name; name++) {
        lua_getfield(L, -1, *name);
        lua_pushcclosure(L, call_charged, 1);
        lua_setfield(L, -3, *name);
    }
    for (const char *const *name = library->constants; name && *name; name++) {
        lua_getfield(L, -1, *name);
        lua_setfield(L, -3, *name);
    }
}

static void add_function(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
}

/* Methods of strings, `s:sub(1, 2)`, come from the same table; the operators that the library
 * gave to strings go with the metatable. */
static void set_string_methods(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 1);
    lua_getfield(L, -3, LUA_STRLIBNAME);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static int make_globals(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        const struct library *library = &libraries[i];
        if (library->name) {
            lua_newtable(L);
        }
        luaL_requiref(L, library->name ? library->name : LUA_GNAME, library->open, 0);
        copy_library(L, library);
        lua_pop(L, 1);
        if (library->name) {
            lua_setfield(L, -2, library->name);
        }
    }
    add_function(L, "tostring", safe_tostring);
    lua_getfield(L, -1, LUA_STRLIBNAME);
    add_function(L, "rep", safe_rep);
    add_function(L, "find", safe_find);
    lua_pop(L, 1);
    set_string_methods(L);
    lua_setfield(L, LUA_REGISTRYINDEX, GLOBALS);
    return 0;
}

void lua_sandbox_push_globals(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, GLOBALS);
}

void lua_sandbox_load(lua_State *L, const char *code, size_t len)
{
    if (luaL_loadbufferx(L, code, len, "=script", "t") != LUA_OK) {
        lua_error(L);
    }
    lua_sandbox_push_globals(L);
    lua_setupvalue(L, -2, 1);
}

/* ---- runs ---- */

/* The line of the innermost function that is written in Lua. */
static int remember_line(lua_State *L)
{
    struct lua_sandbox *s = sandbox_of(L);
    lua_Debug activation;
    for (int level = 1; s->line == 0 && lua_getstack(L, level, &activation); level++) {
        lua_getinfo(L, "l", &activation);
        s->line = activation.currentline > 0 ? activation.currentline : 0;
    }
    return 1;
}

int lua_sandbox_run(struct lua_sandbox *s, lua_CFunction function, void *context)
{
    lua_State *L = s->lua;
    s->steps = 0;
    s->traffic = 0;
    s->is_out_of_steps = false;
    s->line = 0;
    lua_sethook(L, count_hook, LUA_MASKCOUNT, HOOK_STEPS);
    lua_pushcfunction(L, remember_line);
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, context);
    int rc = lua_pcall(L, 1, 0, -3);
    s->is_out_of_memory = rc == LUA_ERRMEM;
    lua_remove(L, rc == LUA_OK ? -1 : -2);
    return rc == LUA_OK ? 0 : -1;
}

void lua_sandbox_explain(const struct lua_sandbox *s, char *message, size_t room)
{
    if (s->is_out_of_steps) {
        snprintf(message, room, "the script took more than %llu steps",
                 (unsigned long long)s->max_steps);
    } else if (s->is_out_of_memory) {
        snprintf(message, room, "the script wanted more memory than it may have");
    } else if (s->line > 0) {
        snprintf(message, room, "the script raised an error on line %d", s->line);
    } else {
        snprintf(message, room, "the script raised an error");
    }
}

int lua_sandbox_init(struct lua_sandbox *s, uint64_t max_steps, size_t max_memory)
{
    *s = (struct lua_sandbox){.max_steps = max_steps, .max_memory = max_memory};
    s->lua = lua_newstate(allocate, s);
    if (!s->lua || lua_sandbox_run(s, make_globals, NULL) != 0) {
        lua_sandbox_deinit(s);
        return -1;
    }
    return 0;
}

void lua_sandbox_deinit(struct lua_sandbox *s)
{
    if (s->lua) {
        lua_close(s->lua);
    }
    s->lua = NULL;
}

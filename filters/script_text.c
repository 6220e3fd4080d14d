#include "filters/script_text.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "filters/lua_sandbox.h"
#include "runtime/base/mem.h"

struct script_text {
    struct lua_sandbox sandbox;
    int function; /* references in Lua's registry */
    int span;     /* the table that the function is given, the same for all calls */
};

/* ---- verdicts, as the script makes them ---- */

/* {verdict = name, upto = n, text = ..., code = ..., message = ...}; upvalue 1 is the name,
 * upvalue 2 says whether a text comes before the reason. */
static int make_verdict(lua_State *L)
{
    bool has_text = lua_toboolean(L, lua_upvalueindex(2));
    lua_settop(L, has_text ? 4 : 3);
    if (!lua_isnil(L, 1)) {
        luaL_checkinteger(L, 1);
    }
    for (int i = 2; i <= lua_gettop(L); i++) {
        luaL_optstring(L, i, "");
    }
    static const char *const fields[] = {"upto", "text", "code", "message"};
    lua_createtable(L, 0, 5);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "verdict");
    int arg = 1;
    for (int i = 0; i < 4; i++) {
        if (i != 1 || has_text) {
            lua_pushvalue(L, arg++);
            lua_setfield(L, -2, fields[i]);
        }
    }
    return 1;
}

static void add_verbs(lua_State *L)
{
    static const char *const names[] = {"pass", "hold", "replace", "note", "stop"};
    lua_sandbox_push_globals(L);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lua_pushstring(L, names[i]);
        lua_pushboolean(L, strcmp(names[i], "replace") == 0);
        lua_pushcclosure(L, make_verdict, 2);
        lua_setfield(L, -2, names[i]);
    }
    lua_pop(L, 1);
}

/* ---- the beginning ---- */

struct beginning {
    struct script_text *script;
    const struct filter_text *text;
    const char *code;
    size_t len;
};

static void make_span(lua_State *L, const struct filter_text *text)
{
    static const char *const channels[] = {
        [FILTER_CONTENT] = "content",
        [FILTER_REASONING] = "reasoning",
        [FILTER_TOOL_ARGS] = "tool_args",
    };
    lua_createtable(L, 0, 7);
    lua_pushstring(L, text->side == FILTER_INPUT ? "input" : "output");
    lua_setfield(L, -2, "side");
    lua_pushstring(L, channels[text->channel]);
    lua_setfield(L, -2, "channel");
    lua_pushinteger(L, text->ordinal);
    lua_setfield(L, -2, "ordinal");
}

static int begin(lua_State *L)
{
    struct beginning *b = lua_touserdata(L, 1);
    add_verbs(L);
    lua_sandbox_load(L, b->code, b->len);
    lua_call(L, 0, 1);
    if (!lua_isfunction(L, -1)) {
        return luaL_error(L, "the script must return a function");
    }
    b->script->function = luaL_ref(L, LUA_REGISTRYINDEX);
    make_span(L, b->text);
    b->script->span = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* The code is the operator's, and so may be quoted. */
static void describe_failure(const struct lua_sandbox *sandbox, char *message, size_t room)
{
    const char *said = lua_tostring(sandbox->lua, -1);
    if (sandbox->is_out_of_steps || sandbox->is_out_of_memory || !said) {
        lua_sandbox_explain(sandbox, message, room);
    } else {
        snprintf(message, room, "%s", said);
    }
}

struct script_text *script_text_create(const char *code, size_t len,
                                       const struct script_limits *limits,
                                       const struct filter_text *text, char *message,
                                       size_t room)
{
    struct script_text *script = mem_zalloc(sizeof(*script));
    if (!script || lua_sandbox_init(&script->sandbox, limits->steps, limits->memory) != 0) {
        snprintf(message, room, "out of memory");
        mem_free(script);
        return NULL;
    }
    struct beginning beginning = {.script = script, .text = text, .code = code, .len = len};
    if (lua_sandbox_run(&script->sandbox, begin, &beginning) != 0) {
        describe_failure(&script->sandbox, message, room);
        script_text_destroy(script);
        return NULL;
    }
    return script;
}

void script_text_destroy(struct script_text *script)
{
    if (script) {
        lua_sandbox_deinit(&script->sandbox);
        mem_free(script);
    }
}

/* ---- a call ---- */

struct call {
    const struct script_text *script;
    const struct filter_span *span;
    struct filter_host *host;
    bool is_end;
    bool is_refused; /* by the chain, which knows why */
};

static void fill_span(lua_State *L, const struct call *call)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->script->span);
    lua_pushlstring(L, call->span->text, call->span->len);
    lua_setfield(L, -2, "text");
    lua_pushinteger(L, (lua_Integer)call->span->fresh + 1);
    lua_setfield(L, -2, "fresh");
    lua_pushinteger(L, (lua_Integer)call->span->start);
    lua_setfield(L, -2, "start");
    lua_pushboolean(L, call->is_end);
    lua_setfield(L, -2, "ended");
}

/* A field of the verdict at `index`, which stays on the stack; NULL when it is not there. */
static const char *string_field(lua_State *L, int index, const char *name, size_t *len)
{
    *len = 0;
    return lua_getfield(L, index, name) == LUA_TSTRING ? lua_tolstring(L, -1, len) : NULL;
}

/* Where the verdict at `index` reaches to, as an offset in the text. */
static uint64_t read_upto(lua_State *L, int index, const struct call *call)
{
    lua_Integer upto = (lua_Integer)call->span->len;
    if (lua_getfield(L, index, "upto") != LUA_TNIL) {
        int is_whole;
        upto = lua_tointegerx(L, -1, &is_whole);
        if (!is_whole || upto < 0 || (uint64_t)upto > call->span->len) {
            luaL_error(L, "a verdict reaches beyond the text");
        }
    }
    return call->span->start + (uint64_t)upto;
}

/* Does what the verdict at `index` says, which begins at offset `from`. Returns where it
 * ends, or NOTHING_FOLLOWS after a stop or a refusal. */
#define NOTHING_FOLLOWS UINT64_MAX
static uint64_t apply(lua_State *L, int index, uint64_t from, struct call *call)
{
    if (!lua_istable(L, index)) {
        luaL_error(L, "the filter function must return verdicts");
    }
    size_t len, text_len;
    const char *verdict = string_field(L, index, "verdict", &len);
    if (!verdict || strcmp(verdict, "hold") == 0) {
        return verdict ? from : (uint64_t)luaL_error(L, "not a verdict");
    }
    uint64_t upto = read_upto(L, index, call);
    uint64_t end = call->span->start + call->span->len;
    bool is_stop = strcmp(verdict, "stop") == 0;
    const char *text = string_field(L, index, "text", &text_len);
    struct filter_reason why = {.size = sizeof(why),
                                .code = string_field(L, index, "code", &len),
                                .message = string_field(L, index, "message", &len),
                                .from = is_stop ? upto : from,
                                .to = is_stop ? end : upto};
    if (why.from > why.to) {
        luaL_error(L, "a verdict lies before the one that was given before it");
    }
    int rc;
    if (is_stop) {
        rc = call->host->stop(call->host, upto, &why);
    } else if (strcmp(verdict, "note") == 0) {
        rc = call->host->note(call->host, upto, &why);
    } else if (strcmp(verdict, "replace") == 0) {
        rc = call->host->replace(call->host, upto, text, text_len, &why);
    } else {
        rc = call->host->pass(call->host, upto);
    }
    call->is_refused = rc != 0;
    return is_stop || rc != 0 ? NOTHING_FOLLOWS : upto;
}

static int run_call(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->script->function);
    fill_span(L, call);
    lua_call(L, 1, LUA_MULTRET);
    int count = lua_gettop(L); /* with the argument of this function, at 1 */
    luaL_checkstack(L, 8, NULL);
    uint64_t at = call->span->start;
    for (int i = 2; i <= count && at != NOTHING_FOLLOWS; i++) {
        if (!lua_isnil(L, i)) {
            at = apply(L, i, at, call);
            lua_settop(L, count);
        }
    }
    return 0;
}

int script_text_call(struct script_text *script, const struct filter_span *span, bool is_end,
                     struct filter_host *host)
{
    if (span->len > SCRIPT_MAX_HOLD) {
        return host->fail(host, "the script holds more than 4096 bytes");
    }
    struct call call = {.script = script, .span = span, .is_end = is_end, .host = host};
    if (lua_sandbox_run(&script->sandbox, run_call, &call) != 0) {
        char message[FILTER_MAX_MESSAGE + 1];
        lua_pop(script->sandbox.lua, 1);
        lua_sandbox_explain(&script->sandbox, message, sizeof(message));
        return host->fail(host, message);
    }
    return call.is_refused ? -1 : 0;
}

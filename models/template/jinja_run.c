#include "models/template/jinja_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int jinja_fail(struct jinja_run *run, enum err_kind kind, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return err_set(run->err, kind, "chat template: line %u: %s", run->line, message);
}

int jinja_charge(struct jinja_run *run, uint64_t steps)
{
    if (run->steps < steps) {
        run->steps = 0;
        return jinja_fail(run, ERR_LIMIT, "rendering takes too many steps");
    }
    run->steps -= steps;
    return 0;
}

int jinja_charge_bytes(struct jinja_run *run, size_t bytes)
{
    return jinja_charge(run, bytes / 64);
}

int jinja_charge_items(struct jinja_run *run, size_t items)
{
    return jinja_charge(run, items / 16);
}

int jinja_enter(struct jinja_run *run)
{
    if (run->depth >= JINJA_MAX_RUN_DEPTH) {
        return jinja_fail(run, ERR_LIMIT, "nested deeper than %d levels", JINJA_MAX_RUN_DEPTH);
    }
    run->depth++;
    return 0;
}

void jinja_leave(struct jinja_run *run)
{
    run->depth--;
}

void *jinja_alloc(struct jinja_run *run, size_t count, size_t size)
{
    void *p = jinja_arena_alloc(run->arena, count, size, run->err);
    if (!p && run->err->kind == ERR_LIMIT) {
        err_prefix(run->err, "chat template: line %u", run->line);
    }
    return p;
}

static struct jinja_variable *scope_find(const struct jinja_scope *scope,
                                         const struct jinja_name *name)
{
    for (size_t i = 0; i < scope->count; i++) {
        const struct jinja_name *other = scope->variables[i].name;
        if (other->hash == name->hash && strcmp(other->text, name->text) == 0) {
            return &scope->variables[i];
        }
    }
    return NULL;
}

int jinja_scope_set(struct jinja_run *run, const struct jinja_name *name,
                    struct jinja_value value)
{
    struct jinja_scope *scope = run->scope;
    if (jinja_charge_items(run, scope->count) != 0) {
        return -1;
    }
    struct jinja_variable *variable = scope_find(scope, name);
    if (variable) {
        variable->value = value;
        return 0;
    }
    if (scope->count == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 8;
        struct jinja_variable *variables = jinja_alloc(run, cap, sizeof(*variables));
        if (!variables) {
            return -1;
        }
        if (scope->count > 0) {
            memcpy(variables, scope->variables, scope->count * sizeof(*variables));
        }
        scope->variables = variables;
        scope->cap = cap;
    }
    scope->variables[scope->count++] = (struct jinja_variable){name, value};
    return 0;
}

int jinja_scope_get(struct jinja_run *run, const struct jinja_name *name,
                    struct jinja_value **out)
{
    *out = NULL;
    for (const struct jinja_scope *scope = run->scope; scope; scope = scope->parent) {
        if (jinja_charge_items(run, scope->count) != 0) {
            return -1;
        }
        struct jinja_variable *variable = scope_find(scope, name);
        if (variable) {
            *out = &variable->value;
            return 0;
        }
    }
    return 0;
}

struct jinja_scope *jinja_scope_new(struct jinja_run *run, struct jinja_scope *parent)
{
    struct jinja_scope *scope = jinja_alloc(run, 1, sizeof(*scope));
    if (scope) {
        scope->parent = parent;
    }
    return scope;
}

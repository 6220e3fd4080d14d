/* Statements. A statement ends by going on, by failing, or on its way to the end of a loop. */
#include <string.h>

#include "models/template/jinja_builtin.h"
#include "models/template/jinja_eval.h"

enum flow { FLOW_FAIL = -1, FLOW_ON = 0, FLOW_BREAK, FLOW_CONTINUE };

static enum flow exec_body(struct jinja_run *run, const struct jinja_stmt *body);

static enum flow flow_of(int rc)
{
    return rc == 0 ? FLOW_ON : FLOW_FAIL;
}

/* --- assignment --- */

static int assign(struct jinja_run *run, const struct jinja_target *target,
                  struct jinja_value value)
{
    if (!target->attribute) {
        return jinja_scope_set(run, &target->name, value);
    }
    struct jinja_value *object;
    if (jinja_scope_get(run, &target->name, &object) != 0) {
        return -1;
    }
    if (!object || object->type != JINJA_NAMESPACE) {
        return jinja_fail(run, ERR_INVALID,
                          "\"%s.%s\" cannot be set: \"%s\" is not a namespace",
                          target->name.text, target->attribute, target->name.text);
    }
    struct jinja_value key;
    struct jinja_string name = {.data = target->attribute, .trusted = true};
    name.len = strlen(name.data);
    if (jinja_string_value(run, name, &key) != 0) {
        return -1;
    }
    return jinja_dict_set(run, object->dict, &key, value);
}

static int assign_targets(struct jinja_run *run, const struct jinja_target *targets,
                          bool unpack, const struct jinja_value *value)
{
    if (!unpack) {
        return assign(run, targets, *value);
    }
    struct jinja_list *items;
    if (jinja_to_list(run, value, &items) != 0) {
        return -1;
    }
    size_t n = 0;
    for (const struct jinja_target *t = targets; t; t = t->next, n++) {
        if (n < items->count && assign(run, t, items->items[n]) != 0) {
            return -1;
        }
    }
    if (n != items->count) {
        return jinja_fail(run, ERR_INVALID, "%zu values for %zu names", items->count, n);
    }
    return 0;
}

static int exec_set(struct jinja_run *run, const struct jinja_stmt *s)
{
    struct jinja_value value;
    if (jinja_eval(run, s->set.value, &value) != 0) {
        return -1;
    }
    return assign_targets(run, s->set.targets, s->set.unpack, &value);
}

/* What a body prints, as a string. break and continue do not get out of it: see
 * parse_set_block. */
static int capture(struct jinja_run *run, const struct jinja_stmt *body,
                   struct jinja_value *out)
{
    struct jinja_builder b;
    struct jinja_builder *outer = run->out;
    jinja_builder_init(&b, run);
    run->out = &b;
    enum flow flow = exec_body(run, body);
    run->out = outer;
    return flow == FLOW_FAIL ? -1 : jinja_builder_value(&b, out);
}

static int exec_set_block(struct jinja_run *run, const struct jinja_stmt *s)
{
    struct jinja_value value;
    if (capture(run, s->set.body, &value) != 0 || assign(run, s->set.targets, value) != 0) {
        return -1;
    }
    return s->set.value ? exec_set(run, s) : 0;
}

/* --- loops --- */

/* The items for which the `if` of the for holds, tested in the loop's scope. */
static int filter_items(struct jinja_run *run, const struct jinja_stmt *s,
                        struct jinja_list **items)
{
    struct jinja_value kept;
    if (jinja_list_new(run, JINJA_LIST, 0, &kept) != 0) {
        return -1;
    }
    for (size_t i = 0; i < (*items)->count; i++) {
        struct jinja_value verdict;
        if (assign_targets(run, s->loop.targets, s->loop.unpack, &(*items)->items[i]) != 0 ||
            jinja_eval(run, s->loop.filter, &verdict) != 0) {
            return -1;
        }
        if (jinja_is_true(&verdict) &&
            jinja_list_push(run, kept.list, (*items)->items[i]) != 0) {
            return -1;
        }
    }
    *items = kept.list;
    return 0;
}

static enum flow exec_rounds(struct jinja_run *run, const struct jinja_stmt *s,
                             struct jinja_list *items)
{
    struct jinja_loop *loop = jinja_alloc(run, 1, sizeof(*loop));
    if (!loop) {
        return FLOW_FAIL;
    }
    *loop = (struct jinja_loop){.items = items->items, .count = items->count};
    for (; loop->index < loop->count; loop->index++) {
        /* Names set in one round are not there in the next. */
        run->scope->count = 0;
        if (jinja_charge(run, 1) != 0 ||
            jinja_scope_set(run, &run->loop,
                            (struct jinja_value){.type = JINJA_LOOP, .loop = loop}) != 0 ||
            assign_targets(run, s->loop.targets, s->loop.unpack, &loop->items[loop->index]) !=
                0) {
            return FLOW_FAIL;
        }
        enum flow flow = exec_body(run, s->loop.body);
        if (flow == FLOW_FAIL || flow == FLOW_BREAK) {
            return flow;
        }
    }
    return FLOW_ON;
}

static enum flow exec_for(struct jinja_run *run, const struct jinja_stmt *s)
{
    struct jinja_value iterable;
    struct jinja_list *items;
    if (jinja_eval(run, s->loop.iterable, &iterable) != 0 ||
        jinja_to_list(run, &iterable, &items) != 0) {
        return FLOW_FAIL;
    }
    struct jinja_scope *outer = run->scope;
    run->scope = jinja_scope_new(run, outer);
    if (!run->scope || (s->loop.filter && filter_items(run, s, &items) != 0)) {
        run->scope = outer;
        return FLOW_FAIL;
    }
    enum flow flow = exec_rounds(run, s, items);
    run->scope = outer;
    if (flow == FLOW_FAIL) {
        return FLOW_FAIL;
    }
    return items->count == 0 ? exec_body(run, s->loop.otherwise) : FLOW_ON;
}

static enum flow exec_if(struct jinja_run *run, const struct jinja_stmt *s)
{
    for (const struct jinja_branch *branch = s->branches; branch; branch = branch->next) {
        struct jinja_value condition = jinja_bool(true);
        if (branch->condition && jinja_eval(run, branch->condition, &condition) != 0) {
            return FLOW_FAIL;
        }
        if (jinja_is_true(&condition)) {
            return exec_body(run, branch->body);
        }
    }
    return FLOW_ON;
}

/* --- macros --- */

static int exec_macro(struct jinja_run *run, const struct jinja_stmt *s)
{
    struct jinja_macro *macro = jinja_alloc(run, 1, sizeof(*macro));
    if (!macro) {
        return -1;
    }
    macro->definition = s;
    macro->scope = run->scope;
    return jinja_scope_set(run, &s->macro.name,
                           (struct jinja_value){.type = JINJA_MACRO, .macro = macro});
}

/* The argument for the parameter at `position`, by place or by name. */
static const struct jinja_arg *find_argument(const struct jinja_arg *args,
                                             const struct jinja_arg *param, size_t position)
{
    size_t i = 0;
    for (; args; args = args->next, i++) {
        if (args->name.text ? strcmp(args->name.text, param->name.text) == 0 : i == position) {
            return args;
        }
    }
    return NULL;
}

/* Arguments are evaluated where the call stands, defaults where the macro was defined. */
static int bind_arguments(struct jinja_run *run, const struct jinja_macro *macro,
                          const struct jinja_arg *args, struct jinja_scope *inside)
{
    struct jinja_scope *outside = run->scope;
    size_t given = 0, used = 0, position = 0;
    for (const struct jinja_arg *arg = args; arg; arg = arg->next) {
        given++;
    }
    for (const struct jinja_arg *p = macro->definition->macro.params; p;
         p = p->next, position++) {
        const struct jinja_arg *arg = find_argument(args, p, position);
        const struct jinja_expr *x = arg ? arg->value : p->value;
        struct jinja_value value = jinja_undefined(p->name.text);
        used += arg != NULL;
        run->scope = arg ? outside : inside;
        int rc = x ? jinja_eval(run, x, &value) : 0;
        run->scope = inside;
        rc = rc == 0 ? jinja_scope_set(run, &p->name, value) : rc;
        run->scope = outside;
        if (rc != 0) {
            return -1;
        }
    }
    if (used != given) {
        return jinja_fail(run, ERR_INVALID,
                          "the macro \"%s\" is called with arguments it does not take",
                          macro->definition->macro.name.text);
    }
    return 0;
}

int jinja_call_macro(struct jinja_run *run, const struct jinja_macro *macro,
                     const struct jinja_arg *args, struct jinja_value *out)
{
    struct jinja_scope *outside = run->scope;
    struct jinja_scope *inside = jinja_scope_new(run, macro->scope);
    if (!inside || bind_arguments(run, macro, args, inside) != 0) {
        return -1;
    }
    run->scope = inside;
    int rc = capture(run, macro->definition->macro.body, out);
    run->scope = outside;
    return rc;
}

/* -------------------------------------------------------------------------------------------------
 */

static int exec_print(struct jinja_run *run, const struct jinja_stmt *s)
{
    struct jinja_value value;
    if (jinja_eval(run, s->print, &value) != 0) {
        return -1;
    }
    return jinja_append_value(run, run->out, &value);
}

static enum flow exec_one(struct jinja_run *run, const struct jinja_stmt *s)
{
    switch (s->kind) {
    case JINJA_STMT_TEXT:
        return flow_of(jinja_builder_append(run->out, &s->text));
    case JINJA_STMT_PRINT:
        return flow_of(exec_print(run, s));
    case JINJA_STMT_IF:
        return exec_if(run, s);
    case JINJA_STMT_FOR:
        return exec_for(run, s);
    case JINJA_STMT_SET:
        return flow_of(exec_set(run, s));
    case JINJA_STMT_SET_BLOCK:
        return flow_of(exec_set_block(run, s));
    case JINJA_STMT_MACRO:
        return flow_of(exec_macro(run, s));
    case JINJA_STMT_BREAK:
        return FLOW_BREAK;
    case JINJA_STMT_CONTINUE:
        return FLOW_CONTINUE;
    }
    return FLOW_FAIL;
}

static enum flow exec_body(struct jinja_run *run, const struct jinja_stmt *body)
{
    if (jinja_enter(run) != 0) {
        return FLOW_FAIL;
    }
    enum flow flow = FLOW_ON;
    for (; flow == FLOW_ON && body; body = body->next) {
        run->line = body->line;
        flow = jinja_charge(run, 1) == 0 ? exec_one(run, body) : FLOW_FAIL;
    }
    jinja_leave(run);
    return flow;
}

int jinja_exec(struct jinja_run *run, const struct jinja_stmt *body)
{
    return exec_body(run, body) == FLOW_FAIL ? -1 : 0;
}

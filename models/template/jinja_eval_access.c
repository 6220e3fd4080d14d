/* Names, attributes, items and slices. */
#include <string.h>

#include "models/template/jinja_builtin.h"
#include "models/template/jinja_eval.h"

/* --- names, attributes, items --- */

int jinja_eval_name(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    struct jinja_value *variable;
    if (jinja_scope_get(run, &x->name, &variable) != 0) {
        return -1;
    }
    const struct jinja_builtin *function = variable ? NULL : jinja_function_find(x->name.text);
    if (variable) {
        *out = *variable;
    } else if (function) {
        *out = (struct jinja_value){.type = JINJA_FUNCTION, .function = function};
    } else {
        *out = jinja_undefined(x->name.text);
    }
    return 0;
}

static struct jinja_value loop_attribute(const struct jinja_loop *loop, const char *name)
{
    int64_t index = (int64_t)loop->index;
    int64_t count = (int64_t)loop->count;
    if (strcmp(name, "index") == 0) {
        return jinja_int(index + 1);
    }
    if (strcmp(name, "index0") == 0) {
        return jinja_int(index);
    }
    if (strcmp(name, "revindex") == 0) {
        return jinja_int(count - index);
    }
    if (strcmp(name, "revindex0") == 0) {
        return jinja_int(count - index - 1);
    }
    if (strcmp(name, "length") == 0) {
        return jinja_int(count);
    }
    if (strcmp(name, "first") == 0) {
        return jinja_bool(index == 0);
    }
    if (strcmp(name, "last") == 0) {
        return jinja_bool(index == count - 1);
    }
    if (strcmp(name, "previtem") == 0 && index > 0) {
        return loop->items[index - 1];
    }
    if (strcmp(name, "nextitem") == 0 && index + 1 < count) {
        return loop->items[index + 1];
    }
    return jinja_undefined(name);
}

int jinja_get_attribute(struct jinja_run *run, const struct jinja_value *target,
                        const char *name, struct jinja_value *out)
{
    struct jinja_value *found = NULL;
    switch (target->type) {
    case JINJA_UNDEFINED:
        return jinja_fail_undefined(run, target);
    case JINJA_DICT:
    case JINJA_NAMESPACE:
        if (jinja_dict_find_name(run, target->dict, name, &found) != 0) {
            return -1;
        }
        *out = found ? *found : jinja_undefined(name);
        return 0;
    case JINJA_LOOP:
        *out = loop_attribute(target->loop, name);
        return 0;
    default:
        *out = jinja_undefined(name);
        return 0;
    }
}

/* Python's index, which counts from the end when negative; false when outside. */
static bool resolve_index(int64_t index, size_t count, size_t *out)
{
    if (index < 0) {
        index += (int64_t)count;
    }
    *out = (size_t)index;
    return index >= 0 && (size_t)index < count;
}

static size_t char_position(const struct jinja_string *s, size_t chars)
{
    size_t at = 0;
    for (; chars > 0 && at < s->len; chars--) {
        at += jinja_char_len(s->data + at, s->len - at);
    }
    return at;
}

static int get_char(struct jinja_run *run, const struct jinja_string *s, int64_t index,
                    struct jinja_value *out)
{
    size_t i;
    if (jinja_charge_bytes(run, s->len) != 0) {
        return -1;
    }
    if (!resolve_index(index, jinja_char_count(s->data, s->len), &i)) {
        *out = jinja_undefined("index");
        return 0;
    }
    size_t at = char_position(s, i);
    size_t end = at + jinja_char_len(s->data + at, s->len - at);
    return jinja_string_value(run, jinja_string_slice(s, at, end), out);
}

int jinja_get_item(struct jinja_run *run, const struct jinja_value *target,
                   const struct jinja_value *key, struct jinja_value *out)
{
    int64_t index;
    size_t i;
    struct jinja_value *found;
    if (target->type == JINJA_UNDEFINED) {
        return jinja_fail_undefined(run, target);
    }
    if (target->type == JINJA_DICT || target->type == JINJA_NAMESPACE) {
        if (jinja_dict_find(run, target->dict, key, &found) != 0) {
            return -1;
        }
        *out = found ? *found : jinja_undefined("key");
        if (!found && key->type == JINJA_STRING) {
            out->name =
                jinja_arena_strndup(run->arena, key->string->data, key->string->len, run->err);
        }
        return out->type == JINJA_UNDEFINED && !out->name ? -1 : 0;
    }
    bool numbered = jinja_as_int(key, &index);
    if (numbered && jinja_is_sequence(target)) {
        bool inside = resolve_index(index, target->list->count, &i);
        *out = inside ? target->list->items[i] : jinja_undefined("index");
        return 0;
    }
    if (numbered && target->type == JINJA_STRING) {
        return get_char(run, target->string, index, out);
    }
    *out = jinja_undefined("item");
    return 0;
}

int jinja_eval_attribute(struct jinja_run *run, const struct jinja_expr *x,
                         struct jinja_value *out)
{
    struct jinja_value target;
    if (jinja_eval(run, x->attribute.target, &target) != 0) {
        return -1;
    }
    return jinja_get_attribute(run, &target, x->attribute.name, out);
}

int jinja_eval_item(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    struct jinja_value target, key;
    if (jinja_eval(run, x->item.target, &target) != 0 ||
        jinja_eval(run, x->item.key, &key) != 0) {
        return -1;
    }
    return jinja_get_item(run, &target, &key, out);
}

/* --- slices --- */

struct slice {
    int64_t start;
    int64_t step;
    size_t count;
};

static int64_t clamp(int64_t i, int64_t low, int64_t high)
{
    return i < low ? low : i > high ? high : i;
}

/* A start or stop, counted from the end when negative, held between low and high. */
static int eval_bound(struct jinja_run *run, const struct jinja_expr *x, int64_t otherwise,
                      int64_t length, int64_t low, int64_t high, int64_t *out)
{
    struct jinja_value v = jinja_none();
    if (x && jinja_eval(run, x, &v) != 0) {
        return -1;
    }
    if (v.type == JINJA_NONE) {
        *out = otherwise;
        return 0;
    }
    int64_t i;
    if (!jinja_as_int(&v, &i)) {
        return jinja_fail(run, ERR_INVALID, "a slice takes integers, not %s",
                          jinja_type_name(v.type));
    }
    *out = clamp(i < 0 ? i + length : i, low, high);
    return 0;
}

/* As Python's slice.indices() does it, for a sequence of `length`. */
static int eval_bounds(struct jinja_run *run, const struct jinja_expr *x, size_t length,
                       struct slice *s)
{
    int64_t n = (int64_t)length;
    int64_t stop = 0;
    struct jinja_value step = jinja_int(1);
    if (x->item.step && jinja_eval(run, x->item.step, &step) != 0) {
        return -1;
    }
    if (!jinja_as_int(&step, &s->step) || s->step == 0) {
        return jinja_fail(run, ERR_INVALID, "a slice's step is a whole number other than 0");
    }
    s->step = clamp(s->step, -n - 1, n + 1);
    bool forward = s->step > 0;
    int64_t low = forward ? 0 : -1;
    int64_t high = forward ? n : n - 1;
    if (eval_bound(run, x->item.start, forward ? low : high, n, low, high, &s->start) != 0 ||
        eval_bound(run, x->item.stop, forward ? high : low, n, low, high, &stop) != 0) {
        return -1;
    }
    int64_t distance = forward ? stop - s->start : s->start - stop;
    int64_t stride = forward ? s->step : -s->step;
    s->count = distance > 0 ? (size_t)((distance + stride - 1) / stride) : 0;
    return 0;
}

static int slice_list(struct jinja_run *run, const struct jinja_value *target,
                      const struct slice *s, struct jinja_value *out)
{
    if (jinja_charge_items(run, s->count) != 0 ||
        jinja_list_new(run, target->type, s->count, out) != 0) {
        return -1;
    }
    for (size_t i = 0; i < s->count; i++) {
        out->list->items[i] = target->list->items[s->start + (int64_t)i * s->step];
    }
    out->list->count = s->count;
    return 0;
}

static int slice_string(struct jinja_run *run, const struct jinja_string *text, size_t chars,
                        const struct slice *s, struct jinja_value *out)
{
    if (s->step == 1 || s->count == 0) {
        size_t from = char_position(text, (size_t)s->start);
        struct jinja_string rest = jinja_string_slice(text, from, text->len);
        return jinja_string_value(
            run, jinja_string_slice(&rest, 0, char_position(&rest, s->count)), out);
    }
    size_t *starts = jinja_alloc(run, chars + 1, sizeof(*starts));
    if (!starts || jinja_charge(run, s->count) != 0) {
        return -1;
    }
    for (size_t i = 0; i < chars; i++) {
        starts[i + 1] =
            starts[i] + jinja_char_len(text->data + starts[i], text->len - starts[i]);
    }
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    for (size_t i = 0; i < s->count; i++) {
        size_t c = (size_t)(s->start + (int64_t)i * s->step);
        struct jinja_string one = jinja_string_slice(text, starts[c], starts[c + 1]);
        if (jinja_builder_append(&b, &one) != 0) {
            return -1;
        }
    }
    return jinja_builder_value(&b, out);
}

int jinja_eval_slice(struct jinja_run *run, const struct jinja_expr *x, struct jinja_value *out)
{
    struct jinja_value target;
    struct slice s;
    if (jinja_eval(run, x->item.target, &target) != 0) {
        return -1;
    }
    if (jinja_is_sequence(&target)) {
        return eval_bounds(run, x, target.list->count, &s) == 0
                   ? slice_list(run, &target, &s, out)
                   : -1;
    }
    if (target.type == JINJA_STRING) {
        size_t chars = jinja_char_count(target.string->data, target.string->len);
        if (jinja_charge_bytes(run, target.string->len) != 0 ||
            eval_bounds(run, x, chars, &s) != 0) {
            return -1;
        }
        return slice_string(run, target.string, chars, &s, out);
    }
    return target.type == JINJA_UNDEFINED ? jinja_fail_undefined(run, &target)
                                          : jinja_fail(run, ERR_INVALID, "%s cannot be sliced",
                                                       jinja_type_name(target.type));
}

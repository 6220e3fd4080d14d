#include <stdio.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/registry/prompt.h"
#include "runtime/registry/prompt_parts.h"

/* What one prompt_render or prompt_fill works on. */
struct filling {
    const struct prompt *prompt;
    const struct prompt_value *values;
    size_t n_values;
    struct buf *out;
    size_t begin;  /* where in `out` this call began */
    size_t n_same; /* bytes from there that do not depend on `values`; SIZE_MAX: all */
    struct err *e;
};

static int value_error(struct err *e, const char *name, const char *problem)
{
    char field[PROMPT_FIELD_MAX];
    prompt_field(field, "prompt_variables.%s", name);
    return err_set_param(e, ERR_INVALID, field, "\"%s\" %s", field, problem);
}

static const char *given_value(const struct filling *f, const char *name)
{
    for (size_t i = 0; i < f->n_values; i++) {
        if (strcmp(f->values[i].name, name) == 0) {
            return f->values[i].value;
        }
    }
    return NULL;
}

/* Also of variables that only the examples use, so that a request fails as a whole. */
static int check_values(const struct filling *f)
{
    for (size_t i = 0; i < f->n_values; i++) {
        const struct prompt_value *v = &f->values[i];
        if (!prompt_find_variable(f->prompt, v->name, strlen(v->name))) {
            return value_error(f->e, v->name, "is no variable of the system prompt");
        }
        if (!utf8_is_valid(v->value, strlen(v->value))) {
            return value_error(f->e, v->name, "must be UTF-8 text");
        }
    }
    for (size_t i = 0; i < f->prompt->n_variables; i++) {
        const struct prompt_variable *v = &f->prompt->variables[i];
        if (!v->value && !given_value(f, v->name)) {
            return value_error(f->e, v->name, "is missing: the system prompt needs it");
        }
    }
    return 0;
}

static int append(struct filling *f, const char *text, size_t len)
{
    size_t written = f->out->len - f->begin;
    if (len > PROMPT_RENDERED_MAX - written) {
        return err_set_param(f->e, ERR_LIMIT, "prompt_variables",
                             "the system prompt with its variables filled in has more than %zu "
                             "bytes",
                             PROMPT_RENDERED_MAX);
    }
    return buf_append(f->out, text, len) == 0 ? 0 : err_nomem(f->e);
}

static int append_str(struct filling *f, const char *text)
{
    return append(f, text, strlen(text));
}

static int append_value(struct filling *f, const struct prompt_variable *v)
{
    const char *given = given_value(f, v->name);
    if (given && f->n_same == SIZE_MAX) {
        f->n_same = f->out->len - f->begin;
    }
    return append_str(f, given ? given : v->value);
}

static int append_filled(struct filling *f, const char *text)
{
    struct prompt_slot slot = {0};
    size_t done = 0;
    while (prompt_next_slot(text, slot.end, &slot)) {
        const struct prompt_variable *v =
            prompt_find_variable(f->prompt, slot.name, slot.name_len);
        /* A version of prompt_create declares none: its braces are text. */
        if (!v) {
            continue;
        }
        if (append(f, text + done, slot.begin - done) != 0 || append_value(f, v) != 0) {
            return -1;
        }
        done = slot.end;
    }
    return append_str(f, text + done);
}

static int append_documents(struct filling *f)
{
    const struct prompt *p = f->prompt;
    if (p->n_documents == 0) {
        return 0;
    }
    if (append_str(f, p->text_len ? "\n\nReference documents:" : "Reference documents:") != 0) {
        return -1;
    }
    for (size_t i = 0; i < p->n_documents; i++) {
        char head[48];
        char tail[48];
        snprintf(head, sizeof(head), "\n\n[Document %zu: ", i + 1);
        snprintf(tail, sizeof(tail), "\n[End of document %zu]", i + 1);
        if (append_str(f, head) != 0 || append_filled(f, p->documents[i].title) != 0 ||
            append_str(f, "]\n") != 0 || append_filled(f, p->documents[i].text) != 0 ||
            append_str(f, tail) != 0) {
            return -1;
        }
    }
    return 0;
}

int prompt_render(const struct prompt *p, const struct prompt_value *values, size_t n_values,
                  struct buf *system, size_t *static_len, struct err *e)
{
    struct filling f = {.prompt = p,
                        .values = values,
                        .n_values = n_values,
                        .out = system,
                        .begin = system->len,
                        .n_same = SIZE_MAX,
                        .e = e};
    if (check_values(&f) != 0 || append_filled(&f, p->text) != 0 || append_documents(&f) != 0) {
        return -1;
    }
    if (static_len) {
        *static_len = f.n_same == SIZE_MAX ? system->len - f.begin : f.n_same;
    }
    return 0;
}

int prompt_fill(const struct prompt *p, const char *text, const struct prompt_value *values,
                size_t n_values, struct buf *out, struct err *e)
{
    struct filling f = {.prompt = p,
                        .values = values,
                        .n_values = n_values,
                        .out = out,
                        .begin = out->len,
                        .n_same = SIZE_MAX,
                        .e = e};
    return check_values(&f) != 0 ? -1 : append_filled(&f, text);
}

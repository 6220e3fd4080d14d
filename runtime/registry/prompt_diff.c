#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/registry/line_diff.h"
#include "runtime/registry/prompt.h"

/* A heading and a text, on lines of their own. */
static void write_block(struct buf *out, const char *kind, size_t i, const char *what,
                        const char *text)
{
    buf_printf(out, "[%s %zu: %s]\n", kind, i + 1, what);
    buf_append_str(out, text);
    buf_append_char(out, '\n');
}

/* What the model reads as lines. The rest stands below the text, and only where there is some,
 * so that the text's lines keep their numbers. */
static void write_lines(struct buf *out, const struct prompt *p)
{
    buf_append(out, p->text, p->text_len);
    if (p->text_len > 0 && p->text[p->text_len - 1] != '\n') {
        buf_append_char(out, '\n');
    }
    if (p->mode != PROMPT_PREPEND) {
        buf_printf(out, "[mode: %s]\n", prompt_mode_name(p->mode));
    }
    for (size_t i = 0; i < p->n_variables; i++) {
        const struct prompt_variable *v = &p->variables[i];
        buf_printf(out, "[variable %s%s]\n", v->name, v->value ? "" : ": must be given");
        buf_append_str(out, v->value ? v->value : "");
        buf_append_str(out, v->value ? "\n" : "");
    }
    for (size_t i = 0; i < p->n_examples; i++) {
        write_block(out, "example", i, "user", p->examples[i].user);
        write_block(out, "example", i, "assistant", p->examples[i].assistant);
    }
    for (size_t i = 0; i < p->n_documents; i++) {
        write_block(out, "document", i, p->documents[i].title, p->documents[i].text);
    }
}

int prompt_diff(const struct prompt *a, const struct prompt *b, struct buf *out, struct err *e)
{
    struct buf old;
    struct buf new;
    buf_init(&old, SIZE_MAX / 2);
    buf_init(&new, SIZE_MAX / 2);
    write_lines(&old, a);
    write_lines(&new, b);
    int rc = -1;
    /* Not NULL, also where there is nothing. */
    if (buf_append_str(&old, "") != 0 || buf_append_str(&new, "") != 0) {
        err_nomem(e);
    } else {
        const struct line_diff_name names[] = {{a->name, a->version}, {b->name, b->version}};
        rc = line_diff_versions(old.data, &names[0], new.data, &names[1], out, e);
    }
    buf_deinit(&old);
    buf_deinit(&new);
    return rc;
}

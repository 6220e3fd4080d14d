#include "runtime/base/json_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int json_lines_open(struct json_lines *l, const char *path, bool dash_is_stdin, struct err *e)
{
    bool dash = dash_is_stdin && strcmp(path, "-") == 0;
    *l = (struct json_lines){.path = path, .file = dash ? stdin : fopen(path, "re")};
    return l->file ? 0 : err_set_errno(e, errno, "%s: cannot open", path);
}

void json_lines_close(struct json_lines *l)
{
    if (l->file != stdin) {
        fclose(l->file);
    }
    free(l->line); /* getline's own */
    *l = (struct json_lines){0};
}

int json_lines_next(struct json_lines *l, struct err *e)
{
    static const char bom[] = "\xEF\xBB\xBF";
    ssize_t got;
    while ((got = getline(&l->line, &l->cap, l->file)) >= 0) {
        size_t skip = ++l->number == 1 && strncmp(l->line, bom, 3) == 0 ? 3 : 0;
        l->text = l->line + skip;
        l->len = (size_t)got - skip;
        if (strspn(l->text, " \t\r\n") != l->len) {
            return 1;
        }
    }
    /* At the end of a file getline says no more than that; errno is of what failed. */
    return feof(l->file) ? 0 : err_set_errno(e, errno, "%s: cannot read", l->path);
}

int json_lines_blame(const struct json_lines *l, struct err *e)
{
    return err_prefix(e, "%s: line %lu", l->path, l->number);
}

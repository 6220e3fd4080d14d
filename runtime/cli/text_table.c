#include "runtime/cli/text_table.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define BYTES_MAX   ((size_t)16 << 20)
#define COLUMNS_MAX 16
#define CELL_MAX    64 /* characters: a hash is shown whole */

void text_table_init(struct text_table *t)
{
    buf_init(&t->cells, BYTES_MAX);
}

void text_table_deinit(struct text_table *t)
{
    buf_deinit(&t->cells);
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xC0u) != 0x80u;
}

/* Characters, as wide as each other. */
static int width_of(const char *cell, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len; i++) {
        width += begins_character(cell[i]);
    }
    return width;
}

static void add(struct text_table *t, const char *text, int max)
{
    int width = 0;
    for (const char *c = text[0] ? text : "-"; *c; c++) {
        width += begins_character(*c);
        if (width > max) {
            buf_append_str(&t->cells, "...");
            break;
        }
        buf_append_char(&t->cells, (unsigned char)*c < 0x20 || *c == 0x7F ? ' ' : *c);
    }
    buf_append_char(&t->cells, '\t');
}

void text_table_add(struct text_table *t, const char *text)
{
    add(t, text, CELL_MAX);
}

void text_table_add_whole(struct text_table *t, const char *text)
{
    add(t, text, INT_MAX);
}

void text_table_end_row(struct text_table *t)
{
    buf_append_char(&t->cells, '\n');
}

/* Calls for the cell at `at` and those after it: goes to the next one. NULL at the end. */
static const char *next_cell(const char *at, size_t *len, size_t *column)
{
    while (*at == '\n') {
        *column = 0;
        at++;
    }
    *len = strcspn(at, "\t");
    return *at ? at : NULL;
}

static void measure(const char *at, int widths[COLUMNS_MAX])
{
    size_t len;
    size_t column = 0;
    while ((at = next_cell(at, &len, &column)) != NULL) {
        int width = width_of(at, len);
        if (column < COLUMNS_MAX && width > widths[column]) {
            widths[column] = width;
        }
        column++;
        at += len + 1;
    }
}

int text_table_print(const struct text_table *t, struct err *e)
{
    int widths[COLUMNS_MAX] = {0};
    size_t len;
    size_t column = 0;
    if (t->cells.failed) {
        return err_nomem(e);
    }
    if (!t->cells.data) {
        return 0;
    }
    measure(t->cells.data, widths);
    const char *at = t->cells.data;
    while ((at = next_cell(at, &len, &column)) != NULL) {
        bool is_last = at[len + 1] == '\n';
        int padding =
            is_last || column >= COLUMNS_MAX ? 0 : widths[column] - width_of(at, len) + 2;
        printf("%.*s%*s%s", (int)len, at, padding, "", is_last ? "\n" : "");
        column++;
        at += len + 1;
    }
    return 0;
}

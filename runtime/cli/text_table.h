/* text_table.h: rows of cells as aligned columns on standard output. Command-internal. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct text_table {
    struct buf cells; /* each ends with a tab, each row with a line break */
};

void text_table_init(struct text_table *t);
void text_table_deinit(struct text_table *t);

/* Appends a cell to the row that has begun. Control characters become spaces, and a long text
 * is cut; an empty one is shown as "-". */
void text_table_add(struct text_table *t, const char *text);
/* The same, but a long text is not cut: for the last column, where a reason stands. */
void text_table_add_whole(struct text_table *t, const char *text);
void text_table_end_row(struct text_table *t);

int text_table_print(const struct text_table *t, struct err *e);

/* chain_files.h: filter chains from files and from before: what was kept, the file of
 * --filters, and the folder of --filters-dir, where NAME.json is the active version of the
 * chain NAME.
 *
 * A chain of the folder that stands for itself becomes a version in the store. One that names
 * files (word lists, scripts, plugins) is published as it is: the store would keep a part of it
 * only. Its files are watched too.
 *
 * The file of --filters is the chain "default" as long as the store has no version of that
 * name, and never goes to the store.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/serve/server.h"

/* At the start. Publishes what the store has, and what the files say; goes on watching. */
int chain_files_load(struct server *s, struct err *e);

/* Looks at the files now. */
void chain_files_look(struct server *s);

void chain_files_stop(struct server *s);

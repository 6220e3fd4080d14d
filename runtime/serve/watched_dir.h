/* watched_dir.h: things that the owner keeps in files: NAME.md of a folder is the active
 * version of the prompt NAME, NAME.json of another one that of the filter chain NAME.
 *
 * The folder is looked at when it says that something has changed, and every few seconds where
 * it does not (network file systems, config maps). A look happens on a worker thread. A file
 * whose content has changed is handed on once it stands still (watched_folder.h); one that is
 * broken is logged once and changes nothing, and so does one that is removed. Content that was
 * handed on already is not handed on again, so touching a file, or mounting all of them anew,
 * does not undo what an admin has activated since.
 *
 * Threads: the loop's. */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "runtime/base/err.h"
#include "runtime/serve/watched_folder.h"

struct watched_dir;

/* Makes this content (borrowed) the active version of `name`, which has not been checked,
 * unless it is so already. 0: done or begun; if what has begun fails, watched_dir_failed tells
 * it. -1 is logged, and the content forgotten, unless the reason may pass: with ERR_BUSY it is
 * offered again after a moment, with ERR_IO and ERR_NOMEM at the next look. Must not call the
 * functions below. */
typedef int watched_dir_put(void *ctx, const char *name, const struct watched_content *content,
                            struct err *e);

/* Looks at the folder and calls `put` for every file before it returns, in order of names; then
 * goes on watching. Here a folder that cannot be read, a broken file and a refusal of `put`
 * other than ERR_BUSY are errors: a server should not begin without its owner's rules. A file
 * that is being written at this moment comes later; a reader's single file must be there and
 * stand still. `dir` and reader are borrowed until it has stopped. NULL: *e says why. */
struct watched_dir *watched_dir_start(uv_loop_t *loop, const char *dir,
                                      const struct watched_reader *reader, watched_dir_put *put,
                                      void *ctx, struct err *e);

/* Looks now, not only when it is time. Accepts NULL. */
void watched_dir_look(struct watched_dir *d);

/* What `put` has begun for this name has failed, which the caller has logged. If the reason
 * may pass (ERR_BUSY, ERR_IO, ERR_NOMEM) the file is offered again at the next look. Accepts
 * NULL. */
void watched_dir_failed(struct watched_dir *d, const char *name, const struct err *why);

/* `put` is not called any more. The memory is released by the loop, which must go on until its
 * handles are closed. Accepts NULL. */
void watched_dir_stop(struct watched_dir *d);

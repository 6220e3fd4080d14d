/* prompt_files.h: prompts from files and from before: what was kept, --system-prompt, and the
 * folder of --prompts-dir, where NAME.md is the active version of the profile NAME.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/serve/server.h"

#define PROMPT_FILES_AUTHOR "prompts-dir" /* of files that name none */

/* Files NAME.md as watched_dir.h wants to have them read: `json` is what prompt_from_json
 * takes.
 */
extern const struct watched_reader prompt_files_reader;

/* At the start, before there is a model. Publishes what the store has, and what the files say;
 * goes on watching. */
int prompt_files_load(struct server *s, struct err *e);

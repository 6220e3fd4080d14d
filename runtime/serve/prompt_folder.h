/* prompt_folder.h: a folder of files NAME.md, looked at again and again for what has changed.
 *
 * A file is read when two looks in a row have found it in the same state, so that one which
 * somebody is just writing is not taken in part. Symbolic links are followed: the folders that
 * Kubernetes mounts for config maps are links, which are swapped. Names that begin with a dot
 * are passed over.
 *
 * This looks and converts (registry/prompt_file.h) and does nothing else; when to look, and
 * what becomes of the outcome, is up to prompts_dir.c.
 *
 * Threads: one at a time. A look reads files and may block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"

#define PROMPT_FOLDER_FILES_MAX 1000
#define PROMPT_FOLDER_AUTHOR    "prompts-dir" /* of files that name none */

/* What a look has found out about a file. It stands until prompt_folder_clear_news. */
enum prompt_news {
    PROMPT_NEWS_NONE,
    PROMPT_NEWS_CHANGED, /* to what is in `json`; a file that was only touched is no news */
    PROMPT_NEWS_BROKEN,  /* why is in `problem` */
    PROMPT_NEWS_GONE,
};

struct prompt_folder_file {
    char *name; /* without .md */
    enum prompt_news news;
    char *json; /* as prompt_from_json takes it, or NULL */
    size_t json_len;
    char sha256[HASH_HEX_LEN + 1]; /* of `json` */
    char known[HASH_HEX_LEN + 1];  /* of the last one that was dealt with, or "" */
    struct err problem;

    struct file_stamp seen; /* at the last look */
    struct file_stamp read; /* when it was read */
    bool in_look;
    bool is_missed; /* at the last look */
};

struct prompt_folder {
    const char *path;
    struct prompt_folder_file *files; /* (count), by name */
    size_t count;
    size_t cap;
    bool
        is_moving; /* something was in another state than at the look before: look again soon */
};

void prompt_folder_init(struct prompt_folder *f, const char *path); /* path: borrowed */
void prompt_folder_deinit(struct prompt_folder *f);

/* -1: the folder could not be read, and nothing counts as gone; ERR_LIMIT: it has too many
 * files, and only some are looked at. What is wrong with a single file is that file's news. */
int prompt_folder_look(struct prompt_folder *f, struct err *e);

/* The news has been dealt with; the same content will not be news again. */
void prompt_folder_clear_news(struct prompt_folder_file *file);

/* What was dealt with has come to nothing: at the next look the file is read anew, and its
 * content is news also if it is the same. Nothing happens when there is no such file. */
void prompt_folder_forget_content(struct prompt_folder *f, const char *name);

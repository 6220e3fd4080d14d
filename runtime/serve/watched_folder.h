/* watched_folder.h: files of a folder, looked at again and again for what has changed: all that
 * are called NAME.md, NAME.json ..., or a single one.
 *
 * A file is read when two looks in a row have found it in the same state, so that one which
 * somebody is just writing is not taken in part. It may name others that belong to its content;
 * a change of these is one of the file. Symbolic links are followed: the folders that
 * Kubernetes mounts for config maps are links, which are swapped. Names that begin with a dot
 * are passed over.
 *
 * This looks, and lets the reader make something of what it finds; when to look, and what
 * becomes of the outcome, is up to watched_dir.c.
 *
 * Threads: one at a time. A look reads files and may block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"

#define WATCHED_FILES_MAX  1000
#define WATCHED_OTHERS_MAX 64 /* that one file names */

/* What a reader has made of a file's text. Strings are the folder's to release (mem_free). */
struct watched_content {
    char *json; /* (json_len), or NULL */
    size_t json_len;
    char sha256[HASH_HEX_LEN + 1];    /* of all that makes it what it is */
    void *made;                       /* of the reader's own, or NULL */
    char *others[WATCHED_OTHERS_MAX]; /* (n_others) paths of files that belong to it */
    size_t n_others;
};

/* Which files, and who reads them. Lives as long as the folder. */
struct watched_reader {
    const char *suffix; /* of the names that count: ".md" */
    const char *only;   /* one file alone, its whole name; the suffix is "" then; or NULL */
    const char *noun;   /* what a file is, in logs: "profile" */
    const char *option; /* who asked for it: "--prompts-dir" */
    size_t bytes_max;
    /* On a worker. `name`: without the suffix; path: for messages, and to find other files. -1:
     * *e begins with the path. `others` are kept also then. */
    int (*read)(const char *name, const char *path, const char *text, size_t len,
                struct watched_content *out, struct err *e);
    void (*release)(void *made); /* NULL: nothing is made */
};

/* What a look has found out about a file. It stands until watched_folder_clear_news. */
enum watched_news {
    WATCHED_NONE,
    WATCHED_CHANGED, /* to what is in `content`; a file that was only touched is no news */
    WATCHED_BROKEN,  /* why is in `problem` */
    WATCHED_GONE,
};

struct watched_file {
    char *name; /* without the suffix */
    enum watched_news news;
    struct watched_content
        content;                  /* of the last reading; with the news it goes but `others` */
    char known[HASH_HEX_LEN + 1]; /* hash of the last one that was dealt with, or "" */
    struct err problem;

    struct file_stamp seen; /* at the last look, together with the others' */
    struct file_stamp read; /* when it was read */
    bool in_look;
    bool is_missed; /* at the last look */
};

struct watched_folder {
    const char *path;
    const struct watched_reader *reader;
    struct watched_file *files; /* (count), by name */
    size_t count;
    size_t cap;
    bool
        is_moving; /* something was in another state than at the look before: look again soon */
};

/* Both are borrowed. */
void watched_folder_init(struct watched_folder *f, const char *path,
                         const struct watched_reader *reader);
void watched_folder_deinit(struct watched_folder *f);

/* -1: the folder could not be read, and nothing counts as gone; ERR_LIMIT: it has too many
 * files, and only some are looked at. What is wrong with a single file is that file's news. */
int watched_folder_look(struct watched_folder *f, struct err *e);

/* The news has been dealt with; the same content will not be news again. */
void watched_folder_clear_news(struct watched_folder *f, struct watched_file *file);

/* What was dealt with has come to nothing: at the next look the file is read anew, and its
 * content is news also if it is the same. Nothing happens when there is no such file. */
void watched_folder_forget_content(struct watched_folder *f, const char *name);

#include "runtime/serve/prompt_folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/prompt_file.h"

#define JSON_MAX (8 * PROMPT_FILE_MAX) /* a byte is at the most \u001f */

void prompt_folder_init(struct prompt_folder *f, const char *path)
{
    *f = (struct prompt_folder){.path = path};
}

void prompt_folder_deinit(struct prompt_folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->files[i].name);
        mem_free(f->files[i].json);
    }
    mem_free(f->files);
    *f = (struct prompt_folder){.path = f->path};
}

static void drop_news(struct prompt_folder_file *file)
{
    mem_free(file->json);
    file->json = NULL;
    file->json_len = 0;
    file->news = PROMPT_NEWS_NONE;
}

void prompt_folder_clear_news(struct prompt_folder_file *file)
{
    if (file->news == PROMPT_NEWS_CHANGED) {
        memcpy(file->known, file->sha256, sizeof(file->known));
    }
    drop_news(file);
}

/* --- the list --- */

/* Where `name` is, or where it would stand. */
static size_t find(const struct prompt_folder *f, const char *name, bool *found)
{
    size_t low = 0;
    size_t high = f->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(f->files[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int grow(struct prompt_folder *f, struct err *e)
{
    if (f->count == PROMPT_FOLDER_FILES_MAX) {
        return err_set(e, ERR_LIMIT, "%s: more than %d files NAME.md", f->path,
                       PROMPT_FOLDER_FILES_MAX);
    }
    if (f->count < f->cap) {
        return 0;
    }
    size_t cap = f->cap ? 2 * f->cap : 16;
    struct prompt_folder_file *moved = mem_realloc_array(f->files, cap, sizeof(*moved));
    if (!moved) {
        return err_nomem(e);
    }
    f->files = moved;
    f->cap = cap;
    return 0;
}

void prompt_folder_forget_content(struct prompt_folder *f, const char *name)
{
    bool found;
    size_t at = find(f, name, &found);
    if (found) {
        f->files[at].known[0] = '\0';
        f->files[at].read = (struct file_stamp){0};
    }
}

/* The file of that name, a new one if there was none. NULL: *e says why. */
static struct prompt_folder_file *get(struct prompt_folder *f, const char *name, struct err *e)
{
    bool found;
    size_t at = find(f, name, &found);
    if (found) {
        return &f->files[at];
    }
    if (grow(f, e) != 0) {
        return NULL;
    }
    char *copy = mem_strdup(name);
    if (!copy) {
        err_nomem(e);
        return NULL;
    }
    memmove(&f->files[at + 1], &f->files[at], (f->count - at) * sizeof(*f->files));
    f->files[at] = (struct prompt_folder_file){.name = copy};
    f->count++;
    return &f->files[at];
}

/* --- one file --- */

static int convert(struct prompt_folder_file *file, const char *path, struct err *e)
{
    size_t len = 0;
    struct buf json;
    char *text = file_read(path, PROMPT_FILE_MAX, &len, e);
    if (!text) {
        return -1;
    }
    buf_init(&json, JSON_MAX);
    int rc = prompt_file_to_json(path, text, len, PROMPT_FOLDER_AUTHOR, &json, e);
    if (rc == 0) {
        file->json = buf_take(&json, &file->json_len);
        rc = !file->json ? err_nomem(e)
             : hash_sha256_hex(file->json, file->json_len, file->sha256) == 0
                 ? 0
                 : err_set(e, ERR_IO, "%s: SHA-256 failed", path);
    }
    buf_deinit(&json);
    mem_free(text);
    return rc;
}

/* -1: no memory. */
static int read_file(struct prompt_folder *f, struct prompt_folder_file *file, const char *path,
                     struct err *e)
{
    struct file_stamp after;
    drop_news(file);
    file->problem = (struct err){0};
    int rc = convert(file, path, &file->problem);
    if (rc != 0 && file->problem.kind == ERR_NOMEM) {
        return err_nomem(e);
    }
    file_stamp_take(path, &after);
    if (!file_stamp_is_same(&after, &file->seen)) {
        drop_news(file); /* it was written to meanwhile */
        f->is_moving = true;
        return 0;
    }
    file->read = file->seen;
    if (rc != 0) {
        file->news = PROMPT_NEWS_BROKEN;
    } else if (strcmp(file->sha256, file->known) != 0) {
        file->news = PROMPT_NEWS_CHANGED;
    } else {
        drop_news(file);
    }
    return 0;
}

static int look_at(struct prompt_folder *f, const char *name, struct err *e)
{
    char path[PATH_MAX];
    struct file_stamp now;
    struct prompt_folder_file *file = get(f, name, e);
    if (!file) {
        return -1;
    }
    if (snprintf(path, sizeof(path), "%s/%s.md", f->path, name) >= (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "%s: the path is too long", f->path);
    }
    if (!file_stamp_take(path, &now)) {
        return 0; /* removed meanwhile, or a link to nothing */
    }
    file->in_look = true;
    file->is_missed = false;
    if (file_stamp_is_same(&now, &file->read)) {
        file->seen = now;
        return 0;
    }
    bool stands_still = file_stamp_is_same(&now, &file->seen);
    file->seen = now;
    if (stands_still) {
        return read_file(f, file, path, e);
    }
    f->is_moving = true;
    return 0;
}

/* --- the folder --- */

/* NAME of NAME.md into out; false for what is passed over. */
static bool profile_of(const char *entry, char out[NAME_MAX + 1])
{
    size_t len = strlen(entry);
    if (len <= 3 || len > NAME_MAX || entry[0] == '.' || strcmp(entry + len - 3, ".md") != 0) {
        return false;
    }
    memcpy(out, entry, len - 3);
    out[len - 3] = '\0';
    return true;
}

static void forget(struct prompt_folder *f, size_t at)
{
    mem_free(f->files[at].name);
    mem_free(f->files[at].json);
    f->count--;
    memmove(&f->files[at], &f->files[at + 1], (f->count - at) * sizeof(*f->files));
}

/* Editors replace a file by moving the old one away first, so a single look is no proof. */
static void find_what_is_gone(struct prompt_folder *f)
{
    for (size_t i = f->count; i-- > 0;) {
        struct prompt_folder_file *file = &f->files[i];
        if (file->in_look) {
            continue;
        }
        if (!file->is_missed) {
            file->is_missed = true;
            f->is_moving = true;
        } else if (file->known[0] == '\0') {
            forget(f, i);
        } else {
            drop_news(file);
            file->news = PROMPT_NEWS_GONE;
            file->known[0] = '\0';
        }
    }
}

/* Goes on when there are too many files: some may be gone, and leave room. */
static int read_folder(struct prompt_folder *f, DIR *dir, struct err *e)
{
    char name[NAME_MAX + 1];
    int rc = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno != 0) {
            return err_set_errno(e, errno, "%s: cannot read", f->path);
        }
        if (!entry) {
            find_what_is_gone(f);
            return rc;
        }
        if (profile_of(entry->d_name, name) && look_at(f, name, e) != 0) {
            rc = -1;
            if (e->kind != ERR_LIMIT) {
                return -1;
            }
        }
    }
}

int prompt_folder_look(struct prompt_folder *f, struct err *e)
{
    f->is_moving = false;
    for (size_t i = 0; i < f->count; i++) {
        f->files[i].in_look = false;
    }
    DIR *dir = opendir(f->path);
    if (!dir) {
        return err_set_errno(e, errno, "%s: cannot open the folder", f->path);
    }
    int rc = read_folder(f, dir, e);
    closedir(dir);
    return rc;
}

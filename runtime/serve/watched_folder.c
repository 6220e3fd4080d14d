#include "runtime/serve/watched_folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

void watched_folder_init(struct watched_folder *f, const char *path,
                         const struct watched_reader *reader)
{
    *f = (struct watched_folder){.path = path, .reader = reader};
}

static void drop_others(struct watched_content *c)
{
    while (c->n_others > 0) {
        mem_free(c->others[--c->n_others]);
    }
}

/* All but the others, which are watched on. */
static void drop_content(const struct watched_folder *f, struct watched_content *c)
{
    mem_free(c->json);
    c->json = NULL;
    c->json_len = 0;
    if (c->made) {
        f->reader->release(c->made);
        c->made = NULL;
    }
}

static void free_file(const struct watched_folder *f, struct watched_file *file)
{
    drop_content(f, &file->content);
    drop_others(&file->content);
    mem_free(file->name);
}

void watched_folder_deinit(struct watched_folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free_file(f, &f->files[i]);
    }
    mem_free(f->files);
    *f = (struct watched_folder){.path = f->path, .reader = f->reader};
}

static void drop_news(const struct watched_folder *f, struct watched_file *file)
{
    drop_content(f, &file->content);
    file->news = WATCHED_NONE;
}

void watched_folder_clear_news(struct watched_folder *f, struct watched_file *file)
{
    if (file->news == WATCHED_CHANGED) {
        memcpy(file->known, file->content.sha256, sizeof(file->known));
    }
    drop_news(f, file);
}

/* --- the list --- */

/* Where `name` is, or where it would stand. */
static size_t find(const struct watched_folder *f, const char *name, bool *found)
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

static int grow(struct watched_folder *f, struct err *e)
{
    if (f->count == WATCHED_FILES_MAX) {
        return err_set(e, ERR_LIMIT, "%s: more than %d files NAME%s", f->path,
                       WATCHED_FILES_MAX, f->reader->suffix);
    }
    if (f->count < f->cap) {
        return 0;
    }
    size_t cap = f->cap ? 2 * f->cap : 16;
    struct watched_file *moved = mem_realloc_array(f->files, cap, sizeof(*moved));
    if (!moved) {
        return err_nomem(e);
    }
    f->files = moved;
    f->cap = cap;
    return 0;
}

void watched_folder_forget_content(struct watched_folder *f, const char *name)
{
    bool found;
    size_t at = find(f, name, &found);
    if (found) {
        f->files[at].known[0] = '\0';
        f->files[at].read = (struct file_stamp){0};
    }
}

/* The file of that name, a new one if there was none. NULL: *e says why. */
static struct watched_file *get(struct watched_folder *f, const char *name, struct err *e)
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
    f->files[at] = (struct watched_file){.name = copy};
    f->count++;
    return &f->files[at];
}

/* --- one file --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 1099511628211u; /* FNV-1a, a number at a time */
}

/* The state of the file and of all that belong to it. False: the file is not there. */
static bool take_stamp(const char *path, const struct watched_content *c,
                       struct file_stamp *stamp)
{
    if (!file_stamp_take(path, stamp)) {
        return false;
    }
    for (size_t i = 0; i < c->n_others; i++) {
        struct file_stamp other;
        file_stamp_take(c->others[i], &other); /* zero where it is missing */
        stamp->device = mix(stamp->device, other.device);
        stamp->inode = mix(stamp->inode, other.inode);
        stamp->size = mix(stamp->size, other.size);
        stamp->mtime_s = (int64_t)mix((uint64_t)stamp->mtime_s, (uint64_t)other.mtime_s);
        stamp->mtime_ns = (int64_t)mix((uint64_t)stamp->mtime_ns, (uint64_t)other.mtime_ns);
    }
    return true;
}

static bool same_others(const struct watched_content *a, const struct watched_content *b)
{
    bool same = a->n_others == b->n_others;
    for (size_t i = 0; same && i < a->n_others; i++) {
        same = strcmp(a->others[i], b->others[i]) == 0;
    }
    return same;
}

static int make_content(const struct watched_folder *f, const struct watched_file *file,
                        const char *path, struct watched_content *out, struct err *e)
{
    size_t len = 0;
    char *text = file_read_regular(path, f->reader->bytes_max, &len, e);
    int rc = text ? f->reader->read(file->name, path, text, len, out, e) : -1;
    mem_free(text);
    return rc;
}

/* -1: no memory. */
static int read_file(struct watched_folder *f, struct watched_file *file, const char *path,
                     struct err *e)
{
    struct file_stamp after;
    struct watched_content fresh = {0};
    drop_news(f, file);
    file->problem = (struct err){0};
    int rc = make_content(f, file, path, &fresh, &file->problem);
    bool knows_others = same_others(&fresh, &file->content);
    drop_others(&file->content);
    file->content = fresh;
    if (rc != 0) {
        drop_content(f, &file->content);
    }
    if (rc != 0 && file->problem.kind == ERR_NOMEM) {
        return err_nomem(e);
    }
    take_stamp(path, &file->content, &after);
    if (!knows_others || !file_stamp_is_same(&after, &file->seen)) {
        /* It was written to meanwhile, or must be looked at together with others. */
        drop_news(f, file);
        f->is_moving = true;
        return 0;
    }
    file->read = file->seen;
    if (rc != 0) {
        file->news = WATCHED_BROKEN;
    } else if (strcmp(file->content.sha256, file->known) != 0) {
        file->news = WATCHED_CHANGED;
    } else {
        drop_news(f, file);
    }
    return 0;
}

static int look_at(struct watched_folder *f, const char *name, struct err *e)
{
    char path[PATH_MAX];
    struct file_stamp now;
    struct watched_file *file = get(f, name, e);
    if (!file) {
        return -1;
    }
    if (snprintf(path, sizeof(path), "%s/%s%s", f->path, name, f->reader->suffix) >=
        (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "%s: the path is too long", f->path);
    }
    if (!take_stamp(path, &file->content, &now)) {
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
static bool name_of(const struct watched_folder *f, const char *entry, char out[NAME_MAX + 1])
{
    size_t len = strlen(entry);
    size_t end = strlen(f->reader->suffix);
    if (len <= end || len > NAME_MAX || entry[0] == '.' ||
        strcmp(entry + len - end, f->reader->suffix) != 0) {
        return false;
    }
    memcpy(out, entry, len - end);
    out[len - end] = '\0';
    return true;
}

static void forget(struct watched_folder *f, size_t at)
{
    free_file(f, &f->files[at]);
    f->count--;
    memmove(&f->files[at], &f->files[at + 1], (f->count - at) * sizeof(*f->files));
}

/* Editors replace a file by moving the old one away first, so a single look is no proof. */
static void find_what_is_gone(struct watched_folder *f)
{
    for (size_t i = f->count; i-- > 0;) {
        struct watched_file *file = &f->files[i];
        if (file->in_look) {
            continue;
        }
        if (!file->is_missed) {
            file->is_missed = true;
            f->is_moving = true;
        } else if (file->known[0] == '\0') {
            forget(f, i);
        } else {
            drop_news(f, file);
            file->news = WATCHED_GONE;
            file->known[0] = '\0';
        }
    }
}

/* Goes on when there are too many files: some may be gone, and leave room. */
static int read_folder(struct watched_folder *f, DIR *dir, struct err *e)
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
        if (name_of(f, entry->d_name, name) && look_at(f, name, e) != 0) {
            rc = -1;
            if (e->kind != ERR_LIMIT) {
                return -1;
            }
        }
    }
}

static int look_at_only(struct watched_folder *f, struct err *e)
{
    char path[PATH_MAX];
    struct file_stamp stamp;
    bool fits = snprintf(path, sizeof(path), "%s/%s", f->path, f->reader->only) < PATH_MAX;
    int rc = fits && file_stamp_take(path, &stamp) ? look_at(f, f->reader->only, e) : 0;
    find_what_is_gone(f);
    return rc;
}

int watched_folder_look(struct watched_folder *f, struct err *e)
{
    f->is_moving = false;
    for (size_t i = 0; i < f->count; i++) {
        f->files[i].in_look = false;
    }
    if (f->reader->only) {
        return look_at_only(f, e);
    }
    DIR *dir = opendir(f->path);
    if (!dir) {
        return err_set_errno(e, errno, "%s: cannot open the folder", f->path);
    }
    int rc = read_folder(f, dir, e);
    closedir(dir);
    return rc;
}

#include "models/train/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

static int add(struct file_list *l, const char *path, struct err *e)
{
    if (l->count == FILE_LIST_MAX) {
        return err_set(e, ERR_LIMIT, "%s: more than %d files", path, FILE_LIST_MAX);
    }
    char **grown = mem_realloc_array(l->paths, l->count + 1, sizeof(*grown));
    if (!grown) {
        return err_nomem(e);
    }
    l->paths = grown;
    l->paths[l->count] = mem_strdup(path);
    return l->paths[l->count] ? (l->count++, 0) : err_nomem(e);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), end = strlen(suffix);
    return name[0] != '.' && len > end && strcmp(name + len - end, suffix) == 0;
}

static bool is_of_part(const char *path, const char *part)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(part);
    return strncmp(name, part, len) == 0 && name[len] == '-';
}

/* Drops the others from `begin` on, if there are any of the part. */
static void keep_part(struct file_list *l, size_t begin, const char *part)
{
    size_t of_part = 0, kept = begin;
    for (size_t i = begin; i < l->count; i++) {
        of_part += is_of_part(l->paths[i], part);
    }
    if (of_part == 0) {
        return;
    }
    for (size_t i = begin; i < l->count; i++) {
        if (is_of_part(l->paths[i], part)) {
            l->paths[kept++] = l->paths[i];
        } else {
            mem_free(l->paths[i]);
        }
    }
    l->count = kept;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_folder(struct file_list *l, const char *folder, const char *suffix,
                      const char *part, struct err *e)
{
    char path[PATH_MAX];
    size_t before = l->count;
    int rc = 0;
    DIR *dir = opendir(folder);
    if (!dir) {
        return err_set_errno(e, errno, "%s: cannot open", folder);
    }
    for (const struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
        if (has_suffix(entry->d_name, suffix)) {
            rc = file_join(path, sizeof(path), folder, entry->d_name, e) || add(l, path, e);
        }
    }
    closedir(dir);
    if (rc == 0 && l->count == before) {
        return err_set(e, ERR_NOT_FOUND, "%s: no %s file in this folder", folder, suffix);
    }
    if (rc == 0 && part) {
        keep_part(l, before, part);
    }
    if (rc == 0) {
        qsort(l->paths + before, l->count - before, sizeof(*l->paths), by_bytes);
    }
    return rc ? -1 : 0;
}

static int refuse_twice(const struct file_list *l, struct err *e)
{
    char **sorted = mem_array(l->count, sizeof(*sorted));
    int rc = 0;
    if (!sorted) {
        return err_nomem(e);
    }
    memcpy(sorted, l->paths, l->count * sizeof(*sorted));
    qsort(sorted, l->count, sizeof(*sorted), by_bytes);
    for (size_t i = 1; rc == 0 && i < l->count; i++) {
        if (strcmp(sorted[i], sorted[i - 1]) == 0) {
            rc = err_set(e, ERR_INVALID, "%s: named twice", sorted[i]);
        }
    }
    mem_free(sorted);
    return rc;
}

int file_list_init(struct file_list *l, const char *const *paths, size_t n_paths,
                   const char *suffix, const char *part, struct err *e)
{
    struct stat st;
    int rc = 0;
    *l = (struct file_list){0};
    for (size_t i = 0; rc == 0 && i < n_paths; i++) {
        bool is_folder = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode);
        rc = is_folder ? add_folder(l, paths[i], suffix, part, e) : add(l, paths[i], e);
    }
    if (rc == 0 && l->count > 1) {
        rc = refuse_twice(l, e);
    }
    if (rc) {
        file_list_deinit(l);
    }
    return rc;
}

void file_list_deinit(struct file_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        mem_free(l->paths[i]);
    }
    mem_free(l->paths);
    *l = (struct file_list){0};
}

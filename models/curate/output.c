#include "models/curate/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int path_in(char *out, const char *folder, const char *name, struct err *e)
{
    int n = snprintf(out, OUTPUT_PATH_MAX, "%s/%s", folder, name);
    return n > 0 && n < OUTPUT_PATH_MAX
               ? 0
               : err_set(e, ERR_INVALID, "%.200s: the path is too long", folder);
}

/* Whether a curation writes a file of this name. */
static bool is_ours(const char *name)
{
    static const char *const endings[] = {".jsonl", ".json", ".tok", ".tmp"};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t n = strlen(name), m = strlen(endings[i]);
        if (n > m && strcmp(name + n - m, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Removes files of ours and the folder; others in it make that an error. */
static int remove_folder(const char *folder, struct err *e)
{
    char path[OUTPUT_PATH_MAX];
    DIR *dir = opendir(folder);
    if (!dir) {
        return errno == ENOENT ? 0 : err_set_errno(e, errno, "%s: cannot open", folder);
    }
    int rc = 0;
    for (struct dirent *d; !rc && (d = readdir(dir)) != NULL;) {
        if (is_ours(d->d_name)) {
            rc = path_in(path, folder, d->d_name, e);
            if (!rc && unlink(path) != 0 && errno != ENOENT) {
                rc = err_set_errno(e, errno, "%s: cannot remove", path);
            }
        }
    }
    closedir(dir);
    if (!rc && rmdir(folder) != 0 && errno != ENOENT) {
        rc = err_set_errno(e, errno, "%s: cannot remove", folder);
    }
    return rc;
}

static bool is_empty_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    bool empty = dir != NULL;
    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        empty = empty && d->d_name[0] == '.' && (!d->d_name[1] || !strcmp(d->d_name, ".."));
    }
    if (dir) {
        closedir(dir);
    }
    return empty;
}

static int check_folder(const struct output *o, struct err *e)
{
    char path[OUTPUT_PATH_MAX];
    struct stat st;
    if (lstat(o->folder, &st) != 0 || is_empty_folder(o->folder)) {
        return 0;
    }
    if (path_in(path, o->folder, OUTPUT_FILES, e)) {
        return -1;
    }
    bool ours = S_ISDIR(st.st_mode) && access(path, F_OK) == 0;
    if (!ours) {
        return err_set(e, ERR_CONFLICT, "%s: is there and is no result of weir curate",
                       o->folder);
    }
    return o->replace ? 0
                      : err_set(e, ERR_CONFLICT,
                                "%s: is there already; --replace puts the new result in its "
                                "place",
                                o->folder);
}

int output_begin(struct output *o, const char *folder, bool replace, struct err *e)
{
    size_t n = strlen(folder);
    *o = (struct output){.lock = -1, .replace = replace};
    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    if (n == 0 || n + 16 > sizeof(o->folder)) {
        return err_set_param(e, ERR_INVALID, "out", "--out: the path is empty or too long");
    }
    memcpy(o->folder, folder, n);
    snprintf(o->partial, sizeof(o->partial), "%.*s.partial", (int)n, folder);
    if (check_folder(o, e)) {
        return -1;
    }
    if (mkdir(o->partial, 0777) != 0 && errno != EEXIST) {
        return err_set_errno(e, errno, "%s: cannot make the folder", o->partial);
    }
    int fd = open(o->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot open", o->partial);
    }
    struct stat mine, named;
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    /* Another may have finished, and so renamed it, in between. */
    if (!locked || fstat(fd, &mine) != 0 || stat(o->partial, &named) != 0 ||
        mine.st_ino != named.st_ino || mine.st_dev != named.st_dev) {
        close(fd);
        return err_set(e, ERR_BUSY, "%s: another weir curate is writing there", o->partial);
    }
    o->lock = fd;
    /* The folder stays, and with it the lock; what is in it goes. */
    DIR *dir = opendir(o->partial);
    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        if (is_ours(d->d_name)) {
            unlinkat(fd, d->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
    return 0;
}

static void sync_parent(const char *folder)
{
    char parent[OUTPUT_PATH_MAX];
    const char *slash = strrchr(folder, '/');
    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - folder + 1) : 1,
             slash ? folder : ".");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int output_finish(struct output *o, struct err *e)
{
    if (fsync(o->lock) != 0) {
        return err_set_errno(e, errno, "%s: cannot write to the disk", o->partial);
    }
    struct stat st;
    if (o->replace && lstat(o->folder, &st) == 0 && !is_empty_folder(o->folder)) {
        if (renameat2(AT_FDCWD, o->partial, AT_FDCWD, o->folder, RENAME_EXCHANGE) != 0) {
            return err_set_errno(e, errno, "%s: cannot replace", o->folder);
        }
        close(o->lock);
        o->lock = -1;
        sync_parent(o->folder);
        return remove_folder(o->partial, e); /* which is now the old one */
    }
    if (rename(o->partial, o->folder) != 0) {
        return err_set_errno(e, errno, "%s: cannot give the folder its name", o->folder);
    }
    close(o->lock);
    o->lock = -1;
    sync_parent(o->folder);
    return 0;
}

void output_end(struct output *o)
{
    struct err ignored;
    if (o->lock >= 0) {
        remove_folder(o->partial, &ignored);
        close(o->lock);
        o->lock = -1;
    }
}

int output_open(struct output_file *f, const struct output *o, const char *name, struct err *e)
{
    *f = (struct output_file){0};
    snprintf(f->name, sizeof(f->name), "%s", name);
    if (path_in(f->path, o->partial, name, e)) {
        return -1;
    }
    f->hash = hash_begin();
    if (!f->hash) {
        return err_nomem(e);
    }
    f->f = fopen(f->path, "wbe");
    return f->f ? 0 : err_set_errno(e, errno, "%s: cannot write", f->path);
}

int output_write(struct output_file *f, const void *data, size_t len, struct err *e)
{
    hash_add(f->hash, data, len);
    f->bytes += len;
    if (fwrite(data, 1, len, f->f) != len) {
        return err_set_errno(e, errno, "%s: cannot write", f->path);
    }
    return 0;
}

int output_close(struct output_file *f, struct err *e)
{
    int failed = fflush(f->f) != 0 || fsync(fileno(f->f)) != 0;
    int error = errno;
    failed |= fclose(f->f) != 0;
    f->f = NULL;
    int unhashed = hash_end(f->hash, f->sha256);
    f->hash = NULL;
    if (failed) {
        return err_set_errno(e, error, "%s: cannot write", f->path);
    }
    return unhashed ? err_nomem(e) : 0;
}

void output_abandon(struct output_file *f)
{
    char unused[HASH_HEX_LEN + 1];
    if (f->f) {
        fclose(f->f);
        f->f = NULL;
    }
    if (f->hash) {
        hash_end(f->hash, unused);
        f->hash = NULL;
    }
}

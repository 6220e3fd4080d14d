#include "runtime/cli/publish_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/registry/model_repo.h"

#define MAKING_SUFFIX ".publish"

/* --- names --- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* What a server would take for a version. */
static bool is_version(const char *name)
{
    struct err unused;
    return version_name_check(name, "version", &unused) == 0 && !ends_with(name, ".tmp") &&
           !ends_with(name, ".part");
}

/* What a run that was killed has left. */
static bool is_left_over(const char *name)
{
    return name[0] == '.' && ends_with(name, MAKING_SUFFIX);
}

static int check_name(const char *option, const char *name, struct err *e)
{
    return is_version(name)
               ? 0
               : err_set_param(e, ERR_INVALID, option,
                               "--%s \"%.80s\": 1 to %d letters, digits, '.', '_' and '-' are "
                               "wanted, not ending in .tmp or .part",
                               option, name, VERSION_NAME_MAX);
}

/* --- folders --- */

static void remove_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            if (unlinkat(fd, entry->d_name, 0) != 0) {
                remove_folder(fd, entry->d_name); /* a report, nothing deeper */
            }
        }
    }
    if (dir) {
        closedir(dir);
    } else if (fd >= 0) {
        close(fd);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* Finds the newest version and takes away what was left over. */
static int look_around(struct publish_place *p, struct err *e)
{
    DIR *dir = opendir(p->folder);
    const struct dirent *entry;
    if (!dir) {
        return err_set_errno(e, errno, "%s: cannot read", p->folder);
    }
    while ((entry = readdir(dir))) {
        if (is_left_over(entry->d_name)) {
            remove_folder(p->fd, entry->d_name);
        } else if (is_version(entry->d_name) &&
                   (!p->newest[0] || model_version_compare(entry->d_name, p->newest) > 0)) {
            /* No longer than a name may be, as was checked. */
            memcpy(p->newest, entry->d_name, strlen(entry->d_name) + 1);
        }
    }
    closedir(dir);
    return 0;
}

static int choose_version(struct publish_place *p, const char *version, struct err *e)
{
    if (version) {
        snprintf(p->version, sizeof(p->version), "%s", version);
        return check_name("version", version, e);
    }
    size_t digits = strspn(p->newest, "0123456789");
    if (p->newest[digits] != '\0' || digits > 15) {
        return err_set_param(e, ERR_INVALID, "version",
                             "%s: the newest version is %s, which is no number; give the new "
                             "one's name with --version",
                             p->folder, p->newest);
    }
    snprintf(p->version, sizeof(p->version), "%lld", 1 + strtoll(p->newest, NULL, 10));
    return 0;
}

static int open_folder(struct publish_place *p, const char *repo, const char *name,
                       struct err *e)
{
    struct stat st;
    if (check_name("name", name, e) != 0 ||
        file_join(p->folder, sizeof(p->folder), repo, name, e) != 0) {
        return -1;
    }
    if (stat(repo, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return err_set_param(e, ERR_NOT_FOUND, "repo",
                             "--repo %s: there is no such folder; make it first", repo);
    }
    p->made_folder = mkdir(p->folder, 0755) == 0;
    if (!p->made_folder && errno != EEXIST) {
        return err_set_errno(e, errno, "%s: cannot make the folder", p->folder);
    }
    p->fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->fd < 0) {
        return err_set_errno(e, errno, "%s: cannot open", p->folder);
    }
    if (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? err_set(e, ERR_CONFLICT, "%s: another weir publish is at work there",
                             p->folder)
                   : err_set_errno(e, errno, "%s: cannot lock", p->folder);
    }
    return 0;
}

static int make_folder(struct publish_place *p, struct err *e)
{
    struct stat st;
    char making[VERSION_NAME_MAX + sizeof(MAKING_SUFFIX) + 1];
    if (fstatat(p->fd, p->version, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return err_set(e, ERR_CONFLICT,
                       "%s/%s is there already; versions never change, choose another "
                       "--version",
                       p->folder, p->version);
    }
    snprintf(making, sizeof(making), ".%s" MAKING_SUFFIX, p->version);
    if (file_join(p->making, sizeof(p->making), p->folder, making, e) != 0) {
        return -1;
    }
    if (mkdir(p->making, 0755) != 0) {
        return err_set_errno(e, errno, "%s: cannot make the folder", p->making);
    }
    p->is_made = true;
    return 0;
}

int publish_place_open(struct publish_place *p, const char *repo, const char *name,
                       const char *version, struct err *e)
{
    *p = (struct publish_place){.fd = -1};
    int rc = open_folder(p, repo, name, e);
    if (rc == 0) {
        rc = look_around(p, e);
    }
    if (rc == 0) {
        rc = choose_version(p, version, e);
    }
    if (rc == 0) {
        rc = make_folder(p, e);
    }
    if (rc != 0) {
        publish_place_close(p);
    }
    return rc;
}

void publish_place_close(struct publish_place *p)
{
    if (p->is_made) {
        remove_folder(p->fd, strrchr(p->making, '/') + 1);
    }
    if (p->fd >= 0) {
        if (p->made_folder) {
            rmdir(p->folder); /* not once something was published in it */
        }
        close(p->fd);
    }
    *p = (struct publish_place){.fd = -1};
}

/* --- files --- */

int publish_place_path(const struct publish_place *p, const char *file, char out[PATH_MAX],
                       struct err *e)
{
    return file_join(out, PATH_MAX, p->making, file, e);
}

int publish_place_write(const struct publish_place *p, const char *file, const char *text,
                        size_t len, struct err *e)
{
    char path[PATH_MAX];
    return publish_place_path(p, file, path, e) == 0 ? file_write_atomic(path, text, len, e)
                                                     : -1;
}

int publish_place_copy(const struct publish_place *p, const char *from, const char *file,
                       struct err *e)
{
    const unsigned char *data;
    uint64_t size;
    if (file_map(from, &data, &size, e) != 0) {
        return -1;
    }
    int rc = publish_place_write(p, file, data ? (const char *)data : "", (size_t)size, e);
    if (rc == 0 && file_map_is_cut(data)) {
        rc = err_set(e, ERR_IO, "%s: was cut short while it was copied", from);
    }
    file_unmap(data, size);
    return rc;
}

void publish_place_remove(const struct publish_place *p, const char *file)
{
    char path[PATH_MAX];
    struct err unused;
    if (publish_place_path(p, file, path, &unused) == 0) {
        unlink(path);
    }
}

/* --- appearing --- */

static int sync_folder(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc =
        fd >= 0 && fsync(fd) == 0 ? 0 : err_set_errno(e, errno, "%s: cannot be synced", path);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int publish_place_commit(struct publish_place *p, struct err *e)
{
    if (sync_folder(p->making, e) != 0) {
        return -1;
    }
    const char *making = strrchr(p->making, '/') + 1;
    if (renameat2(p->fd, making, p->fd, p->version, RENAME_NOREPLACE) != 0) {
        return errno == EEXIST ? err_set(e, ERR_CONFLICT, "%s/%s has appeared meanwhile",
                                         p->folder, p->version)
                               : err_set_errno(e, errno, "%s: cannot be renamed to %s",
                                               p->making, p->version);
    }
    p->is_made = false;
    /* It serves by now: that the rename may not survive a power cut is all there is to say. */
    return sync_folder(p->folder, e);
}

#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/map_guard.h"
#include "runtime/base/mem.h"

#define DETACH_PART ((uint64_t)8 << 20)

static int read_all(int fd, const char *path, struct buf *out, struct err *e)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set_errno(e, errno, "%s: cannot read", path);
        }
        if (out->len + (size_t)n > out->max) {
            return err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", path, out->max);
        }
        if (buf_append(out, chunk, (size_t)n) != 0) {
            return err_nomem(e);
        }
    }
}

/* The content of an open file, which is closed. */
static char *read_and_close(int fd, const char *path, size_t max, size_t *len, struct err *e)
{
    char *data = NULL;
    struct buf content;
    buf_init(&content, max);
    if (read_all(fd, path, &content, e) == 0) {
        data = buf_take(&content, len);
        if (!data) {
            err_nomem(e);
        }
    }
    buf_deinit(&content);
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    return data;
}

char *file_read(const char *path, size_t max, size_t *len, struct err *e)
{
    struct stat info;
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set_errno(e, errno, "%s: cannot open", path);
        return NULL;
    }
    if (!is_stdin && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        err_set(e, ERR_INVALID, "%s: is a directory, a file is wanted", path);
        close(fd);
        return NULL;
    }
    return read_and_close(fd, path, max, len, e);
}

/* Without waiting for whoever might write to a pipe. */
static int open_regular(const char *path, struct stat *st, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot open", path);
    }
    int rc = fstat(fd, st) == 0 ? 0 : err_set_errno(e, errno, "%s: cannot read", path);
    if (rc == 0 && !S_ISREG(st->st_mode)) {
        rc = err_set(e, ERR_INVALID, "%s: not a regular file", path);
    }
    if (rc != 0) {
        close(fd);
    }
    return rc == 0 ? fd : -1;
}

char *file_read_regular(const char *path, size_t max, size_t *len, struct err *e)
{
    struct stat st;
    int fd = open_regular(path, &st, e);
    return fd >= 0 ? read_and_close(fd, path, max, len, e) : NULL;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int write_parts(int fd, const struct file_part *parts, size_t n_parts)
{
    for (size_t i = 0; i < n_parts; i++) {
        if (write_all(fd, parts[i].data, parts[i].len) != 0) {
            return -1;
        }
    }
    return 0;
}

int file_write_atomic(const char *path, const void *data, size_t len, struct err *e)
{
    const struct file_part part = {data, len};
    return file_write_atomic_parts(path, &part, 1, e);
}

int file_write_atomic_parts(const char *path, const struct file_part *parts, size_t n_parts,
                            struct err *e)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary)) {
        return err_set(e, ERR_LIMIT, "%s: path is too long", path);
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot create", temporary);
    }
    int rc = 0;
    struct stat before;
    if (stat(path, &before) == 0 && fchmod(fd, before.st_mode & 0777) != 0) {
        rc = err_set_errno(e, errno, "%s: cannot set the mode", temporary);
    } else if (write_parts(fd, parts, n_parts) != 0 || fsync(fd) != 0) {
        rc = err_set_errno(e, errno, "%s: cannot write", temporary);
    }
    if (close(fd) != 0 && rc == 0) {
        rc = err_set_errno(e, errno, "%s: cannot write", temporary);
    }
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = err_set_errno(e, errno, "%s: cannot rename to %s", temporary, path);
    }
    if (rc != 0) {
        unlink(temporary);
    }
    return rc;
}

int file_join(char *out, size_t size, const char *folder, const char *name, struct err *e)
{
    int n = snprintf(out, size, "%s/%s", folder, name);
    return n >= 0 && (size_t)n < size
               ? 0
               : err_set(e, ERR_INVALID, "%.100s...: the path is too long", folder);
}

int file_map(const char *path, const unsigned char **data, uint64_t *size, struct err *e)
{
    struct stat st;
    *data = NULL;
    *size = 0;
    int fd = open_regular(path, &st, e);
    if (fd < 0) {
        return -1;
    }
    int rc = 0;
    void *p =
        st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (p == MAP_FAILED) {
        rc = err_set_errno(e, errno, "%s: cannot map", path);
    } else if (p) {
        *data = p;
        *size = (uint64_t)st.st_size;
        map_guard_add(p, *size);
    }
    close(fd);
    return rc;
}

void file_unmap(const unsigned char *data, uint64_t size)
{
    if (data) {
        map_guard_remove(data);
        munmap((void *)data, (size_t)size);
    }
}

bool file_map_is_cut(const unsigned char *data)
{
    return map_guard_is_cut(data);
}

/* Of the mapping no more than a part is in memory beside its copy. */
static void copy_mapped(unsigned char *to, const unsigned char *from, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += DETACH_PART) {
        size_t len = (size_t)(size - at < DETACH_PART ? size - at : DETACH_PART);
        memcpy(to + at, from + at, len);
        if (!file_map_is_cut(from)) {
            (void)madvise((void *)(from + at), len, MADV_DONTNEED); /* a hint, no more */
        }
    }
}

int file_map_detach(const char *path, const unsigned char *data, uint64_t size, struct err *e)
{
    void *copy =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) {
        return err_set_errno(e, errno, "%s: cannot be copied into memory", path);
    }
    (void)madvise(copy, (size_t)size, MADV_HUGEPAGE);
    copy_mapped(copy, data, size);
    int rc = 0;
    if (file_map_is_cut(data)) {
        rc = err_set(e, ERR_FORMAT, "%s: was cut short while it was read", path);
    } else if (mprotect(copy, (size_t)size, PROT_READ) != 0 ||
               mremap(copy, (size_t)size, (size_t)size, MREMAP_MAYMOVE | MREMAP_FIXED,
                      (void *)data) == MAP_FAILED) {
        rc = err_set_errno(e, errno, "%s: cannot be copied into memory", path);
    }
    if (rc == 0) {
        map_guard_remove(data);
    } else {
        munmap(copy, (size_t)size);
    }
    return rc;
}

bool file_stamp_take(const char *path, struct file_stamp *stamp)
{
    struct stat st;
    memset(stamp, 0, sizeof(*stamp));
    if (stat(path, &st) != 0) {
        return false;
    }
    *stamp = (struct file_stamp){.device = st.st_dev,
                                 .inode = st.st_ino,
                                 .size = (uint64_t)st.st_size,
                                 .mtime_s = st.st_mtim.tv_sec,
                                 .mtime_ns = st.st_mtim.tv_nsec};
    return true;
}

bool file_stamp_is_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns;
}

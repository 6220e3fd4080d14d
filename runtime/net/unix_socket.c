#include "runtime/net/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int make_address(const char *path, struct sockaddr_un *address, struct err *e)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(address->sun_path)) {
        return err_set(e, ERR_INVALID,
                       "unix socket \"%.120s\": a path of 1 to %zu bytes is wanted", path,
                       sizeof(address->sun_path) - 1);
    }
    memcpy(address->sun_path, path, len);
    return 0;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* A listener whose queue is full does not refuse: it lets wait. */
static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd = open_socket();
    bool is_refused = fd >= 0 &&
                      connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                      errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return !is_refused;
}

/* Makes room at the address, if only a left-over stands there. */
static int remove_stale(const struct sockaddr_un *address, struct err *e)
{
    struct stat st;
    const char *path = address->sun_path;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? 0 : err_set_errno(e, errno, "%s: cannot look at", path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(e, ERR_IO, "%s: a file that is no socket is there; choose another path",
                       path);
    }
    if (somebody_listens(address)) {
        return err_set(e, ERR_IO,
                       "%s is already in use; choose another path, or stop the program that "
                       "listens there",
                       path);
    }
    return unlink(path) == 0 || errno == ENOENT
               ? 0
               : err_set_errno(e, errno, "%s: cannot remove the socket that nobody uses", path);
}

int unix_socket_bind(const char *path, mode_t mode, struct unix_socket_id *id, struct err *e)
{
    struct sockaddr_un address;
    struct stat st;
    if (make_address(path, &address, e) != 0 || remove_stale(&address, e) != 0) {
        return -1;
    }
    int fd = open_socket();
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot make a socket", path);
    }
    /* The file gets the socket's own mode less the umask (unix(7)); chmod gives back what the
     * umask took. */
    if (fchmod(fd, mode) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        err_set_errno(e, errno, "%s: cannot listen there", path);
    } else if (chmod(path, mode) != 0 || lstat(path, &st) != 0) {
        err_set_errno(e, errno, "%s: cannot set the mode", path);
        unlink(path);
    } else {
        *id = (struct unix_socket_id){.device = st.st_dev, .inode = st.st_ino};
        return fd;
    }
    close(fd);
    return -1;
}

bool unix_socket_find(const char *path, struct unix_socket_id *id)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    *id = (struct unix_socket_id){.device = st.st_dev, .inode = st.st_ino};
    return true;
}

void unix_socket_remove(const char *path, const struct unix_socket_id *id)
{
    struct stat st;
    if (lstat(path, &st) == 0 && st.st_dev == id->device && st.st_ino == id->inode) {
        unlink(path);
    }
}

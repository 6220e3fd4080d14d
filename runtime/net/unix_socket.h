/* unix_socket.h: listening sockets with a name in the file system. Internal to runtime/net.
 *
 * Whoever may write to the file may connect, so its mode is the access control. It is set
 * before the name appears: at no time can more people connect than were meant to. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "runtime/base/err.h"

/* Which file it is, so that nobody else's is removed. */
struct unix_socket_id {
    dev_t device;
    ino_t inode;
};

/* Binds and does not listen yet. A socket that stands at `path` and at which nobody listens, as
 * a server that was killed leaves it, is replaced; anything else there is an error. mode: the
 * file's permission bits. The file descriptor, or -1. */
int unix_socket_bind(const char *path, mode_t mode, struct unix_socket_id *id, struct err *e);

/* Which socket stands at `path`; false: none. */
bool unix_socket_find(const char *path, struct unix_socket_id *id);

/* Removes the file if it is still the one. */
void unix_socket_remove(const char *path, const struct unix_socket_id *id);

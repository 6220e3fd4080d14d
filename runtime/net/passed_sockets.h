/* passed_sockets.h: listening sockets that a process has from the one that started it: from a
 * service manager (systemd's socket activation), or from the server that it is to replace.
 *
 * They are the descriptors from 3 on. The environment says how many there are (LISTEN_FDS), for
 * which process (LISTEN_PID) and what they are called (LISTEN_FDNAMES): sd_listen_fds(3). A
 * server that is replaced cannot know the new one's number before it runs and leaves LISTEN_PID
 * out; the new one has another sign that it is meant.
 *
 * Threads: before others are started, since it changes the environment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "runtime/base/err.h"

#define PASSED_SOCKETS_FIRST 3
#define PASSED_SOCKETS_MAX   8

/* What a server that is replaced calls sockets that it made itself, and others. */
#define PASSED_SOCKETS_OWN     "own"
#define PASSED_SOCKETS_MANAGED "managed"

struct passed_socket {
    int fd;          /* -1: it was taken */
    bool is_managed; /* by a service manager: the file of a unix socket is its */
    struct sockaddr_storage address;
    char name[128]; /* "127.0.0.1:8080", or a path */
};

struct passed_sockets {
    struct passed_socket items[PASSED_SOCKETS_MAX]; /* (count) */
    size_t count;
};

/* What this process was given, and removes the variables, so that no child takes them for its
 * own. is_successor: it is to replace the one that started it. -1: there is something else than
 * a few listening stream sockets. */
int passed_sockets_receive(struct passed_sockets *p, bool is_successor, struct err *e);

/* The one of this address that was not taken yet; port 0 is any. NULL: none. p may be NULL. */
struct passed_socket *passed_sockets_find(struct passed_sockets *p,
                                          const struct sockaddr_storage *address);
struct passed_socket *passed_sockets_find_path(struct passed_sockets *p, const char *path);

/* Of a unix socket, "" if it has no file; else NULL. */
const char *passed_socket_path(const struct passed_socket *s);

/* Whether only this machine can reach it. */
bool passed_socket_is_loopback(const struct passed_socket *s);

/* The descriptor, which is the caller's from now on. */
int passed_socket_take(struct passed_socket *s);

/* Closes what was not taken; *name is that of one, or NULL. How many there were. */
size_t passed_sockets_close_rest(struct passed_sockets *p, const char **name);

#include "runtime/net/passed_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/net/http_address.h"

/* --- which there are --- */

static int describe(struct passed_socket *s, struct err *e)
{
    int type = 0;
    int listens = 0;
    socklen_t type_len = sizeof(type);
    socklen_t listens_len = sizeof(listens);
    socklen_t len = sizeof(s->address);
    if (getsockname(s->fd, (struct sockaddr *)&s->address, &len) != 0 ||
        getsockopt(s->fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 ||
        getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) != 0) {
        return err_set(e, ERR_INVALID, "LISTEN_FDS: descriptor %d is no socket", s->fd);
    }
    if (type != SOCK_STREAM || !listens) {
        return err_set(e, ERR_INVALID,
                       "LISTEN_FDS: descriptor %d is not a listening stream socket; a socket "
                       "unit has ListenStream= and Accept=no",
                       s->fd);
    }
    if (s->address.ss_family == AF_UNIX) {
        snprintf(s->name, sizeof(s->name), "%s", passed_socket_path(s));
    } else if (s->address.ss_family == AF_INET || s->address.ss_family == AF_INET6) {
        http_address_write(&s->address, s->name);
    } else {
        return err_set(e, ERR_INVALID, "LISTEN_FDS: descriptor %d is neither TCP nor unix",
                       s->fd);
    }
    return 0;
}

/* The i-th of "a:b:c" is `name`. */
static bool is_named(const char *names, size_t i, const char *name)
{
    for (; i > 0 && *names; i--) {
        names += strcspn(names, ":");
        names += *names == ':';
    }
    size_t len = strcspn(names, ":");
    return len == strlen(name) && strncmp(names, name, len) == 0;
}

static int receive(struct passed_sockets *p, const char *count, const char *names,
                   bool is_successor, struct err *e)
{
    char *end;
    unsigned long n = strtoul(count, &end, 10);
    if (*count == '\0' || *end != '\0' || n > PASSED_SOCKETS_MAX) {
        return err_set(e, ERR_LIMIT, "LISTEN_FDS: \"%.32s\" is no number up to %d", count,
                       PASSED_SOCKETS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        struct passed_socket *s = &p->items[i];
        bool is_own = is_successor && is_named(names, i, PASSED_SOCKETS_OWN);
        *s = (struct passed_socket){.fd = PASSED_SOCKETS_FIRST + (int)i, .is_managed = !is_own};
        if (describe(s, e) != 0) {
            return -1;
        }
        fcntl(s->fd, F_SETFD, FD_CLOEXEC);
        p->count++;
    }
    return 0;
}

int passed_sockets_receive(struct passed_sockets *p, bool is_successor, struct err *e)
{
    const char *count = getenv("LISTEN_FDS");
    const char *pid = getenv("LISTEN_PID");
    const char *names = getenv("LISTEN_FDNAMES");
    bool is_meant = pid ? strtol(pid, NULL, 10) == getpid() : is_successor;
    *p = (struct passed_sockets){.count = 0};
    int rc = count && is_meant ? receive(p, count, names ? names : "", is_successor, e) : 0;
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return rc;
}

/* --- taking them --- */

static bool is_same_address(const struct sockaddr_storage *have,
                            const struct sockaddr_storage *wanted)
{
    if (have->ss_family != wanted->ss_family) {
        return false;
    }
    if (have->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)have;
        const struct sockaddr_in *b = (const struct sockaddr_in *)wanted;
        return a->sin_addr.s_addr == b->sin_addr.s_addr &&
               (b->sin_port == 0 || a->sin_port == b->sin_port);
    }
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)have;
    const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)wanted;
    return memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0 &&
           a->sin6_scope_id == b->sin6_scope_id &&
           (b->sin6_port == 0 || a->sin6_port == b->sin6_port);
}

struct passed_socket *passed_sockets_find(struct passed_sockets *p,
                                          const struct sockaddr_storage *address)
{
    for (size_t i = 0; p && i < p->count; i++) {
        struct passed_socket *s = &p->items[i];
        if (s->fd >= 0 && is_same_address(&s->address, address)) {
            return s;
        }
    }
    return NULL;
}

struct passed_socket *passed_sockets_find_path(struct passed_sockets *p, const char *path)
{
    for (size_t i = 0; p && i < p->count; i++) {
        struct passed_socket *s = &p->items[i];
        const char *own = passed_socket_path(s);
        if (s->fd >= 0 && own && strcmp(own, path) == 0) {
            return s;
        }
    }
    return NULL;
}

/* The address is larger than the path and zeroed before it was filled in, so it ends. */
const char *passed_socket_path(const struct passed_socket *s)
{
    return s->address.ss_family == AF_UNIX ? ((const struct sockaddr_un *)&s->address)->sun_path
                                           : NULL;
}

bool passed_socket_is_loopback(const struct passed_socket *s)
{
    if (s->address.ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&s->address;
        return ntohl(a->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&s->address;
    return s->address.ss_family == AF_UNIX || IN6_IS_ADDR_LOOPBACK(&a->sin6_addr);
}

int passed_socket_take(struct passed_socket *s)
{
    int fd = s->fd;
    s->fd = -1;
    return fd;
}

size_t passed_sockets_close_rest(struct passed_sockets *p, const char **name)
{
    size_t n = 0;
    *name = NULL;
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].fd >= 0) {
            *name = p->items[i].name;
            close(passed_socket_take(&p->items[i]));
            n++;
        }
    }
    return n;
}

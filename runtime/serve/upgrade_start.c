#include "runtime/serve/upgrade_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/net/passed_sockets.h"
#include "runtime/serve/handover.h"

/* The sockets, and the end of the handover. */
#define FDS_MAX (PASSED_SOCKETS_MAX + 1)

/* Copies are made above this, where they are in nobody's way when they become 3, 4, 5 ... */
#define COPIES_FROM 64

#define NAMES_MAX     128
#define VARIABLES_MAX 4

/* What the child gets. */
struct inheritance {
    int copies[FDS_MAX]; /* (count) that are closed when another program runs */
    size_t count;
    char variables[VARIABLES_MAX][NAMES_MAX]; /* (n_variables) NAME=VALUE */
    size_t n_variables;
    char **environment; /* owned; what it points to is not */
};

/* --- descriptors --- */

static int add_fd(struct inheritance *in, int fd, struct err *e)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, COPIES_FROM);
    if (copy < 0) {
        return err_set_errno(e, errno, "cannot copy a descriptor");
    }
    in->copies[in->count++] = copy;
    return 0;
}

/* names: of the sockets, with colons between them. */
static int add_sockets(struct inheritance *in, const struct http_server *http,
                       char names[NAMES_MAX], struct err *e)
{
    struct http_server_socket socket;
    names[0] = '\0';
    for (size_t i = 0; http_server_socket_at(http, i, &socket); i++) {
        if (i == PASSED_SOCKETS_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d sockets cannot be passed on",
                           PASSED_SOCKETS_MAX);
        }
        size_t len = strlen(names);
        snprintf(names + len, NAMES_MAX - len, "%s%s", i ? ":" : "",
                 socket.is_managed ? PASSED_SOCKETS_MANAGED : PASSED_SOCKETS_OWN);
        if (add_fd(in, socket.fd, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- environment --- */

static bool is_replaced(const char *variable)
{
    static const char *const ours[] = {"LISTEN_FDS",      "LISTEN_PID",
                                       "LISTEN_FDNAMES",  "WATCHDOG_PID",
                                       HANDOVER_VARIABLE, HANDOVER_KEY_VARIABLE};
    size_t len = strcspn(variable, "=");
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strlen(ours[i]) == len && strncmp(ours[i], variable, len) == 0) {
            return true;
        }
    }
    return false;
}

static int make_environment(struct inheritance *in, struct err *e)
{
    size_t n = 0;
    size_t kept = 0;
    while (environ[n]) {
        n++;
    }
    in->environment = mem_zarray(n + in->n_variables + 1, sizeof(char *));
    if (!in->environment) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_replaced(environ[i])) {
            in->environment[kept++] = environ[i];
        }
    }
    for (size_t i = 0; i < in->n_variables; i++) {
        in->environment[kept++] = in->variables[i];
    }
    return 0;
}

/* theirs: the other end of the handover. */
static int prepare(struct inheritance *in, const struct server *s, int theirs, struct err *e)
{
    char names[NAMES_MAX];
    if (add_sockets(in, s->http, names, e) != 0) {
        return -1;
    }
    size_t n_sockets = in->count;
    if (add_fd(in, theirs, e) != 0) {
        return -1;
    }
    snprintf(in->variables[in->n_variables++], NAMES_MAX, "LISTEN_FDS=%zu", n_sockets);
    snprintf(in->variables[in->n_variables++], NAMES_MAX, "LISTEN_FDNAMES=%.100s", names);
    snprintf(in->variables[in->n_variables++], NAMES_MAX, HANDOVER_VARIABLE "=%zu:%ld",
             PASSED_SOCKETS_FIRST + n_sockets, (long)getpid());
    if (s->set.admin_key_is_made) {
        snprintf(in->variables[in->n_variables++], NAMES_MAX, HANDOVER_KEY_VARIABLE "=%s",
                 access_admin_sha256(&s->set.access));
    }
    return make_environment(in, e);
}

static void release(struct inheritance *in)
{
    for (size_t i = 0; i < in->count; i++) {
        close(in->copies[i]);
    }
    mem_free(in->environment);
}

/* --- the process --- */

/* As a program begins: no signal held back, none ignored. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    rc = rc ? rc : posix_spawnattr_setsigdefault(attributes, &defaults);
    return rc ? rc
              : posix_spawnattr_setflags(attributes,
                                         POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* errno's number, or 0. */
static int spawn(const struct inheritance *in, char *const *command, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    rc = set_signals(&attributes);
    for (size_t i = 0; rc == 0 && i < in->count; i++) {
        rc = posix_spawn_file_actions_adddup2(&actions, in->copies[i],
                                              PASSED_SOCKETS_FIRST + (int)i);
    }
    if (rc == 0) {
        rc = posix_spawnp(pid, command[0], &actions, &attributes, command, in->environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int upgrade_start(const struct server *s, pid_t *pid, int *end, struct err *e)
{
    struct inheritance in = {.count = 0};
    int ends[2];
    if (handover_open(ends, e) != 0) {
        return -1;
    }
    int rc = prepare(&in, s, ends[1], e);
    if (rc == 0) {
        int number = spawn(&in, s->set.command, pid);
        rc = number ? err_set_errno(e, number, "%s: cannot be started", s->set.command[0]) : 0;
    }
    release(&in);
    close(ends[1]);
    if (rc != 0) {
        close(ends[0]);
        return -1;
    }
    *end = ends[0];
    return 0;
}

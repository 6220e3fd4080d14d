/* passed_sockets.h: each case in a child, which has descriptors 3, 4 ... and an environment as
 * a service manager would make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/net/passed_sockets.h"

/* In the child: exit status 0 when all holds. */
#define MUST(condition)                                             \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            _exit(1);                                               \
        }                                                           \
    } while (0)

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(int domain, const void *address, socklen_t len)
{
    int fd = socket(domain, SOCK_STREAM, 0);
    MUST(fd >= 0 && bind(fd, address, len) == 0 && listen(fd, 1) == 0);
    return fd;
}

static int listen_tcp(void)
{
    struct sockaddr_in address = loopback(0);
    return listen_on(AF_INET, &address, sizeof(address));
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    unlink(path);
    return listen_on(AF_UNIX, &address, sizeof(address));
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    MUST(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    return ntohs(address.sin_port);
}

/* Out of the way of descriptors that are to be 3, 4 ... */
#define COPIES_FROM 100

/* They become 3, 4 ...; -1 ends them. */
static void pass(const int *fds, const char *names)
{
    char text[32];
    int n = 0;
    while (fds[n] >= 0) {
        MUST(dup2(fds[n], COPIES_FROM + n) >= 0);
        n++;
    }
    for (int i = 0; i < n; i++) {
        MUST(dup2(COPIES_FROM + i, PASSED_SOCKETS_FIRST + i) >= 0);
    }
    snprintf(text, sizeof(text), "%d", n);
    setenv("LISTEN_FDS", text, 1);
    snprintf(text, sizeof(text), "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static void in_child(void (*check)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        check();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct passed_socket *find(struct passed_sockets *p, const struct sockaddr_in *address)
{
    struct sockaddr_storage wanted = {0};
    memcpy(&wanted, address, sizeof(*address));
    return passed_sockets_find(p, &wanted);
}

static void check_tcp(void)
{
    struct passed_sockets p;
    struct err e;
    int tcp = listen_tcp();
    struct sockaddr_in address = loopback(port_of(tcp));
    pass((const int[]){tcp, listen_tcp(), -1}, "web:web");
    MUST(passed_sockets_receive(&p, false, &e) == 0);
    MUST(p.count == 2 && !getenv("LISTEN_FDS") && !getenv("LISTEN_PID"));
    MUST(fcntl(PASSED_SOCKETS_FIRST, F_GETFD) == FD_CLOEXEC);

    struct passed_socket *found = find(&p, &address);
    MUST(found == &p.items[0] && found->is_managed && !passed_socket_path(found));
    MUST(passed_socket_is_loopback(found));
    MUST(passed_socket_take(found) == PASSED_SOCKETS_FIRST);
    MUST(!find(&p, &address));
    address.sin_port = 0; /* any */
    MUST(find(&p, &address) == &p.items[1]);
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    MUST(!find(&p, &address));
}

static void check_unix(void)
{
    struct passed_sockets p;
    struct err e;
    char path[64];
    const char *rest;
    snprintf(path, sizeof(path), "/tmp/weir-passed-%d", (int)getpid());
    pass((const int[]){listen_tcp(), listen_unix(path), -1}, "");
    MUST(passed_sockets_receive(&p, false, &e) == 0);
    unlink(path);
    MUST(passed_sockets_find_path(&p, path) == &p.items[1]);
    MUST(strcmp(p.items[1].name, path) == 0);
    MUST(!passed_sockets_find_path(&p, "/tmp/another"));
    MUST(passed_sockets_close_rest(&p, &rest) == 2 && rest);
    MUST(fcntl(PASSED_SOCKETS_FIRST + 1, F_GETFD) == -1);
}

static void sockets_are_found_by_their_address_and_taken_once(void **state)
{
    (void)state;
    in_child(check_tcp);
    in_child(check_unix);
}

static void check_other_process(void)
{
    struct passed_sockets p;
    struct err e;
    pass((const int[]){listen_tcp(), -1}, "");
    setenv("LISTEN_PID", "1", 1);
    MUST(passed_sockets_receive(&p, true, &e) == 0 && p.count == 0 && !getenv("LISTEN_FDS"));
    setenv("LISTEN_FDS", "1", 1); /* without a number only a successor is meant */
    MUST(passed_sockets_receive(&p, false, &e) == 0 && p.count == 0);
}

static void what_is_for_another_process_is_left_alone(void **state)
{
    (void)state;
    in_child(check_other_process);
}

static void check_successor(void)
{
    struct passed_sockets p;
    struct err e;
    pass((const int[]){listen_tcp(), listen_tcp(), listen_tcp(), -1}, "managed:own:ownn");
    unsetenv("LISTEN_PID");
    MUST(passed_sockets_receive(&p, true, &e) == 0 && p.count == 3);
    MUST(p.items[0].is_managed && !p.items[1].is_managed && p.items[2].is_managed);
}

static void a_successor_learns_who_made_them(void **state)
{
    (void)state;
    in_child(check_successor);
}

static void check_wrong(void)
{
    struct passed_sockets p;
    struct err e;
    pass((const int[]){open("/dev/null", O_RDONLY), -1}, "");
    MUST(passed_sockets_receive(&p, false, &e) == -1);
    MUST(strstr(e.message, "descriptor 3 is no socket"));
    pass((const int[]){listen_tcp(), socket(AF_INET, SOCK_STREAM, 0), -1}, "");
    MUST(passed_sockets_receive(&p, false, &e) == -1);
    MUST(strstr(e.message, "descriptor 4 is not a listening stream socket"));
    pass((const int[]){socket(AF_INET, SOCK_DGRAM, 0), -1}, "");
    MUST(passed_sockets_receive(&p, false, &e) == -1);
    static const char *const counts[] = {"9", "-1", "x", ""};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        pass((const int[]){-1}, "");
        setenv("LISTEN_FDS", counts[i], 1);
        MUST(passed_sockets_receive(&p, false, &e) == -1 && strstr(e.message, "LISTEN_FDS"));
    }
}

static void what_is_no_listening_stream_socket_is_an_error(void **state)
{
    (void)state;
    in_child(check_wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_found_by_their_address_and_taken_once),
        cmocka_unit_test(what_is_for_another_process_is_left_alone),
        cmocka_unit_test(a_successor_learns_who_made_them),
        cmocka_unit_test(what_is_no_listening_stream_socket_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

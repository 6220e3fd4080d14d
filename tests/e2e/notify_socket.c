/* A service manager's end of sd_notify(3): notify_socket PATH binds a datagram socket there and
 * prints each line that comes as "PID LINE", with the process that sent it. "listening" comes
 * first. Used by service.test.js. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The process that the kernel says has sent it, or 0. */
static int sender_of(struct msghdr *message)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    struct ucred who = {0};
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
        memcpy(&who, CMSG_DATA(c), sizeof(who));
    }
    return (int)who.pid;
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int on = 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (strlen(path) >= sizeof(address.sun_path) || fd < 0) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                   setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0
               ? fd
               : -1;
}

int main(int argc, char **argv)
{
    int fd = argc == 2 ? open_socket(argv[1]) : -1;
    if (fd < 0) {
        perror("notify_socket");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    for (;;) {
        char text[4096];
        char control[CMSG_SPACE(sizeof(struct ucred))];
        struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        ssize_t len = recvmsg(fd, &message, 0);
        if (len < 0) {
            perror("notify_socket");
            return 1;
        }
        text[len] = '\0';
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            printf("%d %s\n", sender_of(&message), line);
        }
        fflush(stdout);
    }
}

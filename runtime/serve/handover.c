#include "runtime/serve/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *const words[] = {
    [HANDOVER_LOADED] = "loaded",
    [HANDOVER_GO] = "go",
    [HANDOVER_SERVING] = "serving",
    [HANDOVER_FAILED] = "failed",
};

#define N_WORDS (sizeof(words) / sizeof(words[0]))

int handover_open(int ends[2], struct err *e)
{
    int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    return socketpair(AF_UNIX, type, 0, ends) == 0
               ? 0
               : err_set_errno(e, errno, "cannot make a pair of sockets");
}

/* A variable may come from anywhere; the kernel knows who made the pair. */
static bool is_made_by(int end, long pid)
{
    struct ucred maker;
    socklen_t len = sizeof(maker);
    return getsockopt(end, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 && maker.pid == pid;
}

int handover_inherited(void)
{
    const char *text = getenv(HANDOVER_VARIABLE);
    int end = -1;
    if (text) {
        char *rest;
        long fd = strtol(text, &rest, 10);
        long pid = *rest == ':' ? strtol(rest + 1, NULL, 10) : -1;
        if (fd > 2 && fd < 1024 && is_made_by((int)fd, pid)) {
            end = (int)fd;
            fcntl(end, F_SETFD, FD_CLOEXEC);
        }
    }
    unsetenv(HANDOVER_VARIABLE);
    return end;
}

void handover_send(int end, enum handover_word word, const char *text)
{
    char packet[ERR_MESSAGE_MAX];
    snprintf(packet, sizeof(packet), "%s%s%s", words[word], text ? " " : "", text ? text : "");
    (void)send(end, packet, strlen(packet), MSG_NOSIGNAL);
}

static enum handover_word read_packet(const char *packet, char text[ERR_MESSAGE_MAX])
{
    size_t len = strcspn(packet, " ");
    for (size_t i = 0; i < N_WORDS; i++) {
        if (words[i] && strlen(words[i]) == len && strncmp(words[i], packet, len) == 0) {
            snprintf(text, ERR_MESSAGE_MAX, "%s", packet + len + (packet[len] == ' '));
            return (enum handover_word)i;
        }
    }
    return HANDOVER_NOTHING;
}

enum handover_word handover_receive(int end, char text[ERR_MESSAGE_MAX])
{
    char packet[ERR_MESSAGE_MAX];
    enum handover_word word = HANDOVER_NOTHING;
    text[0] = '\0';
    while (word == HANDOVER_NOTHING) {
        ssize_t n = recv(end, packet, sizeof(packet) - 1, 0);
        if (n <= 0) {
            bool may_come = n < 0 && (errno == EAGAIN || errno == EINTR);
            return may_come ? HANDOVER_NOTHING : HANDOVER_ENDED;
        }
        packet[n] = '\0';
        word = read_packet(packet, text);
    }
    return word;
}

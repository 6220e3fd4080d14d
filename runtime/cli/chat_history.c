#include "runtime/cli/chat_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/chat_input.h"

#define HISTORY_BYTES_MAX ((size_t)16 << 20)

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        n += *text == '\n' ? 1 : 0;
    }
    return n;
}

/* Where the last `keep` of n lines begin. */
static char *last_lines(char *text, size_t n, size_t keep)
{
    for (; n > keep; n--) {
        text = strchr(text, '\n') + 1;
    }
    return text;
}

int chat_history_read(const char *path, void (*visit)(void *ctx, const char *line), void *ctx,
                      struct err *e)
{
    size_t len = 0;
    struct stat found;
    if (stat(path, &found) != 0 && errno == ENOENT) {
        return 0;
    }
    char *text = file_read_regular(path, HISTORY_BYTES_MAX, &len, e);
    if (!text) {
        return -1;
    }
    size_t n = count_lines(text);
    char *line = last_lines(text, n, CHAT_HISTORY_LINES);
    int rc = n >= 2 * (size_t)CHAT_HISTORY_LINES
                 ? file_write_atomic(path, line, len - (size_t)(line - text), e)
                 : 0;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        visit(ctx, line);
    }
    mem_free(text);
    return rc;
}

static void make_folders(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700); /* if it fails, the file says why */
        *slash = '/';
    }
}

int chat_history_append(const char *path, const char *line, struct err *e)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    if (fd < 0 && errno == ENOENT) {
        make_folders(path);
        fd = open(path, flags, 0600);
    }
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot be opened", path);
    }
    bool ok = fchmod(fd, 0600) == 0 && dprintf(fd, "%s\n", line) > 0;
    int rc = ok ? 0 : err_set_errno(e, errno, "%s: cannot be written", path);
    close(fd);
    return rc;
}

#include "runtime/cli/self_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 128
#define PROGRAM  "/proc/self/exe"

static void show(const char *const *args)
{
    fputs("weir", stderr);
    for (size_t i = 0; args[i]; i++) {
        fprintf(stderr, " %s", args[i]);
    }
    fputc('\n', stderr);
}

/* In the child; never returns. */
static void run(char **argv, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out, STDOUT_FILENO) >= 0) {
        execv(PROGRAM, argv);
    }
    fprintf(stderr, "weir: %s: %s\n", PROGRAM, strerror(errno));
    _exit(127);
}

static int wait_for(pid_t child, const char *command, struct err *e)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_set_errno(e, errno, "weir %s: cannot be waited for", command);
        }
    }
    if (WIFSIGNALED(status)) {
        return err_set(e, ERR_CANCELED, "weir %s was ended by signal %d", command,
                       WTERMSIG(status));
    }
    return WEXITSTATUS(status) == 0
               ? 0
               : err_set(e, ERR_INVALID, "weir %s ended with status %d; why is said above",
                         command, WEXITSTATUS(status));
}

int self_run(const char *const *args, const char *out_path, struct err *e)
{
    const char *argv[ARGS_MAX + 2] = {"weir"};
    size_t n = 0;
    while (args[n]) {
        if (n == ARGS_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d arguments", ARGS_MAX);
        }
        argv[n + 1] = args[n];
        n++;
    }
    int out = out_path ? open(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                       : STDERR_FILENO;
    if (out < 0) {
        return err_set_errno(e, errno, "%s: cannot create", out_path);
    }
    show(args);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run((char **)argv, out);
    }
    int rc = child > 0 ? wait_for(child, args[0], e)
                       : err_set_errno(e, errno, "weir %s: cannot be started", args[0]);
    if (out_path) {
        close(out);
    }
    return rc;
}

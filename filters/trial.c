#include "filters/trial.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What no code exits with by chance on its way out. */
#define SURVIVED 93

static void close_files(int keep_fd)
{
    unsigned first = STDERR_FILENO + 1;
    if (keep_fd < (int)first) {
        close_range(first, ~0u, 0);
        return;
    }
    if (keep_fd > (int)first) {
        close_range(first, (unsigned)keep_fd - 1, 0);
    }
    close_range((unsigned)keep_fd + 1, ~0u, 0);
}

_Noreturn static void be_child(void (*step)(void *context), void *context, int keep_fd)
{
    static const int fatal[] = {SIGALRM, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM};
    sigset_t all;
    const struct rlimit no_core = {0, 0};
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        signal(fatal[i], SIG_DFL);
    }
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setrlimit(RLIMIT_CORE, &no_core);
    close_files(keep_fd);
    alarm(TRIAL_SECONDS);
    step(context);
    _exit(SURVIVED);
}

static int wait_for(pid_t child, int *status)
{
    pid_t got;
    do {
        got = waitpid(child, status, 0);
    } while (got < 0 && errno == EINTR);
    return got == child ? 0 : -1;
}

int trial_run(const char *what, void (*step)(void *context), void *context, int keep_fd,
              struct err *e)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        be_child(step, context, keep_fd);
    }
    if (child < 0 || wait_for(child, &status) != 0) {
        return err_set(e, ERR_IO, "%s can not be tried in a process of its own: %s", what,
                       strerror(errno));
    }
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGALRM
                   ? err_set(e, ERR_INVALID, "%s did not come to an end within %d seconds",
                             what, TRIAL_SECONDS)
                   : err_set(e, ERR_INVALID, "%s crashed: signal %d (%s)", what,
                             WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    return WEXITSTATUS(status) == SURVIVED
               ? 0
               : err_set(e, ERR_INVALID, "%s ended the process with exit status %d", what,
                         WEXITSTATUS(status));
}

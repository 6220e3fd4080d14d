/* Holds threads of a process where they are, as a mistake would that makes them hang:
 * hold_threads PID. All threads but the first are stopped by ptrace(2) until standard input
 * ends. "held" on standard output says that they are. Used by service.test.js. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 256

static int hold(pid_t thread)
{
    int status;
    return ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0 &&
                   ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0 &&
                   waitpid(thread, &status, __WALL) == thread
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    char path[64];
    pid_t held[THREADS_MAX];
    int n = 0;
    pid_t process = argc == 2 ? atoi(argv[1]) : 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        return 1;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) && n < THREADS_MAX) {
        pid_t thread = atoi(entry->d_name);
        if (thread > 0 && thread != process) {
            if (hold(thread) != 0) {
                perror("ptrace");
                return 1;
            }
            held[n++] = thread;
        }
    }
    closedir(dir);
    puts("held");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    while (n-- > 0) {
        ptrace(PTRACE_DETACH, held[n], NULL, NULL);
    }
    return 0;
}

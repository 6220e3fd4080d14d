#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int minimum = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&minimum, (int)level);
}

static void write_line(enum log_level level, const char *format, va_list args)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&minimum)) {
        return;
    }
    char line[1024];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof(line) - len, ".%03ldZ %s ",
                            now.tv_nsec / 1000000, names[level]);
    int wanted = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    if (wanted > 0) {
        size_t room = sizeof(line) - len - 2;
        len += (size_t)wanted < room ? (size_t)wanted : room;
    }
    line[len++] = '\n';
    /* Nothing sensible can be done about a log that cannot be written. */
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}

#define LOG_FUNCTION(name, level)        \
    void name(const char *format, ...)   \
    {                                    \
        va_list args;                    \
        va_start(args, format);          \
        write_line(level, format, args); \
        va_end(args);                    \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)

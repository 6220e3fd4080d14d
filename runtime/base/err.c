#include "runtime/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names in parentheses: for an analyser they are macros as well (err.h). */

/* A message cut by vsnprintf may end inside a UTF-8 character: drop the part. */
static void trim_to_character(char *message, size_t wanted)
{
    if (wanted < ERR_MESSAGE_MAX) {
        return;
    }
    size_t end = ERR_MESSAGE_MAX - 1;
    while (end > 0 && ((unsigned char)message[end - 1] & 0xC0u) == 0x80u) {
        end--;
    }
    if (end > 0 && (unsigned char)message[end - 1] >= 0xC0u) {
        end--;
    }
    message[end] = '\0';
}

static void vset(struct err *e, enum err_kind kind, const char *format, va_list args)
{
    e->kind = kind;
    e->param[0] = '\0';
    e->retry_after_s = 0;
    int wanted = vsnprintf(e->message, sizeof(e->message), format, args);
    trim_to_character(e->message, wanted < 0 ? 0 : (size_t)wanted);
}

int(err_set)(struct err *e, enum err_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vset(e, kind, format, args);
    va_end(args);
    return -1;
}

int(err_set_param)(struct err *e, enum err_kind kind, const char *param, const char *format,
                   ...)
{
    va_list args;
    va_start(args, format);
    vset(e, kind, format, args);
    va_end(args);
    snprintf(e->param, sizeof(e->param), "%s", param);
    return -1;
}

int(err_set_errno)(struct err *e, int errno_value, const char *format, ...)
{
    enum err_kind kind = errno_value == ENOENT   ? ERR_NOT_FOUND
                         : errno_value == ENOMEM ? ERR_NOMEM
                                                 : ERR_IO;
    va_list args;
    va_start(args, format);
    vset(e, kind, format, args);
    va_end(args);
    size_t len = strlen(e->message);
    snprintf(e->message + len, sizeof(e->message) - len, ": %s", strerror(errno_value));
    return -1;
}

int(err_prefix)(struct err *e, const char *format, ...)
{
    char old[ERR_MESSAGE_MAX];
    memcpy(old, e->message, sizeof(old));
    va_list args;
    va_start(args, format);
    vsnprintf(e->message, sizeof(e->message), format, args);
    va_end(args);
    size_t len = strlen(e->message);
    int wanted = snprintf(e->message + len, sizeof(e->message) - len, ": %s", old);
    trim_to_character(e->message, len + (wanted < 0 ? 0 : (size_t)wanted));
    return -1;
}

int(err_nomem)(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory");
}

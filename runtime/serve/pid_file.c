#include "runtime/serve/pid_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

int pid_file_write(const char *path, struct err *e)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    return path ? file_write_atomic(path, text, (size_t)len, e) : 0;
}

void pid_file_remove(const char *path)
{
    struct err e = {0};
    size_t len = 0;
    char *text = path ? file_read(path, 64, &len, &e) : NULL;
    if (text && strtol(text, NULL, 10) == getpid()) {
        unlink(path);
    }
    mem_free(text);
}

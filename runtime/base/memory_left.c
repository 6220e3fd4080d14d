#include "runtime/base/memory_left.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096

static void read_text(const char *path, char out[TEXT_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, TEXT_MAX - 1) : 0;
    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

/* A number at the beginning; UINT64_MAX for "max" and for nothing. */
static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    return end != text ? value : UINT64_MAX;
}

uint64_t memory_left_of(const char *meminfo, const char *group_max, const char *group_now)
{
    static const char key[] = "MemAvailable:";
    const char *line = strstr(meminfo, key);
    uint64_t kib = line ? number(line + sizeof(key) - 1) : UINT64_MAX;
    uint64_t left = kib < UINT64_MAX / 1024 ? kib * 1024 : UINT64_MAX;
    uint64_t max = number(group_max), now = number(group_now);
    if (max != UINT64_MAX && now != UINT64_MAX) {
        uint64_t group_left = max > now ? max - now : 0;
        left = group_left < left ? group_left : left;
    }
    return left;
}

uint64_t memory_left(void)
{
    char meminfo[TEXT_MAX], group_max[TEXT_MAX], group_now[TEXT_MAX];
    read_text("/proc/meminfo", meminfo);
    read_text("/sys/fs/cgroup/memory.max", group_max);
    read_text("/sys/fs/cgroup/memory.current", group_now);
    return memory_left_of(meminfo, group_max, group_now);
}

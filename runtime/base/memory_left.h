/* memory_left.h: how much memory a process could still take.
 *
 * What the kernel holds available for new work (MemAvailable, proc(5)), or what the control
 * group leaves, if that is less (memory.max and memory.current, cgroup v2). An estimate that is
 * old at once: enough to refuse what cannot fit.
 *
 * Threads: any. Reads files that the kernel makes on the spot; does not block. */
#pragma once

#include <stdint.h>

/* Bytes; UINT64_MAX where it cannot be told. */
uint64_t memory_left(void);

/* The same from the contents of /proc/meminfo, memory.max and memory.current; "" where there is
 * no such file. */
uint64_t memory_left_of(const char *meminfo, const char *group_max, const char *group_now);

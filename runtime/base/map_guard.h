/* map_guard.h: a mapped file that is cut short ends nothing but its own use.
 *
 * A page behind the new end of a file that is mapped cannot be read: the kernel sends SIGBUS,
 * and the process ends. A mapping that is guarded reads as zeroes there instead, and is marked.
 * Whoever reads one asks afterwards whether what was read is true. A SIGBUS from anywhere else
 * does what it did before.
 *
 * Threads: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Guards a mapping; beyond MAP_GUARD_MAX at a time one is left as it is. */
#define MAP_GUARD_MAX 256
void map_guard_add(const void *data, uint64_t size);

/* Before it is unmapped, or becomes something else. One that is not guarded is ignored. */
void map_guard_remove(const void *data);

/* Whether it was read behind the end of its file. For good: also when the file grew again. */
bool map_guard_is_cut(const void *data);

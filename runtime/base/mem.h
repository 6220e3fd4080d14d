/* mem.h: allocation, with overflow-checked sizes and a switch that lets tests fail any one of
 * them.
 *
 * Everything returned is released with mem_free (or mem_free_aligned where said). NULL means
 * out of memory; nothing here aborts.
 *
 * Threads: all functions may be called from any thread; the fault switch is for single-threaded
 * tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t bytes);
void *mem_array(size_t count, size_t size);  /* count * size bytes, NULL on overflow */
void *mem_zarray(size_t count, size_t size); /* the same, zeroed */
void *mem_realloc_array(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len); /* copies exactly len bytes and adds a NUL */
void mem_free(void *p);                       /* accepts NULL */

/* 64-byte aligned. Large blocks ask for huge pages. The second is zeroed; of the first, memory
 * that nobody writes to is not touched. */
void *mem_alloc_aligned(size_t bytes);
void *mem_zalloc_aligned(size_t bytes);
void mem_free_aligned(void *p);

/* Large blocks come from the system one by one from now on and go back to it when they are
 * freed, so that a model that is gone leaves nothing behind among small ones. Before there are
 * threads.
 */
void mem_keep_large_apart(void);

/* Gives memory that was freed back to the system, as far as the allocator can: after something
 * large is gone. It takes some milliseconds, during which others may wait for memory. */
void mem_give_back(void);

/* Fault injection: the nth allocation from now (1-based) fails, once. 0 switches it off. */
void mem_fail_at(size_t nth);
bool mem_fail_reached(void);
/* Blocks allocated and not yet freed, to prove that a failure path leaks nothing. */
size_t mem_live(void);

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

/* Fault injection: the nth allocation from now (1-based) fails, once. 0 switches it off. */
void mem_fail_at(size_t nth);
bool mem_fail_reached(void);
/* Blocks allocated and not yet freed, to prove that a failure path leaks nothing. */
size_t mem_live(void);

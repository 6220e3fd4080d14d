#include "runtime/base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h> /* says whether this is glibc */
#include <string.h>
#include <sys/mman.h>

/* The sanitizers bring an allocator of their own. To ask glibc's for something then makes it
 * begin in whatever thread asks, and it fails when that thread ends. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#    define HAS_GLIBC_MALLOC
#    include <malloc.h>
#endif

#define MEM_ALIGN     ((size_t)64)
#define MEM_LARGE     (1 << 20)
#define MEM_HUGE_PAGE ((size_t)2 << 20)

static atomic_size_t live_blocks;
static atomic_size_t fail_countdown;
static atomic_bool fail_reached;

static bool fault_injected(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0) {
        return false;
    }
    if (atomic_fetch_sub(&fail_countdown, 1) != 1) {
        return false;
    }
    atomic_store(&fail_reached, true);
    return true;
}

static void *counted(void *p)
{
    if (p) {
        atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    }
    return p;
}

void *mem_alloc(size_t bytes)
{
    return fault_injected() ? NULL : counted(malloc(bytes ? bytes : 1));
}

void *mem_zalloc(size_t bytes)
{
    return fault_injected() ? NULL : counted(calloc(1, bytes ? bytes : 1));
}

void *mem_array(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : mem_alloc(bytes);
}

void *mem_zarray(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : mem_zalloc(bytes);
}

void *mem_realloc_array(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || fault_injected()) {
        return NULL;
    }
    void *moved = realloc(p, bytes ? bytes : 1);
    return p ? moved : counted(moved);
}

char *mem_strndup(const char *s, size_t len)
{
    if (len == SIZE_MAX) {
        return NULL;
    }
    char *copy = mem_alloc(len + 1);
    if (copy) {
        if (len > 0) {
            memcpy(copy, s, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
    if (p) {
        atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
        free(p);
    }
}

void *mem_alloc_aligned(size_t bytes)
{
    if (fault_injected() || bytes > SIZE_MAX - MEM_HUGE_PAGE) {
        return NULL;
    }
    /* Weights and KV caches are walked in long strides; 4 KiB pages would miss the TLB on each.
     */
    bool huge = bytes >= 2 * MEM_HUGE_PAGE;
    size_t align = huge ? MEM_HUGE_PAGE : MEM_ALIGN;
    size_t padded = (bytes + align - 1) / align * align;
    void *p = aligned_alloc(align, padded ? padded : align);
    if (!p) {
        return NULL;
    }
    if (huge) {
        (void)madvise(p, padded, MADV_HUGEPAGE); /* a hint; without it only speed is lost */
    }
    return counted(p);
}

void *mem_zalloc_aligned(size_t bytes)
{
    void *p = mem_alloc_aligned(bytes);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

void mem_free_aligned(void *p)
{
    mem_free(p);
}

void mem_keep_large_apart(void)
{
#ifdef HAS_GLIBC_MALLOC
    /* Both of them, or the allocator would move them by itself. */
    (void)mallopt(M_MMAP_THRESHOLD, MEM_LARGE);
    (void)mallopt(M_TRIM_THRESHOLD, MEM_LARGE / 4);
#endif
}

void mem_give_back(void)
{
#ifdef HAS_GLIBC_MALLOC
    (void)malloc_trim(0);
#endif
}

void mem_fail_at(size_t nth)
{
    atomic_store(&fail_reached, false);
    atomic_store(&fail_countdown, nth);
}

bool mem_fail_reached(void)
{
    return atomic_load(&fail_reached);
}

size_t mem_live(void)
{
    return atomic_load(&live_blocks);
}

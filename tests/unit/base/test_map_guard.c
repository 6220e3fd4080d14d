/* Mapped files that are cut short: no signal, zeroes, and a mark. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/file.h"

#define PAGES 4

static char path[] = "/tmp/weir-map-XXXXXX";
static uint64_t page;

static void write_pages(size_t n, int byte)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    char *bytes = malloc(page);
    memset(bytes, byte, page);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(write(fd, bytes, page), page);
    }
    free(bytes);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    page = (uint64_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof(path), "/tmp/weir-map-XXXXXX");
    close(mkstemp(path));
    write_pages(PAGES, 'a');
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static const unsigned char *map(void)
{
    const unsigned char *data;
    uint64_t size;
    struct err e = {0};
    assert_int_equal(file_map(path, &data, &size, &e), 0);
    assert_int_equal(size, PAGES * page);
    return data;
}

static int sum(const unsigned char *data)
{
    int total = 0;
    for (uint64_t i = 0; i < PAGES; i++) {
        total += ((const volatile unsigned char *)data)[i * page] == 'a';
    }
    return total;
}

static void what_is_cut_off_reads_as_zeroes(void **state)
{
    (void)state;
    const unsigned char *data = map();
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_false(file_map_is_cut(data)); /* nobody has looked */
    assert_int_equal(sum(data), 1);
    assert_true(file_map_is_cut(data));
    assert_int_equal(data[PAGES * page - 1], 0);
    write_pages(PAGES, 'a');
    assert_true(file_map_is_cut(data));
    file_unmap(data, PAGES * page);
    data = map(); /* perhaps at the same address */
    assert_int_equal(sum(data), PAGES);
    assert_false(file_map_is_cut(data));
    file_unmap(data, PAGES * page);
}

static void what_is_detached_stays(void **state)
{
    (void)state;
    struct err e = {0};
    const unsigned char *data = map();
    assert_int_equal(file_map_detach(path, data, PAGES * page, &e), 0);
    write_pages(PAGES, 'b');
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(sum(data), PAGES);
    assert_false(file_map_is_cut(data));
    file_unmap(data, PAGES * page);
}

static void what_is_cut_is_not_detached(void **state)
{
    (void)state;
    struct err e = {0};
    const unsigned char *data = map();
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_int_equal(file_map_detach(path, data, PAGES * page, &e), -1);
    assert_non_null(strstr(e.message, "was cut short while it was read"));
    file_unmap(data, PAGES * page);
}

/* Somewhere else it is what it was: the end. */
static void another_mapping_is_not_saved(void **state)
{
    (void)state;
    signal(SIGBUS, SIG_DFL); /* and not that of the tests */
    const unsigned char *guarded = map();
    int fd = open(path, O_RDONLY);
    const volatile unsigned char *bare = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(bare != MAP_FAILED);
    assert_int_equal(truncate(path, 0), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO); /* what a sanitizer says about it */
        _exit(bare[0] == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) > 1);
    munmap((void *)bare, page);
    close(fd);
    file_unmap(guarded, PAGES * page);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_cut_off_reads_as_zeroes),
        TEST(what_is_detached_stays),
        TEST(what_is_cut_is_not_detached),
        TEST(another_mapping_is_not_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

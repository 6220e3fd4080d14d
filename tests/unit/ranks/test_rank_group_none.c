/* A build without MPI runs alone, and says so when it was started as one of several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/ranks/rank_group.h"
#include "runtime/ranks/rank_launch.h"

static int unset(void **state)
{
    (void)state;
    unsetenv("OMPI_COMM_WORLD_SIZE");
    unsetenv("PMI_SIZE");
    unsetenv("PMIX_RANK");
    return 0;
}

static void a_process_alone_has_no_group(void **state)
{
    (void)state;
    struct err e = {0};
    struct rank_group *g;
    const struct rank_group_settings s = {.wanted = 1};
    assert_int_equal(rank_group_open(&g, &s, &e), 0);
    assert_null(g);
    assert_int_equal(rank_group_rank(g), 0);
    assert_int_equal(rank_group_size(g), 1);
    assert_int_equal(rank_group_size_here(g), 1);
    rank_group_close(g);
}

static void one_of_several_says_that_it_cannot(void **state)
{
    (void)state;
    struct err e = {0};
    struct rank_group *g;
    struct rank_group_settings s = {.wanted = 4};
    assert_int_equal(rank_group_open(&g, &s, &e), -1);
    assert_non_null(strstr(e.message, "4 ranks: this weir was built without MPI"));
    s.wanted = 0;
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    assert_int_equal(rank_group_open(&g, &s, &e), -1);
    assert_non_null(strstr(e.message, "2 ranks"));
    assert_non_null(strstr(e.message, "libopenmpi-dev"));
}

static void whoever_started_it_says_how_many_there_are(void **state)
{
    (void)state;
    assert_int_equal(rank_launch_size(), 1);
    setenv("PMI_SIZE", "3", 1);
    assert_int_equal(rank_launch_size(), 3);
    setenv("OMPI_COMM_WORLD_SIZE", "8", 1);
    assert_int_equal(rank_launch_size(), 8);
    static const char *const nonsense[] = {
        "", "x", "0", "-2", "1", "4x", "99999999999999999999"};
    unsetenv("PMI_SIZE");
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        setenv("OMPI_COMM_WORLD_SIZE", nonsense[i], 1);
        assert_int_equal(rank_launch_size(), 1);
    }
    unsetenv("OMPI_COMM_WORLD_SIZE");
    setenv("PMIX_RANK", "0", 1);
    assert_int_equal(rank_launch_size(), RANK_LAUNCH_UNKNOWN);
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1); /* Open MPI's mpirun gives both */
    assert_int_equal(rank_launch_size(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_process_alone_has_no_group, unset),
        cmocka_unit_test_setup(one_of_several_says_that_it_cannot, unset),
        cmocka_unit_test_setup(whoever_started_it_says_how_many_there_are, unset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

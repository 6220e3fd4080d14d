/* unix_socket.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/net/unix_socket.h"

static char folder[] = "/tmp/weir-unix-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/weir-unix-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    return 0;
}

static int bind_and_listen(mode_t mode, struct unix_socket_id *id)
{
    struct err e;
    int fd = unix_socket_bind(path, mode, id, &e);
    assert_true(fd >= 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void the_file_has_the_mode_whatever_the_umask_is(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0660, 0666};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct unix_socket_id id;
        struct stat st;
        mode_t before = umask(0077);
        int fd = bind_and_listen(modes[i], &id);
        umask(before);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        unix_socket_remove(path, &id);
        assert_int_not_equal(access(path, F_OK), 0);
        close(fd);
    }
}

static void a_socket_somebody_listens_at_is_left_alone(void **state)
{
    (void)state;
    struct unix_socket_id id;
    struct unix_socket_id second;
    struct err e;
    int fd = bind_and_listen(0600, &id);
    assert_int_equal(unix_socket_bind(path, 0600, &second, &e), -1);
    assert_non_null(strstr(e.message, "already in use"));
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
}

static void one_that_was_left_behind_is_replaced(void **state)
{
    (void)state;
    struct unix_socket_id old;
    struct unix_socket_id new;
    close(bind_and_listen(0600, &old));
    assert_int_equal(access(path, F_OK), 0);
    int fd = bind_and_listen(0600, &new);
    /* Whoever was replaced does not take the successor's file with it. */
    if (old.inode != new.inode) {
        unix_socket_remove(path, &old);
        assert_int_equal(access(path, F_OK), 0);
    }
    close(fd);
}

static void no_other_file_is_touched(void **state)
{
    (void)state;
    struct unix_socket_id id;
    struct err e;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("mine", f);
    fclose(f);
    assert_int_equal(unix_socket_bind(path, 0600, &id, &e), -1);
    assert_non_null(strstr(e.message, "no socket"));
    assert_int_equal(access(path, R_OK), 0);
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct unix_socket_id id;
    struct err e;
    char longer[300];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(unix_socket_bind(longer, 0600, &id, &e), -1);
    assert_non_null(strstr(e.message, "1 to 107 bytes"));
    assert_int_equal(unix_socket_bind("", 0600, &id, &e), -1);
    assert_int_equal(unix_socket_bind("/nonexistent/socket", 0600, &id, &e), -1);
    assert_non_null(strstr(e.message, "/nonexistent/socket"));
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(the_file_has_the_mode_whatever_the_umask_is),
        FOLDER_TEST(a_socket_somebody_listens_at_is_left_alone),
        FOLDER_TEST(one_that_was_left_behind_is_replaced),
        FOLDER_TEST(no_other_file_is_touched),
        FOLDER_TEST(a_path_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

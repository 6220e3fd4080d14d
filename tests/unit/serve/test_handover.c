/* handover.h, service_notify.h, pid_file.h: what processes and service managers tell each
 * other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/pid_file.h"
#include "runtime/serve/service_notify.h"

/* --- handover --- */

static void words_arrive_in_order_with_what_they_say(void **state)
{
    (void)state;
    struct err e;
    int ends[2];
    char text[ERR_MESSAGE_MAX];
    assert_int_equal(handover_open(ends, &e), 0);
    assert_int_equal(handover_receive(ends[0], text), HANDOVER_NOTHING);
    handover_send(ends[1], HANDOVER_LOADED, "1.2.3");
    assert_int_equal(send(ends[1], "something new", 13, 0), 13); /* of a later version */
    handover_send(ends[1], HANDOVER_FAILED, "no such file: x y");
    handover_send(ends[0], HANDOVER_GO, NULL);
    assert_int_equal(handover_receive(ends[0], text), HANDOVER_LOADED);
    assert_string_equal(text, "1.2.3");
    assert_int_equal(handover_receive(ends[0], text), HANDOVER_FAILED);
    assert_string_equal(text, "no such file: x y");
    assert_int_equal(handover_receive(ends[1], text), HANDOVER_GO);
    assert_string_equal(text, "");
    close(ends[1]);
    assert_int_equal(handover_receive(ends[0], text), HANDOVER_ENDED);
    handover_send(ends[0], HANDOVER_GO, NULL); /* no SIGPIPE */
    close(ends[0]);
}

static void say_inherited(int fd, long pid)
{
    char text[64];
    snprintf(text, sizeof(text), "%d:%ld", fd, pid);
    setenv(HANDOVER_VARIABLE, text, 1);
}

static void only_an_end_that_its_maker_names_is_inherited(void **state)
{
    (void)state;
    struct err e;
    int ends[2];
    assert_int_equal(handover_open(ends, &e), 0);
    say_inherited(ends[1], getpid());
    assert_int_equal(handover_inherited(), ends[1]);
    assert_null(getenv(HANDOVER_VARIABLE));
    assert_int_equal(handover_inherited(), -1);
    say_inherited(ends[1], getpid() + 1L);
    assert_int_equal(handover_inherited(), -1);
    int file = open("/dev/null", O_RDONLY);
    say_inherited(file, getpid());
    assert_int_equal(handover_inherited(), -1);
    static const char *const wrong[] = {"", "3", "x:y", "-1:1", "99999999999:1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setenv(HANDOVER_VARIABLE, wrong[i], 1);
        assert_int_equal(handover_inherited(), -1);
    }
    close(file);
    close(ends[0]);
    close(ends[1]);
}

/* --- the service manager --- */

static void assert_told(const char *variable, const struct sockaddr_un *address, socklen_t len)
{
    char got[64] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)address, len), 0);
    setenv("NOTIFY_SOCKET", variable, 1);
    service_notify("MAINPID=%d\nREADY=1", 42);
    assert_int_equal(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 18);
    assert_string_equal(got, "MAINPID=42\nREADY=1");
    close(fd);
}

static void a_service_manager_is_told_by_path_or_abstract_name(void **state)
{
    (void)state;
    char path[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof(path), "/tmp/weir-notify-%d", (int)getpid());
    strcpy(address.sun_path, path);
    assert_told(path, &address, sizeof(address));
    unlink(path);
    snprintf(path, sizeof(path), "@weir-notify-%d", (int)getpid());
    strcpy(address.sun_path, path);
    address.sun_path[0] = '\0';
    assert_told(path, &address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    service_notify("READY=1"); /* nobody is there any more */
    unsetenv("NOTIFY_SOCKET");
    service_notify("READY=1");
}

/* --- the file --- */

static void a_pid_file_is_removed_by_the_process_that_it_names(void **state)
{
    (void)state;
    struct err e = {0};
    char path[64];
    size_t len;
    snprintf(path, sizeof(path), "/tmp/weir-pid-%d", (int)getpid());
    assert_int_equal(pid_file_write(path, &e), 0);
    char *text = file_read(path, 64, &len, &e);
    assert_int_equal(atoi(text), getpid());
    mem_free(text);
    assert_int_equal(file_write_atomic(path, "1\n", 2, &e), 0);
    pid_file_remove(path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(pid_file_write(path, &e), 0);
    pid_file_remove(path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(pid_file_write(NULL, &e), 0);
    pid_file_remove(NULL);
    assert_int_equal(pid_file_write("/nonexistent/pid", &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_arrive_in_order_with_what_they_say),
        cmocka_unit_test(only_an_end_that_its_maker_names_is_inherited),
        cmocka_unit_test(a_service_manager_is_told_by_path_or_abstract_name),
        cmocka_unit_test(a_pid_file_is_removed_by_the_process_that_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What long work says of itself: seldom and plainly into a file, as one line on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/cli/progress.h"

#define TEXT_MAX 8192

/* Puts `fd` in the place of stderr; returns the old one. */
static int replace_stderr(int fd)
{
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    return before;
}

static void restore_stderr(int before)
{
    fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
}

static void work(uint64_t from, uint64_t total)
{
    struct progress p;
    progress_begin(&p, "pretrain", "tokens", total, from);
    for (uint64_t i = from + 1; i <= total; i++) {
        progress_update(&p, i, 10.0 * (double)(i - from), "loss 1.5");
    }
    progress_say(&p, "a word on %d things", 2);
    progress_end(&p);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p += strlen(word)) {
        n++;
    }
    return n;
}

static void into_a_file_go_a_dozen_plain_lines(void **state)
{
    (void)state;
    char text[TEXT_MAX] = {0};
    FILE *f = tmpfile();
    assert_non_null(f);
    int before = replace_stderr(fileno(f));
    work(0, 1000);
    restore_stderr(before);
    rewind(f);
    assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
    fclose(f);
    assert_int_equal(count(text, "\n"), 1 + 10 + 1);
    assert_int_equal(strncmp(text, "pretrain  1/1000    0 %  loss 1.5  ", 35), 0);
    assert_non_null(strstr(text, "\npretrain  500/1000   50 %  loss 1.5  "));
    assert_non_null(strstr(text, " tokens/s  eta 0:00:0"));
    assert_non_null(strstr(text, "\npretrain  1000/1000  100 %  loss 1.5  "));
    assert_non_null(strstr(text, "\na word on 2 things\n"));
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '#'));
}

static void on_a_terminal_one_line_that_fits_is_drawn_again(void **state)
{
    (void)state;
    char text[TEXT_MAX] = {0};
    int master, slave;
    struct winsize size = {.ws_row = 24, .ws_col = 120};
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    int before = replace_stderr(slave);
    work(500, 1000);
    restore_stderr(before);
    close(slave);
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len<sizeof(text) - 1; len += n> 0 ? (size_t)n : 0) {
        n = read(master, text + len,
                 sizeof(text) - 1 - len); /* in the pieces that it came in */
    }
    close(master);
    /* The first and the last; most of what came between was too soon. */
    size_t drawn = count(text, "\r\033[Kpretrain  [");
    assert_true(drawn >= 2 && drawn < 100);
    assert_non_null(strstr(text, "[###############---------------]  501/1000   50 %"));
    assert_non_null(strstr(text, "[##############################]  1000/1000  100 %"));
    assert_non_null(strstr(text, "\r\033[Ka word on 2 things\r\n"));
    for (const char *line = strstr(text, "pretrain"); line;
         line = strstr(line + 1, "pretrain")) {
        assert_true(strcspn(line, "\r\n") < 120);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(into_a_file_go_a_dozen_plain_lines),
        cmocka_unit_test(on_a_terminal_one_line_that_fits_is_drawn_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The log of a run: what survives a resume, and that charts can be drawn of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/train/run_log.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

struct fixture {
    char folder[64], log[96], svg[96];
    cJSON *about;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    strcpy(f->folder, "/tmp/run_log_test_XXXXXX");
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    snprintf(f->log, sizeof(f->log), "%s/run.jsonl", f->folder);
    snprintf(f->svg, sizeof(f->svg), "%s/run.svg", f->folder);
    f->about = cJSON_CreateObject();
    cJSON_AddStringToObject(f->about, "tool", "test");
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->log);
    unlink(f->svg);
    rmdir(f->folder);
    cJSON_Delete(f->about);
    free(f);
    return 0;
}

static void log_steps(struct run_log *l, uint64_t from, uint64_t to)
{
    struct err e;
    for (uint64_t step = from; step <= to; step++) {
        const struct run_log_value values[] = {{"loss", 4.0 / (double)step},
                                               {"val_loss", step == 2 ? 3.5 : NAN}};
        assert_int_equal(run_log_step(l, step, values, 2, &e), 0);
    }
}

static struct run_log *write_log(const struct fixture *f, uint64_t steps)
{
    struct err e;
    struct run_log *l = run_log_create(f->log, f->about, &e);
    assert_non_null(l);
    log_steps(l, 1, steps);
    return l;
}

static char *content(const struct fixture *f)
{
    struct err e;
    size_t len;
    char *text = file_read(f->log, 1 << 20, &len, &e);
    assert_non_null(text);
    return text;
}

static void a_line_a_step_and_no_number_that_is_none(void **state)
{
    struct fixture *f = *state;
    run_log_close(write_log(f, 2));
    char *text = content(f);
    assert_string_equal(text, "{\"run\":{\"tool\":\"test\"}}\n"
                              "{\"step\":1,\"loss\":4}\n"
                              "{\"step\":2,\"loss\":2,\"val_loss\":3.5}\n");
    mem_free(text);
}

/* As after kill -9 behind the checkpoint of step 3, in the middle of a line. */
static void a_resumed_run_s_log_is_that_of_one_that_never_stopped(void **state)
{
    struct fixture *f = *state;
    struct err e;
    run_log_close(write_log(f, 6));
    char *straight = content(f);
    run_log_close(write_log(f, 5));
    FILE *file = fopen(f->log, "a");
    assert_non_null(file);
    fputs("{\"step\":6,\"lo", file);
    fclose(file);
    struct run_log *l = run_log_resume(f->log, f->about, 3, &e);
    assert_non_null(l);
    log_steps(l, 4, 6);
    run_log_close(l);
    char *resumed = content(f);
    assert_string_equal(resumed, straight);
    mem_free(straight);
    mem_free(resumed);
}

static void a_resumed_run_without_a_log_begins_one(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct run_log *l = run_log_resume(f->log, f->about, 3, &e);
    assert_non_null(l);
    run_log_close(l);
    FILE *file = fopen(f->log, "w");
    assert_non_null(file);
    fputs("step,loss\n1,2\n", file);
    fclose(file);
    l = run_log_resume(f->log, f->about, 3, &e);
    assert_non_null(l);
    run_log_close(l);
    char *text = content(f);
    assert_string_equal(text, "{\"run\":{\"tool\":\"test\"}}\n");
    mem_free(text);
}

static void a_full_disk_is_an_error_that_names_the_file(void **state)
{
    struct fixture *f = *state;
    struct err e;
    assert_null(run_log_create("/dev/full", f->about, &e));
    assert_non_null(strstr(e.message, "/dev/full"));
}

static void charts_show_what_the_log_has(void **state)
{
    struct fixture *f = *state;
    struct err e;
    size_t len;
    const struct run_log_plot plots[] = {
        {.title = "Loss", .label = "nats", .names = {"loss", "val_loss"}},
        {.title = "Nothing", .names = {"reward"}},
    };
    run_log_close(write_log(f, 9));
    assert_int_equal(run_log_draw(f->log, plots, 2, f->svg, &e), 0);
    char *svg = file_read(f->svg, 1 << 20, &len, &e);
    assert_non_null(svg);
    assert_non_null(strstr(svg, ">val_loss</text>"));
    assert_null(strstr(svg, "Nothing"));
    mem_free(svg);
    assert_int_equal(run_log_draw(f->log, plots + 1, 1, f->svg, &e), -1);
    assert_non_null(strstr(e.message, f->log));
}

static void a_line_that_is_no_json_is_named(void **state)
{
    struct fixture *f = *state;
    struct err e;
    const struct run_log_plot plot = {.title = "Loss", .names = {"loss"}};
    run_log_close(write_log(f, 1));
    FILE *file = fopen(f->log, "a");
    assert_non_null(file);
    fputs("loss 3\n", file);
    fclose(file);
    assert_int_equal(run_log_draw(f->log, &plot, 1, f->svg, &e), -1);
    assert_non_null(strstr(e.message, "line 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_a_step_and_no_number_that_is_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_resumed_run_s_log_is_that_of_one_that_never_stopped,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_resumed_run_without_a_log_begins_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_an_error_that_names_the_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(charts_show_what_the_log_has, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_that_is_no_json_is_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* log.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/log.h"

static int pipe_ends[2];
static int kept_stderr;

static int catch_stderr(void **state)
{
    (void)state;
    kept_stderr = dup(STDERR_FILENO);
    return pipe(pipe_ends) == 0 && dup2(pipe_ends[1], STDERR_FILENO) >= 0 ? 0 : -1;
}

static int release_stderr(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_TEXT);
    log_set_level(LOG_LEVEL_INFO);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

/* What was written, which must be one line. */
static const char *line_written(void)
{
    static char line[65536];
    ssize_t n = read(pipe_ends[0], line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    return line;
}

static cJSON *json_written(void)
{
    struct err e;
    const char *line = line_written();
    cJSON *json = json_parse(line, strlen(line), &e);
    assert_non_null(json);
    return json;
}

static const char *text_of(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static void a_text_line_is_time_level_message_and_values(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        {"trace_id", "4bf9", 0}, {"none", "", 0}, {"status", NULL, 200}};
    log_fields(LOG_LEVEL_WARN, fields, 3, "%d of\nthem", 3);
    const char *line = line_written();
    assert_int_equal(line[4], '-');
    assert_string_equal(line + strlen("2026-01-01T12:00:00.000Z"),
                        " warn 3 of them trace_id=4bf9 status=200\n");
}

static void a_json_line_holds_any_bytes(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    const struct log_field fields[] = {{"a", "\"\\\x01\xff", 0}, {"b", NULL, 0.25}};
    log_fields(LOG_LEVEL_ERROR, fields, 2, "%s", "x\n\"y\\ \xc3\xa4 \xc3");
    cJSON *json = json_written();
    assert_string_equal(text_of(json, "level"), "error");
    assert_string_equal(text_of(json, "message"), "x\n\"y\\ \xc3\xa4 \xef\xbf\xbd");
    assert_string_equal(text_of(json, "a"), "\"\\\x01\xef\xbf\xbd");
    assert_true(cJSON_GetObjectItem(json, "b")->valuedouble == 0.25);
    assert_int_equal(strlen(text_of(json, "time")), strlen("2026-01-01T12:00:00.000Z"));
    cJSON_Delete(json);
}

static void a_json_line_has_room_for_the_longest(void **state)
{
    (void)state;
    static char text[4096];
    struct log_field fields[LOG_FIELDS_MAX + 3];
    log_set_format(LOG_FORMAT_JSON);
    memset(text, '\x02', sizeof(text) - 1);
    for (size_t i = 0; i < LOG_FIELDS_MAX + 3; i++) {
        static char names[LOG_FIELDS_MAX + 3][80];
        memset(names[i], 'n', 70);
        snprintf(names[i], 6, "n%04zu", i);
        names[i][5] = 'n';
        fields[i] = (struct log_field){names[i], text, 0};
    }
    log_fields(LOG_LEVEL_INFO, fields, LOG_FIELDS_MAX + 3, "%s", text);
    cJSON *json = json_written();
    assert_int_equal(strlen(text_of(json, "message")), LOG_MESSAGE_MAX);
    assert_int_equal(cJSON_GetArraySize(json), 3 + LOG_FIELDS_MAX);
    cJSON_Delete(json);
}

static void a_level_below_the_chosen_one_is_not_written(void **state)
{
    (void)state;
    log_debug("not this");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("this");
    assert_non_null(strstr(line_written(), " debug this"));
}

int main(void)
{
#define CAUGHT(test) cmocka_unit_test_setup_teardown(test, catch_stderr, release_stderr)
    const struct CMUnitTest tests[] = {
        CAUGHT(a_text_line_is_time_level_message_and_values),
        CAUGHT(a_json_line_holds_any_bytes),
        CAUGHT(a_json_line_has_room_for_the_longest),
        CAUGHT(a_level_below_the_chosen_one_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* chat_turns.h, chat_history.h, and the commands of chat_session.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/chat_history.h"
#include "runtime/cli/chat_session.h"

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-chat-XXXXXX");
    snprintf(path, sizeof(path), "%s/file", mkdtemp(folder) ? folder : "");
    return folder[0] ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void put(const char *text)
{
    struct err e = {0};
    assert_int_equal(file_write_atomic(path, text, strlen(text), &e), 0);
}

/* --- turns --- */

static void add(struct chat_turns *t, const char *role, const char *text)
{
    struct err e = {0};
    assert_int_equal(chat_turns_add(t, role, text, strlen(text), &e), 0);
}

/* "s:a u:b" */
static void holds(const struct chat_turns *t, const char *wanted)
{
    char seen[512] = "";
    for (size_t i = 0; i < t->count; i++) {
        size_t len = strlen(seen);
        snprintf(seen + len, sizeof(seen) - len, "%s%c:%s", i ? " " : "",
                 t->messages[i].role[0], t->messages[i].content);
    }
    assert_string_equal(seen, wanted);
}

static void the_system_message_comes_first_and_stays(void **state)
{
    (void)state;
    struct chat_turns t = {0};
    struct err e = {0};
    assert_int_equal(chat_turns_set_system(&t, NULL, &e), 0);
    for (int i = 0; i < 20; i++) {
        add(&t, "user", "a");
    }
    assert_int_equal(chat_turns_set_system(&t, "one", &e), 0);
    assert_int_equal(chat_turns_set_system(&t, "two", &e), 0);
    assert_int_equal(t.count, 21);
    assert_string_equal(chat_turns_system(&t), "two");
    chat_turns_clear(&t);
    holds(&t, "s:two");
    assert_int_equal(chat_turns_set_system(&t, NULL, &e), 0);
    assert_null(chat_turns_system(&t));
    assert_false(chat_turns_ends_with(&t, "user"));
    chat_turns_drop(&t);
    chat_turns_deinit(&t);
    assert_int_equal(mem_live(), 0);
}

static void what_is_saved_is_loaded_again(void **state)
{
    (void)state;
    struct chat_turns t = {0};
    struct stat found;
    struct err e = {0};
    add(&t, "system", "s \"quoted\"\n");
    add(&t, "user", "ü 你好");
    add(&t, "assistant", "");
    assert_int_equal(chat_turns_save(&t, path, &e), 0);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    chat_turns_deinit(&t);
    assert_int_equal(chat_turns_load(&t, path, &e), 0);
    holds(&t, "s:s \"quoted\"\n u:ü 你好 a:");
    put("[{\"role\": \"user\", \"content\": \"bare\"}]");
    assert_int_equal(chat_turns_load(&t, path, &e), 0);
    holds(&t, "u:bare");
    static const char *const wrong[] = {
        "",
        "{}",
        "{\"messages\": {}}",
        "[1]",
        "[{\"role\": \"tool\", \"content\": \"\"}]",
        "[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": [1]}]",
        "[{\"content\": \"a\"}]",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        put(wrong[i]);
        assert_int_equal(chat_turns_load(&t, path, &e), -1);
        assert_non_null(strstr(e.message, path));
        holds(&t, "u:bare");
    }
    chat_turns_deinit(&t);
    assert_int_equal(mem_live(), 0);
}

/* --- history --- */

static size_t n_lines;
static char last_line[64], first_line[64];

static void note(void *ctx, const char *line)
{
    (void)ctx;
    snprintf(last_line, sizeof(last_line), "%s", line);
    if (n_lines++ == 0) {
        snprintf(first_line, sizeof(first_line), "%s", line);
    }
}

static void read_history(void)
{
    struct err e = {0};
    n_lines = 0;
    assert_int_equal(chat_history_read(path, note, NULL, &e), 0);
}

static void history_is_its_owners_and_does_not_grow_for_ever(void **state)
{
    (void)state;
    struct stat found;
    struct err e = {0};
    char line[32];
    read_history();
    assert_int_equal(n_lines, 0);
    for (int i = 0; i < 2 * CHAT_HISTORY_LINES; i++) {
        snprintf(line, sizeof(line), "line %d", i);
        assert_int_equal(chat_history_append(path, line, &e), 0);
    }
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    read_history();
    assert_int_equal(n_lines, CHAT_HISTORY_LINES);
    assert_string_equal(first_line, "line 1000");
    assert_string_equal(last_line, "line 1999");
    off_t before = found.st_size;
    assert_int_equal(stat(path, &found), 0);
    assert_true(found.st_size < before);
    assert_int_equal(found.st_mode & 0777, 0600);
    read_history();
    assert_int_equal(n_lines, CHAT_HISTORY_LINES);
    put("no end");
    read_history();
    assert_int_equal(n_lines, 0);
    assert_int_equal(chat_history_append(folder, "x", &e), -1);
    assert_non_null(strstr(e.message, folder));
}

/* --- commands --- */

static int fake_answer(void *ctx, const struct chat_request *r, struct err *e)
{
    (void)ctx;
    if (strcmp(r->turns->messages[r->turns->count - 1].content, "fail") == 0) {
        return err_set(e, ERR_IO, "no answer");
    }
    return r->on_text(r->text_ctx, "answer", 6);
}

static const struct chat_source source = {.answer = fake_answer};

static void run(struct chat_session *s, const char *line)
{
    struct err e = {0};
    if (chat_command(s, line, &e) != 0) {
        fail_msg("%s: %s", line, e.message);
    }
}

static void refuse(struct chat_session *s, const char *line, const char *message)
{
    struct err e = {0};
    assert_int_equal(chat_command(s, line, &e), -1);
    if (!strstr(e.message, message)) {
        fail_msg("%s: %s", line, e.message);
    }
}

static void commands_do_what_they_say(void **state)
{
    (void)state;
    struct chat_session s = {.source = &source};
    refuse(&s, "/retry", "no message of yours");
    refuse(&s, "/undo", "no message of yours");
    run(&s, "/system be brief");
    add(&s.turns, "user", "one");
    run(&s, "/retry");
    holds(&s.turns, "s:be brief u:one a:answer");
    run(&s, "/retry");
    holds(&s.turns, "s:be brief u:one a:answer");
    run(&s, "/undo");
    holds(&s.turns, "s:be brief");
    add(&s.turns, "user", "fail");
    refuse(&s, "/retry", "no answer");
    holds(&s.turns, "s:be brief u:fail");
    add(&s.turns, "assistant", "old");
    refuse(&s, "/retry", "no answer");
    holds(&s.turns, "s:be brief u:fail a:old");
    run(&s, "/undo");
    run(&s, "/system -");
    holds(&s.turns, "");
    add(&s.turns, "assistant", "alone");
    refuse(&s, "/retry", "no message of yours");
    refuse(&s, "/undo", "no message of yours");
    holds(&s.turns, "a:alone");
    run(&s, "/exit");
    assert_true(s.has_ended);
    refuse(&s, "/", "there is no command /;");
    refuse(&s, "/exti", "did you mean /exit?");
    chat_turns_deinit(&s.turns);
    assert_int_equal(mem_live(), 0);
}

static void only_what_is_in_bounds_is_set(void **state)
{
    (void)state;
    struct chat_session s = {.source = &source};
    run(&s, "/set temperature 0.5");
    run(&s, "/set top_k=7");
    run(&s, "/set seed \t 9007199254740991");
    assert_true(s.parameters.values[CHAT_TEMPERATURE] > 0.4);
    assert_int_equal((int)s.parameters.values[CHAT_TOP_K], 7);
    assert_true(s.parameters.given[CHAT_SEED]);
    run(&s, "/set temperature default");
    assert_false(s.parameters.given[CHAT_TEMPERATURE]);
    static const char *const wrong[] = {"/set temperature 2.1", "/set temperature -1",
                                        "/set temperature nan", "/set temperature",
                                        "/set temperature 1x",  "/set top_k 0.5",
                                        "/set max_tokens 0",    "/set seed 1e300"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refuse(&s, wrong[i], "is not allowed");
    }
    assert_false(s.parameters.given[CHAT_TEMPERATURE]);
    refuse(&s, "/set temprature 1", "did you mean temperature?");
    refuse(&s, "/set xyzzy 1", "/set lists");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_message_comes_first_and_stays),
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded_again, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(history_is_its_owners_and_does_not_grow_for_ever,
                                        make_folder, remove_folder),
        cmocka_unit_test(commands_do_what_they_say),
        cmocka_unit_test(only_what_is_in_bounds_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* model_labels.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/registry/model_labels.h"

static void set(struct model_labels *l, const char *label, const char *version)
{
    struct err e = {0};
    assert_int_equal(model_labels_set(l, label, version, &e), 0);
}

static void labels_move_and_go(void **state)
{
    (void)state;
    struct model_labels l = {0};
    assert_null(model_labels_find(&l, "stable"));
    set(&l, "stable", "2");
    set(&l, "canary", "3");
    set(&l, "nightly", "3");
    assert_string_equal(model_labels_find(&l, "stable"), "2");
    set(&l, "stable", "3");
    assert_string_equal(model_labels_find(&l, "stable"), "3");
    assert_int_equal(l.count, 3);
    set(&l, "canary", NULL);
    set(&l, "canary", NULL);
    assert_null(model_labels_find(&l, "canary"));
    assert_string_equal(model_labels_find(&l, "stable"), "3");
    assert_string_equal(model_labels_find(&l, "nightly"), "3");
    set(&l, "nightly", NULL);
    set(&l, "stable", NULL);
    assert_int_equal(l.count, 0);
}

static void refuse(struct model_labels *l, const char *label, const char *version,
                   const char *param)
{
    struct err e = {0};
    assert_int_equal(model_labels_set(l, label, version, &e), -1);
    assert_string_equal(e.param, param);
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    struct model_labels l = {0};
    char full[VERSION_NAME_MAX + 2];
    memset(full, 'a', sizeof(full) - 1);
    full[sizeof(full) - 1] = '\0';
    refuse(&l, "", "2", "label");
    refuse(&l, "sha256:00", "2", "label");
    refuse(&l, "a@b", "2", "label");
    refuse(&l, full, "2", "label");
    refuse(&l, "stable", "../2", "version");
    full[VERSION_NAME_MAX] = '\0';
    set(&l, full, full);
    assert_string_equal(model_labels_find(&l, full), full);
}

static void there_is_a_bound(void **state)
{
    (void)state;
    struct model_labels l = {0};
    char name[32];
    for (int i = 0; i < MODEL_LABELS_MOVED_MAX; i++) {
        snprintf(name, sizeof(name), "label-%d", i);
        set(&l, name, "1");
    }
    refuse(&l, "one-more", "1", "label");
    set(&l, "label-7", "2");
    set(&l, "label-0", NULL);
    set(&l, "one-more", "1");
    assert_string_equal(model_labels_find(&l, "label-7"), "2");
    assert_string_equal(model_labels_find(&l, "label-63"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_move_and_go),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(there_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

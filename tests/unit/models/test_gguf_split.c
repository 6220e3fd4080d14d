/* A model in several GGUF files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/format/gguf_write.h"
#include "runtime/base/mem.h"

#define FILES    3
#define PATH_LEN 128

static char folder[] = "/tmp/weir-test-split-XXXXXX";

/* What a file says of itself; the fields are the truth unless a test changes one. */
struct part {
    uint32_t no, count;
    const char *tensor; /* NULL: none */
};

static const struct part right[FILES] = {{0, FILES, "a"}, {1, FILES, "b"}, {2, FILES, "c"}};

static void path_of(char out[PATH_LEN], unsigned no)
{
    snprintf(out, PATH_LEN, "%s/m-%05u-of-%05d.gguf", folder, no + 1, FILES);
}

static void write_part(const struct part *part, unsigned no, uint32_t n_tensors)
{
    static const float numbers[3][2] = {{1, 2}, {3, 4}, {5, 6}};
    char path[PATH_LEN];
    struct err e = {0};
    struct gguf_writer *w = gguf_writer_create(&e);
    assert_non_null(w);
    gguf_put_u16(w, "split.no", (uint16_t)part->no);
    gguf_put_u16(w, "split.count", (uint16_t)part->count);
    gguf_put_i32(w, "split.tensors.count", (int32_t)n_tensors);
    gguf_put_str(w, "general.name", no == 0 ? "whole" : "part");
    if (part->tensor) {
        gguf_add_tensor(w, part->tensor, TENSOR_F32, 1, (const uint64_t[]){2}, numbers[no]);
    }
    path_of(path, no);
    if (gguf_writer_write(w, path, &e) != 0) {
        fail_msg("%s", e.message);
    }
    gguf_writer_destroy(w);
}

static void write_all(const struct part parts[FILES], uint32_t n_tensors)
{
    for (unsigned no = 0; no < FILES; no++) {
        write_part(&parts[no], no, n_tensors);
    }
}

static struct gguf *open_first(struct err *e)
{
    char path[PATH_LEN];
    path_of(path, 0);
    return gguf_open(path, e);
}

static void the_tensors_of_all_files_are_there(void **state)
{
    (void)state;
    struct err e = {0};
    char whole[HASH_HEX_LEN + 1], again[HASH_HEX_LEN + 1];
    write_all(right, FILES);
    struct gguf *g = open_first(&e);
    if (!g) {
        fail_msg("%s", e.message);
    }
    assert_int_equal(gguf_tensor_count(g), 3);
    const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < FILES; i++) {
        const struct gguf_tensor *t = gguf_tensor_find(g, names[i]);
        assert_non_null(t);
        assert_true(((const float *)t->data)[0] == (float)(2 * i + 1));
        assert_string_equal(gguf_tensor_at(g, i)->name, names[i]);
    }
    struct gguf_str name;
    assert_int_equal(gguf_get_str(g, "general.name", &name, &e), 0);
    assert_memory_equal(name.data, "whole", 5);
    assert_int_equal(gguf_sha256(g, whole, &e), 0);
    gguf_close(g);

    /* The hash and the size are those of all files. */
    struct part other[FILES];
    memcpy(other, right, sizeof(other));
    other[2].tensor = "d";
    write_all(other, FILES);
    g = open_first(&e);
    assert_non_null(g);
    assert_int_equal(gguf_sha256(g, again, &e), 0);
    assert_string_not_equal(whole, again);
    assert_true(gguf_file_size(g) > 300);
    gguf_close(g);
}

static void a_file_without_tensors_may_be_the_first(void **state)
{
    (void)state;
    struct err e = {0};
    struct part parts[FILES];
    memcpy(parts, right, sizeof(parts));
    parts[0].tensor = NULL;
    write_all(parts, 2);
    struct gguf *g = open_first(&e);
    assert_non_null(g);
    assert_int_equal(gguf_tensor_count(g), 2);
    gguf_close(g);
}

static void expect_refusal(const struct part parts[FILES], uint32_t n_tensors,
                           const char *words)
{
    struct err e = {0};
    write_all(parts, n_tensors);
    struct gguf *g = open_first(&e);
    assert_null(g);
    if (!strstr(e.message, words)) {
        fail_msg("wanted \"%s\", got \"%s\"", words, e.message);
    }
}

static void files_that_do_not_belong_together_are_refused(void **state)
{
    (void)state;
    struct part parts[FILES];
    memcpy(parts, right, sizeof(parts));
    parts[1].no = 2;
    expect_refusal(parts, FILES,
                   "-00002-of-00003.gguf: says that it is file 3 of 3, not 2 of 3");
    memcpy(parts, right, sizeof(parts));
    parts[2].count = 4;
    expect_refusal(parts, FILES, "says that it is file 3 of 4, not 3 of 3");
    memcpy(parts, right, sizeof(parts));
    parts[2].tensor = "a";
    expect_refusal(parts, FILES, "tensor \"a\" is in two files");
    expect_refusal(right, 4, "have 3 tensors, 4 were announced");
    memcpy(parts, right, sizeof(parts));
    parts[0].count = 5;
    expect_refusal(parts, FILES, "whose name ends in \"-00001-of-00005.gguf\"");
}

static void a_missing_file_and_a_later_one_are_told(void **state)
{
    (void)state;
    struct err e = {0};
    char path[PATH_LEN];
    write_all(right, FILES);
    path_of(path, 1);
    assert_null(gguf_open(path, &e));
    assert_non_null(strstr(e.message, "give the first"));
    unlink(path);
    assert_null(open_first(&e));
    assert_non_null(strstr(e.message, "m-00002-of-00003.gguf: cannot open"));
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    struct gguf *g = NULL;
    write_all(right, FILES);
    for (size_t nth = 1; !g; nth++) {
        struct err e = {0};
        const size_t live = mem_live();
        mem_fail_at(nth);
        g = open_first(&e);
        mem_fail_at(0);
        assert_true(g || (e.kind == ERR_NOMEM && mem_live() == live));
    }
    gguf_close(g);
    assert_int_equal(mem_live(), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    for (unsigned no = 0; no < FILES; no++) {
        char path[PATH_LEN];
        path_of(path, no);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tensors_of_all_files_are_there),
        cmocka_unit_test(a_file_without_tensors_may_be_the_first),
        cmocka_unit_test(files_that_do_not_belong_together_are_refused),
        cmocka_unit_test(a_missing_file_and_a_later_one_are_told),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

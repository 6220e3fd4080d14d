/* How documents fill batches, what is learnt, and token files that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/train/dataset.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define N_DOCS   50
#define N_SLICES 3
#define CAPACITY 40

struct fixture {
    char path[40];
    struct dataset *data;
    struct train_slice slices[N_SLICES];
};

/* Document d: d % 13 + 2 tokens d, d + 1, ..; learnt is every token that is odd. */
static uint32_t doc_length(uint32_t d)
{
    return d % 13 + 2;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct dataset_writer w;
    struct err e;
    int rc = 0;
    snprintf(f->path, sizeof(f->path), "/tmp/weir-tok-%d.tok", (int)getpid());
    dataset_writer_init(&w, 100);
    for (uint32_t d = 0; d < N_DOCS; d++) {
        uint32_t tokens[16];
        for (uint32_t i = 0; i < doc_length(d); i++) {
            tokens[i] = (d + i) | ((d + i) % 2 ? DATASET_LEARN : 0);
        }
        rc |= dataset_writer_add(&w, tokens, doc_length(d), &e);
    }
    rc |= dataset_writer_finish(&w, f->path, &e);
    dataset_writer_deinit(&w);
    f->data = dataset_open(f->path, &e);
    for (size_t i = 0; i < N_SLICES; i++) {
        rc |= train_slice_init(&f->slices[i], CAPACITY, &e);
    }
    *state = f;
    return rc || !f->data ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < N_SLICES; i++) {
        train_slice_deinit(&f->slices[i]);
    }
    dataset_close(f->data);
    unlink(f->path);
    free(f);
    return 0;
}

static void check_doc(const struct train_slice *s, uint32_t begin, uint32_t end, unsigned *seen)
{
    uint32_t doc = s->tokens[begin];
    assert_true(doc < N_DOCS);
    assert_int_equal(end - begin, doc_length(doc));
    seen[doc]++;
    for (uint32_t t = begin; t < end; t++) {
        uint32_t next = s->tokens[t] + 1;
        bool learn = t + 1 < end && next % 2 == 1;
        assert_int_equal(s->positions[t], t - begin);
        assert_int_equal(s->tokens[t], doc + t - begin);
        assert_int_equal(s->targets[t], learn ? next : TRAIN_NO_TARGET);
    }
}

/* Checks every slice, counts the documents in it, and returns the tokens. */
static uint32_t check_batch(const struct fixture *f, unsigned *seen)
{
    uint32_t total = 0;
    for (size_t i = 0; i < N_SLICES; i++) {
        const struct train_slice *s = &f->slices[i];
        uint32_t begin = 0;
        assert_true(s->n_tokens <= CAPACITY);
        for (uint32_t d = 0; d < s->n_docs; begin = s->doc_ends[d++]) {
            check_doc(s, begin, s->doc_ends[d], seen);
        }
        assert_int_equal(begin, s->n_tokens);
        total += s->n_tokens;
    }
    return total;
}

static void an_epoch_gives_each_document_once_and_whole(void **state)
{
    struct fixture *f = *state;
    struct err e;
    unsigned seen[N_DOCS] = {0};
    struct batcher *b = batcher_create(f->data, 20, 1, true, &e);
    uint32_t batches = 0, tokens = 0;
    while (batcher_fill(b, f->slices, N_SLICES, true) > 0) {
        tokens += check_batch(f, seen);
        batches++;
    }
    for (uint32_t d = 0; d < N_DOCS;
         d++) { /* [0, 1] learns 1; [d, d + 1] with d odd learns nothing */
        assert_int_equal(seen[d], doc_length(d) == 2 && d % 2 == 1 ? 0 : 1);
    }
    assert_true(tokens > (batches - 1) * (CAPACITY - 13) * N_SLICES);
    batcher_destroy(b);
}

static void order_depends_on_seed_and_epoch_and_can_be_sought(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct batcher *a = batcher_create(f->data, 20, 1, true, &e);
    struct batcher *b = batcher_create(f->data, 20, 1, true, &e);
    struct batcher *c = batcher_create(f->data, 20, 2, true, &e);
    uint32_t first[CAPACITY], again[CAPACITY];
    batcher_fill(a, f->slices, N_SLICES, false);
    memcpy(first, f->slices[0].tokens, sizeof(first));
    batcher_fill(c, f->slices, N_SLICES, false);
    assert_memory_not_equal(first, f->slices[0].tokens, 4 * sizeof(uint32_t));

    for (int i = 0; i < 9; i++) {
        batcher_fill(a, f->slices, N_SLICES, false);
    }
    struct batcher_position at = batcher_tell(a);
    assert_true(at.epoch > 0);
    batcher_fill(a, f->slices, N_SLICES, false);
    memcpy(again, f->slices[0].tokens, sizeof(again));
    assert_int_equal(batcher_seek(b, at, &e), 0);
    batcher_fill(b, f->slices, N_SLICES, false);
    assert_memory_equal(again, f->slices[0].tokens, f->slices[0].n_tokens * sizeof(uint32_t));
    at.next = N_DOCS + 1;
    assert_int_equal(batcher_seek(b, at, &e), -1);
    batcher_destroy(a);
    batcher_destroy(b);
    batcher_destroy(c);
}

static void documents_longer_than_the_limit_are_cut(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct batcher *b = batcher_create(f->data, 6, 1, false, &e);
    uint32_t longest = 0, tokens = 0;
    while (batcher_fill(b, f->slices, N_SLICES, true) > 0) {
        for (size_t i = 0; i < N_SLICES; i++) {
            uint32_t begin = 0;
            for (uint32_t d = 0; d < f->slices[i].n_docs; begin = f->slices[i].doc_ends[d++]) {
                if (f->slices[i].doc_ends[d] - begin > longest) {
                    longest = f->slices[i].doc_ends[d] - begin;
                }
            }
            tokens += f->slices[i].n_tokens;
        }
    }
    assert_int_equal(longest, 6);
    assert_true(tokens > dataset_token_count(f->data) * 9 / 10);
    batcher_destroy(b);
}

static void expect_refused(const struct fixture *f, const void *bytes, size_t len,
                           const char *word)
{
    struct err e;
    char path[64];
    snprintf(path, sizeof(path), "%s.bad", f->path);
    assert_int_equal(file_write_atomic(path, bytes, len, &e), 0);
    assert_null(dataset_open(path, &e));
    assert_non_null(strstr(e.message, path));
    assert_non_null(strstr(e.message, word));
    unlink(path);
}

static void malformed_files_are_refused_with_the_field_s_name(void **state)
{
    struct fixture *f = *state;
    struct err e;
    size_t len;
    char *good = file_read(f->path, 1 << 20, &len, &e), *bad = malloc(len);
    uint32_t *words = (uint32_t *)bad, last = (uint32_t)(len / 4) - 1;
    const struct {
        size_t word;
        uint32_t value;
        const char *expect;
    } cases[] = {
        {0, 0, "WEIRTOK1"},
        {3, 0, "damaged"},
        {3, UINT32_MAX, "damaged"},
        {4, UINT32_MAX, "damaged"},
        {2, 10, "tokens["},
        {7, 100, "tokens[1]"},
        {last, 0, "doc_ends[49]"},
        {last - 49, 0, "doc_ends[0]"},
        {last, UINT32_MAX, "doc_ends[49]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(bad, good, len);
        words[cases[i].word] = cases[i].value;
        expect_refused(f, bad, len, cases[i].expect);
    }
    expect_refused(f, good, len - 4, "damaged");
    expect_refused(f, good, 8, "not a token file");
    expect_refused(f, "", 0, "not a token file");
    free(bad);
    mem_free(good);
}

static void writer_refuses_ids_outside_the_vocabulary_and_empty_files(void **state)
{
    struct fixture *f = *state;
    struct dataset_writer w;
    struct err e;
    uint32_t token = 7 | DATASET_LEARN;
    dataset_writer_init(&w, 7);
    assert_int_equal(dataset_writer_add(&w, &token, 1, &e), -1);
    assert_int_equal(dataset_writer_add(&w, &token, 0, &e), -1);
    assert_int_equal(dataset_writer_finish(&w, f->path, &e), -1);
    dataset_writer_deinit(&w);
}

/* A folder of its own with the fixture's file twice and a shorter one. */
static void make_shards(const struct fixture *f, char folder[40])
{
    struct err e;
    size_t len;
    char path[64];
    snprintf(folder, 40, "/tmp/weir-shards-XXXXXX");
    assert_non_null(mkdtemp(folder));
    char *bytes = file_read(f->path, 1 << 20, &len, &e);
    assert_non_null(bytes);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%c.tok", folder, "ba"[i]);
        assert_int_equal(file_write_atomic(path, bytes, len, &e), 0);
    }
    mem_free(bytes);
    snprintf(path, sizeof(path), "%s/c.txt", folder);
    assert_int_equal(file_write_atomic(path, "x", 1, &e), 0);
}

static void remove_shards(const char *folder)
{
    char path[64];
    for (const char *name = "abcd"; *name; name++) {
        snprintf(path, sizeof(path), "%s/%c.tok", folder, *name);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/c.txt", folder);
    unlink(path);
    rmdir(folder);
}

static void several_files_are_read_as_one(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char folder[40];
    uint32_t n;
    make_shards(f, folder);
    const char *paths[] = {folder, f->path};
    struct dataset *all = dataset_open_all(paths, 2, NULL, &e);
    assert_non_null(all);
    assert_int_equal(dataset_file_count(all), 3);
    assert_non_null(strstr(dataset_file(all, 0), "/a.tok"));
    assert_non_null(strstr(dataset_file(all, 1), "/b.tok"));
    assert_string_equal(dataset_file(all, 2), f->path);
    assert_true(dataset_token_count(all) == 3 * dataset_token_count(f->data));
    assert_true(dataset_doc_count(all) == 3 * N_DOCS);

    /* Every document three times in an epoch. */
    struct batcher *one = batcher_create(f->data, 20, 1, false, &e);
    struct batcher *b = batcher_create(all, 20, 1, true, &e);
    assert_int_equal(batcher_doc_count(b), 3 * batcher_doc_count(one));
    uint64_t tokens = 0;
    while ((n = batcher_fill(b, f->slices, N_SLICES, true)) > 0) {
        for (size_t i = 0; i < N_SLICES; i++) {
            tokens += f->slices[i].n_tokens;
        }
    }
    assert_true(tokens > dataset_token_count(all) * 9 / 10);
    batcher_destroy(b);
    batcher_destroy(one);
    dataset_close(all);
    remove_shards(folder);
}

static void of_a_folder_with_parts_the_one_asked_for_is_taken(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char folder[40], from[64], to[64];
    const char *paths[] = {folder};
    make_shards(f, folder);
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof(from), "%s/%c.tok", folder, "ab"[i]);
        snprintf(to, sizeof(to), "%s/%s-00000.tok", folder, i ? "heldout" : "train");
        assert_int_equal(rename(from, to), 0);
    }
    for (int i = 0; i < 2; i++) {
        struct dataset *d = dataset_open_all(paths, 1, i ? "heldout" : "train", &e);
        assert_non_null(d);
        assert_int_equal(dataset_file_count(d), 1);
        assert_non_null(strstr(dataset_file(d, 0), i ? "heldout-" : "train-"));
        dataset_close(d);
    }
    unlink(to);
    snprintf(to, sizeof(to), "%s/train-00000.tok", folder);
    unlink(to);
    remove_shards(folder);
}

static void other_data_has_another_hash(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char folder[40], path[64];
    size_t len;
    make_shards(f, folder);
    snprintf(path, sizeof(path), "%s/b.tok", folder);
    char *bytes = file_read(path, 1 << 20, &len, &e);
    bytes[24] ^= 1; /* the first token */
    assert_int_equal(file_write_atomic(path, bytes, len, &e), 0);
    mem_free(bytes);
    const char *forth[] = {f->path, path}, *back[] = {path, f->path};
    struct dataset *a = dataset_open_all(forth, 2, NULL, &e),
                   *b = dataset_open_all(back, 2, NULL, &e);
    struct dataset *c = dataset_open(path, &e);
    assert_true(a && b && c);
    assert_true(dataset_hash(a) != dataset_hash(b));
    assert_true(dataset_hash(c) != dataset_hash(f->data));
    dataset_close(a);
    dataset_close(b);
    dataset_close(c);
    remove_shards(folder);
}

static void what_is_no_set_of_shards_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char folder[40], path[64];
    const char *twice[] = {f->path, f->path};
    assert_null(dataset_open_all(twice, 2, NULL, &e));
    assert_non_null(strstr(e.message, "twice"));

    make_shards(f, folder);
    struct dataset_writer w;
    dataset_writer_init(&w, 101);
    assert_int_equal(dataset_writer_add(&w, (uint32_t[2]){1, 2}, 2, &e), 0);
    snprintf(path, sizeof(path), "%s/d.tok", folder);
    assert_int_equal(dataset_writer_finish(&w, path, &e), 0);
    dataset_writer_deinit(&w);
    assert_null(dataset_open(folder, &e));
    assert_non_null(strstr(e.message, "d.tok"));
    assert_non_null(strstr(e.message, "vocabulary"));
    remove_shards(folder);

    snprintf(folder, sizeof(folder), "/tmp/weir-shards-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_null(dataset_open(folder, &e));
    assert_non_null(strstr(e.message, "no .tok file"));
    rmdir(folder);
}

static void a_failed_allocation_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char folder[40];
    make_shards(f, folder);
    const char *paths[] = {folder, f->path};
    size_t live = mem_live();
    bool reached = true;
    for (size_t nth = 1; reached && nth < 1000; nth++) {
        mem_fail_at(nth);
        struct dataset *d = dataset_open_all(paths, 2, NULL, &e);
        struct batcher *b = d ? batcher_create(d, 20, 1, true, &e) : NULL;
        reached = mem_fail_reached();
        mem_fail_at(0);
        assert_true((b == NULL) == reached);
        batcher_destroy(b);
        dataset_close(d);
        assert_int_equal(mem_live(), live);
    }
    assert_false(reached);
    remove_shards(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_epoch_gives_each_document_once_and_whole, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(order_depends_on_seed_and_epoch_and_can_be_sought,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(several_files_are_read_as_one, setup, teardown),
        cmocka_unit_test_setup_teardown(of_a_folder_with_parts_the_one_asked_for_is_taken,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(other_data_has_another_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_set_of_shards_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_leaks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_longer_than_the_limit_are_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(malformed_files_are_refused_with_the_field_s_name,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            writer_refuses_ids_outside_the_vocabulary_and_empty_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A curation as a whole: what is dropped for which reason, what is written, and that neither
 * threads nor failures change it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/curate/curate.h"
#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

struct fixture {
    char folder[64], input[96], exclude[96], out[96];
    struct curate_options options;
    const char *inputs[1], *excludes[1];
    struct curate_summary summary;
    struct err e;
};

static void write_file(const char *path, const char *text)
{
    struct err e;
    assert_int_equal(file_write_atomic(path, text, strlen(text), &e), 0);
}

static char *read_out(const struct fixture *f, const char *name)
{
    char path[256];
    size_t len;
    struct err e;
    snprintf(path, sizeof(path), "%s/%s", f->out, name);
    return file_read(path, 1 << 24, &len, &e);
}

static void remove_all(const char *folder)
{
    char path[512];
    DIR *dir = opendir(folder);
    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        snprintf(path, sizeof(path), "%.200s/%.200s", folder, d->d_name);
        if (d->d_name[0] != '.' && unlink(path) != 0) {
            remove_all(path);
        }
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(folder);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (!f) {
        return -1;
    }
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-curate-XXXXXX");
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    snprintf(f->input, sizeof(f->input), "%s/in.jsonl", f->folder);
    snprintf(f->exclude, sizeof(f->exclude), "%s/test.jsonl", f->folder);
    snprintf(f->out, sizeof(f->out), "%s/out", f->folder);
    curate_options_init(&f->options);
    f->inputs[0] = f->input;
    f->excludes[0] = f->exclude;
    f->options.inputs = f->inputs;
    f->options.n_inputs = 1;
    f->options.out = f->out;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    remove_all(f->folder);
    mem_free(f->summary.labels);
    free(f);
    return 0;
}

static void run(struct fixture *f)
{
    if (curate_run(&f->options, &f->summary, &f->e)) {
        fail_msg("%s", f->e.message);
    }
}

#define STORY                                                                                  \
    "The old harbour lies at the mouth of the river. In summer boats go out to the islands "   \
    "each morning, and in winter the fishermen mend their nets in the long sheds by the quay." \
    " Children learn to swim from the steps"

static const char dirty[] =
    "{\"text\":\"" STORY ".\"}\n"
    "{\"text\":\"" STORY "!!\"}\n" /* 2: exact */
    "\n"
    "{\"text\":\"" STORY " there.\"}\n"                               /* 4: near */
    "{\"text\":\"#### |||| {{{}}} ~~~~ a b\"}\n"                      /* 5: quality */
    "{\"text\":\"Buy now! 50% off, click here: http://x.example\"}\n" /* 6: spam */
    "{\"text\":\"Die alte Br\xc3\xbc"
    "cke war gesperrt und wir mussten auf dem Weg nach Hause "
    "durch den Wald.\"}\n"                                   /* 7: language */
    "{\"text\":\"Write to anna@post.example.com soon.\"}\n"  /* 8: redacted */
    "{\"text\":\"Write to berta@post.example.com soon.\"}\n" /* 9: exact then */
    "{\"messages\":[{\"role\":\"user\",\"content\":\"What is the secret of the deep blue "
    "sea today?\"},{\"role\":\"assistant\",\"content\":\"Salt.\"}]}\n" /* 10: leak */
    "{\"text\":\"broken\n"                                             /* 11: malformed */
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"},{\"role\":\"assistant\","
    "\"content\":\"Good day.\"}],\"id\":7,\"label\":\"clean\"}\n"; /* 12: kept */

static void dirty_options(struct fixture *f)
{
    write_file(f->input, dirty);
    write_file(f->exclude, "{\"messages\":[{\"role\":\"user\",\"content\":\"What is the secret "
                           "of the deep blue sea today?\"}]}\n");
    f->options.excludes = f->excludes;
    f->options.n_excludes = 1;
    f->options.languages = "en";
    f->options.filters = "default";
}

static void each_step_drops_what_it_is_for(void **state)
{
    struct fixture *f = *state;
    static const uint64_t expected[CURATE_STEPS] = {
        [CURATE_KEPT] = 3,     [CURATE_MALFORMED] = 1, [CURATE_EXACT] = 2, [CURATE_QUALITY] = 2,
        [CURATE_LANGUAGE] = 1, [CURATE_FILTERS] = 0,   [CURATE_LEAK] = 1,  [CURATE_NEAR] = 1};
    dirty_options(f);
    run(f);
    for (size_t i = 0; i < CURATE_STEPS; i++) {
        assert_int_equal(f->summary.steps[i], expected[i]);
    }
    assert_int_equal(f->summary.redacted, 1);
    char *train = read_out(f, "train.jsonl");
    assert_non_null(train);
    assert_null(strstr(train, "@post"));
    assert_non_null(strstr(train, "\"label\":\"clean\"")); /* a key like others here */
    assert_non_null(strstr(train, "\"id\":7"));
    assert_non_null(strstr(train, "{\"text\":\"" STORY ".\"}\n"));
    mem_free(train);
    char *dropped = read_out(f, "dropped.jsonl");
    static const char *const parts[] = {
        "\"line\":2},\"step\":\"exact\",\"reason\":\"exact\",\"match\":{",
        "\"line\":4},\"step\":\"near\",\"reason\":\"near\",\"match\":{",
        "\"line\":5},\"step\":\"quality\",\"reason\":\"quality: letters\",\"value\":",
        "\"line\":6},\"step\":\"quality\",\"reason\":\"quality: spam\"",
        "\"line\":7},\"step\":\"language\",\"reason\":\"language: de\"",
        "\"line\":9},\"step\":\"exact\"",
        "\"line\":10},\"step\":\"leak\",\"reason\":\"leak: run of words\",\"match\":{",
        "\"line\":11},\"step\":\"malformed\"",
        "in.jsonl:11: ",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(dropped, parts[i])) {
            fail_msg("%s is not in %s", parts[i], dropped);
        }
    }
    mem_free(dropped);
}

static void malformed_lines_stop_where_asked(void **state)
{
    struct fixture *f = *state;
    dirty_options(f);
    f->options.stop_on_malformed = true;
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "in.jsonl:11: "));
    assert_int_equal(access(f->out, F_OK), -1);
    f->options.stop_on_malformed = false;
    write_file(f->exclude, "{\"messages\":[]}\n");
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "test.jsonl:1: messages is empty"));
}

/* Many small documents with a share of repeated sentences. */
static void write_many(const struct fixture *f, unsigned n)
{
    struct buf text;
    buf_init(&text, 1 << 24);
    for (unsigned i = 0; i < n; i++) {
        buf_printf(&text, "{\"text\":\"");
        for (unsigned k = 0; k < 30; k++) {
            buf_printf(&text, "word%u ", (i / 3 * 31 + k + (k == i % 3 * 9)) * 7919 % 5003);
        }
        buf_printf(&text, "%s\"}\n",
                   i % 50 == 0 ? "and in the end they all came home to a "
                                 "warm supper at the old house"
                               : "");
    }
    write_file(f->input, text.data);
    buf_deinit(&text);
}

static void threads_do_not_change_the_result(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"train.jsonl", "heldout.jsonl", "dropped.jsonl",
                                        "manifest.json"};
    char *before[4];
    write_many(f, 600);
    f->options.heldout = 0.2;
    f->options.filters = "default";
    f->options.quality_set = "off";
    quality_preset(&f->options.quality, "off");
    f->options.threads = 1;
    run(f);
    assert_true(f->summary.steps[CURATE_NEAR] > 100);
    assert_true(f->summary.heldout > 5);
    for (size_t i = 0; i < 4; i++) {
        before[i] = read_out(f, files[i]);
        assert_non_null(before[i]);
    }
    f->options.threads = 4;
    f->options.replace = true;
    run(f);
    for (size_t i = 0; i < 4; i++) {
        char *after = read_out(f, files[i]);
        assert_string_equal(before[i], after);
        mem_free(after);
        mem_free(before[i]);
    }
}

/* Those with the long sentence share a run of 14 words: none of them is held out alone. */
static void what_is_held_out_shares_no_run(void **state)
{
    struct fixture *f = *state;
    write_many(f, 600);
    f->options.heldout = 0.3;
    f->options.quality_set = "off";
    quality_preset(&f->options.quality, "off");
    run(f);
    char *heldout = read_out(f, "heldout.jsonl"), *train = read_out(f, "train.jsonl");
    assert_non_null(strstr(train, "warm supper"));
    assert_null(strstr(heldout, "warm supper"));
    assert_true(f->summary.moved_back > 0);
    mem_free(heldout);
    mem_free(train);
}

static void a_result_is_not_overwritten(void **state)
{
    struct fixture *f = *state;
    char path[128];
    write_file(f->input, "{\"text\":\"A first text of the folder.\"}\n");
    run(f);
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "--replace"));
    f->options.replace = true;
    write_file(f->input, "{\"text\":\"Another text is here now.\"}\n");
    run(f);
    char *train = read_out(f, "train.jsonl");
    assert_non_null(strstr(train, "Another"));
    mem_free(train);
    /* A folder that is not ours stays as it is. */
    snprintf(path, sizeof(path), "%s/manifest.json", f->out);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "no result of weir curate"));
}

static void leftovers_of_a_killed_run_do_no_harm(void **state)
{
    struct fixture *f = *state;
    char partial[128], path[256];
    snprintf(partial, sizeof(partial), "%s.partial", f->out);
    snprintf(path, sizeof(path), "%s/train-00007.tok", partial);
    assert_int_equal(mkdir(partial, 0777), 0);
    write_file(path, "half");
    write_file(f->input, "{\"text\":\"A first text of the folder.\"}\n");
    run(f);
    snprintf(path, sizeof(path), "%s/train-00007.tok", f->out);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(partial, F_OK), -1);
}

static void text_files_are_cut_where_asked(void **state)
{
    struct fixture *f = *state;
    snprintf(f->input, sizeof(f->input), "%s/in.txt", f->folder);
    write_file(f->input, "\xef\xbb\xbf"
                         "First \"part\" here,\r\nwith two lines.\n \n\n"
                         "Second part is here.\n");
    run(f);
    char *train = read_out(f, "train.jsonl");
    assert_string_equal(train, "{\"text\":\"First \\\"part\\\" here,\\r\\nwith two lines.\\n "
                               "\\n\\nSecond part is here.\"}\n");
    mem_free(train);
    f->options.by_blank_lines = true;
    f->options.replace = true;
    run(f);
    train = read_out(f, "train.jsonl");
    assert_string_equal(train, "{\"text\":\"First \\\"part\\\" here,\\r\\nwith two lines.\"}\n"
                               "{\"text\":\"Second part is here.\"}\n");
    mem_free(train);
    f->options.by_blank_lines = false;
    write_file(f->input, "not \xff UTF-8");
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), 0);
    assert_int_equal(f->summary.steps[CURATE_MALFORMED], 1);
}

static void labels_give_precision_and_recall(void **state)
{
    struct fixture *f = *state;
    write_file(f->input,
               "{\"text\":\"" STORY ".\",\"label\":\"clean\"}\n"
               "{\"text\":\"" STORY ".\",\"label\":\"exact_duplicate\"}\n"
               "{\"text\":\"A fine day at the lake with all of us.\",\"label\":\"spam\"}\n"
               "{\"text\":\"Buy now! Click here: http://x.example\",\"label\":\"spam\"}\n"
               "{\"text\":\"Order now, free shipping, act now!\"}\n");
    f->options.labels = true;
    run(f);
    char *json = read_out(f, "labels.json");
    assert_non_null(strstr(json, "{\"label\": \"spam\", \"dirt\": true, \"planted\": 2, "
                                 "\"found\": 1, \"own\": 1, \"recall\": 0.5000}"));
    assert_non_null(strstr(json, "{\"step\": \"spam\", \"own\": 1, \"other\": 0, \"clean\": 1, "
                                 "\"precision\": 0.5000}"));
    assert_non_null(strstr(json, "{\"step\": \"leak\", \"own\": 0, \"other\": 0, \"clean\": 0, "
                                 "\"precision\": null}"));
    assert_non_null(strstr(f->summary.labels, "exact_duplicate"));
    mem_free(json);
    char *train = read_out(f, "train.jsonl");
    assert_null(strstr(train, "label"));
    mem_free(train);
}

/* Whichever allocation fails: an error, nothing left behind, nothing leaked. */
static void out_of_memory_is_an_error(void **state)
{
    struct fixture *f = *state;
    dirty_options(f);
    f->options.threads = 1;
    f->options.heldout = 0.3;
    f->options.labels = true;
    run(f); /* what is made once stays */
    mem_free(f->summary.labels);
    f->options.replace = true;
    size_t live = mem_live();
    for (size_t nth = 1;; nth += nth < 60 ? 1 : 37) {
        mem_fail_at(nth);
        int rc = curate_run(&f->options, &f->summary, &f->e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        mem_free(f->summary.labels);
        f->summary.labels = NULL;
        assert_int_equal(mem_live(), live);
        assert_true(rc == 0 || reached);
        if (!reached) {
            break;
        }
    }
}

static void wrong_options_are_named(void **state)
{
    struct fixture *f = *state;
    write_file(f->input, "\n");
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "no document"));
    f->options.languages = "en,xx";
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "\"xx\""));
    f->options.languages = NULL;
    f->options.filters = "/nowhere/chain.json";
    assert_int_equal(curate_run(&f->options, &f->summary, &f->e), -1);
    assert_non_null(strstr(f->e.message, "/nowhere/chain.json"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_step_drops_what_it_is_for),   TEST(malformed_lines_stop_where_asked),
        TEST(threads_do_not_change_the_result), TEST(what_is_held_out_shares_no_run),
        TEST(a_result_is_not_overwritten),      TEST(leftovers_of_a_killed_run_do_no_harm),
        TEST(text_files_are_cut_where_asked),   TEST(labels_give_precision_and_recall),
        TEST(out_of_memory_is_an_error),        TEST(wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* align_data.h: the forms of pairs, what only the last answer's tokens mean, bad lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "models/train/align_data.h"
#include "models/train/dataset.h"
#include "tests/unit/models/small_vocab.h"

static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

struct fixture {
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct chat_template *chat_template;
    struct sft_renderer renderer;
    struct align_set set;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err e = {0};
    *state = f;
    f->gguf = small_vocab_open();
    f->tokenizer = tokenizer_from_gguf(f->gguf, &e);
    f->chat_template = chat_template_compile(chatml, strlen(chatml), &e);
    if (!f->tokenizer || !f->chat_template) {
        fail_msg("%s", e.message);
    }
    f->renderer.chat_template = f->chat_template;
    f->renderer.tokenizer = f->tokenizer;
    output_format_detect(&f->renderer.format, f->chat_template, f->tokenizer, &e);
    align_set_init(&f->set);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    align_set_deinit(&f->set);
    chat_template_destroy(f->chat_template);
    tokenizer_destroy(f->tokenizer);
    gguf_close(f->gguf);
    free(f);
    return 0;
}

static int add(struct fixture *f, const char *line, struct err *e)
{
    cJSON *json = json_parse(line, strlen(line), e);
    assert_non_null(json);
    int rc = align_set_add_pair(&f->set, &f->renderer, json, e);
    cJSON_Delete(json);
    return rc;
}

static void same_doc(const struct fixture *f, const struct align_doc *a,
                     const struct align_doc *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_answer, b->n_answer);
    assert_memory_equal(align_set_tokens(&f->set, a), align_set_tokens(&f->set, b),
                        a->n * sizeof(uint32_t));
}

static void all_forms_of_a_pair_are_one(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    static const char *const forms[] = {
        "{\"messages\":[{\"role\":\"user\",\"content\":\"the fox\"}],\"chosen\":\"jumps\","
        "\"rejected\":\"the dog\"}",
        "{\"prompt\":\"the fox\",\"chosen\":\"jumps\",\"rejected\":\"the dog\"}",
        "{\"prompt\":[{\"role\":\"user\",\"content\":\"the fox\"}],"
        "\"chosen\":[{\"role\":\"assistant\",\"content\":\"jumps\"}],"
        "\"rejected\":{\"role\":\"assistant\",\"content\":\"the dog\"}}",
        "{\"chosen\":[{\"role\":\"user\",\"content\":\"the fox\"},"
        "{\"role\":\"assistant\",\"content\":\"jumps\"}],"
        "\"rejected\":[{\"role\":\"user\",\"content\":\"the fox\"},"
        "{\"role\":\"assistant\",\"content\":\"the dog\"}]}",
        "{\"prompt\":\"the fox\",\"ranking\":[\"jumps\",\"the dog\"]}",
    };
    size_t n = sizeof(forms) / sizeof(forms[0]);
    for (size_t i = 0; i < n; i++) {
        if (add(f, forms[i], &e)) {
            fail_msg("form %zu: %s", i, e.message);
        }
    }
    assert_int_equal(align_set_count(&f->set), n);
    for (size_t i = 1; i < n; i++) {
        same_doc(f, &align_set_pair(&f->set, 0)->chosen, &align_set_pair(&f->set, i)->chosen);
        same_doc(f, &align_set_pair(&f->set, 0)->rejected,
                 &align_set_pair(&f->set, i)->rejected);
    }
}

static void only_the_last_answer_counts(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct align_doc with, without;
    const char *text = "[{\"role\":\"user\",\"content\":\"the fox\"},"
                       "{\"role\":\"assistant\",\"content\":\"the lazy dog jumps\"},"
                       "{\"role\":\"user\",\"content\":\"the fox\"},"
                       "{\"role\":\"assistant\",\"content\":\"jumps\"}]";
    cJSON *messages = json_parse(text, strlen(text), &e);
    assert_int_equal(align_set_add_doc(&f->set, &f->renderer, messages, &with, &e), 0);
    cJSON_DeleteItemFromArray(messages, 0);
    cJSON_DeleteItemFromArray(messages, 0);
    assert_int_equal(align_set_add_doc(&f->set, &f->renderer, messages, &without, &e), 0);
    cJSON_Delete(messages);
    assert_int_equal(with.n_answer, without.n_answer);
    assert_true(with.n > without.n);
    const uint32_t *tokens = align_set_tokens(&f->set, &with);
    for (uint32_t i = 0; i < with.n - with.n_answer; i++) {
        if (tokens[i] & DATASET_LEARN) {
            /* Nothing before the last answer but, at most, what follows its end. */
            assert_true(i + with.n_answer + 2 >= with.n);
        }
    }
}

static void a_ranking_is_each_with_each(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(
        add(f, "{\"prompt\":\"the fox\",\"ranking\":[\"jumps\",\"the dog\",\"a\",\"the\"]}",
            &e),
        0);
    assert_int_equal(align_set_count(&f->set), 6);
    same_doc(f, &align_set_pair(&f->set, 0)->chosen, &align_set_pair(&f->set, 2)->chosen);
    same_doc(f, &align_set_pair(&f->set, 2)->rejected, &align_set_pair(&f->set, 5)->rejected);
}

static void bad_lines_leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[][2] = {
        {"[]", "not a JSON object"},
        {"{\"prompt\":\"the fox\",\"chosen\":\"jumps\"}", "\"rejected\" is missing"},
        {"{\"prompt\":\"the fox\",\"chosen\":\"jumps\",\"rejected\":7}", "something else"},
        {"{\"prompt\":7,\"chosen\":\"jumps\",\"rejected\":\"the\"}", "\"prompt\" must be"},
        {"{\"prompt\":\"the fox\",\"chosen\":\"jumps\",\"rejected\":\"jumps\"}",
         "are the same"},
        {"{\"prompt\":\"the fox\",\"ranking\":[\"jumps\"]}", "2 to 32 answers"},
        {"{\"prompt\":\"the fox\",\"ranking\":[\"jumps\",7]}", "\"ranking\"[1]"},
        {"{\"chosen\":[],\"rejected\":[]}", "\"chosen\""},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        assert_int_equal(add(f, bad[i][0], &e), -1);
        if (!strstr(e.message, bad[i][1])) {
            fail_msg("%s: %s", bad[i][0], e.message);
        }
        assert_int_equal(align_set_count(&f->set), 0);
        assert_int_equal(f->set.tokens.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_forms_of_a_pair_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_last_answer_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ranking_is_each_with_each, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_lines_leave_nothing_behind, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/split.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

static int no_block_is_left(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

/* Splits text by a rule and writes the words with bars between them. */
static void expect_split(const char *rule, const char *text, const char *wanted)
{
    struct split_words words = {0};
    struct err e = {0};
    struct buf got;
    size_t start = 0;
    struct splitter *s = splitter_create(split_rule_find(rule, strlen(rule)), &e);

    buf_init(&got, 4096);
    assert_non_null(s);
    assert_int_equal(splitter_split(s, text, strlen(text), &words, &e), 0);
    for (size_t i = 0; i < words.count; i++) {
        buf_append_str(&got, i > 0 ? "|" : "");
        buf_append(&got, text + start, words.ends[i] - start);
        start = words.ends[i];
    }
    assert_string_equal(got.data ? got.data : "", wanted);
    buf_deinit(&got);
    split_words_deinit(&words);
    splitter_destroy(s);
}

static void words_are_split_as_the_rule_says(void **state)
{
    (void)state;
    expect_split("qwen2", "I'LL pay  1234 now!!\n\n ok",
                 "I|'LL| pay| | |1|2|3|4| now|!!\n\n| ok");
    expect_split("llama-bpe", "1234567 a", "123|456|7| a");
    expect_split("gpt-2", "I'll  pay 1234!", "I|'ll| | pay| 1234|!");
    expect_split("smollm", "in 2024", "in| |2|0|2|4");
    expect_split("default", "a,b 12345", "a|,|b| |123|45");
    expect_split("qwen2", "caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd",
                 "caf\xc3\xa9| \xe4\xbd\xa0\xe5\xa5\xbd");
    expect_split("qwen2", "", "");
    expect_split("gpt-4o", "HelloWorld isn't 12345 it/\n",
                 "Hello|World| isn't| |123|45| it|/\n");
    expect_split("llama4", "ABc dE", "ABc| d|E");
    expect_split("tekken", "HelloWorld isn't 12", "Hello|World| isn|'t| |1|2");
    expect_split("deepseek-v3", "x=12345 .foo \xe4\xbd\xa0y",
                 "x|=|123|45| .|foo| |\xe4\xbd\xa0|y");
    expect_split("deepseek-coder", "a 12, b", "a| |1|2|,| b");
    expect_split("falcon", "a`b 1234", "a|`|b| |123|4");
    expect_split("qwen35", "e\xcc\x81t\xc3\xa9 1", "e\xcc\x81t\xc3\xa9| |1");
    expect_split("stablelm2", "a 12", "a| |1|2");
    expect_split("smaug-bpe", "1234", "123|4");
    expect_split("weir-whitespace", "a_1 b's  e\xcc\x81x\t!?",
                 "a_1| |b|'|s|  |e\xcc\x81x|\t|!?");
    expect_split("weir-whitespace-split",
                 " a.b\xc2\xa0"
                 "c\n",
                 " |a.b|\xc2\xa0|c|\n");
    expect_split("weir-metaspace",
                 "a\xe2\x96\x81\xe2\x96\x81"
                 "b c\xe2\x96\x81",
                 "a|\xe2\x96\x81|\xe2\x96\x81"
                 "b c|\xe2\x96\x81");
    expect_split("weir-whole-text", " a b\n", " a b\n");
}

static void one_rule_has_many_names(void **state)
{
    (void)state;
    assert_non_null(split_rule_find("phi-2", 5));
    assert_ptr_equal(split_rule_find("phi-2", 5), split_rule_find("gpt-2", 5));
    assert_null(split_rule_find("phi", 3));
    assert_null(split_rule_find("gpt-2 phi-2", 11));
    assert_null(split_rule_find("", 0));
}

static void bytes_that_are_no_text_are_words_of_their_own(void **state)
{
    (void)state;
    expect_split("qwen2",
                 "ab\xff\xfe"
                 "cd\xe4\xbd",
                 "ab|\xff\xfe|cd|\xe4\xbd");
    expect_split("deepseek-llm", "\xc0\x80x", "\xc0\x80|x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(words_are_split_as_the_rule_says, no_block_is_left),
        cmocka_unit_test(one_rule_has_many_names),
        cmocka_unit_test_teardown(bytes_that_are_no_text_are_words_of_their_own,
                                  no_block_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

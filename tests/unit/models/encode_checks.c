#include "tests/unit/models/encode_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/mem.h"

struct tokenizer *encode_open(struct gguf *g)
{
    struct err e = {0};
    struct tokenizer *t = tokenizer_from_gguf(g, &e);
    gguf_close(g);
    if (!t) {
        fail_msg("%s", e.message);
    }
    return t;
}

void encode_expect_refusal(struct gguf *g, const char *words_of_it)
{
    struct err e = {0};
    struct tokenizer *t = tokenizer_from_gguf(g, &e);
    gguf_close(g);
    assert_null(t);
    if (!strstr(e.message, words_of_it)) {
        fail_msg("%s", e.message);
    }
}

void encode_expect_failing_allocations(struct gguf *g, const char *text, size_t len)
{
    int rc = -1;
    for (size_t nth = 1; rc != 0; nth++) {
        const size_t live = mem_live();
        struct token_list list = {0};
        struct err e = {0};
        mem_fail_at(nth);
        struct tokenizer *t = tokenizer_from_gguf(g, &e);
        rc = t ? tokenizer_encode(t, text, len, false, &list, &e) : -1;
        mem_fail_at(0);
        assert_true(rc == 0 || (e.kind == ERR_NOMEM && list.count == 0));
        token_list_deinit(&list);
        tokenizer_destroy(t);
        assert_int_equal(mem_live(), live);
    }
    gguf_close(g);
    assert_int_equal(mem_live(), 0);
}

void encode_text(const struct tokenizer *t, const char *text, size_t len, bool parse_special,
                 struct token_list *out)
{
    struct err e = {0};
    if (tokenizer_encode(t, text, len, parse_special, out, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void expect(const struct tokenizer *t, const char *text, size_t len, bool parse_special,
                   const int32_t *ids, size_t n)
{
    struct token_list list = {0};
    encode_text(t, text, len, parse_special, &list);
    assert_int_equal(list.count, n);
    assert_memory_equal(list.ids, ids, n * sizeof(*ids));
    token_list_deinit(&list);
}

void encode_expect_ids(const struct tokenizer *t, const char *text, size_t len,
                       const int32_t *ids, size_t n)
{
    expect(t, text, len, false, ids, n);
}

void encode_expect_special_ids(const struct tokenizer *t, const char *text, size_t len,
                               const int32_t *ids, size_t n)
{
    expect(t, text, len, true, ids, n);
}

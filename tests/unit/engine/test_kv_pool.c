/* kv_pool.h, against a plain model of it over random calls too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/engine/kv_pool.h"

#define PAGES 6

static struct kv_content content(uint64_t before, uint64_t salt, int32_t token)
{
    struct kv_content c = {.before = before, .salt = salt};
    for (int i = 0; i < KV_PAGE_POSITIONS; i++) {
        c.tokens[i] = token + i;
    }
    return c;
}

static void start(struct kv_pool *p)
{
    struct err e = {0};
    assert_int_equal(kv_pool_init(p, PAGES, &e), 0);
    assert_int_equal(kv_pool_available(p), PAGES);
}

static void what_was_published_is_found_by_its_whole_chain(void **state)
{
    (void)state;
    struct kv_pool p;
    start(&p);
    struct kv_content first = content(0, 0, 1);
    int a = kv_pool_take(&p);
    uint64_t chain = kv_pool_publish(&p, a, &first);
    assert_int_not_equal(chain, 0);
    struct kv_content second = content(chain, 0, 50);
    int b = kv_pool_take(&p);
    kv_pool_publish(&p, b, &second);

    assert_int_equal(kv_pool_find(&p, &first), a);
    assert_int_equal(kv_pool_find(&p, &second), b);
    struct kv_content elsewhere = content(chain + 1000, 0, 50);
    struct kv_content salted = content(0, 7, 1);
    struct kv_content differs = first;
    differs.tokens[KV_PAGE_POSITIONS - 1]++;
    assert_int_equal(kv_pool_find(&p, &elsewhere), KV_PAGE_NONE);
    assert_int_equal(kv_pool_find(&p, &salted), KV_PAGE_NONE);
    assert_int_equal(kv_pool_find(&p, &differs), KV_PAGE_NONE);

    /* The same content in another page goes on the same chain, and the first one is found. */
    int c = kv_pool_take(&p);
    assert_int_equal(kv_pool_publish(&p, c, &first), chain);
    assert_int_equal(kv_pool_find(&p, &first), a);
    kv_pool_forget(&p, a);
    assert_int_equal(kv_pool_find(&p, &first), KV_PAGE_NONE);
    kv_pool_deinit(&p);
}

static void cached_pages_are_taken_oldest_first_and_held_ones_never(void **state)
{
    (void)state;
    struct kv_pool p;
    int pages[PAGES];
    start(&p);
    for (int i = 0; i < PAGES; i++) {
        struct kv_content c = content(0, 0, 100 * i);
        pages[i] = kv_pool_take(&p);
        kv_pool_publish(&p, pages[i], &c);
    }
    assert_int_equal(kv_pool_take(&p), KV_PAGE_NONE);
    kv_pool_release(&p, pages[3]);
    kv_pool_release(&p, pages[1]);
    kv_pool_release(&p, pages[5]);
    struct kv_content used = content(0, 0, 300);
    assert_int_equal(kv_pool_find(&p, &used), pages[3]); /* held again */
    assert_int_equal(kv_pool_available(&p), 2);
    assert_int_equal(kv_pool_take(&p), pages[1]);
    assert_int_equal(kv_pool_take(&p), pages[5]);
    assert_int_equal(kv_pool_take(&p), KV_PAGE_NONE);
    struct kv_content gone = content(0, 0, 100);
    assert_int_equal(kv_pool_find(&p, &gone), KV_PAGE_NONE);
    kv_pool_deinit(&p);
}

/* Random calls: a page is never given to two, what is found has the content asked for, and
 * counts add up. */
static void random_calls_keep_pages_apart(void **state)
{
    (void)state;
    struct kv_pool p;
    struct rng r;
    int refs[PAGES] = {0};
    int32_t token_of[PAGES];
    rng_seed(&r, 5);
    start(&p);
    memset(token_of, -1, sizeof(token_of));
    for (int step = 0; step < 20000; step++) {
        int32_t token = (int32_t)rng_below(&r, 12) * 100;
        struct kv_content c = content(0, 0, token);
        int page;
        switch (rng_below(&r, 4)) {
        case 0:
            page = kv_pool_find(&p, &c);
            if (page != KV_PAGE_NONE) {
                assert_int_equal(token_of[page], token);
                refs[page]++;
            }
            break;
        case 1:
            page = kv_pool_take(&p);
            if (page != KV_PAGE_NONE) {
                assert_int_equal(refs[page], 0);
                refs[page] = 1;
                token_of[page] = -1;
                kv_pool_publish(&p, page, &c);
                token_of[page] = kv_pool_chain(&p, page) ? token : -1;
            }
            break;
        default:
            page = (int)rng_below(&r, PAGES);
            if (refs[page] > 0) {
                kv_pool_release(&p, page);
                refs[page]--;
            }
        }
        int held = 0;
        for (int i = 0; i < PAGES; i++) {
            held += refs[i] > 0;
        }
        assert_int_equal(kv_pool_available(&p), PAGES - held);
    }
    kv_pool_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_published_is_found_by_its_whole_chain),
        cmocka_unit_test(cached_pages_are_taken_oldest_first_and_held_ones_never),
        cmocka_unit_test(random_calls_keep_pages_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/filters/single.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"

#define RANDOM_CUTS 8

static void write_json(struct buf *json, const char *settings)
{
    buf_init(json, 1 << 20);
    buf_printf(json, "{\"name\":\"t\",\"filters\":[{%s}]}", settings);
}

struct chain *single_chain(const char *settings)
{
    struct buf json;
    write_json(&json, settings);
    struct chain *chain = trace_chain(trace_string(&json), NULL);
    buf_deinit(&json);
    return chain;
}

struct trace_step *single_steps(const char *text, size_t *count)
{
    const size_t room = sizeof(((struct trace_step *)NULL)->text) - 1;
    size_t len = strlen(text);
    *count = len / room + 1;
    struct trace_step *steps = mem_zarray(*count, sizeof(*steps));
    assert_non_null(steps);
    for (size_t i = 0; i < *count; i++) {
        steps[i].channel = FILTER_CONTENT;
        snprintf(steps[i].text, sizeof(steps[i].text), "%s", text + i * room);
    }
    *count -= len > 0 && len % room == 0;
    return steps;
}

void single_expect(const char *settings, const char *in, const char *out, const char *events)
{
    struct chain *chain = single_chain(settings);
    struct rng rng;
    rng_seed(&rng, 1);
    size_t count;
    struct trace_step *steps = single_steps(in, &count);
    struct trace whole, cut;
    trace_run(&whole, chain, FILTER_OUTPUT, steps, count, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&whole.text[FILTER_CONTENT]), out);
    if (events) {
        assert_string_equal(trace_string(&whole.events), events);
    }
    trace_run(&cut, chain, FILTER_OUTPUT, steps, count, TRACE_CHARACTERS, NULL);
    trace_assert_equal(&whole, &cut);
    trace_deinit(&cut);
    for (int i = 0; i < RANDOM_CUTS; i++) {
        trace_run(&cut, chain, FILTER_OUTPUT, steps, count, TRACE_RANDOM, &rng);
        trace_assert_equal(&whole, &cut);
        trace_deinit(&cut);
    }
    trace_deinit(&whole);
    mem_free(steps);
    chain_unref(chain);
}

void single_expect_refused(const char *settings, const char *message)
{
    struct buf json;
    write_json(&json, settings);
    struct err e;
    struct chain *chain = chain_from_json(json.data, json.len, NULL, &e);
    buf_deinit(&json);
    if (chain) {
        chain_unref(chain);
        fail_msg("accepted: %s", settings);
    }
    if (!strstr(e.message, message)) {
        fail_msg("\"%s\" lacks \"%s\"", e.message, message);
    }
}

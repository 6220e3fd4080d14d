#include "tests/unit/grammar/matching.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json.h"

struct grammar_vocab *byte_vocab(void)
{
    struct grammar_token tokens[257];
    char bytes[256];
    struct err e = {0};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        tokens[i] = (struct grammar_token){.bytes = &bytes[i], .len = 1};
    }
    tokens[256] = (struct grammar_token){.ends = true};
    struct grammar_vocab *v = grammar_vocab_from_tokens(tokens, 257, &e);
    assert_non_null(v);
    return v;
}

static bool accepts(struct grammar *g, const char *text, bool whole)
{
    struct err e = {0};
    struct grammar_vocab *v = byte_vocab();
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    assert_non_null(m);
    bool ok = grammar_matcher_accept_bytes(m, text, strlen(text), &e) == 0;
    ok = ok && (!whole || grammar_matcher_may_end(m));
    grammar_matcher_destroy(m);
    grammar_vocab_release(v);
    return ok;
}

bool matches(struct grammar *g, const char *text)
{
    return accepts(g, text, true);
}

bool begins(struct grammar *g, const char *text)
{
    return accepts(g, text, false);
}

static struct grammar *from_schema(const char *json, struct err *e)
{
    cJSON *tree = json_parse(json, strlen(json), e);
    assert_non_null(tree);
    struct grammar *g = grammar_from_json_schema(tree, e);
    cJSON_Delete(tree);
    return g;
}

static struct grammar *compiled(struct grammar *g, const char *text, const struct err *e)
{
    if (!g) {
        fail_msg("%s: %s", text, e->message);
    }
    return g;
}

static struct err refused(struct grammar *g, const char *text, struct err e)
{
    if (g) {
        grammar_release(g);
        fail_msg("%s: was not refused", text);
    }
    return e;
}

struct grammar *gbnf(const char *text)
{
    struct err e = {0};
    struct grammar *g = grammar_from_gbnf(text, strlen(text), &e);
    return compiled(g, text, &e);
}

struct grammar *regex(const char *pattern)
{
    struct err e = {0};
    struct grammar *g = grammar_from_regex(pattern, strlen(pattern), &e);
    return compiled(g, pattern, &e);
}

struct grammar *schema(const char *json)
{
    struct err e = {0};
    struct grammar *g = from_schema(json, &e);
    return compiled(g, json, &e);
}

struct err gbnf_error(const char *text)
{
    struct err e = {0};
    struct grammar *g = grammar_from_gbnf(text, strlen(text), &e);
    return refused(g, text, e);
}

struct err regex_error(const char *pattern)
{
    struct err e = {0};
    struct grammar *g = grammar_from_regex(pattern, strlen(pattern), &e);
    return refused(g, pattern, e);
}

struct err schema_error(const char *json)
{
    struct err e = {0};
    struct grammar *g = from_schema(json, &e);
    return refused(g, json, e);
}

/* What constrained decoding costs a token, on one thread.
 *
 *     bench_grammar MODEL.gguf [ANSWERS]
 *
 * For each of some schemas: the time to compile it, then so many random answers (20) with the
 * model's vocabulary, each mask and accept timed. The first answer finds nothing remembered,
 * the others what those before left. A model file that holds a tokenizer alone will do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/format/gguf.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/grammar_sample.h"

static const struct {
    const char *name;
    const char *schema; /* NULL: any object */
} cases[] = {
    {"any object", NULL},
    {"one string", "{\"type\":\"string\",\"minLength\":200}"},
    {"string, at most 500", "{\"type\":\"string\",\"minLength\":300,\"maxLength\":500}"},
    {"a person",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":5},"
     "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},\"email\":{\"type\":"
     "\"string\",\"minLength\":10},\"address\":{\"type\":\"object\",\"properties\":{\"street\":"
     "{\"type\":\"string\",\"minLength\":10},\"city\":{\"type\":\"string\",\"minLength\":4},"
     "\"zip\":{\"type\":\"string\",\"pattern\":\"^[0-9]{5}$\"}},\"required\":[\"street\","
     "\"city\",\"zip\"]},\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"c\"]},"
     "\"minItems\":3}},\"required\":[\"name\",\"age\",\"email\",\"address\",\"tags\"]}"},
    {"a tree",
     "{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":"
     "{\"type\":\"number\"},\"c\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"}}},"
     "\"required\":[\"v\",\"c\"]}}}"},
    {"pattern", "{\"type\":\"string\",\"pattern\":\"^([a-z]{3,12} ){20}\"}"},
};

struct cost {
    double total_us, worst_us;
    long tokens;
};

static void add(struct cost *c, double us)
{
    c->total_us += us;
    c->worst_us = us > c->worst_us ? us : c->worst_us;
    c->tokens++;
}

/* One answer, like sample_text, but of letters where it may be, as models write. */
static int answer(struct sampler_walk *w, struct cost *cost, struct err *e)
{
    const int32_t n_tokens = grammar_vocab_size(w->vocab);
    grammar_matcher_reset(w->matcher);
    for (int step = 0; step < 2000; step++) {
        const double begin = clock_now_s();
        const int32_t n = grammar_matcher_mask(w->matcher, w->mask);
        const double masked = clock_now_s() - begin;
        if (n <= 0) {
            return n;
        }
        int32_t token = (int32_t)rng_below(&w->rng, (uint32_t)n_tokens);
        while (!(w->mask[token / 32] >> (token % 32) & 1)) {
            token = (token + 1) % n_tokens;
        }
        size_t len;
        (void)tokenizer_token_bytes(w->tokenizer, token, &len);
        const double accepting = clock_now_s();
        if (grammar_matcher_accept(w->matcher, token, e) != 0) {
            return -1;
        }
        add(cost, (masked + clock_now_s() - accepting) * 1e6);
        if (len == 0) {
            return 0;
        }
    }
    return 0;
}

static struct grammar *compile(const char *schema, double *ms, struct err *e)
{
    const double begin = clock_now_s();
    struct grammar *g = NULL;
    if (!schema) {
        g = grammar_from_json_object(e);
    } else {
        cJSON *tree = json_parse(schema, strlen(schema), e);
        g = tree ? grammar_from_json_schema(tree, e) : NULL;
        cJSON_Delete(tree);
    }
    *ms = (clock_now_s() - begin) * 1e3;
    return g;
}

static int run(const struct tokenizer *t, struct grammar_vocab *v, int n_answers, struct err *e)
{
    printf("%-20s %10s  %8s %9s %9s  %8s %9s %9s\n", "", "compile ms", "first:", "mean us",
           "worst us", "others:", "mean us", "worst us");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cost first = {0}, others = {0};
        double ms;
        struct grammar *g = compile(cases[i].schema, &ms, e);
        struct sampler_walk w = {.vocab = v, .tokenizer = t};
        w.matcher = g ? grammar_matcher_create(g, v, e) : NULL;
        w.mask = mem_array(grammar_vocab_words(v), sizeof(*w.mask));
        int rc = w.matcher && w.mask ? 0 : -1;
        rng_seed(&w.rng, 1);
        for (int k = 0; k < n_answers && rc == 0; k++) {
            rc = answer(&w, k == 0 ? &first : &others, e);
        }
        if (rc == 0) {
            printf("%-20s %10.2f  %8ld %9.1f %9.1f  %8ld %9.1f %9.1f\n", cases[i].name, ms,
                   first.tokens, first.total_us / (double)(first.tokens + !first.tokens),
                   first.worst_us, others.tokens,
                   others.total_us / (double)(others.tokens + !others.tokens), others.worst_us);
        }
        mem_free(w.mask);
        grammar_matcher_destroy(w.matcher);
        grammar_release(g);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_grammar MODEL.gguf [ANSWERS]\n");
        return 2;
    }
    struct err e = {0};
    struct gguf *g = gguf_open(argv[1], &e);
    struct tokenizer *t = g ? tokenizer_from_gguf(g, &e) : NULL;
    const double begin = clock_now_s();
    struct grammar_vocab *v = t ? grammar_vocab_from_tokenizer(t, &e) : NULL;
    if (v) {
        printf("%d tokens, prefix tree made in %.1f ms\n", grammar_vocab_size(v),
               (clock_now_s() - begin) * 1e3);
    }
    const int rc = v ? run(t, v, argc > 2 ? atoi(argv[2]) : 20, &e) : -1;
    if (rc != 0) {
        fprintf(stderr, "bench_grammar: %s\n", e.message);
    }
    grammar_vocab_release(v);
    tokenizer_destroy(t);
    gguf_close(g);
    return rc == 0 ? 0 : 1;
}

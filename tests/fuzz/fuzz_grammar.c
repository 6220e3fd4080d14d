/* Any text as a grammar, a regular expression or a schema, by its first byte: compiling it must
 * stay inside its memory and time, and what a matcher then allows it must accept, to the end.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/grammar/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_TOKENS 260
#define STEPS    40

static struct grammar_vocab *make_vocab(void)
{
    static char bytes[256];
    static struct grammar_token tokens[N_TOKENS];
    struct err e = {0};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        tokens[i] = (struct grammar_token){.bytes = &bytes[i], .len = 1};
    }
    tokens[256] = (struct grammar_token){.bytes = "\",\"", .len = 3};
    tokens[257] = (struct grammar_token){.bytes = "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", .len = 28};
    tokens[258] = (struct grammar_token){.bytes = "\xC3\xA9", .len = 2};
    tokens[259] = (struct grammar_token){.ends = true};
    return grammar_vocab_from_tokens(tokens, N_TOKENS, &e);
}

static struct grammar *compile(char kind, const char *text, size_t len)
{
    struct err e = {0};
    if (kind % 3 == 0) {
        return grammar_from_gbnf(text, len, &e);
    }
    if (kind % 3 == 1) {
        return grammar_from_regex(text, len, &e);
    }
    cJSON *schema = json_parse(text, len, &e);
    struct grammar *g = schema ? grammar_from_json_schema(schema, &e) : NULL;
    cJSON_Delete(schema);
    return g;
}

/* Follows the mask by bits of the input: every bit that is set must be accepted. */
static void walk(struct grammar *g, struct grammar_vocab *v, const uint8_t *data, size_t size)
{
    uint32_t mask[(N_TOKENS + 31) / 32];
    struct err e = {0};
    struct grammar_matcher *m = grammar_matcher_create(g, v, &e);
    for (size_t step = 0; m && step < STEPS; step++) {
        const int32_t n = grammar_matcher_mask(m, mask);
        if (n <= 0) {
            break;
        }
        uint32_t nth = data[(step * 7) % size] % (uint32_t)n;
        int32_t token = -1;
        do {
            token++;
            nth -= mask[token / 32] >> (token % 32) & 1;
        } while (nth != UINT32_MAX);
        if (!grammar_matcher_allows(m, token) || grammar_matcher_accept(m, token, &e) != 0) {
            abort();
        }
    }
    grammar_matcher_destroy(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct grammar_vocab *v;
    if (!v) {
        v = make_vocab();
    }
    if (size < 2 || !v) {
        return 0;
    }
    struct grammar *g = compile((char)(data[0] & 0x7F), (const char *)data + 1, size - 1);
    if (g) {
        walk(g, v, data, size);
        grammar_release(g);
    }
    return 0;
}

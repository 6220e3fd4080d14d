#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/format/gguf.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/grammar_sample.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/json_schema.h"

#define MAX_INPUT   ((size_t)64 << 20)
#define MAX_SAMPLE  ((size_t)1 << 20)
#define MAX_CHOICES 1000

struct arguments {
    const char *schema, *gbnf, *regex, *model, *check;
    bool object, batch, print;
    long sample, seed;
};

/* What all grammars of a run share. */
struct bench {
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct grammar_vocab *vocab;
    uint32_t *mask;
};

static int open_vocab(struct bench *b, const char *model, struct err *e)
{
    if (model) {
        b->gguf = gguf_open(model, e);
        b->tokenizer = b->gguf ? tokenizer_from_gguf(b->gguf, e) : NULL;
        b->vocab = b->tokenizer ? grammar_vocab_from_tokenizer(b->tokenizer, e) : NULL;
    } else {
        b->vocab = sample_vocab(e);
    }
    if (!b->vocab) {
        return -1;
    }
    b->mask = mem_array(grammar_vocab_words(b->vocab), sizeof(*b->mask));
    return b->mask ? 0 : err_nomem(e);
}

static void close_vocab(struct bench *b)
{
    mem_free(b->mask);
    grammar_vocab_release(b->vocab);
    tokenizer_destroy(b->tokenizer);
    gguf_close(b->gguf);
}

/* Draws n texts and gives each to `take`. Returns how many did not end, -1 on failure. */
static int draw(struct bench *b, struct grammar *g, long n, uint64_t seed,
                int (*take)(void *ctx, const struct buf *text), void *ctx, struct err *e)
{
    struct sampler_walk w = {.vocab = b->vocab, .tokenizer = b->tokenizer, .mask = b->mask};
    struct buf text;
    int unfinished = 0, rc = 0;
    buf_init(&text, MAX_SAMPLE);
    rng_seed(&w.rng, seed);
    w.matcher = grammar_matcher_create(g, b->vocab, e);
    rc = w.matcher ? 0 : -1;
    for (long i = 0; i < n && rc == 0; i++) {
        const int ended = sample_text(&w, &text, e);
        unfinished += ended == 0;
        rc = ended < 0 ? -1 : ended == 1 ? take(ctx, &text) : 0;
    }
    grammar_matcher_destroy(w.matcher);
    buf_deinit(&text);
    return rc == 0 ? unfinished : -1;
}

/* Whether the grammar allows exactly this text: 1, 0, or -1. */
static int allows(struct bench *b, struct grammar *g, const char *text, size_t len,
                  struct err *e)
{
    struct grammar_matcher *m = grammar_matcher_create(g, b->vocab, e);
    int rc = m ? 0 : -1;
    if (m) {
        rc = grammar_matcher_accept_bytes(m, text, len, e) == 0 && grammar_matcher_may_end(m);
    }
    grammar_matcher_destroy(m);
    return rc;
}

static struct grammar *from_choices(const cJSON *choices, struct err *e)
{
    static const char *texts[MAX_CHOICES];
    size_t n = 0;
    for (const cJSON *x = choices->child; x && n < MAX_CHOICES; x = x->next) {
        texts[n++] = cJSON_IsString(x) ? x->valuestring : "";
    }
    return grammar_from_choice(texts, n, e);
}

/* The grammar that one line of a batch asks for. */
static struct grammar *from_request(const cJSON *request, struct err *e)
{
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(request, "schema");
    const cJSON *gbnf = cJSON_GetObjectItemCaseSensitive(request, "gbnf");
    const cJSON *regex = cJSON_GetObjectItemCaseSensitive(request, "regex");
    const cJSON *choice = cJSON_GetObjectItemCaseSensitive(request, "choice");
    if (schema) {
        return grammar_from_json_schema(schema, e);
    }
    if (cJSON_IsString(gbnf)) {
        return grammar_from_gbnf(gbnf->valuestring, strlen(gbnf->valuestring), e);
    }
    if (cJSON_IsString(regex)) {
        return grammar_from_regex(regex->valuestring, strlen(regex->valuestring), e);
    }
    if (cJSON_IsArray(choice)) {
        return from_choices(choice, e);
    }
    err_set(e, ERR_INVALID, "a line has schema, gbnf, regex or choice");
    return NULL;
}

static int take_into_array(void *ctx, const struct buf *text)
{
    cJSON *item = cJSON_CreateString(text->data ? text->data : "");
    return item && cJSON_AddItemToArray(ctx, item) ? 0 : -1;
}

static int answer(struct bench *b, const cJSON *request, cJSON *reply, struct err *e)
{
    const cJSON *sample = cJSON_GetObjectItemCaseSensitive(request, "sample");
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(request, "seed");
    const cJSON *check = cJSON_GetObjectItemCaseSensitive(request, "check");
    struct grammar *g = from_request(request, e);
    if (!g) {
        return -1;
    }
    cJSON *samples = cJSON_AddArrayToObject(reply, "samples");
    cJSON *accepts = cJSON_AddArrayToObject(reply, "accepts");
    int rc = draw(b, g, sample ? sample->valueint : 0, seed ? (uint64_t)seed->valuedouble : 0,
                  take_into_array, samples, e);
    cJSON_AddNumberToObject(reply, "unfinished", rc);
    for (const cJSON *x = check ? check->child : NULL; x && rc >= 0; x = x->next) {
        const char *text = cJSON_IsString(x) ? x->valuestring : "";
        rc = allows(b, g, text, strlen(text), e);
        cJSON_AddItemToArray(accepts, cJSON_CreateBool(rc == 1));
    }
    grammar_release(g);
    return rc < 0 ? -1 : 0;
}

/* One JSON object a line in, one out: {"schema"|"gbnf"|"regex"|"choice", "sample": N, "seed":
 * S, "check": [TEXT]} to {"samples": [TEXT], "unfinished": N, "accepts": [BOOL]} or {"error",
 * "unsupported"}.
 */
static int run_batch(struct bench *b, struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int rc = 0;
    while (rc == 0 && (len = getline(&line, &cap, stdin)) > 0) {
        cJSON *reply = cJSON_CreateObject();
        cJSON *request = json_parse(line, (size_t)len, e);
        if (!reply || !request || answer(b, request, reply, e) != 0) {
            cJSON_AddStringToObject(reply, "error", e->message);
            cJSON_AddBoolToObject(reply, "unsupported", e->kind == ERR_UNSUPPORTED);
        }
        rc = cli_print_json(reply, e);
        cJSON_Delete(request);
        cJSON_Delete(reply);
    }
    free(line); /* NOLINT: getline's own */
    return rc;
}

static struct grammar *from_arguments(const struct arguments *a, struct err *e)
{
    struct grammar *g = NULL;
    size_t len;
    if (a->regex) {
        return grammar_from_regex(a->regex, strlen(a->regex), e);
    }
    if (a->object) {
        return grammar_from_json_object(e);
    }
    char *text = file_read(a->schema ? a->schema : a->gbnf, MAX_INPUT, &len, e);
    if (text && a->gbnf) {
        g = grammar_from_gbnf(text, len, e);
    } else if (text) {
        cJSON *schema = json_parse(text, len, e);
        g = schema ? grammar_from_json_schema(schema, e) : NULL;
        cJSON_Delete(schema);
    }
    mem_free(text);
    return g;
}

static int print_rules(const char *path, struct err *e)
{
    cJSON *schema = json_parse_file(path, MAX_INPUT, e);
    struct buf rules;
    buf_init(&rules, GRAMMAR_TEXT_MAX);
    int rc = schema ? json_schema_to_gbnf(schema, "root", &rules, e) : -1;
    if (rc == 0) {
        fwrite(rules.data, 1, rules.len, stdout);
    }
    buf_deinit(&rules);
    cJSON_Delete(schema);
    return rc;
}

static int take_to_stdout(void *ctx, const struct buf *text)
{
    (void)ctx;
    fwrite(text->data ? text->data : "", 1, text->len, stdout);
    putchar('\n');
    return 0;
}

static int check_file(struct bench *b, struct grammar *g, const char *path, struct err *e)
{
    size_t len;
    char *text = file_read(path, MAX_INPUT, &len, e);
    int rc = text ? allows(b, g, text, len, e) : -1;
    if (rc == 0) {
        rc = err_set(e, ERR_INVALID, "%s: the grammar does not allow this text", path);
    }
    mem_free(text);
    return rc < 0 ? -1 : 0;
}

static int run_one(struct bench *b, const struct arguments *a, struct err *e)
{
    if (a->print) {
        return print_rules(a->schema, e);
    }
    struct grammar *g = from_arguments(a, e);
    int rc = g ? 0 : -1;
    if (rc == 0 && a->check) {
        rc = check_file(b, g, a->check, e);
    }
    if (rc == 0 && a->sample > 0) {
        const int unfinished =
            draw(b, g, a->sample, (uint64_t)a->seed, take_to_stdout, NULL, e);
        rc = unfinished < 0 ? -1 : 0;
        if (unfinished > 0) {
            fprintf(stderr, "%d of %ld texts did not end in %d tokens\n", unfinished, a->sample,
                    SAMPLE_TOKENS_MAX);
        }
    }
    grammar_release(g);
    return rc;
}

int cli_grammar(int argc, char **argv)
{
    struct arguments a = {0};
    const struct option table[] = {
        {"schema", 0, OPTION_STRING, &a.schema, "FILE", "a JSON Schema", 0, 0},
        {"gbnf", 0, OPTION_STRING, &a.gbnf, "FILE", "a grammar in GBNF", 0, 0},
        {"regex", 0, OPTION_STRING, &a.regex, "TEXT", "a regular expression", 0, 0},
        {"object", 0, OPTION_FLAG, &a.object, NULL, "any JSON object", 0, 0},
        {"batch", 0, OPTION_FLAG, &a.batch, NULL, "JSON lines on standard input", 0, 0},
        {"print", 0, OPTION_FLAG, &a.print, NULL, "print the rules of the schema", 0, 0},
        {"check", 0, OPTION_STRING, &a.check, "FILE", "whether it allows this text", 0, 0},
        {"sample", 0, OPTION_INT, &a.sample, "N", "print N random texts", 0, 1000000},
        {"seed", 0, OPTION_INT, &a.seed, "N", "of the random texts (0)", 0, 0},
        {"model", 'm', OPTION_STRING, &a.model, "FILE", "GGUF file whose vocabulary is used", 0,
         0},
        {0},
    };
    const struct options options = {
        .usage =
            "weir grammar (--schema FILE | --gbnf FILE | --regex TEXT | --object | --batch) "
            "[--sample N] [--check FILE] [-m FILE]",
        .summary = "Compile a grammar, print random texts that it allows, check a text.",
        .table = table,
    };
    struct err e = {0};
    struct bench b = {0};
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);
    if (status >= 0) {
        return status;
    }
    const int ways = !!a.schema + !!a.gbnf + !!a.regex + a.object + a.batch;
    if (positional > 0 || ways != 1 || (a.print && !a.schema)) {
        fprintf(stderr, "usage: %s\n", options.usage);
        return 2;
    }
    status = 0;
    if (open_vocab(&b, a.model, &e) != 0 ||
        (a.batch ? run_batch(&b, &e) : run_one(&b, &a, &e)) != 0) {
        status = cli_fail("grammar", &e);
    }
    close_vocab(&b);
    return status;
}

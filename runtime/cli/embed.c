#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch/llama_embed.h"
#include "models/tokenizer/whole_text.h"
#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"

#define MAX_INPUT       ((size_t)1 << 30)
#define CONTEXT_DEFAULT 2048

static int print_vector(struct local_model *l, const struct token_list *tokens, float *vector,
                        struct err *e)
{
    const struct model *m = l->model;
    for (size_t i = 0; i < tokens->count; i++) {
        if (tokens->ids[i] >= m->config.vocab) {
            return err_set(e, ERR_INVALID, "--tokens: %d is not in the vocabulary of %d",
                           tokens->ids[i], m->config.vocab);
        }
    }
    const struct llama_text text = {tokens->ids, tokens->count, vector};
    if (llama_embed(l->state, &m->config, &m->weights, &l->kv, &text, 1, e) != 0) {
        return -1;
    }
    putchar('[');
    for (int i = 0; i < m->config.d_model; i++) {
        /* Nine digits give the same float back. */
        printf("%s%.9g", i ? "," : "", (double)vector[i]);
    }
    printf("]\n");
    return 0;
}

static int embed_lines(struct local_model *l, const char *text, size_t left, float *vector,
                       struct err *e)
{
    struct token_list tokens = {0};
    int rc = 0;
    for (size_t line = 1; left > 0 && rc == 0; line++) {
        const char *end = memchr(text, '\n', left);
        size_t len = end ? (size_t)(end - text) : left;
        token_list_clear(&tokens);
        /* Text is text: the names of control tokens in it are not read as such. */
        rc = whole_text_encode(l->model->tokenizer, text, len, false, &tokens, e);
        rc = rc == 0 ? print_vector(l, &tokens, vector, e) : rc;
        if (rc != 0) {
            err_prefix(e, "line %zu", line);
        }
        text += len + (end != NULL);
        left -= len + (end != NULL);
    }
    token_list_deinit(&tokens);
    return rc;
}

/* list NULL: the lines of standard input. */
static int run(struct local_model *l, const char *list, struct err *e)
{
    struct token_list tokens = {0};
    size_t len;
    float *vector = mem_array((size_t)l->model->config.d_model, sizeof(*vector));
    char *text = list || !vector ? NULL : file_read("-", MAX_INPUT, &len, e);
    int rc = vector ? 0 : err_nomem(e);
    if (rc == 0 && list) {
        rc = cli_parse_tokens(list, &tokens, e) != 0 || print_vector(l, &tokens, vector, e) != 0
                 ? -1
                 : 0;
    } else if (rc == 0) {
        rc = text ? embed_lines(l, text, len, vector, e) : -1;
    }
    token_list_deinit(&tokens);
    mem_free(text);
    mem_free(vector);
    return rc;
}

int cli_embed(int argc, char **argv)
{
    struct local_model_settings s = {.cpu = "auto", .encoder = true, .n_slots = 1};
    const char *list = NULL;
    long threads = local_core_count(), context = CONTEXT_DEFAULT;
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &s.path, "FILE", "the model, a GGUF file", 0, 0},
        {"tokens", 0, OPTION_STRING, &list, "IDS", "token ids, like 1,2,3, in place of text", 0,
         0},
        {"context", 0, OPTION_INT, &context, "N", "longest text, in tokens (2048)", 1, 65536},
        {"threads", 't', OPTION_INT, &threads, "N", "threads (number of cores)", 1, 256},
        {"cpu", 0, OPTION_STRING, &s.cpu, "NAME", "best instruction set to use (auto)", 0, 0},
        {"kv-type", 0, OPTION_STRING, &s.kv_type, "NAME",
         "keys and values as f16, int8 or f32 (f16)", 0, 0},
        {"weights", 0, OPTION_STRING, &s.weights, "NAME",
         "weights as int8, or f32: slow, to see what int8 costs (int8)", 0, 0},
        {0},
    };
    const struct options options = {
        .usage = "weir embed -m FILE < TEXTS",
        .summary = "Prints a vector of length 1 for each line of text, as a JSON array.",
        .table = table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!s.path || positional > 0) {
        fprintf(stderr,
                "weir embed: -m FILE is needed, texts come on standard input\nusage: %s\n",
                options.usage);
        return 2;
    }
    struct err e = {0};
    struct local_model l;
    s.threads = (int)threads;
    s.context = s.max_rows = (int)context;
    rc = local_model_open(&l, &s, &e);
    if (rc == 0) {
        rc = run(&l, list, &e);
        local_model_close(&l);
    }
    return rc == 0 ? 0 : cli_fail("embed", &e);
}

/* llama_cpp_reference.c: what llama.cpp makes of a model file, for compare.js.
 *
 * Built by hand against an installed or built llama.cpp, never by Weir's own build:
 *
 *     cc -O2 tests/parity/llama_cpp_reference.c -I LLAMA/include -I LLAMA/ggml/include \
 *        -L LLAMA/build/bin -Wl,-rpath,LLAMA/build/bin -lllama -lggml -lggml-base -lm -o
 * reference
 *
 * reference MODEL tokens       each line of stdin, "\n" standing for a line break, to ids
 * reference MODEL logits       each line of stdin is ids parted by blanks; prints the logits
 * after every one of them as a JSON array of arrays
 * reference MODEL logits-f32   the same with keys and values kept as f32
 * reference MODEL embed        each line of stdin is ids; prints the pooled vector as a JSON
 * array
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

#define LINE_MAX_BYTES (1 << 20)
#define TOKENS_MAX     4096

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

static int unescape(char *s)
{
    char *to = s;
    for (const char *from = s; *from && *from != '\n'; from++) {
        if (from[0] == '\\' && from[1] == 'n') {
            *to++ = '\n';
            from++;
        } else {
            *to++ = *from;
        }
    }
    return (int)(to - s);
}

static void print_tokens(const struct llama_vocab *vocab, char *line)
{
    static llama_token ids[TOKENS_MAX];
    int len = unescape(line);
    int n = llama_tokenize(vocab, line, len, ids, TOKENS_MAX, false, true);
    for (int i = 0; i < n; i++) {
        printf("%s%d", i ? " " : "", ids[i]);
    }
    printf("\n");
}

static void fill_batch(struct llama_batch *batch, char *line)
{
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
        int i = batch->n_tokens++;
        batch->token[i] = atoi(word);
        batch->pos[i] = i;
        batch->n_seq_id[i] = 1;
        batch->seq_id[i][0] = 0;
        batch->logits[i] = 1;
    }
}

static int print_vector(struct llama_model *model, char *line)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = TOKENS_MAX;
    params.embeddings = true;
    struct llama_context *ctx = llama_init_from_model(model, params);
    struct llama_batch batch = llama_batch_init(TOKENS_MAX, 0, 1);
    fill_batch(&batch, line);
    int rc = ctx ? llama_decode(ctx, batch) : -1;
    const float *vector = rc == 0 ? llama_get_embeddings_seq(ctx, 0) : NULL;
    for (int i = 0; vector && i < llama_model_n_embd(model); i++) {
        printf("%s%.9g", i ? "," : "[", vector[i]);
    }
    printf("]\n");
    llama_batch_free(batch);
    llama_free(ctx);
    return rc;
}

static int print_logits(struct llama_model *model, int n_vocab, bool f32, char *line)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = TOKENS_MAX;
    params.type_k = params.type_v = f32 ? GGML_TYPE_F32 : GGML_TYPE_F16;
    struct llama_context *ctx = llama_init_from_model(model, params);
    struct llama_batch batch = llama_batch_init(TOKENS_MAX, 0, 1);
    fill_batch(&batch, line);
    int rc = ctx ? llama_decode(ctx, batch) : -1;
    for (int i = 0; rc == 0 && i < batch.n_tokens; i++) {
        const float *logits = llama_get_logits_ith(ctx, i);
        for (int v = 0; v < n_vocab; v++) {
            printf("%s%.9g", v ? "," : i ? ",[" : "[[", logits[v]);
        }
        printf("]");
    }
    printf("]\n");
    llama_batch_free(batch);
    llama_free(ctx);
    return rc;
}

int main(int argc, char **argv)
{
    static char line[LINE_MAX_BYTES];
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL tokens|logits|logits-f32|embed\n", argv[0]);
        return 2;
    }
    llama_log_set(quiet, NULL);
    struct llama_model *model =
        llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) {
        return 1;
    }
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof(line), stdin)) {
        if (strcmp(argv[2], "tokens") == 0) {
            print_tokens(vocab, line);
        } else if (strcmp(argv[2], "embed") == 0) {
            rc = print_vector(model, line);
        } else {
            bool f32 = strcmp(argv[2], "logits-f32") == 0;
            rc = print_logits(model, llama_vocab_n_tokens(vocab), f32, line);
        }
    }
    llama_model_free(model);
    return rc == 0 ? 0 : 1;
}

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"
#include "runtime/cli/ranks.h"

static void print_logits(const struct local_model *l)
{
    const float *logits = llama_logits(l->state, 0);
    putchar('[');
    for (int i = 0; i < l->model->config.vocab; i++) {
        /* Nine digits give the same float back. */
        printf("%s%.9g", i ? "," : "", (double)logits[i]);
    }
    printf("]\n");
}

/* Rank 0 has them. */
static void print_if_first(const struct local_model *l, const struct rank_group *ranks)
{
    if (rank_group_rank(ranks) == 0) {
        print_logits(l);
    }
}

static int run(struct local_model *l, const struct rank_group *ranks,
               const struct token_list *tokens, bool all, struct err *e)
{
    for (size_t i = 0; i < tokens->count; i++) {
        if (tokens->ids[i] >= l->model->config.vocab) {
            return err_set(e, ERR_INVALID, "--tokens: %d is not in the vocabulary of %d",
                           tokens->ids[i], l->model->config.vocab);
        }
    }
    if (!all) {
        if (local_model_feed(l, tokens->ids, tokens->count, 0, e) != 0) {
            return -1;
        }
        print_if_first(l, ranks);
        return 0;
    }
    for (size_t i = 0; i < tokens->count; i++) {
        if (local_model_feed(l, &tokens->ids[i], 1, i, e) != 0) {
            return -1;
        }
        print_if_first(l, ranks);
    }
    return 0;
}

int cli_logits(int argc, char **argv)
{
    const char *path = NULL;
    const char *list = NULL;
    const char *cpu = "auto", *kv_type = NULL, *weights = NULL, *adapter = NULL;
    bool any_base = false;
    bool all = false;
    long threads = 0;
    struct cli_ranks together = {.timeout_s = CLI_RANK_TIMEOUT_S};
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &path, "FILE", "the model, a GGUF file", 0, 0},
        {"tokens", 0, OPTION_STRING, &list, "IDS", "token ids, like 1,2,3", 0, 0},
        {"all", 0, OPTION_FLAG, &all, NULL, "logits after every token, not only the last", 0,
         0},
        {"threads", 't', OPTION_INT, &threads, "N", "threads (number of cores)", 1, 256},
        {"cpu", 0, OPTION_STRING, &cpu, "NAME", "best instruction set to use (auto)", 0, 0},
        {"kv-type", 0, OPTION_STRING, &kv_type, "NAME", "KV cache as f16, int8 or f32 (f16)", 0,
         0},
        {"weights", 0, OPTION_STRING, &weights, "NAME",
         "weights as int8, or f32: slow, to see what int8 costs (int8)", 0, 0},
        {"adapter", 0, OPTION_STRING, &adapter, "FILE[@SCALE]",
         "a LoRA adapter (GGUF) of the model", 0, 0},
        {"any-base", 0, OPTION_FLAG, &any_base, NULL,
         "also where the adapter was trained on another file", 0, 0},
        {"ranks", 0, OPTION_INT, &together.wanted, "N", CLI_RANKS_HELP, 1, RANKS_MAX},
        {"rank-timeout", 0, OPTION_INT, &together.timeout_s, "S", CLI_RANK_TIMEOUT_HELP, 1,
         86400},
        {0},
    };
    const struct options options = {"weir logits -m FILE --tokens 1,2,3 [--all]",
                                    "Prints the logits as one JSON array for each position.",
                                    table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!path || !list || positional > 0) {
        fprintf(stderr, "weir logits: -m FILE and --tokens IDS are needed\nusage: %s\n",
                options.usage);
        return 2;
    }
    struct err e = {0};
    struct token_list tokens = {0};
    struct local_model l;
    struct rank_group *ranks = NULL;
    if (cli_ranks_open(&together, &ranks, &e) != 0) {
        return cli_fail("logits", &e);
    }
    struct local_model_settings s = {
        .path = path,
        .adapter = adapter,
        .any_base = any_base,
        .cpu = cpu,
        .kv_type = kv_type,
        .weights = weights,
        .threads = cli_ranks_threads(ranks, threads),
        .ranks = ranks,
        .max_rows = 256,
        .n_slots = 1,
    };
    rc = cli_parse_tokens(list, &tokens, &e);
    if (rc == 0) {
        rc = local_model_open(&l, &s, &e);
    }
    if (rc == 0) {
        rc = run(&l, ranks, &tokens, all, &e);
        local_model_close(&l);
    }
    token_list_deinit(&tokens);
    if (rc != 0 && rank_group_rank(ranks) == 0) {
        cli_fail("logits", &e); /* all ranks say the same */
    }
    rank_group_close(ranks);
    return rc == 0 ? 0 : 1;
}

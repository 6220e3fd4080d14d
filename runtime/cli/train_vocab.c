#include "runtime/cli/train.h"

#include <stdio.h>

#include "models/lineage/lineage.h"
#include "models/tokenizer/bpe_train.h"
#include "runtime/cli/cli.h"

static int write_lineage(const char *data, size_t tokens, const char *out, struct err *e)
{
    struct lineage *l = lineage_create("train vocab");
    lineage_parent(l, "data", data);
    lineage_option_number(l, "size", (double)tokens);
    int rc = lineage_write(l, out, e);
    lineage_destroy(l);
    return rc;
}

int cli_train_vocab(int argc, char **argv)
{
    const char *data = NULL;
    const char *out = NULL;
    long size = 4096;
    const struct option table[] = {
        {"data", 0, OPTION_STRING, &data, "FILE.jsonl", "lines of {\"text\"} or {\"messages\"}",
         0, 0},
        {"size", 0, OPTION_INT, &size, "N", "tokens in the vocabulary (4096)", BPE_MIN_VOCAB,
         BPE_MAX_VOCAB},
        {"out", 'o', OPTION_STRING, &out, "FILE.gguf", "where to write the vocabulary", 0, 0},
        {0},
    };
    const struct options options = {
        .usage = "weir train vocab --data FILE.jsonl --out FILE.gguf [--size N]",
        .summary = "Learn a byte-level BPE vocabulary from text.",
        .table = table,
    };
    struct err e = {0};
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);

    if (status >= 0) {
        return status;
    }
    if (positional > 0 || !data || !out) {
        fprintf(stderr, "usage: %s\n", options.usage);
        return 2;
    }
    status = 1;
    struct bpe_trainer *trainer = bpe_trainer_create(&e);
    if (!trainer || bpe_trainer_feed_jsonl(trainer, data, &e) != 0 ||
        bpe_trainer_run(trainer, (size_t)size, &e) != 0 ||
        bpe_trainer_write(trainer, out, &e) != 0 ||
        write_lineage(data, bpe_trainer_vocab_size(trainer), out, &e) != 0) {
        cli_fail("train vocab", &e);
        goto cleanup;
    }
    const size_t tokens = bpe_trainer_vocab_size(trainer);
    printf("%s: %zu tokens from %zu distinct words\n", out, tokens,
           bpe_trainer_word_count(trainer));
    if (tokens < (size_t)size) {
        fprintf(stderr,
                "weir train vocab: the data had no more pairs that occur twice; %ld tokens "
                "were asked for\n",
                size);
    }
    status = 0;
cleanup:
    bpe_trainer_destroy(trainer);
    return status;
}

/* weir train: a word for each stage, with a file of its own. */
#include "runtime/cli/train.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/cli.h"

#ifndef WEIR_HAVE_TRAIN
/* Built without OpenBLAS: what is written in models/train/ is not there. */
static int no_train(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fprintf(stderr,
            "weir train: this build has no trainer because OpenBLAS was not found; install it "
            "(Debian: libopenblas-dev) and build again\n");
    return 1;
}
#    define cli_train_pretrain no_train
#    define cli_train_bench    no_train
#    define cli_train_average  no_train
#    define cli_train_export   no_train
#    define cli_train_sft      no_train
#    define cli_train_tokenize no_train
#endif

struct word {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct word words[] = {
    {"vocab", cli_train_vocab, "learn a vocabulary from text"},
    {"tokenize", cli_train_tokenize, "text and conversations to token files"},
    {"pretrain", cli_train_pretrain, "next-token training, from nothing or --init"},
    {"sft", cli_train_sft, "teach a model with examples: an adapter, or all weights"},
    {"merge", cli_train_merge, "an adapter into its model's weights"},
    {"bench", cli_train_bench, "how fast training is here, against the machine's peak"},
    {"average", cli_train_average, "the mean of two checkpoints"},
    {"export", cli_train_export, "a checkpoint as a GGUF model file"},
    {"classifier", cli_train_classifier, "the text classifier of filters"},
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))

static void print_help(FILE *to)
{
    fprintf(to, "usage: weir train WORD [options]\n\ntraining, a word for each stage:\n\n");
    for (size_t i = 0; i < N_WORDS; i++) {
        fprintf(to, "  %-12s %s\n", words[i].name, words[i].help);
    }
    fprintf(to, "\nweir train WORD --help tells more\n");
}

int cli_train(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < N_WORDS; i++) {
        if (strcmp(argv[1], words[i].name) == 0) {
            return words[i].run(argc - 1, argv + 1);
        }
    }
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "weir train: unknown word \"%s\"\n", argv[1]);
    } else {
        fprintf(stderr, "weir train: a word is needed\n");
    }
    print_help(stderr);
    return 2;
}

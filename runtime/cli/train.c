/* weir train: the words vocab, tokenize, average and export have their own files; without a
 * word it trains. */
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
#    define cli_train_run      no_train
#    define cli_train_average  no_train
#    define cli_train_export   no_train
#    define cli_train_sft      no_train
#    define cli_train_tokenize no_train
#endif

int cli_train(int argc, char **argv)
{
    static const struct {
        const char *word;
        int (*run)(int argc, char **argv);
    } words[] = {
        {"vocab", cli_train_vocab},     {"tokenize", cli_train_tokenize},
        {"average", cli_train_average}, {"classifier", cli_train_classifier},
        {"export", cli_train_export},   {"merge", cli_train_merge},
        {"sft", cli_train_sft},
    };
    for (size_t i = 0; argc > 1 && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(argv[1], words[i].word) == 0) {
            return words[i].run(argc - 1, argv + 1);
        }
    }
    if (argc > 1 && argv[1][0] != '-') {
        fprintf(stderr,
                "weir train: unknown word \"%s\"; there are vocab, tokenize, sft, merge, "
                "average, classifier and export\n",
                argv[1]);
        return 2;
    }
    return cli_train_run(argc, argv);
}

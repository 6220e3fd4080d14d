/* weir align: each of its words has a file of its own. */
#include "runtime/cli/align.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/cli.h"

#ifndef WEIR_HAVE_TRAIN
/* Built without OpenBLAS: what is written in models/train/ is not there. */
static int no_align(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fprintf(stderr,
            "weir align: this build has no trainer because OpenBLAS was not found; install it "
            "(Debian: libopenblas-dev) and build again\n");
    return 1;
}
#    define cli_align_dpo    no_align
#    define cli_align_grpo   no_align
#    define cli_align_pairs  no_align
#    define cli_align_reward no_align
#    define cli_align_score  no_align
#endif

int cli_align(int argc, char **argv)
{
    static const struct {
        const char *word;
        int (*run)(int argc, char **argv);
        const char *what;
    } words[] = {
        {"pairs", cli_align_pairs, "pairs of answers of a model's own, told apart by checks"},
        {"dpo", cli_align_dpo, "direct preference optimization on pairs"},
        {"reward", cli_align_reward, "a reward model from pairs or rankings"},
        {"score", cli_align_score, "the rewards of conversations"},
        {"grpo", cli_align_grpo, "reinforcement learning by checks and a reward model"},
    };
    size_t n = sizeof(words) / sizeof(words[0]);
    for (size_t i = 0; argc > 1 && i < n; i++) {
        if (strcmp(argv[1], words[i].word) == 0) {
            return words[i].run(argc - 1, argv + 1);
        }
    }
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    FILE *to = help ? stdout : stderr;
    fprintf(to, "usage: weir align WORD [options], WORD --help for each\n\n");
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "  %-8s %s\n", words[i].word, words[i].what);
    }
    return help ? 0 : 2;
}

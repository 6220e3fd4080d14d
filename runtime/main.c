/* main.c: picks the subcommand. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cli/build_info.h"
#include "runtime/cli/cli.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", cli_serve, "serve a model over HTTP"},
    {"chat", cli_chat, "chat in a terminal"},
    {"keys", cli_keys, "make, list and remove API keys in a file"},
    {"ctl", cli_ctl, "commands to a running server: prompts, filters, models, feedback"},
    {"inspect", cli_inspect, "what is in a model file"},
    {"lineage", cli_lineage, "what a file was made from, checked by hashes"},
    {"publish", cli_publish, "a model as a new version into a repository"},
    {"curate", cli_curate, "training data from raw text"},
    {"quantize", cli_quantize, "convert and quantise a model"},
    {"synth", cli_synth, "a model file with a real shape and random weights"},
    {"bench", cli_bench, "prefill and decode speed, beside what the machine can do"},
    {"logits", cli_logits, "the logits of a token sequence as JSON"},
    {"tokenize", cli_tokenize, "text to token ids, or back"},
    {"embed", cli_embed, "texts to vectors, with a model like BERT"},
    {"render", cli_render, "the prompt that the chat template makes"},
    {"filter", cli_filter, "text through a filter chain"},
    {"grammar", cli_grammar, "check a grammar or schema, and texts that it allows"},
    {"align", cli_align, "preferences: pairs of answers, and training on them"},
    {"train", cli_train, "vocabulary, token files, training, export"},
    {"eval", cli_eval, "what models can: right answers, refusals, likelihoods"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *to)
{
    fprintf(to, "usage: weir COMMAND [options]\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(to, "\n`weir COMMAND --help` tells more, `weir --version` which build this is.\n");
}

int main(int argc, char **argv)
{
    /* A client that goes away is seen as an error of write(2), not as the death of the server.
     */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        build_info_print(stdout);
        return 0;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "weir: unknown command \"%s\" (see weir --help)\n", argv[1]);
    return 2;
}

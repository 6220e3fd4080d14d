/* cli.h: the subcommands of `weir`, one file each.
 *
 * argv[0] is the subcommand's name, and argv[-1] the program's, as main() was given them. Each
 * returns the exit status: 0 done, 1 failed with a message on stderr, 2 wrong usage. */
#pragma once

#include "runtime/base/json.h"
#include "runtime/base/options.h"

int cli_serve(int argc, char **argv);
int cli_chat(int argc, char **argv);
int cli_keys(int argc, char **argv);
int cli_ctl(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_align(int argc, char **argv);
int cli_lineage(int argc, char **argv);
int cli_publish(int argc, char **argv);
int cli_curate(int argc, char **argv);
int cli_quantize(int argc, char **argv);
int cli_synth(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_logits(int argc, char **argv);
int cli_tokenize(int argc, char **argv);
int cli_embed(int argc, char **argv);
int cli_render(int argc, char **argv);
int cli_filter(int argc, char **argv);
int cli_grammar(int argc, char **argv);
int cli_train(int argc, char **argv);
int cli_eval(int argc, char **argv);

/* Parses options and prints what is wrong. -1: go on; else the exit status to return. */
int cli_options(const struct options *o, int argc, char **argv, int *positional);

struct token_list;

/* Appends the ids of "1,2,3". */
int cli_parse_tokens(const char *text, struct token_list *out, struct err *e);

/* Prints a line on stdout. NULL, which a lack of memory makes of an object, is an error. */
int cli_print_json(const cJSON *json, struct err *e);

/* Prints "weir NAME: MESSAGE" on stderr and returns 1. */
int cli_fail(const char *name, const struct err *e);

/* train.h: the words that follow `weir train`, one file each. Exit statuses as in cli.h. All
 * but the classifier, the vocabulary and merge need OpenBLAS. */
#pragma once

int cli_train_average(int argc, char **argv);
int cli_train_bench(int argc, char **argv);
int cli_train_classifier(int argc, char **argv);
int cli_train_export(int argc, char **argv);
int cli_train_merge(int argc, char **argv);
int cli_train_pretrain(int argc, char **argv);
int cli_train_sft(int argc, char **argv);
int cli_train_tokenize(int argc, char **argv);
int cli_train_vocab(int argc, char **argv);

/* train.h: the words that follow `weir train`, one file each. Exit statuses as in cli.h. */
#pragma once

int cli_train_run(int argc, char **argv); /* weir train --data ...: needs OpenBLAS */
int cli_train_average(int argc, char **argv);
int cli_train_classifier(int argc, char **argv);
int cli_train_export(int argc, char **argv); /* weir train export: needs OpenBLAS */
int cli_train_merge(int argc, char **argv);
int cli_train_sft(int argc, char **argv);      /* weir train sft: needs OpenBLAS */
int cli_train_tokenize(int argc, char **argv); /* weir train tokenize */
int cli_train_vocab(int argc, char **argv);    /* weir train vocab */

/* align.h: the words that follow `weir align`, one file each, and what they share. Exit
 * statuses as in cli.h. */
#pragma once

#include "models/format/gguf.h"
#include "models/train/align_data.h"
#include "models/train/align_policy.h"
#include "runtime/base/err.h"

int cli_align_dpo(int argc, char **argv);    /* weir align dpo */
int cli_align_grpo(int argc, char **argv);   /* weir align grpo */
int cli_align_pairs(int argc, char **argv);  /* weir align pairs */
int cli_align_reward(int argc, char **argv); /* weir align reward */
int cli_align_score(int argc, char **argv);  /* weir align score */

/* How a model's conversations are written: its tokenizer and template. */
struct align_base {
    struct gguf *file;
    struct tokenizer *tokenizer;
    struct chat_template *chat_template;
    struct sft_renderer renderer;
};

/* From the model that a checkpoint belongs to, or its vocabulary file. */
int align_base_open(struct align_base *b, const char *path, struct err *e);
void align_base_close(struct align_base *b);

/* A --row that was not given, 0: the longest document that the model is for, at most 1024
 * tokens. */
int align_default_row(const struct align_start *start, long *row, struct err *e);

/* Whether weights and vocabulary belong together, and documents of `row` tokens fit. */
int align_base_check(const struct align_base *b, const struct align_start *start, uint32_t row,
                     struct err *e);

/* Reads a file of pairs and says on stderr what was read, and each line that `skip` leaves out.
 */
int align_read_pairs(struct align_base *b, const char *path, uint32_t row, bool skip,
                     struct align_set *set, struct err *e);

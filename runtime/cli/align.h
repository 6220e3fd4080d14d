/* align.h: the words that follow `weir align`, one file each, and what they share. Exit statuses
 * as in cli.h. */
#pragma once

#include "models/format/gguf.h"
#include "models/train/align_data.h"
#include "runtime/base/err.h"

int cli_align_dpo(int argc, char **argv);   /* weir align dpo */
int cli_align_pairs(int argc, char **argv); /* weir align pairs */

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

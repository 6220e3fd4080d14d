#include "runtime/cli/align.h"

#include <stdio.h>

#define DEFAULT_ROW 1024

int align_base_open(struct align_base *b, const char *path, struct err *e)
{
    *b = (struct align_base){0};
    if (!(b->file = gguf_open(path, e)) || !(b->tokenizer = tokenizer_from_gguf(b->file, e)) ||
        !(b->chat_template = chat_template_from_gguf(b->file, e))) {
        goto fail;
    }
    b->renderer.chat_template = b->chat_template;
    b->renderer.tokenizer = b->tokenizer;
    if (output_format_detect(&b->renderer.format, b->chat_template, b->tokenizer, e)) {
        goto fail;
    }
    return 0;
fail:
    align_base_close(b);
    return -1;
}

void align_base_close(struct align_base *b)
{
    chat_template_destroy(b->chat_template);
    tokenizer_destroy(b->tokenizer);
    gguf_close(b->file);
    *b = (struct align_base){0};
}

int align_default_row(const struct align_start *start, long *row, struct err *e)
{
    struct train_shape shape;
    if (*row > 0) {
        return 0;
    }
    if (align_start_shape(start, &shape, e)) {
        return -1;
    }
    *row = shape.context < DEFAULT_ROW ? (long)shape.context : DEFAULT_ROW;
    return 0;
}

int align_base_check(const struct align_base *b, const struct align_start *start, uint32_t row,
                     struct err *e)
{
    struct train_shape shape;
    if (align_start_shape(start, &shape, e)) {
        return -1;
    }
    if (row > shape.context) {
        return err_set_param(e, ERR_INVALID, "row", "--row %u: the model's context is %u", row,
                             shape.context);
    }
    if ((uint32_t)tokenizer_vocab_size(b->tokenizer) > shape.vocab) {
        return err_set(e, ERR_INVALID, "%s: its vocabulary of %d is not that of %s, %u",
                       start->model, tokenizer_vocab_size(b->tokenizer),
                       start->checkpoint ? start->checkpoint : start->model, shape.vocab);
    }
    return 0;
}

static void say(void *ctx, const char *message)
{
    (void)ctx;
    fprintf(stderr, "weir align: %s: left out\n", message);
}

int align_read_pairs(struct align_base *b, const char *path, uint32_t row, bool skip,
                     struct align_set *set, struct err *e)
{
    struct align_counts counts;
    const struct align_read_options o = {.skip_malformed = skip, .row = row, .say = say};
    if (align_set_read(set, path, &b->renderer, &o, &counts, e)) {
        return -1;
    }
    fprintf(stderr, "%s: %zu pairs, %zu lines left out, %zu tokens, the longest document %u\n",
            path, counts.pairs, counts.skipped, set->tokens.len / sizeof(uint32_t),
            set->longest);
    return 0;
}

#include "runtime/cli/align.h"

int align_base_open(struct align_base *b, const char *path, struct err *e)
{
    struct gguf_str source;
    *b = (struct align_base){0};
    if (!(b->file = gguf_open(path, e)) ||
        !(b->tokenizer = tokenizer_from_gguf(b->file, e))) {
        goto fail;
    }
    if (!gguf_has(b->file, "tokenizer.chat_template")) {
        err_set(e, ERR_UNSUPPORTED,
                "%s: it has no chat template, so conversations cannot be written for it", path);
        goto fail;
    }
    if (gguf_get_str(b->file, "tokenizer.chat_template", &source, e) ||
        !(b->chat_template = chat_template_compile(source.data, source.len, e))) {
        err_prefix(e, "%s", path);
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

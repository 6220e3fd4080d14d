#include "models/tokenizer/whole_text.h"

int whole_text_encode(const struct tokenizer *t, const char *text, size_t len,
                      bool parse_special, struct token_list *out, struct err *e)
{
    size_t before = out->count;
    int rc = tokenizer_add_bos(t) ? token_list_push(out, tokenizer_bos(t)) : 0;
    rc = rc != 0 ? err_nomem(e) : tokenizer_encode(t, text, len, parse_special, out, e);
    if (rc == 0 && tokenizer_add_eos(t) && token_list_push(out, tokenizer_eos(t)) != 0) {
        rc = err_nomem(e);
    }
    if (rc != 0) {
        out->count = before;
    }
    return rc;
}

size_t whole_text_around(const struct tokenizer *t)
{
    return (size_t)tokenizer_add_bos(t) + (size_t)tokenizer_add_eos(t);
}

void whole_text_truncate(const struct tokenizer *t, struct token_list *list, size_t from,
                         size_t max)
{
    if (list->count - from <= max) {
        return;
    }
    list->count = from + max;
    if (tokenizer_add_eos(t)) {
        list->ids[list->count - 1] = tokenizer_eos(t);
    }
}

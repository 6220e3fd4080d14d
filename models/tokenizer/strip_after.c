#include "models/tokenizer/strip_after.h"

#include <string.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/mem.h"

static bool is_phi3(const struct gguf *g)
{
    static const char name[] = "phi3";
    struct gguf_str arch = {NULL, 0};
    struct err ignored = {0};
    return gguf_get_str(g, "general.architecture", &arch, &ignored) == 0 &&
           arch.len == strlen(name) && memcmp(arch.data, name, arch.len) == 0;
}

/* As Phi-3's tokenizer.json has it. */
static void mark_phi3(struct strip_after *s, const struct vocab *vocab)
{
    static const char *const others[] = {"<s>", "<|endoftext|>"};
    for (size_t i = 0; i < vocab->n_specials; i++) {
        int32_t id = vocab->specials[i];
        const struct vocab_token *t = &vocab->tokens[id];
        s->strips[id] = t->kind == TOKEN_CONTROL && strcmp(t->name, others[0]) != 0 &&
                        strcmp(t->name, others[1]) != 0;
    }
}

int strip_after_init(struct strip_after *s, const struct vocab *vocab, bool spm,
                     const struct gguf *g, struct err *e)
{
    bool listed = gguf_has(g, TOKENIZER_KEY_RSTRIP);
    *s = (struct strip_after){NULL};
    if (!listed && !(spm && is_phi3(g))) {
        return 0;
    }
    s->strips = mem_zarray((size_t)vocab->n_tokens, sizeof(*s->strips));
    if (!s->strips) {
        return err_nomem(e);
    }
    if (listed) {
        return vocab_read_ids(vocab, g, TOKENIZER_KEY_RSTRIP, s->strips, e);
    }
    mark_phi3(s, vocab);
    return 0;
}

void strip_after_deinit(struct strip_after *s)
{
    mem_free(s->strips);
    s->strips = NULL;
}

size_t strip_after_length(const struct strip_after *s, int32_t id, const char *text, size_t len)
{
    size_t n = 0;
    while (s->strips && s->strips[id] && n < len && text[n] && strchr(" \t\n\v\f\r", text[n])) {
        n++;
    }
    return n;
}

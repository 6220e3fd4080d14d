#include "models/tokenizer/strip_around.h"

#include <string.h>

#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/white_space.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

static bool is_phi3(const struct gguf *g)
{
    static const char name[] = "phi3";
    struct gguf_str arch = {NULL, 0};
    struct err ignored = {0};
    return gguf_get_str(g, "general.architecture", &arch, &ignored) == 0 &&
           arch.len == strlen(name) && memcmp(arch.data, name, arch.len) == 0;
}

/* As Phi-3's tokenizer.json has it. */
static void mark_phi3(bool *strips, const struct vocab *vocab)
{
    static const char *const others[] = {"<s>", "<|endoftext|>"};
    for (size_t i = 0; i < vocab->n_specials; i++) {
        int32_t id = vocab->specials[i];
        const struct vocab_token *t = &vocab->tokens[id];
        strips[id] = t->kind == TOKEN_CONTROL && strcmp(t->name, others[0]) != 0 &&
                     strcmp(t->name, others[1]) != 0;
    }
}

/* The tokens that a key lists, in an array of the caller's; NULL where there is no key. */
static int read_listed(bool **strips, const struct vocab *vocab, const struct gguf *g,
                       const char *key, struct err *e)
{
    if (!gguf_has(g, key)) {
        return 0;
    }
    *strips = mem_zarray((size_t)vocab->n_tokens, sizeof(**strips));
    return *strips ? vocab_read_ids(vocab, g, key, *strips, e) : err_nomem(e);
}

int strip_around_init(struct strip_around *s, const struct vocab *vocab, bool spm,
                      const struct gguf *g, struct err *e)
{
    *s = (struct strip_around){NULL, NULL};
    if (read_listed(&s->behind, vocab, g, TOKENIZER_KEY_RSTRIP, e) != 0 ||
        read_listed(&s->in_front, vocab, g, TOKENIZER_KEY_LSTRIP, e) != 0) {
        return -1;
    }
    if (s->behind || !spm || !is_phi3(g)) {
        return 0;
    }
    s->behind = mem_zarray((size_t)vocab->n_tokens, sizeof(*s->behind));
    if (!s->behind) {
        return err_nomem(e);
    }
    mark_phi3(s->behind, vocab);
    return 0;
}

void strip_around_deinit(struct strip_around *s)
{
    mem_free(s->behind);
    mem_free(s->in_front);
    *s = (struct strip_around){NULL, NULL};
}

/* The length of the character at the beginning, if it is white space; 0 otherwise. */
static size_t space_length(const char *text, size_t len)
{
    uint32_t c;
    const int size = utf8_decode(text, len, &c);
    return size > 0 && is_white_space(c) ? (size_t)size : 0;
}

size_t strip_around_behind(const struct strip_around *s, int32_t id, const char *text,
                           size_t len)
{
    size_t n = 0, size = 1;
    while (s->behind && s->behind[id] && n < len && size > 0) {
        size = space_length(text + n, len - n);
        n += size;
    }
    return n;
}

/* The length of the character at the end, if it is white space; 0 otherwise. */
static size_t last_space_length(const char *text, size_t len)
{
    size_t size = 1;
    while (size < len && size < 4 && ((unsigned char)text[len - size] & 0xc0) == 0x80) {
        size++;
    }
    return len > 0 && space_length(text + len - size, size) == size ? size : 0;
}

size_t strip_around_in_front(const struct strip_around *s, int32_t id, const char *text,
                             size_t len)
{
    size_t n = 0, size = 1;
    while (s->in_front && s->in_front[id] && n < len && size > 0) {
        size = last_space_length(text, len - n);
        n += size;
    }
    return n;
}

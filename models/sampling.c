#include "models/sampling.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/base/mem.h"

static const char usual_breakers[] = "\n\0:\0\"\0*";
#define N_USUAL_BREAKERS 4

/* n > 0 elements; NULL when out of memory. */
static void *copy_array(const void *from, size_t n, size_t size)
{
    void *to = mem_array(n, size);
    return to ? memcpy(to, from, n * size) : NULL;
}

int sampling_copy(struct sampling *to, const struct sampling *from, struct err *e)
{
    *to = *from;
    to->bias = NULL;
    to->stop_ids = NULL;
    to->dry.breakers = NULL;
    to->dry.n_breakers = 0;
    to->dry.breaks = NULL;
    if ((from->n_bias > 0 &&
         !(to->bias = copy_array(from->bias, from->n_bias, sizeof(*to->bias)))) ||
        (from->n_stop_ids > 0 && !(to->stop_ids = copy_array(from->stop_ids, from->n_stop_ids,
                                                             sizeof(*to->stop_ids)))) ||
        (from->dry.breaks && !(to->dry.breaks = copy_array(from->dry.breaks, from->dry.n_words,
                                                           sizeof(*to->dry.breaks))))) {
        sampling_deinit(to);
        return err_nomem(e);
    }
    return 0;
}

void sampling_deinit(struct sampling *s)
{
    mem_free(s->bias);
    mem_free(s->stop_ids);
    mem_free(s->dry.breakers);
    mem_free(s->dry.breaks);
    *s = (struct sampling){0};
}

static int check_id(const char *name, int32_t id, int32_t vocab, struct err *e)
{
    return id >= 0 && id < vocab
               ? 0
               : err_set_param(e, ERR_INVALID, name,
                               "\"%s\" has token %d, the vocabulary ends at %d", name, id,
                               vocab - 1);
}

int sampling_check_ids(const struct sampling *s, int32_t vocab, struct err *e)
{
    for (size_t i = 0; i < s->n_bias; i++) {
        if (check_id("logit_bias", s->bias[i].token, vocab, e) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < s->n_stop_ids; i++) {
        if (check_id("stop_token_ids", s->stop_ids[i], vocab, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the breakers of DRY --- */

static bool contains(const char *bytes, size_t len, const char *text, size_t text_len)
{
    const char *end = bytes + len;
    const char *at = bytes;
    while ((size_t)(end - at) >= text_len &&
           (at = memchr(at, text[0], (size_t)(end - at) - text_len + 1))) {
        if (memcmp(at, text, text_len) == 0) {
            return true;
        }
        at++;
    }
    return false;
}

static void set_bit(uint32_t *set, int32_t id)
{
    set[id / 32] |= 1u << (id % 32);
}

static int add_breaker(struct sampling_dry *d, const struct tokenizer *t, const char *text,
                       struct err *e)
{
    int32_t vocab = tokenizer_vocab_size(t);
    size_t text_len = strlen(text);
    bool found = false;
    for (int32_t id = 0; id < vocab; id++) {
        size_t len;
        const char *bytes = tokenizer_token_bytes(t, id, &len);
        if (contains(bytes, len, text, text_len)) {
            set_bit(d->breaks, id);
            found = true;
        }
    }
    if (found) {
        return 0;
    }
    struct token_list tokens = {0};
    int rc = tokenizer_encode(t, text, text_len, false, &tokens, e);
    if (rc == 0 && tokens.count > 0) {
        set_bit(d->breaks, tokens.ids[tokens.count - 1]);
    }
    token_list_deinit(&tokens);
    return rc;
}

static int find_breakers(struct sampling_dry *d, const struct tokenizer *t, struct err *e)
{
    const char *text = d->breakers ? d->breakers : usual_breakers;
    size_t n = d->breakers ? d->n_breakers : N_USUAL_BREAKERS;
    mem_free(d->breaks);
    d->n_words = ((size_t)tokenizer_vocab_size(t) + 31) / 32;
    d->breaks = mem_zarray(d->n_words, sizeof(*d->breaks));
    if (!d->breaks) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++, text += strlen(text) + 1) {
        if (add_breaker(d, t, text, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int sampling_bind(struct sampling *s, const struct tokenizer *t, struct err *e)
{
    if (s->dry.multiplier > 0.0f && find_breakers(&s->dry, t, e) != 0) {
        return -1;
    }
    return sampling_check_ids(s, tokenizer_vocab_size(t), e);
}

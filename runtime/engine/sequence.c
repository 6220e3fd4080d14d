#include "runtime/engine/sequence.h"

#include <string.h>

#include "runtime/base/mem.h"

struct sequence *sequence_create(uint64_t id, const struct engine_request *r, size_t table_size)
{
    struct sequence *s = mem_zalloc(sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->pages = mem_array(table_size, sizeof(*s->pages));
    struct err ignored; /* memory alone can run out */
    if (!s->pages || sequence_reserve(s, r->n_prompt + 1) != 0 ||
        sampling_copy(&s->sampling, &r->sampling, &ignored) != 0) {
        sequence_destroy(s);
        return NULL;
    }
    memcpy(s->tokens, r->prompt, r->n_prompt * sizeof(*s->tokens));
    s->n_tokens = s->n_prompt = r->n_prompt;
    s->id = id;
    s->user = r->user;
    s->max_tokens = r->max_tokens;
    s->options = r->options;
    s->slot = -1;
    s->guess_hit = 0.5; /* worth a try */
    sampler_init(&s->sampler, &s->sampling);
    return s;
}

void sequence_destroy(struct sequence *s)
{
    if (s) {
        mem_free(s->tokens);
        mem_free(s->pages);
        sampling_deinit(&s->sampling);
        grammar_matcher_destroy(s->constraint);
        mem_free(s);
    }
}

int sequence_reserve(struct sequence *s, size_t more)
{
    size_t need = s->n_tokens + more;
    if (need <= s->tokens_cap) {
        return 0;
    }
    size_t cap = need + s->tokens_cap / 2;
    int32_t *moved = mem_realloc_array(s->tokens, cap, sizeof(*moved));
    if (!moved) {
        return -1;
    }
    s->tokens = moved;
    s->tokens_cap = cap;
    return 0;
}

#include "runtime/api/answer.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"

void answer_choice_init(struct answer_choice *c)
{
    *c = (struct answer_choice){0};
    buf_init(&c->content, SIZE_MAX / 2);
    buf_init(&c->reasoning, SIZE_MAX / 2);
}

void answer_choice_deinit(struct answer_choice *c)
{
    for (size_t i = 0; i < c->n_calls; i++) {
        mem_free(c->calls[i].name);
        buf_deinit(&c->calls[i].arguments);
    }
    mem_free(c->calls);
    mem_free(c->parts);
    mem_free(c->tokens.items);
    mem_free(c->tokens.tops);
    buf_deinit(&c->content);
    buf_deinit(&c->reasoning);
    *c = (struct answer_choice){0};
}

static struct answer_part *add_part(struct answer_choice *c, const struct answer_part *part)
{
    struct answer_part *moved = mem_realloc_array(c->parts, c->n_parts + 1, sizeof(*moved));
    if (!moved) {
        return NULL;
    }
    c->parts = moved;
    moved[c->n_parts] = *part;
    return &moved[c->n_parts++];
}

static int add_text(struct answer_choice *c, enum answer_part_kind kind, struct buf *to,
                    const struct answer_piece *piece)
{
    struct answer_part *last = c->n_parts > 0 ? &c->parts[c->n_parts - 1] : NULL;
    if (!last || last->kind != kind) {
        last = add_part(c, &(struct answer_part){.kind = kind, .from = to->len});
    }
    if (!last || buf_append(to, piece->text, piece->len) != 0) {
        return -1;
    }
    last->to = to->len;
    return 0;
}

static int begin_call(struct answer_choice *c, const struct answer_piece *piece)
{
    char *name = mem_strndup(piece->text, piece->len);
    struct answer_call *moved =
        name ? mem_realloc_array(c->calls, c->n_calls + 1, sizeof(*moved)) : NULL;
    if (!moved) {
        mem_free(name);
        return -1;
    }
    c->calls = moved;
    struct answer_call *call = &moved[c->n_calls++];
    *call = (struct answer_call){.name = name};
    buf_init(&call->arguments, SIZE_MAX / 2);
    unique_id(call->id, sizeof(call->id), "call_");
    struct answer_part part = {.kind = ANSWER_PART_CALL, .call = c->n_calls - 1};
    return add_part(c, &part) ? 0 : -1;
}

int answer_choice_add(struct answer_choice *c, const struct answer_piece *piece)
{
    switch (piece->kind) {
    case ANSWER_CONTENT:
        return add_text(c, ANSWER_PART_CONTENT, &c->content, piece);
    case ANSWER_REASONING:
        return add_text(c, ANSWER_PART_REASONING, &c->reasoning, piece);
    case ANSWER_CALL_BEGIN:
        return begin_call(c, piece);
    case ANSWER_CALL_ARGUMENTS:
        return buf_append(&c->calls[piece->call].arguments, piece->text, piece->len);
    case ANSWER_CALL_END:
        c->calls[piece->call].complete = true;
        break;
    }
    return 0;
}

static int reserve(void **items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return 0;
    }
    size_t wanted = *cap ? *cap * 2 : 64;
    wanted = wanted > need ? wanted : need;
    void *moved = mem_realloc_array(*items, wanted, size);
    if (!moved) {
        return -1;
    }
    *items = moved;
    *cap = wanted;
    return 0;
}

int answer_tokens_add(struct answer_tokens *t, const struct answer_token *token,
                      const struct answer_alternative *tops, size_t n_tops)
{
    void *items = t->items, *kept = t->tops;
    int rc = reserve(&items, &t->cap, t->count + 1, sizeof(*t->items));
    t->items = items;
    rc = rc == 0 ? reserve(&kept, &t->tops_cap, t->n_tops + n_tops, sizeof(*t->tops)) : rc;
    t->tops = kept;
    if (rc != 0) {
        return -1;
    }
    struct answer_token *added = &t->items[t->count++];
    *added = *token;
    added->first_top = t->n_tops;
    added->n_top = n_tops;
    for (size_t i = 0; i < n_tops; i++) {
        t->tops[t->n_tops++] = tops[i];
    }
    return 0;
}

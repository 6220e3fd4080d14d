#include "runtime/serve/fed_texts.h"

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

static struct fed_text *find(const struct fed_texts *t, enum filter_channel channel,
                             uint32_t ordinal)
{
    for (size_t i = t->n; i-- > 0;) {
        if (t->items[i].channel == channel && t->items[i].ordinal == ordinal) {
            return &t->items[i];
        }
    }
    return NULL;
}

/* NULL: there are too many, or no memory. */
static struct fed_text *begin(struct fed_texts *t, enum filter_channel channel,
                              uint32_t ordinal)
{
    if (t->n == FED_TEXTS_MAX) {
        return NULL;
    }
    struct fed_text *moved = mem_realloc_array(t->items, t->n + 1, sizeof(*moved));
    if (!moved) {
        return NULL;
    }
    t->items = moved;
    struct fed_text *item = &t->items[t->n++];
    *item = (struct fed_text){.channel = channel, .ordinal = ordinal};
    buf_init(&item->text, FINDING_TEXT_MAX);
    return item;
}

void fed_texts_add(struct fed_texts *t, enum filter_channel channel, uint32_t ordinal,
                   const char *text, size_t len)
{
    struct fed_text *item = find(t, channel, ordinal);
    item = item ? item : begin(t, channel, ordinal);
    if (!item || item->is_cut) {
        return;
    }
    size_t room = FINDING_TEXT_MAX - item->text.len;
    size_t n = len <= room ? len : utf8_valid_prefix(text, room);
    item->is_cut = buf_append(&item->text, text, n) != 0 || n < len;
}

static void on_fed(void *context, enum filter_channel channel, uint32_t ordinal,
                   const char *text, size_t len)
{
    fed_texts_add(context, channel, ordinal, text, len);
}

void fed_texts_listen(struct fed_texts *t, struct chain_stream *stream)
{
    chain_stream_set_tap(stream, (struct chain_tap){.fed = on_fed, .context = t});
}

void fed_texts_deinit(struct fed_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        buf_deinit(&t->items[i].text);
    }
    mem_free(t->items);
    *t = (struct fed_texts){0};
}

/* fed_texts.h: what goes into a chain stream, kept for records: each text of each channel as it
 * was before any filter.
 *
 * Threads: the loop. */
#pragma once

#include "filters/chain.h"
#include "runtime/registry/finding_store.h"

/* Of one stream; what is beyond is not kept. A call of a tool has a text for each string. */
#define FED_TEXTS_MAX 64

struct fed_text {
    enum filter_channel channel;
    uint32_t ordinal;
    bool is_cut; /* it had more than FINDING_TEXT_MAX bytes */
    struct buf text;
};

struct fed_texts {
    struct fed_text *items; /* (n), owned */
    size_t n;
};

/* All-zero is empty. Until the stream is destroyed it must not move. */
void fed_texts_listen(struct fed_texts *t, struct chain_stream *stream);
/* A whole text, when nobody listened. */
void fed_texts_add(struct fed_texts *t, enum filter_channel channel, uint32_t ordinal,
                   const char *text, size_t len);
void fed_texts_deinit(struct fed_texts *t);

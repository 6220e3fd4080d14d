/* word_action.h: what is done about the hits of a word_search: the actions stop, replace, mask
 * and note of the filters that search for words.
 *
 * Threads: an action is read-only once set; the rest belongs to one text. Ownership: everything
 * is borrowed. */
#pragma once

#include "filters/filter.h"
#include "filters/word_search.h"

#define WORD_ACTION_MAX_REPLACEMENT 256 /* bytes */

enum word_action_kind { WORD_STOP, WORD_REPLACE, WORD_MASK, WORD_NOTE };

struct word_action {
    enum word_action_kind kind;
    const char *code; /* of the reason */
    /* Writes the reason's message for a hit of this label. */
    void (*describe)(uint32_t label, char *message, size_t room);
    char replacement[WORD_ACTION_MAX_REPLACEMENT];
    size_t replacement_len;
    char mask[4]; /* one character in UTF-8 */
    size_t mask_len;
};

/* 0, or -1 when it is too long, or not one character. */
int word_action_set_replacement(struct word_action *action, const char *text, size_t len);
int word_action_set_mask(struct word_action *action, const char *text, size_t len);

/* Acts on all hits that are certain by now. *done, 0 at the beginning of the text, is the end
 * of what has been replaced. 1 when the answer was stopped, 0 when it goes on, -1 when the
 * chain refused. */
int word_action_take(const struct word_action *action, struct word_search *search,
                     uint64_t *done, const struct filter_span *span, struct filter_host *host);

/* Everything before it is decided. */
uint64_t word_action_decided(const struct word_action *action, const struct word_search *search,
                             uint64_t done);

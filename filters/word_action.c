#include "filters/word_action.h"

#include <string.h>

#include "runtime/base/utf8.h"

int word_action_set_replacement(struct word_action *action, const char *text, size_t len)
{
    if (len > sizeof(action->replacement)) {
        return -1;
    }
    memcpy(action->replacement, text, len);
    action->replacement_len = len;
    return 0;
}

int word_action_set_mask(struct word_action *action, const char *text, size_t len)
{
    uint32_t code_point;
    int n = utf8_decode(text, len, &code_point);
    if (n <= 0 || (size_t)n != len) {
        return -1;
    }
    memcpy(action->mask, text, len);
    action->mask_len = len;
    return 0;
}

/* One mask for each character from the cursor to the end of the hit. */
static int mask_hit(const struct word_action *action, uint64_t from, uint64_t to,
                    const struct filter_span *span, struct filter_host *host,
                    const struct filter_reason *why)
{
    const char *text = span->text + (from - span->start);
    while (from < to) {
        uint32_t code_point;
        int n = utf8_decode(text, (size_t)(to - from), &code_point);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        from += (uint64_t)n;
        text += n;
        if (host->replace(host, from, action->mask, action->mask_len, why) != 0) {
            return -1;
        }
        why = NULL;
    }
    return 0;
}

/* Acts on a hit that is certain, or on what it has grown by since it was acted on. */
static int act_on_hit(const struct word_action *action, struct word_hit *hit, uint64_t at,
                      uint64_t *done, const struct filter_span *span, struct filter_host *host)
{
    char message[FILTER_MAX_MESSAGE + 1];
    action->describe(hit->label, message, sizeof(message));
    struct filter_reason reason = {.size = sizeof(reason),
                                   .code = action->code,
                                   .message = message,
                                   .from = hit->from,
                                   .to = hit->to};
    const struct filter_reason *why = hit->is_known ? NULL : &reason;
    hit->is_known = true;
    if (action->kind == WORD_STOP) {
        return host->stop(host, hit->from, why);
    }
    if (action->kind == WORD_NOTE) {
        return why ? host->note(host, at, why) : 0;
    }
    uint64_t from = hit->from > *done ? hit->from : *done;
    if (from >= hit->to) {
        return 0;
    }
    *done = hit->to;
    if (host->pass(host, from) != 0) {
        return -1;
    }
    if (action->kind == WORD_MASK) {
        return mask_hit(action, from, hit->to, span, host, why);
    }
    return host->replace(host, hit->to, action->replacement, why ? action->replacement_len : 0,
                         why);
}

/* When masking, characters that are covered are certain to be masked even if it is open yet
 * which hit they will belong to; so a hit that adjoins one that reaches beyond the hold is
 * acted on too. A replacement can not be: the two may become one. */
int word_action_take(const struct word_action *action, struct word_search *search,
                     uint64_t *done, const struct filter_span *span, struct filter_host *host)
{
    uint64_t hold = word_search_hold(search);
    uint64_t certain = hold;
    for (size_t i = 0; i < search->hit_count; i++) {
        struct word_hit *hit = word_search_hit(search, i);
        if (hit->from > certain) {
            break;
        }
        if (act_on_hit(action, hit, search->at, done, span, host) != 0) {
            return -1;
        }
        if (action->kind == WORD_STOP) {
            return 1;
        }
        if (action->kind == WORD_MASK && hit->to > certain) {
            certain = hit->to;
        }
    }
    while (search->hit_count > 0 && word_search_hit(search, 0)->to <= hold) {
        word_search_drop_first(search);
    }
    return 0;
}

/* A filter that changes nothing has nothing to hold. */
uint64_t word_action_decided(const struct word_action *action, const struct word_search *search,
                             uint64_t done)
{
    if (action->kind == WORD_NOTE) {
        return search->at;
    }
    uint64_t hold = word_search_hold(search);
    return hold > done ? hold : done;
}

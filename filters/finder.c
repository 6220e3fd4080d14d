#include "filters/finder.h"

#include <stdio.h>
#include <string.h>

#include "filters/setting_checks.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define SLICE         4096u /* bytes searched at a time, so that few matches wait */
#define MAX_MATCHES   65536u
#define GROW_FRACTION 16u

const char *const finder_action_names[] = {"stop", "replace", "mask", "note", NULL};

/* ---- settings ---- */

static int check_use(const struct finder_policy *policy, const struct filter_value *value,
                     const char *key, enum finder_action action, struct filter_error *error)
{
    if (!value->is_set || policy->action == action) {
        return 0;
    }
    char message[96];
    snprintf(message, sizeof(message), "is of no use unless \"action\" is \"%s\"",
             finder_action_names[action]);
    return setting_refuse(error, key, message);
}

int finder_policy_read(struct finder_policy *policy, const struct filter_value *action,
                       const struct filter_value *replacement, const struct filter_value *mask,
                       struct filter_error *error)
{
    policy->action = (enum finder_action)action->choice;
    policy->replacement_len = 0;
    if (replacement) {
        if (check_use(policy, replacement, "replacement", FINDER_REPLACE, error) != 0) {
            return -1;
        }
        const struct filter_string *text = replacement->strings;
        if (text->len > FINDER_MAX_REPLACEMENT) {
            return setting_refuse(error, "replacement", "must be at most 256 bytes");
        }
        memcpy(policy->replacement, text->data, text->len);
        policy->replacement_len = text->len;
    }
    if (check_use(policy, mask, "mask", FINDER_MASK, error) != 0) {
        return -1;
    }
    uint32_t code_point;
    int n = utf8_decode(mask->strings->data, mask->strings->len, &code_point);
    if (n <= 0 || (size_t)n != mask->strings->len) {
        return setting_refuse(error, "mask", "must be one character");
    }
    memcpy(policy->mask, mask->strings->data, (size_t)n);
    policy->mask_len = (size_t)n;
    return 0;
}

/* ---- searching ---- */

static uint64_t end_of(const struct finder *f)
{
    return f->start + f->window.len;
}

static uint64_t bit_of(size_t rule)
{
    return (uint64_t)1 << rule;
}

/* The first of a set of rules, which is not empty; it leaves the set. */
static size_t take_rule(uint64_t *rules)
{
    size_t rule = (size_t)__builtin_ctzll(*rules);
    *rules &= *rules - 1;
    return rule;
}

static uint64_t searched_rules(const struct finder_rules *rules)
{
    uint64_t all = rules->count == FINDER_MAX_RULES ? UINT64_MAX : bit_of(rules->count) - 1;
    return rules->find ? all & ~rules->spotted : 0;
}

/* The offset before which no rule has a match that is not known. */
static uint64_t hold_of(const struct finder *f)
{
    uint64_t hold = end_of(f);
    for (uint64_t rules = searched_rules(f->rules) | f->undecided; rules;) {
        uint64_t next = f->next[take_rule(&rules)];
        hold = next < hold ? next : hold;
    }
    return hold;
}

static int add_match(struct finder *f, const struct finder_match *match,
                     struct filter_host *host)
{
    if (f->match_count == f->match_room) {
        size_t room = f->match_room ? 2 * f->match_room : 16;
        if (room > MAX_MATCHES) {
            return host->fail(host, "too many matches are undecided");
        }
        struct finder_match *grown = mem_realloc_array(f->matches, room, sizeof(f->matches[0]));
        if (!grown) {
            return host->fail(host, "out of memory");
        }
        f->matches = grown;
        f->match_room = room;
    }
    size_t i = f->match_count++;
    for (; i > 0; i--) {
        const struct finder_match *before = &f->matches[i - 1];
        if (before->from < match->from ||
            (before->from == match->from && before->rule < match->rule)) {
            break;
        }
        f->matches[i] = *before;
    }
    f->matches[i] = *match;
    return 0;
}

/* A long candidate is not looked at again for each character, or its cost would be the square
 * of its length. */
static uint64_t when_again(uint64_t from, uint64_t end)
{
    uint64_t len = end - from;
    return len < FINDER_EAGER ? end + 1 : end + len / GROW_FRACTION;
}

/* The offset before which everything has been decided. */
static uint64_t cursor_of(const struct finder *f)
{
    uint64_t hold = hold_of(f);
    return f->match_count > 0 && f->matches[0].from < hold ? f->matches[0].from : hold;
}

/* Whether all that is undecided has to be looked at again: nothing follows, or more is held
 * than may be, wherever the text was cut. */
static bool is_last_look(const struct finder *f)
{
    return f->has_ended || end_of(f) - cursor_of(f) > FILTER_MAX_HOLD;
}

static int search_rule(struct finder *f, size_t rule, bool is_last, struct filter_host *host)
{
    const struct finder_rules *rules = f->rules;
    uint64_t end = end_of(f);
    while (f->next[rule] < end && (is_last || f->again[rule] <= end)) {
        struct finder_result r = {0};
        enum finder_found found =
            rules->find(rules->config, f->scratch, rule, f->window.data, f->window.len,
                        (size_t)(f->next[rule] - f->start), f->has_ended, &r);
        if (found == FINDER_FAILED) {
            return host->fail(host, r.why);
        }
        if (found == FINDER_NONE) {
            f->next[rule] = end;
        } else if (found == FINDER_UNDECIDED) {
            f->next[rule] = f->start + r.from;
            f->again[rule] = when_again(f->next[rule], end);
            return 0;
        } else {
            struct finder_match match = {
                .from = f->start + r.from, .to = f->start + r.to, .rule = rule};
            f->next[rule] = match.to;
            if (add_match(f, &match, host) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* Looks for a spotted rule at a place that was named for it. */
static int scan_place(struct finder *f, size_t rule, uint64_t place, struct filter_host *host)
{
    const struct finder_rules *rules = f->rules;
    size_t to;
    enum finder_found found = rules->scan(rules->config, rule, f->window.data, f->window.len,
                                          (size_t)(place - f->start), f->has_ended, &to);
    f->next[rule] = place + 1;
    if (found == FINDER_UNDECIDED) {
        f->next[rule] = place;
        f->again[rule] = when_again(place, end_of(f));
        f->undecided |= bit_of(rule);
    } else if (found == FINDER_MATCH) {
        struct finder_match match = {.from = place, .to = f->start + to, .rule = rule};
        f->next[rule] = match.to;
        return add_match(f, &match, host);
    }
    return 0;
}

/* The first place before `end` and not before `from`. */
static bool spot_place(const struct finder *f, uint64_t from, uint64_t end,
                       struct finder_spot *spot)
{
    const struct finder_rules *rules = f->rules;
    return from < end &&
           rules->spot(rules->config, f->window.data, f->window.len, (size_t)(from - f->start),
                       (size_t)(end - f->start), f->has_ended, spot);
}

/* A rule that was undecided somewhere is asked again there, and when it is decided, at the
 * places behind it that were passed over for it. */
static int resume_rule(struct finder *f, size_t rule, struct filter_host *host)
{
    f->undecided &= ~bit_of(rule);
    int rc = scan_place(f, rule, f->next[rule], host);
    struct finder_spot spot;
    uint64_t from = f->next[rule];
    while (rc == 0 && !(f->undecided & bit_of(rule)) &&
           spot_place(f, from, f->spotted_to, &spot)) {
        uint64_t place = f->start + spot.at;
        if (spot.rules & bit_of(rule)) {
            rc = scan_place(f, rule, place, host);
        }
        from = f->next[rule] > place + 1 ? f->next[rule] : place + 1;
    }
    return rc;
}

static int search_spotted(struct finder *f, bool is_last, struct filter_host *host)
{
    uint64_t end = end_of(f);
    for (uint64_t rules = f->undecided; rules;) {
        size_t rule = take_rule(&rules);
        if ((is_last || f->again[rule] <= end) && resume_rule(f, rule, host) != 0) {
            return -1;
        }
    }
    struct finder_spot spot;
    while (spot_place(f, f->spotted_to, end, &spot)) {
        uint64_t place = f->start + spot.at;
        for (uint64_t rules = spot.rules & ~f->undecided; rules;) {
            size_t rule = take_rule(&rules);
            if (f->next[rule] <= place && scan_place(f, rule, place, host) != 0) {
                return -1;
            }
        }
        f->spotted_to = place + 1;
    }
    f->spotted_to = end;
    return 0;
}

/* ---- acting ---- */

static int mask_range(const struct finder_policy *policy, const char *text, uint64_t from,
                      uint64_t to, struct filter_host *host, const struct filter_reason *why)
{
    while (from < to) {
        uint32_t code_point;
        int n = utf8_decode(text, (size_t)(to - from), &code_point);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        from += (uint64_t)n;
        text += n;
        if (host->replace(host, from, policy->mask, policy->mask_len, why) != 0) {
            return -1;
        }
        why = NULL;
    }
    return 0;
}

static int act_on(struct finder *f, const struct finder_match *hit, struct filter_host *host)
{
    const struct finder_rules *rules = f->rules;
    const struct finder_policy *policy = &rules->policy;
    char message[FILTER_MAX_MESSAGE + 1] = "";
    struct filter_reason why = {
        .size = sizeof(why), .message = message, .from = hit->from, .to = hit->to};
    const char *replacement = policy->replacement;
    size_t replacement_len = policy->replacement_len;
    rules->describe(rules->config, hit->rule, &why, message, &replacement, &replacement_len);
    switch (policy->action) {
    case FINDER_STOP:
        return host->stop(host, hit->from, &why);
    case FINDER_NOTE:
        return host->note(host, hit->to, &why);
    case FINDER_MASK:
        return host->pass(host, hit->from) != 0
                   ? -1
                   : mask_range(policy, f->window.data + (hit->from - f->start), hit->from,
                                hit->to, host, &why);
    case FINDER_REPLACE:
        break;
    }
    return host->pass(host, hit->from) != 0
               ? -1
               : host->replace(host, hit->to, replacement, replacement_len, &why);
}

/* The first matches that share bytes, as one. Returns how many they are. */
static size_t first_hit(const struct finder *f, struct finder_match *hit)
{
    *hit = f->matches[0];
    size_t n = 1;
    while (n < f->match_count && f->matches[n].from < hit->to) {
        if (f->matches[n].to > hit->to) {
            hit->to = f->matches[n].to;
        }
        n++;
    }
    return n;
}

/* Acts on all hits that are certain, and passes what is decided. Returns 1 after a stop. */
static int act(struct finder *f, struct filter_host *host)
{
    uint64_t hold = hold_of(f);
    size_t done = 0;
    while (f->match_count > 0) {
        struct finder_match hit = f->matches[0];
        if (f->rules->policy.action == FINDER_STOP) {
            /* Its range is that of the match, which later ones can not change. */
            if (hit.from >= hold) {
                break;
            }
            return act_on(f, &hit, host) == 0 ? 1 : -1;
        }
        done = first_hit(f, &hit);
        if (hit.to > hold) {
            hold = hit.from < hold ? hit.from : hold;
            break;
        }
        if (act_on(f, &hit, host) != 0) {
            return -1;
        }
        f->match_count -= done;
        memmove(f->matches, f->matches + done, f->match_count * sizeof(f->matches[0]));
    }
    return host->pass(host, hold);
}

/* Drops text that neither the searches nor hits that wait need. */
static void forget(struct finder *f)
{
    uint64_t needed = cursor_of(f);
    size_t keep = f->rules->context;
    if (needed - f->start <= keep + SLICE) {
        return;
    }
    size_t drop = (size_t)(needed - f->start) - keep;
    while (((unsigned char)f->window.data[drop] & 0xC0u) == 0x80u) {
        drop++;
    }
    buf_consume(&f->window, drop);
    f->start += drop;
}

static int search_and_act(struct finder *f, struct filter_host *host)
{
    bool is_last = is_last_look(f);
    for (uint64_t rules = searched_rules(f->rules); rules;) {
        if (search_rule(f, take_rule(&rules), is_last, host) != 0) {
            return -1;
        }
    }
    if (f->rules->spotted && search_spotted(f, is_last, host) != 0) {
        return -1;
    }
    int rc = act(f, host);
    forget(f);
    return rc;
}

void finder_init(struct finder *f, const struct finder_rules *rules, void *scratch)
{
    *f = (struct finder){.rules = rules, .scratch = scratch};
    buf_init(&f->window, FILTER_MAX_HOLD + FINDER_MAX_CONTEXT + 3 * (size_t)SLICE);
}

void finder_deinit(struct finder *f)
{
    buf_deinit(&f->window);
    mem_free(f->matches);
}

/* The end of the next slice of text[at, len), between characters. */
static size_t slice_end(const char *text, size_t at, size_t len)
{
    if (len - at <= SLICE) {
        return len;
    }
    size_t end = at + SLICE;
    while (((unsigned char)text[end] & 0xC0u) == 0x80u) {
        end--;
    }
    return end;
}

/* Rules that wait for nothing and can not begin in text[0, len), the end of the window. */
static void pass_over(struct finder *f, const char *text, size_t len)
{
    uint64_t may_begin = f->rules->may_begin(f->rules->config, text, len);
    uint64_t end = end_of(f);
    for (size_t rule = 0; rule < f->rules->count; rule++) {
        if (f->next[rule] + len == end && !(may_begin >> rule & 1)) {
            f->next[rule] = end;
        }
    }
}

int finder_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct finder *f = state;
    for (size_t at = span->fresh; at < span->len;) {
        size_t end = slice_end(span->text, at, span->len);
        if (buf_append(&f->window, span->text + at, end - at) != 0) {
            return host->fail(host, "it holds too much text");
        }
        if (f->rules->may_begin && end - at <= FINDER_SHORT) {
            pass_over(f, span->text + at, end - at);
        }
        at = end;
        int rc = search_and_act(f, host);
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    return 0;
}

int finder_finish(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct finder *f = state;
    (void)span;
    f->has_ended = true;
    return search_and_act(f, host) < 0 ? -1 : 0;
}

int finder_create(void **state, const struct finder_rules *rules)
{
    struct finder *f = mem_zalloc(sizeof(*f));
    if (!f) {
        return -1;
    }
    finder_init(f, rules, NULL);
    *state = f;
    return 0;
}

void finder_destroy(void *state)
{
    finder_deinit(state);
    mem_free(state);
}

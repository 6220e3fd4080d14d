/* The JSON of replay.h: texts in, report out. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "filters/replay.h"
#include "filters/replay_parts.h"
#include "runtime/base/json.h"
#include "runtime/base/utf8.h"

#define QUOTE_BEFORE 40  /* bytes of what is the same that stand before a difference */
#define QUOTE_BYTES  240 /* of a text that are quoted */

/* --- texts --- */

int replay_side_named(const char *name, enum filter_side *side)
{
    if (strcmp(name, "input") == 0) {
        *side = FILTER_INPUT;
    } else if (strcmp(name, "output") == 0) {
        *side = FILTER_OUTPUT;
    } else {
        return -1;
    }
    return 0;
}

static int channel_named(const char *name, enum filter_channel *channel)
{
    for (int i = 0; i < FILTER_CHANNELS; i++) {
        if (strcmp(name, chain_channel_name((enum filter_channel)i)) == 0) {
            *channel = (enum filter_channel)i;
            return 0;
        }
    }
    return -1;
}

/* A member that is a string; "" when it is not there, NULL when it is something else. */
static const char *string_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!item || cJSON_IsNull(item)) {
        return "";
    }
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static int read_id(const cJSON *item, size_t number, char id[REPLAY_ID_MAX + 1], struct err *e)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(item, "id");
    if (cJSON_IsString(given)) {
        size_t len = strlen(given->valuestring);
        if (len > REPLAY_ID_MAX) {
            return err_set_param(e, ERR_INVALID, "id", "\"id\" may have %d bytes",
                                 REPLAY_ID_MAX);
        }
        memcpy(id, given->valuestring, len + 1);
    } else if (cJSON_IsNumber(given)) {
        snprintf(id, REPLAY_ID_MAX + 1, "%.15g", given->valuedouble);
    } else if (!given || cJSON_IsNull(given)) {
        snprintf(id, REPLAY_ID_MAX + 1, "%zu", number);
    } else {
        return err_set_param(e, ERR_INVALID, "id", "\"id\" must be a string or a number");
    }
    return 0;
}

int replay_text_from_json(struct replay_text *out, const cJSON *item, enum filter_side side,
                          size_t number, char id_text[REPLAY_ID_MAX + 1], struct err *e)
{
    *out = (struct replay_text){.side = side, .channel = FILTER_CONTENT, .id = id_text};
    const char *text = cJSON_IsString(item) ? item->valuestring : string_of(item, "text");
    bool has_text =
        cJSON_IsString(item) || cJSON_GetObjectItemCaseSensitive(item, "text") != NULL;
    if (!text || !has_text || (!cJSON_IsString(item) && !cJSON_IsObject(item))) {
        return err_set_param(e, ERR_INVALID, "text",
                             "a text must be a string, or an object with \"text\"");
    }
    const char *named_side = string_of(item, "side");
    if (!named_side || (named_side[0] && replay_side_named(named_side, &out->side) != 0)) {
        return err_set_param(e, ERR_INVALID, "side",
                             "\"side\" must be \"input\" or \"output\"");
    }
    const char *channel = string_of(item, "channel");
    if (!channel || (channel[0] && channel_named(channel, &out->channel) != 0)) {
        return err_set_param(e, ERR_INVALID, "channel",
                             "\"channel\" must be \"content\", \"reasoning\" or \"tool_args\"");
    }
    out->text = text;
    out->len = strlen(text);
    return read_id(item, number, id_text, e);
}

/* --- differences --- */

static void append_string(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    json_append_string(out, text, strlen(text));
}

static void append_verdict(struct buf *out, const struct chain_event *event)
{
    buf_printf(out, "{\"verdict\":\"%s\",\"filter\":%zu,", chain_event_name(event->kind),
               event->filter);
    append_string(out, "type", event->type);
    buf_append_char(out, ',');
    append_string(out, "name", event->name);
    buf_append_char(out, ',');
    append_string(out, "code", event->code);
    buf_append_char(out, ',');
    append_string(out, "message", event->message);
    buf_printf(out,
               ",\"recorded\":%s,\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"at\":%" PRIu64 "}",
               event->is_recorded ? "true" : "false", event->from, event->to, event->at);
}

static void append_verdicts(struct buf *out, const char *name,
                            const struct replay_outcome *outcome,
                            const enum replay_match *matches, enum replay_match which)
{
    size_t n = 0;
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < outcome->n_events && n < REPLAY_VERDICTS_MAX; i++) {
        if (matches[i] == which) {
            buf_append_str(out, n++ ? "," : "");
            append_verdict(out, &outcome->events[i]);
        }
    }
    buf_append_char(out, ']');
}

static size_t common_prefix(const struct buf *a, const struct buf *b)
{
    size_t n = 0;
    while (n < a->len && n < b->len && a->data[n] == b->data[n]) {
        n++;
    }
    return a->len > 0 ? utf8_valid_prefix(a->data, n) : 0;
}

/* Some of a text from shortly before the place where it differs. */
static void append_quote(struct buf *out, const char *name, const struct buf *text, size_t at)
{
    size_t from = at > QUOTE_BEFORE ? at - QUOTE_BEFORE : 0;
    while (from > 0 && ((unsigned char)text->data[from] & 0xC0u) == 0x80u) {
        from--;
    }
    size_t len = text->len - from < QUOTE_BYTES ? text->len - from : QUOTE_BYTES;
    buf_printf(out, ",\"%s\":", name);
    json_append_string(out, text->len ? text->data + from : "",
                       text->len ? utf8_valid_prefix(text->data + from, len) : 0);
}

static void append_outcome(struct buf *out, const char *name, const struct replay_outcome *o)
{
    buf_printf(out, ",\"%s\":{\"bytes\":%zu,\"stop\":", name, o->out.len);
    if (o->stop) {
        append_verdict(out, o->stop);
    } else {
        buf_append_str(out, "null");
    }
    buf_append_char(out, '}');
}

static void append_comparison(struct buf *out, const struct replay *r,
                              const struct replay_outcome outcomes[2],
                              const enum replay_match *const matches[2])
{
    const struct buf *a = &outcomes[0].out;
    const struct buf *b = &outcomes[1].out;
    bool is_same = a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
    append_outcome(out, "before", &outcomes[0]);
    append_outcome(out, "after", &outcomes[1]);
    append_verdicts(out, "removed", &outcomes[0], matches[0], REPLAY_ONLY_HERE);
    append_verdicts(out, "added", &outcomes[1], matches[1], REPLAY_ONLY_HERE);
    append_verdicts(out, "moved", &outcomes[1], matches[1], REPLAY_MOVED);
    if (is_same) {
        return;
    }
    size_t at = common_prefix(a, b);
    buf_printf(out, ",\"differs_at\":%zu", at);
    if (r->options.show_text) {
        append_quote(out, "text_before", a, at);
        append_quote(out, "text_after", b, at);
    }
}

int replay_append_difference(struct replay *r, const struct replay_text *text,
                             enum replay_change change, const struct replay_outcome outcomes[2],
                             const enum replay_match *const matches[2], const struct err *why)
{
    struct buf *out = &r->differences;
    if (r->n_differences == REPLAY_DIFFERENCES_MAX) {
        r->n_left_out++;
        return 0;
    }
    size_t len_before = out->len;
    buf_append_str(out, out->len ? ",{" : "{");
    append_string(out, "id", text->id);
    buf_printf(out, ",\"side\":\"%s\",\"channel\":\"%s\",\"change\":\"%s\"",
               text->side == FILTER_INPUT ? "input" : "output",
               chain_channel_name(text->channel), replay_change_name(change));
    if (why) {
        buf_append_char(out, ',');
        append_string(out, "error", why->message);
    } else {
        append_comparison(out, r, outcomes, matches);
    }
    buf_append_char(out, '}');
    if (out->failed) {
        out->failed = false;
        out->len = len_before;
        r->n_left_out++; /* what is counted stays right */
        return 0;
    }
    r->n_differences++;
    return 0;
}

/* --- the report --- */

static void append_chain(struct buf *out, const char *name, const struct chain *chain,
                         uint64_t ns)
{
    buf_printf(out, "\"%s\":{", name);
    append_string(out, "name", chain_name(chain));
    buf_printf(out, ",\"version\":%u,\"sha256\":\"%s\",\"seconds\":%.6f,\"left_out\":[",
               chain_version(chain), chain_hash(chain), (double)ns / 1e9);
    bool is_first = true;
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (chain_filter_asks(chain, i)) {
            buf_printf(out, is_first ? "%zu" : ",%zu", i);
            is_first = false;
        }
    }
    buf_append_str(out, "]},");
}

static void append_rules(struct buf *out, const struct replay *r)
{
    buf_append_str(out, ",\"rules\":[");
    for (size_t i = 0; i < r->n_rules; i++) {
        const struct replay_rule *rule = &r->rules[i];
        buf_append_str(out, i ? ",{" : "{");
        append_string(out, "name", rule->name);
        buf_append_char(out, ',');
        append_string(out, "type", rule->type);
        buf_append_char(out, ',');
        append_string(out, "code", rule->code);
        buf_printf(out,
                   ",\"verdict\":\"%s\",\"recorded\":%s,\"before\":%" PRIu64
                   ",\"after\":%" PRIu64 ",\"added\":%" PRIu64 ",\"removed\":%" PRIu64
                   ",\"moved\":%" PRIu64 "}",
                   chain_event_name(rule->kind), rule->is_recorded ? "true" : "false",
                   rule->before, rule->after, rule->added, rule->removed, rule->moved);
    }
    buf_append_char(out, ']');
}

int replay_report(const struct replay *r, struct buf *out)
{
    buf_append_char(out, '{');
    append_chain(out, "before", r->chains[0], r->ns[0]);
    append_chain(out, "after", r->chains[1], r->ns[1]);
    buf_printf(out, "\"texts\":%" PRIu64, replay_total(r));
    for (int i = 0; i < REPLAY_CHANGES; i++) {
        buf_printf(out, ",\"%s\":%" PRIu64, replay_change_name((enum replay_change)i),
                   r->counts[i]);
    }
    buf_printf(out,
               ",\"verdicts_added\":%" PRIu64 ",\"verdicts_removed\":%" PRIu64
               ",\"verdicts_moved\":%" PRIu64 ",\"overflows\":%" PRIu64,
               r->verdicts_added, r->verdicts_removed, r->verdicts_moved, r->n_truncated);
    append_rules(out, r);
    buf_append_str(out, ",\"differences\":[");
    buf_append(out, r->differences.data ? r->differences.data : "", r->differences.len);
    buf_printf(out, "],\"differences_left_out\":%" PRIu64 "}", r->n_left_out);
    return out->failed ? -1 : 0;
}

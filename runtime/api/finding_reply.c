#include "runtime/api/finding_reply.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/base/json.h"

static void append_string(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_append_string(out, text, strlen(text));
}

int finding_reply_append(struct buf *out, const struct finding *f, const char *text, size_t len)
{
    buf_printf(out, "{\"id\":%" PRIu64 ",\"time\":%.3f", f->id, (double)f->time_ms / 1000.0);
    append_string(out, "request", f->request);
    append_string(out, "answer", f->answer);
    append_string(out, "key", f->key);
    append_string(out, "route", f->route);
    append_string(out, "place", f->place);
    append_string(out, "chain", f->chain);
    buf_printf(out, ",\"version\":%" PRIu32, f->version);
    append_string(out, "side", f->side);
    append_string(out, "channel", f->channel);
    buf_printf(out, ",\"ordinal\":%" PRIu32 ",\"filter\":%" PRIu32, f->ordinal, f->filter);
    append_string(out, "name", f->name);
    append_string(out, "type", f->type);
    append_string(out, "code", f->code);
    append_string(out, "verdict", f->verdict);
    append_string(out, "message", f->message);
    buf_printf(out,
               ",\"recorded\":%s,\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"at\":%" PRIu64
               ",\"text_id\":%" PRIu64,
               f->is_recorded ? "true" : "false", f->from, f->to, f->at, f->text);
    if (text) {
        buf_append_str(out, ",\"text\":");
        json_append_string(out, text, len);
    }
    return buf_append_char(out, '}');
}

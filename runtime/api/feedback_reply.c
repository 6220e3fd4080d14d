#include "runtime/api/feedback_reply.h"

#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/base/json.h"

char *feedback_reply_text(const struct feedback *f, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", f->id);
    cJSON_AddStringToObject(root, "object", "feedback");
    cJSON_AddNumberToObject(root, "created", (double)(f->time_ms / 1000));
    cJSON_AddStringToObject(root, "answer", f->answer);
    cJSON_AddNumberToObject(root, "choice", f->choice);
    return json_text_take(root, len);
}

/* ,"NAME":"..." or null */
static void append_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    if (text) {
        json_append_string(out, text, strlen(text));
    } else {
        buf_append_str(out, "null");
    }
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

int feedback_reply_append(struct buf *out, const struct feedback *f)
{
    buf_printf(out, "{\"number\":%llu,\"time\":%.3f,\"choice\":%d",
               (unsigned long long)f->number, (double)f->time_ms / 1000, f->choice);
    append_text(out, "id", f->id);
    append_text(out, "answer", f->answer);
    append_text(out, "model", f->model);
    append_text(out, "key", or_null(f->key));
    append_text(out, "user", or_null(f->user));
    append_text(out, "thumb", f->thumb > 0 ? "up" : f->thumb < 0 ? "down" : NULL);
    append_text(out, "over", or_null(f->over));
    buf_printf(out, ",\"over_choice\":%d", f->over_choice);
    append_text(out, "comment", f->comment);
    buf_printf(out, ",\"asked\":%s", f->messages ? f->messages : "null");
    append_text(out, "text", f->text);
    append_text(out, "correction", f->correction);
    append_text(out, "over_text", f->over_text);
    return buf_append_char(out, '}');
}

enum feedback_example feedback_example_of(const struct feedback *f)
{
    if (!f->messages || !f->text) {
        return FEEDBACK_NO_EXAMPLE;
    }
    const char *other = f->correction ? f->correction : f->over_text;
    if (f->correction || f->over[0]) {
        return other && strcmp(other, f->text) != 0 ? FEEDBACK_PAIR : FEEDBACK_NO_EXAMPLE;
    }
    return f->thumb != 0 ? FEEDBACK_LABEL : FEEDBACK_NO_EXAMPLE;
}

int feedback_example_append(struct buf *out, const struct feedback *f)
{
    enum feedback_example kind = feedback_example_of(f);
    if (kind == FEEDBACK_NO_EXAMPLE) {
        return 0;
    }
    buf_printf(out, "{\"%s\":%s", f->messages[0] == '"' ? "prompt" : "messages", f->messages);
    if (kind == FEEDBACK_LABEL) {
        append_text(out, "answer", f->text);
        buf_printf(out, ",\"label\":%s", f->thumb > 0 ? "true" : "false");
    } else {
        append_text(out, "chosen", f->correction ? f->correction : f->text);
        append_text(out, "rejected", f->correction ? f->text : f->over_text);
    }
    return buf_append_char(out, '}');
}

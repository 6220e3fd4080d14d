#include "runtime/api/tokens_reply.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/base/buf.h"
#include "runtime/base/utf8.h"

static void append_name(struct buf *out, const struct tokenizer *t, int32_t id)
{
    const char *name = tokenizer_token_name(t, id);
    bool is_text = name && utf8_is_valid(name, strlen(name));
    json_append_string(out, is_text ? name : "", is_text ? strlen(name) : 0);
}

/* What a token stands for: text, or the bytes of a part of a character. */
static void append_piece(struct buf *out, const struct tokenizer *t, int32_t id)
{
    size_t len;
    const char *bytes = tokenizer_token_bytes(t, id, &len);
    if (tokenizer_is_control(t, id)) {
        append_name(out, t, id);
    } else if (utf8_is_valid(bytes, len)) {
        json_append_string(out, bytes, len);
    } else {
        for (size_t i = 0; i < len; i++) {
            buf_printf(out, "%c%u", i > 0 ? ',' : '[', (unsigned)(unsigned char)bytes[i]);
        }
        buf_append_char(out, ']');
    }
}

static void append_token(struct buf *out, const struct tokenize_reply *r, int32_t id)
{
    char number[16];
    int digits = snprintf(number, sizeof(number), "%" PRId32, id);
    if (!r->with_pieces) {
        buf_append(out, number, (size_t)digits);
        return;
    }
    buf_append_str(out, "{\"id\":");
    buf_append(out, number, (size_t)digits);
    buf_append_str(out, ",\"piece\":");
    append_piece(out, r->tokenizer, id);
    buf_append_char(out, '}');
}

char *tokenize_reply_text(const struct tokenize_reply *r, size_t *len)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_printf(&out, "{\"count\":%zu,\"max_model_len\":%d,\"tokens\":[", r->tokens->count,
               r->context);
    for (size_t i = 0; i < r->tokens->count; i++) {
        if (i > 0) {
            buf_append_char(&out, ',');
        }
        append_token(&out, r, r->tokens->ids[i]);
    }
    buf_append_char(&out, ']');
    for (size_t i = 0; r->with_names && i < r->tokens->count; i++) {
        buf_append_str(&out, i > 0 ? "," : ",\"token_strs\":[");
        append_name(&out, r->tokenizer, r->tokens->ids[i]);
    }
    if (r->with_names) {
        buf_append_str(&out, r->tokens->count > 0 ? "]" : ",\"token_strs\":[]");
    }
    buf_append_char(&out, '}');
    char *text = buf_take(&out, len);
    buf_deinit(&out);
    return text;
}

char *detokenize_reply_text(const char *text, size_t text_len, size_t *len)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_append_str(&out, "{\"content\":");
    json_append_string(&out, text, text_len);
    buf_append_str(&out, ",\"prompt\":");
    json_append_string(&out, text, text_len);
    buf_append_char(&out, '}');
    char *reply = buf_take(&out, len);
    buf_deinit(&out);
    return reply;
}

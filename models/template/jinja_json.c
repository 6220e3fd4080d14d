/* Values as Python's json.dumps writes them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/template/jinja_builtin.h"
#include "runtime/base/utf8.h"

struct json_writer {
    struct jinja_run *run;
    struct jinja_builder *b;
    const struct jinja_json_style *style;
    size_t level;
};

static int append_json(struct json_writer *w, const struct jinja_value *value);

/* "\u20ac", or a pair of them for what is outside the basic plane (RFC 8259 7). */
static int append_code_point(struct json_writer *w, uint32_t c)
{
    char text[16];
    if (c < 0x10000) {
        snprintf(text, sizeof(text), "\\u%04x", c);
    } else {
        snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                 0xDC00 + ((c - 0x10000) & 0x3FF));
    }
    return jinja_builder_text(w->b, text);
}

static int append_string(struct json_writer *w, const struct jinja_string *s)
{
    static const char letters[] = "\"\"\\\\\nn\rr\tt\ff\bb";
    if (jinja_charge_items(w->run, s->len) != 0) {
        return -1;
    }
    int rc = jinja_builder_text(w->b, "\"");
    for (size_t i = 0; rc == 0 && i < s->len;) {
        size_t n = jinja_char_len(s->data + i, s->len - i);
        unsigned char c = (unsigned char)s->data[i];
        const char *letter = c ? strchr(letters, c) : NULL;
        uint32_t code_point;
        /* The table is pairs: an odd place is a letter, which stands for itself. */
        if (letter && (letter - letters) % 2 == 0) {
            char escape[] = {'\\', letter[1]};
            rc = jinja_builder_bytes(w->b, escape, sizeof(escape));
        } else if (c < 0x20) {
            rc = append_code_point(w, c);
        } else if (w->style->ascii && utf8_decode(s->data + i, n, &code_point) > 1) {
            rc = append_code_point(w, code_point);
        } else {
            rc = jinja_builder_bytes(w->b, s->data + i, n);
        }
        i += n;
    }
    return rc == 0 ? jinja_builder_text(w->b, "\"") : -1;
}

static int append_number(struct json_writer *w, const struct jinja_value *value)
{
    char text[JINJA_FLOAT_MAX];
    if (value->type == JINJA_INT) {
        snprintf(text, sizeof(text), "%" PRId64, value->integer);
    } else if (isfinite(value->real)) {
        jinja_format_float(value->real, text);
    } else { /* not JSON, but what Python writes */
        snprintf(text, sizeof(text), "%s",
                 isnan(value->real) ? "NaN"
                 : value->real < 0  ? "-Infinity"
                                    : "Infinity");
    }
    return jinja_builder_text(w->b, text);
}

/* Keys are strings in JSON: Python writes other scalars as strings. */
static int append_key(struct json_writer *w, const struct jinja_value *key)
{
    if (key->type == JINJA_STRING) {
        return append_string(w, key->string);
    }
    if (jinja_is_sequence(key) || key->type == JINJA_DICT || key->type == JINJA_NAMESPACE) {
        return jinja_fail(w->run, ERR_INVALID, "a %s cannot be a key in JSON",
                          jinja_type_name(key->type));
    }
    int rc = jinja_builder_text(w->b, "\"");
    rc = rc == 0 ? append_json(w, key) : rc;
    return rc == 0 ? jinja_builder_text(w->b, "\"") : -1;
}

/* What stands before an item, or before the closing bracket. */
static int append_gap(struct json_writer *w, size_t index, bool closing)
{
    if (index > 0 && !closing && jinja_builder_append(w->b, w->style->item_separator) != 0) {
        return -1;
    }
    if (w->style->indent < 0 || (closing && index == 0)) {
        return 0;
    }
    if (jinja_builder_text(w->b, "\n") != 0) {
        return -1;
    }
    return jinja_builder_fill(w->b, ' ', w->level * (size_t)w->style->indent);
}

static int append_array(struct json_writer *w, const struct jinja_list *list)
{
    int rc = jinja_builder_text(w->b, "[");
    w->level++;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        rc = append_gap(w, i, false);
        rc = rc == 0 ? append_json(w, &list->items[i]) : rc;
    }
    w->level--;
    rc = rc == 0 ? append_gap(w, list->count, true) : rc;
    return rc == 0 ? jinja_builder_text(w->b, "]") : -1;
}

/* The pairs in the order to write them. */
static int order_pairs(struct json_writer *w, const struct jinja_dict *dict,
                       const struct jinja_pair **out)
{
    *out = dict->pairs;
    if (!w->style->sort_keys || dict->count < 2) {
        return 0;
    }
    struct jinja_pair *sorted = jinja_alloc(w->run, dict->count, sizeof(*sorted));
    if (!sorted) {
        return -1;
    }
    memcpy(sorted, dict->pairs, dict->count * sizeof(*sorted));
    *out = sorted;
    return jinja_sort(w->run, sorted, dict->count, false);
}

static int append_object(struct json_writer *w, const struct jinja_dict *dict)
{
    const struct jinja_pair *pairs;
    if (order_pairs(w, dict, &pairs) != 0) {
        return -1;
    }
    int rc = jinja_builder_text(w->b, "{");
    w->level++;
    for (size_t i = 0; rc == 0 && i < dict->count; i++) {
        rc = append_gap(w, i, false);
        rc = rc == 0 ? append_key(w, &pairs[i].key) : rc;
        rc = rc == 0 ? jinja_builder_append(w->b, w->style->key_separator) : rc;
        rc = rc == 0 ? append_json(w, &pairs[i].value) : rc;
    }
    w->level--;
    rc = rc == 0 ? append_gap(w, dict->count, true) : rc;
    return rc == 0 ? jinja_builder_text(w->b, "}") : -1;
}

static int append_by_type(struct json_writer *w, const struct jinja_value *value)
{
    switch (value->type) {
    case JINJA_NONE:
        return jinja_builder_text(w->b, "null");
    case JINJA_BOOL:
        return jinja_builder_text(w->b, value->boolean ? "true" : "false");
    case JINJA_INT:
    case JINJA_FLOAT:
        return append_number(w, value);
    case JINJA_STRING:
        return append_string(w, value->string);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return append_array(w, value->list);
    case JINJA_DICT:
        return append_object(w, value->dict);
    case JINJA_UNDEFINED:
        return jinja_fail(w->run, ERR_INVALID, "\"%s\" is undefined and cannot be JSON",
                          value->name);
    default:
        return jinja_fail(w->run, ERR_INVALID, "a %s cannot be JSON",
                          jinja_type_name(value->type));
    }
}

static int append_json(struct json_writer *w, const struct jinja_value *value)
{
    if (jinja_charge(w->run, 1) != 0 || jinja_enter(w->run) != 0) {
        return -1;
    }
    int rc = append_by_type(w, value);
    jinja_leave(w->run);
    return rc;
}

int jinja_append_json(struct jinja_run *run, struct jinja_builder *b,
                      const struct jinja_value *value, const struct jinja_json_style *style)
{
    struct json_writer w = {.run = run, .b = b, .style = style};
    return append_json(&w, value);
}

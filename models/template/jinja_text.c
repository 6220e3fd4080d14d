/* Values as Python's str() and repr() write them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/template/jinja_builtin.h"

/* The fewest digits that read back as d, as "D.DDDe+X". */
static void shortest_digits(double d, char out[JINJA_FLOAT_MAX])
{
    for (int precision = 0; precision < 17; precision++) {
        snprintf(out, JINJA_FLOAT_MAX, "%.*e", precision, d);
        if (strtod(out, NULL) == d) {
            return;
        }
    }
}

void jinja_format_float(double d, char out[JINJA_FLOAT_MAX])
{
    if (!isfinite(d)) {
        snprintf(out, JINJA_FLOAT_MAX, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    char digits[JINJA_FLOAT_MAX];
    shortest_digits(d, digits);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        snprintf(out, JINJA_FLOAT_MAX, "%s", digits);
        return;
    }
    const char *point = strchr(digits, '.');
    int decimals = (point ? (int)strspn(point + 1, "0123456789") : 0) - exponent;
    snprintf(out, JINJA_FLOAT_MAX, "%.*f", decimals > 1 ? decimals : 1, d);
}

/* A string as a literal. Python takes double quotes only to avoid escaping a single one. */
static int append_quoted(struct jinja_builder *b, const struct jinja_string *s)
{
    bool single = memchr(s->data, '\'', s->len) != NULL;
    char quote = single && !memchr(s->data, '"', s->len) ? '"' : '\'';
    if (jinja_charge_items(b->run, s->len) != 0) {
        return -1;
    }
    int rc = jinja_builder_bytes(b, &quote, 1);
    for (size_t i = 0; rc == 0 && i < s->len; i++) {
        char c = s->data[i];
        char escape[8];
        if (c == quote || c == '\\') {
            snprintf(escape, sizeof(escape), "\\%c", c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            snprintf(escape, sizeof(escape), "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        } else if ((unsigned char)c < 0x20 || c == 0x7F) {
            snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)(unsigned char)c);
        } else {
            rc = jinja_builder_bytes(b, &c, 1);
            continue;
        }
        rc = jinja_builder_text(b, escape);
    }
    return rc == 0 ? jinja_builder_bytes(b, &quote, 1) : -1;
}

static int append_repr(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_value *value);

static int append_list(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_list *list, const char *open, const char *close)
{
    int rc = jinja_builder_text(b, open);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        rc = i > 0 ? jinja_builder_text(b, ", ") : 0;
        rc = rc == 0 ? append_repr(run, b, &list->items[i]) : rc;
    }
    return rc == 0 ? jinja_builder_text(b, close) : -1;
}

static int append_dict(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_dict *dict)
{
    int rc = jinja_builder_text(b, "{");
    for (size_t i = 0; rc == 0 && i < dict->count; i++) {
        rc = i > 0 ? jinja_builder_text(b, ", ") : 0;
        rc = rc == 0 ? append_repr(run, b, &dict->pairs[i].key) : rc;
        rc = rc == 0 ? jinja_builder_text(b, ": ") : rc;
        rc = rc == 0 ? append_repr(run, b, &dict->pairs[i].value) : rc;
    }
    return rc == 0 ? jinja_builder_text(b, "}") : -1;
}

static int append_scalar(struct jinja_run *run, struct jinja_builder *b,
                         const struct jinja_value *value)
{
    char number[JINJA_FLOAT_MAX];
    switch (value->type) {
    case JINJA_MISSING:
    case JINJA_UNDEFINED:
        return 0;
    case JINJA_NONE:
        return jinja_builder_text(b, "None");
    case JINJA_BOOL:
        return jinja_builder_text(b, value->boolean ? "True" : "False");
    case JINJA_INT:
        snprintf(number, sizeof(number), "%" PRId64, value->integer);
        return jinja_builder_text(b, number);
    case JINJA_FLOAT:
        jinja_format_float(value->real, number);
        return jinja_builder_text(b, number);
    default:
        return jinja_fail(run, ERR_INVALID, "a %s cannot be printed",
                          jinja_type_name(value->type));
    }
}

/* A list may hold itself (append), so the depth is bounded here too. */
static int append_repr(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_value *value)
{
    if (jinja_charge(run, 1) != 0 || jinja_enter(run) != 0) {
        return -1;
    }
    int rc;
    switch (value->type) {
    case JINJA_STRING:
        rc = append_quoted(b, value->string);
        break;
    case JINJA_UNDEFINED:
        rc = jinja_builder_text(b, "Undefined");
        break;
    case JINJA_LIST:
        rc = append_list(run, b, value->list, "[", "]");
        break;
    case JINJA_TUPLE:
        rc = append_list(run, b, value->list, "(", value->list->count == 1 ? ",)" : ")");
        break;
    case JINJA_DICT:
        rc = append_dict(run, b, value->dict);
        break;
    default:
        rc = append_scalar(run, b, value);
        break;
    }
    jinja_leave(run);
    return rc;
}

int jinja_append_value(struct jinja_run *run, struct jinja_builder *b,
                       const struct jinja_value *value)
{
    if (value->type == JINJA_STRING) {
        return jinja_builder_append(b, value->string);
    }
    return value->type == JINJA_UNDEFINED ? 0 : append_repr(run, b, value);
}

int jinja_to_string(struct jinja_run *run, const struct jinja_value *value,
                    struct jinja_string *out)
{
    if (value->type == JINJA_STRING) {
        *out = *value->string;
        return 0;
    }
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    if (jinja_append_value(run, &b, value) != 0) {
        return -1;
    }
    *out = jinja_builder_string(&b);
    return 0;
}

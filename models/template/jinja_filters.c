/* Filters on text and on single values, and what methods share with them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "models/template/jinja_builtin.h"
#include "runtime/base/utf8.h"

#define JSON_INDENT_MAX 16
#define REPLACEMENT     0xFFFD     /* what a byte that is not UTF-8 is taken for */
#define BEGINNING       UINT32_MAX /* no character: the text begins */

/* --- text --- */

/* Python's title() lets a word begin after whatever has no upper and lower case. */
static bool is_cased(uint32_t c)
{
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL ||
           kind == UTF8PROC_CATEGORY_LT;
}

/* Whether a capital belongs behind `before`, a character or BEGINNING. Jinja's filter takes
 * words to begin after white space and brackets. */
static bool wants_capital(uint32_t before, enum jinja_case how)
{
    switch (how) {
    case JINJA_LOWER:
        return false;
    case JINJA_UPPER:
        return true;
    case JINJA_CAPITALIZE:
        return before == BEGINNING;
    case JINJA_TITLE:
        return before == BEGINNING ||
               (before > 0 && before < 128 && strchr("-\t\n\v\f\r ({[<", (int)before));
    case JINJA_TITLE_LETTERS:
        return before == BEGINNING || !is_cased(before);
    }
    return false;
}

/* The character in the case wanted, into out; its length. */
static int convert_character(uint32_t c, bool capital, enum jinja_case how, char out[4])
{
    utf8proc_int32_t from = (utf8proc_int32_t)c;
    if (!capital) {
        return utf8_encode((uint32_t)utf8proc_tolower(from), out);
    }
    if (c == 0xDF) { /* the only letter in use whose capital is two */
        out[0] = 'S';
        out[1] = how == JINJA_UPPER ? 'S' : 's';
        return 2;
    }
    utf8proc_int32_t to = how == JINJA_UPPER ? utf8proc_toupper(from) : utf8proc_totitle(from);
    return utf8_encode((uint32_t)to, out);
}

int jinja_change_case(struct jinja_run *run, const struct jinja_string *s, enum jinja_case how,
                      struct jinja_value *out)
{
    struct jinja_builder b;
    uint32_t before = BEGINNING, c;
    if (jinja_charge_items(run, s->len) != 0) {
        return -1;
    }
    jinja_builder_init(&b, run);
    for (size_t i = 0; i < s->len;) {
        int len = utf8_decode(s->data + i, s->len - i, &c);
        char bytes[4] = {s->data[i]};
        /* A letter is as trusted as it was. */
        struct jinja_string letter = {bytes, NULL, 1, jinja_string_trusted_at(s, i)};
        if (len > 0) {
            letter.len = (size_t)convert_character(c, wants_capital(before, how), how, bytes);
        }
        if (jinja_builder_append(&b, &letter) != 0) {
            return -1;
        }
        before = len > 0 ? c : REPLACEMENT;
        i += len > 0 ? (size_t)len : 1;
    }
    return jinja_builder_value(&b, out);
}

int jinja_strip(struct jinja_run *run, const struct jinja_string *s,
                const struct jinja_value *chars, enum jinja_side sides, struct jinja_value *out)
{
    const struct jinja_string *set = NULL;
    if (jinja_arg_string(run, chars, "chars", &set) != 0) {
        return -1;
    }
    struct jinja_string stripped = jinja_string_strip(s, set, sides);
    /* Each character taken away, and the one that stopped it, was looked for in the whole set.
     */
    uint64_t looked = s->len - stripped.len + 2;
    if (jinja_charge(run, looked * ((set ? set->len : 1) + 16) / 64) != 0) {
        return -1;
    }
    return jinja_string_value(run, stripped, out);
}

int jinja_replace(struct jinja_run *run, const struct jinja_string *s,
                  const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string *from = NULL;
    const struct jinja_string *to = NULL;
    int64_t count = -1;
    if (jinja_arg_string(run, &argv[0], "old", &from) != 0 ||
        jinja_arg_string(run, &argv[1], "new", &to) != 0 ||
        jinja_arg_int(run, &argv[2], "count", &count) != 0) {
        return -1;
    }
    if (!from || !to || from->len == 0) {
        return jinja_fail(run, ERR_INVALID, "replace() takes two strings, the first not empty");
    }
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    size_t at = 0;
    while (count != 0) {
        size_t found = jinja_string_find(s, at, from);
        if (found == SIZE_MAX) {
            break;
        }
        struct jinja_string kept = jinja_string_slice(s, at, found);
        if (jinja_charge(run, 1) != 0 || jinja_builder_append(&b, &kept) != 0 ||
            jinja_builder_append(&b, to) != 0) {
            return -1;
        }
        at = found + from->len;
        count -= count > 0;
    }
    struct jinja_string rest = jinja_string_slice(s, at, s->len);
    if (jinja_charge_bytes(run, s->len) != 0 || jinja_builder_append(&b, &rest) != 0) {
        return -1;
    }
    return jinja_builder_value(&b, out);
}

static int change_case(struct jinja_run *run, const struct jinja_value *self,
                       enum jinja_case how, struct jinja_value *out)
{
    struct jinja_string s;
    return jinja_to_string(run, self, &s) == 0 ? jinja_change_case(run, &s, how, out) : -1;
}

static int filter_upper(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return change_case(run, self, JINJA_UPPER, out);
}

static int filter_lower(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return change_case(run, self, JINJA_LOWER, out);
}

static int filter_capitalize(struct jinja_run *run, const struct jinja_value *self,
                             const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return change_case(run, self, JINJA_CAPITALIZE, out);
}

static int filter_title(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    return change_case(run, self, JINJA_TITLE, out);
}

static int filter_trim(struct jinja_run *run, const struct jinja_value *self,
                       const struct jinja_value *argv, struct jinja_value *out)
{
    struct jinja_string s;
    return jinja_to_string(run, self, &s) == 0 ? jinja_strip(run, &s, &argv[0], JINJA_BOTH, out)
                                               : -1;
}

static int filter_replace(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    struct jinja_string s;
    return jinja_to_string(run, self, &s) == 0 ? jinja_replace(run, &s, argv, out) : -1;
}

/* A value that is text already; `safe` says no more here, where nothing is escaped. */
static int filter_string(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    struct jinja_string s;
    return jinja_to_string(run, self, &s) == 0 ? jinja_string_value(run, s, out) : -1;
}

/* --- indent --- */

/* Every line of s but the first gets the margin in front, empty ones only if `blank`. */
static int append_indented(struct jinja_builder *b, const struct jinja_string *s,
                           const struct jinja_string *margin, bool blank)
{
    const struct jinja_string newline = JINJA_STR("\n");
    for (size_t at = 0;;) {
        size_t end = jinja_string_find(s, at, &newline);
        struct jinja_string line = jinja_string_slice(s, at, end == SIZE_MAX ? s->len : end);
        if ((at > 0 && (blank || line.len > 0) && jinja_builder_append(b, margin) != 0) ||
            jinja_charge(b->run, 1) != 0 || jinja_builder_append(b, &line) != 0) {
            return -1;
        }
        if (end == SIZE_MAX) {
            return 0;
        }
        if (jinja_builder_append(b, &newline) != 0) {
            return -1;
        }
        at = end + 1;
    }
}

static int filter_indent(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    struct jinja_string s;
    struct jinja_string margin;
    struct jinja_builder spaces, b;
    int64_t width = 4;
    jinja_builder_init(&spaces, run);
    jinja_builder_init(&b, run);
    if (argv[0].type == JINJA_STRING) {
        margin = *argv[0].string;
    } else {
        if (jinja_arg_int(run, &argv[0], "width", &width) != 0 ||
            jinja_charge(run, width > 0 ? (uint64_t)width : 0) != 0 ||
            jinja_builder_fill(&spaces, ' ', width > 0 ? (size_t)width : 0) != 0) {
            return -1;
        }
        margin = jinja_builder_string(&spaces);
    }
    if (jinja_to_string(run, self, &s) != 0 ||
        (jinja_arg_true(&argv[1], false) && jinja_builder_append(&b, &margin) != 0) ||
        append_indented(&b, &s, &margin, jinja_arg_true(&argv[2], false)) != 0) {
        return -1;
    }
    return jinja_builder_value(&b, out);
}

/* --- JSON --- */

static int json_separators(struct jinja_run *run, const struct jinja_value *pair,
                           struct jinja_json_style *style)
{
    if (!jinja_given(pair) || pair->type == JINJA_NONE) {
        return 0;
    }
    if (!jinja_is_sequence(pair) || pair->list->count != 2) {
        return jinja_fail(run, ERR_INVALID, "\"separators\" is to be two strings");
    }
    if (jinja_arg_string(run, &pair->list->items[0], "separators", &style->item_separator) !=
        0) {
        return -1;
    }
    return jinja_arg_string(run, &pair->list->items[1], "separators", &style->key_separator);
}

/* The parameters of transformers' tojson, which is not Jinja's: nothing is escaped for HTML. */
static int filter_tojson(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    const struct jinja_string comma = JINJA_STR(","), comma_space = JINJA_STR(", ");
    const struct jinja_string colon = JINJA_STR(": ");
    int64_t indent = -1;
    if (jinja_arg_int(run, &argv[1], "indent", &indent) != 0) {
        return -1;
    }
    if (indent > JSON_INDENT_MAX) {
        return jinja_fail(run, ERR_LIMIT, "tojson indents by at most %d", JSON_INDENT_MAX);
    }
    struct jinja_json_style style = {
        .indent = (int)(indent < 0 ? -1 : indent),
        .ascii = jinja_arg_true(&argv[0], false),
        .sort_keys = jinja_arg_true(&argv[3], false),
        .item_separator = indent < 0 ? &comma_space : &comma,
        .key_separator = &colon,
    };
    struct jinja_builder b;
    jinja_builder_init(&b, run);
    if (json_separators(run, &argv[2], &style) != 0 ||
        jinja_append_json(run, &b, self, &style) != 0) {
        return -1;
    }
    return jinja_builder_value(&b, out);
}

/* --- single values --- */

static int filter_default(struct jinja_run *run, const struct jinja_value *self,
                          const struct jinja_value *argv, struct jinja_value *out)
{
    bool replace = self->type == JINJA_UNDEFINED ||
                   (jinja_arg_true(&argv[1], false) && !jinja_is_true(self));
    *out = replace ? argv[0] : *self;
    return jinja_given(out) ? 0 : jinja_string_value(run, JINJA_STR(""), out);
}

/* The number that a string spells, in decimal as a whole. */
static bool read_number(const struct jinja_string *s, double *out)
{
    struct jinja_string text = jinja_string_strip(s, NULL, JINJA_BOTH);
    char digits[64];
    if (text.len == 0 || text.len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    if (strspn(digits, "0123456789+-.eE") != text.len) {
        return false;
    }
    char *end;
    *out = strtod(digits, &end);
    return *end == '\0';
}

static bool read_int(const struct jinja_string *s, int64_t *out)
{
    struct jinja_string text = jinja_string_strip(s, NULL, JINJA_BOTH);
    char digits[32];
    if (text.len == 0 || text.len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    char *end;
    errno = 0;
    *out = strtoll(digits, &end, 10);
    return *end == '\0' && errno == 0;
}

static int filter_int(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    (void)run;
    int64_t i;
    double d;
    *out = jinja_given(&argv[0]) ? argv[0] : jinja_int(0);
    if (jinja_as_int(self, &i) || (self->type == JINJA_STRING && read_int(self->string, &i))) {
        *out = jinja_int(i);
    } else if ((jinja_as_double(self, &d) ||
                (self->type == JINJA_STRING && read_number(self->string, &d))) &&
               fabs(d) < 0x1p63) {
        *out = jinja_int((int64_t)d);
    }
    return 0;
}

static int filter_float(struct jinja_run *run, const struct jinja_value *self,
                        const struct jinja_value *argv, struct jinja_value *out)
{
    (void)run;
    double d = 0;
    if (jinja_as_double(self, &d) ||
        (self->type == JINJA_STRING && read_number(self->string, &d))) {
        *out = jinja_float(d);
    } else {
        *out = jinja_given(&argv[0]) ? argv[0] : jinja_float(0);
    }
    return 0;
}

static int filter_abs(struct jinja_run *run, const struct jinja_value *self,
                      const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    int64_t i;
    double d;
    if (jinja_as_int(self, &i)) {
        *out = jinja_int(i < 0 && i != INT64_MIN ? -i : i);
        return 0;
    }
    if (!jinja_as_double(self, &d)) {
        return jinja_fail(run, ERR_INVALID, "abs of a %s", jinja_type_name(self->type));
    }
    *out = jinja_float(fabs(d));
    return 0;
}

static int filter_length(struct jinja_run *run, const struct jinja_value *self,
                         const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    size_t n = 0;
    switch (self->type) {
    case JINJA_STRING:
        if (jinja_charge_bytes(run, self->string->len) != 0) {
            return -1;
        }
        n = jinja_char_count(self->string->data, self->string->len);
        break;
    case JINJA_LIST:
    case JINJA_TUPLE:
        n = self->list->count;
        break;
    case JINJA_DICT:
        n = self->dict->count;
        break;
    case JINJA_UNDEFINED:
        break;
    default:
        return jinja_fail(run, ERR_INVALID, "a %s has no length", jinja_type_name(self->type));
    }
    *out = jinja_int((int64_t)n);
    return 0;
}

/* A tree of JSON takes many times the memory of its text, and it is outside the run's budget.
 */
#define FROM_JSON_BYTES_MAX ((size_t)1 << 20)

/* Not Jinja's own: servers add it for templates that take a call's arguments as text. */
static int filter_from_json(struct jinja_run *run, const struct jinja_value *self,
                            const struct jinja_value *argv, struct jinja_value *out)
{
    (void)argv;
    if (self->type != JINJA_STRING) {
        return jinja_fail(run, ERR_INVALID, "from_json takes a string, not %s",
                          jinja_type_name(self->type));
    }
    if (self->string->len > FROM_JSON_BYTES_MAX) {
        return jinja_fail(run, ERR_LIMIT, "from_json of %zu bytes, at most %zu are allowed",
                          self->string->len, FROM_JSON_BYTES_MAX);
    }
    if (jinja_charge_bytes(run, self->string->len) != 0) {
        return -1;
    }
    struct err cause;
    cJSON *json = json_parse(self->string->data, self->string->len, &cause);
    if (!json) {
        return jinja_fail(run, cause.kind, "from_json: %s", cause.message);
    }
    int rc = jinja_from_cjson(run, json, out);
    cJSON_Delete(json);
    return rc;
}

const struct jinja_builtin *jinja_filter_find(const char *name)
{
    static const struct jinja_builtin table[] = {
        {.name = "abs", .call = filter_abs},
        {.name = "capitalize", .call = filter_capitalize},
        {.name = "count", .call = filter_length},
        {.name = "d", .call = filter_default, .params = {"default_value", "boolean"}},
        {.name = "default", .call = filter_default, .params = {"default_value", "boolean"}},
        {.name = "float", .call = filter_float, .params = {"default"}},
        {.name = "from_json", .call = filter_from_json},
        {.name = "indent", .call = filter_indent, .params = {"width", "first", "blank"}},
        {.name = "int", .call = filter_int, .params = {"default"}},
        {.name = "length", .call = filter_length},
        {.name = "lower", .call = filter_lower},
        {.name = "replace",
         .call = filter_replace,
         .params = {"old", "new", "count"},
         .required = 2},
        {.name = "safe", .call = filter_string},
        {.name = "string", .call = filter_string},
        {.name = "title", .call = filter_title},
        {.name = "tojson",
         .call = filter_tojson,
         .params = {"ensure_ascii", "indent", "separators", "sort_keys"}},
        {.name = "trim", .call = filter_trim, .params = {"chars"}},
        {.name = "upper", .call = filter_upper},
        {0},
    };
    const struct jinja_builtin *found = jinja_builtin_find(table, name);
    return found ? found : jinja_builtin_find(jinja_list_filters, name);
}

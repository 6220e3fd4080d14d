#include "runtime/serve/key_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>

#include "runtime/api/routes.h"

#define KEY_BYTES 32

int key_generate(char out[KEY_MADE_LEN + 1], struct err *e)
{
    unsigned char bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return err_set_errno(e, errno, "cannot make a key");
    }
    int at = snprintf(out, KEY_MADE_LEN + 1, "weir-");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        at += snprintf(out + at, 3, "%02x", bytes[i]);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return 0;
}

/* ---- one field ---- */

static int parse_name(char out[KEY_NAME_MAX + 1], const char *text, size_t len, struct err *e)
{
    bool is_good = len > 0 && len <= KEY_NAME_MAX;
    for (size_t i = 0; is_good && i < len; i++) {
        is_good =
            text[i] != '\0' && (isalnum((unsigned char)text[i]) || strchr("._-", text[i]));
    }
    if (!is_good) {
        return err_set(e, ERR_INVALID,
                       "a key's name has 1 to %d letters, digits, dots, _ and -", KEY_NAME_MAX);
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return 0;
}

static int parse_sha256(char out[HASH_HEX_LEN + 1], const char *text, size_t len, struct err *e)
{
    bool is_good = len == HASH_HEX_LEN;
    for (size_t i = 0; is_good && i < len; i++) {
        is_good = isxdigit((unsigned char)text[i]);
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[HASH_HEX_LEN] = '\0';
    return is_good ? 0
                   : err_set(e, ERR_INVALID,
                             "after the name 64 hex digits are wanted, the key's SHA-256");
}

/* The next of a list's items, which end at commas; false at the end. */
static bool next_item(const char **at, const char *end, const char **item, size_t *len)
{
    if (*at >= end) {
        return false;
    }
    const char *comma = memchr(*at, ',', (size_t)(end - *at));
    *item = *at;
    *len = (size_t)((comma ? comma : end) - *at);
    *at = comma ? comma + 1 : end;
    return true;
}

int key_scopes_parse(uint32_t *scopes, const char *text, size_t len, struct err *e)
{
    const char *item;
    size_t item_len;
    *scopes = 0;
    if (len == 0 || (len == 1 && text[0] == '*')) {
        *scopes = KEY_SCOPES_ALL;
        return 0;
    }
    for (const char *at = text; next_item(&at, text + len, &item, &item_len);) {
        enum route_scope scope = route_scope_named(item, item_len);
        if (scope == SCOPE_NONE) {
            err_set(e, ERR_INVALID, "there is no scope \"%.*s\"; there are", (int)item_len,
                    item);
            for (int i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
                size_t used = strlen(e->message);
                snprintf(e->message + used, sizeof(e->message) - used, "%s %s",
                         i == SCOPE_NONE + 1 ? "" : ",", route_scope_name((enum route_scope)i));
            }
            return -1;
        }
        *scopes |= 1u << scope;
    }
    return 0;
}

/* 1 to 4294967295 in decimal digits. */
static bool parse_count(const char *text, size_t len, uint32_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]) || value > UINT32_MAX / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = (uint32_t)value;
    return value > 0 && value <= UINT32_MAX;
}

static int parse_limits(struct key_limits *limits, const char *text, size_t len, struct err *e)
{
    const struct {
        const char *name;
        uint32_t *value;
    } known[] = {{"requests=", &limits->requests_per_minute},
                 {"tokens=", &limits->tokens_per_minute},
                 {"concurrent=", &limits->concurrent}};
    const char *item;
    size_t item_len;
    for (const char *at = text; next_item(&at, text + len, &item, &item_len);) {
        bool is_good = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            size_t name_len = strlen(known[i].name);
            if (item_len > name_len && memcmp(item, known[i].name, name_len) == 0) {
                is_good = parse_count(item + name_len, item_len - name_len, known[i].value);
            }
        }
        if (!is_good) {
            return err_set(e, ERR_INVALID,
                           "the limit \"%.*s\" is not one of requests=N, tokens=N and "
                           "concurrent=N, N at least 1",
                           (int)item_len, item);
        }
    }
    return 0;
}

#define HASH_MARK     "@sha256:"
#define HASH_MARK_LEN (sizeof(HASH_MARK) - 1)
#define HASH_LEN_MIN  8 /* digits: fewer would name a model by chance */

static bool is_name_part(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || !(isalnum((unsigned char)text[i]) || strchr("._-", text[i]))) {
            return false;
        }
    }
    return len > 0;
}

static bool is_hash_part(const char *text, size_t len)
{
    size_t digits = 0;
    while (digits < len && text[digits] && strchr("0123456789abcdef", text[digits])) {
        digits++;
    }
    return digits == len && len >= HASH_LEN_MIN && len <= HASH_HEX_LEN;
}

static bool begins_with_mark(const char *text, size_t len)
{
    return len >= HASH_MARK_LEN && memcmp(text, HASH_MARK, HASH_MARK_LEN) == 0;
}

int key_pin_parse(char out[KEY_PIN_MAX + 1], const char *text, size_t len, struct err *e)
{
    const char *at = memchr(text, '@', len);
    size_t name_len = at ? (size_t)(at - text) : len;
    size_t rest = len - name_len;
    bool is_good = len <= KEY_PIN_MAX && is_name_part(text, name_len);
    if (is_good && at) {
        is_good = begins_with_mark(at, rest)
                      ? is_hash_part(at + HASH_MARK_LEN, rest - HASH_MARK_LEN)
                      : is_name_part(at + 1, rest - 1);
    }
    if (!is_good) {
        return err_set(e, ERR_INVALID,
                       "\"%.*s\" is no model: NAME, NAME@VERSION, NAME@LABEL or NAME@sha256: "
                       "and %d to %d small hex digits",
                       len < 80 ? (int)len : 80, text, HASH_LEN_MIN, HASH_HEX_LEN);
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return 0;
}

/* ---- one line ---- */

int key_record_make(struct key_record *k, const char *name, const char *key, size_t len,
                    struct err *e)
{
    *k = (struct key_record){.scopes = KEY_SCOPES_ALL};
    if (len == 0 || len > KEY_MAX || memchr(key, '\0', len)) {
        return err_set(e, ERR_INVALID, "a key has 1 to %d bytes", KEY_MAX);
    }
    if (parse_name(k->name, name, strlen(name), e) != 0) {
        return -1;
    }
    return hash_sha256_hex(key, len, k->sha256) == 0 ? 0 : err_nomem(e);
}

enum key_field { NAME, SHA256, SCOPE_LIST, LIMITS, PROMPT, FILTERS, MODEL, FIELDS };

struct key_fields {
    const char *text[FIELDS];
    size_t len[FIELDS];
};

/* The colon at which the field ends, or NULL: the one in "@sha256:" is none. */
static const char *field_end(const char *from, const char *end)
{
    const size_t before = HASH_MARK_LEN - 1;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    while (colon && (size_t)(colon - from) >= before &&
           begins_with_mark(colon - before, (size_t)(end - (colon - before)))) {
        colon = memchr(colon + 1, ':', (size_t)(end - (colon + 1)));
    }
    return colon;
}

static int split_line(struct key_fields *f, const char *line, size_t len, struct err *e)
{
    const char *at = line, *end = line + len;
    for (int i = 0; i < FIELDS; i++) {
        const char *colon = field_end(at, end);
        if (i == FIELDS - 1 && colon) {
            return err_set(
                e, ERR_INVALID,
                "NAME:SHA256[:SCOPES[:LIMITS[:PROMPT[:FILTERS[:MODEL]]]]] is wanted");
        }
        f->text[i] = at;
        f->len[i] = (size_t)((colon ? colon : end) - at);
        at = colon ? colon + 1 : end;
    }
    return 0;
}

/* What a key's requests get in place of the server's; each may be empty. */
static int parse_choices(struct key_record *k, const struct key_fields *f, struct err *e)
{
    if ((f->len[PROMPT] > 0 &&
         parse_name(k->prompt, f->text[PROMPT], f->len[PROMPT], e) != 0) ||
        (f->len[FILTERS] > 0 &&
         parse_name(k->filters, f->text[FILTERS], f->len[FILTERS], e) != 0)) {
        return -1;
    }
    return f->len[MODEL] > 0 ? key_pin_parse(k->model, f->text[MODEL], f->len[MODEL], e) : 0;
}

int key_record_parse(struct key_record *k, const char *line, size_t len, size_t number,
                     struct err *e)
{
    struct key_fields f;
    if (!memchr(line, ':', len)) {
        char name[32];
        snprintf(name, sizeof(name), "line-%zu", number);
        return key_record_make(k, name, line, len, e);
    }
    *k = (struct key_record){0};
    return split_line(&f, line, len, e) == 0 &&
                   parse_name(k->name, f.text[NAME], f.len[NAME], e) == 0 &&
                   parse_sha256(k->sha256, f.text[SHA256], f.len[SHA256], e) == 0 &&
                   key_scopes_parse(&k->scopes, f.text[SCOPE_LIST], f.len[SCOPE_LIST], e) ==
                       0 &&
                   parse_limits(&k->limits, f.text[LIMITS], f.len[LIMITS], e) == 0
               ? parse_choices(k, &f, e)
               : -1;
}

int key_scopes_format(uint32_t scopes, struct buf *out)
{
    if (scopes == KEY_SCOPES_ALL) {
        return buf_append_str(out, "*");
    }
    const char *comma = "";
    for (int i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        if (scopes & (1u << i)) {
            buf_printf(out, "%s%s", comma, route_scope_name((enum route_scope)i));
            comma = ",";
        }
    }
    return out->failed ? -1 : 0;
}

int key_limits_format(const struct key_limits *limits, struct buf *out)
{
    const struct {
        const char *name;
        uint32_t value;
    } all[] = {{"requests", limits->requests_per_minute},
               {"tokens", limits->tokens_per_minute},
               {"concurrent", limits->concurrent}};
    const char *comma = "";
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].value > 0) {
            buf_printf(out, "%s%s=%u", comma, all[i].name, all[i].value);
            comma = ",";
        }
    }
    return out->failed ? -1 : 0;
}

int key_record_format(const struct key_record *k, struct buf *out)
{
    buf_printf(out, "%s:%s:", k->name, k->sha256);
    key_scopes_format(k->scopes, out);
    buf_append_char(out, ':');
    key_limits_format(&k->limits, out);
    const char *const choices[] = {k->prompt, k->filters, k->model};
    size_t n = sizeof(choices) / sizeof(choices[0]);
    while (n > 0 && !choices[n - 1][0]) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, ":%s", choices[i]);
    }
    return buf_append_char(out, '\n');
}

/* ---- a file ---- */

int key_file_visit(const char *text, size_t len,
                   int (*visit)(void *ctx, const struct key_record *k, struct err *e),
                   void *ctx, struct err *e)
{
    const char *end = text + len;
    size_t number = 1;
    for (const char *line = text; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - line);
        n -= n > 0 && line[n - 1] == '\r';
        if (n > 0 && line[0] != '#') {
            struct key_record k;
            if (key_record_parse(&k, line, n, number, e) != 0 || visit(ctx, &k, e) != 0) {
                return err_prefix(e, "line %zu", number);
            }
        }
        line = stop + 1;
    }
    return 0;
}

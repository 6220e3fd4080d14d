#include "runtime/registry/prompt_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/utf8.h"

/* Names are looked for one after the other; prompt_check has the bound that users meet. */
#define FIELDS_MAX 256

struct reader {
    const char *path;
    const char *at; /* the next line */
    const char *end;
    size_t number; /* of the line before */
    bool in_variables;
    cJSON *root;
    cJSON *variables; /* within root; NULL: none yet */
    struct err *e;
};

/* Bytes of the file that are not copied. */
struct piece {
    const char *data;
    size_t len;
};

static int fail(const struct reader *r, const char *what)
{
    return err_set(r->e, ERR_FORMAT, "%s:%zu: %s", r->path, r->number, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct piece trim(struct piece p)
{
    while (p.len > 0 && is_blank(p.data[0])) {
        p.data++;
        p.len--;
    }
    while (p.len > 0 && is_blank(p.data[p.len - 1])) {
        p.len--;
    }
    return p;
}

static bool is_equal(struct piece p, const char *word)
{
    return p.len == strlen(word) && memcmp(p.data, word, p.len) == 0;
}

/* The next line without its end. */
static bool next_line(struct reader *r, struct piece *line)
{
    if (r->at == r->end) {
        return false;
    }
    const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
    *line = (struct piece){r->at, (size_t)((stop ? stop : r->end) - r->at)};
    r->at = stop ? stop + 1 : r->end;
    r->number++;
    return true;
}

/* The line must begin with the dashes; what is indented belongs to something else. */
static bool is_fence(struct piece line)
{
    return line.len >= 3 && line.data[0] == '-' && is_equal(trim(line), "---");
}

/* --- values --- */

static cJSON *double_quoted(const struct reader *r, struct piece p)
{
    struct err cause;
    cJSON *value = json_parse(p.data, p.len, &cause);
    if (!value) {
        fail(r, "the value in double quotes is not a JSON string");
    }
    return value;
}

/* p without its quotes, in which two of them stand for one. */
static cJSON *single_quoted(const struct reader *r, struct piece p)
{
    struct buf text;
    buf_init(&text, p.len);
    buf_append(&text, "", 0);
    for (size_t i = 0; i < p.len; i++) {
        if (p.data[i] == '\'' && (++i == p.len || p.data[i] != '\'')) {
            fail(r, "a single quote within single quotes is written twice");
            buf_deinit(&text);
            return NULL;
        }
        buf_append_char(&text, p.data[i]);
    }
    cJSON *value = text.failed ? NULL : cJSON_CreateString(text.data);
    if (!value) {
        err_nomem(r->e);
    }
    buf_deinit(&text);
    return value;
}

static cJSON *unquoted(const struct reader *r, struct piece p)
{
    struct buf text;
    buf_init(&text, p.len);
    cJSON *value = buf_append(&text, p.data, p.len) == 0 ? cJSON_CreateString(text.data) : NULL;
    buf_deinit(&text);
    if (!value) {
        err_nomem(r->e);
    }
    return value;
}

/* YAML's signs that the value follows in the next lines. */
static bool is_block_sign(struct piece p)
{
    return (p.data[0] == '|' || p.data[0] == '>') &&
           (p.len == 1 || (p.len == 2 && (p.data[1] == '-' || p.data[1] == '+')));
}

/* A string; null when nothing is there. */
static cJSON *read_value(const struct reader *r, struct piece p)
{
    if (p.len == 0) {
        cJSON *value = cJSON_CreateNull();
        if (!value) {
            err_nomem(r->e);
        }
        return value;
    }
    if (is_block_sign(p)) {
        fail(r, "a value stands in one line; write \"...\" with \\n for a line's end");
        return NULL;
    }
    char quote = p.data[0];
    if (quote != '"' && quote != '\'') {
        return unquoted(r, p);
    }
    if (p.len < 2 || p.data[p.len - 1] != quote) {
        fail(r, "the quote is not closed at the line's end");
        return NULL;
    }
    return quote == '"' ? double_quoted(r, p)
                        : single_quoted(r, (struct piece){p.data + 1, p.len - 2});
}

/* --- lines --- */

/* Gives `value` (taken) to `object` under a name that is not there yet. */
static int add(const struct reader *r, cJSON *object, struct piece key, cJSON *value)
{
    char name[64];
    if (!value) {
        return -1;
    }
    if (key.len >= sizeof(name)) {
        cJSON_Delete(value);
        return fail(r, "the name before ':' is too long");
    }
    if (cJSON_GetArraySize(object) >= FIELDS_MAX) {
        cJSON_Delete(value);
        return fail(r, "too many lines of front matter");
    }
    snprintf(name, sizeof(name), "%.*s", (int)key.len, key.data);
    if (cJSON_GetObjectItemCaseSensitive(object, name)) {
        cJSON_Delete(value);
        return err_set(r->e, ERR_FORMAT, "%s:%zu: \"%s\" stands there twice", r->path,
                       r->number, name);
    }
    if (!cJSON_AddItemToObject(object, name, value)) {
        cJSON_Delete(value);
        return err_nomem(r->e);
    }
    return 0;
}

static int begin_variables(struct reader *r, struct piece value)
{
    if (value.len > 0) {
        return fail(r, "after `variables:` come lines like `  name: default`");
    }
    if (r->variables) {
        return fail(r, "\"variables\" stands there twice");
    }
    r->variables = cJSON_AddObjectToObject(r->root, "variables");
    r->in_variables = true;
    return r->variables ? 0 : err_nomem(r->e);
}

static int take_mode(const struct reader *r, struct piece key, struct piece value)
{
    cJSON *mode = read_value(r, value);
    const char *name = cJSON_GetStringValue(mode);
    if (mode && (!name || (strcmp(name, "prepend") != 0 && strcmp(name, "default") != 0 &&
                           strcmp(name, "override") != 0))) {
        cJSON_Delete(mode);
        return fail(r, "mode is one of prepend, default and override");
    }
    return add(r, r->root, key, mode);
}

static int take_field(struct reader *r, struct piece key, struct piece value)
{
    r->in_variables = false;
    if (is_equal(key, "variables")) {
        return begin_variables(r, value);
    }
    if (is_equal(key, "mode")) {
        return take_mode(r, key, value);
    }
    if (is_equal(key, "author") || is_equal(key, "note")) {
        return value.len == 0 ? 0 : add(r, r->root, key, read_value(r, value));
    }
    return err_set(r->e, ERR_FORMAT,
                   "%s:%zu: unknown key \"%.*s\"; there are mode, author, note and variables",
                   r->path, r->number, key.len < 40 ? (int)key.len : 40, key.data);
}

static int take_line(struct reader *r, struct piece line)
{
    bool is_indented = line.len > 0 && is_blank(line.data[0]);
    struct piece content = trim(line);
    if (content.len == 0 || content.data[0] == '#') {
        return 0;
    }
    const char *colon = memchr(content.data, ':', content.len);
    if (!colon || colon == content.data) {
        return fail(r, "`key: value` is wanted here, or `---` at the end of the front matter");
    }
    struct piece key = trim((struct piece){content.data, (size_t)(colon - content.data)});
    struct piece value =
        trim((struct piece){colon + 1, content.len - (size_t)(colon + 1 - content.data)});
    if (!is_indented) {
        return take_field(r, key, value);
    }
    if (!r->in_variables) {
        return fail(r, "an indented line stands only under `variables:`");
    }
    return add(r, r->variables, key, read_value(r, value));
}

/* Leaves r->at at the text. */
static int read_front_matter(struct reader *r)
{
    const char *begin = r->at;
    struct piece line;
    if (!next_line(r, &line) || !is_fence(line)) {
        r->at = begin;
        r->number = 0;
        return 0;
    }
    while (next_line(r, &line)) {
        if (is_fence(line)) {
            return 0;
        }
        if (take_line(r, line) != 0) {
            return -1;
        }
    }
    r->number = 1;
    return fail(r, "the front matter that begins here has no `---` at its end");
}

/* --- text --- */

static int add_text(struct reader *r)
{
    struct buf text;
    struct piece line;
    size_t kept = 0; /* up to the end of the last line that is not blank */
    int rc = 0;
    buf_init(&text, (size_t)(r->end - r->at) + 1);
    while (next_line(r, &line)) {
        bool is_empty = trim(line).len == 0;
        line.len -= line.len > 0 && line.data[line.len - 1] == '\r';
        if (is_empty && kept == 0) {
            continue;
        }
        buf_append(&text, line.data, line.len);
        kept = is_empty ? kept : text.len;
        buf_append_char(&text, '\n');
    }
    if (text.failed) {
        rc = err_nomem(r->e);
    } else if (kept == 0) {
        rc = err_set(r->e, ERR_FORMAT, "%s:%zu: there is no text", r->path,
                     r->number > 0 ? r->number : 1);
    } else {
        text.data[kept] = '\0';
        rc = cJSON_AddStringToObject(r->root, "text", text.data) ? 0 : err_nomem(r->e);
    }
    buf_deinit(&text);
    return rc;
}

/* --- whole --- */

static int check_bytes(struct reader *r)
{
    const char *begin = r->at;
    struct piece line;
    while (next_line(r, &line)) {
        if (memchr(line.data, '\0', line.len)) {
            return fail(r, "a NUL byte; is it a text file?");
        }
        if (!utf8_is_valid(line.data, line.len)) {
            return fail(r, "the text is not UTF-8");
        }
    }
    r->at = begin;
    r->number = 0;
    return 0;
}

static int print(const struct reader *r, struct buf *json)
{
    char *printed = cJSON_PrintUnformatted(r->root);
    int rc = printed ? buf_append_str(json, printed) : -1;
    cJSON_free(printed);
    return rc == 0 ? 0 : err_nomem(r->e);
}

int prompt_file_to_json(const char *path, const char *text, size_t len, const char *author,
                        struct buf *json, struct err *e)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t skip = len >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    struct reader r = {.path = path, .at = text + skip, .end = text + len, .e = e};
    r.root = cJSON_CreateObject();
    if (!r.root) {
        return err_nomem(e);
    }
    int rc = -1;
    if (check_bytes(&r) != 0 || read_front_matter(&r) != 0 || add_text(&r) != 0) {
        goto cleanup;
    }
    if (author && !cJSON_GetObjectItemCaseSensitive(r.root, "author") &&
        !cJSON_AddStringToObject(r.root, "author", author)) {
        err_nomem(e);
        goto cleanup;
    }
    rc = print(&r, json);
cleanup:
    cJSON_Delete(r.root);
    return rc;
}

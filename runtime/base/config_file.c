#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/config_parts.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"

#define SHOWN_BYTES 60 /* of a name or a value in a message */

/* --- comments --- */

/* Where a string that begins at `at` ends, behind its last quote. */
static size_t string_end(const char *text, size_t len, size_t at)
{
    for (at++; at < len && text[at] != '"'; at++) {
        at += text[at] == '\\' ? 1 : 0;
    }
    return at < len ? at + 1 : len;
}

/* Where a comment that begins at `at` ends; `at` if it is none, or has no end. */
static size_t comment_end(const char *text, size_t len, size_t at)
{
    if (at + 1 >= len || text[at] != '/') {
        return at;
    }
    if (text[at + 1] == '/') {
        const char *end = memchr(text + at, '\n', len - at);
        return end ? (size_t)(end - text) : len;
    }
    if (text[at + 1] == '*') {
        const char *end = memmem(text + at + 2, len - at - 2, "*/", 2);
        return end ? (size_t)(end - text) + 2 : at;
    }
    return at;
}

/* Spaces in their place, so that lines and columns of messages stay as they are. */
static void blank_comments(char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t end = comment_end(text, len, at);
        if (text[at] == '"') {
            at = string_end(text, len, at);
        } else if (end == at) {
            at++;
        }
        for (; at < end; at++) {
            text[at] = text[at] == '\n' ? '\n' : ' ';
        }
    }
}

/* --- words for messages --- */

/* Bytes of a text that are shown, cut between characters. */
static int shown_len(const char *text)
{
    size_t len = strnlen(text, SHOWN_BYTES + 1);
    if (len > SHOWN_BYTES) {
        len = SHOWN_BYTES;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) {
            len--;
        }
    }
    return (int)len;
}

static const char *kind_of(const cJSON *item)
{
    return cJSON_IsString(item)   ? "a text"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsBool(item)   ? "true or false"
           : cJSON_IsArray(item)  ? "an array"
           : cJSON_IsObject(item) ? "an object"
                                  : "null";
}

/* "weir.json: $.port", "weir.json: $.adapter[1]". index < 0: of the whole. */
static void name_member(const struct config *s, const char *name, int index, char *out,
                        size_t size)
{
    int n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$") ==
                    strlen(name)
                ? snprintf(out, size, "%s: $.%.*s", s->path, shown_len(name), name)
                : snprintf(out, size, "%s: $[\"%.*s\"]", s->path, shown_len(name), name);
    if (index >= 0 && n >= 0 && (size_t)n < size) {
        snprintf(out + n, size - (size_t)n, "[%d]", index);
    }
}

static void append_wanted(const struct config_setting *set, bool is_item, struct buf *out)
{
    if (set->choices) {
        buf_append_str(out, "one of");
        for (size_t i = 0; set->choices[i]; i++) {
            buf_printf(out, "%s \"%s\"", i > 0 ? "," : "", set->choices[i]);
        }
        buf_append_str(out, " is");
        return;
    }
    switch (is_item ? OPTION_STRING : set->type) {
    case OPTION_FLAG:
        buf_append_str(out, "true or false is");
        return;
    case OPTION_STRING:
        buf_append_str(out, "a text in quotes is");
        return;
    case OPTION_STRINGS:
        buf_append_str(out, "an array of texts, [\"...\"], is");
        return;
    case OPTION_INT:
        buf_append_str(out, "a whole number");
        break;
    case OPTION_DOUBLE:
        buf_append_str(out, "a number");
        break;
    case OPTION_TITLE:
        return;
    }
    if (set->min < set->max) {
        buf_printf(out, ", %ld to %ld,", set->min, set->max);
    }
    buf_append_str(out, " is");
}

static void note_unwanted(struct config *s, const struct config_setting *set, const cJSON *item,
                          int index)
{
    char place[512];
    struct buf wanted;
    char *text = set->is_secret ? NULL : cJSON_PrintUnformatted(item);
    buf_init(&wanted, 1024);
    append_wanted(set, index >= 0, &wanted);
    name_member(s, set->name, index, place, sizeof(place));
    const char *shown = text ? text : kind_of(item);
    config_note(s, place, "%.*s is not allowed; %s wanted%s", shown_len(shown), shown,
                wanted.data ? wanted.data : "",
                cJSON_IsNull(item) ? " (leave the setting out for its default)" : "");
    buf_deinit(&wanted);
    cJSON_free(text);
}

/* --- values --- */

static bool is_whole(const cJSON *item, double min, double max)
{
    return cJSON_IsNumber(item) && item->valuedouble >= min && item->valuedouble <= max &&
           item->valuedouble == floor(item->valuedouble);
}

/* A text that is not allowed is noted. */
static bool take_text(struct config *s, const struct config_setting *set, const cJSON *item,
                      int index, const char **out)
{
    struct err e = {0};
    if (!cJSON_IsString(item)) {
        note_unwanted(s, set, item, index);
        return false;
    }
    if (config_check_text(set, item->valuestring, &e) != 0) {
        char place[512];
        name_member(s, set->name, index, place, sizeof(place));
        config_note(s, place, "%s", e.message);
        return false;
    }
    *out = item->valuestring;
    return true;
}

static void take_texts(struct config *s, const struct config_setting *set, const cJSON *item,
                       struct option_strings *out)
{
    int n = cJSON_GetArraySize(item);
    if (!cJSON_IsArray(item)) {
        note_unwanted(s, set, item, -1);
        return;
    }
    if (n > OPTION_STRINGS_MAX) {
        char place[512];
        name_member(s, set->name, -1, place, sizeof(place));
        config_note(s, place, "%d items; %d are allowed", n, OPTION_STRINGS_MAX);
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *text = "";
        if (take_text(s, set, cJSON_GetArrayItem(item, i), i, &text)) {
            out->items[out->count++] = text;
        }
    }
}

static void take_number(struct config *s, const struct config_setting *set, const cJSON *item,
                        void *value)
{
    bool bounded = set->min < set->max;
    double min =
        bounded ? (double)set->min : -0x1p53; /* beyond, doubles are no whole numbers */
    double max = bounded ? (double)set->max : 0x1p53;
    if (set->type == OPTION_INT && is_whole(item, min, max)) {
        *(long *)value = (long)item->valuedouble;
    } else if (set->type == OPTION_DOUBLE && cJSON_IsNumber(item) && item->valuedouble >= min &&
               item->valuedouble <= max) {
        *(double *)value = item->valuedouble;
    } else {
        note_unwanted(s, set, item, -1);
    }
}

/* Room for a value that counts for nothing, since the command line has another. */
union any_value {
    bool flag;
    const char *text;
    struct option_strings texts;
    long whole;
    double number;
};

static void take_value(struct config *s, size_t index, const cJSON *item)
{
    const struct config_setting *set = &s->table->items[index];
    union any_value aside = {.texts = {.count = 0}};
    bool counts = s->sources[index] != FROM_COMMAND_LINE;
    void *value = counts ? config_at(s, set) : &aside;
    if (counts) {
        s->sources[index] = FROM_FILE;
    }
    switch (set->type) {
    case OPTION_FLAG:
        if (cJSON_IsBool(item)) {
            *(bool *)value = cJSON_IsTrue(item);
        } else {
            note_unwanted(s, set, item, -1);
        }
        break;
    case OPTION_STRING:
        take_text(s, set, item, -1, value);
        break;
    case OPTION_STRINGS:
        ((struct option_strings *)value)->count = 0;
        take_texts(s, set, item, value);
        break;
    case OPTION_INT:
    case OPTION_DOUBLE:
        take_number(s, set, item, value);
        break;
    case OPTION_TITLE:
        break;
    }
}

/* --- members --- */

static void note_unknown(struct config *s, const char *name)
{
    char place[512];
    struct nearest near = {.wanted = name};
    name_member(s, name, -1, place, sizeof(place));
    for (size_t i = 0; i < s->table->count; i++) {
        const struct config_setting *set = &s->table->items[i];
        if (set->name && set->reload != CONFIG_COMMAND) {
            nearest_offer(&near, set->name);
        }
    }
    if (near.name) {
        config_note(s, place, "there is no such setting; did you mean \"%s\"?", near.name);
    } else {
        config_note(s, place, "there is no such setting; %s --help lists them, with _ for -",
                    s->table->command);
    }
}

static void take_member(struct config *s, const cJSON *item, bool seen[CONFIG_SETTINGS_MAX])
{
    char place[512];
    if (strcmp(item->string, "$schema") == 0) { /* for editors */
        return;
    }
    for (size_t i = 0; i < s->table->count; i++) {
        const struct config_setting *set = &s->table->items[i];
        if (!set->name || strcmp(set->name, item->string) != 0) {
            continue;
        }
        name_member(s, set->name, -1, place, sizeof(place));
        if (set->reload == CONFIG_COMMAND) {
            config_note(s, place, "is for the command line alone");
        } else if (seen[i]) {
            config_note(s, place, "is there twice");
        } else {
            seen[i] = true;
            take_value(s, i, item);
        }
        return;
    }
    note_unknown(s, item->string);
}

void config_read_text(struct config *s, const char *path, const char *text, size_t len)
{
    struct err e = {0};
    bool seen[CONFIG_SETTINGS_MAX] = {false};
    char *plain = mem_strndup(text, len);
    s->path = path;
    if (plain) {
        blank_comments(plain, len);
        s->file = json_parse(plain, len, &e);
    } else {
        err_nomem(&e);
    }
    mem_free(plain);
    if (!s->file) {
        config_note(s, path, "%s", e.message);
        return;
    }
    if (!cJSON_IsObject(s->file)) {
        config_note(s, path, "$: %s is not allowed; an object, { ... }, is wanted",
                    kind_of(s->file));
        return;
    }
    for (const cJSON *item = s->file->child; item; item = item->next) {
        take_member(s, item, seen);
    }
}

void config_read_file(struct config *s, const char *path)
{
    struct err e = {0};
    size_t len = 0;
    char *text = file_read_regular(path, CONFIG_FILE_MAX, &len, &e);
    if (!text) {
        s->path = path;
        s->n_mistakes++;
        buf_printf(&s->mistakes, "%s\n", e.message); /* begins with the path */
        return;
    }
    config_read_text(s, path, text, len);
    mem_free(text);
}

#include "runtime/base/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/config_parts.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"

#define MISTAKES_BYTES_MAX ((size_t)64 << 10)
#define OPTION_NAME_MAX    48
#define OPTION_HELP_MAX    480

void *config_at(const struct config *s, const struct config_setting *set)
{
    return (char *)s->values + set->offset;
}

size_t config_index(const struct config_table *table, const char *name)
{
    size_t i = 0;
    while (!table->items[i].name || strcmp(table->items[i].name, name) != 0) {
        i++;
    }
    return i;
}

enum config_source config_source(const struct config *s, const char *name)
{
    return s->sources[config_index(s->table, name)];
}

void config_option_name(const struct config_setting *set, char *out, size_t size)
{
    snprintf(out, size, "%s", set->name);
    for (char *c = out; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
}

/* --- mistakes --- */

static void note(struct config *s, const char *place, const char *format, va_list args)
{
    char message[ERR_MESSAGE_MAX];
    vsnprintf(message, sizeof(message), format, args);
    s->n_mistakes++;
    buf_printf(&s->mistakes, "%s: %s\n", place, message);
}

void config_note(struct config *s, const char *place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(s, place, format, args);
    va_end(args);
}

/* "weir.json: $.port", "WEIR_API_KEY" or "--port". */
static void name_place(const struct config *s, const struct config_setting *set, char *out,
                       size_t size)
{
    char option[OPTION_NAME_MAX];
    switch (s->sources[set - s->table->items]) {
    case FROM_FILE:
        snprintf(out, size, "%s: $.%s", s->path, set->name);
        return;
    case FROM_ENVIRONMENT:
        snprintf(out, size, "%s", set->environment);
        return;
    case FROM_DEFAULT:
    case FROM_COMMAND_LINE:
        config_option_name(set, option, sizeof(option));
        snprintf(out, size, "--%s", option);
        return;
    }
}

void config_mistake(struct config *s, const char *name, const char *format, ...)
{
    char place[512];
    va_list args;
    name_place(s, &s->table->items[config_index(s->table, name)], place, sizeof(place));
    va_start(args, format);
    note(s, place, format, args);
    va_end(args);
}

/* --- values --- */

static void store_initial(const struct config *s, const struct config_setting *set)
{
    void *value = config_at(s, set);
    switch (set->type) {
    case OPTION_FLAG:
        *(bool *)value = strcmp(set->initial, "true") == 0;
        break;
    case OPTION_STRING:
        *(const char **)value = set->initial;
        break;
    case OPTION_INT:
        *(long *)value = strtol(set->initial, NULL, 10);
        break;
    case OPTION_DOUBLE:
        *(double *)value = strtod(set->initial, NULL);
        break;
    case OPTION_STRINGS:
    case OPTION_TITLE:
        break;
    }
}

int config_init(struct config *s, const struct config_table *table, void *values, struct err *e)
{
    *s = (struct config){.table = table, .values = values};
    buf_init(&s->mistakes, MISTAKES_BYTES_MAX);
    if (table->count > CONFIG_SETTINGS_MAX) {
        return err_set(e, ERR_LIMIT, "%s: more than %d settings", table->command,
                       CONFIG_SETTINGS_MAX);
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i].initial) {
            store_initial(s, &table->items[i]);
        }
    }
    return 0;
}

void config_deinit(struct config *s)
{
    cJSON_Delete(s->file);
    buf_deinit(&s->mistakes);
    *s = (struct config){0};
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool config_is_same(const struct config *a, const struct config *b, size_t index)
{
    const struct config_setting *set = &a->table->items[index];
    const void *one = config_at(a, set);
    const void *two = config_at(b, set);
    switch (set->type) {
    case OPTION_FLAG:
        return *(const bool *)one == *(const bool *)two;
    case OPTION_STRING:
        return is_same_text(*(const char *const *)one, *(const char *const *)two);
    case OPTION_INT:
        return *(const long *)one == *(const long *)two;
    case OPTION_DOUBLE: {
        double x = *(const double *)one, y = *(const double *)two;
        return !(x < y || x > y);
    }
    case OPTION_STRINGS: {
        const struct option_strings *x = one, *y = two;
        bool same = x->count == y->count;
        for (size_t i = 0; same && i < x->count; i++) {
            same = is_same_text(x->items[i], y->items[i]);
        }
        return same;
    }
    case OPTION_TITLE:
        break;
    }
    return true;
}

static int append_text(struct buf *out, const char *text)
{
    return text ? json_append_string(out, text, strlen(text)) : buf_append_str(out, "null");
}

int config_append_value(const struct config *s, size_t index, struct buf *out)
{
    const struct config_setting *set = &s->table->items[index];
    const void *value = config_at(s, set);
    switch (set->type) {
    case OPTION_FLAG:
        return buf_append_str(out, *(const bool *)value ? "true" : "false");
    case OPTION_STRING: {
        const char *text = *(const char *const *)value;
        return set->is_secret && text ? buf_append_str(out, "(secret)")
                                      : append_text(out, text);
    }
    case OPTION_INT: {
        long n = *(const long *)value;
        bool is_none = s->sources[index] == FROM_DEFAULT && !set->initial;
        return is_none ? buf_append_str(out, "null") : buf_printf(out, "%ld", n);
    }
    case OPTION_DOUBLE:
        return buf_printf(out, "%g", *(const double *)value);
    case OPTION_STRINGS: {
        const struct option_strings *texts = value;
        buf_append_char(out, '[');
        for (size_t i = 0; i < texts->count; i++) {
            buf_append_str(out, i ? ", " : "");
            append_text(out, texts->items[i]);
        }
        return buf_append_char(out, ']');
    }
    case OPTION_TITLE:
        break;
    }
    return 0;
}

/* --- checks of texts --- */

int config_append_choices(const struct config_setting *set, const char *last, struct buf *out)
{
    for (size_t i = 0; set->choices[i]; i++) {
        const char *between = i == 0 ? "" : set->choices[i + 1] ? ", " : last;
        buf_printf(out, "%s%s", between, set->choices[i]);
    }
    return out->failed ? -1 : 0;
}

static int check_choice(const struct config_setting *set, const char *text, struct err *e)
{
    struct nearest near = {.wanted = text};
    struct buf known;
    for (size_t i = 0; set->choices[i]; i++) {
        if (strcmp(set->choices[i], text) == 0) {
            return 0;
        }
        nearest_offer(&near, set->choices[i]);
    }
    buf_init(&known, 1024);
    config_append_choices(set, " and ", &known);
    err_set(e, ERR_INVALID, "\"%.60s\" is not known; %s are", text,
            known.data ? known.data : "");
    buf_deinit(&known);
    if (near.name) {
        size_t len = strlen(e->message);
        snprintf(e->message + len, sizeof(e->message) - len, "; did you mean \"%s\"?",
                 near.name);
    }
    return -1;
}

int config_check_text(const struct config_setting *set, const char *text, struct err *e)
{
    if (set->choices) {
        return check_choice(set, text, e);
    }
    return set->check ? set->check(text, e) : 0;
}

static void check_given(struct config *s, const struct config_setting *set)
{
    struct err e = {0};
    const void *value = config_at(s, set);
    if (set->type == OPTION_STRING) {
        if (config_check_text(set, *(const char *const *)value, &e) != 0) {
            config_mistake(s, set->name, "%s", e.message);
        }
    } else if (set->type == OPTION_STRINGS) {
        const struct option_strings *texts = value;
        for (size_t i = 0; i < texts->count; i++) {
            if (config_check_text(set, texts->items[i], &e) != 0) {
                config_mistake(s, set->name, "%s", e.message);
            }
        }
    }
}

/* --- the command line --- */

const char *config_default_words(const struct config_setting *set)
{
    if (set->otherwise || set->type == OPTION_FLAG) {
        return set->otherwise;
    }
    return set->initial;
}

/* "HELP: a, b, c (DEFAULT)" */
static void compose_help(const struct config_setting *set, char *out, size_t size)
{
    struct buf help;
    const char *words = config_default_words(set);
    buf_init(&help, size - 1);
    buf_append_str(&help, set->help);
    if (set->choices) {
        buf_append_str(&help, ": ");
        config_append_choices(set, ", ", &help);
    }
    if (set->environment) {
        buf_printf(&help, "; or %s in the environment", set->environment);
    }
    if (words) {
        buf_printf(&help, " (%s)", words);
    }
    snprintf(out, size, "%s", help.data ? help.data : "");
    buf_deinit(&help);
}

/* The table as options.h has it. */
struct option_table {
    struct option options[CONFIG_SETTINGS_MAX + 1];
    char names[CONFIG_SETTINGS_MAX][OPTION_NAME_MAX];
    char helps[CONFIG_SETTINGS_MAX][OPTION_HELP_MAX];
    bool given[CONFIG_SETTINGS_MAX];
};

static struct option_table *make_options(const struct config *s)
{
    struct option_table *t = mem_zalloc(sizeof(*t));
    for (size_t i = 0; t && i < s->table->count; i++) {
        const struct config_setting *set = &s->table->items[i];
        struct option *option = &t->options[i];
        if (!set->name) {
            *option = (struct option){.name = "", .type = OPTION_TITLE, .help = set->help};
            continue;
        }
        config_option_name(set, t->names[i], OPTION_NAME_MAX);
        compose_help(set, t->helps[i], OPTION_HELP_MAX);
        *option = (struct option){.name = t->names[i],
                                  .letter = set->letter,
                                  .type = set->type,
                                  .value = config_at(s, set),
                                  .argument = set->argument,
                                  .help = t->helps[i],
                                  .min = set->min,
                                  .max = set->max};
    }
    return t;
}

int config_parse(struct config *s, int argc, char **argv, int *positional, struct err *e)
{
    struct option_table *t = make_options(s);
    if (!t) {
        return err_nomem(e);
    }
    const struct options options = {s->table->usage, s->table->summary, t->options};
    int rc = options_parse_given(&options, argc, argv, positional, t->given, e);
    for (size_t i = 0; rc == 0 && i < s->table->count; i++) {
        if (t->given[i]) {
            s->sources[i] = FROM_COMMAND_LINE;
            check_given(s, &s->table->items[i]);
        }
    }
    mem_free(t);
    return rc;
}

/* --- the environment --- */

void config_read_environment(struct config *s)
{
    for (size_t i = 0; i < s->table->count; i++) {
        const struct config_setting *set = &s->table->items[i];
        const char *text = set->environment ? getenv(set->environment) : NULL;
        if (text && s->sources[i] == FROM_DEFAULT) {
            *(const char **)config_at(s, set) = text;
            s->sources[i] = FROM_ENVIRONMENT;
            check_given(s, set);
        }
    }
}

/* --- paths --- */

/* NULL: it is there. */
static const char *path_problem(enum config_path wanted, const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        return strerror(errno);
    }
    if (wanted == PATH_FOLDER && !S_ISDIR(found.st_mode)) {
        return "it is no folder";
    }
    if (wanted == PATH_FILE && S_ISDIR(found.st_mode)) {
        return "it is a folder; a file is wanted";
    }
    return access(path, R_OK) != 0 ? strerror(errno) : NULL;
}

void config_check_paths(struct config *s)
{
    for (size_t i = 0; i < s->table->count; i++) {
        const struct config_setting *set = &s->table->items[i];
        const char *path =
            set->path != PATH_NONE ? *(const char *const *)config_at(s, set) : NULL;
        const char *problem =
            path && strcmp(path, "-") != 0 ? path_problem(set->path, path) : NULL;
        if (problem) {
            config_mistake(s, set->name, "%s: %s", path, problem);
        }
    }
}

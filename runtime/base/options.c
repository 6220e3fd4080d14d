#include "runtime/base/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/nearest.h"

static void print_help(const struct options *o)
{
    printf("usage: %s\n\n%s\n\n", o->usage, o->summary);
    for (const struct option *option = o->table; option->name; option++) {
        char left[64];
        char letter[8] = "    ";
        if (option->type == OPTION_TITLE) {
            printf("%s%s\n", option == o->table ? "" : "\n", option->help);
            continue;
        }
        if (option->letter) {
            snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        }
        snprintf(left, sizeof(left), "%s--%s %s", letter, option->name,
                 option->argument ? option->argument : "");
        printf("  %-30s %s\n", left, option->help);
    }
    printf("  %-30s %s\n", "    --help", "this text");
}

static const struct option *find(const struct options *o, const char *name, size_t len)
{
    for (const struct option *option = o->table; option->name; option++) {
        if (option->type != OPTION_TITLE && strlen(option->name) == len &&
            memcmp(option->name, name, len) == 0) {
            return option;
        }
    }
    return NULL;
}

static const struct option *find_letter(const struct options *o, char letter)
{
    for (const struct option *option = o->table; option->name; option++) {
        if (option->type != OPTION_TITLE && option->letter == letter) {
            return option;
        }
    }
    return NULL;
}

static int store_int(const struct option *option, const char *text, struct err *e)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        return err_set(e, ERR_INVALID, "--%s: \"%s\" is not a whole number", option->name,
                       text);
    }
    if (option->min < option->max && (value < option->min || value > option->max)) {
        return err_set(e, ERR_INVALID, "--%s: %ld is out of range, %ld to %ld are allowed",
                       option->name, value, option->min, option->max);
    }
    *(long *)option->value = value;
    return 0;
}

static int store_double(const struct option *option, const char *text, struct err *e)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || value != value) {
        return err_set(e, ERR_INVALID, "--%s: \"%s\" is not a number", option->name, text);
    }
    if (option->min < option->max &&
        (value < (double)option->min || value > (double)option->max)) {
        return err_set(e, ERR_INVALID, "--%s: %s is out of range, %ld to %ld are allowed",
                       option->name, text, option->min, option->max);
    }
    *(double *)option->value = value;
    return 0;
}

static int store_more(const struct option *option, const char *text, struct err *e)
{
    struct option_strings *strings = option->value;
    if (strings->count == OPTION_STRINGS_MAX) {
        return err_set(e, ERR_LIMIT, "--%s can be given %d times at the most", option->name,
                       OPTION_STRINGS_MAX);
    }
    strings->items[strings->count++] = text;
    return 0;
}

static int store(const struct option *option, const char *text, struct err *e)
{
    switch (option->type) {
    case OPTION_INT:
        return store_int(option, text, e);
    case OPTION_DOUBLE:
        return store_double(option, text, e);
    case OPTION_STRING:
        *(const char **)option->value = text;
        return 0;
    case OPTION_STRINGS:
        return store_more(option, text, e);
    case OPTION_FLAG:
    case OPTION_TITLE:
        break;
    }
    return err_set(e, ERR_INVALID, "--%s takes no value", option->name);
}

static int refuse_unknown(const struct options *o, const char *argument, struct err *e)
{
    char name[NEAREST_NAME_MAX + 1];
    struct nearest near = {.wanted = name};
    if (argument[1] == '-') {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
        for (const struct option *option = o->table; option->name; option++) {
            if (option->type != OPTION_TITLE) {
                nearest_offer(&near, option->name);
            }
        }
    }
    return near.name
               ? err_set(e, ERR_INVALID, "unknown option %s; did you mean --%s? (see --help)",
                         argument, near.name)
               : err_set(e, ERR_INVALID, "unknown option %s (see --help)", argument);
}

static int parse_one(const struct options *o, int argc, char **argv, int *i, bool *given,
                     struct err *e)
{
    const char *argument = argv[*i];
    const char *value = NULL;
    const struct option *option;
    if (argument[1] == '-') {
        const char *name = argument + 2;
        const char *equals = strchr(name, '=');
        option = find(o, name, equals ? (size_t)(equals - name) : strlen(name));
        value = equals ? equals + 1 : NULL;
    } else {
        option = argument[2] == '\0' ? find_letter(o, argument[1]) : NULL;
    }
    if (!option) {
        return refuse_unknown(o, argument, e);
    }
    if (given) {
        given[option - o->table] = true;
    }
    if (option->type == OPTION_FLAG && !value) {
        *(bool *)option->value = true;
        return 0;
    }
    if (!value) {
        if (*i + 1 >= argc) {
            return err_set(e, ERR_INVALID, "--%s needs a value", option->name);
        }
        value = argv[++*i];
    }
    return store(option, value, e);
}

int options_parse(const struct options *o, int argc, char **argv, int *positional,
                  struct err *e)
{
    return options_parse_given(o, argc, argv, positional, NULL, e);
}

int options_parse_given(const struct options *o, int argc, char **argv, int *positional,
                        bool *given, struct err *e)
{
    bool options_ended = false;
    *positional = 0;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (options_ended || argument[0] != '-' || argument[1] == '\0') {
            argv[1 + (*positional)++] = argv[i];
        } else if (strcmp(argument, "--") == 0) {
            options_ended = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            print_help(o);
            return 1;
        } else if (parse_one(o, argc, argv, &i, given, e) != 0) {
            return -1;
        }
    }
    return 0;
}

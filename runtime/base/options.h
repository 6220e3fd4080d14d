/* options.h: command-line options from a table, from which --help is printed too.
 *
 * Accepts --name VALUE, --name=VALUE, -n VALUE, flags without a value, `--` and positional
 * arguments.
 * --help is always there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

enum option_type {
    OPTION_FLAG,
    OPTION_STRING,
    OPTION_STRINGS,
    OPTION_INT,
    OPTION_DOUBLE,
    OPTION_TITLE, /* no option: `help` is a heading of the options that follow */
};

#define OPTION_STRINGS_MAX 32

/* OPTION_STRINGS: an option that may be given several times. */
struct option_strings {
    const char *items[OPTION_STRINGS_MAX]; /* (count) */
    size_t count;
};

struct option {
    const char *name; /* "threads", without dashes */
    char letter;      /* 't', or 0 */
    enum option_type type;
    void *value; /* bool *, const char **, struct option_strings *, long * or double *, holding
                    the default */
    const char *argument; /* "N", shown in --help; NULL for a flag */
    const char *help;     /* one line */
    long min, max;        /* OPTION_INT and OPTION_DOUBLE, when min < max */
};

struct options {
    const char *usage;          /* "weir bench -m FILE [options]" */
    const char *summary;        /* one line */
    const struct option *table; /* ends with name == NULL */
};

/* Parses argv[1..argc). Non-option arguments are moved to argv[1..]; *positional counts them.
 * Returns 0, 1 after printing --help on stdout, -1 on a usage error (message in *e). Strings
 * are borrowed from argv. */
int options_parse(const struct options *o, int argc, char **argv, int *positional,
                  struct err *e);

/* The same, and sets given[i] for each option of the table that was given. */
int options_parse_given(const struct options *o, int argc, char **argv, int *positional,
                        bool *given, struct err *e);

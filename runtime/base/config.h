/* config.h: settings from one table, given on a command line, in a JSON file or in the
 * environment; the table is also what --help, a JSON Schema of the file and the documentation
 * are made from.
 *
 * A setting `drain_timeout` is the option --drain-timeout and the member "drain_timeout" of the
 * file's one object: a flag is true or false there, an option that may come several times an
 * array of strings. The command line counts before the file, the file before the environment,
 * and that before the default.
 *
 * The file is JSON (RFC 8259) that may have comments, as // to the end of the line or between
 * slashes and stars. Whatever is wrong with it is found in one go, and each mistake names the
 * member's path ($.port), its value and what is allowed.
 *
 * Threads: none; each struct belongs to its caller. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/options.h"

#define CONFIG_SETTINGS_MAX 128
#define CONFIG_FILE_MAX     ((size_t)1 << 20)

/* When a value counts that was changed in the file, after that has been read anew. */
enum config_reload {
    CONFIG_RESTART, /* in the next process */
    CONFIG_LIVE,    /* at once */
    CONFIG_MODEL,   /* with the next version of a model that is loaded */
    CONFIG_COMMAND, /* it is no member of the file, but of the command line alone */
};

/* What a path must be, for those who check settings before they are used. */
enum config_path { PATH_NONE, PATH_FILE, PATH_FOLDER, PATH_ANY };

struct config_setting {
    const char *name; /* "drain_timeout"; NULL: `help` is the title of those that follow */
    char letter;      /* of the option, or 0 */
    enum option_type type;
    size_t offset;         /* of the value in the caller's struct, typed as in options.h */
    const char *argument;  /* "N", shown in --help; NULL for a flag */
    const char *initial;   /* the default, as the command line takes it; NULL: none, the value
                              stays as the caller has it */
    const char *otherwise; /* what holds without a value, in a few words; or a word on `initial`
                              that says it better ("8 MiB"); NULL: nothing is to be said */
    long min, max; /* OPTION_INT and OPTION_DOUBLE; none unless min < max; for OPTION_INT and
                      `otherwise` the value that means none may lie outside of them */
    const char *const *choices; /* words that are allowed, ends with NULL; NULL: any text */
    const char *pattern;        /* of the text, or of each text: a regular expression as JSON
                                   Schema has them, for editors; `check` decides */
    int (*check)(const char *text, struct err *e); /* or NULL; the message has no name in it */
    const char *environment;                       /* a variable that may hold it, or NULL */
    bool is_secret;                                /* its value is never shown */
    enum config_path path;
    enum config_reload reload;
    const char *help; /* one sentence, without default and choices */
};

struct config_table {
    const char *command;                /* "weir serve" */
    const char *usage;                  /* as in options.h */
    const char *summary;                /* likewise */
    const struct config_setting *items; /* (count), at most CONFIG_SETTINGS_MAX */
    size_t count;
};

enum config_source { FROM_DEFAULT, FROM_ENVIRONMENT, FROM_FILE, FROM_COMMAND_LINE };

/* Values, and where they are from. Strings are borrowed from the table, argv, the environment
 * and `file`. */
struct config {
    const struct config_table *table;
    void *values; /* the caller's struct */
    enum config_source sources[CONFIG_SETTINGS_MAX];
    const char *path;    /* of the file, borrowed; NULL: none was read */
    cJSON *file;         /* owned */
    struct buf mistakes; /* one a line, each ended by '\n' */
    size_t n_mistakes;
};

/* Puts defaults into *values, which must be zero but for values that `otherwise` is said of. */
int config_init(struct config *s, const struct config_table *table, void *values,
                struct err *e);
void config_deinit(struct config *s);

/* Parses argv[1..argc) as options_parse does, and returns the same. Call before the next two.
 */
int config_parse(struct config *s, int argc, char **argv, int *positional, struct err *e);

void config_read_environment(struct config *s);

/* Reads a file; the path is borrowed. Mistakes are noted, also when it cannot be opened or is
 * no JSON; settings without one are taken. */
void config_read_file(struct config *s, const char *path);

/* The same for text that is in memory; `path` is for messages. */
void config_read_text(struct config *s, const char *path, const char *text, size_t len);

/* Notes a mistake that a setting cannot be said to have alone, under the place that `name`'s
 * value comes from: "weir.json: $.tls_cert: MESSAGE" or "--tls-cert: MESSAGE". */
void config_mistake(struct config *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes paths of settings that must be there and are not. */
void config_check_paths(struct config *s);

/* The setting's place in the table; it must be there. */
size_t config_index(const struct config_table *table, const char *name);

enum config_source config_source(const struct config *s, const char *name);

/* Whether two readings of one table have the same value at that place. */
bool config_is_same(const struct config *a, const struct config *b, size_t index);

/* Appends the value as JSON; "(secret)" of a secret one, "null" where there is none. */
int config_append_value(const struct config *s, size_t index, struct buf *out);

/* ---- made from the table ---- */

/* A JSON Schema (draft 2020-12) of the file. NULL: no memory. The caller's (cJSON_Delete). */
cJSON *config_schema(const struct config_table *table);

/* Tables in Markdown, one for each title. */
int config_markdown(const struct config_table *table, struct buf *out);

/* log.h: one line a message on stderr: time, level, text, and named values beside the text.
 * Never log keys, prompts or user text.
 *
 *   text  2026-01-01T12:00:00.000Z info a request ended status=200 trace_id=4bf9...
 *   json  {"time":"2026-01-01T12:00:00.000Z","level":"info","message":"a request ended",
 *          "status":200,"trace_id":"4bf9..."}          (one line, RFC 8259)
 *
 * A message is cut at LOG_MESSAGE_MAX bytes, a value at LOG_VALUE_MAX; bytes that are no UTF-8
 * are written as U+FFFD in JSON.
 *
 * Threads: any; a line is written with one write(2). */
#pragma once

#include <stddef.h>

#define LOG_MESSAGE_MAX 1000
#define LOG_VALUE_MAX   128
#define LOG_FIELDS_MAX  16 /* of one line; more are left out */

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_OFF
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* A named value. */
struct log_field {
    const char *name; /* of the program: letters, digits and "_" */
    const char *text; /* NULL: it is a number */
    double number;
};

void log_set_level(enum log_level level);    /* default LOG_LEVEL_INFO */
void log_set_format(enum log_format format); /* default LOG_FORMAT_TEXT */

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with values beside the message: (n) of them, borrowed. A text of "" is left out. */
void log_fields(enum log_level level, const struct log_field *fields, size_t n,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

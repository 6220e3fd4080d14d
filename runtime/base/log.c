#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/utf8.h"

/* What a byte of text takes in JSON at the most: \u00XX. */
#define ESCAPED_MAX  6
#define NAME_MAX_LEN 64
#define LINE_MAX_LEN                       \
    (256 + ESCAPED_MAX * LOG_MESSAGE_MAX + \
     LOG_FIELDS_MAX * (NAME_MAX_LEN + ESCAPED_MAX * LOG_VALUE_MAX + 8))

static atomic_int minimum = LOG_LEVEL_INFO;
static atomic_int chosen_format = LOG_FORMAT_TEXT;

/* A line that is being made. It has room for the longest; what would go beyond is left out. */
struct line {
    char data[LINE_MAX_LEN];
    size_t len;
};

void log_set_level(enum log_level level)
{
    atomic_store(&minimum, (int)level);
}

void log_set_format(enum log_format format)
{
    atomic_store(&chosen_format, (int)format);
}

static void add(struct line *l, const char *data, size_t len)
{
    if (len <= sizeof(l->data) - l->len) {
        memcpy(l->data + l->len, data, len);
        l->len += len;
    }
}

static void add_str(struct line *l, const char *text)
{
    add(l, text, strlen(text));
}

/* RFC 8259, section 7. */
static void add_character(struct line *l, const char *at, size_t len)
{
    unsigned char c = (unsigned char)*at;
    if (c == '"' || c == '\\') {
        add(l, "\\", 1);
        add(l, at, 1);
    } else if (c < 0x20 || c == 0x7f) {
        char escaped[8];
        snprintf(escaped, sizeof(escaped), "\\u%04x", c);
        add_str(l, escaped);
    } else {
        add(l, at, len);
    }
}

static void add_json_string(struct line *l, const char *text, size_t len)
{
    add(l, "\"", 1);
    for (size_t i = 0; i < len;) {
        uint32_t ignored;
        int n = utf8_decode(text + i, len - i, &ignored);
        if (n > 0) {
            add_character(l, text + i, (size_t)n);
        } else {
            add_str(l, "\xef\xbf\xbd");
        }
        i += n > 0 ? (size_t)n : 1;
    }
    add(l, "\"", 1);
}

/* One line stays one line, whatever is in its text. */
static void add_plain(struct line *l, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
        add(l, &c, 1);
    }
}

static void add_field(struct line *l, const struct log_field *f, bool json)
{
    char number[32];
    if (f->text && !f->text[0]) {
        return;
    }
    add_str(l, json ? ",\"" : " ");
    add(l, f->name, strnlen(f->name, NAME_MAX_LEN));
    add_str(l, json ? "\":" : "=");
    if (!f->text) {
        snprintf(number, sizeof(number), "%.15g", f->number);
        add_str(l, number);
        return;
    }
    size_t len = strnlen(f->text, LOG_VALUE_MAX);
    (json ? add_json_string : add_plain)(l, f->text, len);
}

static void write_line(enum log_level level, const struct log_field *fields, size_t n,
                       const char *format, va_list args)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&minimum)) {
        return;
    }
    char message[LOG_MESSAGE_MAX + 1];
    char head[80];
    char stamp[40];
    struct timespec now;
    struct tm utc;
    bool json = atomic_load(&chosen_format) == LOG_FORMAT_JSON;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(head, sizeof(head),
             json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":" : "%s.%03ldZ %s ",
             stamp, now.tv_nsec / 1000000, names[level]);
    int wanted = vsnprintf(message, sizeof(message), format, args);
    size_t len = wanted < 0 ? 0 : strlen(message);
    len -= wanted > LOG_MESSAGE_MAX ? utf8_incomplete_tail(message, len) : 0;

    struct line line;
    line.len = 0; /* its bytes need no beginning */
    add_str(&line, head);
    (json ? add_json_string : add_plain)(&line, message, len);
    for (size_t i = 0; i < n && i < LOG_FIELDS_MAX; i++) {
        add_field(&line, &fields[i], json);
    }
    add_str(&line, json ? "}\n" : "\n");
    /* Nothing sensible can be done about a log that cannot be written. */
    ssize_t ignored = write(STDERR_FILENO, line.data, line.len);
    (void)ignored;
}

#define LOG_FUNCTION(name, level)                 \
    void name(const char *format, ...)            \
    {                                             \
        va_list args;                             \
        va_start(args, format);                   \
        write_line(level, NULL, 0, format, args); \
        va_end(args);                             \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)

void log_fields(enum log_level level, const struct log_field *fields, size_t n,
                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(level, fields, n, format, args);
    va_end(args);
}

#include "tests/unit/net/http_corpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define FILE_BYTES_MAX (1024 * 1024)

/* Appends what one character of a block stands for: a line end is CR LF, a backslash at a
 * line's end joins it to the next, and \r \n \t \f \xNN are escapes. Returns how many
 * characters that was. */
static size_t unescape_one(const char *s, char *out, size_t *len)
{
    static const char names[] = "rntf";
    static const char values[] = "\r\n\t\f";
    if (s[0] == '\n') {
        out[(*len)++] = '\r';
        out[(*len)++] = '\n';
        return 1;
    }
    const char *name = s[0] == '\\' && s[1] ? strchr(names, s[1]) : NULL;
    if (name) {
        out[(*len)++] = values[name - names];
        return 2;
    }
    unsigned byte;
    int digits = 0;
    if (s[0] == '\\' && sscanf(s + 1, "x%2x%n", &byte, &digits) == 1) {
        out[(*len)++] = (char)byte;
        return 1 + (size_t)digits;
    }
    if (s[0] == '\\' && s[1] == '\n') {
        return 2;
    }
    out[(*len)++] = s[0];
    return 1;
}

/* The text between the fences of the next block of that language, or NULL. */
static const char *find_block(const char *text, const char *language, const char **end)
{
    char fence[16];
    snprintf(fence, sizeof(fence), "\n```%s\n", language);
    const char *start = strstr(text, fence);
    if (!start) {
        return NULL;
    }
    start += strlen(fence);
    *end = strstr(start - 1, "\n```");
    return *end ? start : NULL;
}

/* True when the log tells of an error other than those a connection, not a parser, has to see:
 * bytes after "Connection: close" (5) and a change of protocol (22, 23). */
static bool log_has_error(const char *log, const char *end)
{
    const char *mark = strstr(log, "error code=");
    if (!mark || mark > end) {
        return false;
    }
    int code = atoi(mark + strlen("error code="));
    return code != 5 && code != 22 && code != 23;
}

static size_t visit_file(const char *text,
                         void (*visit)(void *ctx, const struct http_corpus_case *one),
                         void *ctx)
{
    size_t count = 0;
    const char *end;
    const char *block;
    while ((block = find_block(text, "http", &end)) != NULL) {
        struct http_corpus_case one = {0};
        char *wire = malloc((size_t)(end - block) * 2 + 1);
        for (const char *c = block; c < end;) {
            c += unescape_one(c, wire, &one.len);
        }
        one.wire = wire;
        const char *meta = strstr(text, "<!-- meta=");
        one.is_lenient =
            meta && meta < block && memmem(meta, (size_t)(block - meta), "lenient", 7);
        const char *log_end;
        const char *log = find_block(end, "log", &log_end);
        one.has_error = log && log_has_error(log, log_end);
        visit(ctx, &one);
        free(wire);
        text = end + 1;
        count++;
    }
    return count;
}

size_t http_corpus_visit(const char *folder,
                         void (*visit)(void *ctx, const struct http_corpus_case *one),
                         void *ctx)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        char path[1024];
        size_t len;
        struct err e;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        char *text =
            strstr(entry->d_name, ".md") ? file_read(path, FILE_BYTES_MAX, &len, &e) : NULL;
        if (text) {
            count += visit_file(text, visit, ctx);
        }
        mem_free(text);
    }
    if (dir) {
        closedir(dir);
    }
    return count;
}

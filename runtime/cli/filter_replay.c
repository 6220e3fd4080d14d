#include "runtime/cli/filter_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/replay.h"
#include "runtime/base/json.h"
#include "runtime/base/utf8.h"
#include "runtime/cli/replay_print.h"

#define LINE_BYTES_MAX   ((size_t)16 << 20)
#define REPORT_BYTES_MAX ((size_t)64 << 20)

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

static int run_plain(struct replay *r, const struct filter_replay *f, const char *line,
                     size_t len, size_t number, struct err *e)
{
    char id[32];
    snprintf(id, sizeof(id), "%zu", number);
    if (!utf8_is_valid(line, len)) {
        return err_set(e, ERR_FORMAT, "not valid UTF-8");
    }
    const struct replay_text text = {
        .id = id, .side = f->side, .channel = FILTER_CONTENT, .text = line, .len = len};
    return replay_run(r, &text, e);
}

static int run_json(struct replay *r, const struct filter_replay *f, const char *line,
                    size_t len, size_t number, struct err *e)
{
    char id[REPLAY_ID_MAX + 1];
    struct replay_text text;
    cJSON *item = json_parse(line, len, e);
    int rc = item ? replay_text_from_json(&text, item, f->side, number, id, e) : -1;
    rc = rc == 0 ? replay_run(r, &text, e) : -1;
    cJSON_Delete(item);
    return rc;
}

/* A line from standard input is JSON if it looks so. */
static int run_line(struct replay *r, const struct filter_replay *f, const char *line,
                    size_t len, size_t number, struct err *e)
{
    bool is_json = ends_with(f->texts, ".jsonl") ||
                   (strcmp(f->texts, "-") == 0 && len > 0 && line[0] == '{');
    if (len > LINE_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "a text may have %zu bytes", LINE_BYTES_MAX);
    }
    return (is_json ? run_json : run_plain)(r, f, line, len, number, e);
}

static int run_lines(struct replay *r, const struct filter_replay *f, FILE *file,
                     const char *shown, struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    for (size_t number = 1; rc == 0; number++) {
        ssize_t len = getline(&line, &cap, file);
        if (len < 0) {
            break;
        }
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
            len--;
        }
        if (len > 0 && run_line(r, f, line, (size_t)len, number, e) != 0) {
            rc = err_prefix(e, "%s:%zu", shown, number);
        }
    }
    if (rc == 0 && ferror(file)) {
        rc = err_set_errno(e, errno, "%s: cannot read", shown);
    }
    free(line); /* getline's */
    return rc;
}

static int run_file(struct replay *r, const struct filter_replay *f, struct err *e)
{
    bool is_stdin = strcmp(f->texts, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(f->texts, "re");
    if (!file) {
        return err_set_errno(e, errno, "%s: cannot open", f->texts);
    }
    int rc = run_lines(r, f, file, is_stdin ? "standard input" : f->texts, e);
    if (!is_stdin) {
        fclose(file);
    }
    return rc;
}

static int print_report(const struct replay *r, const struct filter_replay *f, struct err *e)
{
    struct buf text;
    buf_init(&text, REPORT_BYTES_MAX);
    int rc = replay_report(r, &text) == 0 ? 0 : err_nomem(e);
    if (rc == 0 && f->json) {
        printf("%s\n", text.data);
    } else if (rc == 0) {
        cJSON *report = json_parse_large(text.data, text.len, e);
        rc = report ? replay_print(report, e) : -1;
        cJSON_Delete(report);
    }
    buf_deinit(&text);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        return err_set_errno(e, errno, "cannot write to standard output");
    }
    return rc;
}

int filter_replay_run(const struct filter_replay *f, struct err *e)
{
    const struct replay_options options = {.show_text = f->show_text};
    struct chain *after = chain_from_file(f->chain, e);
    struct chain *before = after ? chain_from_file(f->against, e) : NULL;
    struct replay *r = before ? replay_create(before, after, &options, e) : NULL;
    int rc = r && run_file(r, f, e) == 0 ? print_report(r, f, e) : -1;
    replay_destroy(r);
    chain_unref(before);
    chain_unref(after);
    return rc;
}

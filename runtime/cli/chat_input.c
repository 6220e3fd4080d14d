#include "runtime/cli/chat_input.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WEIR_HAVE_LIBEDIT
#    include <histedit.h>
#    include <locale.h>
#endif

#include "runtime/base/mem.h"
#include "runtime/cli/chat_history.h"
#include "runtime/cli/chat_stop.h"

static const char fence[] = "\"\"\"";

enum line_status { LINE_READ, LINE_END, LINE_DROPPED };

struct chat_input {
    bool is_terminal;
    const char *prompt;  /* of the line that is read now */
    const char *history; /* borrowed; NULL: none is kept */
    char *line;          /* getline's */
    size_t cap;
#ifdef WEIR_HAVE_LIBEDIT
    EditLine *editor; /* NULL: lines are read as they come */
    History *lines;
#endif
};

/* --- the editor --- */

#ifdef WEIR_HAVE_LIBEDIT

static char *prompt_of(EditLine *editor)
{
    void *ctx = NULL;
    el_get(editor, EL_CLIENTDATA, &ctx);
    return (char *)(uintptr_t)((const struct chat_input *)ctx)->prompt;
}

static void remember(void *ctx, const char *line)
{
    struct chat_input *in = ctx;
    HistEvent event;
    history(in->lines, &event, H_ENTER, line);
}

/* Without a locale that has letters beyond ASCII none could be typed. */
static void set_locale(void)
{
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
}

static int open_editor(struct chat_input *in, struct err *e)
{
    HistEvent event;
    set_locale();
    in->lines = history_init();
    in->editor = el_init("weir", stdin, stdout, stderr);
    if (!in->lines || !in->editor) {
        return err_nomem(e);
    }
    history(in->lines, &event, H_SETSIZE, CHAT_HISTORY_LINES);
    history(in->lines, &event, H_SETUNIQUE, 1);
    el_set(in->editor, EL_CLIENTDATA, in);
    el_set(in->editor, EL_PROMPT, prompt_of);
    el_set(in->editor, EL_EDITOR, "emacs");
    el_set(in->editor, EL_HIST, history, in->lines);
    el_set(in->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(in->editor, NULL);
    struct err unread = {0};
    if (in->history && chat_history_read(in->history, remember, in, &unread) != 0) {
        fprintf(stderr, "weir chat: no history: %s\n", unread.message);
        in->history = NULL;
    }
    return 0;
}

static void close_editor(struct chat_input *in)
{
    if (in->editor) {
        el_end(in->editor);
    }
    if (in->lines) {
        history_end(in->lines);
    }
}

static void keep_line(struct chat_input *in, const char *line)
{
    struct err e = {0};
    if (line[strspn(line, " \t")] == '\0') {
        return;
    }
    remember(in, line);
    if (in->history && chat_history_append(in->history, line, &e) != 0) {
        fprintf(stderr, "weir chat: no history: %s\n", e.message);
        in->history = NULL;
    }
}

static bool has_editor(const struct chat_input *in)
{
    return in->editor != NULL;
}

static ssize_t edit_line(struct chat_input *in, const char **line)
{
    int len = 0;
    *line = el_gets(in->editor, &len);
    return *line ? len : -1;
}

#else

static int open_editor(struct chat_input *in, struct err *e)
{
    (void)in;
    (void)e;
    return 0;
}

static void close_editor(struct chat_input *in)
{
    (void)in;
}

static void keep_line(struct chat_input *in, const char *line)
{
    (void)in;
    (void)line;
}

static bool has_editor(const struct chat_input *in)
{
    (void)in;
    return false;
}

static ssize_t edit_line(struct chat_input *in, const char **line)
{
    (void)in;
    (void)line;
    return -1;
}

#endif

/* --- lines --- */

static ssize_t plain_line(struct chat_input *in, const char **line)
{
    if (in->is_terminal) {
        fputs(in->prompt, stdout);
        fflush(stdout);
    }
    ssize_t len = getline(&in->line, &in->cap, stdin);
    *line = in->line;
    return len;
}

/* *line: without its end, valid until the next call. */
static enum line_status read_line(struct chat_input *in, const char *prompt, struct buf *line)
{
    const char *read = NULL;
    in->prompt = prompt;
    buf_clear(line);
    ssize_t len = has_editor(in) ? edit_line(in, &read) : plain_line(in, &read);
    if (len < 0 && chat_stop_is_wanted()) {
        chat_stop_forget();
        clearerr(stdin);
        putchar('\n');
        return LINE_DROPPED;
    }
    if (len <= 0) {
        return LINE_END;
    }
    while (len > 0 && (read[len - 1] == '\n' || read[len - 1] == '\r')) {
        len--;
    }
    buf_append(line, read, (size_t)len);
    buf_append_str(line, "");
    if (in->is_terminal && line->data) {
        keep_line(in, line->data);
    }
    return LINE_READ;
}

/* --- messages --- */

static bool ends_with(const struct buf *line, const char *end)
{
    size_t len = strlen(end);
    return line->len >= len && memcmp(line->data + line->len - len, end, len) == 0;
}

static bool begins_with(const struct buf *line, const char *begin)
{
    size_t len = strlen(begin);
    return line->len >= len && memcmp(line->data, begin, len) == 0;
}

/* `line` is the first one. */
static enum line_status read_fenced(struct chat_input *in, struct buf *line, struct buf *out)
{
    const size_t len = sizeof(fence) - 1;
    enum line_status status = LINE_READ;
    buf_consume(line, len);
    bool is_first = true;
    while (status == LINE_READ && !ends_with(line, fence)) {
        if (!is_first || line->len > 0) {
            buf_append(out, line->data, line->len);
            buf_append_char(out, '\n');
        }
        is_first = false;
        status = read_line(in, "... ", line);
    }
    if (status == LINE_READ) {
        buf_append(out, line->data, line->len - len);
    }
    if (out->len > 0 && out->data[out->len - 1] == '\n') {
        out->data[--out->len] = '\0';
    }
    return status;
}

static enum line_status read_continued(struct chat_input *in, struct buf *line, struct buf *out)
{
    enum line_status status = LINE_READ;
    while (status == LINE_READ && ends_with(line, "\\")) {
        buf_append(out, line->data, line->len - 1);
        buf_append_char(out, '\n');
        status = read_line(in, "... ", line);
    }
    if (status == LINE_READ) {
        buf_append(out, line->data, line->len);
    }
    return status;
}

int chat_input_read(struct chat_input *in, struct buf *out, bool *is_fenced, struct err *e)
{
    struct buf line;
    buf_init(&line, out->max);
    buf_clear(out);
    enum line_status status = read_line(in, "> ", &line);
    bool is_empty_end = status == LINE_END;
    *is_fenced = status == LINE_READ && begins_with(&line, fence);
    if (status == LINE_READ) {
        status = *is_fenced ? read_fenced(in, &line, out) : read_continued(in, &line, out);
    }
    if (status == LINE_DROPPED) {
        buf_clear(out);
    }
    buf_append_str(out, ""); /* so that there is a text */
    bool failed = line.failed || out->failed;
    buf_deinit(&line);
    if (failed) {
        return err_set(e, ERR_LIMIT, "a message of more than %zu bytes", out->max);
    }
    return is_empty_end ? 0 : 1;
}

struct chat_input *chat_input_open(bool is_terminal, const char *history, struct err *e)
{
    struct chat_input *in = mem_zalloc(sizeof(*in));
    if (!in) {
        err_nomem(e);
        return NULL;
    }
    in->is_terminal = is_terminal;
    in->history = history;
    if (is_terminal && open_editor(in, e) != 0) {
        chat_input_close(in);
        return NULL;
    }
    return in;
}

void chat_input_close(struct chat_input *in)
{
    if (!in) {
        return;
    }
    close_editor(in);
    free(in->line); /* getline's */
    mem_free(in);
}

char *chat_history_path(void)
{
    struct buf path;
    const char *own = getenv("WEIR_CHAT_HISTORY");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    buf_init(&path, 4096);
    if (own) {
        buf_append_str(&path, own);
    } else if (state && *state) {
        buf_printf(&path, "%s/weir/chat_history", state);
    } else if (home && *home) {
        buf_printf(&path, "%s/.local/state/weir/chat_history", home);
    }
    char *out = path.len > 0 && !path.failed ? buf_take(&path, NULL) : NULL;
    buf_deinit(&path);
    return out;
}

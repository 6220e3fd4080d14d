#include "models/train/run_log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/svg_plot.h"

#define LOG_MAX       ((size_t)1 << 30)
#define STEP_LINE_MAX ((size_t)1 << 16)
#define PLOTS_MAX     8

static const char run_prefix[] = "{\"run\":";
static const char step_prefix[] = "{\"step\":";

struct run_log {
    char *path;
    int fd;
};

/* --- writing --- */

/* In one call of write, so that a run that is killed leaves a whole line or a part of one at
 * the end, which run_log_resume cuts off. */
static int write_line(struct run_log *l, const char *line, size_t len, struct err *e)
{
    off_t begin = lseek(l->fd, 0, SEEK_END);
    while (len > 0) {
        ssize_t n = write(l->fd, line, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int why = n < 0 ? errno : ENOSPC;
            /* Half a line would spoil the next one. */
            if (begin < 0 || ftruncate(l->fd, begin) != 0) {
                why = why ? why : errno;
            }
            return err_set_errno(e, why, "%s: cannot write", l->path);
        }
        line += n;
        len -= (size_t)n;
    }
    return 0;
}

static struct run_log *open_log(const char *path, int flags, struct err *e)
{
    struct run_log *l = mem_zalloc(sizeof(*l));
    if (!l || !(l->path = mem_strdup(path))) {
        mem_free(l);
        err_nomem(e);
        return NULL;
    }
    l->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0644);
    if (l->fd < 0) {
        err_set_errno(e, errno, "%s: cannot open", path);
        run_log_close(l);
        return NULL;
    }
    return l;
}

struct run_log *run_log_create(const char *path, const cJSON *description, struct err *e)
{
    struct buf line;
    struct run_log *l = open_log(path, O_TRUNC, e);
    if (!l) {
        return NULL;
    }
    buf_init(&line, LOG_MAX);
    char *text = cJSON_PrintUnformatted(description);
    if (text) {
        buf_printf(&line, "%s%s}\n", run_prefix, text);
    }
    int rc = !text || line.failed ? err_nomem(e) : write_line(l, line.data, line.len, e);
    cJSON_free(text);
    buf_deinit(&line);
    if (rc) {
        run_log_close(l);
        return NULL;
    }
    return l;
}

void run_log_close(struct run_log *l)
{
    if (!l) {
        return;
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    mem_free(l->path);
    mem_free(l);
}

/* The end of the next line from `at` on, behind its line break; 0: it is not finished. */
static size_t line_end(const char *text, size_t len, size_t at)
{
    const char *end = memchr(text + at, '\n', len - at);
    return end ? (size_t)(end - text) + 1 : 0;
}

/* Bytes of the log up to the first line that is of a later step or no line of a log. 0: it does
 * not begin as one. */
static size_t kept_bytes(const char *text, size_t len, uint64_t step)
{
    unsigned long long number;
    size_t at = line_end(text, len, 0);
    if (at == 0 || strncmp(text, run_prefix, sizeof(run_prefix) - 1) != 0) {
        return 0;
    }
    for (size_t end; at < len && (end = line_end(text, len, at)) > 0; at = end) {
        if (sscanf(text + at, "{\"step\":%llu", &number) != 1 || number > step) {
            break;
        }
    }
    return at;
}

struct run_log *run_log_resume(const char *path, const cJSON *description, uint64_t step,
                               struct err *e)
{
    size_t len;
    if (access(path, F_OK) != 0) {
        return run_log_create(path, description, e);
    }
    char *text = file_read_regular(path, LOG_MAX, &len, e);
    if (!text) {
        return NULL;
    }
    size_t kept = kept_bytes(text, len, step);
    mem_free(text);
    if (kept == 0) {
        return run_log_create(path, description, e);
    }
    struct run_log *l = open_log(path, 0, e);
    if (l && ftruncate(l->fd, (off_t)kept) != 0) {
        err_set_errno(e, errno, "%s: cannot cut off what is after step %llu", path,
                      (unsigned long long)step);
        run_log_close(l);
        return NULL;
    }
    return l;
}

int run_log_step(struct run_log *l, uint64_t step, const struct run_log_value *values,
                 size_t n_values, struct err *e)
{
    struct buf line;
    buf_init(&line, STEP_LINE_MAX);
    buf_printf(&line, "%s%llu", step_prefix, (unsigned long long)step);
    for (size_t i = 0; i < n_values; i++) {
        if (isfinite(values[i].value)) {
            buf_printf(&line, ",\"%s\":%.7g", values[i].name, values[i].value);
        }
    }
    buf_append_str(&line, "}\n");
    int rc = line.failed ? err_nomem(e) : write_line(l, line.data, line.len, e);
    buf_deinit(&line);
    return rc;
}

/* --- charts --- */

/* Some numbers of a log over its steps. */
struct curve {
    const char *name;
    double *x, *y; /* (n) */
    size_t n, capacity;
};

struct chart {
    struct curve curves[RUN_LOG_LINES_MAX];
    struct svg_series series[RUN_LOG_LINES_MAX];
};

static int curve_add(struct curve *c, double x, double y)
{
    if (c->n == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 256;
        double *new_x = mem_realloc_array(c->x, capacity, sizeof(double));
        c->x = new_x ? new_x : c->x;
        double *new_y = mem_realloc_array(c->y, capacity, sizeof(double));
        c->y = new_y ? new_y : c->y;
        if (!new_x || !new_y) {
            return -1;
        }
        c->capacity = capacity;
    }
    c->x[c->n] = x;
    c->y[c->n++] = y;
    return 0;
}

/* Takes what the charts want of one step. */
static int take_step(struct chart *charts, size_t n_charts, const cJSON *object)
{
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(object, "step");
    for (size_t i = 0; cJSON_IsNumber(step) && i < n_charts * RUN_LOG_LINES_MAX; i++) {
        struct curve *c = &charts[i / RUN_LOG_LINES_MAX].curves[i % RUN_LOG_LINES_MAX];
        if (!c->name) {
            continue;
        }
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, c->name);
        if (value && cJSON_IsNumber(value) &&
            curve_add(c, step->valuedouble, value->valuedouble)) {
            return -1;
        }
    }
    return 0;
}

static int read_curves(const char *path, struct chart *charts, size_t n_charts, struct err *e)
{
    size_t len;
    char *text = file_read_regular(path, LOG_MAX, &len, e);
    if (!text) {
        return -1;
    }
    int rc = 0;
    size_t number = 1;
    for (size_t at = 0, end; rc == 0 && (end = line_end(text, len, at)) > 0; at = end) {
        cJSON *object = json_parse_object(text + at, end - at - 1, e);
        if (!object) {
            rc = err_prefix(e, "%s: line %zu", path, number);
        } else if (take_step(charts, n_charts, object)) {
            rc = err_nomem(e);
        }
        cJSON_Delete(object);
        number++;
    }
    mem_free(text);
    return rc;
}

/* Returns how many charts have something to show. */
static size_t make_plots(struct chart *charts, const struct run_log_plot *plots, size_t n_plots,
                         struct svg_plot *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n_plots; i++) {
        struct svg_plot *p = &out[count];
        *p = (struct svg_plot){.title = plots[i].title,
                               .x = {.label = "step"},
                               .y = {.label = plots[i].label, .log = plots[i].log_y},
                               .series = charts[i].series};
        for (size_t k = 0; k < RUN_LOG_LINES_MAX && plots[i].names[k]; k++) {
            const struct curve *c = &charts[i].curves[k];
            if (c->n > 0) {
                charts[i].series[p->n_series++] = (struct svg_series){
                    .name = c->name, .mark = SVG_LINE, .n = c->n, .x = c->x, .y = c->y};
            }
        }
        count += p->n_series > 0;
    }
    return count;
}

int run_log_draw(const char *log_path, const struct run_log_plot *plots, size_t n_plots,
                 const char *svg_path, struct err *e)
{
    struct svg_plot drawn[PLOTS_MAX];
    if (n_plots > PLOTS_MAX) {
        return err_set(e, ERR_LIMIT, "%s: at most %d charts", svg_path, PLOTS_MAX);
    }
    struct chart *charts = mem_zarray(PLOTS_MAX, sizeof(*charts));
    if (!charts) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n_plots; i++) {
        for (size_t k = 0; k < RUN_LOG_LINES_MAX && plots[i].names[k]; k++) {
            charts[i].curves[k].name = plots[i].names[k];
        }
    }
    int rc = read_curves(log_path, charts, n_plots, e);
    if (rc == 0) {
        size_t count = make_plots(charts, plots, n_plots, drawn);
        rc = count > 0 ? svg_plot_write(drawn, count, svg_path, e)
                       : err_set(e, ERR_INVALID, "%s: no step to draw", log_path);
    }
    for (size_t i = 0; i < PLOTS_MAX * RUN_LOG_LINES_MAX; i++) {
        struct curve *c = &charts[i / RUN_LOG_LINES_MAX].curves[i % RUN_LOG_LINES_MAX];
        mem_free(c->x);
        mem_free(c->y);
    }
    mem_free(charts);
    return rc;
}

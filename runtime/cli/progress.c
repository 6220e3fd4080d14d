#include "runtime/cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/base/clock.h"

#define REDRAW_S  0.1
#define BAR_MAX   30
#define LINE_SIZE 512

void progress_begin(struct progress *p, const char *label, const char *unit, uint64_t total,
                    uint64_t done)
{
    *p = (struct progress){
        .label = label,
        .unit = unit,
        .total = total,
        .terminal = isatty(STDERR_FILENO) == 1,
        .begin_done = done,
        .begin_s = clock_now_s(),
        .drawn_at = done,
    };
}

void progress_exclude(struct progress *p, double seconds)
{
    p->paused_s += seconds;
}

/* "  120/1500   8 %  loss 3.21  8300 tokens/s  eta 0:12:10" */
static void describe(const struct progress *p, uint64_t done, double work, const char *note,
                     char *out, size_t size)
{
    double seconds = clock_now_s() - p->begin_s - p->paused_s;
    uint64_t here = done > p->begin_done ? done - p->begin_done : 0;
    size_t at = 0;
    if (p->total > 0) {
        at += (size_t)snprintf(out, size, "%llu/%llu  %3.0f %%", (unsigned long long)done,
                               (unsigned long long)p->total,
                               100.0 * (double)done / (double)p->total);
    } else {
        at += (size_t)snprintf(out, size, "%llu", (unsigned long long)done);
    }
    if (note && at < size) {
        at += (size_t)snprintf(out + at, size - at, "  %s", note);
    }
    if (p->unit && seconds > 0.0 && at < size) {
        at += (size_t)snprintf(out + at, size - at, "  %.0f %s/s", work / seconds, p->unit);
    }
    if (p->total > done && here > 0 && at < size) {
        long eta = (long)(seconds / (double)here * (double)(p->total - done) + 0.5);
        snprintf(out + at, size - at, "  eta %ld:%02ld:%02ld", eta / 3600, eta / 60 % 60,
                 eta % 60);
    }
}

static size_t terminal_width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void draw_bar(struct progress *p, uint64_t done, const char *text)
{
    char bar[BAR_MAX + 1];
    size_t width = terminal_width() - 1, used = strlen(p->label) + strlen(text) + 6;
    size_t room = width > used ? width - used : 0;
    room = room > BAR_MAX ? BAR_MAX : room;
    if (p->total == 0 || room < 5) {
        fprintf(stderr, "\r\033[K%.*s", (int)width, text);
    } else {
        size_t full = (size_t)((double)room * (double)done / (double)p->total);
        memset(bar, '#', room);
        memset(bar + (full < room ? full : room), '-', room - (full < room ? full : room));
        bar[room] = '\0';
        fprintf(stderr, "\r\033[K%s  [%s]  %s", p->label, bar, text);
    }
    fflush(stderr);
    p->drawn = true;
}

/* Plain lines come seldom. */
static bool line_is_due(const struct progress *p, uint64_t done, double now)
{
    uint64_t tenth = p->total / 10 > 0 ? p->total / 10 : 1;
    return p->drawn_s == 0.0 || now - p->drawn_s >= PROGRESS_LINE_S ||
           (p->total > 0 && (done >= p->total || done / tenth > p->drawn_at / tenth));
}

void progress_update(struct progress *p, uint64_t done, double work, const char *note)
{
    char text[LINE_SIZE];
    double now = clock_now_s();
    bool last = p->total > 0 && done >= p->total;
    if (p->terminal ? now - p->drawn_s < REDRAW_S && !last : !line_is_due(p, done, now)) {
        return;
    }
    describe(p, done, work, note, text, sizeof(text));
    if (p->terminal) {
        draw_bar(p, done, text);
    } else {
        fprintf(stderr, "%s  %s\n", p->label, text);
    }
    p->drawn_s = now;
    p->drawn_at = done;
}

void progress_say(struct progress *p, const char *format, ...)
{
    va_list args;
    if (p->drawn) {
        fprintf(stderr, "\r\033[K");
        p->drawn = false;
        p->drawn_s = 0.0; /* the bar comes back at once */
    }
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void progress_end(struct progress *p)
{
    if (p->drawn) {
        fputc('\n', stderr);
        p->drawn = false;
    }
}

/* Any text as a model's output: the first byte chooses the format, the second how the text is
 * cut. Cuts must not matter, pieces must be whole characters, and the arguments of a call that
 * ended a whole JSON object. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/output/json_scan.h"
#include "models/output/output_parser.h"
#include "runtime/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const tools[] = {"f", "get_weather"};

struct seen {
    struct buf text; /* kinds, calls and texts, pieces joined */
    struct json_scan arguments;
    int kind;
    bool utf8; /* what is fed is whole characters */
};

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

static int see(void *user, const struct output_segment *g, struct err *e)
{
    (void)e;
    struct seen *s = user;
    expect(!s->utf8 || utf8_is_valid(g->text, g->len));
    if (g->kind == OUTPUT_CALL_BEGIN) {
        s->arguments = (struct json_scan){0};
    }
    for (size_t i = 0; g->kind == OUTPUT_CALL_ARGUMENTS && i < g->len; i++) {
        expect(json_scan_feed(&s->arguments, g->text[i]) != JSON_SCAN_BAD);
    }
    expect(g->kind != OUTPUT_CALL_END || json_scan_done(&s->arguments));
    if (s->kind != (int)g->kind || g->kind >= OUTPUT_CALL_END) {
        buf_printf(&s->text, "\n%d %zu ", (int)g->kind, g->call);
    }
    s->kind = (int)g->kind;
    return buf_append(&s->text, g->text, g->len);
}

static void parse(const struct output_format *f, bool open, const char *text, size_t len,
                  size_t step, struct seen *s)
{
    struct output_parser p;
    struct err e = {0};
    const struct output_parser_settings settings = {f, tools, 2, open, see, s};
    *s = (struct seen){.kind = -1, .utf8 = step >= len && utf8_is_valid(text, len)};
    buf_init(&s->text, SIZE_MAX / 2);
    output_parser_init(&p, &settings);
    for (size_t at = 0; at < len; at += step) {
        const size_t n = step < len - at ? step : len - at;
        expect(output_parser_feed(&p, text + at, n, false, &e) == 0);
    }
    expect(output_parser_finish(&p, &e) == 0);
    buf_append_char(&s->text, p.cut ? '!' : '.');
    output_parser_deinit(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const bool thinks = data[0] & 8;
    const struct output_format f = {.calls = (enum output_calls)(data[0] % 8 % 5),
                                    .think_open = thinks ? "<think>" : NULL,
                                    .think_close = thinks ? "</think>" : NULL};
    const bool open = thinks && (data[0] & 16);
    const char *text = (const char *)data + 2;
    struct seen whole, cut;
    parse(&f, open, text, size - 2, size, &whole);
    parse(&f, open, text, size - 2, 1 + data[1] % 16, &cut);
    expect(whole.text.len == cut.text.len &&
           memcmp(whole.text.data, cut.text.data, cut.text.len) == 0);
    buf_deinit(&whole.text);
    buf_deinit(&cut.text);
    return 0;
}

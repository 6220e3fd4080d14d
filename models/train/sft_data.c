#include "models/train/sft_data.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json_lines.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

/* A file on its way. */
struct reading {
    const char *path;
    struct sft_renderer *r;
    const struct sft_data_options *o;
    struct dataset_writer *train, *held_out;
    struct sft_counts *counts;
    unsigned long line;
    uint64_t index; /* of the example in the file */
    unsigned said, refused;
    struct err first; /* what was refused first */
    unsigned long first_line;
    /* The documents of one example: all are used, or none. */
    struct buf tokens; /* uint32_t */
    struct buf ends;   /* size_t: how many tokens are in `tokens` behind each */
};

static void say(struct reading *d, const char *message)
{
    char text[ERR_MESSAGE_MAX + 300];
    if (!d->o->say || d->said++ >= SFT_SAID_MAX) {
        return;
    }
    snprintf(text, sizeof(text), "%s: line %lu: %s%s", d->path, d->line, message,
             d->said == SFT_SAID_MAX ? " (others are not shown)" : "");
    d->o->say(d->o->ctx, text);
}

static bool learns(const uint32_t *tokens, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (tokens[i] & DATASET_LEARN) {
            return true;
        }
    }
    return false;
}

/* Decides about a document of n > row tokens: 0 tokens, row tokens or an error. */
static int shorten(struct reading *d, const uint32_t *tokens, size_t *n, struct err *e)
{
    char message[200];
    uint32_t row = d->o->row;
    if (d->o->overlong == SFT_OVERLONG_STOP) {
        return err_set(e, ERR_LIMIT,
                       "%zu tokens, at most %u are read: use --overlong cut to keep the "
                       "beginning, or --overlong skip to leave such examples out",
                       *n, row);
    }
    bool keeps = d->o->overlong == SFT_OVERLONG_CUT && learns(tokens, row);
    snprintf(message, sizeof(message), "%zu tokens, at most %u are read: %s", *n, row,
             keeps                                ? "cut"
             : d->o->overlong == SFT_OVERLONG_CUT ? "left out, the answer begins behind that"
                                                  : "left out");
    say(d, message);
    d->counts->cut += keeps;
    d->counts->too_long += !keeps;
    *n = keeps ? row : 0;
    return 0;
}

static int keep_document(void *ctx, const uint32_t *tokens, size_t n, struct err *e)
{
    struct reading *d = ctx;
    if (n > d->o->row && shorten(d, tokens, &n, e)) {
        return -1;
    }
    if (n == 0) {
        return 0;
    }
    size_t end = d->tokens.len / sizeof(*tokens) + n;
    return buf_append(&d->tokens, tokens, n * sizeof(*tokens)) ||
                   buf_append(&d->ends, &end, sizeof(end))
               ? err_nomem(e)
               : 0;
}

/* One of so many examples in a row, which one is drawn. */
static bool is_held_out(const struct reading *d)
{
    if (!(d->o->held_out > 0.0)) {
        return false;
    }
    uint32_t every = (uint32_t)(1.0 / d->o->held_out + 0.5);
    struct rng rng;
    rng_seed(&rng, d->o->seed * 0x9e3779b97f4a7c15u + d->index / every);
    return rng_below(&rng, every) == d->index % every;
}

static int add_documents(struct reading *d, struct err *e)
{
    const uint32_t *tokens = (const uint32_t *)(const void *)d->tokens.data;
    const size_t *ends = (const size_t *)(const void *)d->ends.data;
    size_t n = d->ends.len / sizeof(*ends), begin = 0;
    bool held_out = is_held_out(d);
    d->index++;
    if (n == 0) {
        return 0;
    }
    for (size_t i = 0; i < n; begin = ends[i++]) {
        uint32_t len = (uint32_t)(ends[i] - begin);
        d->counts->longest = len > d->counts->longest ? len : d->counts->longest;
        if (dataset_writer_add(held_out ? d->held_out : d->train, tokens + begin, len, e)) {
            return -1;
        }
    }
    d->counts->examples++;
    d->counts->held_out += held_out;
    return 0;
}

static int read_example(struct reading *d, const char *line, size_t len, struct err *e)
{
    struct sft_example x;
    size_t blank = strspn(line, " \t\r\n");
    if (len > blank &&
        (line[blank] == '[' || blank + 1 + strspn(line + blank + 1, " \t\r\n") == len)) {
        return err_set(
            e, ERR_FORMAT,
            "not JSON Lines: each line holds one object, {\"messages\": [...]}, with "
            "no list around them and no line breaks inside");
    }
    if (sft_example_parse(&x, line, len, e)) {
        return -1;
    }
    buf_clear(&d->tokens);
    buf_clear(&d->ends);
    int rc = sft_render(d->r, &x, keep_document, d, e);
    sft_example_deinit(&x);
    return rc;
}

/* A line that cannot be used: remembered, and said. */
static int refuse(struct reading *d, const struct err *e)
{
    if (e->kind == ERR_NOMEM) {
        return -1;
    }
    if (d->refused++ == 0) {
        d->first = *e;
        d->first_line = d->line;
    }
    d->index++;
    say(d, e->message);
    return 0;
}

static int read_lines(struct reading *d, struct json_lines *lines, struct err *e)
{
    int rc;
    while ((rc = json_lines_next(lines, e)) > 0) {
        d->line = lines->number;
        if (read_example(d, lines->text, lines->len, e) ? refuse(d, e) : add_documents(d, e)) {
            return -1;
        }
    }
    return rc;
}

static int conclude(struct reading *d, struct err *e)
{
    d->counts->malformed += d->refused;
    if (d->refused > 0 && !d->o->skip_malformed) {
        return err_set(
            e, ERR_FORMAT,
            "%s: %u of %llu examples cannot be used; correct them, or leave them out "
            "with --on-error skip. The first is line %lu: %s",
            d->path, d->refused, (unsigned long long)d->index, d->first_line, d->first.message);
    }
    return 0;
}

int sft_data_read(const char *path, struct sft_renderer *r, const struct sft_data_options *o,
                  struct dataset_writer *train, struct dataset_writer *held_out,
                  struct sft_counts *counts, struct err *e)
{
    struct reading d = {
        .path = path, .r = r, .o = o, .train = train, .held_out = held_out, .counts = counts};
    struct json_lines lines;
    if (json_lines_open(&lines, path, true, e)) {
        return -1;
    }
    buf_init(&d.tokens, SIZE_MAX / 2);
    buf_init(&d.ends, SIZE_MAX / 2);
    int rc = read_lines(&d, &lines, e) || conclude(&d, e) ? -1 : 0;
    buf_deinit(&d.tokens);
    buf_deinit(&d.ends);
    json_lines_close(&lines);
    return rc;
}

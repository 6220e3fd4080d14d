#include "runtime/cli/cli.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filters/chain.h"
#include "runtime/base/utf8.h"
#include "runtime/cli/filter_replay.h"
#include "runtime/serve/filter_outside.h"

#define READ_BYTES ((size_t)65536)
#define MAX_CHUNK  ((long)READ_BYTES)

/* One run: text from stdin, through the chain, to stdout and stderr. */
struct run {
    struct chain_stream *stream;
    uv_loop_t loop; /* for filters that ask a service outside */
    struct filter_outside outside;
    size_t chunk;
    size_t events_printed;
    uint64_t offset; /* of the text fed so far, for messages */
};

static int print_text(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)context;
    (void)channel;
    return fwrite(text, 1, len, stdout) == len ? 0 : -1;
}

static const struct chain_sink to_stdout = {.emit = print_text};

static void print_json_string(const char *s)
{
    fputc('"', stderr);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            fprintf(stderr, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(stderr, "\\u%04x", c);
        } else {
            fputc(c, stderr);
        }
    }
    fputc('"', stderr);
}

static void print_event(const struct chain_event *event)
{
    fprintf(stderr, "{\"verdict\":\"%s\",\"filter\":%zu,\"type\":\"%s\"",
            chain_event_name(event->kind), event->filter, event->type);
    if (strcmp(event->name, event->type) != 0) {
        fprintf(stderr, ",\"name\":\"%s\"", event->name);
    }
    fprintf(stderr, ",\"channel\":\"%s\",\"from\":%ju,\"to\":%ju,\"at\":%ju",
            chain_channel_name(event->channel), (uintmax_t)event->from, (uintmax_t)event->to,
            (uintmax_t)event->at);
    fputs(event->is_recorded ? ",\"recorded\":true,\"code\":" : ",\"code\":", stderr);
    print_json_string(event->code);
    fputs(",\"message\":", stderr);
    print_json_string(event->message);
    fputs("}\n", stderr);
}

/* Text before the verdicts that follow it. */
static int show(struct run *run, struct err *e)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return err_set_errno(e, errno, "cannot write to standard output");
    }
    size_t count;
    const struct chain_event *events = chain_stream_events(run->stream, &count, NULL);
    while (run->events_printed < count) {
        print_event(&events[run->events_printed++]);
    }
    return 0;
}

static void ignore_wake(void *ctx)
{
    (void)ctx; /* await looks for itself */
}

/* Until no filter waits for an answer. status is what the chain returned last; so is the
 * result. */
static int await(struct run *run, int status, struct err *e)
{
    while (status == CHAIN_GOES_ON && chain_stream_is_waiting(run->stream)) {
        uv_run(&run->loop, UV_RUN_ONCE);
        status = chain_resume(run->stream, &to_stdout, e);
    }
    return status;
}

/* Feeds whole characters in chunks. CHAIN_GOES_ON, CHAIN_STOPPED or -1. */
static int feed(struct run *run, const char *text, size_t len, struct err *e)
{
    int status = CHAIN_GOES_ON;
    for (size_t at = 0; at < len && status == CHAIN_GOES_ON;) {
        size_t n = utf8_chunk_len(text + at, len - at, run->chunk);
        status = chain_feed(run->stream, FILTER_CONTENT, text + at, n, &to_stdout, e);
        status = await(run, status, e);
        at += n;
    }
    run->offset += len;
    return status;
}

static int invalid_text(const struct run *run, struct err *e)
{
    return err_set(e, ERR_FORMAT, "standard input: byte %ju is not valid UTF-8",
                   (uintmax_t)run->offset);
}

/* Reads to the end or to a stop; what is read of a character that is not whole waits for the
 * rest. */
static int run_stdin(struct run *run, struct err *e)
{
    char text[READ_BYTES + 4];
    size_t held = 0;
    for (;;) {
        ssize_t got = read(STDIN_FILENO, text + held, READ_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_set_errno(e, errno, "cannot read standard input");
        }
        size_t len = held + (size_t)got;
        size_t whole = utf8_valid_prefix(text, len);
        int status = feed(run, text, whole, e);
        if (status == CHAIN_GOES_ON && got == 0 && held == 0) {
            status = await(run, chain_finish(run->stream, &to_stdout, e), e);
        }
        if (status < 0 || show(run, e) != 0) {
            return -1;
        }
        if (status == CHAIN_STOPPED || (got == 0 && held == 0)) {
            return 0;
        }
        held = len - whole;
        if (held > 0 && (got == 0 || utf8_incomplete_tail(text, len) != held)) {
            return invalid_text(run, e);
        }
        memmove(text, text + whole, held);
    }
}

static int run_chain(const char *path, enum filter_side side, long chunk, struct err *e)
{
    struct chain *chain = chain_from_file(path, e);
    if (!chain) {
        return -1;
    }
    struct run run = {.chunk = (size_t)chunk};
    int rc = uv_loop_init(&run.loop) == 0 ? 0 : err_set(e, ERR_IO, "cannot make an event loop");
    if (rc != 0) {
        chain_unref(chain);
        return rc;
    }
    filter_outside_init(&run.outside, &run.loop);
    run.stream = chain_stream_create(chain, side, e);
    if (run.stream) {
        chain_stream_set_outside(run.stream, &run.outside.face, ignore_wake, NULL);
    }
    rc = run.stream ? run_stdin(&run, e) : -1;
    chain_stream_destroy(run.stream);
    filter_outside_close(&run.outside);
    uv_run(&run.loop, UV_RUN_DEFAULT);
    uv_loop_close(&run.loop);
    chain_unref(chain);
    return rc;
}

static int usage_error(const char *name, const char *message)
{
    fprintf(stderr, "weir %s: %s (see --help)\n", name, message);
    return 2;
}

int cli_filter(int argc, char **argv)
{
    const char *path = NULL;
    const char *side = "output";
    long chunk = 4096;
    struct filter_replay replay = {0};
    const struct option table[] = {
        {.name = "chain",
         .type = OPTION_STRING,
         .value = &path,
         .argument = "FILE.json",
         .help = "the filter chain"},
        {.name = "chunk",
         .type = OPTION_INT,
         .value = &chunk,
         .argument = "N",
         .help = "feed it N bytes at a time (4096); the result is the same for every N",
         .min = 1,
         .max = MAX_CHUNK},
        {.name = "side",
         .type = OPTION_STRING,
         .value = &side,
         .argument = "SIDE",
         .help = "\"output\" (default) or \"input\": which of the chain's filters take part"},
        {.name = "against",
         .type = OPTION_STRING,
         .value = &replay.against,
         .argument = "FILE.json",
         .help = "compare with this chain: what --chain does otherwise, with --texts"},
        {.name = "texts",
         .type = OPTION_STRING,
         .value = &replay.texts,
         .argument = "FILE",
         .help = "texts for that, one a line; .jsonl: JSON with text, id, side, channel"},
        {.name = "show-text",
         .type = OPTION_FLAG,
         .value = &replay.show_text,
         .help = "quote some of the texts where they differ"},
        {.name = "json",
         .type = OPTION_FLAG,
         .value = &replay.json,
         .help = "print the comparison as JSON"},
        {.name = NULL},
    };
    const struct options options = {
        .usage = "weir filter --chain FILE.json [--chunk N] [--side output|input] < TEXT\n"
                 "       weir filter --chain FILE.json --against FILE.json --texts FILE",
        .summary = "Sends text through a filter chain; verdicts go to standard error as JSON "
                   "lines.\nOr sends texts through two chains and tells what differs.",
        .table = table,
    };
    int positional;
    int status = cli_options(&options, argc, argv, &positional);
    if (status >= 0) {
        return status;
    }
    if (positional > 0) {
        return usage_error(argv[0], "the text is read from standard input, not from a file");
    }
    if (!path || strcmp(path, "-") == 0) {
        return usage_error(argv[0], "--chain FILE.json is needed");
    }
    bool is_input = strcmp(side, "input") == 0;
    if (!is_input && strcmp(side, "output") != 0) {
        return usage_error(argv[0], "--side must be output or input");
    }
    if (!replay.against != !replay.texts) {
        return usage_error(argv[0], "--against and --texts go together");
    }
    struct err e = {0};
    if (replay.against) {
        replay.chain = path;
        replay.side = is_input ? FILTER_INPUT : FILTER_OUTPUT;
        return filter_replay_run(&replay, &e) == 0 ? 0 : cli_fail(argv[0], &e);
    }
    if (run_chain(path, is_input ? FILTER_INPUT : FILTER_OUTPUT, chunk, &e) != 0) {
        return cli_fail(argv[0], &e);
    }
    return 0;
}

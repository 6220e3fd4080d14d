/* How fast the classifier that comes with Weir judges sentences, on one thread.
 *
 *     bench_classifier TEXT_FILE [SECONDS]
 *
 * Cuts the text into sentences, judges all of them again and again for about so many seconds
 * (5), and prints the best rate and the median one; then the same through a filter chain, in
 * chunks of 16 bytes as a model writes them. The time is the processor's on this thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filters/chain.h"
#include "filters/guard_builtin.h"
#include "filters/guard_model.h"
#include "filters/sentences.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define MAX_ROUNDS     4096
#define CHUNK          16

static double cpu_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Ends of sentences; returns how many. */
static size_t cut(const char *text, size_t len, size_t *ends)
{
    struct sentence s = {0};
    size_t n = 0;
    for (size_t at = 0; at < len;) {
        uint32_t c;
        int bytes = utf8_decode(text + at, len - at, &c);
        if (bytes <= 0) {
            break;
        }
        if (sentence_next(&s, c, (size_t)bytes) != SENTENCE_GOES_ON) {
            ends[n++] = at;
        }
        at += (size_t)bytes;
    }
    ends[n++] = len;
    return n;
}

static void judge_all(const struct guard_model *model, const char *text, const size_t *ends,
                      size_t n)
{
    float scores[GUARD_CATEGORIES];
    for (size_t i = 0, at = 0; i < n; at = ends[i++]) {
        guard_model_score(model, text + at, ends[i] - at, scores);
    }
}

static int drop(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)context;
    (void)channel;
    (void)text;
    (void)len;
    return 0;
}

static int filter_all(struct chain *chain, const char *text, size_t len, struct err *e)
{
    const struct chain_sink sink = {.emit = drop};
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, e);
    int rc = stream ? 0 : -1;
    for (size_t at = 0; rc == 0 && at < len;) {
        size_t end = at + CHUNK < len ? at + CHUNK : len;
        while (end < len && ((unsigned char)text[end] & 0xC0u) == 0x80u) {
            end++;
        }
        rc = chain_feed(stream, FILTER_CONTENT, text + at, end - at, &sink, e);
        at = end;
    }
    chain_stream_destroy(stream);
    return rc;
}

static void report(const char *name, double *times, size_t rounds, size_t len, size_t sentences)
{
    qsort(times, rounds, sizeof(*times), compare_times);
    printf("%s: %.1f MB/s (median %.1f), %.2f us a sentence\n", name,
           (double)len / times[0] / 1e6, (double)len / times[rounds / 2] / 1e6,
           times[0] / (double)sentences * 1e6);
}

static int run(const char *text, size_t len, double seconds, struct err *e)
{
    static const char json[] = "{\"name\":\"bench\",\"filters\":[{\"type\":\"classifier\","
                               "\"action\":\"note\",\"side\":\"output\"}]}";
    static double times[MAX_ROUNDS];
    struct guard_model *model = guard_model_read(guard_builtin, guard_builtin_len, e);
    struct chain *chain = chain_from_json(json, strlen(json), NULL, e);
    size_t *ends = mem_array(len + 1, sizeof(*ends));
    int rc = model && chain && ends ? 0 : -1;
    for (int kind = 0; rc == 0 && kind < 2; kind++) {
        size_t n = cut(text, len, ends), rounds = 0;
        double begin = clock_now_s();
        do {
            double before = cpu_now_s();
            if (kind == 0) {
                judge_all(model, text, ends, n);
            } else {
                rc = filter_all(chain, text, len, e);
            }
            times[rounds++] = cpu_now_s() - before;
        } while (rc == 0 && rounds < MAX_ROUNDS && clock_now_s() - begin < seconds / 2);
        report(kind == 0 ? "sentences" : "chain, chunks of 16 bytes", times, rounds, len, n);
    }
    mem_free(ends);
    chain_unref(chain);
    guard_model_destroy(model);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    size_t len = 0;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_classifier TEXT_FILE [SECONDS]\n");
        return 2;
    }
    char *text = file_read(argv[1], TEXT_BYTES_MAX, &len, &e);
    int rc = text && len > 0 ? run(text, len, argc > 2 ? strtod(argv[2], NULL) : 5, &e) : -1;
    if (rc != 0) {
        fprintf(stderr, "bench_classifier: %s\n", len > 0 ? e.message : "the text is empty");
    }
    mem_free(text);
    return rc == 0 ? 0 : 1;
}

/* How fast text becomes tokens, on one thread.
 *
 *     bench_tokenizer MODEL.gguf TEXT_FILE [SECONDS]
 *
 * Encodes the whole text again and again for about so many seconds (5) and prints the best rate
 * and the median one. The time is the processor's on this thread, so that waiting for a busy
 * machine does not count. A model file that holds a tokenizer alone will do. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "models/format/gguf.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define TEXT_BYTES_MAX ((size_t)256 << 20)
#define MAX_ROUNDS     4096

static double cpu_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_rates(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run(const struct tokenizer *t, const char *text, size_t len, double seconds,
               struct err *e)
{
    struct token_list ids = {0};
    static double rates[MAX_ROUNDS];
    size_t n = 0;
    int rc = 0;
    double begin = clock_now_s();
    do {
        token_list_clear(&ids);
        double before = cpu_now_s();
        rc = tokenizer_encode(t, text, len, false, &ids, e);
        rates[n++] = (double)len / (cpu_now_s() - before) / 1e6;
    } while (rc == 0 && n < MAX_ROUNDS && clock_now_s() - begin < seconds);
    if (rc == 0) {
        qsort(rates, n, sizeof(*rates), compare_rates);
        printf("%zu bytes, %zu tokens, %.1f MB/s (median %.1f)\n", len, ids.count, rates[n - 1],
               rates[n / 2]);
    }
    token_list_deinit(&ids);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: bench_tokenizer MODEL.gguf TEXT_FILE [SECONDS]\n");
        return 2;
    }
    struct err e = {0};
    size_t len = 0;
    struct tokenizer *t = NULL;
    struct gguf *g = gguf_open(argv[1], &e);
    char *text = g ? file_read(argv[2], TEXT_BYTES_MAX, &len, &e) : NULL;
    t = text ? tokenizer_from_gguf(g, &e) : NULL;
    int rc = t ? run(t, text, len, argc > 3 ? atof(argv[3]) : 5.0, &e) : -1;
    if (rc != 0) {
        fprintf(stderr, "bench_tokenizer: %s\n", e.message);
    }
    tokenizer_destroy(t);
    mem_free(text);
    gguf_close(g);
    return rc == 0 ? 0 : 1;
}

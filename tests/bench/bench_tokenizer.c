/* How fast text becomes tokens, on one thread.
 *
 *     bench_tokenizer MODEL.gguf TEXT_FILE [SECONDS]
 *
 * Encodes the whole text again and again for about so many seconds (5) and prints the best
 * rate. A model file that holds a tokenizer alone will do. */
#include <stdio.h>
#include <stdlib.h>

#include "models/format/gguf.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define TEXT_BYTES_MAX ((size_t)256 << 20)

static int run(const struct tokenizer *t, const char *text, size_t len, double seconds,
               struct err *e)
{
    struct token_list ids = {0};
    double best = 0.0;
    int rc = 0;
    double begin = clock_now_s();
    do {
        token_list_clear(&ids);
        double before = clock_now_s();
        rc = tokenizer_encode(t, text, len, false, &ids, e);
        double rate = (double)len / (clock_now_s() - before);
        best = rate > best ? rate : best;
    } while (rc == 0 && clock_now_s() - begin < seconds);
    if (rc == 0) {
        printf("%zu bytes, %zu tokens, %.1f MB/s\n", len, ids.count, best / 1e6);
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

/* weir train bench: tokens a second of training steps of a shape, and the share of the float32
 * peak that they reach, measured in the same run. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "models/train/blas.h"
#include "models/train/kernels.h"
#include "models/train/trainer.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"
#include "runtime/cli/train_shape.h"

struct bench {
    const char *shape_text;
    long vocab, batch_tokens, micro_tokens, row, shards, steps;
    bool json, bf16;
    struct train_shape shape;
    struct train_options options;
};

struct result {
    double peak;   /* flop/s, the better of before and after */
    double flops;  /* of a step */
    double tokens; /* of a step */
    double best_s; /* the fastest step */
    double mean_s; /* all but the first */
    double loss;
};

/* Random documents of `row` tokens, enough for two steps, in a file that is gone when it is
 * closed. */
static struct dataset *random_data(const struct bench *b, struct err *e)
{
    char path[] = "/tmp/weir-train-bench-XXXXXX";
    struct dataset_writer w;
    struct dataset *data = NULL;
    struct rng rng;
    uint32_t row = b->options.row;
    int fd = mkstemp(path);
    uint32_t *tokens = mem_array(row, sizeof(*tokens));
    if (fd < 0 || !tokens) {
        err_set(e, ERR_IO, "%s: cannot create", path);
        mem_free(tokens);
        return NULL;
    }
    close(fd);
    dataset_writer_init(&w, b->shape.vocab);
    rng_seed(&rng, 1);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < 2 * b->options.batch_tokens / row; i++) {
        for (uint32_t k = 0; k < row; k++) {
            tokens[k] = rng_below(&rng, b->shape.vocab) | DATASET_LEARN;
        }
        rc = dataset_writer_add(&w, tokens, row, e);
    }
    if (rc == 0 && dataset_writer_finish(&w, path, e) == 0) {
        data = dataset_open(path, e);
    }
    unlink(path);
    dataset_writer_deinit(&w);
    mem_free(tokens);
    return data;
}

static int measure_steps(const struct bench *b, const struct dataset *data, struct result *r,
                         struct err *e)
{
    struct train_stats stats;
    double total = 0.0;
    struct trainer *t = trainer_create(&b->shape, &b->options, data, e);
    int rc = t ? 0 : -1;
    r->best_s = 1e30;
    /* The first step touches the memory. */
    for (long i = 0; rc == 0 && i <= b->steps; i++) {
        double begin = clock_now_s();
        rc = trainer_step(t, &stats, e);
        double seconds = clock_now_s() - begin;
        if (rc == 0 && i > 0) {
            total += seconds;
            r->best_s = seconds < r->best_s ? seconds : r->best_s;
            r->flops = stats.flops;
            r->tokens = stats.tokens;
            r->loss = stats.loss;
        }
    }
    r->mean_s = total / (double)b->steps;
    trainer_destroy(t);
    return rc;
}

static void print_json(const struct bench *b, const struct result *r, double rss)
{
    printf(
        "{\"parameters\":%zu,\"threads\":%u,\"kernels\":\"%s\",\"vectors\":\"%s\",\"bf16\":%s,"
        "\"batch_tokens\":%u,\"micro_tokens\":%u,\"row\":%u,\"steps\":%ld,"
        "\"flops_per_token\":%.6g,\"peak_gflops\":%.1f,\"gflops\":%.1f,"
        "\"peak_fraction\":%.4f,\"best_peak_fraction\":%.4f,\"tokens_per_s\":%.1f,"
        "\"loss\":%.6f,\"planned_bytes\":%llu,\"peak_rss_bytes\":%.0f}\n",
        train_shape_param_count(&b->shape), b->options.optimizer.shards, train_blas_kernels(),
        train_kernels_get()->name, b->bf16 ? "true" : "false", b->options.batch_tokens,
        b->options.slice_tokens, b->options.row, b->steps, r->flops / r->tokens, r->peak / 1e9,
        r->flops / r->mean_s / 1e9, r->flops / r->mean_s / r->peak,
        r->flops / r->best_s / r->peak, r->tokens / r->mean_s, r->loss,
        (unsigned long long)trainer_memory(&b->shape, &b->options), rss);
}

static void print_text(const struct bench *b, const struct result *r, double rss)
{
    printf("parameters      %.2f M\n", (double)train_shape_param_count(&b->shape) / 1e6);
    printf("threads         %u, OpenBLAS kernels %s, vectors %s%s\n",
           b->options.optimizer.shards, train_blas_kernels(), train_kernels_get()->name,
           b->bf16 ? ", bfloat16" : "");
    printf("a step          %.0f tokens, %.1f GFLOP, in parts of %u tokens a thread\n",
           r->tokens, r->flops / 1e9, b->options.slice_tokens);
    printf("float32 peak    %.0f GFLOPS (large squares)\n", r->peak / 1e9);
    printf("training        %.0f GFLOPS: %.1f %% of the peak (fastest step %.1f %%)\n",
           r->flops / r->mean_s / 1e9, 100.0 * r->flops / r->mean_s / r->peak,
           100.0 * r->flops / r->best_s / r->peak);
    printf("speed           %.0f tokens/s\n", r->tokens / r->mean_s);
    printf("memory          %.0f MB planned, %.0f MB at most\n",
           (double)trainer_memory(&b->shape, &b->options) / 1e6, rss / 1e6);
}

static int bench(struct bench *b, struct err *e)
{
    struct result r = {0};
    struct rusage usage;
    unsigned threads = b->options.optimizer.shards;
    struct dataset *data = random_data(b, e);
    if (!data) {
        return -1;
    }
    double before = train_blas_peak(threads);
    int rc = measure_steps(b, data, &r, e);
    dataset_close(data);
    if (rc) {
        return -1;
    }
    double after = train_blas_peak(threads);
    r.peak = after > before ? after : before;
    getrusage(RUSAGE_SELF, &usage);
    (b->json ? print_json : print_text)(b, &r, (double)usage.ru_maxrss * 1024.0);
    return 0;
}

int cli_train_bench(int argc, char **argv)
{
    struct bench b = {.shape_text = TRAIN_SHAPE_DEFAULT,
                      .vocab = 4096,
                      .batch_tokens = 8192,
                      .shards = 2,
                      .steps = 5};
    const struct option table[] = {
        {"shape", 0, OPTION_STRING, &b.shape_text, "D,L,H,KV,FFN,CTX",
         TRAIN_SHAPE_HELP " [" TRAIN_SHAPE_DEFAULT "]", 0, 0},
        {"vocab", 0, OPTION_INT, &b.vocab, "N", "tokens in the vocabulary [4096]", 16, 1 << 20},
        {"batch-tokens", 0, OPTION_INT, &b.batch_tokens, "N", "tokens a step [8192]", 1,
         1 << 23},
        {"micro-tokens", 0, OPTION_INT, &b.micro_tokens, "N",
         "tokens that a thread works on at a time [2048 or what fits]", 0, 1 << 23},
        {"row", 0, OPTION_INT, &b.row, "N", "tokens a document [context]", 0, 65536},
        {"steps", 0, OPTION_INT, &b.steps, "N", "steps to measure, after one more [5]", 1,
         1000000},
        {"shards", 't', OPTION_INT, &b.shards, "N", "threads [2]", 1, TRAIN_MAX_SHARDS},
        {"bf16", 0, OPTION_FLAG, &b.bf16, NULL, "linear layers multiply through bfloat16", 0,
         0},
        {"json", 0, OPTION_FLAG, &b.json, NULL, "for programs", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train bench [--shape D,L,H,KV,FFN,CTX] [options]",
        "speed of training steps on random tokens, and the share of the float32 peak reached",
        table};
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional > 0 ||
        cli_parse_train_shape(b.shape_text, (uint32_t)b.vocab, &b.shape, &e)) {
        if (positional > 0) {
            err_set(&e, ERR_INVALID, "only options are taken");
        }
        cli_fail("train bench", &e);
        return 2;
    }
    b.options = train_options_default();
    b.options.bf16 = b.bf16;
    b.options.optimizer.shards = (uint32_t)b.shards;
    b.options.batch_tokens = (uint32_t)b.batch_tokens;
    b.options.row = b.row > 0 ? (uint32_t)b.row : b.shape.context;
    b.options.slice_tokens = b.micro_tokens > 0 ? (uint32_t)b.micro_tokens
                                                : cli_default_slice(&b.shape, b.options.row);
    return bench(&b, &e) ? cli_fail("train bench", &e) : 0;
}

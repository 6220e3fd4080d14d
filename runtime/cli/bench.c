#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "quant/cpu.h"
#include "quant/peak.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"
#include "runtime/cli/ranks.h"

#define BATCHES_MAX 16
#define BATCH_MAX   512
#define STEP_ROWS   256 /* of a prompt: more are no faster, and take memory */
#define REPEATS     3   /* the best counts: other work on the machine only ever slows it */
#define READ_BYTES  ((size_t)512 << 20)

struct bench {
    struct local_model model;
    const char *cpu, *kv_type, *adapter;
    bool any_base, pin;
    struct rank_group *ranks; /* that share the model, or NULL */
    int threads;
    int n_prompt;
    int n_decode;
    int depth; /* tokens of context before a second decode of one sequence; 0: none */
    int batches[BATCHES_MAX];
    size_t n_batches;
    int32_t *tokens; /* (max of n_prompt, n_decode, depth) */
};

struct bench_result {
    double load_s;
    double prefill_tps;
    double decode_tps;
    double depth_tps;              /* decode behind `depth` tokens */
    double batch_tps[BATCHES_MAX]; /* tokens of all sequences together */
    double int8_peak_ops;
    double read_bytes_per_s;
    double prefill_peak_fraction;
    double decode_bandwidth_fraction;
    uint64_t peak_rss_bytes;
};

/* "1,8,16" */
static int parse_batches(struct bench *b, const char *text, struct err *e)
{
    for (;;) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || n < 1 || n > BATCH_MAX || (*end != '\0' && *end != ',')) {
            return err_set(e, ERR_INVALID,
                           "-b: sizes of 1 to %d like 1,8,16 are wanted, not \"%.40s\"",
                           BATCH_MAX, text);
        }
        if (b->n_batches == BATCHES_MAX) {
            return err_set(e, ERR_LIMIT, "-b: more than %d sizes", BATCHES_MAX);
        }
        b->batches[b->n_batches++] = (int)n;
        if (*end == '\0') {
            return 0;
        }
        text = end + 1;
    }
}

static int largest_batch(const struct bench *b)
{
    int largest = 1;
    for (size_t i = 0; i < b->n_batches; i++) {
        largest = b->batches[i] > largest ? b->batches[i] : largest;
    }
    return largest;
}

static int open_model(struct bench *b, const char *path, double *load_s, struct err *e)
{
    int n_tokens = b->n_prompt > b->n_decode ? b->n_prompt : b->n_decode;
    n_tokens =
        b->depth > 0 && b->depth + b->n_decode > n_tokens ? b->depth + b->n_decode : n_tokens;
    struct local_model_settings s = {
        .path = path,
        .adapter = b->adapter,
        .any_base = b->any_base,
        .cpu = b->cpu,
        .kv_type = b->kv_type,
        .threads = b->threads,
        .ranks = b->ranks,
        .pin = b->pin,
        .context = n_tokens,
        .max_rows = largest_batch(b) > STEP_ROWS ? largest_batch(b) : STEP_ROWS,
        .n_slots = largest_batch(b),
    };
    double start = clock_now_s();
    if (local_model_open(&b->model, &s, e) != 0) {
        return -1;
    }
    *load_s = clock_now_s() - start;
    if (b->model.context < n_tokens) {
        return err_set(e, ERR_LIMIT, "%s: %d tokens do not fit into the model's context of %d",
                       path, n_tokens, b->model.context);
    }
    b->tokens = mem_array((size_t)n_tokens, sizeof(*b->tokens));
    if (!b->tokens) {
        return err_nomem(e);
    }
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < n_tokens; i++) {
        b->tokens[i] = (int32_t)rng_below(&rng, (uint32_t)b->model.model->config.vocab);
    }
    return 0;
}

static int measure_prefill(struct bench *b, double *tps, struct err *e)
{
    for (int i = 0; i < REPEATS; i++) {
        double start = clock_now_s();
        if (local_model_feed(&b->model, b->tokens, (size_t)b->n_prompt, 0, e) != 0) {
            return -1;
        }
        double rate = b->n_prompt / (clock_now_s() - start);
        *tps = rate > *tps ? rate : *tps;
    }
    return 0;
}

/* n sequences that each get n_decode tokens, one a step, behind `past` tokens. */
static double decode_once(struct bench *b, int n, int past)
{
    struct llama_row rows[BATCH_MAX];
    struct local_model *l = &b->model;
    double start = clock_now_s();
    for (int at = 0; at < b->n_decode; at++) {
        for (int i = 0; i < n; i++) {
            rows[i] = (struct llama_row){.token = b->tokens[(at + i) % b->n_decode],
                                         .position = past + at,
                                         .slot = i,
                                         .want_logits = true,
                                         .adapter = l->adapter};
        }
        llama_step(l->state, &l->model->weights, &l->kv, rows, n);
    }
    return (double)n * b->n_decode / (clock_now_s() - start);
}

static double measure_decode(struct bench *b, int n, int past)
{
    double best = 0.0;
    for (int i = 0; i < REPEATS; i++) {
        double rate = decode_once(b, n, past);
        best = rate > best ? rate : best;
    }
    return best;
}

/* The context is really read: memory that was never written would be faster than it is. */
static int measure_depth(struct bench *b, double *tps, struct err *e)
{
    if (local_model_feed(&b->model, b->tokens, (size_t)b->depth, 0, e) != 0) {
        return -1;
    }
    *tps = measure_decode(b, 1, b->depth);
    return 0;
}

static void run_all(void *team, void (*work)(void *ctx, int worker, int n_workers), void *ctx)
{
    team_run(team, work, ctx);
}

static int measure_machine(const struct bench *b, struct bench_result *r, struct err *e)
{
    uint32_t mask = 0;
    (void)cpu_features_named(b->cpu, &mask); /* the model was opened with it */
    struct peak_team team = {.run_all = run_all, .team = b->model.team};
    r->int8_peak_ops = peak_int8_ops(&team, q8_kernel_select(cpu_features() & mask));
    void *buffer = mem_zalloc_aligned(READ_BYTES);
    if (!buffer) {
        return err_nomem(e);
    }
    memset(buffer, 1, READ_BYTES);
    r->read_bytes_per_s = peak_read_bytes(&team, buffer, READ_BYTES);
    mem_free_aligned(buffer);
    return 0;
}

struct matrix_sizes {
    double weights;
    double packed_bytes;
};

static void add_matrix(struct matrix_sizes *s, const struct llama_matrix *m)
{
    s->weights += (double)m->n * (double)m->k;
    s->packed_bytes += (double)q8_packed_bytes(m->n, m->k);
}

/* Prefill multiplies by the layers' matrices, of experts by as many as a token has; only the
 * last row meets the output matrix. Decode reads them all for each token. */
static void compare_with_machine(const struct bench *b, struct bench_result *r)
{
    const struct model *m = b->model.model;
    struct matrix_sizes sizes = {0};
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct llama_layer *layer = &m->weights.layers[i];
        add_matrix(&sizes, &layer->qkv.matrix);
        add_matrix(&sizes, &layer->out.matrix);
        if (m->config.d_ff > 0) {
            add_matrix(&sizes, &layer->gate_up.matrix);
            add_matrix(&sizes, &layer->down.matrix);
        }
        for (int k = 0; k < m->config.n_experts_used; k++) {
            add_matrix(&sizes, &layer->experts.gate_up[k]);
            add_matrix(&sizes, &layer->experts.down[k]);
        }
    }
    r->prefill_peak_fraction = 2.0 * sizes.weights * r->prefill_tps / r->int8_peak_ops;
    add_matrix(&sizes, &m->weights.output);
    r->decode_bandwidth_fraction = sizes.packed_bytes * r->decode_tps / r->read_bytes_per_s;
}

static int measure(struct bench *b, const char *path, struct bench_result *r, struct err *e)
{
    if (open_model(b, path, &r->load_s, e) != 0 ||
        measure_prefill(b, &r->prefill_tps, e) != 0) {
        return -1;
    }
    r->decode_tps = measure_decode(b, 1, 0);
    for (size_t i = 0; i < b->n_batches; i++) {
        r->batch_tps[i] =
            b->batches[i] == 1 ? r->decode_tps : measure_decode(b, b->batches[i], 0);
    }
    if (b->depth > 0 && measure_depth(b, &r->depth_tps, e) != 0) {
        return -1;
    }
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    r->peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024; /* before the buffer that is read */
    if (rank_group_rank(b->ranks) > 0) {
        return 0; /* rank 0 tells, of what it has: its threads, its share of the weights */
    }
    if (measure_machine(b, r, e) != 0) {
        return -1;
    }
    compare_with_machine(b, r);
    return 0;
}

static void print_table(const struct bench *b, const struct bench_result *r)
{
    printf("%-28s %10.2f s\n", "load", r->load_s);
    printf("prefill %-5d tokens         %10.1f tokens/s   %3.0f %% of the int8 peak\n",
           b->n_prompt, r->prefill_tps, 100.0 * r->prefill_peak_fraction);
    printf("%-28s %10.1f tokens/s   %3.0f %% of the read rate\n", "decode, one sequence",
           r->decode_tps, 100.0 * r->decode_bandwidth_fraction);
    if (b->depth > 0) {
        printf("decode behind %-6d tokens  %10.1f tokens/s   %.2f times as long\n", b->depth,
               r->depth_tps, r->decode_tps / r->depth_tps);
    }
    for (size_t i = 0; i < b->n_batches; i++) {
        printf("decode, %3d together         %10.1f tokens/s\n", b->batches[i],
               r->batch_tps[i]);
    }
    printf("%-28s %10.3f TOP/s\n", "int8 peak", r->int8_peak_ops / 1e12);
    printf("%-28s %10.1f GB/s\n", "memory read", r->read_bytes_per_s / 1e9);
    printf("%-28s %10.1f MiB\n", "peak memory", (double)r->peak_rss_bytes / 0x1p20);
}

static void print_json(const struct bench *b, const struct bench_result *r)
{
    printf("{\"prefill_tps\":%.6g,\"decode_tps\":%.6g,\"batch_tps\":{", r->prefill_tps,
           r->decode_tps);
    for (size_t i = 0; i < b->n_batches; i++) {
        printf("%s\"%d\":%.6g", i ? "," : "", b->batches[i], r->batch_tps[i]);
    }
    printf("}");
    if (b->depth > 0) {
        printf(",\"depth\":%d,\"depth_tps\":%.6g", b->depth, r->depth_tps);
    }
    printf(",\"int8_peak_tops\":%.6g,\"read_gbps\":%.6g,\"prefill_peak_fraction\":%.6g,"
           "\"decode_bandwidth_fraction\":%.6g,\"load_s\":%.6g,\"peak_rss_bytes\":%" PRIu64
           "}\n",
           r->int8_peak_ops / 1e12, r->read_bytes_per_s / 1e9, r->prefill_peak_fraction,
           r->decode_bandwidth_fraction, r->load_s, r->peak_rss_bytes);
}

int cli_bench(int argc, char **argv)
{
    const char *path = NULL;
    const char *cpu = "auto", *kv_type = NULL, *adapter = NULL;
    bool any_base = false, pin = false;
    const char *batches = "1,8,16";
    bool json = false;
    long threads = 0;
    struct cli_ranks together = {.timeout_s = CLI_RANK_TIMEOUT_S};
    long n_prompt = 512;
    long n_decode = 64;
    long depth = 0;
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &path, "FILE", "the model, a GGUF file", 0, 0},
        {"threads", 't', OPTION_INT, &threads, "N", "threads (number of cores)", 1, 256},
        {"prompt", 'p', OPTION_INT, &n_prompt, "N", "tokens of the prompt (512)", 1, 1 << 20},
        {"tokens", 'n', OPTION_INT, &n_decode, "N", "tokens that each sequence decodes (64)", 1,
         1 << 20},
        {"depth", 'd', OPTION_INT, &depth, "N",
         "measure decode also behind N tokens of context (not measured)", 0, 1 << 20},
        {"batch", 'b', OPTION_STRING, &batches, "SIZES",
         "sequences that decode together (1,8,16)", 0, 0},
        {"json", 0, OPTION_FLAG, &json, NULL, "print the result as JSON", 0, 0},
        {"cpu", 0, OPTION_STRING, &cpu, "NAME", "best instruction set to use (auto)", 0, 0},
        {"pin", 0, OPTION_FLAG, &pin, NULL, "tie each thread to a core", 0, 0},
        {"kv-type", 0, OPTION_STRING, &kv_type, "NAME", "KV cache as f16, int8 or f32 (f16)", 0,
         0},
        {"adapter", 0, OPTION_STRING, &adapter, "FILE[@SCALE]",
         "a LoRA adapter (GGUF) of the model, for all rows", 0, 0},
        {"any-base", 0, OPTION_FLAG, &any_base, NULL,
         "also where the adapter was trained on another file", 0, 0},
        {"ranks", 0, OPTION_INT, &together.wanted, "N", CLI_RANKS_HELP, 1, RANKS_MAX},
        {"rank-timeout", 0, OPTION_INT, &together.timeout_s, "S", CLI_RANK_TIMEOUT_HELP, 1,
         86400},
        {0},
    };
    const struct options options = {
        "weir bench -m FILE [options]",
        "Measures prefill and decode speed, and holds them against what the machine can do.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!path || positional > 0) {
        fprintf(stderr, "weir bench: -m FILE is needed\nusage: %s\n", options.usage);
        return 2;
    }
    struct err e = {0};
    struct bench_result result = {0};
    struct bench b = {.cpu = cpu,
                      .adapter = adapter,
                      .any_base = any_base,
                      .kv_type = kv_type,
                      .pin = pin,
                      .n_prompt = (int)n_prompt,
                      .n_decode = (int)n_decode,
                      .depth = (int)depth};
    if (parse_batches(&b, batches, &e) != 0) {
        cli_fail("bench", &e);
        return 2;
    }
    if (cli_ranks_open(&together, &b.ranks, &e) != 0) {
        return cli_fail("bench", &e);
    }
    b.threads = cli_ranks_threads(b.ranks, threads);
    rc = measure(&b, path, &result, &e);
    bool tells = rank_group_rank(b.ranks) == 0; /* the others come to the same end */
    if (rc != 0 && tells) {
        cli_fail("bench", &e);
    } else if (tells && json) {
        print_json(&b, &result);
    } else if (tells) {
        print_table(&b, &result);
    }
    mem_free(b.tokens);
    local_model_close(&b.model);
    rank_group_close(b.ranks);
    return rc == 0 ? 0 : 1;
}

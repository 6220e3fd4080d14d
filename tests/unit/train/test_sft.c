/* sft.h, sft_data.h, lora_file.h, adapter_merge.h: a run from lines of text to a merged model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/convert/adapter_merge.h"
#include "models/format/gguf_write.h"
#include "models/train/import.h"
#include "models/train/lora_file.h"
#include "models/train/sft.h"
#include "models/train/sft_data.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/models/small_vocab.h"

#define CONTEXT 64

static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

struct fixture {
    char folder[32], base[64], data[64], tok[64], held_tok[64], state[64], out[64], merged[64];
    struct gguf *gguf;
    struct train_shape shape;
    size_t n_params;
    float *params;
    struct tokenizer *tokenizer;
    struct chat_template *chat_template;
    struct sft_renderer renderer;
    struct dataset_writer train_writer, held_writer;
    struct dataset *train, *held;
    struct sft_counts counts;
    struct buf said;
};

/* A small llama with seeded weights. */
static void write_base(const char *path)
{
    struct err e = {0};
    struct gguf *vocab = small_vocab_open();
    struct train_shape s = {.d_model = 32,
                            .n_layers = 2,
                            .n_heads = 2,
                            .n_kv_heads = 1,
                            .ffn = 64,
                            .vocab = SMALL_VOCAB_SIZE,
                            .context = CONTEXT,
                            .rope_base = 10000.0f,
                            .norm_eps = 1e-5f};
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t n = train_shape_tensors(&s, tensors);
    float *params = mem_zalloc_aligned(train_shape_param_count(&s) * sizeof(float));
    train_params_init(&s, params, 7);
    /* The output matrix stands still under an adapter: its rows must reach far enough. */
    for (size_t i = 0; i < (size_t)s.vocab * s.d_model; i++) {
        params[i] *= 20.0f;
    }
    struct gguf_writer *w = gguf_writer_create(&e);
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_str(w, "general.name", "small");
    gguf_put_str(w, "tokenizer.chat_template", chatml);
    gguf_put_u32(w, "llama.context_length", s.context);
    gguf_put_u32(w, "llama.embedding_length", s.d_model);
    gguf_put_u32(w, "llama.block_count", s.n_layers);
    gguf_put_u32(w, "llama.feed_forward_length", s.ffn);
    gguf_put_u32(w, "llama.attention.head_count", s.n_heads);
    gguf_put_u32(w, "llama.attention.head_count_kv", s.n_kv_heads);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", s.norm_eps);
    gguf_put_copies(w, vocab, "tokenizer.");
    for (size_t i = 0; i < n; i++) {
        const uint64_t dims[2] = {tensors[i].cols, tensors[i].rows};
        gguf_add_tensor(w, tensors[i].name, TENSOR_F32, tensors[i].rows > 1 ? 2 : 1, dims,
                        params + tensors[i].offset);
    }
    if (gguf_writer_write(w, path, &e)) {
        fail_msg("%s", e.message);
    }
    gguf_writer_destroy(w);
    mem_free_aligned(params);
    gguf_close(vocab);
}

static void name(const struct fixture *f, char out[64], const char *file)
{
    snprintf(out, 64, "%s/%s", f->folder, file);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct gguf_str source;
    struct err e = {0};
    *state = f;
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-sft-XXXXXX");
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    name(f, f->base, "base.gguf");
    name(f, f->data, "a.jsonl");
    name(f, f->tok, "a.tok");
    name(f, f->held_tok, "h.tok");
    name(f, f->state, "a.state");
    name(f, f->out, "a.gguf");
    name(f, f->merged, "m.gguf");
    write_base(f->base);
    if (!(f->gguf = import_open(f->base, &e)) || import_shape(f->gguf, 0, &f->shape, &e)) {
        fail_msg("%s", e.message);
    }
    f->n_params = train_shape_param_count(&f->shape);
    f->params = mem_zalloc_aligned(f->n_params * sizeof(float));
    if (import_params(f->gguf, &f->shape, f->params, &e) ||
        !(f->tokenizer = tokenizer_from_gguf(f->gguf, &e)) ||
        gguf_get_str(f->gguf, "tokenizer.chat_template", &source, &e) ||
        !(f->chat_template = chat_template_compile(source.data, source.len, &e))) {
        fail_msg("%s", e.message);
    }
    f->renderer.chat_template = f->chat_template;
    f->renderer.tokenizer = f->tokenizer;
    output_format_detect(&f->renderer.format, f->chat_template, f->tokenizer, &e);
    dataset_writer_init(&f->train_writer, SMALL_VOCAB_SIZE);
    dataset_writer_init(&f->held_writer, SMALL_VOCAB_SIZE);
    buf_init(&f->said, 1 << 16);
    buf_append_str(&f->said, "");
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    const char *files[] = {f->base, f->data, f->tok, f->held_tok, f->state, f->out, f->merged};
    dataset_close(f->train);
    dataset_close(f->held);
    dataset_writer_deinit(&f->train_writer);
    dataset_writer_deinit(&f->held_writer);
    buf_deinit(&f->said);
    chat_template_destroy(f->chat_template);
    tokenizer_destroy(f->tokenizer);
    mem_free_aligned(f->params);
    gguf_close(f->gguf);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        unlink(files[i]);
    }
    int rc = rmdir(f->folder);
    free(f);
    return rc;
}

/* --- files of examples --- */

static void remember(void *ctx, const char *message)
{
    struct fixture *f = ctx;
    buf_printf(&f->said, "%s\n", message);
}

static int read_text(struct fixture *f, const char *text, struct sft_data_options *o,
                     struct err *e)
{
    assert_int_equal(file_write_atomic(f->data, text, strlen(text), e), 0);
    o->say = remember;
    o->ctx = f;
    return sft_data_read(f->data, &f->renderer, o, &f->train_writer, &f->held_writer,
                         &f->counts, e);
}

#define GOOD "{\"prompt\":\"the fox\",\"completion\":\"jumps\"}\n"

static void malformed_lines_are_named_and_skipped_or_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct sft_data_options o = {.row = CONTEXT};
    const char *text =
        GOOD "\n{\"prompt\":7,\"completion\":\"a\"}\n" GOOD "{\"messages\":[\n" GOOD;
    assert_int_equal(read_text(f, text, &o, &e), -1);
    assert_non_null(strstr(e.message, "2 of 5 examples cannot be used"));
    assert_non_null(strstr(e.message, "The first is line 3: \"prompt\" must be a string"));
    assert_non_null(strstr(f->said.data, "a.jsonl: line 3: \"prompt\" must be"));
    assert_non_null(strstr(f->said.data, "a.jsonl: line 5: "));
    o.skip_malformed = true;
    f->counts = (struct sft_counts){0};
    assert_int_equal(read_text(f, text, &o, &e), 0);
    assert_int_equal(f->counts.examples, 3);
    assert_int_equal(f->counts.malformed, 2);
}

static void json_that_is_not_lines_is_explained(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct sft_data_options o = {.row = CONTEXT};
    assert_int_equal(read_text(f, "[\n" GOOD "]\n", &o, &e), -1);
    assert_non_null(strstr(e.message, "not JSON Lines"));
    assert_int_equal(read_text(f, "\xEF\xBB\xBF" GOOD, &o, &e), 0);
}

static void long_examples_are_refused_skipped_or_cut(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct sft_data_options o = {.row = 24};
    char text[512] = GOOD "{\"prompt\":\"the fox\",\"completion\":\"", tail[] = "\"}\n";
    memset(text + strlen(text), 'x', 100);
    strcat(text, tail);
    assert_int_equal(read_text(f, text, &o, &e), -1);
    assert_non_null(strstr(e.message, "line 2: "));
    assert_non_null(strstr(e.message, "at most 24 are read: use --overlong cut"));
    o.overlong = SFT_OVERLONG_SKIP;
    f->counts = (struct sft_counts){0};
    assert_int_equal(read_text(f, text, &o, &e), 0);
    assert_int_equal(f->counts.too_long, 1);
    assert_int_equal(f->counts.examples, 1);
    o.overlong = SFT_OVERLONG_CUT;
    f->counts = (struct sft_counts){0};
    assert_int_equal(read_text(f, text, &o, &e), 0);
    assert_int_equal(f->counts.cut, 1);
    assert_int_equal(f->counts.longest, 24);
    assert_non_null(strstr(f->said.data, "line 2: "));
    /* Where the cut leaves nothing to learn. */
    o.row = 8;
    f->counts = (struct sft_counts){0};
    assert_int_equal(read_text(f, text, &o, &e), 0);
    assert_int_equal(f->counts.examples, 0);
    assert_int_equal(f->counts.too_long, 2);
}

/* --- runs --- */

static void write_examples(struct fixture *f, double held_out)
{
    static const char *const animals[] = {"fox", "dog", "bear"};
    static const char *const deeds[] = {"jumps", "thinks", "is lazy"};
    struct buf text;
    struct err e = {0};
    struct sft_data_options o = {.row = CONTEXT, .held_out = held_out, .seed = 3};
    buf_init(&text, 1 << 16);
    for (int i = 0; i < 30; i++) {
        buf_printf(&text, "{\"prompt\":\"%s %s\",\"completion\":\"%s\"}\n", i % 2 ? "the" : "a",
                   animals[i % 3], deeds[i % 3]);
    }
    assert_int_equal(read_text(f, text.data, &o, &e), 0);
    buf_deinit(&text);
    assert_int_equal(dataset_writer_finish(&f->train_writer, f->tok, &e), 0);
    f->train = dataset_open(f->tok, &e);
    assert_non_null(f->train);
    if (held_out > 0.0) {
        assert_int_equal(f->counts.held_out, 30 * held_out);
        assert_int_equal(dataset_writer_finish(&f->held_writer, f->held_tok, &e), 0);
        f->held = dataset_open(f->held_tok, &e);
        assert_non_null(f->held);
    }
}

static struct sft_options options_of(const struct fixture *f, bool full)
{
    const struct sft_size size = {.documents = f->train_writer.n_docs,
                                  .tokens = f->train_writer.n_tokens,
                                  .longest = f->counts.longest};
    struct sft_options o = sft_options_default(&f->shape, &size, full);
    o.lora.rank = full ? 0 : 4;
    o.optimizer.lr = 1e-2f;
    o.epochs = 6;
    return o;
}

static struct sft *create(struct fixture *f, const struct sft_options *o)
{
    struct err e = {0};
    const struct sft_base base = {.params = f->params};
    struct sft *s = sft_create(&f->shape, &base, o, f->train, f->held, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    return s;
}

static void run_on(struct sft *s, uint64_t until)
{
    struct err e = {0};
    struct sft_stats stats;
    double loss;
    while (!sft_is_over(s) && sft_steps_done(s) < until) {
        assert_int_equal(sft_step(s, &stats, &e), 0);
        assert_true(stats.documents > 0 && stats.targets > 0);
        if (sft_is_judgement_due(s)) {
            assert_int_equal(sft_judge(s, &loss, &e), 0);
        }
    }
}

static double loss_of(struct fixture *f, struct sft *s)
{
    struct err e = {0};
    double loss;
    assert_int_equal(sft_evaluate(s, f->train, &loss, &e), 0);
    return loss;
}

static void an_adapter_learns_and_the_model_stands_still(void **state)
{
    struct fixture *f = *state;
    write_examples(f, 0.0);
    struct sft_options o = options_of(f, false);
    o.epochs = 20;
    float *before = mem_array(f->n_params, sizeof(float));
    memcpy(before, f->params, f->n_params * sizeof(float));
    struct sft *s = create(f, &o);
    double first = loss_of(f, s);
    run_on(s, UINT64_MAX);
    assert_int_equal(sft_steps_done(s), sft_steps(s));
    assert_int_equal(sft_epochs_done(s), 20);
    double last = loss_of(f, s);
    if (!(last < 0.5 * first)) {
        fail_msg("loss %f before and %f after", first, last);
    }
    assert_memory_equal(before, f->params, f->n_params * sizeof(float));
    sft_destroy(s);
    mem_free(before);
}

static void all_weights_learn(void **state)
{
    struct fixture *f = *state;
    write_examples(f, 0.0);
    struct sft_options o = options_of(f, true);
    struct sft *s = create(f, &o);
    assert_null(sft_adapter(s));
    double first = loss_of(f, s);
    run_on(s, UINT64_MAX);
    assert_true(loss_of(f, s) < 0.5 * first);
    sft_destroy(s);
}

/* At any step, and once more after the same steps were done and lost. */
static void a_resumed_run_gives_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct sft_identity id = {.unix_time = 5};
    memset(id.data, 'd', 64);
    memset(id.base, 'b', 64);
    write_examples(f, 0.2);
    struct sft_options o = options_of(f, false);
    o.lora.dropout = 0.1f;
    struct sft *whole = create(f, &o);
    run_on(whole, UINT64_MAX);
    for (uint64_t at = 1; at < sft_steps_done(whole); at += 4) {
        struct sft *first = create(f, &o), *second = create(f, &o);
        run_on(first, at);
        assert_int_equal(sft_save(first, &id, f->state, &e), 0);
        run_on(first, at + 2);
        if (sft_resume(second, &id, f->state, &e)) {
            fail_msg("%s", e.message);
        }
        run_on(second, UINT64_MAX);
        sft_take_best(second);
        assert_int_equal(sft_best_epoch(second), sft_best_epoch(whole));
        if (at == 1) {
            sft_take_best(whole);
        }
        assert_memory_equal(sft_adapter(whole), sft_adapter(second),
                            sft_trained_count(whole) * sizeof(float));
        sft_destroy(first);
        sft_destroy(second);
    }
    sft_destroy(whole);
    struct sft_identity read;
    assert_int_equal(sft_read_identity(f->state, &read, &e), 0);
    assert_int_equal(read.unix_time, 5);
}

static void another_run_is_not_resumed(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct sft_identity id = {.unix_time = 5}, other;
    write_examples(f, 0.0);
    struct sft_options o = options_of(f, false);
    struct sft *s = create(f, &o);
    run_on(s, 1);
    assert_int_equal(sft_save(s, &id, f->state, &e), 0);
    other = id;
    other.data[0] = 'x';
    assert_int_equal(sft_resume(s, &other, f->state, &e), -1);
    assert_non_null(strstr(e.message, "other examples"));
    other = id;
    other.base[0] = 'x';
    assert_int_equal(sft_resume(s, &other, f->state, &e), -1);
    assert_non_null(strstr(e.message, "another model"));
    sft_destroy(s);
    o.seed = 9;
    s = create(f, &o);
    assert_int_equal(sft_resume(s, &id, f->state, &e), -1);
    assert_non_null(strstr(e.message, "other options"));
    sft_destroy(s);
    o.seed = 1;
    s = create(f, &o);
    assert_int_equal(truncate(f->state, 4000), 0);
    assert_int_equal(sft_resume(s, &id, f->state, &e), -1);
    assert_non_null(strstr(e.message, "cut off or damaged"));
    assert_int_equal(truncate(f->state, 100), 0);
    assert_int_equal(sft_read_identity(f->state, &other, &e), -1);
    assert_non_null(strstr(e.message, "not the state"));
    sft_destroy(s);
}

/* Held-out examples that say the opposite of the others: every epoch makes them worse. */
static void a_run_stops_when_it_gets_worse(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    const char *text = "{\"prompt\":\"the fox\",\"completion\":\"quick\"}\n";
    struct sft_data_options opposite = {.row = CONTEXT};
    write_examples(f, 0.0);
    assert_int_equal(file_write_atomic(f->data, text, strlen(text), &e), 0);
    struct sft_counts counts = {0};
    assert_int_equal(
        sft_data_read(f->data, &f->renderer, &opposite, &f->held_writer, NULL, &counts, &e), 0);
    assert_int_equal(dataset_writer_finish(&f->held_writer, f->held_tok, &e), 0);
    f->held = dataset_open(f->held_tok, &e);
    struct sft_options o = options_of(f, false);
    o.epochs = 30;
    struct sft *s = create(f, &o);
    run_on(s, UINT64_MAX);
    assert_true(sft_epochs_done(s) < 30);
    assert_int_equal(sft_epochs_done(s), sft_best_epoch(s) + o.patience);
    double best = sft_best_loss(s), now, kept;
    assert_int_equal(sft_evaluate(s, f->held, &now, &e), 0);
    sft_take_best(s);
    assert_int_equal(sft_evaluate(s, f->held, &kept, &e), 0);
    assert_true(now > best);
    assert_true(kept == best);
    sft_destroy(s);
}

/* --- files of adapters --- */

static void train_adapter(struct fixture *f, const struct sft_options *o, float **block)
{
    struct sft *s = create(f, o);
    size_t bytes = sft_trained_count(s) * sizeof(float);
    run_on(s, UINT64_MAX);
    *block = mem_alloc(bytes);
    memcpy(*block, sft_adapter(s), bytes);
    sft_destroy(s);
}

static int merge(struct fixture *f, float scale, uint32_t type, size_t *n, struct err *e)
{
    struct gguf *adapter = gguf_open(f->out, e);
    const struct adapter_merge m = {
        .base = f->gguf, .adapter = adapter, .scale = scale, .type = type};
    assert_non_null(adapter);
    int rc = adapter_merge_write(&m, f->merged, n, e);
    gguf_close(adapter);
    return rc;
}

static float *read_merged(struct fixture *f)
{
    struct err e = {0};
    struct train_shape s;
    struct gguf *g = import_open(f->merged, &e);
    float *params = mem_zalloc_aligned(f->n_params * sizeof(float));
    assert_non_null(g);
    assert_int_equal(import_shape(g, 0, &s, &e), 0);
    assert_memory_equal(&s, &f->shape, sizeof(s));
    assert_int_equal(import_params(g, &s, params, &e), 0);
    gguf_close(g);
    return params;
}

static void a_merged_file_is_the_model_with_its_adapter(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    size_t n;
    float *block;
    write_examples(f, 0.0);
    struct sft_options o = options_of(f, false);
    train_adapter(f, &o, &block);
    const struct lora_file_about about = {.base = f->gguf};
    assert_int_equal(lora_file_write(f->out, &f->shape, &o.lora, block, &about, &e), 0);
    if (merge(f, 1.0f, ADAPTER_MERGE_KEEP, &n, &e)) {
        fail_msg("%s", e.message);
    }
    assert_int_equal(n, 14);
    float *merged = read_merged(f);
    lora_merge(&f->shape, &o.lora, block, f->params);
    for (size_t i = 0; i < f->n_params; i++) {
        assert_true(fabsf(merged[i] - f->params[i]) < 1e-5f);
    }
    mem_free_aligned(merged);
    /* Nothing of it, and half precision. */
    assert_int_equal(import_params(f->gguf, &f->shape, f->params, &e), 0);
    assert_int_equal(merge(f, 0.0f, TENSOR_F16, &n, &e), 0);
    merged = read_merged(f);
    for (size_t i = 0; i < f->n_params; i++) {
        assert_true(fabsf(merged[i] - f->params[i]) < 1e-3f);
    }
    mem_free_aligned(merged);
    mem_free(block);
}

static void write_pair(struct fixture *f, const char *type, const char *tensor, uint64_t n_in)
{
    static const float zeros[4 * 64];
    struct err e = {0};
    char part[96];
    struct gguf_writer *w = gguf_writer_create(&e);
    gguf_put_str(w, "general.type", type);
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_str(w, "adapter.type", "lora");
    gguf_put_f32(w, "adapter.lora.alpha", 8.0f);
    snprintf(part, sizeof(part), "%s.lora_a", tensor);
    gguf_add_tensor(w, part, TENSOR_F32, 2, (const uint64_t[]){n_in, 4}, zeros);
    snprintf(part, sizeof(part), "%s.lora_b", tensor);
    gguf_add_tensor(w, part, TENSOR_F32, 2, (const uint64_t[]){4, 32}, zeros);
    assert_int_equal(gguf_writer_write(w, f->out, &e), 0);
    gguf_writer_destroy(w);
}

static void adapters_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    size_t n;
    const struct {
        const char *type, *tensor;
        uint64_t n_in;
        const char *message;
    } cases[] = {
        {"adapter", "blk.0.attn_q.weight", 32, NULL},
        {"model", "blk.0.attn_q.weight", 32, "no LoRA adapter"},
        {"adapter", "blk.7.attn_q.weight", 32, "has no \"blk.7.attn_q.weight\""},
        {"adapter", "blk.0.attn_q.weight", 48, "do not fit a matrix of 32 by 32"},
        {"adapter", "blk.0.attn_k.weight", 32, "do not fit a matrix of 32 by 16"},
        {"adapter", "blk.0.attn_norm.weight", 32, "do not fit a matrix of 32 by 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        write_pair(f, cases[i].type, cases[i].tensor, cases[i].n_in);
        int rc = merge(f, 1.0f, ADAPTER_MERGE_KEEP, &n, &e);
        assert_int_equal(rc, cases[i].message ? -1 : 0);
        if (cases[i].message && !strstr(e.message, cases[i].message)) {
            fail_msg("%s", e.message);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(malformed_lines_are_named_and_skipped_or_refused),
        TEST(json_that_is_not_lines_is_explained),
        TEST(long_examples_are_refused_skipped_or_cut),
        TEST(an_adapter_learns_and_the_model_stands_still),
        TEST(all_weights_learn),
        TEST(a_resumed_run_gives_the_same_bytes),
        TEST(another_run_is_not_resumed),
        TEST(a_run_stops_when_it_gets_worse),
        TEST(a_merged_file_is_the_model_with_its_adapter),
        TEST(adapters_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

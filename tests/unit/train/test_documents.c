/* JSONL to token files: what is rendered, what is learnt, what is refused; and the way to a
 * GGUF. */
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

#include "models/tokenizer/bpe_train.h"
#include "models/train/checkpoint.h"
#include "models/train/documents.h"
#include "models/train/export.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define VOCAB 272

struct fixture {
    char folder[32], vocab[64], jsonl[64], tok[64], ckpt[64], model[64];
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct dataset_writer writer;
};

static int make_vocab(const char *path)
{
    const char *text = "user assistant system the cat sat on the mat, the assistant sat there";
    struct err e;
    struct bpe_trainer *t = bpe_trainer_create(&e);
    int rc = bpe_trainer_feed(t, text, strlen(text), &e) || bpe_trainer_run(t, VOCAB, &e) ||
             bpe_trainer_vocab_size(t) != VOCAB || bpe_trainer_write(t, path, &e);
    bpe_trainer_destroy(t);
    return rc;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err e;
    *state = f;
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-docs-XXXXXX");
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    snprintf(f->vocab, sizeof(f->vocab), "%s/vocab.gguf", f->folder);
    snprintf(f->jsonl, sizeof(f->jsonl), "%s/a.jsonl", f->folder);
    snprintf(f->tok, sizeof(f->tok), "%s/a.tok", f->folder);
    snprintf(f->ckpt, sizeof(f->ckpt), "%s/a.ckpt", f->folder);
    snprintf(f->model, sizeof(f->model), "%s/a.gguf", f->folder);
    if (make_vocab(f->vocab) || !(f->gguf = gguf_open(f->vocab, &e)) ||
        !(f->tokenizer = tokenizer_from_gguf(f->gguf, &e))) {
        return -1;
    }
    dataset_writer_init(&f->writer, VOCAB);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dataset_writer_deinit(&f->writer);
    tokenizer_destroy(f->tokenizer);
    gguf_close(f->gguf);
    unlink(f->vocab);
    unlink(f->jsonl);
    unlink(f->tok);
    unlink(f->ckpt);
    unlink(f->model);
    rmdir(f->folder);
    free(f);
    return 0;
}

static int tokenize(struct fixture *f, const char *jsonl, enum documents_learn learn,
                    struct err *e)
{
    assert_int_equal(file_write_atomic(f->jsonl, jsonl, strlen(jsonl), e), 0);
    return documents_tokenize(f->jsonl, f->tokenizer, learn, &f->writer, e);
}

/* The document that the writer holds, as text: control tokens by name, learnt bytes in [ ]. */
static void assert_document(const struct fixture *f, const char *expected)
{
    const uint32_t *tokens = (const uint32_t *)(f->writer.tokens.data + 24);
    struct buf text;
    bool inside = false;
    buf_init(&text, 1 << 16);
    for (uint64_t i = 0; i < f->writer.n_tokens; i++) {
        int32_t id = (int32_t)(tokens[i] & ~DATASET_LEARN);
        bool learn = tokens[i] & DATASET_LEARN;
        size_t len;
        const char *bytes = tokenizer_token_bytes(f->tokenizer, id, &len);
        if (learn != inside) {
            buf_append_char(&text, learn ? '[' : ']');
        }
        inside = learn;
        if (tokenizer_is_control(f->tokenizer, id)) {
            buf_append_str(&text, tokenizer_token_name(f->tokenizer, id));
        } else {
            buf_append(&text, bytes, len);
        }
    }
    if (inside) {
        buf_append_char(&text, ']');
    }
    assert_string_equal(text.data, expected);
    buf_deinit(&text);
}

#define CHAT                                                      \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"the cat\"}," \
    "{\"role\":\"assistant\",\"content\":\"sat\"}]}\n"

static void only_the_assistant_s_words_are_learnt_from_a_chat(void **state)
{
    struct fixture *f = *state;
    struct err e;
    assert_int_equal(tokenize(f, CHAT, DOCUMENTS_LEARN_ANSWER, &e), 0);
    assert_document(
        f, "<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n[sat<|im_end|>]\n");
}

static void all_of_a_chat_is_learnt_when_asked(void **state)
{
    struct fixture *f = *state;
    struct err e;
    assert_int_equal(tokenize(f, CHAT, DOCUMENTS_LEARN_ALL, &e), 0);
    assert_document(
        f, "[<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\nsat<|im_end|>\n]");
}

static void a_text_ends_with_end_of_text_and_control_words_in_it_stay_text(void **state)
{
    struct fixture *f = *state;
    struct err e;
    assert_int_equal(
        tokenize(f, "\n{\"text\":\"a<|im_end|>\"}\n\n", DOCUMENTS_LEARN_ANSWER, &e), 0);
    assert_document(f, "[a<|im_end|><|endoftext|>]");
    assert_true(f->writer.n_tokens > 5); /* the written control word is several tokens */
}

static void bad_lines_are_refused_with_their_number(void **state)
{
    struct fixture *f = *state;
    struct err e;
    const char *cases[][2] = {
        {"{\"text\":\"a\"}\n{\"text\":1}\n", "line 2"},
        {"{\"text\":\"a\",\"messages\":[]}\n", "either"},
        {"{\"messages\":[]}\n", "empty"},
        {"{\"messages\":[{\"role\":\"judge\",\"content\":\"x\"}]}\n", "messages[0].role"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[]}]}\n", "messages[0].content"},
        {"{\"text\":\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tokenize(f, cases[i][0], DOCUMENTS_LEARN_ALL, &e), -1);
        assert_non_null(strstr(e.message, f->jsonl));
        assert_non_null(strstr(e.message, cases[i][1]));
    }
}

static void make_checkpoint(struct fixture *f, uint32_t d_model)
{
    struct err e;
    struct train_shape shape = {
        .d_model = d_model,
        .n_layers = 2,
        .n_heads = 4,
        .n_kv_heads = 2,
        .ffn = 64,
        .vocab = VOCAB,
        .context = 32,
        .rope_base = 10000.0f,
        .norm_eps = 1e-5f,
    };
    struct train_options o = train_options_default();
    assert_int_equal(tokenize(f, CHAT, DOCUMENTS_LEARN_ALL, &e), 0);
    assert_int_equal(dataset_writer_finish(&f->writer, f->tok, &e), 0);
    struct dataset *data = dataset_open(f->tok, &e);
    o.row = 32;
    o.batch_tokens = 64;
    struct trainer *t = trainer_create(&shape, &o, data, &e);
    assert_non_null(t);
    assert_int_equal(checkpoint_save(f->ckpt, t, data, &e), 0);
    trainer_destroy(t);
    dataset_close(data);
}

/* Every tensor is there, of the type asked for, and within half a step of the checkpoint's. */
static void check_export(struct fixture *f, bool q8)
{
    struct err e;
    struct checkpoint_header h;
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    float *params = checkpoint_read_params(f->ckpt, &h, &e), row[64];
    assert_int_equal(
        export_gguf(f->ckpt, f->vocab, "tiny", q8 ? TENSOR_Q8_0 : TENSOR_F32, f->model, &e), 0);
    struct gguf *g = gguf_open(f->model, &e);
    assert_non_null(g);
    size_t count = train_shape_tensors(&h.shape, tensors);
    assert_int_equal(gguf_tensor_count(g), count);
    for (size_t i = 0; i < count; i++) {
        const struct gguf_tensor *t = gguf_tensor_find(g, tensors[i].name);
        bool matrix = tensors[i].rows > 1;
        assert_non_null(t);
        assert_int_equal(t->type, q8 && matrix ? TENSOR_Q8_0 : TENSOR_F32);
        assert_int_equal(t->dims[0], tensors[i].cols);
        assert_int_equal(t->dims[1], tensors[i].rows);
        for (uint32_t r = 0; r < tensors[i].rows; r++) {
            const char *at =
                (const char *)t->data + r * tensor_type_row_bytes(t->type, t->dims[0]);
            const float *expected = params + tensors[i].offset + r * (size_t)tensors[i].cols;
            assert_int_equal(tensor_row_to_f32(t->type, at, row, tensors[i].cols), 0);
            for (uint32_t c = 0; c < tensors[i].cols; c++) {
                assert_true(fabsf(row[c] - expected[c]) <=
                            (q8 && matrix ? 0.1f / 127.0f : 0.0f));
            }
        }
    }
    struct tokenizer *tokenizer = tokenizer_from_gguf(g, &e);
    assert_int_equal(tokenizer_vocab_size(tokenizer), VOCAB);
    tokenizer_destroy(tokenizer);
    gguf_close(g);
    mem_free_aligned(params);
}

static void export_holds_the_checkpoint_s_weights_as_f32_and_as_q8_0(void **state)
{
    make_checkpoint(*state, 32);
    check_export(*state, false);
    check_export(*state, true);
}

static void q8_0_is_refused_for_rows_that_are_not_whole_blocks(void **state)
{
    struct fixture *f = *state;
    struct err e;
    make_checkpoint(f, 48);
    assert_int_equal(export_gguf(f->ckpt, f->vocab, "tiny", TENSOR_Q8_0, f->model, &e), -1);
    assert_non_null(strstr(e.message, "token_embd.weight"));
    assert_int_not_equal(access(f->model, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_assistant_s_words_are_learnt_from_a_chat,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(all_of_a_chat_is_learnt_when_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_text_ends_with_end_of_text_and_control_words_in_it_stay_text, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_lines_are_refused_with_their_number, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            export_holds_the_checkpoint_s_weights_as_f32_and_as_q8_0, setup, teardown),
        cmocka_unit_test_setup_teardown(q8_0_is_refused_for_rows_that_are_not_whole_blocks,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

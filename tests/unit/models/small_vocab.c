#include "tests/unit/models/small_vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/tokenizer/bpe_train.h"

static const char text[] =
    "the quick brown fox jumps over the lazy dog and the other dogs then jump over the fox. "
    "This is the thing that the brown bear thinks: there is nothing other than the weather.\n"
    "aaaa aaaaaaaa aaaaaaaaaaaaaaaa aaaaaaaa aaaa\n";

static void temporary_path(char out[64])
{
    snprintf(out, 64, "/tmp/weir-test-vocab-%ld.gguf", (long)getpid());
}

static struct gguf *open_and_remove(const char *path)
{
    struct err e = {0};
    struct gguf *g = gguf_open(path, &e);

    unlink(path);
    if (!g) {
        fail_msg("%s", e.message);
    }
    return g;
}

struct gguf *small_vocab_open(void)
{
    char path[64];
    struct err e = {0};
    struct bpe_trainer *trainer = bpe_trainer_create(&e);

    temporary_path(path);
    assert_non_null(trainer);
    assert_int_equal(bpe_trainer_feed(trainer, text, strlen(text), &e), 0);
    assert_int_equal(bpe_trainer_run(trainer, SMALL_VOCAB_SIZE, &e), 0);
    assert_int_equal(bpe_trainer_write(trainer, path, &e), 0);
    bpe_trainer_destroy(trainer);
    return open_and_remove(path);
}

struct gguf *small_vocab_reopen(struct gguf_writer *w)
{
    char path[64];
    struct err e = {0};

    temporary_path(path);
    if (gguf_writer_write(w, path, &e) != 0) {
        fail_msg("%s", e.message);
    }
    gguf_writer_destroy(w);
    return open_and_remove(path);
}

struct tokenizer *small_vocab_tokenizer(const char *pre)
{
    struct err e = {0};
    struct gguf *plain = small_vocab_open();
    struct gguf_writer *w = gguf_writer_create(&e);

    gguf_put_str(w, "tokenizer.ggml.pre", pre);
    gguf_put_copies(w, plain, "");
    struct gguf *g = small_vocab_reopen(w);
    struct tokenizer *t = tokenizer_from_gguf(g, &e);
    gguf_close(g);
    gguf_close(plain);
    if (!t) {
        fail_msg("%s", e.message);
    }
    return t;
}

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/format/gguf.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

#define MAX_INPUT ((size_t)1 << 30)

static int print_ids(const struct tokenizer *t, const char *text, size_t len,
                     bool parse_special, struct err *e)
{
    struct token_list list = {0};
    const int rc = tokenizer_encode(t, text, len, parse_special, &list, e);

    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        printf(i > 0 ? " %" PRId32 : "%" PRId32, list.ids[i]);
    }
    if (rc == 0) {
        putchar('\n');
    }
    token_list_deinit(&list);
    return rc;
}

/* Decodes ids separated by white space or commas. */
static int print_text(const struct tokenizer *t, const char *ids, struct err *e)
{
    struct decoder decoder;
    struct buf out;
    int rc = -1;

    decoder_init(&decoder, t);
    buf_init(&out, MAX_INPUT);
    for (const char *p = ids + strspn(ids, " ,\t\r\n"); *p; p += strspn(p, " ,\t\r\n")) {
        char *end;
        const long id = strtol(p, &end, 10);

        if (end == p || id < 0 || id >= tokenizer_vocab_size(t)) {
            err_set(e, ERR_INVALID, "\"%.20s\" is not a token id; ids are 0 to %" PRId32, p,
                    tokenizer_vocab_size(t) - 1);
            goto cleanup;
        }
        if (decoder_feed(&decoder, (int32_t)id, &out) != 0) {
            err_nomem(e);
            goto cleanup;
        }
        p = end;
    }
    if (decoder_flush(&decoder, &out) != 0) {
        err_nomem(e);
        goto cleanup;
    }
    fwrite(out.data, 1, out.len, stdout);
    rc = 0;
cleanup:
    buf_deinit(&out);
    return rc;
}

int cli_tokenize(int argc, char **argv)
{
    const char *model = NULL;
    bool no_special = false;
    bool decode = false;
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &model, "FILE", "GGUF file with the vocabulary", 0, 0},
        {"no-special", 0, OPTION_FLAG, &no_special, NULL,
         "take the texts of control tokens as plain text", 0, 0},
        {"decode", 0, OPTION_FLAG, &decode, NULL, "ids on standard input to text", 0, 0},
        {0},
    };
    const struct options options = {
        .usage = "weir tokenize -m FILE [--no-special] [--decode]",
        .summary = "Turn text on standard input into token ids, or back.",
        .table = table,
    };
    struct err e = {0};
    struct gguf *gguf = NULL;
    struct tokenizer *tokenizer = NULL;
    char *input = NULL;
    size_t len = 0;
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);

    if (status >= 0) {
        return status;
    }
    if (positional > 0 || !model) {
        fprintf(stderr, "usage: %s\n", options.usage);
        return 2;
    }
    status = 0;
    gguf = gguf_open(model, &e);
    tokenizer = gguf ? tokenizer_from_gguf(gguf, &e) : NULL;
    input = tokenizer ? file_read("-", MAX_INPUT, &len, &e) : NULL;
    if (!input || (decode ? print_text(tokenizer, input, &e)
                          : print_ids(tokenizer, input, len, !no_special, &e)) != 0) {
        status = cli_fail("tokenize", &e);
    }
    mem_free(input);
    tokenizer_destroy(tokenizer);
    gguf_close(gguf);
    return status;
}

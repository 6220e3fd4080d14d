#include <stdio.h>
#include <string.h>

#include "models/format/gguf.h"
#include "models/lineage/lineage.h"
#include "models/train/documents.h"
#include "models/train/file_list.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

static int parse_learn(const char *word, enum documents_learn *learn, struct err *e)
{
    if (strcmp(word, "all") == 0) {
        *learn = DOCUMENTS_LEARN_ALL;
    } else if (strcmp(word, "answer") == 0) {
        *learn = DOCUMENTS_LEARN_ANSWER;
    } else {
        return err_set_param(e, ERR_INVALID, "loss", "--loss \"%s\": must be answer or all",
                             word);
    }
    return 0;
}

static int write_lineage(const char *vocab, const struct file_list *inputs,
                         const struct dataset_writer *w, enum documents_learn learn,
                         const char *out, struct err *e)
{
    struct lineage *l = lineage_create("train tokenize");
    for (size_t i = 0; i < inputs->count; i++) {
        lineage_parent(l, "data", inputs->paths[i]);
    }
    lineage_parent(l, "vocab", vocab);
    lineage_option(l, "loss", learn == DOCUMENTS_LEARN_ALL ? "all" : "answer");
    lineage_metric(l, "documents", (double)w->n_docs);
    lineage_metric(l, "tokens", (double)w->n_tokens);
    lineage_metric(l, "learnt_tokens", (double)w->n_learn);
    int rc = lineage_write(l, out, e);
    lineage_destroy(l);
    return rc;
}

static int tokenize(const char *vocab, const struct file_list *inputs, const char *out,
                    enum documents_learn learn, struct err *e)
{
    struct dataset_writer writer;
    struct tokenizer *tokenizer = NULL;
    int rc = -1;
    dataset_writer_init(&writer, 0);
    struct gguf *gguf = gguf_open(vocab, e);
    if (!gguf || !(tokenizer = tokenizer_from_gguf(gguf, e))) {
        goto cleanup;
    }
    writer.vocab = (uint32_t)tokenizer_vocab_size(tokenizer);
    for (size_t i = 0; i < inputs->count; i++) {
        if (documents_tokenize(inputs->paths[i], tokenizer, learn, &writer, e)) {
            goto cleanup;
        }
    }
    if (dataset_writer_finish(&writer, out, e)) {
        goto cleanup;
    }
    fprintf(stderr, "%s: %llu documents, %llu tokens, %llu to learn (%.1f%%)\n", out,
            (unsigned long long)writer.n_docs, (unsigned long long)writer.n_tokens,
            (unsigned long long)writer.n_learn,
            100.0 * (double)writer.n_learn / (double)writer.n_tokens);
    rc = write_lineage(vocab, inputs, &writer, learn, out, e);
cleanup:
    dataset_writer_deinit(&writer);
    tokenizer_destroy(tokenizer);
    gguf_close(gguf);
    return rc;
}

int cli_train_tokenize(int argc, char **argv)
{
    const char *vocab = NULL, *loss = "all", *out = NULL;
    struct option_strings chats = {0};
    struct file_list inputs;
    const struct option table[] = {
        {"model-vocab", 'm', OPTION_STRING, &vocab, "FILE.gguf",
         "vocabulary (weir train vocab)", 0, 0},
        {"chats", 0, OPTION_STRINGS, &chats, "FILE.jsonl|FOLDER",
         "documents, one a line; may be given several times", 0, 0},
        {"text", 0, OPTION_STRINGS, &chats, "FILE.jsonl|FOLDER", "another name of --chats", 0,
         0},
        {"loss", 0, OPTION_STRING, &loss, "answer|all",
         "what of a conversation is learnt: the assistant's words or everything [all]", 0, 0},
        {"out", 'o', OPTION_STRING, &out, "FILE.tok", "token file to write", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train tokenize --model-vocab FILE.gguf --chats FILE.jsonl --out FILE.tok [--loss "
        "answer]",
        "documents, {\"text\": ...} or {\"messages\": [...]} a line, to token ids", table};
    enum documents_learn learn = DOCUMENTS_LEARN_ALL;
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!vocab || chats.count == 0 || !out || positional > 0) {
        fprintf(stderr,
                "weir train tokenize: --model-vocab, --chats or --text, and --out are needed\n"
                "usage: %s\n",
                options.usage);
        return 2;
    }
    if (parse_learn(loss, &learn, &e)) {
        cli_fail("train tokenize", &e);
        return 2;
    }
    if (file_list_init(&inputs, chats.items, chats.count, ".jsonl", "train", &e)) {
        return cli_fail("train tokenize", &e);
    }
    rc = tokenize(vocab, &inputs, out, learn, &e) ? cli_fail("train tokenize", &e) : 0;
    file_list_deinit(&inputs);
    return rc;
}

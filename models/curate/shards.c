#include "models/curate/shards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/format/gguf.h"
#include "models/lineage/lineage.h"
#include "models/train/dataset.h"
#include "models/train/documents.h"
#include "runtime/base/mem.h"

#define SHARDS_MAX 100000

void shards_deinit(struct shards *s)
{
    mem_free(s->items);
    *s = (struct shards){0};
}

bool shards_are_built(void)
{
    return true;
}

struct sharding {
    struct shards *shards;
    const struct output *output;
    const char *name, *data, *vocab;
    struct dataset_writer writer;
    uint32_t n_vocab;
    bool learn_answers;
    size_t number;
};

static int write_lineage(const struct sharding *s, const char *path, struct err *e)
{
    struct lineage *l = lineage_create("curate");
    lineage_parent(l, "data", s->data);
    lineage_parent(l, "vocab", s->vocab);
    lineage_option(l, "loss", s->learn_answers ? "answer" : "all");
    lineage_option_number(l, "shard", (double)s->number);
    lineage_metric(l, "documents", (double)s->writer.n_docs);
    lineage_metric(l, "tokens", (double)s->writer.n_tokens);
    lineage_metric(l, "learnt_tokens", (double)s->writer.n_learn);
    int rc = lineage_write(l, path, e);
    lineage_destroy(l);
    return rc;
}

static int finish_shard(struct sharding *s, struct err *e)
{
    struct shard shard = {.documents = s->writer.n_docs,
                          .tokens = s->writer.n_tokens,
                          .learnt = s->writer.n_learn};
    char path[OUTPUT_PATH_MAX + sizeof(shard.name) + 1];
    struct stat st;
    if (s->number == SHARDS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d shards: give more --shard-tokens",
                       SHARDS_MAX);
    }
    snprintf(shard.name, sizeof(shard.name), "%.32s-%05zu.tok", s->name, s->number);
    snprintf(path, sizeof(path), "%s/%s", s->output->partial, shard.name);
    if (dataset_writer_finish(&s->writer, path, e) || lineage_hash(path, shard.sha256, e) ||
        write_lineage(s, path, e)) {
        return -1;
    }
    shard.bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    struct shard *grown =
        mem_realloc_array(s->shards->items, s->shards->count + 1, sizeof(*grown));
    if (!grown) {
        return err_nomem(e);
    }
    s->shards->items = grown;
    grown[s->shards->count++] = shard;
    s->number++;
    dataset_writer_deinit(&s->writer);
    dataset_writer_init(&s->writer, s->n_vocab);
    return 0;
}

static int tokenize(struct sharding *s, struct documents *documents, size_t shard_tokens,
                    struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    FILE *f = fopen(s->data, "re");
    if (!f) {
        return err_set_errno(e, errno, "%s: cannot open", s->data);
    }
    int rc = 0;
    for (unsigned long number = 1; !rc && (len = getline(&line, &cap, f)) >= 0; number++) {
        rc = documents_add(documents, line, (size_t)len, &s->writer, e);
        rc = rc ? err_prefix(e, "%s.jsonl: line %lu", s->name, number) : 0;
        if (!rc && s->writer.n_tokens >= shard_tokens) {
            rc = finish_shard(s, e);
        }
    }
    if (!rc && ferror(f)) {
        rc = err_set_errno(e, errno, "%s: cannot read", s->data);
    }
    fclose(f);
    free(line);
    return !rc && s->writer.n_docs > 0 ? finish_shard(s, e) : rc;
}

int shards_write(struct shards *shards, const char *vocab, const struct output *o,
                 const char *name, size_t shard_tokens, bool learn_answers, struct err *e)
{
    char data[OUTPUT_PATH_MAX + 64];
    struct sharding s = {.shards = shards,
                         .output = o,
                         .name = name,
                         .data = data,
                         .vocab = vocab,
                         .learn_answers = learn_answers};
    struct tokenizer *tokenizer = NULL;
    struct documents *documents = NULL;
    int rc = -1;
    snprintf(data, sizeof(data), "%s/%s.jsonl", o->partial, name);
    dataset_writer_init(&s.writer, 0);
    struct gguf *gguf = gguf_open(vocab, e);
    if (!gguf || !(tokenizer = tokenizer_from_gguf(gguf, e)) ||
        !(documents = documents_create(
              tokenizer, learn_answers ? DOCUMENTS_LEARN_ANSWER : DOCUMENTS_LEARN_ALL, e))) {
        goto cleanup;
    }
    s.n_vocab = (uint32_t)tokenizer_vocab_size(tokenizer);
    s.writer.vocab = s.n_vocab;
    rc = tokenize(&s, documents, shard_tokens, e);
cleanup:
    documents_destroy(documents);
    dataset_writer_deinit(&s.writer);
    tokenizer_destroy(tokenizer);
    gguf_close(gguf);
    return rc;
}

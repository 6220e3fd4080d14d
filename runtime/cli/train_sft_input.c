/* What a fine-tuning run begins with: the model, and the examples as the model reads them. */
#include "runtime/cli/train_sft.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "models/train/checkpoint.h"
#include "models/train/import.h"
#include "runtime/base/mem.h"

static void say(void *ctx, const char *message)
{
    (void)ctx;
    fprintf(stderr, "weir train sft: %s\n", message);
}

/* --- the model --- */

static bool is_checkpoint(const char *path)
{
    char magic[7] = "";
    FILE *f = fopen(path, "rbe");
    bool is = f && fread(magic, 1, sizeof(magic), f) == sizeof(magic) &&
              memcmp(magic, "WEIRCKP", sizeof(magic)) == 0;
    if (f) {
        fclose(f);
    }
    return is;
}

/* A checkpoint has neither vocabulary nor chat template: --vocab brings both. */
static int open_checkpoint(struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    struct checkpoint_header h;
    if (!r->vocab) {
        return err_set_param(e, ERR_INVALID, "vocab",
                             "%s is a checkpoint: --vocab FILE.gguf is needed, the vocabulary "
                             "that it was trained with",
                             r->model);
    }
    j->gguf = gguf_open(r->vocab, e);
    j->params = j->gguf ? checkpoint_read_params(r->model, &h, e) : NULL;
    if (!j->params) {
        return -1;
    }
    j->shape = h.shape;
    if (r->row > (long)j->shape.context) {
        return err_set_param(e, ERR_INVALID, "row", "--row %ld: the model's context is %u",
                             r->row, j->shape.context);
    }
    return 0;
}

static int open_file(struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    j->gguf = import_open(r->model, e);
    if (!j->gguf || import_shape(j->gguf, r->row > 0 ? (uint32_t)r->row : 0, &j->shape, e)) {
        return -1;
    }
    if (!r->full) {
        j->frozen = frozen_create(j->gguf, &j->shape, e);
        return j->frozen ? 0 : -1;
    }
    j->params = mem_zalloc_aligned(train_shape_param_count(&j->shape) * sizeof(float));
    return j->params ? import_params(j->gguf, &j->shape, j->params, e) : err_nomem(e);
}

int sft_job_open_model(struct sft_job *j, struct err *e)
{
    j->is_checkpoint = is_checkpoint(j->request.model);
    if (lineage_hash(j->request.model, j->base_sha256, e) ||
        (j->is_checkpoint ? open_checkpoint(j, e) : open_file(j, e)) ||
        !(j->tokenizer = tokenizer_from_gguf(j->gguf, e)) ||
        !(j->chat_template = chat_template_from_gguf(j->gguf, e))) {
        return -1;
    }
    j->renderer.chat_template = j->chat_template;
    j->renderer.tokenizer = j->tokenizer;
    return output_format_detect(&j->renderer.format, j->chat_template, j->tokenizer, e);
}

/* --- the examples --- */

static int choose_overlong(const struct sft_request *r, enum sft_overlong *out, struct err *e)
{
    static const char *const words[] = {"stop", "skip", "cut"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(r->overlong, words[i]) == 0) {
            *out = (enum sft_overlong)i;
            return 0;
        }
    }
    return err_set_param(e, ERR_INVALID, "overlong",
                         "--overlong \"%s\": stop, skip and cut are known", r->overlong);
}

static int read_files(struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    struct sft_data_options o = {.skip_malformed = strcmp(r->on_error, "skip") == 0,
                                 .row = j->shape.context,
                                 .held_out = r->validate ? 0.0 : r->held_out,
                                 .seed = (uint64_t)r->seed,
                                 .say = say};
    if (choose_overlong(r, &o.overlong, e)) {
        return -1;
    }
    for (size_t i = 0; i < r->data->count; i++) {
        if (sft_data_read(r->data->items[i], &j->renderer, &o, &j->train_writer,
                          &j->held_out_writer, &j->counts, e)) {
            return -1;
        }
    }
    if (!r->validate) {
        return 0;
    }
    struct sft_counts held_out = {0};
    int rc =
        sft_data_read(r->validate, &j->renderer, &o, &j->held_out_writer, NULL, &held_out, e);
    j->counts.held_out = held_out.examples;
    j->counts.examples += held_out.examples;
    j->counts.malformed += held_out.malformed;
    j->counts.longest =
        held_out.longest > j->counts.longest ? held_out.longest : j->counts.longest;
    return rc;
}

/* Datasets are mapped files; this one is gone as soon as it is mapped. */
static struct dataset *make_dataset(struct dataset_writer *w, const char *out, struct err *e)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s.tok", out) >= (int)sizeof(path)) {
        err_set_param(e, ERR_INVALID, "out", "--out: the name is too long");
        return NULL;
    }
    struct dataset *d = dataset_writer_finish(w, path, e) == 0 ? dataset_open(path, e) : NULL;
    unlink(path);
    return d;
}

int sft_job_open_data(struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    struct hash *hash;
    dataset_writer_init(&j->train_writer, (uint32_t)tokenizer_vocab_size(j->tokenizer));
    dataset_writer_init(&j->held_out_writer, (uint32_t)tokenizer_vocab_size(j->tokenizer));
    if (read_files(j, e)) {
        return -1;
    }
    if (j->train_writer.n_docs == 0) {
        return err_set(e, ERR_INVALID, "%s: no example is left to learn from",
                       r->data->items[0]);
    }
    hash = hash_begin();
    if (hash) {
        hash_add(hash, j->train_writer.tokens.data, j->train_writer.tokens.len);
        hash_add(hash, j->held_out_writer.tokens.data, j->held_out_writer.tokens.len);
        hash_add(hash, j->train_writer.ends.data, j->train_writer.ends.len);
    }
    if (hash_end(hash, j->run.identity.data)) {
        return err_nomem(e);
    }
    if (!(j->train = make_dataset(&j->train_writer, r->out, e)) ||
        (j->held_out_writer.n_docs > 0 &&
         !(j->held_out = make_dataset(&j->held_out_writer, r->out, e)))) {
        return -1;
    }
    if (j->renderer.n_ends_added > 0) {
        fprintf(stderr,
                "weir train sft: the chat template ends %llu answers without a token that ends "
                "a generation; the end-of-text token was put there\n",
                (unsigned long long)j->renderer.n_ends_added);
    }
    return 0;
}

/* A document with what is learnt in double brackets. */
static void show_document(const struct sft_job *j, const uint32_t *tokens, size_t n)
{
    bool learnt = false;
    for (size_t i = 0; i < n; i++) {
        int32_t id = (int32_t)(tokens[i] & ~DATASET_LEARN);
        bool learn = i > 0 && (tokens[i] & DATASET_LEARN);
        size_t len;
        const char *bytes = tokenizer_token_bytes(j->tokenizer, id, &len);
        if (learn != learnt) {
            fputs(learn ? "[[" : "]]", stdout);
            learnt = learn;
        }
        if (len > 0) {
            fwrite(bytes, 1, len, stdout);
        } else {
            fputs(tokenizer_token_name(j->tokenizer, id), stdout);
        }
    }
    puts(learnt ? "]]\n" : "\n");
}

void sft_job_show(const struct sft_job *j)
{
    const struct dataset_writer *w = &j->train_writer;
    const uint32_t *tokens = (const uint32_t *)(const void *)(w->tokens.data + 24);
    const uint32_t *ends = (const uint32_t *)(const void *)w->ends.data;
    for (uint64_t i = 0, begin = 0; i < w->n_docs && i < (uint64_t)j->request.show;
         begin = ends[i++]) {
        show_document(j, tokens + begin, (size_t)(ends[i] - begin));
    }
}

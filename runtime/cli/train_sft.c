/* weir train sft: a user's examples into a model, as an adapter or into all its weights. */
#include "runtime/cli/train_sft.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "models/train/checkpoint.h"
#include "models/train/export.h"
#include "models/train/frozen.h"
#include "models/train/lora_file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

/* --- options --- */

static int choose_options(const struct sft_job *j, struct sft_options *o, struct err *e)
{
    const struct sft_request *r = &j->request;
    const struct sft_size size = {.documents = j->train_writer.n_docs,
                                  .tokens = j->train_writer.n_tokens,
                                  .longest = j->counts.longest};
    *o = sft_options_default(&j->shape, &size, r->full);
    if (r->threads > 0) {
        o->optimizer.shards = (uint32_t)r->threads;
    }
    if (r->rank > 0) {
        o->lora.rank = (uint32_t)r->rank;
        o->lora.alpha = 2.0f * (float)r->rank;
    }
    o->lora.alpha = r->alpha > 0.0 ? (float)r->alpha : o->lora.alpha;
    o->lora.dropout = (float)r->dropout;
    o->epochs = r->epochs > 0 ? (uint32_t)r->epochs : o->epochs;
    o->patience = r->patience >= 0 ? (uint32_t)r->patience : o->patience;
    o->seed = (uint64_t)r->seed;
    if (r->batch > 0) {
        double tokens = (double)r->batch * (double)size.tokens / (double)size.documents;
        o->batch_tokens = (uint32_t)(tokens < 1 << 22 ? tokens : 1 << 22);
    }
    uint32_t least = o->optimizer.shards * o->row;
    o->batch_tokens = o->batch_tokens < least ? least : o->batch_tokens;
    if (r->lr > 0.0) {
        o->optimizer.lr = (float)r->lr;
        o->optimizer.min_lr = o->optimizer.lr / 10.0f;
    }
    if (r->weight_decay >= 0.0) {
        o->optimizer.weight_decay = (float)r->weight_decay;
    }
    return r->targets ? lora_parse_targets(r->targets, &o->lora.targets, e) : 0;
}

static int check_words(const struct sft_request *r, int positional, struct err *e)
{
    const struct tensor_type_info *type = tensor_type_find(r->type);
    if (positional > 0 || !r->model || r->data->count == 0 || !r->out) {
        return err_set(e, ERR_INVALID,
                       "-m MODEL, --data FILE.jsonl and --out FILE are needed, and nothing "
                       "without an option's name");
    }
    if (r->full && (r->rank > 0 || r->alpha > 0.0 || r->dropout > 0.0 || r->targets)) {
        return err_set_param(e, ERR_INVALID, "full",
                             "--full trains all weights: --lora, --alpha, --dropout and "
                             "--targets are of an adapter");
    }
    if (strcmp(r->on_error, "skip") != 0 && strcmp(r->on_error, "stop") != 0) {
        return err_set_param(e, ERR_INVALID, "on-error",
                             "--on-error \"%s\": stop and skip are known", r->on_error);
    }
    if (!(r->held_out >= 0.0 && r->held_out <= 0.5)) {
        return err_set_param(e, ERR_INVALID, "held-out", "--held-out is a share, 0 to 0.5");
    }
    if (!type ||
        (type->type != TENSOR_F32 && type->type != TENSOR_F16 && type->type != TENSOR_Q8_0)) {
        return err_set_param(e, ERR_INVALID, "type", "--type: f32, f16 and q8_0 are known");
    }
    return r->plot && !r->log
               ? err_set_param(e, ERR_INVALID, "plot", "--plot draws the log: give --log too")
               : 0;
}

/* --- the run --- */

/* The state of a run that did not end is not overwritten unasked. */
static int find_state(struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    if (snprintf(j->state_path, sizeof(j->state_path), "%s.state", r->out) >=
        (int)sizeof(j->state_path)) {
        return err_set_param(e, ERR_INVALID, "out", "--out: the name is too long");
    }
    bool there = access(j->state_path, F_OK) == 0;
    if (there && !r->resume) {
        return err_set(e, ERR_CONFLICT,
                       "%s is of a run that did not end: go on with --resume, or remove it to "
                       "begin anew",
                       j->state_path);
    }
    if (r->resume && !there) {
        fprintf(stderr, "weir train sft: there is no %s to go on from; the run begins anew\n",
                j->state_path);
    }
    if (!there) {
        /* As in lineage.h: for the same bytes at another time. */
        const char *epoch = getenv("SOURCE_DATE_EPOCH");
        j->run.identity.unix_time = epoch ? strtoll(epoch, NULL, 10) : (int64_t)time(NULL);
        return 0;
    }
    return sft_read_identity(j->state_path, &j->run.identity, e);
}

static int start(struct sft_job *j, struct err *e)
{
    struct sft_options options;
    const struct sft_base base = {.params = j->params,
                                  .frozen = j->frozen ? frozen_params(j->frozen) : NULL};
    bool goes_on = access(j->state_path, F_OK) == 0;
    if (choose_options(j, &options, e)) {
        return -1;
    }
    memcpy(j->run.identity.base, j->base_sha256, sizeof(j->base_sha256));
    fprintf(stderr,
            "%llu examples to learn from, %llu held out, %llu tokens of which %llu are learnt; "
            "memory about %.0f MiB\n",
            (unsigned long long)(j->counts.examples - j->counts.held_out),
            (unsigned long long)j->counts.held_out,
            (unsigned long long)j->train_writer.n_tokens,
            (unsigned long long)j->train_writer.n_learn,
            (double)sft_memory(&j->shape, &options, j->frozen, j->held_out) / 0x1p20);
    j->run.sft = sft_create(&j->shape, &base, &options, j->train, j->held_out, e);
    if (!j->run.sft ||
        (goes_on && sft_resume(j->run.sft, &j->run.identity, j->state_path, e))) {
        return -1;
    }
    const struct sft_options *o = sft_options(j->run.sft);
    fprintf(stderr,
            "%s, %.2f M numbers are trained; %u epochs, %llu steps of at most %u tokens, "
            "learning rate %.2g\n",
            o->lora.rank > 0 ? "adapter" : "all weights",
            (double)sft_trained_count(j->run.sft) / 1e6, o->epochs,
            (unsigned long long)sft_steps(j->run.sft), o->batch_tokens,
            (double)o->optimizer.lr);
    if (goes_on) {
        fprintf(stderr, "goes on after step %llu\n",
                (unsigned long long)sft_steps_done(j->run.sft));
    }
    return 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* Of folders and checkpoints models are made first, whose files are not known here. */
static bool is_model_file(const struct sft_job *j)
{
    struct stat info;
    return !j->is_checkpoint && stat(j->request.model, &info) == 0 && S_ISREG(info.st_mode);
}

static int write_result(const struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    const struct sft_options *o = sft_options(j->run.sft);
    if (o->lora.rank > 0) {
        const struct lora_file_about about = {
            .name = r->name,
            .base = j->gguf,
            .base_sha256 = is_model_file(j) ? j->base_sha256 : NULL,
        };
        return lora_file_write(r->out, &j->shape, &o->lora, sft_adapter(j->run.sft), &about, e);
    }
    if (has_suffix(r->out, ".gguf")) {
        uint32_t type = tensor_type_find(r->type)->type;
        return j->is_checkpoint
                   ? export_params(&j->shape, j->params, r->vocab, r->name, type, r->out, e)
                   : export_like(j->gguf, &j->shape, j->params, type, r->name, r->out, e);
    }
    return checkpoint_write_params(r->out, &j->shape, j->params, e);
}

static int write_lineage(const struct sft_job *j, struct err *e)
{
    const struct sft_request *r = &j->request;
    const struct sft_options *o = sft_options(j->run.sft);
    struct lineage *l = lineage_create("train sft");
    lineage_parent(l, "base", r->model);
    lineage_parent(l, "vocab", r->vocab);
    for (size_t i = 0; i < r->data->count; i++) {
        lineage_parent(l, "data", r->data->items[i]);
    }
    lineage_parent(l, "held_out", r->validate);
    lineage_option(l, "method", o->lora.rank > 0 ? "lora" : "full");
    lineage_option_number(l, "rank", o->lora.rank);
    lineage_option_number(l, "alpha", (double)o->lora.alpha);
    lineage_option_number(l, "epochs", o->epochs);
    lineage_option_number(l, "batch_tokens", o->batch_tokens);
    lineage_option_number(l, "lr", (double)o->optimizer.lr);
    lineage_option_number(l, "seed", (double)o->seed);
    lineage_option_number(l, "held_out", r->held_out);
    lineage_option_number(l, "template_time", (double)j->run.identity.unix_time);
    lineage_metric(l, "examples", (double)j->counts.examples);
    lineage_metric(l, "steps", (double)sft_steps_done(j->run.sft));
    lineage_metric(l, "loss_before", j->run.identity.loss_before);
    lineage_metric(l, "loss", j->run.loss_after);
    int rc = lineage_write(l, r->out, e);
    lineage_destroy(l);
    return rc;
}

/* The result could not be written: what was learnt is not lost, if the state finds room. */
static int keep_for_later(const struct sft_job *j, struct err *e)
{
    struct err ignored;
    if (sft_save(j->run.sft, &j->run.identity, j->state_path, &ignored) == 0) {
        return err_prefix(e, "all steps are done and kept in %s, --resume writes the result",
                          j->state_path);
    }
    return -1;
}

static int finish(struct sft_job *j, struct err *e)
{
    char what[2 * PATH_MAX];
    const struct sft_request *r = &j->request;
    if (sft_run_plot(&j->run, e)) {
        return -1;
    }
    if (j->run.stopped) {
        fprintf(stderr, "stopped after step %llu; the same command with --resume goes on\n",
                (unsigned long long)sft_steps_done(j->run.sft));
        return 0;
    }
    if (write_result(j, e) || write_lineage(j, e)) {
        return keep_for_later(j, e);
    }
    unlink(j->state_path);
    if (!r->full && j->is_checkpoint) {
        snprintf(what, sizeof(what),
                 "%s: adapter of the model that weir train export makes of %s", r->out,
                 r->model);
    } else if (!r->full) {
        snprintf(what, sizeof(what),
                 "%s: adapter; weir train merge -m %s --adapter %s OUT.gguf "
                 "makes a model of it",
                 r->out, r->model, r->out);
    } else if (has_suffix(r->out, ".gguf")) {
        snprintf(what, sizeof(what), "%s: model; weir serve --model %s", r->out, r->out);
    } else {
        snprintf(what, sizeof(what),
                 "%s: checkpoint; weir train export %s --vocab %s OUT.gguf "
                 "makes a model of it",
                 r->out, r->out, gguf_path(j->gguf));
    }
    sft_run_report(&j->run, what);
    return 0;
}

static int run_job(struct sft_job *j, struct err *e)
{
    if (find_state(j, e) || sft_job_open_model(j, e)) {
        return -1;
    }
    j->renderer.unix_time = j->run.identity.unix_time;
    if (sft_job_open_data(j, e)) {
        return -1;
    }
    if (j->request.show > 0) {
        sft_job_show(j);
        return 0;
    }
    if (start(j, e)) {
        return -1;
    }
    j->run.request = &j->request;
    j->run.train = j->train;
    j->run.held_out = j->held_out;
    j->run.counts = &j->counts;
    j->run.state_path = j->state_path;
    return sft_run_steps(&j->run, e) || finish(j, e) ? -1 : 0;
}

static void job_deinit(struct sft_job *j)
{
    sft_destroy(j->run.sft);
    dataset_close(j->train);
    dataset_close(j->held_out);
    dataset_writer_deinit(&j->train_writer);
    dataset_writer_deinit(&j->held_out_writer);
    chat_template_destroy(j->chat_template);
    tokenizer_destroy(j->tokenizer);
    mem_free_aligned(j->params);
    frozen_destroy(j->frozen);
    gguf_close(j->gguf);
}

int cli_train_sft(int argc, char **argv)
{
    static struct sft_job job;
    struct option_strings data = {0};
    struct sft_request *r = &job.request;
    *r = (struct sft_request){.data = &data,
                              .on_error = "stop",
                              .overlong = "stop",
                              .type = "f32",
                              .held_out = 0.1,
                              .weight_decay = -1.0,
                              .patience = -1,
                              .seed = 1};
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &r->model, "MODEL",
         "GGUF file, folder of safetensors, or checkpoint", 0, 0},
        {"vocab", 0, OPTION_STRING, &r->vocab, "FILE.gguf",
         "of a checkpoint: the vocabulary that it was trained with", 0, 0},
        {"data", 0, OPTION_STRINGS, &data, "FILE.jsonl",
         "examples, {\"messages\": [...]} or {\"prompt\", \"completion\"} a line; may be "
         "repeated",
         0, 0},
        {"out", 'o', OPTION_STRING, &r->out, "FILE",
         "adapter to write (.gguf); with --full a model (.gguf) or a checkpoint (.ckpt)", 0, 0},
        {"lora", 0, OPTION_INT, &r->rank, "RANK", "train an adapter of this rank [16]", 0,
         TRAIN_MAX_RANK},
        {"alpha", 0, OPTION_DOUBLE, &r->alpha, "X", "of the adapter [twice the rank]", 0, 0},
        {"dropout", 0, OPTION_DOUBLE, &r->dropout, "X", "of the adapter's inputs [0]", 0, 0},
        {"targets", 0, OPTION_STRING, &r->targets, "LIST",
         "matrices with an adapter: q,k,v,out,gate,up,down, attention or all [all]", 0, 0},
        {"full", 0, OPTION_FLAG, &r->full, NULL, "train all weights and no adapter", 0, 0},
        {"epochs", 0, OPTION_INT, &r->epochs, "N",
         "times through the examples [10 for 150, 3 for 1200]", 0, 10000},
        {"batch", 0, OPTION_INT, &r->batch, "N", "examples of a step, about [4 to 32]", 0,
         65536},
        {"lr", 0, OPTION_DOUBLE, &r->lr, "X", "highest learning rate [by the model's width]", 0,
         0},
        {"weight-decay", 0, OPTION_DOUBLE, &r->weight_decay, "X", "[0; with --full 0.01]", 0,
         0},
        {"row", 0, OPTION_INT, &r->row, "N", "longest example, tokens [context, at most 2048]",
         0, 1 << 20},
        {"held-out", 0, OPTION_DOUBLE, &r->held_out, "X",
         "share of the examples that judges and is not learnt; 0: none [0.1]", 0, 0},
        {"validate", 0, OPTION_STRING, &r->validate, "FILE.jsonl",
         "these examples judge instead", 0, 0},
        {"patience", 0, OPTION_INT, &r->patience, "N",
         "epochs without a lower held-out loss until it stops; 0: never [2]", -1, 10000},
        {"on-error", 0, OPTION_STRING, &r->on_error, "skip|stop",
         "at lines that are no examples [stop]", 0, 0},
        {"overlong", 0, OPTION_STRING, &r->overlong, "cut|skip|stop",
         "at examples that are too long [stop]", 0, 0},
        {"seed", 0, OPTION_INT, &r->seed, "N", "of adapter, order and what is held out [1]", 0,
         2147483647},
        {"threads", 't', OPTION_INT, &r->threads, "N", "the result depends on it [2]", 0,
         TRAIN_MAX_SHARDS},
        {"checkpoint-every", 0, OPTION_INT, &r->checkpoint_every, "N",
         "steps between saved states [every minute]", 0, 1000000},
        {"resume", 0, OPTION_FLAG, &r->resume, NULL, "go on where the run stopped", 0, 0},
        {"show", 0, OPTION_INT, &r->show, "N",
         "print the first documents, what is learnt in [[ ]], and train nothing", 0, 1000000},
        {"type", 0, OPTION_STRING, &r->type, "f32|f16|q8_0",
         "of the matrices of a model that --full writes [f32]", 0, 0},
        {"name", 0, OPTION_STRING, &r->name, "NAME", "general.name of what is written", 0, 0},
        {"log", 0, OPTION_STRING, &r->log, "FILE.jsonl", "a line a step", 0, 0},
        {"plot", 0, OPTION_STRING, &r->plot, "FILE.svg", "charts of the log", 0, 0},
        {"json", 0, OPTION_FLAG, &r->json, NULL, "the report as JSON", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train sft -m MODEL --data FILE.jsonl --out FILE [--lora RANK | --full]",
        "Teaches a model with examples of conversations.", table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (check_words(r, positional, &e)) {
        cli_fail("train sft", &e);
        return 2;
    }
    rc = run_job(&job, &e);
    job_deinit(&job);
    return rc ? cli_fail("train sft", &e) : 0;
}

/* weir train pretrain: next-token training, from nothing or from a checkpoint. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/train/checkpoint.h"
#include "models/train/import.h"
#include "models/train/trainer.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/memory_left.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/pretrain_report.h"
#include "runtime/cli/stop_signal.h"
#include "runtime/cli/train.h"
#include "runtime/cli/train_shape.h"

#define VALIDATE_TOKENS 200000

/* What the command line said; 0 or less than 0 where it said nothing. */
struct request {
    struct option_strings data, validate;
    char **more_data; /* (n_more_data) what stands behind the options, as of a glob */
    size_t n_more_data;
    const char *init, *out, *log, *plot, *shape;
    bool resume, bf16;
    long seed, steps, shards, batch_tokens, micro_tokens, row, warmup;
    long checkpoint_every, checkpoint_minutes, validate_every, context;
    double lr, min_lr, weight_decay, clip;
};

struct run {
    struct request request;
    struct dataset *data;
    struct dataset *validation; /* or NULL */
    struct trainer *trainer;
    struct pretrain_report report;
    bool saved; /* `out` has this run's weights, of step */
    uint64_t saved_step;
    double saved_s; /* when */
};

/* The start of a schedule is the defaults, or on --resume what the run began with; then the
 * command line has its say. */
static void apply_request(const struct request *r, struct train_options *o)
{
    if (r->seed >= 0) {
        o->seed = (uint64_t)r->seed;
    }
    if (r->steps > 0) {
        o->optimizer.steps = (uint64_t)r->steps;
    }
    if (r->shards > 0) {
        o->optimizer.shards = (uint32_t)r->shards;
    }
    if (r->batch_tokens > 0) {
        o->batch_tokens = (uint32_t)r->batch_tokens;
    }
    if (r->micro_tokens > 0) {
        o->slice_tokens = (uint32_t)r->micro_tokens;
    }
    if (r->bf16) {
        o->bf16 = 1;
    }
    if (r->weight_decay >= 0.0) {
        o->optimizer.weight_decay = (float)r->weight_decay;
    }
    if (r->clip > 0.0) {
        o->optimizer.clip = (float)r->clip;
    }
    if (r->row > 0) {
        o->row = (uint32_t)r->row;
    }
    if (r->warmup >= 0) {
        o->optimizer.warmup = (uint32_t)r->warmup;
    }
    if (r->lr > 0.0) {
        o->optimizer.lr = (float)r->lr;
    }
    if (r->min_lr >= 0.0) {
        o->optimizer.min_lr = (float)r->min_lr;
    } else if (r->lr > 0.0) {
        o->optimizer.min_lr = o->optimizer.lr / 10.0f;
    }
}

static int check_request(const struct request *r, struct err *e)
{
    if (r->data.count == 0 || !r->out) {
        return err_set(e, ERR_INVALID, "--data FILE.tok and --out FILE.ckpt are needed");
    }
    if (r->resume && (r->init || r->shape)) {
        return err_set(e, ERR_INVALID,
                       "--resume takes weights and shape from --out: leave out --init "
                       "and --shape");
    }
    if (r->init && r->shape) {
        return err_set(e, ERR_INVALID, "--init brings its shape: leave out --shape");
    }
    if (r->resume && (r->seed >= 0 || r->row > 0 || r->micro_tokens > 0 || r->bf16)) {
        return err_set(e, ERR_INVALID,
                       "--seed, --row, --micro-tokens and --bf16 belong to the beginning of a "
                       "run: leave them out with --resume");
    }
    if (r->context > 0 && (!r->init || checkpoint_is_one(r->init))) {
        return err_set(e, ERR_INVALID,
                       "--context belongs to --init MODEL; elsewhere the shape has it");
    }
    if (r->plot && !r->log) {
        return err_set(e, ERR_INVALID, "--plot is drawn from the log: --log FILE.jsonl too");
    }
    return 0;
}

/* Better told now than by whoever kills what takes too much. */
static int check_memory(const struct train_shape *shape, const struct train_options *o,
                        struct err *e)
{
    uint64_t needed = trainer_memory(shape, o), left = memory_left();
    if (needed <= left) {
        return 0;
    }
    return err_set(e, ERR_LIMIT,
                   "this run takes about %llu MB and %llu MB are left: fewer --micro-tokens or "
                   "--shards take less, --batch-tokens does not matter",
                   (unsigned long long)(needed >> 20), (unsigned long long)(left >> 20));
}

/* Where a run begins. */
struct start {
    struct train_shape shape;
    struct checkpoint_header header; /* of the checkpoint, where it begins with one */
    struct gguf *model;              /* or of a model: the caller's */
};

static int find_start(const struct run *run, struct start *s, struct err *e)
{
    const struct request *r = &run->request;
    if (r->resume || (r->init && checkpoint_is_one(r->init))) {
        int rc = checkpoint_read_header(r->resume ? r->out : r->init, &s->header, e);
        s->shape = s->header.shape;
        return rc;
    }
    if (!r->init) {
        return cli_parse_train_shape(r->shape ? r->shape : TRAIN_SHAPE_DEFAULT,
                                     dataset_vocab(run->data), &s->shape, e);
    }
    s->model = import_open(r->init, e);
    return s->model ? import_shape(s->model, (uint32_t)r->context, &s->shape, e) : -1;
}

static struct train_options options_of(const struct request *r, const struct start *s)
{
    struct train_options options = r->resume ? s->header.options : train_options_default();
    if (!r->resume) {
        options.row = s->shape.context;
        options.slice_tokens = 0;
    }
    apply_request(r, &options);
    if (options.slice_tokens == 0) {
        options.slice_tokens = cli_default_slice(&s->shape, options.row);
    }
    return options;
}

static int begin_trainer(struct run *run, const struct start *s, struct err *e)
{
    const struct request *r = &run->request;
    struct train_options options = options_of(r, s);
    if (trainer_check(&s->shape, &options, e) || check_memory(&s->shape, &options, e)) {
        return -1;
    }
    run->trainer = trainer_create(&s->shape, &options, run->data, e);
    if (!run->trainer) {
        return -1;
    }
    if (r->resume) {
        return checkpoint_resume(r->out, run->trainer, run->data, e);
    }
    if (s->model) {
        return import_params(s->model, &s->shape, trainer_params(run->trainer), e);
    }
    return r->init ? checkpoint_load_params(r->init, run->trainer, e) : 0;
}

static int open_trainer(struct run *run, struct err *e)
{
    struct start s = {0};
    int rc = find_start(run, &s, e) || begin_trainer(run, &s, e) ? -1 : 0;
    gguf_close(s.model);
    return rc;
}

/* A name that cannot be written should fail now and not after the first hundred steps. */
static int check_writable(const char *out, struct err *e)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s.tmp", out) >= (int)sizeof(path)) {
        return err_set_param(e, ERR_INVALID, "out", "--out: the name is too long");
    }
    FILE *f = fopen(path, "ae");
    if (!f) {
        return err_set_errno(e, errno, "%s: cannot write", out);
    }
    fclose(f);
    unlink(path);
    return 0;
}

static int open_data(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    const char **paths = mem_array(r->data.count + r->n_more_data, sizeof(*paths));
    if (!paths) {
        return err_nomem(e);
    }
    memcpy(paths, r->data.items, r->data.count * sizeof(*paths));
    for (size_t i = 0; i < r->n_more_data; i++) {
        paths[r->data.count + i] = r->more_data[i];
    }
    run->data = dataset_open_all(paths, r->data.count + r->n_more_data, "train", e);
    mem_free(paths);
    if (!run->data) {
        return -1;
    }
    run->validation =
        r->validate.count == 0
            ? NULL
            : dataset_open_all(r->validate.items, r->validate.count, "heldout", e);
    return r->validate.count > 0 && !run->validation ? -1 : 0;
}

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    if (open_data(run, e)) {
        return -1;
    }
    if (check_writable(r->out, e) || open_trainer(run, e)) {
        return -1;
    }
    run->report = (struct pretrain_report){
        .trainer = run->trainer, .data = run->data, .log_path = r->log, .plot_path = r->plot};
    run->saved = r->resume;
    run->saved_step = trainer_step_count(run->trainer);
    return pretrain_report_begin(&run->report, r->init, e);
}

static void close_run(struct run *run)
{
    pretrain_report_end(&run->report);
    trainer_destroy(run->trainer);
    dataset_close(run->data);
    dataset_close(run->validation);
}

static int save(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    double begin = clock_now_s();
    if (checkpoint_save(r->out, run->trainer, run->data, e)) {
        err_prefix(e, "the checkpoint of step %llu is not written",
                   (unsigned long long)trainer_step_count(run->trainer));
        return run->saved ? err_prefix(e, "%s is still that of step %llu", r->out,
                                       (unsigned long long)run->saved_step)
                          : -1;
    }
    run->saved = true;
    run->saved_step = trainer_step_count(run->trainer);
    run->saved_s = clock_now_s();
    int rc = pretrain_write_lineage(&run->report, r->out, r->init, r->resume, e);
    progress_exclude(&run->report.progress, clock_now_s() - begin);
    return rc;
}

static bool save_is_due(const struct run *run, uint64_t step)
{
    const struct request *r = &run->request;
    return step % (uint64_t)r->checkpoint_every == 0 ||
           (r->checkpoint_minutes > 0 &&
            clock_now_s() - run->saved_s >= 60.0 * (double)r->checkpoint_minutes);
}

static int validate(struct run *run, double *loss, struct err *e)
{
    double begin = clock_now_s();
    int rc = trainer_validate(run->trainer, run->validation, VALIDATE_TOKENS, loss, e);
    progress_exclude(&run->report.progress, clock_now_s() - begin);
    return rc;
}

static int one_step(struct run *run, uint64_t last, struct err *e)
{
    const struct request *r = &run->request;
    struct train_stats stats;
    double begin = clock_now_s(), val_loss = NAN;
    if (trainer_step(run->trainer, &stats, e)) {
        return -1;
    }
    double seconds = clock_now_s() - begin;
    uint64_t step = trainer_step_count(run->trainer);
    bool validated =
        run->validation && (step % (uint64_t)r->validate_every == 0 || step == last);
    if (validated && validate(run, &val_loss, e)) {
        return -1;
    }
    pretrain_report_step(&run->report, &stats, seconds, val_loss);
    if (validated) {
        pretrain_report_draw(&run->report);
    }
    return 0;
}

static int run_steps(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    uint64_t last = trainer_options(run->trainer)->optimizer.steps;
    run->saved_s = clock_now_s();
    while (trainer_step_count(run->trainer) < last && !stop_signal_number()) {
        if (one_step(run, last, e)) {
            return -1;
        }
        uint64_t step = trainer_step_count(run->trainer);
        if (step < last && save_is_due(run, step) && save(run, e)) {
            return -1;
        }
    }
    if (save(run, e)) {
        return -1;
    }
    progress_end(&run->report.progress);
    if (stop_signal_number()) {
        fprintf(stderr,
                "stopped by signal %d after step %llu; %s is written, go on with --resume\n",
                stop_signal_number(), (unsigned long long)trainer_step_count(run->trainer),
                r->out);
    } else {
        fprintf(stderr, "done: %s\n", r->out);
    }
    return 0;
}

static int train(struct run *run, struct err *e)
{
    stop_signal_catch();
    /* A file that grows beyond what is allowed is an error of write() like a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    int rc = open_run(run, e) || run_steps(run, e) ? -1 : 0;
    close_run(run);
    return rc;
}

int cli_train_pretrain(int argc, char **argv)
{
    struct run run = {.request = {.seed = -1,
                                  .warmup = -1,
                                  .lr = -1.0,
                                  .min_lr = -1.0,
                                  .weight_decay = -1.0,
                                  .checkpoint_every = 500,
                                  .checkpoint_minutes = 10,
                                  .validate_every = 250}};
    struct request *r = &run.request;
    const struct option table[] = {
        {"data", 0, OPTION_STRINGS, &r->data, "FILE.tok|FOLDER",
         "what to learn (weir train tokenize, weir curate); several times, or several files", 0,
         0},
        {"out", 0, OPTION_STRING, &r->out, "FILE.ckpt", "checkpoint to write", 0, 0},
        {"init", 0, OPTION_STRING, &r->init, "FILE.ckpt|MODEL",
         "begin with these weights: a checkpoint, a GGUF file or a folder of safetensors", 0,
         0},
        {"context", 0, OPTION_INT, &r->context, "N",
         "of a MODEL: longest document [the model's, at most 2048]", -1, 1 << 20},
        {"resume", 0, OPTION_FLAG, &r->resume, NULL, "go on where --out stopped", 0, 0},
        {"shape", 0, OPTION_STRING, &r->shape, "D,L,H,KV,FFN,CTX",
         TRAIN_SHAPE_HELP " [" TRAIN_SHAPE_DEFAULT "]", 0, 0},
        {"steps", 0, OPTION_INT, &r->steps, "N", "steps of the whole schedule [1000]", 0,
         100000000},
        {"batch-tokens", 0, OPTION_INT, &r->batch_tokens, "N", "tokens a step [16384]", 0,
         1 << 23},
        {"micro-tokens", 0, OPTION_INT, &r->micro_tokens, "N",
         "tokens that a thread works on at a time; gradients of the parts of a batch are added "
         "up, memory depends on this alone [2048, or less for large models]",
         0, 1 << 23},
        {"row", 0, OPTION_INT, &r->row, "N", "longest document, longer ones are cut [context]",
         0, 65536},
        {"lr", 0, OPTION_DOUBLE, &r->lr, "X", "highest learning rate [1e-3]", 0, 0},
        {"min-lr", 0, OPTION_DOUBLE, &r->min_lr, "X", "learning rate at the end [lr / 10]", 0,
         0},
        {"warmup", 0, OPTION_INT, &r->warmup, "N", "steps of linear rise [100]", -1, 1000000},
        {"weight-decay", 0, OPTION_DOUBLE, &r->weight_decay, "X", "of matrices [0.1]", 0, 0},
        {"clip", 0, OPTION_DOUBLE, &r->clip, "X", "largest norm of the gradient [1]", 0, 0},
        {"bf16", 0, OPTION_FLAG, &r->bf16, NULL,
         "linear layers multiply through bfloat16: faster on processors with AVX512_BF16", 0,
         0},
        {"seed", 0, OPTION_INT, &r->seed, "N", "of weights and order [1]", -1, 2147483647},
        {"shards", 't', OPTION_INT, &r->shards, "N", "threads; results depend on it [2]", 0,
         TRAIN_MAX_SHARDS},
        {"validate", 0, OPTION_STRINGS, &r->validate, "FILE.tok|FOLDER", "held-out documents",
         0, 0},
        {"validate-every", 0, OPTION_INT, &r->validate_every, "N", "steps [250]", 1, 1000000},
        {"checkpoint-every", 0, OPTION_INT, &r->checkpoint_every, "N", "steps [500]", 1,
         1000000},
        {"checkpoint-minutes", 0, OPTION_INT, &r->checkpoint_minutes, "N",
         "and when so much time has passed; 0: only by steps [10]", -1, 1000000},
        {"log", 0, OPTION_STRING, &r->log, "FILE.jsonl",
         "the run in its first line, then one line a step", 0, 0},
        {"plot", 0, OPTION_STRING, &r->plot, "FILE.svg", "charts of the log", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train pretrain --data FILE.tok --out FILE.ckpt [options]",
        "train a model to predict the next token, from nothing or from a checkpoint", table};
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    r->more_data = argv + 1;
    r->n_more_data = (size_t)positional;
    if (check_request(r, &e)) {
        cli_fail("train pretrain", &e);
        return 2;
    }
    return train(&run, &e) ? cli_fail("train pretrain", &e) : 0;
}

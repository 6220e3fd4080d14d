#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "models/train/checkpoint.h"
#include "models/train/trainer.h"
#include "runtime/base/clock.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

#define PROGRESS_STEPS  10
#define VALIDATE_TOKENS 200000

/* What the command line said; 0 or less than 0 where it said nothing. */
struct request {
    const char *data, *init, *out, *validate, *log, *shape;
    bool resume;
    long seed, steps, shards, batch_tokens, row, warmup;
    long checkpoint_every, validate_every;
    double lr, min_lr;
};

struct run {
    struct request request;
    struct dataset *data;
    struct dataset *validation; /* or NULL */
    struct trainer *trainer;
    FILE *log; /* or NULL */
    /* since the last progress line */
    double since;
    unsigned steps;
    uint64_t tokens;
    double loss;
    double val_loss; /* NAN before the first */
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static int parse_shape(const char *text, uint32_t vocab, struct train_shape *s, struct err *e)
{
    char rest;
    *s = (struct train_shape){.vocab = vocab, .rope_base = 10000.0f, .norm_eps = 1e-5f};
    if (sscanf(text, "%u,%u,%u,%u,%u,%u%c", &s->d_model, &s->n_layers, &s->n_heads,
               &s->n_kv_heads, &s->ffn, &s->context, &rest) != 6) {
        return err_set_param(e, ERR_INVALID, "shape",
                             "--shape \"%s\": six whole numbers are needed, "
                             "d_model,layers,heads,kv_heads,ffn,context",
                             text);
    }
    return train_shape_check(s, e);
}

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

static int check_request(const struct request *r, int positional, struct err *e)
{
    if (!r->data || !r->out || positional > 0) {
        return err_set(e, ERR_INVALID,
                       "--data FILE.tok and --out FILE.ckpt are needed, and only options");
    }
    if (r->resume && (r->init || r->shape)) {
        return err_set(e, ERR_INVALID,
                       "--resume takes weights and shape from --out: leave out --init "
                       "and --shape");
    }
    if (r->init && r->shape) {
        return err_set(e, ERR_INVALID, "--init brings its shape: leave out --shape");
    }
    if (r->resume && (r->seed >= 0 || r->row > 0)) {
        return err_set(e, ERR_INVALID,
                       "--seed and --row belong to the beginning of a run: leave them "
                       "out with --resume");
    }
    return 0;
}

static int open_trainer(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    const char *from = r->resume ? r->out : r->init;
    struct train_options options = train_options_default();
    struct train_shape shape;
    struct checkpoint_header h;
    if (from) {
        if (checkpoint_read_header(from, &h, e)) {
            return -1;
        }
        shape = h.shape;
        if (r->resume) {
            options = h.options;
        }
    } else if (parse_shape(r->shape ? r->shape : "256,6,8,4,704,1024", dataset_vocab(run->data),
                           &shape, e)) {
        return -1;
    }
    if (!r->resume) {
        options.row = shape.context;
    }
    apply_request(r, &options);
    run->trainer = trainer_create(&shape, &options, run->data, e);
    if (!run->trainer) {
        return -1;
    }
    if (r->resume) {
        return checkpoint_resume(from, run->trainer, run->data, e);
    }
    return from ? checkpoint_load_params(from, run->trainer, e) : 0;
}

static int open_log(struct run *run, struct err *e)
{
    const char *path = run->request.log;
    if (!path) {
        return 0;
    }
    run->log = fopen(path, run->request.resume ? "ae" : "we");
    if (!run->log) {
        return err_set_errno(e, errno, "%s: cannot open", path);
    }
    if (!run->request.resume) {
        fprintf(run->log, "step,loss,lr,grad_norm,tokens_per_s,val_loss\n");
    }
    return 0;
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

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    if (!(run->data = dataset_open(r->data, e))) {
        return -1;
    }
    if (r->validate && !(run->validation = dataset_open(r->validate, e))) {
        return -1;
    }
    return check_writable(r->out, e) || open_trainer(run, e) || open_log(run, e) ? -1 : 0;
}

static void close_run(struct run *run)
{
    trainer_destroy(run->trainer);
    dataset_close(run->data);
    dataset_close(run->validation);
    if (run->log) {
        fclose(run->log);
    }
}

static void print_start(const struct run *run)
{
    const struct train_shape *s = trainer_shape(run->trainer);
    const struct train_options *o = trainer_options(run->trainer);
    fprintf(
        stderr,
        "model: d_model %u, layers %u, heads %u, kv_heads %u, ffn %u, vocab %u, context %u: "
        "%.2f M parameters\n",
        s->d_model, s->n_layers, s->n_heads, s->n_kv_heads, s->ffn, s->vocab, s->context,
        (double)train_shape_param_count(s) / 1e6);
    fprintf(stderr,
            "data: %u documents, %u tokens; steps %llu of %u tokens, lr %g to %g, warmup %u, "
            "%u shards, "
            "seed %llu\n",
            dataset_doc_count(run->data), dataset_token_count(run->data),
            (unsigned long long)o->optimizer.steps, o->batch_tokens, (double)o->optimizer.lr,
            (double)o->optimizer.min_lr, o->optimizer.warmup, o->optimizer.shards,
            (unsigned long long)o->seed);
    if (trainer_step_count(run->trainer) > 0) {
        fprintf(stderr, "resumed after step %llu\n",
                (unsigned long long)trainer_step_count(run->trainer));
    }
}

static void print_progress(struct run *run, const struct train_stats *stats)
{
    uint64_t step = trainer_step_count(run->trainer),
             left = trainer_options(run->trainer)->optimizer.steps - step;
    double now = clock_now_s(), seconds = now - run->since;
    double loss = run->loss / run->steps, eta = seconds / run->steps * (double)left;
    fprintf(stderr,
            "step %llu/%llu  loss %.4f  lr %.2e  norm %.3f  %.0f tokens/s  epoch %.2f  eta "
            "%d:%02d:%02d\n",
            (unsigned long long)step,
            (unsigned long long)trainer_options(run->trainer)->optimizer.steps, loss,
            (double)stats->lr, stats->grad_norm, (double)run->tokens / seconds,
            trainer_epochs(run->trainer), (int)(eta / 3600), (int)(eta / 60) % 60,
            (int)eta % 60);
    if (run->log) {
        fprintf(run->log, "%llu,%.5f,%.3e,%.4f,%.0f,", (unsigned long long)step, loss,
                (double)stats->lr, stats->grad_norm, (double)run->tokens / seconds);
        fprintf(run->log, isnan(run->val_loss) ? "\n" : "%.5f\n", run->val_loss);
        fflush(run->log);
    }
    run->since = now;
    run->steps = 0;
    run->tokens = 0;
    run->loss = 0.0;
    run->val_loss = NAN;
}

static int validate(struct run *run, struct err *e)
{
    double begin = clock_now_s();
    if (trainer_validate(run->trainer, run->validation, VALIDATE_TOKENS, &run->val_loss, e)) {
        return -1;
    }
    fprintf(stderr, "step %llu  validation loss %.4f\n",
            (unsigned long long)trainer_step_count(run->trainer), run->val_loss);
    run->since += clock_now_s() - begin;
    return 0;
}

static int save(const struct run *run, struct err *e)
{
    return checkpoint_save(run->request.out, run->trainer, run->data, e);
}

static int run_steps(struct run *run, struct err *e)
{
    const struct request *r = &run->request;
    uint64_t last = trainer_options(run->trainer)->optimizer.steps,
             step = trainer_step_count(run->trainer);
    struct train_stats stats;
    run->since = clock_now_s();
    while (step < last && !stop_signal) {
        if (trainer_step(run->trainer, &stats, e)) {
            return -1;
        }
        step = trainer_step_count(run->trainer);
        run->steps++;
        run->tokens += stats.tokens;
        run->loss += stats.loss;
        if (run->validation && (step % (uint64_t)r->validate_every == 0 || step == last) &&
            validate(run, e)) {
            return -1;
        }
        if (step % PROGRESS_STEPS == 0 || step == last) {
            print_progress(run, &stats);
        }
        if (step % (uint64_t)r->checkpoint_every == 0 && save(run, e)) {
            return -1;
        }
    }
    if (save(run, e)) {
        return -1;
    }
    if (stop_signal) {
        fprintf(stderr,
                "stopped by signal %d after step %llu; %s is written, go on with --resume\n",
                (int)stop_signal, (unsigned long long)step, r->out);
    } else {
        fprintf(stderr, "done: %s\n", r->out);
    }
    return 0;
}

static int train(struct run *run, struct err *e)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int rc = open_run(run, e);
    if (!rc) {
        print_start(run);
        rc = run_steps(run, e);
    }
    close_run(run);
    return rc;
}

int cli_train_run(int argc, char **argv)
{
    struct run run = {.request = {.seed = -1,
                                  .warmup = -1,
                                  .lr = -1.0,
                                  .min_lr = -1.0,
                                  .checkpoint_every = 500,
                                  .validate_every = 250},
                      .val_loss = NAN};
    struct request *r = &run.request;
    const struct option table[] = {
        {"data", 0, OPTION_STRING, &r->data, "FILE.tok", "what to learn (weir train tokenize)",
         0, 0},
        {"out", 0, OPTION_STRING, &r->out, "FILE.ckpt", "checkpoint to write", 0, 0},
        {"init", 0, OPTION_STRING, &r->init, "FILE.ckpt",
         "begin with these weights (fine-tuning)", 0, 0},
        {"resume", 0, OPTION_FLAG, &r->resume, NULL, "go on where --out stopped", 0, 0},
        {"shape", 0, OPTION_STRING, &r->shape, "D,L,H,KV,FFN,CTX",
         "d_model, layers, heads, kv_heads, ffn, context [256,6,8,4,704,1024]", 0, 0},
        {"steps", 0, OPTION_INT, &r->steps, "N", "steps of the whole schedule [1000]", 0,
         100000000},
        {"batch-tokens", 0, OPTION_INT, &r->batch_tokens, "N", "tokens a step [16384]", 0,
         1 << 23},
        {"row", 0, OPTION_INT, &r->row, "N", "longest document, longer ones are cut [context]",
         0, 65536},
        {"lr", 0, OPTION_DOUBLE, &r->lr, "X", "highest learning rate [1e-3]", 0, 0},
        {"min-lr", 0, OPTION_DOUBLE, &r->min_lr, "X", "learning rate at the end [lr / 10]", 0,
         0},
        {"warmup", 0, OPTION_INT, &r->warmup, "N", "steps of linear rise [100]", -1, 1000000},
        {"seed", 0, OPTION_INT, &r->seed, "N", "of weights and order [1]", -1, 2147483647},
        {"shards", 't', OPTION_INT, &r->shards, "N", "threads; results depend on it [2]", 0,
         TRAIN_MAX_SHARDS},
        {"validate", 0, OPTION_STRING, &r->validate, "FILE.tok", "held-out documents", 0, 0},
        {"validate-every", 0, OPTION_INT, &r->validate_every, "N", "steps [250]", 1, 1000000},
        {"checkpoint-every", 0, OPTION_INT, &r->checkpoint_every, "N", "steps [500]", 1,
         1000000},
        {"log", 0, OPTION_STRING, &r->log, "FILE.csv", "loss curve", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train --data FILE.tok --out FILE.ckpt [options]",
        "train a model; see also weir train vocab, tokenize, export", table};
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (check_request(r, positional, &e)) {
        cli_fail("train", &e);
        return 2;
    }
    return train(&run, &e) ? cli_fail("train", &e) : 0;
}

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

#include "models/train/run_log.h"
#include "runtime/base/clock.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/stop_signal.h"
#include "runtime/cli/train_sft.h"

#define SAVE_SECONDS 60.0

/* Of the steps while they run. */
struct running {
    struct sft_run *run;
    struct progress progress;
    struct run_log *log; /* or NULL */
    bool log_failed;     /* which is said once */
    double saved_s;      /* when the state was last written */
};

/* --- log --- */

static cJSON *describe(const struct sft_run *run)
{
    const struct sft_options *o = sft_options(run->sft);
    cJSON *root = cJSON_CreateObject(), *d = cJSON_AddObjectToObject(root, "run");
    cJSON_AddStringToObject(d, "tool", "train sft");
    cJSON_AddStringToObject(d, "model", run->request->model);
    cJSON_AddNumberToObject(d, "examples", (double)run->counts->examples);
    cJSON_AddNumberToObject(d, "held_out", (double)run->counts->held_out);
    cJSON *options = cJSON_AddObjectToObject(d, "options");
    cJSON_AddNumberToObject(options, "rank", o->lora.rank);
    cJSON_AddNumberToObject(options, "alpha", (double)o->lora.alpha);
    cJSON_AddNumberToObject(options, "epochs", o->epochs);
    cJSON_AddNumberToObject(options, "steps", (double)sft_steps(run->sft));
    cJSON_AddNumberToObject(options, "batch_tokens", o->batch_tokens);
    cJSON_AddNumberToObject(options, "lr", (double)o->optimizer.lr);
    cJSON_AddNumberToObject(options, "seed", (double)o->seed);
    cJSON_AddNumberToObject(options, "threads", o->optimizer.shards);
    return root;
}

static int open_log(struct running *r, struct err *e)
{
    const struct sft_request *request = r->run->request;
    if (!request->log) {
        return 0;
    }
    cJSON *description = describe(r->run);
    uint64_t done = sft_steps_done(r->run->sft);
    r->log = done > 0 ? run_log_resume(request->log, description, done, e)
                      : run_log_create(request->log, description, e);
    cJSON_Delete(description);
    return r->log ? 0 : -1;
}

static void log_step(struct running *r, const struct sft_stats *s, double seconds,
                     double val_loss)
{
    struct err e;
    const struct sft_run *run = r->run;
    const struct run_log_value values[] = {
        {"loss", s->loss},
        {"val_loss", val_loss},
        {"lr", (double)s->lr},
        {"grad_norm", s->grad_norm},
        {"tokens_per_s", (double)s->tokens / seconds},
        {"examples", s->documents},
        {"epoch", sft_epochs_done(run->sft)},
    };
    if (r->log &&
        run_log_step(r->log, sft_steps_done(run->sft), values,
                     sizeof(values) / sizeof(values[0]), &e) &&
        !r->log_failed) {
        r->log_failed = true;
        progress_say(&r->progress, "weir train sft: %s; the run goes on", e.message);
    }
}

int sft_run_plot(const struct sft_run *run, struct err *e)
{
    static const struct run_log_plot plots[] = {
        {"Loss", "nats a token", false, {"loss", "val_loss"}},
        {"Learning rate", "", false, {"lr"}},
        {"Norm of the gradient", "", true, {"grad_norm"}},
        {"Speed", "tokens/s", false, {"tokens_per_s"}},
    };
    const struct sft_request *request = run->request;
    return request->plot ? run_log_draw(request->log, plots, sizeof(plots) / sizeof(plots[0]),
                                        request->plot, e)
                         : 0;
}

/* --- steps --- */

static int save(struct running *r, struct err *e)
{
    const struct sft_run *run = r->run;
    double begin = clock_now_s();
    int rc = sft_save(run->sft, &run->identity, run->state_path, e);
    r->saved_s = clock_now_s();
    progress_exclude(&r->progress, r->saved_s - begin);
    return rc;
}

/* A full disk is no reason to lose what is in memory: the run goes on, and says so. */
static void try_to_save(struct running *r)
{
    struct err e;
    if (save(r, &e)) {
        progress_say(&r->progress, "weir train sft: %s; the run goes on", e.message);
    }
}

static bool is_save_due(const struct running *r)
{
    long every = r->run->request->checkpoint_every;
    return every > 0 ? sft_steps_done(r->run->sft) % (uint64_t)every == 0
                     : clock_now_s() - r->saved_s >= SAVE_SECONDS;
}

static int judge(struct running *r, double *loss, struct err *e)
{
    const struct sft_run *run = r->run;
    double begin = clock_now_s();
    *loss = NAN;
    if (!sft_is_judgement_due(run->sft)) {
        return 0;
    }
    if (sft_judge(run->sft, loss, e)) {
        return -1;
    }
    progress_exclude(&r->progress, clock_now_s() - begin);
    uint32_t epoch = sft_epochs_done(run->sft);
    progress_say(&r->progress, "epoch %u  held-out loss %.4f%s", epoch, *loss,
                 sft_best_epoch(run->sft) == epoch ? "  (best so far)" : "");
    return 0;
}

static int step(struct running *r, struct err *e)
{
    struct sft_run *run = r->run;
    struct sft_stats s;
    char note[48];
    double val_loss, begin = clock_now_s();
    if (sft_step(run->sft, &s, e)) {
        return -1;
    }
    double seconds = clock_now_s() - begin;
    run->seconds += seconds;
    run->documents += s.documents;
    run->tokens += s.tokens;
    if (judge(r, &val_loss, e)) {
        return -1;
    }
    log_step(r, &s, seconds, val_loss);
    snprintf(note, sizeof(note), "loss %.4f", s.loss);
    progress_update(&r->progress, sft_steps_done(run->sft), (double)run->tokens, note);
    if (!sft_is_over(run->sft) && is_save_due(r)) {
        try_to_save(r);
    }
    return 0;
}

/* Without held-out examples the others tell. */
static int evaluate(struct sft_run *run, double *loss, struct err *e)
{
    return sft_evaluate(run->sft, run->held_out ? run->held_out : run->train, loss, e);
}

static int run_steps(struct running *r, struct err *e)
{
    struct sft_run *run = r->run;
    double unused;
    /* Killed after an epoch's last step and before its judgement. */
    if (judge(r, &unused, e)) {
        return -1;
    }
    while (!sft_is_over(run->sft)) {
        if (stop_signal_number()) {
            run->stopped = true;
            return save(r, e);
        }
        if (step(r, e)) {
            return -1;
        }
    }
    sft_take_best(run->sft);
    return evaluate(run, &run->loss_after, e);
}

int sft_run_steps(struct sft_run *run, struct err *e)
{
    struct running r = {.run = run, .saved_s = clock_now_s()};
    stop_signal_catch();
    uint64_t done = sft_steps_done(run->sft);
    if ((done == 0 && evaluate(run, &run->identity.loss_before, e)) || open_log(&r, e)) {
        return -1;
    }
    progress_begin(&r.progress, "sft", "tokens", sft_steps(run->sft), done);
    int rc = run_steps(&r, e);
    progress_end(&r.progress);
    run_log_close(r.log);
    return rc;
}

/* --- report --- */

/* 0 where the run was resumed and had nothing left to do. */
static double per_second(const struct sft_run *run, uint64_t n)
{
    return run->seconds > 0.0 ? (double)n / run->seconds : 0.0;
}

static double peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024.0;
}

static void report_json(const struct sft_run *run)
{
    const struct sft_counts *c = run->counts;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "out", run->request->out);
    cJSON_AddNumberToObject(root, "examples", (double)c->examples);
    cJSON_AddNumberToObject(root, "held_out", (double)c->held_out);
    cJSON_AddNumberToObject(root, "malformed", (double)c->malformed);
    cJSON_AddNumberToObject(root, "too_long", (double)c->too_long);
    cJSON_AddNumberToObject(root, "cut", (double)c->cut);
    cJSON_AddNumberToObject(root, "steps", (double)sft_steps_done(run->sft));
    cJSON_AddNumberToObject(root, "epochs", sft_epochs_done(run->sft));
    cJSON_AddNumberToObject(root, "best_epoch", sft_best_epoch(run->sft));
    cJSON_AddNumberToObject(root, "loss_before", run->identity.loss_before);
    cJSON_AddNumberToObject(root, "loss_after", run->loss_after);
    cJSON_AddNumberToObject(root, "examples_per_s", per_second(run, run->documents));
    cJSON_AddNumberToObject(root, "tokens_per_s", per_second(run, run->tokens));
    cJSON_AddNumberToObject(root, "train_s", run->seconds);
    cJSON_AddNumberToObject(root, "peak_rss_mib", peak_mib());
    cJSON_AddNumberToObject(root, "trained_numbers", (double)sft_trained_count(run->sft));
    char *text = cJSON_PrintUnformatted(root);
    if (text) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(root);
}

void sft_run_report(const struct sft_run *run, const char *what)
{
    const struct sft *s = run->sft;
    if (run->request->json) {
        report_json(run);
        return;
    }
    printf("loss %s %.4f before, %.4f after %u epochs (%llu steps)",
           run->held_out ? "on held-out examples" : "on the examples",
           run->identity.loss_before, run->loss_after, sft_epochs_done(s),
           (unsigned long long)sft_steps_done(s));
    if (run->held_out && sft_best_epoch(s) < sft_epochs_done(s)) {
        printf("; the weights after epoch %u were the best and are kept", sft_best_epoch(s));
    }
    printf(
        "\n%.1f examples/s, %.0f tokens/s, %.1f s of steps, %.0f MiB of memory at most\n%s\n",
        per_second(run, run->documents), per_second(run, run->tokens), run->seconds, peak_mib(),
        what);
}

/* weir train classifier: from labelled sentences to a classifier's file, and its figures. */
#include "runtime/cli/train.h"

#include <stdio.h>
#include <string.h>

#include "models/train/classifier.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

#define MODEL_MAX ((size_t)128 << 20)

struct job {
    const char *data, *dev, *out, *model, *test;
    long epochs, seed, dims, bits, hidden;
    double rate, drop, decay, precision, threshold;
    bool shows_errors;
};

static int read_set(struct classifier_set *set, const char *path, struct err *e)
{
    classifier_set_init(set);
    return path ? classifier_set_read(set, path, e) : 0;
}

static void print_errors(const struct guard_model *model, const struct classifier_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct classifier_example *x = &set->examples[i];
        float scores[GUARD_CATEGORIES];
        classifier_score_text(model, set->text.data + x->text, x->len, scores);
        for (int c = 0; c < GUARD_CATEGORIES; c++) {
            bool is_one = (x->labels >> c & 1) != 0;
            if ((x->judged >> c & 1) && is_one != (scores[c] >= model->thresholds[c])) {
                printf("%s %s %.2f\t%.*s\n", is_one ? "missed" : "wrong",
                       guard_category_names[c], (double)scores[c], (int)x->len,
                       set->text.data + x->text);
            }
        }
    }
}

static double share(size_t part, size_t whole)
{
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

/* Precision and recall by category, and what happens to sentences without any label. */
static void print_figures(const struct guard_model *model, const struct classifier_set *set)
{
    struct classifier_figures figures[GUARD_CATEGORIES];
    classifier_measure(model, set, figures);
    printf("%-12s %9s %9s %9s %9s %9s\n", "category", "threshold", "sentences", "with it",
           "precision", "recall");
    for (int c = 0; c < GUARD_CATEGORIES; c++) {
        const struct classifier_figures *f = &figures[c];
        if (f->judged > 0) {
            printf("%-12s %9.2f %9zu %9zu %8.1f%% %8.1f%%\n", guard_category_names[c],
                   (double)model->thresholds[c], f->judged, f->found + f->missed,
                   share(f->found, f->found + f->wrong), share(f->found, f->found + f->missed));
        }
    }
    size_t harmless = 0, wrong = 0, harmful = 0, found = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct classifier_example *x = &set->examples[i];
        float scores[GUARD_CATEGORIES];
        classifier_score_text(model, set->text.data + x->text, x->len, scores);
        bool is_flagged = false;
        for (int c = 0; c < GUARD_CATEGORIES; c++) {
            is_flagged = is_flagged || scores[c] >= model->thresholds[c];
        }
        *(x->labels == 0 ? &harmless : &harmful) += 1;
        *(x->labels == 0 ? &wrong : &found) += is_flagged;
    }
    printf("harmless: %zu, of them flagged %zu (%.2f%%); harmful: %zu, flagged in any category "
           "%.1f%%\n",
           harmless, wrong, share(wrong, harmless), harmful, share(found, harmful));
}

static int test(const struct job *job, struct err *e)
{
    size_t len;
    char *bytes = file_read(job->model, MODEL_MAX, &len, e);
    struct guard_model *model = bytes ? guard_model_read(bytes, len, e) : NULL;
    struct classifier_set set;
    mem_free(bytes);
    if (!model) {
        return err_prefix(e, "%s", job->model);
    }
    for (int c = 0; c < GUARD_CATEGORIES && job->threshold > 0; c++) {
        model->thresholds[c] = (float)job->threshold;
    }
    int rc = read_set(&set, job->test, e);
    if (rc == 0 && job->shows_errors) {
        print_errors(model, &set);
    } else if (rc == 0) {
        print_figures(model, &set);
    }
    classifier_set_deinit(&set);
    guard_model_destroy(model);
    return rc;
}

static int write_model(const struct guard_model *model, const char *path, struct err *e)
{
    struct buf out;
    buf_init(&out, MODEL_MAX);
    int rc = guard_model_write(model, &out, e);
    if (rc == 0) {
        rc = file_write_atomic(path, out.data, out.len, e);
    }
    buf_deinit(&out);
    return rc;
}

static int train(const struct job *job, struct err *e)
{
    const struct classifier_options options = {
        .shape = {.dims = (uint32_t)job->dims,
                  .bits = (uint32_t)job->bits,
                  .hidden = (uint32_t)job->hidden},
        .seed = (uint64_t)job->seed,
        .epochs = (int)job->epochs,
        .rate = (float)job->rate,
        .drop_word = (float)job->drop,
        .decay = (float)job->decay,
        .precision = (float)job->precision,
        .log = stderr,
    };
    struct classifier_set data, dev;
    struct guard_model *model = NULL;
    int rc = read_set(&data, job->data, e);
    if (read_set(&dev, rc == 0 ? job->dev : NULL, e) != 0) {
        rc = -1;
    }
    if (rc == 0) {
        model = classifier_train(&data, &dev, &options, e);
        rc = model ? write_model(model, job->out, e) : -1;
    }
    guard_model_destroy(model);
    classifier_set_deinit(&data);
    classifier_set_deinit(&dev);
    return rc;
}

int cli_train_classifier(int argc, char **argv)
{
    struct job job = {.epochs = 5,
                      .seed = 1,
                      .dims = 16,
                      .bits = 16,
                      .hidden = 32,
                      .rate = 0.1,
                      .drop = 0.15,
                      .decay = 1e-5,
                      .precision = 0.99};
    const struct option table[] = {
        {"data", 0, OPTION_STRING, &job.data, "FILE.jsonl", "sentences to learn from", 0, 0},
        {"dev", 0, OPTION_STRING, &job.dev, "FILE.jsonl", "sentences to choose thresholds on",
         0, 0},
        {"out", 'o', OPTION_STRING, &job.out, "FILE", "the classifier to write", 0, 0},
        {"model", 'm', OPTION_STRING, &job.model, "FILE", "with --test: the classifier", 0, 0},
        {"test", 0, OPTION_STRING, &job.test, "FILE.jsonl", "print figures on these sentences",
         0, 0},
        {"errors", 0, OPTION_FLAG, &job.shows_errors, NULL,
         "with --test: print what it gets wrong", 0, 0},
        {"threshold", 0, OPTION_DOUBLE, &job.threshold, "X",
         "with --test: for all categories, in place of the model's own", 0, 0},
        {"epochs", 0, OPTION_INT, &job.epochs, "N", "times through the sentences (5)", 1, 1000},
        {"seed", 0, OPTION_INT, &job.seed, "N", "of order and start (1)", 0, 1L << 40},
        {"dims", 0, OPTION_INT, &job.dims, "N", "numbers in a row: 8, 16 ... 64 (16)", 8,
         GUARD_DIMS_MAX},
        {"bits", 0, OPTION_INT, &job.bits, "N", "1 << N rows (16)", GUARD_BITS_MIN,
         GUARD_BITS_MAX},
        {"hidden", 0, OPTION_INT, &job.hidden, "N", "hidden units: 8, 16 ... 128 (32)", 8,
         GUARD_HIDDEN_MAX},
        {"rate", 0, OPTION_DOUBLE, &job.rate, "X", "learning rate (0.1)", 0, 0},
        {"drop", 0, OPTION_DOUBLE, &job.drop, "X", "chance of a word to be left out (0.15)", 0,
         0},
        {"decay", 0, OPTION_DOUBLE, &job.decay, "X", "of weights towards 0 (1e-5)", 0, 0},
        {"precision", 0, OPTION_DOUBLE, &job.precision, "X",
         "what thresholds aim at on --dev (0.99)", 0, 0},
        {0},
    };
    const struct options options = {
        .usage =
            "weir train classifier --data FILE --dev FILE --out FILE [options], or -m FILE "
            "--test FILE [--errors]",
        .summary = "Trains the text classifier of the filter type \"classifier\", or measures "
                   "one.",
        .table = table,
    };
    struct err e = {0};
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);
    if (status >= 0) {
        return status;
    }
    bool is_test = job.model && job.test;
    if (positional > 0 || (!is_test && !(job.data && job.dev && job.out)) ||
        job.dims % 8 != 0 || job.hidden % 8 != 0) {
        fprintf(stderr, "usage: %s\n", options.usage);
        return 2;
    }
    return (is_test ? test(&job, &e) : train(&job, &e)) == 0 ? 0
                                                             : cli_fail("train classifier", &e);
}

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/curate/curate.h"
#include "models/curate/language.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

struct request {
    const char *out, *split_on, *shingle, *quality, *languages, *filters, *side, *on_error;
    const char *vocab, *loss;
    struct option_strings excludes, bounds;
    long threads, seed, exclude_ngram, split_ngram, shard_tokens;
    double near_threshold, heldout;
    bool no_exact, no_near, labels, replace, measures;
};

/* One of two words. */
static int choose(const char *option, const char *word, const char *no, const char *yes,
                  bool *out, struct err *e)
{
    *out = strcmp(word, yes) == 0;
    return *out || strcmp(word, no) == 0
               ? 0
               : err_set_param(e, ERR_INVALID, option, "--%s \"%.40s\": must be %s or %s",
                               option, word, no, yes);
}

static int read_shingle(const char *text, struct curate_options *o, struct err *e)
{
    char kind[8], rest;
    unsigned n;
    if (sscanf(text, "%7[a-z]:%3u%c", kind, &n, &rest) == 2 && n >= 1 && n <= 64 &&
        (strcmp(kind, "words") == 0 || strcmp(kind, "bytes") == 0)) {
        o->shingle_bytes = kind[0] == 'b';
        o->shingle = n;
        return 0;
    }
    return err_set_param(e, ERR_INVALID, "shingle",
                         "--shingle \"%.40s\": words:N or bytes:N is wanted, N from 1 to 64",
                         text);
}

static int read_quality(const struct request *r, struct curate_options *o, struct err *e)
{
    if (quality_preset(&o->quality, r->quality)) {
        return err_set_param(e, ERR_INVALID, "quality",
                             "--quality \"%.40s\": must be short, web or off", r->quality);
    }
    o->quality_set = r->quality;
    for (size_t i = 0; i < r->bounds.count; i++) {
        if (quality_parse(&o->quality, r->bounds.items[i], e)) {
            return -1;
        }
    }
    return 0;
}

static int read_options(const struct request *r, struct curate_options *o, struct err *e)
{
    o->out = r->out;
    o->replace = r->replace;
    o->threads = (size_t)r->threads;
    o->seed = (uint64_t)r->seed;
    o->exact = !r->no_exact;
    o->near = !r->no_near;
    o->near_threshold = r->near_threshold;
    o->languages = r->languages;
    o->filters = r->filters;
    o->excludes = r->excludes.items;
    o->n_excludes = r->excludes.count;
    o->exclude_ngram = (size_t)r->exclude_ngram;
    o->split_ngram = (size_t)r->split_ngram;
    o->heldout = r->heldout;
    o->vocab = r->vocab;
    o->shard_tokens = (size_t)r->shard_tokens;
    o->labels = r->labels;
    if (!(r->near_threshold >= 0.3 && r->near_threshold <= 1)) {
        return err_set_param(e, ERR_INVALID, "near-threshold",
                             "--near-threshold: must be from 0.3 to 1");
    }
    if (!(r->heldout >= 0 && r->heldout <= 0.5)) {
        return err_set_param(e, ERR_INVALID, "heldout", "--heldout: must be from 0 to 0.5");
    }
    return read_shingle(r->shingle, o, e) || read_quality(r, o, e) ||
                   choose("split-on", r->split_on, "file", "blank", &o->by_blank_lines, e) ||
                   choose("filter-side", r->side, "role", "output", &o->filter_all, e) ||
                   choose("on-error", r->on_error, "skip", "stop", &o->stop_on_malformed, e) ||
                   choose("loss", r->loss, "all", "answer", &o->learn_answers, e)
               ? -1
               : 0;
}

static void print_measures(void)
{
    struct quality_options shorter, web;
    quality_preset(&shorter, "short");
    quality_preset(&web, "web");
    printf("%-16s %16s %16s\n", "measure", "short", "web");
    for (size_t m = 0; m < QUALITY_MEASURES; m++) {
        const struct quality_bound *a = &shorter.bounds[m], *b = &web.bounds[m];
        printf("%-16s %6g to %-6g %6g to %-6g  %s\n", quality_name((enum quality_measure)m),
               a->min, a->max, b->min, b->max, quality_summary((enum quality_measure)m));
    }
    printf("\nlanguages:");
    for (size_t i = 1; i < language_count(); i++) {
        printf(" %s", language_code((int)i));
    }
    printf("\n");
}

static void print_summary(const struct curate_options *o, const struct curate_summary *s,
                          double seconds)
{
    double mb = (double)s->bytes / 1e6;
    fprintf(stderr, "read %llu documents, %.1f MB, in %.1f s (%.1f MB/s, %zu threads)\n",
            (unsigned long long)s->documents, mb, seconds, mb / seconds, o->threads);
    for (size_t i = CURATE_MALFORMED; i < CURATE_STEPS; i++) {
        if (s->steps[i]) {
            fprintf(stderr, "dropped %llu: %s\n", (unsigned long long)s->steps[i],
                    curate_step_name((enum curate_step)i));
        }
    }
    if (s->redacted) {
        fprintf(stderr, "redacted %llu\n", (unsigned long long)s->redacted);
    }
    fprintf(stderr, "%s: %llu to train on, %llu held out", o->out, (unsigned long long)s->train,
            (unsigned long long)s->heldout);
    if (s->shards) {
        fprintf(stderr, "; %llu and %llu tokens in %llu files",
                (unsigned long long)s->train_tokens, (unsigned long long)s->heldout_tokens,
                (unsigned long long)s->shards);
    }
    fprintf(stderr, "\n");
    if (s->moved_back) {
        fprintf(stderr,
                "%llu that were to be held out share %zu words in a row with the rest "
                "and are trained on\n",
                (unsigned long long)s->moved_back, o->split_ngram);
    }
    fprintf(stderr, "tables took %.1f MB, %.0f bytes a document\n",
            (double)s->table_bytes / 1e6,
            (double)s->table_bytes / (double)(s->documents ? s->documents : 1));
}

static int run(const struct curate_options *o)
{
    struct curate_summary summary;
    struct err e = {0};
    uint64_t start = clock_now_ns();
    if (curate_run(o, &summary, &e)) {
        mem_free(summary.labels);
        return cli_fail("curate", &e);
    }
    print_summary(o, &summary, (double)(clock_now_ns() - start) / 1e9);
    if (summary.labels) {
        fputs(summary.labels, stdout);
    }
    mem_free(summary.labels);
    return 0;
}

int cli_curate(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct request r = {.split_on = "file",
                        .shingle = "words:3",
                        .quality = "short",
                        .side = "role",
                        .on_error = "skip",
                        .loss = "all",
                        .threads = cores < 1    ? 1
                                   : cores > 64 ? 64
                                                : cores,
                        .seed = 1,
                        .exclude_ngram = 13,
                        .split_ngram = 13,
                        .shard_tokens = 16000000,
                        .near_threshold = 0.75};
    const struct option table[] = {
        {"out", 'o', OPTION_STRING, &r.out, "FOLDER", "to make; it gets its name at the end", 0,
         0},
        {"replace", 0, OPTION_FLAG, &r.replace, NULL, "put it in place of an earlier result", 0,
         0},
        {"split-on", 0, OPTION_STRING, &r.split_on, "file|blank",
         "a text file is one document, or many parted by blank lines [file]", 0, 0},
        {"on-error", 0, OPTION_STRING, &r.on_error, "skip|stop",
         "malformed lines are counted, or refused [skip]", 0, 0},
        {"no-exact", 0, OPTION_FLAG, &r.no_exact, NULL, "keep exact duplicates", 0, 0},
        {"no-near", 0, OPTION_FLAG, &r.no_near, NULL, "keep near duplicates", 0, 0},
        {"near-threshold", 0, OPTION_DOUBLE, &r.near_threshold, "X",
         "Jaccard index from which texts are nearly the same [0.75]", 0, 0},
        {"shingle", 0, OPTION_STRING, &r.shingle, "words:N|bytes:N",
         "what is compared [words:3]", 0, 0},
        {"quality", 0, OPTION_STRING, &r.quality, "short|web|off",
         "set of bounds: for conversations, for web pages, none [short]", 0, 0},
        {"bound", 0, OPTION_STRINGS, &r.bounds, "NAME<=X",
         "another bound, or NAME>=X; several may be given", 0, 0},
        {"list", 0, OPTION_FLAG, &r.measures, NULL, "list measures, bounds and languages", 0,
         0},
        {"language", 0, OPTION_STRING, &r.languages, "en,de", "drop what is clearly in another",
         0, 0},
        {"filters", 0, OPTION_STRING, &r.filters, "FILE.json|default",
         "a filter chain; default: secrets and personal data replaced, harmful text dropped", 0,
         0},
        {"filter-side", 0, OPTION_STRING, &r.side, "role|output",
         "role: what the assistant says and texts through its output side, other messages "
         "through its input side; output: everything through that [role]",
         0, 0},
        {"exclude", 0, OPTION_STRINGS, &r.excludes, "FILE.jsonl",
         "an evaluation set: drop what has its text; several may be given", 0, 0},
        {"exclude-ngram", 0, OPTION_INT, &r.exclude_ngram, "N",
         "words in a row that are a leak; 0: none are [13]", 0, 64},
        {"heldout", 0, OPTION_DOUBLE, &r.heldout, "X", "share to hold out [0]", 0, 0},
        {"split-ngram", 0, OPTION_INT, &r.split_ngram, "N",
         "words in a row that held-out text may not share with the rest; 0: may [13]", 0, 64},
        {"vocab", 0, OPTION_STRING, &r.vocab, "FILE.gguf", "write token files as well", 0, 0},
        {"shard-tokens", 0, OPTION_INT, &r.shard_tokens, "N", "tokens of a file [16000000]", 1,
         2000000000},
        {"loss", 0, OPTION_STRING, &r.loss, "all|answer",
         "what of conversations is learnt [all]", 0, 0},
        {"labels", 0, OPTION_FLAG, &r.labels, NULL,
         "tell precision and recall from \"label\" of the lines", 0, 0},
        {"seed", 0, OPTION_INT, &r.seed, "N", "of sketches and the split [1]", 0, 2147483647},
        {"threads", 't', OPTION_INT, &r.threads, "N", "does not change the result [cores]", 1,
         256},
        {0},
    };
    const struct options options = {
        "weir curate INPUT... --out FOLDER [options]",
        "Makes training data of raw text and JSON lines: duplicates, rubbish, spam, other\n"
        "languages, personal data, harm and leaks of evaluation sets go; see "
        "docs/training-data.md",
        table};
    struct curate_options o;
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (r.measures) {
        print_measures();
        return 0;
    }
    curate_options_init(&o);
    o.inputs = (const char *const *)argv + 1;
    o.n_inputs = (size_t)positional;
    if (!r.out || positional < 1) {
        fprintf(stderr, "weir curate: inputs and --out are needed\nusage: %s\n", options.usage);
        return 2;
    }
    if (read_options(&r, &o, &e)) {
        cli_fail("curate", &e);
        return 2;
    }
    return run(&o);
}

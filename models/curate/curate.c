#include "models/curate/curate.h"

#include <string.h>

#include "models/curate/language.h"
#include "models/curate/overlap.h"
#include "models/curate/pipeline.h"
#include "models/curate/screen.h"
#include "models/curate/shards.h"
#include "models/curate/workers.h"
#include "runtime/base/mem.h"

#define DOCUMENTS_MAX 400000000u

const char *curate_step_name(enum curate_step step)
{
    static const char *const names[CURATE_STEPS] = {
        [CURATE_KEPT] = "kept",         [CURATE_MALFORMED] = "malformed",
        [CURATE_EXACT] = "exact",       [CURATE_QUALITY] = "quality",
        [CURATE_LANGUAGE] = "language", [CURATE_FILTERS] = "filters",
        [CURATE_LEAK] = "leak",         [CURATE_NEAR] = "near"};
    return names[step];
}

void curate_options_init(struct curate_options *o)
{
    *o = (struct curate_options){.threads = 2,
                                 .seed = 1,
                                 .exact = true,
                                 .near = true,
                                 .shingle = 3,
                                 .near_threshold = 0.75,
                                 .quality_set = "short",
                                 .exclude_ngram = 13,
                                 .split_ngram = 13,
                                 .shard_tokens = 16000000};
    quality_preset(&o->quality, o->quality_set);
}

static int read_languages(struct pipeline *p, struct err *e)
{
    const char *list = p->options->languages;
    for (size_t n; list && *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        int language = language_find(list, n);
        if (language < 0) {
            return err_set_param(e, ERR_INVALID, "language",
                                 "--language \"%.*s\": is none that can be told; --help lists "
                                 "them",
                                 (int)(n < 20 ? n : 20), list);
        }
        p->languages |= (uint32_t)1 << language;
    }
    return 0;
}

static int check_options(const struct curate_options *o, struct err *e)
{
    if (o->n_inputs == 0) {
        return err_set(e, ERR_INVALID, "no input: name text or .jsonl files");
    }
    if (o->threads < 1 || o->threads > WORKERS_MAX) {
        return err_set_param(e, ERR_INVALID, "threads", "--threads: 1 to %d", WORKERS_MAX);
    }
    if (o->exclude_ngram > OVERLAP_N_MAX || o->split_ngram > OVERLAP_N_MAX) {
        return err_set(e, ERR_INVALID, "runs of at most %d words can be compared",
                       OVERLAP_N_MAX);
    }
    if (o->vocab && !shards_are_built()) {
        return err_set_param(e, ERR_UNSUPPORTED, "vocab",
                             "--vocab: token files need the trainer, which this build left "
                             "out (no OpenBLAS)");
    }
    return 0;
}

static int open_chain(struct pipeline *p, struct err *e)
{
    const char *filters = p->options->filters;
    if (!filters) {
        return 0;
    }
    p->chain =
        strcmp(filters, "default") == 0
            ? chain_from_json(screen_default_chain, strlen(screen_default_chain), NULL, e)
            : chain_from_file(filters, e);
    return p->chain ? 0 : -1;
}

static int open_source(struct pipeline *p, struct err *e)
{
    const struct curate_options *o = p->options;
    for (size_t i = 0; i < o->n_excludes; i++) {
        if (source_add(&p->source, o->excludes[i], false, true, e)) {
            return -1;
        }
    }
    for (size_t i = 0; i < o->n_inputs; i++) {
        if (source_add(&p->source, o->inputs[i], o->by_blank_lines, false, e)) {
            return -1;
        }
    }
    p->n = p->source.n_places;
    if (p->n == 0 || p->n > DOCUMENTS_MAX) {
        return err_set(e, p->n ? ERR_LIMIT : ERR_INVALID,
                       p->n ? "more documents than can be curated at once: do it in parts"
                            : "there is no document in the inputs");
    }
    return 0;
}

static int make_tables(struct pipeline *p, struct err *e)
{
    const struct curate_options *o = p->options;
    bool needs_sketches = o->near || o->heldout > 0 || o->n_excludes > 0;
    p->records = mem_zarray(p->n, sizeof(*p->records));
    p->scratch = mem_zarray(o->threads, sizeof(*p->scratch));
    p->sketches = needs_sketches ? mem_array(p->n, sizeof(*p->sketches)) : NULL;
    if (!p->records || !p->scratch || (needs_sketches && !p->sketches)) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < o->threads; i++) {
        document_init(&p->scratch[i].document);
    }
    size_t each = sizeof(struct source_place) + sizeof(struct record) +
                  (needs_sketches ? sizeof(struct sketch) + 16 * o->threads : 0);
    p->summary->table_bytes = each * p->n;
    uint32_t none;
    return names_find(&p->names, "", &none, e);
}

static void count(struct pipeline *p)
{
    struct curate_summary *s = p->summary;
    for (size_t i = 0; i < p->n; i++) {
        const struct record *r = &p->records[i];
        if (r->flags & RECORD_EXCLUDED) {
            continue;
        }
        s->documents++;
        s->steps[r->step]++;
        s->redacted += r->step == CURATE_KEPT && (r->flags & RECORD_REDACTED);
        p->source.files[p->source.places[i].file].malformed += r->step == CURATE_MALFORMED;
    }
    for (size_t i = 0; i < p->source.n_files; i++) {
        s->bytes += p->source.files[i].is_excluded ? 0 : p->source.files[i].size;
    }
}

/* Without the step for exact duplicates, what was judged still counts. */
static void apply_judgements(struct pipeline *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct record *r = &p->records[i];
        r->step = r->step == CURATE_KEPT ? r->judged : r->step;
    }
}

static int work(struct pipeline *p, struct err *e)
{
    const struct curate_options *o = p->options;
    if (check_options(o, e) || read_languages(p, e) || open_chain(p, e) || open_source(p, e) ||
        make_tables(p, e) || pipeline_analyse(p, e)) {
        return -1;
    }
    if (o->exact && pipeline_drop_exact(p, false, e)) {
        return -1;
    }
    apply_judgements(p);
    if (pipeline_screen(p, e) || (o->exact && p->chain && pipeline_drop_exact(p, true, e)) ||
        pipeline_drop_leaks(p, e) || pipeline_drop_near(p, e) || pipeline_split(p, e)) {
        return -1;
    }
    count(p);
    return pipeline_write(p, e);
}

int curate_run(const struct curate_options *o, struct curate_summary *summary, struct err *e)
{
    struct pipeline p = {.options = o, .summary = summary};
    *summary = (struct curate_summary){0};
    pthread_mutex_init(&p.names.mutex, NULL);
    int rc = work(&p, e);
    for (size_t i = 0; p.scratch && i < o->threads; i++) {
        struct scratch *s = &p.scratch[i];
        document_deinit(&s->document);
        words_deinit(&s->words);
        shingles_deinit(&s->shingles);
        for (size_t k = 0; k < s->n_texts; k++) {
            buf_deinit(&s->texts[k]);
        }
        mem_free(s->texts);
    }
    for (size_t i = 0; i < p.names.count; i++) {
        mem_free(p.names.items[i]);
    }
    mem_free(p.names.items);
    pthread_mutex_destroy(&p.names.mutex);
    mem_free(p.scratch);
    mem_free(p.records);
    mem_free(p.sketches);
    near_pairs_deinit(&p.pairs);
    source_deinit(&p.source);
    chain_unref(p.chain);
    return rc;
}

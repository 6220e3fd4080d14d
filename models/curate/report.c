#include "models/curate/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/curate/language.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define REASON_MAX 256

void report_reason(const struct pipeline *p, const struct record *r, char *out, size_t size)
{
    const char *detail = "";
    switch (r->step) {
    case CURATE_QUALITY:
        detail = quality_name((enum quality_measure)r->measure);
        break;
    case CURATE_LANGUAGE:
        detail = language_code(r->language);
        break;
    case CURATE_FILTERS:
        detail = p->names.items[r->reason];
        break;
    case CURATE_LEAK:
        detail = r->value > 0 ? "near" : "run of words";
        break;
    default:
        break;
    }
    snprintf(out, size, "%s%s%s", curate_step_name((enum curate_step)r->step),
             *detail ? ": " : "", detail);
}

/* ---- counts by reason ---- */

struct count {
    char reason[REASON_MAX];
    uint64_t n;
};

struct counts {
    struct count *items; /* (count) */
    size_t count;
};

static int count_one(struct counts *c, const char *reason, struct err *e)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->items[i].reason, reason) == 0) {
            c->items[i].n++;
            return 0;
        }
    }
    struct count *grown = mem_realloc_array(c->items, c->count + 1, sizeof(*grown));
    if (!grown) {
        return err_nomem(e);
    }
    c->items = grown;
    snprintf(grown[c->count].reason, REASON_MAX, "%s", reason);
    grown[c->count++].n = 1;
    return 0;
}

static int by_reason(const void *a, const void *b)
{
    return strcmp(((const struct count *)a)->reason, ((const struct count *)b)->reason);
}

static int count_reasons(const struct pipeline *p, struct counts *dropped,
                         struct counts *redacted, struct err *e)
{
    char reason[REASON_MAX];
    for (size_t i = 0; i < p->n; i++) {
        const struct record *r = &p->records[i];
        if (r->step != CURATE_KEPT) {
            report_reason(p, r, reason, sizeof(reason));
            if (count_one(dropped, reason, e)) {
                return -1;
            }
        } else if ((r->flags & RECORD_REDACTED) &&
                   count_one(redacted, p->names.items[r->reason], e)) {
            return -1;
        }
    }
    if (dropped->count) {
        qsort(dropped->items, dropped->count, sizeof(struct count), by_reason);
    }
    if (redacted->count) {
        qsort(redacted->items, redacted->count, sizeof(struct count), by_reason);
    }
    return 0;
}

static void append_counts(struct buf *out, const char *name, const struct counts *c)
{
    buf_printf(out, ",\n  \"%s\": {", name);
    for (size_t i = 0; i < c->count; i++) {
        buf_append_str(out, i ? ",\n    " : "\n    ");
        json_append_string(out, c->items[i].reason, strlen(c->items[i].reason));
        buf_printf(out, ": %llu", (unsigned long long)c->items[i].n);
    }
    buf_append_str(out, c->count ? "\n  }" : "}");
}

/* ---- the manifest ---- */

static void append_string(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ", \"%s\": ", key);
    if (value) {
        json_append_string(out, value, strlen(value));
    } else {
        buf_append_str(out, "null");
    }
}

static void append_options(struct buf *out, const struct pipeline *p)
{
    const struct curate_options *o = p->options;
    buf_printf(out, ",\n  \"options\": {\"seed\": %llu, \"exact\": %s, \"near\": %s",
               (unsigned long long)o->seed, o->exact ? "true" : "false",
               o->near ? "true" : "false");
    buf_printf(out, ", \"shingle\": \"%s:%zu\", \"near_threshold\": %g",
               o->shingle_bytes ? "bytes" : "words", o->shingle, o->near_threshold);
    append_string(out, "quality", o->quality_set);
    append_string(out, "languages", o->languages);
    append_string(out, "filters", o->filters);
    append_string(out, "filters_hash", p->chain ? chain_hash(p->chain) : NULL);
    buf_printf(out, ", \"exclude_ngram\": %zu, \"heldout\": %g, \"split_ngram\": %zu",
               o->exclude_ngram, o->heldout, o->split_ngram);
    append_string(out, "vocab", o->vocab);
    buf_printf(out, ", \"shard_tokens\": %zu, \"loss\": \"%s\",\n    \"bounds\": {",
               o->shard_tokens, o->learn_answers ? "answer" : "all");
    bool first = true;
    for (size_t m = 0; m < QUALITY_MEASURES; m++) {
        double bounds[2] = {o->quality.bounds[m].min, o->quality.bounds[m].max};
        for (size_t k = 0; k < 2; k++) {
            if (bounds[k] > -1e300 && bounds[k] < 1e300) {
                buf_printf(out, "%s\"%s%s\": %g", first ? "" : ", ",
                           quality_name((enum quality_measure)m), k ? "<=" : ">=", bounds[k]);
                first = false;
            }
        }
    }
    buf_append_str(out, "}}");
}

static void append_inputs(struct buf *out, const struct source *s, bool excluded)
{
    bool first = true;
    buf_printf(out, ",\n  \"%s\": [", excluded ? "excluded" : "inputs");
    for (size_t i = 0; i < s->n_files; i++) {
        const struct source_file *f = &s->files[i];
        if (f->is_excluded != excluded) {
            continue;
        }
        buf_append_str(out, first ? "\n    {\"file\": " : ",\n    {\"file\": ");
        json_append_string(out, f->path, strlen(f->path));
        buf_printf(out, ", \"sha256\": \"%s\", \"bytes\": %llu, \"documents\": %llu, ",
                   f->sha256, (unsigned long long)f->size, (unsigned long long)f->documents);
        buf_printf(out, "\"malformed\": %llu}", (unsigned long long)f->malformed);
        first = false;
    }
    buf_append_str(out, first ? "]" : "\n  ]");
}

static void append_outputs(struct buf *out, const struct report_files *files)
{
    buf_append_str(out, ",\n  \"outputs\": [");
    for (size_t i = 0; i < files->n_files; i++) {
        const struct output_file *f = &files->files[i];
        buf_printf(out, "%s\n    {\"file\": \"%s\", \"sha256\": \"%s\", \"bytes\": %llu",
                   i ? "," : "", f->name, f->sha256, (unsigned long long)f->bytes);
        if (f->documents) {
            buf_printf(out, ", \"documents\": %llu", (unsigned long long)f->documents);
        }
        buf_append_char(out, '}');
    }
    for (size_t i = 0; i < files->n_shards; i++) {
        const struct shard *s = &files->shards[i];
        buf_printf(out, ",\n    {\"file\": \"%s\", \"sha256\": \"%s\", \"bytes\": %llu",
                   s->name, s->sha256, (unsigned long long)s->bytes);
        buf_printf(out, ", \"documents\": %llu, \"tokens\": %llu, \"learnt_tokens\": %llu}",
                   (unsigned long long)s->documents, (unsigned long long)s->tokens,
                   (unsigned long long)s->learnt);
    }
    buf_append_str(out, "\n  ]\n}\n");
}

int report_manifest(struct pipeline *p, const struct report_files *files, struct buf *out,
                    struct err *e)
{
    const struct curate_summary *s = p->summary;
    struct counts dropped = {0}, redacted = {0};
    int rc = count_reasons(p, &dropped, &redacted, e);
    buf_printf(out,
               "{\n  \"format\": \"weir-curate-1\",\n  \"documents\": {\"read\": %llu, "
               "\"train\": %llu, \"heldout\": %llu, \"redacted\": %llu, \"moved_back\": %llu",
               (unsigned long long)s->documents, (unsigned long long)s->train,
               (unsigned long long)s->heldout, (unsigned long long)s->redacted,
               (unsigned long long)s->moved_back);
    for (size_t i = CURATE_MALFORMED; i < CURATE_STEPS; i++) {
        buf_printf(out, ", \"%s\": %llu", curate_step_name((enum curate_step)i),
                   (unsigned long long)s->steps[i]);
    }
    buf_append_char(out, '}');
    append_counts(out, "dropped", &dropped);
    append_counts(out, "redacted", &redacted);
    append_options(out, p);
    append_inputs(out, &p->source, false);
    append_inputs(out, &p->source, true);
    append_outputs(out, files);
    mem_free(dropped.items);
    mem_free(redacted.items);
    return rc ? rc : out->failed ? err_nomem(e) : 0;
}

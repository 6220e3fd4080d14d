#include <string.h>

#include "models/curate/language.h"
#include "models/curate/pipeline.h"
#include "models/curate/report.h"
#include "models/lineage/lineage.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define LINE_MAX_BYTES ((size_t)1 << 30)

enum { TRAIN, HELDOUT, DROPPED, MANIFEST, LABELS, FILES };

static const char *const names[FILES] = {"train.jsonl", "heldout.jsonl", "dropped.jsonl",
                                         "manifest.json", "labels.json"};

struct writing {
    struct pipeline *p;
    struct output output;
    struct output_file files[FILES];
    struct shards shards;
    struct buf line;
};

/* ---- documents ---- */

static int set_string(cJSON *object, const char *key, const char *text, struct err *e)
{
    cJSON *string = cJSON_CreateString(text);
    if (!string || !cJSON_ReplaceItemInObjectCaseSensitive(object, key, string)) {
        cJSON_Delete(string);
        return err_nomem(e);
    }
    return 0;
}

static int redact_json(struct scratch *s, struct err *e)
{
    const struct document *d = &s->document;
    cJSON *messages = cJSON_GetObjectItemCaseSensitive(d->json, "messages");
    const char *text = s->texts[0].data ? s->texts[0].data : "";
    if (!messages) {
        return set_string(d->json, "text", text, e);
    }
    cJSON *message;
    size_t i = 0;
    cJSON_ArrayForEach(message, messages)
    {
        text = s->texts[i].data ? s->texts[i].data : "";
        if (set_string(message, "content", text, e)) {
            return -1;
        }
        i++;
    }
    return 0;
}

static int append_json(const struct scratch *s, struct buf *line, struct err *e)
{
    char *text = cJSON_PrintUnformatted(s->document.json);
    int rc = !text || buf_append_str(line, text) ? err_nomem(e) : 0;
    cJSON_free(text);
    return rc;
}

/* The line as it was where nothing in it changes. */
static int make_json_line(const struct pipeline *p, struct scratch *s, size_t i,
                          struct buf *line, struct err *e)
{
    const struct source_place *place = &p->source.places[i];
    const unsigned char *bytes = p->source.files[place->file].data + place->offset;
    size_t len = place->len;
    bool redacted = p->records[i].flags & RECORD_REDACTED;
    bool labelled = p->options->labels && s->document.label[0] != '\0';
    if (!redacted && !labelled) {
        while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r')) {
            len--;
        }
        return buf_append(line, bytes, len) ? err_nomem(e) : 0;
    }
    if (labelled) {
        cJSON_DeleteItemFromObjectCaseSensitive(s->document.json, "label");
    }
    if (redacted && redact_json(s, e)) {
        return -1;
    }
    return append_json(s, line, e);
}

static int make_line(struct pipeline *p, size_t i, struct buf *line, struct err *e)
{
    struct scratch *s = &p->scratch[0];
    if (pipeline_read(p, s, i, e)) {
        return -1;
    }
    if (s->document.json) {
        return make_json_line(p, s, i, line, e);
    }
    size_t len;
    s->document.json = cJSON_CreateObject();
    bool is_made =
        cJSON_AddStringToObject(s->document.json, "text", scratch_part(s, 0, &len)) != NULL;
    return is_made ? append_json(s, line, e) : err_nomem(e);
}

static void append_place(const struct pipeline *p, size_t i, struct buf *line)
{
    const struct source_place *place = &p->source.places[i];
    const char *path = p->source.files[place->file].path;
    buf_append_str(line, "{\"file\":");
    json_append_string(line, path, strlen(path));
    buf_printf(line, ",\"line\":%u}", place->line);
}

static void make_dropped(struct pipeline *p, size_t i, struct buf *line)
{
    const struct record *r = &p->records[i];
    char reason[256];
    report_reason(p, r, reason, sizeof(reason));
    buf_append_str(line, "{\"document\":");
    append_place(p, i, line);
    buf_printf(line,
               ",\"step\":\"%s\",\"reason\":", curate_step_name((enum curate_step)r->step));
    json_append_string(line, reason, strlen(reason));
    if (r->step == CURATE_MALFORMED) {
        struct err why = {0};
        document_read(&p->scratch[0].document, &p->source, &p->source.places[i], &why);
        buf_append_str(line, ",\"error\":");
        json_append_string(line, why.message, strlen(why.message));
    }
    if (r->step == CURATE_QUALITY) {
        buf_printf(line, ",\"value\":%.4g", (double)r->value);
    }
    if (r->match != NO_MATCH) {
        buf_append_str(line, ",\"match\":");
        append_place(p, r->match, line);
    }
    if (r->match != NO_MATCH && r->value > 0) {
        buf_printf(line, ",\"jaccard\":%.3f", (double)r->value);
    }
    if (r->label && p->names.items[r->label][0]) {
        buf_append_str(line, ",\"label\":");
        json_append_string(line, p->names.items[r->label], strlen(p->names.items[r->label]));
    }
    buf_append_char(line, '}');
}

static int write_document(struct writing *w, size_t i, struct err *e)
{
    const struct record *r = &w->p->records[i];
    struct output_file *f = &w->files[r->step != CURATE_KEPT        ? DROPPED
                                      : (r->flags & RECORD_HELDOUT) ? HELDOUT
                                                                    : TRAIN];
    buf_clear(&w->line);
    if (r->step != CURATE_KEPT) {
        make_dropped(w->p, i, &w->line);
    } else if (make_line(w->p, i, &w->line, e)) {
        return -1;
    }
    if (buf_append_char(&w->line, '\n') || w->line.failed) {
        return err_nomem(e);
    }
    f->documents++;
    return output_write(f, w->line.data, w->line.len, e);
}

static int write_documents(struct writing *w, struct err *e)
{
    size_t last = w->p->options->heldout > 0 ? HELDOUT : TRAIN;
    for (size_t i = 0; i <= DROPPED; i++) {
        if ((i <= last || i == DROPPED) && output_open(&w->files[i], &w->output, names[i], e)) {
            return -1;
        }
    }
    for (size_t i = 0; i < w->p->n; i++) {
        if (!(w->p->records[i].flags & RECORD_EXCLUDED) && write_document(w, i, e)) {
            return -1;
        }
    }
    for (size_t i = 0; i <= DROPPED; i++) {
        if (w->files[i].f && output_close(&w->files[i], e)) {
            return -1;
        }
    }
    return 0;
}

/* ---- what belongs to them ---- */

static int write_shards(struct writing *w, struct err *e)
{
    const struct curate_options *o = w->p->options;
    for (size_t i = TRAIN; o->vocab && i <= HELDOUT; i++) {
        if (w->files[i].documents > 0 &&
            shards_write(&w->shards, o->vocab, &w->output, i == TRAIN ? "train" : "heldout",
                         o->shard_tokens, o->learn_answers, e)) {
            return -1;
        }
    }
    return 0;
}

static void lineage_options(struct lineage *l, const struct curate_options *o)
{
    lineage_option_number(l, "seed", (double)o->seed);
    lineage_option(l, "exact", o->exact ? "on" : "off");
    lineage_option(l, "near", o->near ? "on" : "off");
    lineage_option(l, "shingle", o->shingle_bytes ? "bytes" : "words");
    lineage_option_number(l, "shingle_length", (double)o->shingle);
    lineage_option_number(l, "near_threshold", o->near_threshold);
    lineage_option(l, "quality", o->quality_set);
    lineage_option(l, "languages", o->languages);
    lineage_option(l, "filters", o->filters);
    lineage_option_number(l, "exclude_ngram", (double)o->exclude_ngram);
    lineage_option_number(l, "heldout", o->heldout);
    lineage_option_number(l, "split_ngram", (double)o->split_ngram);
}

static int write_lineage(struct writing *w, struct err *e)
{
    const struct pipeline *p = w->p;
    const struct curate_options *o = p->options;
    int rc = 0;
    for (size_t i = TRAIN; !rc && i <= HELDOUT; i++) {
        if (w->files[i].documents == 0) {
            continue;
        }
        struct lineage *l = lineage_create("curate");
        for (size_t k = 0; k < p->source.n_files; k++) {
            lineage_parent(l, p->source.files[k].is_excluded ? "exclude" : "raw",
                           p->source.files[k].path);
        }
        if (o->filters && strcmp(o->filters, "default") != 0) {
            lineage_parent(l, "filters", o->filters);
        }
        lineage_options(l, o);
        lineage_metric(l, "documents", (double)w->files[i].documents);
        lineage_metric(l, "read_documents", (double)p->summary->documents);
        rc = lineage_write(l, w->files[i].path, e);
        lineage_destroy(l);
    }
    return rc;
}

static int write_text(struct writing *w, size_t file, const struct buf *text, struct err *e)
{
    struct output_file *f = &w->files[file];
    return text->failed || !text->data ? err_nomem(e)
           : output_open(f, &w->output, names[file], e) ||
                   output_write(f, text->data, text->len, e) || output_close(f, e)
               ? -1
               : 0;
}

static int write_labels(struct writing *w, struct err *e)
{
    struct buf json, table;
    if (!w->p->options->labels) {
        return 0;
    }
    buf_init(&json, LINE_MAX_BYTES);
    buf_init(&table, LINE_MAX_BYTES);
    int rc = report_labels(w->p, &json, &table, e) || write_text(w, LABELS, &json, e) ? -1 : 0;
    w->p->summary->labels = rc ? NULL : buf_take(&table, &(size_t){0});
    buf_deinit(&json);
    buf_deinit(&table);
    return rc;
}

static int write_manifest(struct writing *w, struct err *e)
{
    struct output_file files[FILES];
    struct report_files all = {
        .files = files, .shards = w->shards.items, .n_shards = w->shards.count};
    for (size_t i = 0; i < FILES; i++) {
        if (i != MANIFEST && w->files[i].name[0]) {
            files[all.n_files++] = w->files[i];
        }
    }
    struct buf json;
    buf_init(&json, LINE_MAX_BYTES);
    int rc =
        report_manifest(w->p, &all, &json, e) || write_text(w, MANIFEST, &json, e) ? -1 : 0;
    buf_deinit(&json);
    return rc;
}

static void summarise(struct writing *w)
{
    struct curate_summary *s = w->p->summary;
    s->train = w->files[TRAIN].documents;
    s->heldout = w->files[HELDOUT].documents;
    s->shards = w->shards.count;
    for (size_t i = 0; i < w->shards.count; i++) {
        const struct shard *shard = &w->shards.items[i];
        *(shard->name[0] == 't' ? &s->train_tokens : &s->heldout_tokens) += shard->tokens;
    }
}

int pipeline_write(struct pipeline *p, struct err *e)
{
    struct writing w = {.p = p, .output.lock = -1};
    buf_init(&w.line, LINE_MAX_BYTES);
    int rc = output_begin(&w.output, p->options->out, p->options->replace, e) ||
                     write_documents(&w, e) || source_check(&p->source, e) ||
                     write_shards(&w, e) || write_lineage(&w, e) || write_labels(&w, e)
                 ? -1
                 : 0;
    summarise(&w);
    rc = rc || write_manifest(&w, e) || output_finish(&w.output, e) ? -1 : 0;
    for (size_t i = 0; i < FILES; i++) {
        output_abandon(&w.files[i]);
    }
    output_end(&w.output);
    shards_deinit(&w.shards);
    buf_deinit(&w.line);
    return rc;
}

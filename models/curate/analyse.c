#include "models/curate/pipeline.h"

#include <string.h>

#include "models/curate/language.h"
#include "models/curate/screen.h"
#include "models/curate/sketch.h"
#include "models/curate/workers.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

#define NAMES_MAX 4096
#define TEXT_MAX  (2 * SOURCE_DOCUMENT_MAX)

int names_find(struct names *n, const char *name, uint32_t *index, struct err *e)
{
    int rc = 0;
    pthread_mutex_lock(&n->mutex);
    size_t i = 0;
    while (i < n->count && strcmp(n->items[i], name) != 0) {
        i++;
    }
    if (i == NAMES_MAX) {
        rc = err_set(e, ERR_LIMIT, "more than %d labels: they are to name kinds, not lines",
                     NAMES_MAX);
    } else if (i == n->count) {
        char **grown = mem_realloc_array(n->items, i + 1, sizeof(*grown));
        char *copy = mem_strdup(name);
        n->items = grown ? grown : n->items;
        if (grown && copy) {
            n->items[n->count++] = copy;
        } else {
            mem_free(copy);
            rc = err_nomem(e);
        }
    }
    *index = (uint32_t)i;
    pthread_mutex_unlock(&n->mutex);
    return rc;
}

/* Buffers for what is left of the document's segments. */
static int clear_texts(struct scratch *s, struct err *e)
{
    size_t n = s->document.n_segments;
    if (n > s->n_texts) {
        struct buf *grown = mem_realloc_array(s->texts, n, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        s->texts = grown;
        for (; s->n_texts < n; s->n_texts++) {
            buf_init(&s->texts[s->n_texts], TEXT_MAX);
        }
    }
    for (size_t i = 0; i < n; i++) {
        buf_clear(&s->texts[i]);
    }
    return 0;
}

/* Words of the parts one after the other, each with a mark of its role before it, so that a
 * question and its answer are not the same as both in one. */
static int add_part(struct words *w, const char *role, const char *text, size_t len,
                    struct err *e)
{
    uint64_t mark = fnv64(0x13198a2e03707344u, role, strlen(role));
    return words_push(w, words_mix(mark), e) || words_add(w, text, len, e) ? -1 : 0;
}

static int redact(struct pipeline *p, struct scratch *s, struct screen_result *result,
                  struct err *e)
{
    if (clear_texts(s, e) ||
        screen_document(p->chain, p->options->filter_all, &s->document, s->texts, result, e)) {
        return -1;
    }
    return result->verdict == SCREEN_REDACTED ? document_replace(&s->document, s->texts, e) : 0;
}

int pipeline_read(struct pipeline *p, struct scratch *s, size_t i, struct err *e)
{
    struct screen_result result;
    if (document_read(&s->document, &p->source, &p->source.places[i], e)) {
        return -1;
    }
    return p->records[i].flags & RECORD_REDACTED ? redact(p, s, &result, e) : 0;
}

int pipeline_shingles(const struct pipeline *p, struct scratch *s, struct shingles *out,
                      struct err *e)
{
    const struct curate_options *o = p->options;
    const struct buf *text = &s->document.text;
    s->words.count = 0;
    if (words_add(&s->words, text->data ? text->data : "", text->len, e)) {
        return -1;
    }
    return o->shingle_bytes
               ? shingles_of_bytes(out, text->data ? text->data : "", text->len, o->shingle, e)
               : shingles_of_words(out, &s->words, o->shingle, e);
}

/* What has no words, as "?!", is compared byte by byte. */
static int add_bytes(struct words *w, const char *text, size_t len, struct err *e)
{
    for (size_t i = 0; i < len; i++) {
        if (words_push(w, (unsigned char)text[i], e)) {
            return -1;
        }
    }
    return 0;
}

static int digest(struct scratch *s, struct words_digest *out, struct err *e)
{
    struct words *w = &s->words;
    w->count = 0;
    for (size_t i = 0; i < s->document.n_segments; i++) {
        size_t len, before = w->count;
        const char *text = scratch_part(s, i, &len);
        if (add_part(w, s->document.segments[i].role, text, len, e) ||
            (w->count == before + 1 && add_bytes(w, text, len, e))) {
            return -1;
        }
    }
    *out = words_digest(w->items, w->count);
    return 0;
}

/* Leaves the document's words in the scratch. */
static int sketch(struct pipeline *p, struct scratch *s, size_t i, struct err *e)
{
    if (pipeline_shingles(p, s, &s->shingles, e)) {
        return -1;
    }
    if (p->sketches) {
        sketch_make(&p->sketches[i], &s->shingles, p->options->seed);
    }
    return 0;
}

static int judge(struct pipeline *p, struct scratch *s, struct record *r, struct err *e)
{
    const struct document *d = &s->document;
    struct quality q;
    r->language = (uint8_t)language_identify(d->text.data, d->text.len);
    bool is_english = strcmp(language_code(r->language), "en") == 0;
    if (quality_measure(&q, d->text.data, d->text.len, &s->words, is_english, e)) {
        return -1;
    }
    enum quality_measure m = quality_judge(&q, &p->options->quality);
    if (m != QUALITY_MEASURES) {
        r->judged = CURATE_QUALITY;
        r->measure = (uint8_t)m;
        r->value = (float)q.values[m];
    } else if (p->languages && r->language != LANGUAGE_UNKNOWN &&
               !(p->languages >> r->language & 1)) {
        r->judged = CURATE_LANGUAGE;
    }
    return 0;
}

static int read_failed(struct pipeline *p, size_t i, struct err *e)
{
    struct record *r = &p->records[i];
    bool excluded = p->source.files[p->source.places[i].file].is_excluded;
    if (e->kind != ERR_FORMAT || p->options->stop_on_malformed || excluded) {
        return -1;
    }
    r->step = CURATE_MALFORMED;
    return 0;
}

static int analyse(void *ctx, size_t worker, size_t i, struct err *e)
{
    struct pipeline *p = ctx;
    struct scratch *s = &p->scratch[worker];
    struct record *r = &p->records[i];
    *r = (struct record){.match = NO_MATCH, .cluster = (uint32_t)i};
    if (pipeline_read(p, s, i, e)) {
        return read_failed(p, i, e);
    }
    if (p->source.files[p->source.places[i].file].is_excluded) {
        r->flags = RECORD_EXCLUDED;
    }
    if (p->options->labels && names_find(&p->names, s->document.label, &r->label, e)) {
        return -1;
    }
    bool is_judged = !(r->flags & RECORD_EXCLUDED);
    return sketch(p, s, i, e) || (is_judged && judge(p, s, r, e)) || digest(s, &r->digest, e)
               ? -1
               : 0;
}

int pipeline_analyse(struct pipeline *p, struct err *e)
{
    return workers_run(p->options->threads, p->n, 32, analyse, p, e);
}

static int screen(void *ctx, size_t worker, size_t i, struct err *e)
{
    struct pipeline *p = ctx;
    struct scratch *s = &p->scratch[worker];
    struct record *r = &p->records[i];
    struct screen_result result;
    if (r->step != CURATE_KEPT || (r->flags & RECORD_EXCLUDED)) {
        return 0;
    }
    if (pipeline_read(p, s, i, e) || redact(p, s, &result, e)) {
        return -1;
    }
    if (result.verdict == SCREEN_KEPT) {
        return 0;
    }
    if (result.verdict == SCREEN_DROPPED) {
        r->step = CURATE_FILTERS;
    } else {
        r->flags |= RECORD_REDACTED;
        if (sketch(p, s, i, e) || digest(s, &r->digest, e)) {
            return -1;
        }
    }
    return names_find(&p->names, result.reason, &r->reason, e);
}

int pipeline_screen(struct pipeline *p, struct err *e)
{
    return p->chain ? workers_run(p->options->threads, p->n, 16, screen, p, e) : 0;
}

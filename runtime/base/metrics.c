#include "runtime/base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define N_BUCKETS 1024 /* of the table by which series are found, a power of two */
#define KEY_MAX   (METRICS_LABELS_MAX * (METRICS_VALUE_MAX + 1))

struct series {
    struct series *next;           /* of its family, in the order in which they came */
    struct series *next_in_bucket; /* of the table */
    size_t family;
    uint64_t hash;
    uint64_t group;     /* hash of the labels that are not open */
    uint64_t last_used; /* by the clock of the metrics */
    char *key;          /* (key_len) the values, each ends with a NUL */
    size_t key_len;
    char *labels; /* as they are written: route="/",code="200"; "" */
    double value; /* of a histogram the sum */
    uint64_t count;
    uint64_t counts[]; /* (n_bounds) of a histogram, not cumulative */
};

struct family {
    const struct metric_family *type;
    size_t n_labels;
    size_t open; /* index of the open label; n_labels: none */
    struct series *first, *last;
    size_t n_series;
};

struct metrics {
    struct series *buckets[N_BUCKETS];
    uint64_t clock; /* counts changes */
    size_t n_families;
    struct family families[]; /* n_families */
};

/* --- labels --- */

/* The length of the name at `labels`. */
static size_t name_len(const char *labels)
{
    return strcspn(labels, ",");
}

static const char *next_name(const char *labels)
{
    labels += name_len(labels);
    return *labels == ',' ? labels + 1 : labels;
}

static void init_family(struct family *f, const struct metric_family *type)
{
    size_t open = SIZE_MAX;
    f->type = type;
    for (const char *at = type->labels; *at; at = next_name(at)) {
        size_t len = name_len(at);
        if (type->open && strlen(type->open) == len && memcmp(at, type->open, len) == 0) {
            open = f->n_labels;
        }
        f->n_labels++;
    }
    f->open = open < f->n_labels ? open : f->n_labels;
}

static uint64_t hash_of(uint64_t seed, const char *data, size_t len)
{
    return fnv64(FNV64_BASIS ^ seed, data, len);
}

/* What is looked for, made of the values of a call. */
struct lookup {
    char key[KEY_MAX];
    size_t len;
    uint64_t hash;
    uint64_t group;
};

static void make_lookup(struct lookup *l, const struct metrics *m, size_t family,
                        const char *const *values, bool as_other)
{
    const struct family *f = &m->families[family];
    l->len = 0;
    l->group = family;
    for (size_t i = 0; i < f->n_labels; i++) {
        const char *value = values[i] ? values[i] : "";
        if (as_other && i == f->open) {
            value = METRICS_OTHER;
        }
        size_t len = strnlen(value, METRICS_VALUE_MAX + 1);
        if (len > METRICS_VALUE_MAX) {
            len = METRICS_VALUE_MAX - utf8_incomplete_tail(value, METRICS_VALUE_MAX);
        }
        memcpy(l->key + l->len, value, len);
        l->key[l->len + len] = '\0';
        if (i != f->open) {
            l->group = hash_of(l->group, l->key + l->len, len + 1);
        }
        l->len += len + 1;
    }
    l->hash = hash_of(family, l->key, l->len);
}

/* A value that is not UTF-8 would make a reader refuse the whole text. */
static void append_value(struct buf *out, const char *value)
{
    value = utf8_is_valid(value, strlen(value)) ? value : "not UTF-8";
    for (; *value; value++) {
        if (*value == '\n') {
            buf_append_str(out, "\\n");
        } else if (*value == '"' || *value == '\\') {
            buf_append_char(out, '\\');
            buf_append_char(out, *value);
        } else {
            buf_append_char(out, *value);
        }
    }
}

/* NULL when out of memory. */
static char *make_labels(const struct family *f, const char *key)
{
    struct buf text;
    buf_init(&text, 4 * KEY_MAX + 1024);
    buf_append_str(&text, "");
    for (const char *at = f->type->labels; *at; at = next_name(at)) {
        buf_printf(&text, "%s%.*s=\"", text.len ? "," : "", (int)name_len(at), at);
        append_value(&text, key);
        buf_append_char(&text, '"');
        key += strlen(key) + 1;
    }
    char *taken = text.failed ? NULL : buf_take(&text, NULL);
    buf_deinit(&text);
    return taken;
}

/* --- series --- */

static struct series **bucket_of(struct metrics *m, uint64_t hash)
{
    return &m->buckets[(hash ^ (hash >> 32)) % N_BUCKETS];
}

static struct series *find(const struct metrics *m, size_t family, const struct lookup *l)
{
    struct series *s = *bucket_of((struct metrics *)m, l->hash);
    while (s && (s->hash != l->hash || s->family != family || s->key_len != l->len ||
                 memcmp(s->key, l->key, l->len) != 0)) {
        s = s->next_in_bucket;
    }
    return s;
}

static void release(struct series *s)
{
    mem_free(s->key);
    mem_free(s->labels);
    mem_free(s);
}

static void forget_oldest(struct metrics *m, struct family *f)
{
    struct series *oldest = f->first;
    struct series *before = NULL; /* the one before it */
    for (struct series *s = f->first; s->next; s = s->next) {
        if (s->next->last_used < oldest->last_used) {
            oldest = s->next;
            before = s;
        }
    }
    *(before ? &before->next : &f->first) = oldest->next;
    f->last = f->last == oldest ? before : f->last;
    f->n_series--;
    struct series **at = bucket_of(m, oldest->hash);
    while (*at != oldest) {
        at = &(*at)->next_in_bucket;
    }
    *at = oldest->next_in_bucket;
    release(oldest);
}

static struct series *create(struct metrics *m, size_t family, const struct lookup *l)
{
    struct family *f = &m->families[family];
    struct series *s = mem_zalloc(sizeof(*s) + f->type->n_bounds * sizeof(s->counts[0]));
    if (!s) {
        return NULL;
    }
    s->key = mem_alloc(l->len ? l->len : 1);
    s->labels = make_labels(f, l->key);
    if (!s->key || !s->labels) {
        release(s);
        return NULL;
    }
    memcpy(s->key, l->key, l->len);
    s->key_len = l->len;
    s->family = family;
    s->hash = l->hash;
    s->group = l->group;
    if (f->n_series == METRICS_SERIES_MAX) {
        forget_oldest(m, f);
    }
    struct series **bucket = bucket_of(m, s->hash);
    s->next_in_bucket = *bucket;
    *bucket = s;
    *(f->last ? &f->last->next : &f->first) = s;
    f->last = s;
    f->n_series++;
    return s;
}

/* Whether the open label has as many values already as it may have beside these. */
static bool is_group_full(const struct family *f, uint64_t group)
{
    size_t n = 0;
    for (const struct series *s = f->first; s && n < METRICS_OPEN_MAX; s = s->next) {
        n += s->group == group;
    }
    return n >= METRICS_OPEN_MAX;
}

/* NULL when out of memory. */
static struct series *get(struct metrics *m, size_t family, const char *const *values)
{
    const struct family *f = &m->families[family];
    struct lookup l;
    make_lookup(&l, m, family, values, false);
    struct series *s = find(m, family, &l);
    if (!s && f->open < f->n_labels && is_group_full(f, l.group)) {
        make_lookup(&l, m, family, values, true);
        s = find(m, family, &l);
    }
    s = s ? s : create(m, family, &l);
    if (s) {
        s->last_used = ++m->clock;
    }
    return s;
}

/* --- what the header promises --- */

struct metrics *metrics_create(const struct metric_family *families, size_t n, struct err *e)
{
    struct metrics *m = mem_zalloc(sizeof(*m) + n * sizeof(m->families[0]));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    m->n_families = n;
    for (size_t i = 0; i < n; i++) {
        init_family(&m->families[i], &families[i]);
    }
    return m;
}

void metrics_destroy(struct metrics *m)
{
    for (size_t i = 0; m && i < m->n_families; i++) {
        for (struct series *s = m->families[i].first; s;) {
            struct series *next = s->next;
            release(s);
            s = next;
        }
    }
    mem_free(m);
}

void metrics_add(struct metrics *m, size_t family, const char *const *values, double by)
{
    struct series *s = get(m, family, values);
    if (s) {
        s->value += by;
    }
}

void metrics_set(struct metrics *m, size_t family, const char *const *values, double value)
{
    struct series *s = get(m, family, values);
    if (s) {
        s->value = value;
    }
}

void metrics_clear(struct metrics *m, size_t family)
{
    while (m->families[family].first) {
        forget_oldest(m, &m->families[family]);
    }
}

void metrics_observe(struct metrics *m, size_t family, const char *const *values, double value)
{
    const struct metric_family *type = m->families[family].type;
    struct series *s = get(m, family, values);
    if (!s) {
        return;
    }
    size_t i = 0;
    while (i < type->n_bounds && value > type->bounds[i]) {
        i++;
    }
    if (i < type->n_bounds) {
        s->counts[i]++;
    }
    s->value += value;
    s->count++;
}

double metrics_value(const struct metrics *m, size_t family, const char *const *values)
{
    struct lookup l;
    make_lookup(&l, m, family, values, false);
    const struct series *s = find(m, family, &l);
    if (!s) {
        return 0.0;
    }
    return m->families[family].type->kind == METRIC_HISTOGRAM ? (double)s->count : s->value;
}

size_t metrics_series_count(const struct metrics *m, size_t family)
{
    return m->families[family].n_series;
}

/* --- text --- */

static void append_help(struct buf *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\n' || *help == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, *help == '\n' ? 'n' : *help);
    }
}

static void append_number(struct buf *out, double value)
{
    if (isnan(value)) {
        buf_append_str(out, "NaN");
    } else if (isinf(value)) {
        buf_append_str(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        buf_printf(out, "%.15g", value);
    }
}

static void append_sample(struct buf *out, const char *name, const char *suffix,
                          const char *labels, double value)
{
    const char *open = labels[0] ? "{" : "";
    const char *close = labels[0] ? "}" : "";
    buf_printf(out, "%s%s%s%s%s ", name, suffix, open, labels, close);
    append_number(out, value);
    buf_append_char(out, '\n');
}

static void append_bucket(struct buf *out, const struct metric_family *type,
                          const struct series *s, const char *bound, uint64_t count)
{
    buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", type->name, s->labels,
               s->labels[0] ? "," : "", bound, count);
}

static void append_histogram(struct buf *out, const struct metric_family *type,
                             const struct series *s)
{
    uint64_t below = 0;
    for (size_t i = 0; i < type->n_bounds; i++) {
        char bound[32];
        snprintf(bound, sizeof(bound), "%.15g", type->bounds[i]);
        below += s->counts[i];
        append_bucket(out, type, s, bound, below);
    }
    append_bucket(out, type, s, "+Inf", s->count);
    append_sample(out, type->name, "_sum", s->labels, s->value);
    append_sample(out, type->name, "_count", s->labels, (double)s->count);
}

int metrics_write(const struct metrics *m, struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (size_t i = 0; i < m->n_families; i++) {
        const struct family *f = &m->families[i];
        if (!f->first) {
            continue;
        }
        buf_printf(out, "# HELP %s ", f->type->name);
        append_help(out, f->type->help);
        buf_printf(out, "\n# TYPE %s %s\n", f->type->name, kinds[f->type->kind]);
        for (const struct series *s = f->first; s; s = s->next) {
            if (f->type->kind == METRIC_HISTOGRAM) {
                append_histogram(out, f->type, s);
            } else {
                append_sample(out, f->type->name, "", s->labels, s->value);
            }
        }
    }
    return out->failed ? -1 : 0;
}

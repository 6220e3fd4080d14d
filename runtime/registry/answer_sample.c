#include "runtime/registry/answer_sample.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"

/* A vocabulary of 160,000 tokens that are all as likely has so many nats. */
#define ENTROPY_MAX 12.0

/* Lengths: each to 8, then four bins for each doubling, up to 2^17 tokens. */
#define EXACT_TOKENS 8
#define PER_DOUBLING 4

static const char *const names[] = {
#define X(id, name, unit) name,
    ANSWER_MEASURES(X)
#undef X
};

static const char *const units[] = {
#define X(id, name, unit) unit,
    ANSWER_MEASURES(X)
#undef X
};

const char *answer_measure_name(enum answer_measure m)
{
    return names[m];
}

const char *answer_measure_unit(enum answer_measure m)
{
    return units[m];
}

int answer_measure_named(const char *name)
{
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        if (strcmp(names[m], name) == 0) {
            return m;
        }
    }
    return -1;
}

bool answer_measure_is_share(enum answer_measure m)
{
    return m >= ANSWER_BINNED;
}

/* --- bins --- */

double answer_bin_bound(enum answer_measure m, int bin)
{
    if (m == ANSWER_MEASURE_ENTROPY) { /* finer where sure models are */
        double part = (double)bin / ANSWER_BINS;
        return ENTROPY_MAX * part * part;
    }
    if (bin <= EXACT_TOKENS) {
        return bin;
    }
    int above = bin - EXACT_TOKENS;
    double doubled = ldexp(EXACT_TOKENS, above / PER_DOUBLING);
    return doubled + doubled / PER_DOUBLING * (above % PER_DOUBLING);
}

static int bin_of(enum answer_measure m, double value)
{
    int low = 0, high = ANSWER_BINS - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (answer_bin_bound(m, middle) <= value) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* --- adding --- */

static void add(struct answer_values *v, size_t group, double value)
{
    v->n++;
    v->sum += value;
    v->squares += value * value;
    value_groups_add(&v->by_time, group, value);
}

void answer_sample_add(struct answer_sample *s, const struct answer_seen *a)
{
    size_t at = value_time_group(a->number);
    struct answer_values *v = s->values;
    s->first_ms = s->answers == 0 ? a->time_ms : s->first_ms;
    s->last_ms = a->time_ms;
    s->answers++;
    add(&v[ANSWER_MEASURE_BLOCK], at, a->is_blocked);
    if (a->is_blocked) {
        return;
    }
    add(&v[ANSWER_MEASURE_REFUSAL], at, a->is_refusal);
    add(&v[ANSWER_MEASURE_TOKENS], at, log(fmax(a->tokens, 1)));
    s->bins[ANSWER_MEASURE_TOKENS][bin_of(ANSWER_MEASURE_TOKENS, a->tokens)]++;
    if (a->entropy >= 0) {
        add(&v[ANSWER_MEASURE_ENTROPY], at, a->entropy);
        s->bins[ANSWER_MEASURE_ENTROPY][bin_of(ANSWER_MEASURE_ENTROPY, a->entropy)]++;
    }
}

void answer_sample_add_feedback(struct answer_sample *s, const struct answer_feedback *f)
{
    size_t at = value_time_group(f->number);
    add(&s->values[ANSWER_MEASURE_FEEDBACK], at, f->is_spoken_of);
    if (f->is_spoken_of) {
        add(&s->values[ANSWER_MEASURE_DISLIKE], at, f->is_disliked);
    }
}

void answer_sample_drop_feedback(struct answer_sample *s)
{
    s->values[ANSWER_MEASURE_FEEDBACK] = (struct answer_values){0};
    s->values[ANSWER_MEASURE_DISLIKE] = (struct answer_values){0};
}

static void merge(struct answer_values *v, const struct answer_values *from)
{
    v->n += from->n;
    v->sum += from->sum;
    v->squares += from->squares;
    value_groups_merge(&v->by_time, &from->by_time);
}

void answer_sample_merge(struct answer_sample *s, const struct answer_sample *from)
{
    if (from->answers > 0) {
        s->first_ms = s->answers == 0 ? from->first_ms : s->first_ms;
        s->last_ms = from->last_ms;
    }
    s->answers += from->answers;
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        merge(&s->values[m], &from->values[m]);
    }
    for (int m = 0; m < ANSWER_BINNED; m++) {
        for (int i = 0; i < ANSWER_BINS; i++) {
            s->bins[m][i] += from->bins[m][i];
        }
    }
}

/* --- reading --- */

double answer_sample_count(const struct answer_sample *s, enum answer_measure m)
{
    return s->values[m].n;
}

double answer_sample_hits(const struct answer_sample *s, enum answer_measure m)
{
    return s->values[m].sum;
}

double answer_sample_quantile(const struct answer_sample *s, enum answer_measure m, double q)
{
    const uint32_t *bins = s->bins[m];
    double wanted = q * s->values[m].n, below = 0;
    for (int i = 0; i < ANSWER_BINS; i++) {
        if (bins[i] > 0 && below + bins[i] >= wanted) {
            double from = answer_bin_bound(m, i);
            double to = i + 1 < ANSWER_BINS ? answer_bin_bound(m, i + 1) : from;
            bool is_exact = m == ANSWER_MEASURE_TOKENS && i < EXACT_TOKENS;
            return is_exact ? from : from + (to - from) * fmax(0, wanted - below) / bins[i];
        }
        below += bins[i];
    }
    return 0;
}

/* --- JSON --- */

static void append_numbers(struct buf *out, const char *name, const double *values)
{
    buf_printf(out, ",\"%s\":[", name);
    for (int i = 0; i < GROUPED_GROUPS; i++) {
        buf_printf(out, i ? ",%.17g" : "%.17g", values[i]);
    }
    buf_append_char(out, ']');
}

static void append_values(struct buf *out, const struct answer_values *v)
{
    buf_printf(out, "{\"n\":%.17g,\"sum\":%.17g,\"squares\":%.17g", v->n, v->sum, v->squares);
    append_numbers(out, "time_n", v->by_time.n);
    append_numbers(out, "time_sum", v->by_time.sum);
    buf_append_char(out, '}');
}

int answer_sample_append(struct buf *out, const struct answer_sample *s)
{
    buf_printf(out, "{\"answers\":%llu,\"first_ms\":%lld,\"last_ms\":%lld",
               (unsigned long long)s->answers, (long long)s->first_ms, (long long)s->last_ms);
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        buf_printf(out, ",\"%s\":", names[m]);
        append_values(out, &s->values[m]);
    }
    for (int m = 0; m < ANSWER_BINNED; m++) {
        buf_printf(out, ",\"%s_bins\":[", names[m]);
        for (int i = 0; i < ANSWER_BINS; i++) {
            buf_printf(out, i ? ",%u" : "%u", s->bins[m][i]);
        }
        buf_append_char(out, ']');
    }
    return buf_append_char(out, '}');
}

static int wrong(const char *name, struct err *e)
{
    return err_set(e, ERR_FORMAT, "a stored sample of answers: \"%s\" is missing or wrong",
                   name);
}

static int read_number(const cJSON *o, const char *name, double *out, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) {
        return wrong(name, e);
    }
    *out = item->valuedouble;
    return 0;
}

/* out: (n) */
static int read_array(const cJSON *o, const char *name, double *out, int n, struct err *e)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(o, name), *item;
    int i = 0;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != n) {
        return wrong(name, e);
    }
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) {
            return wrong(name, e);
        }
        out[i++] = item->valuedouble;
    }
    return 0;
}

static int read_values(const cJSON *o, struct answer_values *v, struct err *e)
{
    return read_number(o, "n", &v->n, e) == 0 && read_number(o, "sum", &v->sum, e) == 0 &&
                   read_number(o, "squares", &v->squares, e) == 0 &&
                   read_array(o, "time_n", v->by_time.n, GROUPED_GROUPS, e) == 0 &&
                   read_array(o, "time_sum", v->by_time.sum, GROUPED_GROUPS, e) == 0
               ? 0
               : -1;
}

static int read_bins(const cJSON *root, enum answer_measure m, uint32_t *bins, struct err *e)
{
    char name[48];
    double values[ANSWER_BINS];
    snprintf(name, sizeof(name), "%s_bins", names[m]);
    if (read_array(root, name, values, ANSWER_BINS, e) != 0) {
        return -1;
    }
    for (int i = 0; i < ANSWER_BINS; i++) {
        if (values[i] < 0 || values[i] > UINT32_MAX) {
            return wrong(name, e);
        }
        bins[i] = (uint32_t)values[i];
    }
    return 0;
}

static int read_sample(const cJSON *root, struct answer_sample *s, struct err *e)
{
    double answers = 0, first_ms = 0, last_ms = 0;
    if (read_number(root, "answers", &answers, e) != 0 ||
        read_number(root, "first_ms", &first_ms, e) != 0 ||
        read_number(root, "last_ms", &last_ms, e) != 0) {
        return -1;
    }
    if (answers < 0 || answers > 1e15 || fabs(first_ms) > 1e15 || fabs(last_ms) > 1e15) {
        return wrong("answers", e);
    }
    s->answers = (uint64_t)answers;
    s->first_ms = (int64_t)first_ms;
    s->last_ms = (int64_t)last_ms;
    int rc = 0;
    for (int m = 0; rc == 0 && m < ANSWER_MEASURE_COUNT; m++) {
        rc = read_values(cJSON_GetObjectItemCaseSensitive(root, names[m]), &s->values[m], e);
    }
    for (int m = 0; rc == 0 && m < ANSWER_BINNED; m++) {
        rc = read_bins(root, (enum answer_measure)m, s->bins[m], e);
    }
    return rc;
}

int answer_sample_parse(struct answer_sample *s, const char *text, size_t len, struct err *e)
{
    *s = (struct answer_sample){0};
    cJSON *root = json_parse(text, len, e);
    int rc = root ? read_sample(root, s, e) : -1;
    cJSON_Delete(root);
    return rc;
}

#include "runtime/api/traffic_reply.h"

#include "runtime/api/json_text.h"

/* Returns the object that tells it; NULL where null does. */
static cJSON *add_share(cJSON *object, const char *name, const char *version, int percent)
{
    if (!version) {
        cJSON_AddNullToObject(object, name);
        return NULL;
    }
    cJSON *share = cJSON_AddObjectToObject(object, name);
    cJSON_AddStringToObject(share, "version", version);
    cJSON_AddNumberToObject(share, "percent", percent);
    return share;
}

void traffic_add(cJSON *object, const struct traffic_view *v)
{
    cJSON *split = add_share(object, "split", v->split, v->split_percent);
    if (split) {
        cJSON_AddStringToObject(split, "by", v->split_by);
    }
    add_share(object, "shadow", v->shadow, v->shadow_percent);
    cJSON *labels = cJSON_AddObjectToObject(object, "moved_labels");
    for (size_t i = 0; i < v->labels->count; i++) {
        const struct model_label *l = &v->labels->items[i];
        cJSON_AddStringToObject(labels, l->label, l->version);
    }
}

static cJSON *traffic_object(const struct traffic_view *v)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", v->model);
    json_add_string_or_null(o, "serving", v->serving);
    return o;
}

char *traffic_text(const struct traffic_view *v, size_t *len)
{
    cJSON *o = traffic_object(v);
    traffic_add(o, v);
    return json_text_take(o, len);
}

const char *shadow_outcome_name(enum shadow_outcome outcome)
{
    static const char *const names[] = {
#define X(id, name) name,
        SHADOW_OUTCOMES(X)
#undef X
    };
    return names[outcome];
}

/* A mean of nothing is null. */
static void add_ratio(cJSON *o, const char *name, double sum, uint64_t n)
{
    if (n > 0) {
        cJSON_AddNumberToObject(o, name, sum / (double)n);
    } else {
        cJSON_AddNullToObject(o, name);
    }
}

static void add_means(cJSON *o, const char *name, const struct shadow_report *r, int side)
{
    cJSON *means = cJSON_AddObjectToObject(o, name);
    add_ratio(means, "mean_bytes", r->sums[side].bytes, r->n_compared);
    add_ratio(means, "mean_tokens", r->sums[side].tokens, r->n_compared);
    add_ratio(means, "tokens_per_s", r->sums[side].rate, r->sums[side].n_rates);
}

static void add_side(cJSON *o, const char *name, const struct shadow_comparison *c, int side)
{
    cJSON *s = cJSON_AddObjectToObject(o, name);
    cJSON_AddNumberToObject(s, "bytes", (double)c->sides[side].bytes);
    cJSON_AddNumberToObject(s, "tokens", (double)c->sides[side].tokens);
    cJSON_AddStringToObject(s, "finish_reason", c->sides[side].finish);
    add_ratio(s, "tokens_per_s", c->sides[side].tokens_per_s,
              c->sides[side].tokens_per_s > 0.0 ? 1 : 0);
}

static cJSON *comparison(const struct shadow_comparison *c)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "request_id", c->request);
    cJSON_AddNumberToObject(o, "at", (double)c->at);
    cJSON_AddBoolToObject(o, "identical", c->is_identical);
    cJSON_AddBoolToObject(o, "filtered", c->is_cut);
    if (c->is_identical) {
        cJSON_AddNullToObject(o, "first_difference");
    } else {
        cJSON_AddNumberToObject(o, "first_difference", (double)c->first_difference);
    }
    add_side(o, "real", c, SHADOW_REAL);
    add_side(o, "copy", c, SHADOW_COPY);
    return o;
}

/* Newest first. */
static void add_comparisons(cJSON *o, const struct shadow_report *r)
{
    cJSON *list = cJSON_AddArrayToObject(o, "comparisons");
    uint64_t n = r->n_compared < SHADOW_RING ? r->n_compared : SHADOW_RING;
    for (uint64_t i = 1; i <= n; i++) {
        cJSON_AddItemToArray(list, comparison(&r->ring[(r->n_compared - i) % SHADOW_RING]));
    }
}

static void add_report(cJSON *o, const struct shadow_report *r)
{
    cJSON_AddStringToObject(o, "version", r->version);
    cJSON_AddNumberToObject(o, "since", (double)r->since);
    cJSON *counts = cJSON_AddObjectToObject(o, "copies");
    for (int i = 0; i < SHADOW_OUTCOME_COUNT; i++) {
        cJSON_AddNumberToObject(counts, shadow_outcome_name((enum shadow_outcome)i),
                                (double)r->counts[i]);
    }
    add_ratio(o, "identical_share", (double)r->counts[SHADOW_IDENTICAL], r->n_compared);
    add_ratio(o, "same_finish_share", (double)r->same_finish, r->n_compared);
    add_means(o, "real", r, SHADOW_REAL);
    add_means(o, "copy", r, SHADOW_COPY);
    add_comparisons(o, r);
}

char *shadow_report_text(const struct traffic_view *v, const struct shadow_report *report,
                         size_t *len)
{
    cJSON *o = traffic_object(v);
    add_share(o, "shadow", v->shadow, v->shadow_percent);
    if (report) {
        add_report(cJSON_AddObjectToObject(o, "report"), report);
    } else {
        cJSON_AddNullToObject(o, "report");
    }
    return json_text_take(o, len);
}

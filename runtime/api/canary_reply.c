#include "runtime/api/canary_reply.h"

#include <math.h>

#include "runtime/api/json_text.h"

static cJSON *plan_object(const struct canary_plan *plan)
{
    cJSON *o = cJSON_CreateObject();
    cJSON *steps = cJSON_AddArrayToObject(o, "steps");
    for (size_t i = 0; i < plan->n_steps; i++) {
        cJSON_AddItemToArray(steps, cJSON_CreateNumber(plan->steps[i]));
    }
    cJSON_AddStringToObject(o, "by", plan->is_by_key ? "key" : "conversation");
    cJSON_AddNumberToObject(o, "min_answers", plan->min_answers);
    cJSON_AddNumberToObject(o, "max_answers", plan->max_answers);
    cJSON_AddNumberToObject(o, "looks", plan->looks);
    cJSON_AddNumberToObject(o, "max_seconds", plan->max_seconds);
    cJSON_AddNumberToObject(o, "alpha", plan->alpha);
    cJSON_AddNumberToObject(o, "errors_in_row", plan->errors_in_row);
    cJSON_AddStringToObject(o, "on_undecided", canary_otherwise_name(plan->on_undecided));
    cJSON *margins = cJSON_AddObjectToObject(o, "margins");
    for (int i = 0; i < CANARY_MEASURE_COUNT; i++) {
        cJSON *margin =
            plan->margins[i] < 0 ? cJSON_CreateNull() : cJSON_CreateNumber(plan->margins[i]);
        cJSON_AddItemToObject(margins, canary_measure_name((enum canary_measure)i), margin);
    }
    return o;
}

/* Six digits are more than is known; what is unbounded is null. */
static void add_number(cJSON *o, const char *name, double value)
{
    double scale = pow(10, 5 - floor(log10(fabs(value))));
    bool is_plain = value == 0 || !isfinite(scale);
    cJSON *number = isfinite(value)
                        ? cJSON_CreateNumber(is_plain ? value : round(value * scale) / scale)
                        : cJSON_CreateNull();
    cJSON_AddItemToObject(o, name, number);
}

static void add_interval(cJSON *o, const char *name, const struct interval *i)
{
    cJSON *pair = cJSON_AddObjectToObject(o, name);
    add_number(pair, "low", i->low);
    add_number(pair, "high", i->high);
}

static cJSON *finding_object(enum canary_measure m, const struct canary_finding *f)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "measure", canary_measure_name(m));
    cJSON_AddStringToObject(o, "verdict", canary_verdict_name(f->verdict));
    add_number(o, "stable", f->stable);
    add_number(o, "canary", f->canary);
    add_number(o, canary_measure_is_share(m) ? "difference" : "ratio", f->difference);
    add_number(o, "margin", f->margin);
    add_interval(o, "interval", &f->worse);
    add_interval(o, "interval_good", &f->good);
    cJSON_AddNumberToObject(o, "stable_values", f->n_stable);
    cJSON_AddNumberToObject(o, "canary_values", f->n_canary);
    add_number(o, "stable_design_effect", f->design_stable);
    add_number(o, "canary_design_effect", f->design_canary);
    return o;
}

static void add_answers(cJSON *o, uint64_t stable, uint64_t canary)
{
    cJSON *answers = cJSON_AddObjectToObject(o, "answers");
    cJSON_AddNumberToObject(answers, "stable", (double)stable);
    cJSON_AddNumberToObject(answers, "canary", (double)canary);
}

static cJSON *look_object(const struct canary_look *look, const struct canary_plan *plan)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "at", (double)look->at);
    cJSON_AddNumberToObject(o, "step", (double)look->step + 1);
    cJSON_AddNumberToObject(o, "percent", plan->steps[look->step]);
    add_answers(o, look->stable, look->canary);
    cJSON_AddStringToObject(o, "verdict", canary_verdict_name(look->judgement.verdict));
    cJSON *measures = cJSON_AddArrayToObject(o, "measures");
    for (int i = 0; i < CANARY_MEASURE_COUNT; i++) {
        const struct canary_finding *f = &look->judgement.findings[i];
        if (f->is_judged) {
            cJSON_AddItemToArray(measures, finding_object((enum canary_measure)i, f));
        }
    }
    return o;
}

static void add_time(cJSON *o, const char *name, int64_t unix_s)
{
    cJSON_AddItemToObject(o, name,
                          unix_s > 0 ? cJSON_CreateNumber((double)unix_s) : cJSON_CreateNull());
}

char *canary_report_text(const struct canary_view *v, size_t *len)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", v->model);
    cJSON_AddStringToObject(o, "version", v->version);
    cJSON_AddStringToObject(o, "stable", v->stable);
    cJSON_AddStringToObject(o, "state", v->state);
    json_add_string_or_null(o, "reason", v->reason[0] ? v->reason : NULL);
    json_add_string_or_null(o, "measure", v->measure);
    cJSON_AddStringToObject(o, "by", v->by);
    add_time(o, "started_at", v->started_at);
    add_time(o, "ended_at", v->ended_at);
    cJSON_AddNumberToObject(o, "step", (double)v->step + 1);
    cJSON_AddNumberToObject(o, "percent", v->plan->steps[v->step]);
    add_answers(o, v->stable_answers, v->canary_answers);
    cJSON_AddItemToObject(o, "next_look_at_answers",
                          v->next_look > 0 ? cJSON_CreateNumber(v->next_look)
                                           : cJSON_CreateNull());
    cJSON_AddItemToObject(o, "plan", plan_object(v->plan));
    cJSON *looks = cJSON_AddArrayToObject(o, "looks");
    for (size_t i = 0; i < v->n_looks; i++) {
        cJSON_AddItemToArray(looks, look_object(&v->looks[i], v->plan));
    }
    return json_text_take(o, len);
}

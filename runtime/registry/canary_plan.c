#include "runtime/registry/canary_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIELD_MAX 96

static const struct {
    const char *name;
    bool is_share, is_two_sided;
} measures[CANARY_MEASURE_COUNT] = {
#define X(id, name, is_share, is_two_sided) {name, is_share, is_two_sided},
    CANARY_MEASURES(X)
#undef X
};

static const char *const otherwise_names[] = {"rollback", "promote", "keep"};

const char *canary_measure_name(enum canary_measure m)
{
    return measures[m].name;
}

bool canary_measure_is_share(enum canary_measure m)
{
    return measures[m].is_share;
}

bool canary_measure_is_two_sided(enum canary_measure m)
{
    return measures[m].is_two_sided;
}

const char *canary_otherwise_name(enum canary_otherwise o)
{
    return otherwise_names[o];
}

struct canary_plan canary_plan_default(void)
{
    return (struct canary_plan){.steps = {10},
                                .n_steps = 1,
                                .min_answers = 200,
                                .max_answers = 3000,
                                .looks = 5,
                                .max_seconds = 24 * 60 * 60,
                                .alpha = 0.01,
                                .errors_in_row = 8,
                                .on_undecided = CANARY_OTHERWISE_ROLLBACK,
                                .margins = {[CANARY_ERROR_RATE] = 0.015,
                                            [CANARY_BLOCK_RATE] = 0.02,
                                            [CANARY_REFUSAL_RATE] = 0.05,
                                            [CANARY_CUT_RATE] = 0.1,
                                            [CANARY_FIRST_TOKEN] = 2,
                                            [CANARY_TOKEN_TIME] = 2,
                                            [CANARY_ANSWER_TOKENS] = 1.25}};
}

/* --- values --- */

static int wrong(const char *field, const char *wanted, struct err *e)
{
    return err_set_param(e, ERR_INVALID, field, "\"%s\" must be %s", field, wanted);
}

static int read_number(const cJSON *item, const char *field, double min, double max,
                       double *out, struct err *e)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max)) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be a number from %g to %g",
                             field, min, max);
    }
    *out = item->valuedouble;
    return 0;
}

static int read_count(const cJSON *item, const char *field, int min, int max, int *out,
                      struct err *e)
{
    if (!cJSON_IsNumber(item) || floor(item->valuedouble) != item->valuedouble ||
        !(item->valuedouble >= min && item->valuedouble <= max)) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be a whole number from %d to %d", field, min, max);
    }
    *out = (int)item->valuedouble;
    return 0;
}

static int read_percent(struct canary_plan *plan, const cJSON *item, const char *field,
                        struct err *e)
{
    plan->n_steps = 1;
    return read_count(item, field, 1, 99, &plan->steps[0], e);
}

static int read_steps(struct canary_plan *plan, const cJSON *list, const char *field,
                      struct err *e)
{
    const cJSON *item;
    plan->n_steps = 0;
    cJSON_ArrayForEach(item, list)
    {
        int least = plan->n_steps > 0 ? plan->steps[plan->n_steps - 1] + 1 : 1;
        if (plan->n_steps == CANARY_STEPS_MAX || !cJSON_IsNumber(item) ||
            read_count(item, field, least, 99, &plan->steps[plan->n_steps++], e) != 0) {
            plan->n_steps = 0;
            break;
        }
    }
    return plan->n_steps > 0 && cJSON_IsArray(list)
               ? 0
               : wrong(field, "an array of 1 to 8 whole numbers from 1 to 99, ascending", e);
}

static int read_by(struct canary_plan *plan, const cJSON *item, const char *field,
                   struct err *e)
{
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    plan->is_by_key = strcmp(text, "key") == 0;
    return plan->is_by_key || strcmp(text, "conversation") == 0
               ? 0
               : wrong(field, "\"key\" or \"conversation\"", e);
}

static int read_otherwise(struct canary_plan *plan, const cJSON *item, const char *field,
                          struct err *e)
{
    const char *text = cJSON_GetStringValue(item);
    for (int i = 0; text && i <= CANARY_OTHERWISE_KEEP; i++) {
        if (strcmp(text, otherwise_names[i]) == 0) {
            plan->on_undecided = (enum canary_otherwise)i;
            return 0;
        }
    }
    return wrong(field, "\"rollback\", \"promote\" or \"keep\"", e);
}

/* --- objects --- */

static int check_unique(const cJSON *item, const char *field, struct err *e)
{
    for (const cJSON *other = item->next; other; other = other->next) {
        if (strcmp(other->string, item->string) == 0) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" is there twice", field);
        }
    }
    return 0;
}

static int read_margin(struct canary_plan *plan, const cJSON *item, const char *field,
                       struct err *e)
{
    for (int i = 0; i < CANARY_MEASURE_COUNT; i++) {
        if (strcmp(item->string, measures[i].name) == 0) {
            plan->margins[i] = -1;
            if (cJSON_IsNull(item)) {
                return 0;
            }
            return measures[i].is_share
                       ? read_number(item, field, 0.0, 1.0, &plan->margins[i], e)
                       : read_number(item, field, 1.01, 100.0, &plan->margins[i], e);
        }
    }
    return err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
}

static int read_margins(struct canary_plan *plan, const cJSON *object, const char *field,
                        struct err *e)
{
    char inner[FIELD_MAX];
    if (!cJSON_IsObject(object)) {
        return wrong(field, "an object", e);
    }
    for (const cJSON *item = object->child; item; item = item->next) {
        snprintf(inner, sizeof(inner), "%s.%.40s", field, item->string);
        if (check_unique(item, inner, e) != 0 || read_margin(plan, item, inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_member(struct canary_plan *plan, const cJSON *item, const char *field,
                       struct err *e)
{
    const struct {
        const char *name;
        int min, max;
        int *to;
    } counts[] = {{"min_answers", 20, 1000000, &plan->min_answers},
                  {"max_answers", 20, 1000000, &plan->max_answers},
                  {"looks", 1, CANARY_LOOKS_MAX, &plan->looks},
                  {"max_seconds", 1, 30 * 24 * 60 * 60, &plan->max_seconds},
                  {"errors_in_row", 2, 1000, &plan->errors_in_row}};
    static const struct {
        const char *name;
        int (*read)(struct canary_plan *plan, const cJSON *item, const char *field,
                    struct err *e);
    } others[] = {{"percent", read_percent},
                  {"steps", read_steps},
                  {"by", read_by},
                  {"margins", read_margins},
                  {"on_undecided", read_otherwise}};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (strcmp(item->string, counts[i].name) == 0) {
            return read_count(item, field, counts[i].min, counts[i].max, counts[i].to, e);
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(item->string, others[i].name) == 0) {
            return others[i].read(plan, item, field, e);
        }
    }
    return strcmp(item->string, "alpha") == 0
               ? read_number(item, field, 1e-6, 0.2, &plan->alpha, e)
               : err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
}

/* What fits together. */
static int check(const struct canary_plan *plan, const cJSON *object, const char *prefix,
                 struct err *e)
{
    char field[FIELD_MAX];
    bool both = cJSON_GetObjectItemCaseSensitive(object, "percent") &&
                cJSON_GetObjectItemCaseSensitive(object, "steps");
    snprintf(field, sizeof(field), "%s%s", prefix, both ? "steps" : "max_answers");
    if (both) {
        return wrong(field, "left out where \"percent\" is said", e);
    }
    return plan->max_answers >= plan->min_answers ? 0
                                                  : wrong(field, "\"min_answers\" at least", e);
}

int canary_plan_read(struct canary_plan *plan, const cJSON *object, const char *prefix,
                     const char *skip, struct err *e)
{
    char field[FIELD_MAX];
    for (const cJSON *item = object->child; item; item = item->next) {
        snprintf(field, sizeof(field), "%s%.40s", prefix, item->string);
        if (check_unique(item, field, e) != 0) {
            return -1;
        }
        if (!(skip && strcmp(item->string, skip) == 0) &&
            read_member(plan, item, field, e) != 0) {
            return -1;
        }
    }
    return check(plan, object, prefix, e);
}

/* --- looks --- */

int canary_plan_answers(const struct canary_plan *plan, int look)
{
    if (look >= plan->looks - 1) {
        return plan->max_answers;
    }
    double share = (double)look / (plan->looks - 1);
    return (int)lround(plan->min_answers *
                       pow((double)plan->max_answers / plan->min_answers, share));
}

int canary_plan_due(const struct canary_plan *plan, double answers)
{
    int due = 0;
    while (due < plan->looks && answers >= canary_plan_answers(plan, due)) {
        due++;
    }
    return due;
}

#include "runtime/serve/model_outcomes.h"

#include <string.h>

#include "runtime/serve/model_canary.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"

const char *model_ending_name(enum model_ending ending)
{
    static const char *const names[] = {
#define X(id, name) name,
        MODEL_ENDINGS(X)
#undef X
    };
    return names[ending];
}

static void count(struct metrics *m, const struct generation *g, const struct model_outcome *o)
{
    const char *values[] = {g->model->name, g->model->version, model_ending_name(o->ending)};
    metrics_add(m, SERVER_METRIC_MODEL_ANSWERS, values, 1);
    if (o->is_refusal) {
        metrics_add(m, SERVER_METRIC_MODEL_REFUSALS, values, 1);
    }
    if (o->first_token_s >= 0 && o->tokens > 0) {
        metrics_observe(m, SERVER_METRIC_MODEL_FIRST_TOKEN, values, o->first_token_s);
    }
    if (o->token_s >= 0) {
        metrics_observe(m, SERVER_METRIC_MODEL_TOKEN, values, o->token_s);
    }
    if (o->ending == MODEL_ENDING_COMPLETE || o->ending == MODEL_ENDING_LENGTH) {
        metrics_observe(m, SERVER_METRIC_MODEL_ANSWER_TOKENS, values, (double)o->tokens);
        if (o->entropy >= 0) {
            metrics_observe(m, SERVER_METRIC_MODEL_ANSWER_ENTROPY, values, o->entropy);
        }
    }
}

void model_outcome_note(struct server *s, const struct generation *g,
                        const struct model_outcome *o)
{
    count(s->metrics, g, o);
    const char *name = g->model->name;
    struct model_set *set =
        s->catalog ? model_catalog_find(s->catalog, name, strlen(name)) : NULL;
    if (set && model_set_canary(set)) {
        model_canary_note(model_set_canary(set), g, o);
    }
}

/* model.json, whatever its bytes: it is refused with a message, or all that it holds is within
 * the bounds that its readers count on.
 *
 * Seeds: model.json files as in docs/operations.md. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/registry/model_manifest.h"
#include "runtime/registry/version_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static void check_file(const char *name)
{
    check(!name || (name[0] && name[0] != '.' && !strchr(name, '/')), "a path for a file");
}

static void check_question(const struct model_question *q)
{
    check(!q->prompt == (q->n_turns > 0), "no question");
    check(q->n_turns <= MODEL_GOLDEN_TURNS_MAX, "too many turns");
    check(q->max_tokens >= 1 && q->max_tokens <= MODEL_GOLDEN_TOKENS_MAX,
          "length of an answer");
    for (size_t i = 0; i < q->n_turns; i++) {
        check(length(q->turns[i].role) + length(q->turns[i].content) < SIZE_MAX, "a turn");
    }
}

static void check_gate(const struct model_manifest *m)
{
    const struct model_filter_gate *f = &m->filters;
    check(m->n_golden <= MODEL_GOLDEN_MAX && f->n_prompts <= MODEL_GOLDEN_MAX, "many prompts");
    for (size_t i = 0; i < m->n_golden; i++) {
        const struct model_golden *g = &m->golden[i];
        check_question(&g->question);
        check(g->text || g->has_tokens, "no answer");
        for (size_t k = 0; k < g->n_tokens; k++) {
            check(g->tokens[k] >= 0, "an id of a token");
        }
    }
    for (size_t i = 0; i < f->n_prompts; i++) {
        const struct model_filtered_prompt *p = &f->prompts[i];
        check_question(&p->question);
        check(p->temperature >= 0.0 && p->temperature <= 2.0 && p->seed >= 0, "sampling");
        check(p->verdict >= MODEL_VERDICT_PASS && p->verdict <= MODEL_VERDICT_STOP,
              "a verdict");
    }
    check_file(m->loss_file);
    check(!m->loss_file || isfinite(m->loss_max_increase), "the loss");
    check(isfinite(m->speed_min_ratio), "the speed");
}

static void check_canary(const struct canary_plan *p)
{
    int before = 0;
    check(p->n_steps >= 1 && p->n_steps <= CANARY_STEPS_MAX, "steps");
    for (size_t i = 0; i < p->n_steps; i++) {
        check(p->steps[i] > before && p->steps[i] <= 99, "a step");
        before = p->steps[i];
    }
    check(p->looks >= 1 && p->looks <= CANARY_LOOKS_MAX, "looks");
    check(p->alpha > 0.0 && p->alpha < 1.0, "alpha");
    check(p->min_answers >= 1 && p->max_answers >= p->min_answers, "answers");
    int answers = 0;
    for (int i = 0; i < p->looks; i++) {
        int next = canary_plan_answers(p, i);
        check(next >= answers && next <= p->max_answers, "looks go back");
        answers = next;
    }
    check(canary_plan_due(p, INFINITY) == p->looks, "a look that never comes");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct model_manifest *m = model_manifest_parse((const char *)data, size, &e);
    if (!m) {
        check(e.kind != ERR_NONE && e.message[0], "refused without a reason");
        return 0;
    }
    check_file(m->file);
    check_file(m->template_file);
    check(!m->sha256 || strlen(m->sha256) == HASH_HEX_LEN, "a hash");
    check(m->n_labels <= MODEL_LABELS_MAX, "labels");
    for (size_t i = 0; i < m->n_labels; i++) {
        check(version_name_check(m->labels[i], "label", &e) == 0, "a label's name");
        check(model_manifest_has_label(m, m->labels[i]), "a label that it has not");
    }
    for (int i = 0; i < MODEL_DEFAULT_COUNT; i++) {
        check(isfinite(m->defaults.values[i]), "a default");
    }
    check_gate(m);
    if (m->has_canary) {
        check_canary(&m->canary);
    }
    model_manifest_free(m);
    return 0;
}

#include "runtime/serve/feedback_counts.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"

/* Values of labels; refusals in the order of enum feedback_refusal. */
static const char *const refusals[] = {"unknown_answer", "invalid", "busy", "not_stored"};
static const char deleted_as_asked[] = "asked", deleted_by_limits[] = "retention";

void feedback_counts_begin(struct metrics *metrics)
{
    const char *const deletions[] = {deleted_as_asked, deleted_by_limits};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        metrics_add(metrics, SERVER_METRIC_FEEDBACK_REFUSED, &refusals[i], 0);
    }
    for (size_t i = 0; i < sizeof(deletions) / sizeof(deletions[0]); i++) {
        metrics_add(metrics, SERVER_METRIC_FEEDBACK_DELETED, &deletions[i], 0);
    }
}

void feedback_count_refusal(struct metrics *metrics, enum feedback_refusal why)
{
    metrics_add(metrics, SERVER_METRIC_FEEDBACK_REFUSED, &refusals[why], 1);
}

void feedback_count_deleted(struct metrics *metrics, uint64_t n)
{
    const char *values[] = {deleted_as_asked};
    metrics_add(metrics, SERVER_METRIC_FEEDBACK_DELETED, values, (double)n);
}

void feedback_count_pruned(struct metrics *metrics, uint64_t all)
{
    const char *values[] = {deleted_by_limits};
    metrics_set(metrics, SERVER_METRIC_FEEDBACK_DELETED, values, (double)all);
}

static void count_kind(struct server *s, const struct feedback *f, const char *kind)
{
    char model[sizeof(f->model)];
    snprintf(model, sizeof(model), "%s", f->model);
    char *at = strchr(model, '@');
    const char *values[] = {model, at ? at + 1 : "", kind};
    if (at) {
        *at = '\0';
    }
    metrics_add(s->metrics, SERVER_METRIC_FEEDBACK, values, 1);
}

/* Of all that is said of an answer drift counts what comes first, once it is forgotten. */
static void note_drift(struct remembered_answer *a, bool is_disliked)
{
    if (!a->is_spoken_of) {
        a->is_spoken_of = true;
        a->is_disliked = is_disliked;
    }
}

void feedback_count(struct server *s, struct answer_memory *memory, const struct feedback *f,
                    uint64_t tenant)
{
    if (f->thumb != 0) {
        count_kind(s, f, f->thumb > 0 ? "up" : "down");
    }
    if (f->correction) {
        count_kind(s, f, "correction");
    }
    if (f->over[0]) {
        count_kind(s, f, "preferred");
    }
    uint64_t now_ns = clock_now_ns();
    struct remembered_answer *a = answer_memory_find(memory, f->answer, tenant, now_ns);
    struct remembered_answer *over =
        f->over[0] ? answer_memory_find(memory, f->over, tenant, now_ns) : NULL;
    if (a) { /* else it was forgotten meanwhile */
        note_drift(a, f->thumb < 0 || f->correction);
    }
    if (over && over != a) {
        note_drift(over, true);
    }
}

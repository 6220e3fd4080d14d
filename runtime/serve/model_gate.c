#include "runtime/serve/model_gate.h"

#include <string.h>

#include "models/tokenizer/decoder.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/engine/model_probe.h"
#include "runtime/engine/parallel_team.h"
#include "runtime/serve/low_priority.h"
#include "runtime/serve/model_gate_parts.h"

#define LOSS_BYTES_MAX ((size_t)1 << 20)
#define SPEED_ROUNDS   3
#define SPEED_NS       2000000000u /* of processor time, before a version is too slow */

/* --- golden prompts --- */

static int answer_golden(const struct model_gate *gate, const struct model_golden *q,
                         struct token_list *answer, struct err *e)
{
    struct token_list prompt = {0};
    struct engine_request r = {.max_tokens = q->question.max_tokens,
                               .sampling = SAMPLING_DEFAULT};
    bool reasoning_open;
    r.sampling.temperature = 0.0f;
    int rc = model_gate_tokens(gate->generation, gate->no_prompt, &q->question, &prompt,
                               &reasoning_open, e);
    if (rc == 0) {
        r.prompt = prompt.ids;
        r.n_prompt = prompt.count;
        rc = sampling_bind(&r.sampling, gate->generation->model->tokenizer, e) == 0
                 ? generation_try(gate->generation, &r, answer, e)
                 : -1;
    }
    sampling_deinit(&r.sampling);
    token_list_deinit(&prompt);
    return rc;
}

static size_t same_tokens(const struct model_golden *q, const struct token_list *answer)
{
    size_t n = 0;
    while (n < q->n_tokens && n < answer->count && q->tokens[n] == answer->ids[n]) {
        n++;
    }
    return n;
}

static bool is_right(const struct model_golden *q, const struct token_list *answer,
                     const struct buf *text)
{
    const char *said = text->data ? text->data : "";
    bool same_text = !q->text || (strlen(q->text) == text->len && strcmp(q->text, said) == 0);
    bool same = !q->has_tokens ||
                (answer->count == q->n_tokens && same_tokens(q, answer) == q->n_tokens);
    return same_text && same;
}

/* With what came, so that the owner can see it, and take it over if it is right. */
static void show_wrong(cJSON *list, size_t index, const struct model_golden *q,
                       const struct token_list *answer, const struct buf *text)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "index", (double)index);
    json_add_string_or_null(o, "wanted_text", q->text);
    cJSON_AddStringToObject(o, "text", text->data ? text->data : "");
    if (q->has_tokens) {
        cJSON_AddNumberToObject(o, "same_tokens", (double)same_tokens(q, answer));
    }
    cJSON *tokens = cJSON_AddArrayToObject(o, "tokens");
    for (size_t i = 0; i < answer->count; i++) {
        cJSON_AddItemToArray(tokens, cJSON_CreateNumber(answer->ids[i]));
    }
    cJSON_AddItemToArray(list, o);
}

/* *right: whether the answer is the owner's. */
static int try_golden(const struct model_gate *gate, size_t index, cJSON *wrong, bool *right,
                      struct err *e)
{
    const struct model_golden *q = &gate->generation->manifest->golden[index];
    struct token_list answer = {0};
    struct buf text;
    buf_init(&text, MODEL_GATE_ANSWER_MAX);
    int rc = answer_golden(gate, q, &answer, e);
    if (rc == 0 && decoder_text(gate->generation->model->tokenizer, &answer, &text) != 0) {
        rc = err_nomem(e);
    }
    *right = rc == 0 && is_right(q, &answer, &text);
    if (rc == 0 && !*right && cJSON_GetArraySize(wrong) < MODEL_GATE_SHOWN_MAX) {
        show_wrong(wrong, index, q, &answer, &text);
    }
    buf_deinit(&text);
    token_list_deinit(&answer);
    return rc == 0 ? 0 : err_prefix(e, "gate.golden[%zu]", index);
}

static int run_golden(const struct model_gate *gate, cJSON *report, struct err *e)
{
    size_t n = gate->generation->manifest->n_golden, n_wrong = 0, first = 0;
    if (n == 0) {
        return 0;
    }
    cJSON *part = cJSON_AddObjectToObject(report, "golden");
    cJSON *wrong = cJSON_CreateArray();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        bool right;
        rc = try_golden(gate, i, wrong, &right, e);
        if (rc == 0 && !right) {
            first = n_wrong == 0 ? i : first;
            n_wrong++;
        }
    }
    cJSON_AddBoolToObject(part, "passed", rc == 0 && n_wrong == 0);
    cJSON_AddNumberToObject(part, "prompts", (double)n);
    cJSON_AddNumberToObject(part, "wrong", (double)n_wrong);
    cJSON_AddItemToObject(part, "answers", wrong);
    if (rc == 0 && n_wrong > 0) {
        rc = err_set(e, ERR_INVALID,
                     "gate: %zu of %zu golden prompts were answered otherwise, the first is "
                     "gate.golden[%zu]",
                     n_wrong, n, first);
    }
    return rc;
}

/* --- loss --- */

static int probe_loss(const struct model_gate *gate, const struct model *m,
                      const struct parallel *parallel, const char *text, size_t len,
                      double *loss, struct err *e)
{
    struct model_probe probe;
    if (model_probe_open(&probe, m, gate->settings->cpu_features, parallel, e) != 0) {
        return -1;
    }
    probe.stop = gate->settings->stop;
    int rc = model_probe_loss(&probe, text, len, loss, e);
    model_probe_close(&probe);
    return rc;
}

static int compare_loss(const struct model_gate *gate, cJSON *part, double loss, double serving,
                        struct err *e)
{
    double most = gate->generation->manifest->loss_max_increase;
    double increase = serving > 0 ? loss / serving - 1 : 0.0;
    bool passed = increase <= most;
    cJSON_AddNumberToObject(part, "serving", serving);
    cJSON_AddNumberToObject(part, "increase", increase);
    cJSON_AddBoolToObject(part, "passed", passed);
    return passed ? 0
                  : err_set(e, ERR_INVALID,
                            "gate: the loss on the text is %.4f nats a byte, %.1f %% more than "
                            "the %.4f of the serving version; gate.loss allows %.1f %%",
                            loss, 100 * increase, serving, 100 * most);
}

static int run_loss(const struct model_gate *gate, cJSON *report,
                    const struct parallel *parallel, struct err *e)
{
    double loss, serving;
    size_t len = 0;
    if (!gate->generation->manifest->loss_file) {
        return 0;
    }
    char *text = file_read_regular(gate->loss_path, LOSS_BYTES_MAX, &len, e);
    cJSON *part = cJSON_AddObjectToObject(report, "loss");
    int rc =
        text ? probe_loss(gate, gate->generation->model, parallel, text, len, &loss, e) : -1;
    if (rc == 0) {
        cJSON_AddNumberToObject(part, "nats_per_byte", loss);
        cJSON_AddNumberToObject(part, "max_increase",
                                gate->generation->manifest->loss_max_increase);
    }
    if (rc == 0 && gate->serving) {
        rc = probe_loss(gate, gate->serving->model, parallel, text, len, &serving, e);
        rc = rc == 0 ? compare_loss(gate, part, loss, serving, e) : rc;
    }
    mem_free(text);
    return rc;
}

/* --- speed --- */

static uint64_t fewer(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static double speed_ratio(uint64_t own_ns, uint64_t serving_ns)
{
    return (double)serving_ns / (double)own_ns;
}

static bool is_slow(const struct model_gate *gate, uint64_t own_ns, uint64_t serving_ns)
{
    return speed_ratio(own_ns, serving_ns) < gate->generation->manifest->speed_min_ratio;
}

static int compare_speed(const struct model_gate *gate, cJSON *report, uint64_t own_ns,
                         uint64_t serving_ns, struct err *e)
{
    double least = gate->generation->manifest->speed_min_ratio;
    double ratio = speed_ratio(own_ns, serving_ns);
    cJSON *part = cJSON_AddObjectToObject(report, "speed");
    cJSON_AddBoolToObject(part, "passed", ratio >= least);
    cJSON_AddNumberToObject(part, "step_ms", (double)own_ns / 1e6);
    cJSON_AddNumberToObject(part, "serving_step_ms", (double)serving_ns / 1e6);
    cJSON_AddNumberToObject(part, "ratio", ratio);
    cJSON_AddNumberToObject(part, "min_ratio", least);
    return ratio >= least
               ? 0
               : err_set(e, ERR_INVALID,
                         "gate: its speed is %.2f of the serving version's; gate.speed wants "
                         "%.2f",
                         ratio, least);
}

/* By turns: what shares caches and memory with this thread slows down both. It may slow down
 * one more than the other, so a version that seems too slow is measured longer: its fastest
 * step counts.
 */
static int run_speed(const struct model_gate *gate, cJSON *report, struct err *e)
{
    struct model_probe own, serving = {0};
    uint32_t features = gate->settings->cpu_features;
    uint64_t own_ns = UINT64_MAX, serving_ns = UINT64_MAX;
    if (!(gate->generation->manifest->speed_min_ratio > 0) || !gate->serving) {
        return 0;
    }
    if (model_probe_open(&own, gate->generation->model, features, &parallel_none, e) != 0) {
        return -1;
    }
    int rc = model_probe_open(&serving, gate->serving->model, features, &parallel_none, e);
    uint64_t end_ns = clock_thread_ns() + SPEED_NS;
    for (int i = 0; rc == 0 && (i < SPEED_ROUNDS || (is_slow(gate, own_ns, serving_ns) &&
                                                     clock_thread_ns() < end_ns));
         i++) {
        own_ns = fewer(own_ns, model_probe_step_ns(&own));
        serving_ns = fewer(serving_ns, model_probe_step_ns(&serving));
        rc = generation_is_stopped(gate->generation, e) ? -1 : 0;
    }
    model_probe_close(&serving);
    model_probe_close(&own);
    return rc == 0 ? compare_speed(gate, report, own_ns, serving_ns, e) : rc;
}

/* --- all of it --- */

struct probes {
    const struct model_gate *gate;
    cJSON *report;
    struct err *e;
    int rc;
};

static void run_probes(void *arg)
{
    struct probes *p = arg;
    struct team *team = team_create(p->gate->settings->threads, p->e);
    if (!team) {
        return;
    }
    struct parallel parallel = parallel_team(team);
    if (model_gate_run_filters(p->gate, p->report, p->e) == 0 &&
        run_loss(p->gate, p->report, &parallel, p->e) == 0) {
        p->rc = run_speed(p->gate, p->report, p->e);
    }
    team_destroy(team);
}

int model_gate_run(const struct model_gate *gate, char **report, struct err *e)
{
    const struct model_manifest *m = gate->generation->manifest;
    *report = NULL;
    if (m->n_golden == 0 && m->filters.n_prompts == 0 && !m->loss_file &&
        !(m->speed_min_ratio > 0)) {
        return 0;
    }
    if (!gate->generation->engine) {
        return err_set_param(
            e, ERR_UNSUPPORTED, "gate",
            "\"gate\": the model makes no text; golden prompts, filters, loss and speed "
            "are for models that do");
    }
    uint64_t begin = clock_now_ns();
    cJSON *root = cJSON_CreateObject();
    struct probes probes = {.gate = gate, .report = root, .e = e, .rc = -1};
    if (run_golden(gate, root, e) == 0) {
        low_priority_run(run_probes, &probes); /* answers are being made beside it */
    }
    int rc = probes.rc;
    cJSON_AddBoolToObject(root, "passed", rc == 0);
    cJSON_AddNumberToObject(root, "seconds", (double)(clock_now_ns() - begin) / 1e9);
    size_t len;
    *report = json_text_take(root, &len);
    return rc;
}

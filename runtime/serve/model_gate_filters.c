#include <string.h>

#include "models/tokenizer/decoder.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/serve/answer_text.h"
#include "runtime/serve/model_gate_parts.h"

#define EVENTS_SHOWN_MAX 8
#define TEXT_SHOWN_MAX   400 /* bytes */

/* What a version said to a question, and what the filters made of it. */
struct reading {
    struct token_list prompt, answer;
    struct sampling sampling;
    bool reasoning_open;
    enum model_verdict verdict;
    cJSON *found; /* array of events */
};

/* A question as far as it passes the filters' input side. */
struct asked {
    const struct model_filtered_prompt *watched;
    struct model_question question; /* what is left of it */
    struct model_turn *turns;       /* (n_turns) */
    char **texts;                   /* (n_texts) of the turns, or the prompt */
    size_t n_texts;
    bool is_refused;
    cJSON *found;                /* by the input side */
    struct reading own, serving; /* nothing in them where it is refused */
};

struct trial {
    const struct model_gate *gate;
    const struct model_filter_gate *wanted;
    struct chain *chain;
    struct asked *asked; /* (n) */
    size_t n;
    bool compares;
};

/* --- what filters found --- */

/* What is only recorded is what a filter would do, were it in force. */
static enum model_verdict verdict_of(const struct chain_stream *stream)
{
    static const enum model_verdict of_kind[] = {[CHAIN_NOTE] = MODEL_VERDICT_NOTE,
                                                 [CHAIN_REPLACE] = MODEL_VERDICT_REPLACE,
                                                 [CHAIN_STOP] = MODEL_VERDICT_STOP,
                                                 [CHAIN_FAIL] = MODEL_VERDICT_NOTE};
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    enum model_verdict verdict = MODEL_VERDICT_PASS;
    for (size_t i = 0; i < count; i++) {
        enum model_verdict v = of_kind[events[i].kind];
        verdict = !events[i].is_recorded && v > verdict ? v : verdict;
    }
    return chain_stream_stop(stream) ? MODEL_VERDICT_STOP : verdict;
}

static void show_events(cJSON *list, const struct chain_stream *stream)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    for (size_t i = 0; i < count && cJSON_GetArraySize(list) < EVENTS_SHOWN_MAX; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "filter", events[i].name);
        cJSON_AddStringToObject(o, "kind", chain_event_name(events[i].kind));
        cJSON_AddStringToObject(o, "code", events[i].code);
        cJSON_AddStringToObject(o, "channel", chain_channel_name(events[i].channel));
        if (events[i].is_recorded) {
            cJSON_AddBoolToObject(o, "recorded", true);
        }
        cJSON_AddItemToArray(list, o);
    }
}

/* --- the input side --- */

/* *out: what is left of the text, NULL where it is refused. */
static int filter_input(const struct trial *t, struct asked *a, const char *text, char **out,
                        struct err *e)
{
    struct buf left;
    struct chain_sink sink = chain_sink_buf(&left);
    struct chain_stream *stream = chain_stream_create(t->chain, FILTER_INPUT, e);
    if (!stream) {
        return -1;
    }
    buf_init(&left, SIZE_MAX / 2);
    chain_stream_leave_out_asking(stream);
    int rc = chain_feed(stream, FILTER_CONTENT, text, strlen(text), &sink, e);
    rc = rc == CHAIN_GOES_ON ? chain_finish(stream, &sink, e) : rc;
    size_t len;
    a->is_refused = a->is_refused || rc == CHAIN_STOPPED;
    *out = rc == CHAIN_GOES_ON ? buf_take(&left, &len) : NULL;
    if (rc == CHAIN_GOES_ON && !*out) {
        rc = err_nomem(e);
    }
    show_events(a->found, stream);
    buf_deinit(&left);
    chain_stream_destroy(stream);
    return rc < 0 ? -1 : 0;
}

/* Copies the question with what the filters leave of its texts. */
static int prepare_question(const struct trial *t, struct asked *a, struct err *e)
{
    const struct model_question *q = &a->watched->question;
    size_t n = q->prompt ? 1 : q->n_turns;
    a->question = *q;
    a->found = cJSON_CreateArray();
    a->turns = mem_zarray(n, sizeof(*a->turns));
    a->texts = mem_zarray(n, sizeof(*a->texts));
    if (!a->found || !a->turns || !a->texts) {
        return err_nomem(e);
    }
    for (; a->n_texts < n && !a->is_refused; a->n_texts++) {
        const char *text = q->prompt ? q->prompt : q->turns[a->n_texts].content;
        if (filter_input(t, a, text, &a->texts[a->n_texts], e) != 0) {
            return -1;
        }
        if (q->prompt) {
            a->question.prompt = a->texts[0];
        } else {
            a->turns[a->n_texts] =
                (struct model_turn){q->turns[a->n_texts].role, a->texts[a->n_texts]};
        }
    }
    a->question.turns = a->turns;
    return 0;
}

/* --- answers --- */

static struct reading *reading_of(struct asked *a, bool is_serving)
{
    return is_serving ? &a->serving : &a->own;
}

static int prepare_request(const struct trial *t, const struct generation *g, struct asked *a,
                           struct reading *r, struct engine_trial *out, struct err *e)
{
    const struct model_filtered_prompt *w = a->watched;
    r->sampling = SAMPLING_DEFAULT;
    r->sampling.temperature = (float)w->temperature;
    r->sampling.seed = (uint64_t)w->seed;
    if (model_gate_tokens(g, t->gate->no_prompt, &a->question, &r->prompt, &r->reasoning_open,
                          e) != 0 ||
        sampling_bind(&r->sampling, g->model->tokenizer, e) != 0) {
        return -1;
    }
    *out = (struct engine_trial){.request = {.prompt = r->prompt.ids,
                                             .n_prompt = r->prompt.count,
                                             .max_tokens = w->question.max_tokens,
                                             .sampling = r->sampling},
                                 .answer = &r->answer};
    return 0;
}

static int run_own(const struct trial *t, struct engine_trial *trials, size_t n, struct err *e)
{
    return generation_try_all(t->gate->generation, trials, n, e);
}

static void wake_worker(void *bell)
{
    engine_trial_wake(bell);
}

/* The serving version's engine is the loop's: its weights get another one for the time. One
 * context's memory is enough, for how much runs at once changes no answer. */
static int run_serving(const struct trial *t, struct engine_trial *trials, size_t n,
                       struct err *e)
{
    const struct generation_settings *set = t->gate->settings;
    const struct generation *g = t->gate->serving;
    struct engine_trial_bell bell;
    if (set->ranks) {
        return err_set(e, ERR_UNSUPPORTED,
                       "a model that is shared out among ranks has no second engine to compare "
                       "answers with the serving version's; leave that out of the gate");
    }
    if (engine_trial_bell_init(&bell) != 0) {
        return err_nomem(e);
    }
    const struct engine_settings settings = {.threads = set->threads,
                                             .context = engine_context(g->engine),
                                             .max_sequences = set->max_sequences,
                                             .max_waiting = set->max_waiting,
                                             .kv_bytes = 1,
                                             .step_tokens = set->step_tokens,
                                             .step_ms = set->step_ms,
                                             .guesses = set->guesses,
                                             .kv_type = set->kv_type,
                                             .cpu_features = set->cpu_features,
                                             .notify = wake_worker,
                                             .notify_ctx = &bell};
    struct engine *en = engine_create(g->model, &settings, e);
    int rc = en ? engine_trial_run(en, &bell, trials, n, set->stop, e) : -1;
    engine_destroy(en);
    engine_trial_bell_deinit(&bell);
    return rc;
}

static void ignore_piece(void *user, const struct answer_piece *piece)
{
    (void)user;
    (void)piece;
}

/* As an answer to a client goes through them. */
static int filter_answer(const struct trial *t, const struct generation *g,
                         const struct asked *a, struct reading *r, struct err *e)
{
    struct answer_choice choice;
    struct answer_text text;
    answer_choice_init(&choice);
    const struct answer_text_settings set = {.tokenizer = g->model->tokenizer,
                                             .chain = t->chain,
                                             .prompt = t->gate->no_prompt->text,
                                             .prompt_len = t->gate->no_prompt->text_len,
                                             .format = a->question.prompt ? NULL : &g->format,
                                             .reasoning_open = r->reasoning_open,
                                             .choice = &choice,
                                             .piece = ignore_piece,
                                             .leaves_out_asking = true};
    int rc = answer_text_init(&text, &set, e);
    for (size_t i = 0; rc == 0 && i < r->answer.count; i++) {
        const struct answer_token token = {.token = r->answer.ids[i]};
        rc = answer_text_feed(&text, &token, NULL, 0, e);
    }
    rc = rc == 0 ? answer_text_finish(&text, e) : rc;
    r->found = cJSON_CreateArray();
    if (rc == 0) {
        r->verdict = verdict_of(text.filters);
        show_events(r->found, text.filters);
    }
    answer_text_deinit(&text);
    answer_choice_deinit(&choice);
    return rc;
}

/* One version's answers to all questions that are not refused. */
static int read_answers(const struct trial *t, bool is_serving, struct err *e)
{
    const struct generation *g = is_serving ? t->gate->serving : t->gate->generation;
    struct engine_trial *trials = mem_zarray(t->n, sizeof(*trials));
    size_t n = 0;
    int rc = trials ? 0 : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct asked *a = &t->asked[i];
        if (!a->is_refused) {
            rc = prepare_request(t, g, a, reading_of(a, is_serving), &trials[n++], e);
            rc = rc == 0 ? 0 : err_prefix(e, "gate.filters.prompts[%zu]", i);
        }
    }
    if (rc == 0) {
        rc = is_serving ? run_serving(t, trials, n, e) : run_own(t, trials, n, e);
    }
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct asked *a = &t->asked[i];
        rc = a->is_refused ? 0 : filter_answer(t, g, a, reading_of(a, is_serving), e);
    }
    mem_free(trials);
    return rc;
}

/* --- what is expected --- */

/* A message that does not get through is an answer that was stopped. */
static enum model_verdict outcome(const struct asked *a)
{
    return a->is_refused ? MODEL_VERDICT_STOP : a->own.verdict;
}

static bool is_wrong(const struct asked *a)
{
    return a->watched->has_verdict && outcome(a) != a->watched->verdict;
}

/* Of what the client wrote no version can help it. */
static bool is_flagged(const struct trial *t, const struct asked *a, bool is_serving)
{
    const struct reading *r = is_serving ? &a->serving : &a->own;
    return !a->is_refused && r->verdict >= t->wanted->flagged_from;
}

static int count_flagged(const struct trial *t, bool is_serving)
{
    int n = 0;
    for (size_t i = 0; i < t->n; i++) {
        n += is_flagged(t, &t->asked[i], is_serving);
    }
    return n;
}

static int check_verdicts(const struct trial *t, cJSON *part, struct err *e)
{
    size_t n_wrong = 0, first = 0;
    for (size_t i = t->n; i-- > 0;) {
        if (is_wrong(&t->asked[i])) {
            n_wrong++;
            first = i;
        }
    }
    cJSON_AddNumberToObject(part, "wrong", (double)n_wrong);
    return n_wrong == 0
               ? 0
               : err_set(e, ERR_INVALID,
                         "gate: filters gave %zu of %zu answers another verdict than is "
                         "wanted, the first is gate.filters.prompts[%zu]: \"%s\", not \"%s\"",
                         n_wrong, t->n, first, model_verdict_name(outcome(&t->asked[first])),
                         model_verdict_name(t->asked[first].watched->verdict));
}

static int check_flagged(const struct trial *t, cJSON *part, struct err *e)
{
    int flagged = count_flagged(t, false), most = t->wanted->max_flagged;
    cJSON_AddNumberToObject(part, "flagged", flagged);
    if (most < 0) {
        return 0;
    }
    cJSON_AddNumberToObject(part, "max_flagged", most);
    return flagged <= most
               ? 0
               : err_set(e, ERR_INVALID,
                         "gate: filters flag %d of %zu answers; gate.filters.max_flagged "
                         "allows %d",
                         flagged, t->n, most);
}

static int check_more(const struct trial *t, cJSON *part, struct err *e)
{
    int own = count_flagged(t, false), more = t->wanted->max_more;
    if (more >= 0) {
        cJSON_AddNumberToObject(part, "max_more", more);
    }
    if (!t->compares) {
        return 0;
    }
    int serving = count_flagged(t, true);
    cJSON_AddNumberToObject(part, "serving_flagged", serving);
    return own <= serving + more
               ? 0
               : err_set(e, ERR_INVALID,
                         "gate: filters flag %d of %zu answers, and %d of the serving "
                         "version's; gate.filters.max_more allows %d more",
                         own, t->n, serving, more);
}

/* --- the report --- */

static void add_text(cJSON *o, const struct trial *t, const struct reading *r)
{
    struct buf text;
    buf_init(&text, MODEL_GATE_ANSWER_MAX);
    if (decoder_text(t->gate->generation->model->tokenizer, &r->answer, &text) == 0) {
        if (text.len > TEXT_SHOWN_MAX) {
            text.data[utf8_valid_prefix(text.data, TEXT_SHOWN_MAX)] = '\0';
        }
        cJSON_AddStringToObject(o, "text", text.data ? text.data : "");
    }
    buf_deinit(&text);
}

static void show_answer(cJSON *list, const struct trial *t, size_t index)
{
    struct asked *a = &t->asked[index];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "index", (double)index);
    cJSON_AddStringToObject(o, "verdict", model_verdict_name(outcome(a)));
    if (a->watched->has_verdict) {
        cJSON_AddStringToObject(o, "wanted_verdict", model_verdict_name(a->watched->verdict));
    }
    if (t->compares && !a->is_refused) {
        cJSON_AddStringToObject(o, "serving_verdict", model_verdict_name(a->serving.verdict));
    }
    cJSON_AddBoolToObject(o, "refused", a->is_refused);
    cJSON **found = a->is_refused ? &a->found : &a->own.found;
    cJSON_AddItemToObject(o, "found", *found);
    *found = NULL;
    if (!a->is_refused) {
        add_text(o, t, &a->own);
    }
    cJSON_AddItemToArray(list, o);
}

static void show_left_out(cJSON *part, const struct chain *chain)
{
    cJSON *list = cJSON_AddArrayToObject(part, "left_out");
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (chain_filter_asks(chain, i)) {
            cJSON_AddItemToArray(list, cJSON_CreateString(chain_filter_name(chain, i)));
        }
    }
}

static void show_counts(cJSON *part, const struct trial *t)
{
    int counts[MODEL_VERDICT_STOP + 1] = {0}, refused = 0;
    for (size_t i = 0; i < t->n; i++) {
        refused += t->asked[i].is_refused;
        counts[outcome(&t->asked[i])]++;
    }
    cJSON_AddNumberToObject(part, "prompts", (double)t->n);
    cJSON_AddNumberToObject(part, "refused", refused);
    cJSON *verdicts = cJSON_AddObjectToObject(part, "verdicts");
    for (int i = MODEL_VERDICT_PASS; i <= MODEL_VERDICT_STOP; i++) {
        cJSON_AddNumberToObject(verdicts, model_verdict_name((enum model_verdict)i), counts[i]);
    }
}

/* All expectations are looked at, so that the report is whole; the first that fails is told. */
static int conclude(const struct trial *t, cJSON *part, struct err *e)
{
    struct err found = {0};
    int (*const checks[])(const struct trial *, cJSON *,
                          struct err *) = {check_verdicts, check_flagged, check_more};
    show_counts(part, t);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct err other = {0};
        checks[i](t, part, found.kind == ERR_NONE ? &found : &other);
    }
    cJSON_AddBoolToObject(part, "passed", found.kind == ERR_NONE);
    cJSON *list = cJSON_AddArrayToObject(part, "answers");
    for (size_t i = 0; i < t->n && cJSON_GetArraySize(list) < MODEL_GATE_SHOWN_MAX; i++) {
        if (is_wrong(&t->asked[i]) || t->asked[i].is_refused ||
            is_flagged(t, &t->asked[i], false)) {
            show_answer(list, t, i);
        }
    }
    *e = found.kind == ERR_NONE ? *e : found;
    return found.kind == ERR_NONE ? 0 : -1;
}

/* --- all of it --- */

static void reading_deinit(struct reading *r)
{
    token_list_deinit(&r->prompt);
    token_list_deinit(&r->answer);
    sampling_deinit(&r->sampling);
    cJSON_Delete(r->found);
}

static void release(struct trial *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct asked *a = &t->asked[i];
        for (size_t k = 0; k < a->n_texts; k++) {
            mem_free(a->texts[k]);
        }
        mem_free(a->texts);
        mem_free(a->turns);
        cJSON_Delete(a->found);
        reading_deinit(&a->own);
        reading_deinit(&a->serving);
    }
    mem_free(t->asked);
}

static int ask_all(struct trial *t, struct err *e)
{
    t->asked = mem_zarray(t->wanted->n_prompts, sizeof(*t->asked));
    if (!t->asked) {
        return err_nomem(e);
    }
    t->n = t->wanted->n_prompts;
    for (size_t i = 0; i < t->n; i++) {
        t->asked[i].watched = &t->wanted->prompts[i];
        if (prepare_question(t, &t->asked[i], e) != 0) {
            return err_prefix(e, "gate.filters.prompts[%zu]", i);
        }
    }
    if (read_answers(t, false, e) != 0) {
        return -1;
    }
    return t->compares ? read_answers(t, true, e) : 0;
}

int model_gate_run_filters(const struct model_gate *gate, cJSON *report, struct err *e)
{
    const struct model_filter_gate *wanted = &gate->generation->manifest->filters;
    if (wanted->n_prompts == 0) {
        return 0;
    }
    struct trial t = {.gate = gate,
                      .wanted = wanted,
                      .chain = model_gate_chains_find(gate->chains, wanted->chain, e),
                      .compares = wanted->max_more >= 0 && gate->serving};
    if (!t.chain) {
        return -1;
    }
    cJSON *part = cJSON_AddObjectToObject(report, "filters");
    cJSON_AddStringToObject(part, "chain", chain_name(t.chain));
    cJSON_AddStringToObject(part, "sha256", chain_hash(t.chain));
    show_left_out(part, t.chain);
    int rc = ask_all(&t, e);
    if (rc == 0) {
        rc = conclude(&t, part, e);
    } else {
        cJSON_AddBoolToObject(part, "passed", false);
    }
    release(&t);
    return rc;
}

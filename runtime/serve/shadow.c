#include "runtime/serve/shadow.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/fnv.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/registry/traffic_plan.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/exchange_parts.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/text_match.h"

#define AHEAD_BYTES_MAX ((size_t)16 << 20) /* that one answer may have more than the other */
#define COPY_S          600                /* that a copy may take */
#define COPY_PRIORITY   1000

/* No API key's number, so that nobody shares a turn or a cache with the copies. */
#define COPY_TENANT 0x5348414457u

struct shadows {
    struct server *server;
    struct chain *no_filters;
    struct shadow *copies; /* that count */
    int n_copies;
    struct shadow_report report;
};

struct side {
    struct decoder decoder;
    size_t tokens;
    uint64_t first_ns, last_ns; /* when the first and the last token came */
    const char *finish;         /* NULL: it goes on */
};

struct shadow {
    struct engine_user user; /* first */
    struct shadows *all;     /* NULL: its outcome is counted, or nobody wants to know */
    struct shadow *next, **link;
    struct exchange *exchange;     /* NULL once it is gone; then `request` is the copy's */
    struct answer_request request; /* owned then */
    struct generation *generation;
    struct prompt *prompt;
    struct grammar *grammar; /* or NULL */
    int max_tokens;
    char request_id[SHADOW_REQUEST_ID];
    const char *stops[ANSWER_STOP_MAX]; /* of the request, which may move */
    const char *tools[TOOLS_MAX];
    size_t n_tools;
    bool has_format;     /* not all text is content */
    bool reasoning_open; /* as the real prompt ends */

    uv_work_t work; /* makes the tokens */
    struct token_list tokens;
    bool copy_open; /* reasoning_open of the copy's prompt */
    int rc;
    struct err e;
    bool is_rendering;

    uint64_t engine_id;
    bool is_running;
    bool text_begun;
    struct answer_text text;
    struct answer_choice answer;

    struct side sides[SHADOW_SIDES];
    bool is_cut;
    struct text_match match;
    struct buf scratch;
};

/* --- all of them --- */

struct shadows *shadows_create(struct server *s, struct err *e)
{
    static const char none[] = "{\"name\":\"none\",\"filters\":[]}";
    struct shadows *all = mem_zalloc(sizeof(*all));
    if (!all) {
        err_nomem(e);
        return NULL;
    }
    all->server = s;
    all->no_filters = chain_from_json(none, sizeof(none) - 1, NULL, e);
    if (!all->no_filters) {
        mem_free(all);
        return NULL;
    }
    return all;
}

void shadows_begin(struct shadows *all, struct generation *g)
{
    all->report = (struct shadow_report){.since = clock_unix_s()};
    snprintf(all->report.version, sizeof(all->report.version), "%.*s", VERSION_NAME_MAX,
             g->model->version);
}

const struct shadow_report *shadows_report(const struct shadows *all)
{
    return &all->report;
}

/* --- one --- */

/* Once nothing points to it. */
static void destroy_if_done(struct shadow *sh)
{
    if (sh->all || sh->is_rendering || sh->is_running) {
        return;
    }
    if (sh->exchange) {
        sh->exchange->shadow = NULL;
    } else {
        answer_request_deinit(&sh->request);
    }
    if (sh->text_begun) {
        answer_text_deinit(&sh->text);
    }
    answer_choice_deinit(&sh->answer);
    token_list_deinit(&sh->tokens);
    text_match_deinit(&sh->match);
    buf_deinit(&sh->scratch);
    grammar_release(sh->grammar);
    prompt_unref(sh->prompt);
    generation_unref(sh->generation);
    mem_free(sh);
}

/* It counts no more; what still runs is cancelled. */
static void leave(struct shadow *sh)
{
    *sh->link = sh->next;
    if (sh->next) {
        sh->next->link = sh->link;
    }
    sh->all->n_copies--;
    sh->all = NULL;
    if (sh->is_running) {
        engine_cancel(sh->generation->engine, sh->engine_id);
    }
}

static void count(struct shadows *all, const struct generation *g, enum shadow_outcome outcome)
{
    const char *values[] = {g->model->name, g->model->version, shadow_outcome_name(outcome)};
    metrics_add(all->server->metrics, SERVER_METRIC_SHADOW_COPIES, values, 1);
    all->report.counts[outcome]++;
}

static void conclude(struct shadow *sh, enum shadow_outcome outcome)
{
    if (sh->all) {
        count(sh->all, sh->generation, outcome);
        leave(sh);
    }
}

void shadows_end(struct shadows *all)
{
    while (all->copies) {
        struct shadow *sh = all->copies;
        conclude(sh, SHADOW_ABANDONED);
        destroy_if_done(sh);
    }
}

void shadows_destroy(struct shadows *all)
{
    if (all) {
        shadows_end(all);
        chain_unref(all->no_filters);
        mem_free(all);
    }
}

/* --- the comparison --- */

static double rate_of(const struct side *s)
{
    return s->tokens > 1 && s->last_ns > s->first_ns
               ? (double)(s->tokens - 1) / ((double)(s->last_ns - s->first_ns) / 1e9)
               : 0.0;
}

static bool has_same_text(const struct shadow *sh)
{
    const size_t *len = sh->match.len;
    return !sh->match.differs && (sh->is_cut ? len[SHADOW_COPY] >= len[SHADOW_REAL]
                                             : len[SHADOW_COPY] == len[SHADOW_REAL]);
}

static void note(struct shadow_report *r, const struct shadow *sh, bool same_text,
                 bool same_finish)
{
    struct shadow_comparison *c = &r->ring[r->n_compared++ % SHADOW_RING];
    *c = (struct shadow_comparison){.at = clock_unix_s(),
                                    .is_identical = same_text && same_finish,
                                    .is_cut = sh->is_cut,
                                    .first_difference = sh->match.same};
    snprintf(c->request, sizeof(c->request), "%s", sh->request_id);
    for (int i = 0; i < SHADOW_SIDES; i++) {
        const struct side *s = &sh->sides[i];
        double rate = rate_of(s);
        c->sides[i].bytes = sh->match.len[i];
        c->sides[i].tokens = s->tokens;
        c->sides[i].finish = s->finish;
        c->sides[i].tokens_per_s = rate;
        r->sums[i].bytes += (double)sh->match.len[i];
        r->sums[i].tokens += (double)s->tokens;
        r->sums[i].rate += rate;
        r->sums[i].n_rates += rate > 0.0;
    }
    r->same_finish += same_finish;
}

/* Both have ended. */
static void compare(struct shadow *sh)
{
    bool same_text = has_same_text(sh);
    bool same_finish =
        sh->is_cut || strcmp(sh->sides[SHADOW_REAL].finish, sh->sides[SHADOW_COPY].finish) == 0;
    if (sh->match.out_of_memory) {
        conclude(sh, SHADOW_FAILED);
        return;
    }
    note(&sh->all->report, sh, same_text, same_finish);
    conclude(sh, same_text && same_finish ? SHADOW_IDENTICAL : SHADOW_DIFFERENT);
}

static void take_text(struct shadow *sh, int side)
{
    text_match_feed(&sh->match, side, sh->scratch.data ? sh->scratch.data : "",
                    sh->scratch.len);
    sh->match.out_of_memory = sh->match.out_of_memory || sh->scratch.failed;
    buf_clear(&sh->scratch);
}

static void take_token(struct shadow *sh, int side, int32_t token)
{
    struct side *s = &sh->sides[side];
    s->last_ns = clock_now_ns();
    s->first_ns = s->tokens == 0 ? s->last_ns : s->first_ns;
    s->tokens++;
    (void)decoder_feed(&s->decoder, token, &sh->scratch); /* scratch.failed */
    take_text(sh, side);
}

static void take_end(struct shadow *sh, int side, const char *finish)
{
    (void)decoder_flush(&sh->sides[side].decoder, &sh->scratch);
    take_text(sh, side);
    sh->sides[side].finish = finish;
    if (sh->sides[SHADOW_REAL].finish && sh->sides[SHADOW_COPY].finish) {
        compare(sh);
    }
}

/* --- the real answer --- */

void shadow_take_token(struct shadow *sh, int32_t token)
{
    if (sh && sh->all) {
        take_token(sh, SHADOW_REAL, token);
    }
}

void shadow_take_end(struct shadow *sh, const char *finish, bool is_cut)
{
    if (sh && sh->all) {
        sh->is_cut = is_cut;
        take_end(sh, SHADOW_REAL, finish);
        destroy_if_done(sh);
    }
}

void shadow_leave(struct shadow *sh)
{
    if (sh && !sh->sides[SHADOW_REAL].finish) {
        conclude(sh, SHADOW_ABANDONED);
        destroy_if_done(sh);
    }
}

bool shadow_needs_exchange(const struct shadow *sh)
{
    return sh && sh->is_rendering;
}

void shadow_outlive(struct shadow *sh)
{
    if (sh) {
        sh->request = sh->exchange->request;
        sh->exchange->request = (struct answer_request){0};
        sh->exchange = NULL;
    }
}

/* --- the copy's answer --- */

static void ignore_piece(void *user, const struct answer_piece *piece)
{
    (void)user;
    (void)piece;
}

static void copy_token(struct shadow *sh, int32_t id)
{
    struct err e = {0};
    const struct answer_token token = {.token = id};
    take_token(sh, SHADOW_COPY, id);
    if (answer_text_feed(&sh->text, &token, NULL, 0, &e) != 0) {
        conclude(sh, SHADOW_FAILED);
    } else if (sh->text.has_ended) {
        engine_cancel(sh->generation->engine, sh->engine_id);
        take_end(sh, SHADOW_COPY,
                 reply_finish_name(answer_text_finish_as(&sh->text, ANSWER_FINISH_STOP)));
    }
}

static void copy_end(struct shadow *sh, enum engine_finish finish)
{
    struct err e = {0};
    bool is_whole = finish == ENGINE_FINISH_EOG || finish == ENGINE_FINISH_LENGTH;
    if (!is_whole || answer_text_finish(&sh->text, &e) != 0) {
        conclude(sh, SHADOW_FAILED);
        return;
    }
    enum answer_finish as =
        finish == ENGINE_FINISH_LENGTH ? ANSWER_FINISH_LENGTH : ANSWER_FINISH_STOP;
    take_end(sh, SHADOW_COPY, reply_finish_name(answer_text_finish_as(&sh->text, as)));
}

static void on_event(struct engine_user *user, const struct engine_event *ev)
{
    struct shadow *sh = (struct shadow *)user;
    sh->is_running = ev->finish == ENGINE_RUNNING;
    if (sh->all && !sh->sides[SHADOW_COPY].finish && ev->token != TOKEN_NONE) {
        copy_token(sh, ev->token);
    }
    if (sh->all && !sh->sides[SHADOW_COPY].finish && ev->finish != ENGINE_RUNNING) {
        copy_end(sh, ev->finish);
    }
    destroy_if_done(sh);
}

/* --- its beginning --- */

static const struct answer_request *request_of(const struct shadow *sh)
{
    return sh->exchange ? &sh->exchange->request : &sh->request;
}

static void render_on_worker(uv_work_t *work)
{
    struct shadow *sh = work->data;
    const struct answer_request *q = request_of(sh);
    struct prompt_value values[ANSWER_VARIABLES_MAX];
    const struct answer_prompt_source source = {.generation = sh->generation,
                                                .prompt = sh->prompt,
                                                .values = values,
                                                .n_values = answer_prompt_values(q, values),
                                                .request = q};
    sh->rc = answer_prompt_tokens(&source, 0, &sh->tokens, &sh->copy_open, &sh->e);
}

static int begin_text(struct shadow *sh, bool reasoning_open, struct err *e)
{
    const struct answer_text_settings set = {.tokenizer = sh->generation->model->tokenizer,
                                             .stops = sh->stops,
                                             .n_stops = request_of(sh)->n_stop,
                                             .chain = sh->all->no_filters,
                                             .prompt = "",
                                             .format = sh->has_format ? &sh->generation->format
                                                                      : NULL,
                                             .tools = sh->tools,
                                             .n_tools = sh->n_tools,
                                             .reasoning_open = reasoning_open,
                                             .choice = &sh->answer,
                                             .piece = ignore_piece,
                                             .user = sh};
    sh->text_begun = true;
    return answer_text_init(&sh->text, &set, e);
}

/* Sampling of the request for the copy's vocabulary; *own is to be released. */
static int bind_sampling(const struct shadow *sh, struct sampling *out, uint32_t **own,
                         struct err *e)
{
    *out = request_of(sh)->sampling;
    out->dry.breaks = NULL;
    out->dry.n_words = 0;
    int rc = sampling_bind(out, sh->generation->model->tokenizer, e);
    *own = out->dry.breaks;
    return rc;
}

static int submit(struct shadow *sh, struct err *e)
{
    const struct answer_request *q = request_of(sh);
    struct sampling sampling;
    uint32_t *breaks = NULL;
    struct engine_request r = {
        .prompt = sh->tokens.ids,
        .n_prompt = sh->tokens.count,
        .max_tokens = sh->max_tokens,
        .options = {.tenant = COPY_TENANT,
                    .salt = COPY_TENANT,
                    .priority = COPY_PRIORITY,
                    .deadline_ns = clock_now_ns() + (uint64_t)COPY_S * 1000000000,
                    .ignore_eog = q->ignore_eos},
        .user = sh,
    };
    int rc = bind_sampling(sh, &sampling, &breaks, e);
    r.sampling = sampling;
    if (rc == 0 && sh->grammar) {
        r.constraint = grammar_matcher_create(sh->grammar, sh->generation->vocab, e);
        rc = r.constraint ? 0 : -1;
    }
    if (rc == 0) {
        rc = engine_submit(sh->generation->engine, &r, &sh->engine_id, e);
    }
    mem_free(breaks);
    sh->is_running = rc == 0;
    return rc;
}

static void start(struct shadow *sh)
{
    struct err e = sh->e;
    if (sh->grammar && sh->copy_open != sh->reasoning_open) {
        conclude(sh, SHADOW_SKIPPED);
    } else if (sh->rc != 0 || begin_text(sh, sh->copy_open, &e) != 0 || submit(sh, &e) != 0) {
        log_debug("request %s: no copy of it: %s", sh->request_id, e.message);
        conclude(sh, e.kind == ERR_BUSY ? SHADOW_DROPPED : SHADOW_FAILED);
    }
    token_list_deinit(&sh->tokens);
}

static void after_rendering(uv_work_t *work, int status)
{
    struct shadow *sh = work->data;
    struct exchange *x = sh->exchange;
    (void)status; /* it is never cancelled */
    sh->is_rendering = false;
    if (sh->all) {
        start(sh);
    }
    destroy_if_done(sh);
    exchange_release(x);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether a form that was compiled for the one is right for the other. */
static bool writes_alike(const struct output_format *a, const struct output_format *b)
{
    return a->calls == b->calls && a->call_ids == b->call_ids &&
           is_same_text(a->think_open, b->think_open) &&
           is_same_text(a->think_close, b->think_close);
}

static void join(struct shadow *sh, struct shadows *all)
{
    sh->all = all;
    sh->next = all->copies;
    sh->link = &all->copies;
    if (sh->next) {
        sh->next->link = &sh->next;
    }
    all->copies = sh;
    all->n_copies++;
}

static struct shadow *create(struct exchange *x, struct generation *g)
{
    struct shadow *sh = mem_zalloc(sizeof(*sh));
    if (!sh) {
        return NULL;
    }
    sh->user.on_event = on_event;
    sh->exchange = x;
    sh->generation = generation_ref(g);
    sh->prompt = prompt_ref(x->prompt);
    sh->n_tools = x->n_tools;
    sh->has_format = x->form.form.format != NULL;
    sh->reasoning_open = x->form.form.reasoning_open;
    memcpy(sh->stops, x->request.stop, sizeof(sh->stops));
    memcpy(sh->tools, x->tools, sizeof(sh->tools));
    snprintf(sh->request_id, sizeof(sh->request_id), "%s", http_exchange_request(x->http)->id);
    answer_choice_init(&sh->answer);
    buf_init(&sh->scratch, AHEAD_BYTES_MAX);
    text_match_init(&sh->match, AHEAD_BYTES_MAX);
    decoder_init(&sh->sides[SHADOW_REAL].decoder, x->generation->model->tokenizer);
    decoder_init(&sh->sides[SHADOW_COPY].decoder, g->model->tokenizer);
    return sh;
}

/* The version on which this request is to run as well, or NULL. */
static struct generation *wanted(const struct exchange *x, const struct model_traffic *t)
{
    /* By the request and not by the caller, so that a small share shows all kinds of them. */
    uint64_t request = fnv64(FNV64_BASIS, x->reply.id, strlen(x->reply.id));
    bool is_wanted = t->shadow.generation && x->generation == model_set_serving(t->set) &&
                     !x->server->stopping &&
                     traffic_plan_takes("shadow", request, t->shadow.percent);
    return is_wanted ? t->shadow.generation : NULL;
}

void shadow_begin(struct exchange *x, int max_tokens, struct grammar *grammar)
{
    const char *name = x->generation->model->name;
    const struct model_catalog *catalog = x->server->catalog;
    struct model_set *set = catalog ? model_catalog_find(catalog, name, strlen(name)) : NULL;
    if (!set || x->adapter) { /* the copy would be of the base model alone */
        return;
    }
    const struct model_traffic *t = model_set_traffic(set);
    struct generation *g = wanted(x, t);
    if (!g) {
        return;
    }
    if (t->shadows->n_copies == SHADOW_COPIES_MAX) {
        count(t->shadows, g, SHADOW_DROPPED);
        return;
    }
    if (grammar && x->form.form.format && !writes_alike(&x->generation->format, &g->format)) {
        count(t->shadows, g, SHADOW_SKIPPED);
        return;
    }
    struct shadow *sh = create(x, g);
    if (!sh) {
        count(t->shadows, g, SHADOW_FAILED);
        return;
    }
    sh->grammar = grammar ? grammar_retain(grammar) : NULL;
    sh->max_tokens = max_tokens;
    sh->work.data = sh;
    sh->is_rendering = true;
    x->shadow = sh;
    join(sh, t->shadows);
    if (uv_queue_work(&x->server->loop, &sh->work, render_on_worker, after_rendering) != 0) {
        sh->is_rendering = false;
        conclude(sh, SHADOW_FAILED);
        destroy_if_done(sh);
    }
}

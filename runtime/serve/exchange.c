#include "runtime/serve/exchange.h"

#include "runtime/api/anthropic_request.h"
#include "runtime/api/chat_request.h"
#include "runtime/api/completion_request.h"
#include "runtime/api/responses_request.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/serve/conversation.h"
#include "runtime/serve/exchange_parts.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/respond.h"

const struct exchange_api exchange_chat = {chat_request_parse, &reply_chat, "messages"};
const struct exchange_api exchange_completion = {completion_request_parse, &reply_completion,
                                                 "prompt"};
const struct exchange_api exchange_responses = {responses_request_parse, &reply_responses,
                                                "input"};
const struct exchange_api exchange_anthropic = {anthropic_request_parse, &reply_anthropic,
                                                "messages"};

/* --- beginning and end --- */

static struct exchange *exchange_create(struct server *s, struct http_exchange *http,
                                        const struct exchange_api *api)
{
    struct exchange *x = mem_zalloc(sizeof(*x));
    if (!x) {
        return NULL;
    }
    x->http = http;
    x->server = s;
    x->api = api;
    x->next = s->exchanges;
    x->link = &s->exchanges;
    if (x->next) {
        x->next->link = &x->next;
    }
    s->exchanges = x;
    x->reply = (struct reply){.format = api->format,
                              .request = &x->request,
                              .usage = &x->usage,
                              .created = clock_unix_s(),
                              .fingerprint = x->made_by.fingerprint,
                              .event = exchange_send_event,
                              .event_ctx = x};
    char parent[TRACE_PARENT_LEN + 1];
    request_watch_parent(http, parent);
    filter_outside_trace(&x->outside, &s->outside, parent);
    unique_id(x->reply.id, sizeof(x->reply.id), api->format->id_prefix);
    http_exchange_set_data(http, x);
    return x;
}

static void destroy(struct exchange *x)
{
    access_charge_tokens(&x->server->set.access, x->tenant, x->usage.completion_tokens);
    *x->link = x->next;
    if (x->next) {
        x->next->link = x->link;
    }
    for (size_t i = 0; i < x->n_choices; i++) {
        if (x->choices[i].text_begun) {
            answer_text_deinit(&x->choices[i].text);
        }
        answer_choice_deinit(&x->answers[i]);
    }
    for (size_t i = 0; i < x->n_prompts; i++) {
        token_list_deinit(&x->prompts[i]);
    }
    moderation_result_deinit(&x->found_input);
    moderation_result_deinit(&x->found_output);
    mem_free(x->moderation);
    mem_free(x->prompts);
    mem_free(x->choices);
    mem_free(x->answers);
    input_texts_deinit(&x->input_texts);
    shadow_outlive(x->shadow);
    answer_request_deinit(&x->request);
    chain_unref(x->chain);
    prompt_unref(x->prompt);
    generation_unref(x->generation);
    mem_free(x);
}

void exchange_release(struct exchange *x)
{
    for (size_t i = 0; i < x->n_choices; i++) {
        if (x->choices[i].engine_running) {
            return;
        }
    }
    if (!x->http && !x->working && !shadow_needs_exchange(x->shadow)) {
        destroy(x);
    }
}

static void stop_engine(struct choice *c)
{
    if (c->engine_running) {
        engine_cancel(c->exchange->generation->engine, c->engine_id);
    }
}

/* What the filters did to the answers becomes metrics and findings. */
static void record_filters(struct exchange *x)
{
    const struct filter_origin origin = {x->server, x->http, x->reply.id};
    if (x->n_choices == 0 || !chain_has_side(x->chain, FILTER_OUTPUT)) {
        return;
    }
    for (size_t i = 0; i < x->n_choices; i++) {
        const struct answer_text *text = &x->choices[i].text;
        if (x->choices[i].text_begun && text->filters && text->decoded_bytes > 0) {
            filter_record(&origin, "", x->chain, FILTER_OUTPUT, text->filters, &text->fed,
                          &text->hold);
        }
    }
}

/* What waits for a job is in nobody's queue, but it counts as if it were in the engine's. */
static void set_working(struct exchange *x, bool working)
{
    x->generation->n_coming += (int)working - (int)x->working;
    x->working = working;
}

static void on_deadline_closed(uv_handle_t *deadline)
{
    mem_free(deadline);
}

/* The client's side is over; the engine may have to be told. */
void exchange_leave_client(struct exchange *x)
{
    if (x->deadline) {
        uv_close((uv_handle_t *)x->deadline, on_deadline_closed);
        x->deadline = NULL;
    }
    if (x->http) {
        record_filters(x);
        shadow_leave(x->shadow);
        exchange_note_outcome(x);
        exchange_fill_record(x);
        exchange_remember(x);
        http_exchange_set_data(x->http, NULL);
        x->http = NULL;
    }
    if (filter_run_is_waiting(&x->input)) {
        filter_run_cancel(&x->input);
        set_working(x, false);
    }
    for (size_t i = 0; i < x->n_choices; i++) {
        stop_engine(&x->choices[i]);
    }
}

static int set_late(const struct exchange *x, struct err *e)
{
    return err_set_param(e, ERR_DEADLINE, "deadline_ms",
                         "the answer was not complete within the deadline of %lld ms",
                         (long long)x->request.deadline_ms);
}

int exchange_check_deadline(const struct exchange *x, struct err *e)
{
    return x->deadline_ns > 0 && clock_now_ns() > x->deadline_ns ? set_late(x, e) : 0;
}

static void on_deadline(uv_timer_t *deadline)
{
    struct exchange *x = deadline->data;
    struct err e = {0};
    set_late(x, &e);
    exchange_fail(x, &e);
    exchange_release(x);
}

int exchange_set_deadline(struct exchange *x, struct err *e)
{
    uint64_t ms = (uint64_t)x->request.deadline_ms;
    uint64_t now = clock_now_ns();
    uint64_t since = model_wait_since(x->server, x->http);
    uv_loop_t *loop = &x->server->loop;
    x->deadline = mem_zalloc(sizeof(*x->deadline));
    if (!x->deadline) {
        return err_nomem(e);
    }
    uv_timer_init(loop, x->deadline);
    x->deadline->data = x;
    uv_update_time(loop);
    x->deadline_ns = (since ? since : now) + ms * 1000000;
    uint64_t left_ns = x->deadline_ns > now ? x->deadline_ns - now : 0;
    uv_timer_start(x->deadline, on_deadline, (left_ns + 999999) / 1000000, 0);
    return 0;
}

void exchange_refuse(struct exchange *x, const struct err *e)
{
    struct http_exchange *http = x->http;
    x->failure = e->kind;
    exchange_leave_client(x);
    model_wait_or_refuse(x->server, http, &x->missing, x->request.deadline_ms, e);
}

/* --- the form of the answers --- */

/* Takes the grammar over. */
static int start(struct exchange *x, struct grammar *grammar, struct err *e)
{
    int rc = exchange_submit(x, grammar, e);
    grammar_release(grammar);
    if (rc == 0 && x->request.stream && !x->server->set.late_streams) {
        exchange_begin_stream(x);
    }
    return rc;
}

static void take_form(void *user, struct grammar *grammar, const struct err *why)
{
    struct exchange *x = user;
    struct err e = *why;
    set_working(x, false);
    if (grammar) {
        grammar = form_cache_add(&x->generation->forms, x->form_key, grammar);
    }
    if (!x->http) {
        grammar_release(grammar); /* the client did not wait */
    } else if (!grammar || start(x, grammar, &e) != 0) {
        exchange_refuse(x, &e);
    }
    exchange_release(x);
}

/* Starts at once where any text will do or the form is known; else when it is compiled. */
static int find_form(struct exchange *x, struct err *e)
{
    if (answer_form_is_free(&x->form.form)) {
        return start(x, NULL, e);
    }
    if (answer_form_key(&x->form.form, x->form_key, e) != 0) {
        return -1;
    }
    struct grammar *grammar = form_cache_find(&x->generation->forms, x->form_key);
    if (grammar) {
        return start(x, grammar, e);
    }
    x->form.done = take_form;
    x->form.user = x;
    int rc = form_job_start(&x->form, &x->server->loop, e);
    set_working(x, rc == 0);
    return rc;
}

/* --- the owner's prompt --- */

/* Takes the reference over. */
static int go_on_with(struct exchange *x, struct prompt *prompt, struct err *e)
{
    x->prompt = prompt;
    return exchange_prepare(x, e) == 0 ? find_form(x, e) : -1;
}

static void take_prompt(void *user, struct prompt *prompt, const struct err *why)
{
    struct exchange *x = user;
    struct err e = *why;
    set_working(x, false);
    if (!x->http) {
        prompt_unref(prompt); /* the client did not wait */
    } else if (!prompt || go_on_with(x, prompt, &e) != 0) {
        exchange_refuse(x, &e);
    }
    exchange_release(x);
}

/* Goes on at once where the prompt is one that is served; else when it was read. */
static int find_prompt(struct exchange *x, struct err *e)
{
    struct prompt *served = NULL;
    if (prompt_pick_served(x->server, x->http, &x->request, &served, e) != 0) {
        return -1;
    }
    if (served) {
        return go_on_with(x, prompt_ref(served), e);
    }
    x->pick.done = take_prompt;
    x->pick.user = x;
    int rc = prompt_pick_start(&x->pick, x->server, x->http, &x->request, e);
    set_working(x, rc == 0);
    return rc;
}

/* --- what the user wrote --- */

static int go_on_from_input(struct exchange *x, struct err *e)
{
    return input_texts_finish(&x->input_texts, e) == 0 && exchange_check_findings(x, e) == 0
               ? find_prompt(x, e)
               : -1;
}

static void take_input(void *user, struct err *why)
{
    struct exchange *x = user;
    struct err e = {0};
    set_working(x, false);
    if (why || go_on_from_input(x, &e) != 0) {
        exchange_refuse(x, why ? why : &e);
    }
    exchange_release(x);
}

static bool asks_outside(const struct chain *chain)
{
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (chain_filter_asks(chain, i)) {
            return true;
        }
    }
    return false;
}

/* Goes on at once unless a filter waits for somebody outside; else when it has ruled. */
static int filter_input(struct exchange *x, struct err *e)
{
    static const struct filter_run_owner owner = {
        .get = exchange_input_get, .take = exchange_input_take, .done = take_input};
    if (chain_has_side(x->chain, FILTER_INPUT) &&
        input_texts_collect(&x->input_texts, &x->request, asks_outside(x->chain), e) != 0) {
        return -1;
    }
    const struct filter_origin origin = {x->server, x->http, x->reply.id};
    int rc = filter_run_start(&x->input, &owner, x, x->chain, &origin, x->input_texts.n, e);
    if (rc == FILTER_RUN_WAITS) {
        set_working(x, true);
        return 0;
    }
    return rc == FILTER_RUN_OVER ? go_on_from_input(x, e) : -1;
}

/* --- the way of a request --- */

void exchange_begin(struct server *s, struct http_exchange *http,
                    const struct exchange_api *api)
{
    struct err e = {0};
    /* In a flood most are refused, so that costs next to nothing. */
    const struct generation *only = model_pick_only(s);
    if (only && only->engine && engine_check_room(only->engine, only->n_coming, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct exchange *x = exchange_create(s, http, api);
    if (!x) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    if (exchange_read(x, &e) != 0 || filter_input(x, &e) != 0) {
        exchange_refuse(x, &e);
        exchange_release(x);
    }
}

/* The choice is at its end when all of it has passed the filters, or one of them has ended it.
 */
static void end_if_settled(struct choice *c)
{
    if (c->text.has_ended && !c->is_complete) {
        c->is_complete = true; /* by a stop string: what else the model writes is not wanted */
        c->finish = ANSWER_FINISH_STOP;
        stop_engine(c);
    }
    exchange_hold_back(c);
    if (answer_text_is_waiting(&c->text)) {
        return;
    }
    if (c->text.state != ANSWER_OPEN || c->is_complete) {
        exchange_end_choice(c, c->finish);
    }
}

static void take_token(struct choice *c, const struct engine_event *ev)
{
    struct err e = {0};
    struct exchange *x = c->exchange;
    const struct answer_token token = {.token = ev->token, .logprob = ev->logprob};
    x->usage.completion_tokens++;
    if (c->index == 0) {
        shadow_take_token(x->shadow, ev->token);
    }
    exchange_time_token(c, (double)ev->entropy);
    struct answer_alternative tops[ENGINE_TOP_LOGPROBS_MAX];
    for (int i = 0; i < ev->n_top; i++) {
        tops[i] = (struct answer_alternative){ev->top[i].token, ev->top[i].logprob};
    }
    if (answer_text_feed(&c->text, &token, tops, (size_t)ev->n_top, &e) != 0) {
        exchange_fail(x, &e);
        return;
    }
    x->usage.reasoning_tokens += c->text.reasoning;
    if (x->http) {
        end_if_settled(c);
    }
}

static void take_end(struct choice *c, enum engine_finish finish)
{
    struct err e = {0};
    struct exchange *x = c->exchange;
    if (finish == ENGINE_FINISH_DEADLINE) {
        set_late(x, &e);
        exchange_fail(x, &e);
        return;
    }
    if (finish != ENGINE_FINISH_EOG && finish != ENGINE_FINISH_LENGTH) {
        err_set(&e, ERR_CANCELED, "the engine ended a request");
        exchange_fail(x, &e);
        return;
    }
    if (answer_text_finish(&c->text, &e) != 0) {
        exchange_fail(x, &e);
        return;
    }
    c->is_complete = true;
    c->finish = finish == ENGINE_FINISH_LENGTH ? ANSWER_FINISH_LENGTH : ANSWER_FINISH_STOP;
    if (x->http) {
        end_if_settled(c);
    }
}

void exchange_on_wake(void *user)
{
    struct choice *c = user;
    struct exchange *x = c->exchange;
    struct err e = {0};
    if (!x->http || c->ended) {
        return; /* the client did not wait; the engine's last event ends it all */
    }
    if (exchange_check_deadline(x, &e) != 0 || answer_text_resume(&c->text, &e) != 0) {
        exchange_fail(x, &e);
    } else if (x->http) {
        end_if_settled(c);
    }
    exchange_release(x);
}

/* Of each prompt counts what its first answer found: the others share it. An answer may end
 * before its first token. */
static void note_cached(struct choice *c, const struct engine_event *ev)
{
    struct exchange *x = c->exchange;
    if (c->index % (size_t)x->request.n_choices != 0) {
        return;
    }
    bool is_answered = ev->token != TOKEN_NONE || ev->finish == ENGINE_FINISH_EOG;
    if (c->index == 0 && !x->prefix_counted && is_answered) {
        x->prefix_counted = true;
        prompt_set_count(&x->server->prompts, x->prompt, x->generation,
                         x->request.prompt_variables != NULL, (size_t)ev->cached_tokens);
    }
    x->usage.cached_tokens += (size_t)(ev->cached_tokens - c->cached_tokens);
    c->cached_tokens = ev->cached_tokens;
}

void exchange_on_event(struct engine_user *user, const struct engine_event *ev)
{
    struct choice *c = (struct choice *)user;
    struct exchange *x = c->exchange;
    if (c->index == 0) {
        x->times.started_ns = ev->started_ns;
    }
    c->engine_running = ev->finish == ENGINE_RUNNING;
    note_cached(c, ev);
    if (x->http && !c->ended && !c->is_complete && ev->token != TOKEN_NONE) {
        take_token(c, ev);
    }
    if (x->http && !c->ended && !c->is_complete && ev->finish != ENGINE_RUNNING) {
        take_end(c, ev->finish);
    }
    exchange_release(x);
}

void exchange_abort(struct http_exchange *http)
{
    struct exchange *x = http_exchange_data(http);
    if (x) {
        x->has_left = true;
        exchange_leave_client(x);
        exchange_release(x);
    }
}

void exchange_drained(struct http_exchange *http)
{
    struct exchange *x = http_exchange_data(http);
    if (x) {
        exchange_pause(x, false);
    }
}

void exchange_ping_quiet(struct server *s, uint64_t quiet_ns)
{
    static const char ping[] = ": ping\n\n";
    uint64_t now = clock_now_ns();
    for (struct exchange *x = s->exchanges; x; x = x->next) {
        if (x->http && x->streaming && now - x->sent_ns >= quiet_ns) {
            exchange_write(x, ping, sizeof(ping) - 1);
        }
    }
}

void exchange_visit_generations(struct server *s,
                                void (*visit)(struct server *s, const struct generation *g))
{
    for (struct exchange *x = s->exchanges; x; x = x->next) {
        if (x->generation) {
            x->generation->is_visited = false;
        }
    }
    for (struct exchange *x = s->exchanges; x; x = x->next) {
        if (x->generation && !x->generation->is_visited) {
            x->generation->is_visited = true;
            visit(s, x->generation);
        }
    }
}

uint64_t exchange_engines_busy_ns(const struct server *s)
{
    uint64_t longest = 0;
    for (const struct exchange *x = s->exchanges; x; x = x->next) {
        const struct engine *en = x->generation ? x->generation->engine : NULL;
        uint64_t busy = en ? engine_busy_ns(en) : 0;
        longest = busy > longest ? busy : longest;
    }
    return longest;
}

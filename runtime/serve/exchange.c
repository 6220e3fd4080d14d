#include "runtime/serve/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "runtime/api/anthropic_request.h"
#include "runtime/api/chat_request.h"
#include "runtime/api/completion_request.h"
#include "runtime/api/reply.h"
#include "runtime/api/responses_request.h"
#include "runtime/base/clock.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/net/sse.h"
#include "runtime/serve/answer_form.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/answer_text.h"
#include "runtime/serve/conversation.h"
#include "runtime/serve/filter_findings.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/respond.h"

#define EVENT_BYTES_MAX ((size_t)4 << 20)

/* Output that waits for a client: beyond this the engine makes no more of it for now. */
#define PAUSE_BYTES ((size_t)256 << 10)

/* All prompts' answers together. */
#define CHOICES_MAX 128

/* An API: how its requests are read and its answers written. */
struct exchange_api {
    int (*parse)(struct answer_request *r, const char *body, size_t len, struct err *e);
    const struct reply_format *format;
    const char *input; /* the field that holds what the model is to read */
};

const struct exchange_api exchange_chat = {chat_request_parse, &reply_chat, "messages"};
const struct exchange_api exchange_completion = {completion_request_parse, &reply_completion,
                                                 "prompt"};
const struct exchange_api exchange_responses = {responses_request_parse, &reply_responses,
                                                "input"};
const struct exchange_api exchange_anthropic = {anthropic_request_parse, &reply_anthropic,
                                                "messages"};

/* One answer of a request. */
struct choice {
    struct exchange *exchange;
    size_t index;
    struct answer_text text;
    bool text_begun; /* `text` is initialised */
    uint64_t engine_id;
    bool engine_running;
    bool ended;        /* nothing more is said of it */
    int cached_tokens; /* of its prompt, as far as is known */
};

struct exchange {
    struct http_exchange *http; /* NULL when the client has its answer or is gone */
    struct server *server;
    struct exchange *next, **link; /* among all of the server */
    struct generation *generation;
    struct prompt *prompt;
    struct chain *chain;
    const struct exchange_api *api;
    struct answer_request request;
    struct choice *choices;        /* (n_choices) */
    struct answer_choice *answers; /* (n_choices): what each says */
    size_t n_choices;
    struct token_list *prompts; /* (n_prompts), until they are submitted */
    size_t n_prompts;
    const char *tools[TOOLS_MAX]; /* (n_tools) names of those that may be called */
    size_t n_tools;
    struct form_job form; /* that the answers must have */
    char form_key[HASH_HEX_LEN + 1];
    bool compiling; /* the form: the job points here */
    struct answer_usage usage;
    struct moderation_result found_input, found_output; /* when the client wants to know */
    char *moderation;                                   /* the same as JSON text, at the end */
    struct reply reply;
    bool streaming; /* the head of a stream was sent */
    bool paused;
    uint64_t sent_ns; /* when the stream was last written to */
    uint64_t deadline_ns;
    struct provenance made_by;
};

static reply_event_fn send_event;
static void take_piece(void *user, const struct answer_piece *piece);

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
    x->generation = generation_ref(s->generation);
    x->prompt = prompt_ref(s->prompt);
    x->chain = chain_ref(s->chain);
    provenance_fill(&x->made_by, x->generation, x->prompt, x->chain);
    x->reply = (struct reply){.format = api->format,
                              .request = &x->request,
                              .tokenizer = x->generation->model->tokenizer,
                              .usage = &x->usage,
                              .created = clock_unix_s(),
                              .model = x->generation->id,
                              .fingerprint = x->made_by.fingerprint,
                              .event = send_event,
                              .event_ctx = x};
    unique_id(x->reply.id, sizeof(x->reply.id), api->format->id_prefix);
    http_exchange_set_data(http, x);
    return x;
}

static void destroy(struct exchange *x)
{
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
    answer_request_deinit(&x->request);
    chain_unref(x->chain);
    prompt_unref(x->prompt);
    generation_unref(x->generation);
    mem_free(x);
}

static void destroy_if_done(struct exchange *x)
{
    for (size_t i = 0; i < x->n_choices; i++) {
        if (x->choices[i].engine_running) {
            return;
        }
    }
    if (!x->http && !x->compiling) {
        destroy(x);
    }
}

static void stop_engine(struct choice *c)
{
    if (c->engine_running) {
        engine_cancel(c->exchange->generation->engine, c->engine_id);
    }
}

/* The client's side is over; the engine may have to be told. */
static void leave_client(struct exchange *x)
{
    if (x->http) {
        http_exchange_set_data(x->http, NULL);
        x->http = NULL;
    }
    for (size_t i = 0; i < x->n_choices; i++) {
        stop_engine(&x->choices[i]);
    }
}

static void refuse(struct exchange *x, const struct err *e)
{
    struct http_exchange *http = x->http;
    leave_client(x);
    respond_err(http, e);
}

/* --- request to tokens --- */

static void apply_defaults(struct exchange *x, const struct server *s)
{
    struct sampling *p = &x->request.sampling;
    const struct sampling *set = &s->set.sampling;
    unsigned given = x->request.given;
    if (!(given & SAMPLING_GIVEN_TEMPERATURE)) {
        p->temperature = set->temperature;
    }
    if (!(given & SAMPLING_GIVEN_SEED) &&
        getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) < 0) {
        p->seed = clock_now_ns();
    }
}

/* Tokens that begin every prompt under the owner's present text. */
static size_t shared_tokens(const struct exchange *x, const struct token_list *tokens)
{
    const struct token_list *shared = &x->server->shared_prefix;
    size_t n = 0;
    while (n < shared->count && n < tokens->count && shared->ids[n] == tokens->ids[n]) {
        n++;
    }
    return n;
}

/* What one caller's requests computed is not found by another's. Without a hash of the salt
 * that was asked for, the request is refused: it must not share what it wanted apart. */
static int make_cache_salt(const struct exchange *x, uint64_t tenant, uint64_t *salt,
                           struct err *e)
{
    char hash[HASH_HEX_LEN + 1];
    const char *text = x->request.cache_salt;
    *salt = tenant;
    if (!text) {
        return 0;
    }
    if (hash_sha256_hex(text, strlen(text), hash) != 0) {
        return err_nomem(e);
    }
    hash[16] = '\0';
    *salt ^= strtoull(hash, NULL, 16);
    return 0;
}

/* Memory for all answers; each begins when its prompt is known. */
static int reserve_answers(struct exchange *x, struct err *e)
{
    size_t n = answer_prompt_count(&x->request) * (size_t)x->request.n_choices;
    if (n > CHOICES_MAX) {
        return err_set_param(e, ERR_INVALID, "n",
                             "%zu answers were asked for; a request may have %d", n,
                             CHOICES_MAX);
    }
    size_t n_prompts = answer_prompt_count(&x->request);
    x->choices = mem_zarray(n, sizeof(*x->choices));
    x->answers = mem_zarray(n, sizeof(*x->answers));
    x->prompts = mem_zarray(n_prompts, sizeof(*x->prompts));
    if (!x->choices || !x->answers || !x->prompts) {
        return err_nomem(e);
    }
    x->n_prompts = n_prompts;
    x->n_choices = x->reply.n_choices = n;
    x->reply.choices = x->answers;
    for (size_t i = 0; i < n; i++) {
        x->choices[i].exchange = x;
        x->choices[i].index = i;
        answer_choice_init(&x->answers[i]);
    }
    return 0;
}

static int begin_answers(struct exchange *x, size_t first, bool reasoning_open, struct err *e)
{
    struct answer_text_settings set = {.tokenizer = x->generation->model->tokenizer,
                                       .stops = x->request.stop,
                                       .n_stops = x->request.n_stop,
                                       .chain = x->chain,
                                       .format = x->form.form.format,
                                       .tools = x->tools,
                                       .n_tools = x->n_tools,
                                       .reasoning_open = reasoning_open,
                                       .keep_tokens = x->request.logprobs,
                                       .block =
                                           x->request.moderation.output == MODERATION_BLOCK,
                                       .piece = take_piece};
    for (size_t i = first; i < first + (size_t)x->request.n_choices; i++) {
        struct choice *c = &x->choices[i];
        set.choice = &x->answers[i];
        set.user = c;
        c->text_begun = true; /* what init leaves behind when it fails is to be released too */
        if (answer_text_init(&c->text, &set, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Makes the tokens of all prompts, and the answers that go with them. */
static int make_prompts(struct exchange *x, struct err *e)
{
    const struct answer_prompt_source source = {
        .generation = x->generation, .prompt = x->prompt, .request = &x->request};
    x->n_tools = tool_list_names(&x->request.tools, x->tools);
    x->form.form.request = &x->request;
    x->form.form.format = x->request.n_prompts == 0 ? &x->generation->format : NULL;
    for (size_t i = 0; i < x->n_prompts; i++) {
        bool open;
        if (answer_prompt_tokens(&source, i, &x->prompts[i], &open, e) != 0) {
            return -1;
        }
        x->usage.prompt_tokens += x->prompts[i].count;
        x->form.form.reasoning_open = open = open && answer_form_may_reason(&x->form.form);
        if (begin_answers(x, i * (size_t)x->request.n_choices, open, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* grammar: the form of the answers, or NULL. */
static int submit_prompt(struct exchange *x, size_t index, struct engine_request *r,
                         struct grammar *grammar, struct err *e)
{
    const struct token_list *tokens = &x->prompts[index];
    struct choice *choices = &x->choices[index * (size_t)x->request.n_choices];
    r->prompt = tokens->ids;
    r->n_prompt = tokens->count;
    r->options.n_shared = shared_tokens(x, tokens);
    r->options.follows = 0;
    for (int i = 0; i < x->request.n_choices; i++) {
        struct choice *c = &choices[i];
        r->user = c;
        r->constraint =
            grammar ? grammar_matcher_create(grammar, x->generation->vocab, e) : NULL;
        if (grammar && !r->constraint) {
            return -1;
        }
        if (engine_submit(x->generation->engine, r, &c->engine_id, e) != 0) {
            if (e->kind == ERR_LIMIT) {
                snprintf(e->param, sizeof(e->param), "%s", x->api->input);
            }
            return -1;
        }
        c->engine_running = true;
        r->options.follows = choices[0].engine_id;
        r->sampling.seed++; /* the answers shall differ, and be the same each time */
    }
    return 0;
}

static int submit(struct exchange *x, struct grammar *grammar, struct err *e)
{
    const struct answer_request *q = &x->request;
    uint64_t tenant = access_tenant(&x->server->set.access, http_exchange_request(x->http));
    uint64_t salt;
    if (make_cache_salt(x, tenant, &salt, e) != 0) {
        return -1;
    }
    struct engine_request r = {
        .max_tokens = q->max_tokens > 0 ? q->max_tokens : engine_context(x->generation->engine),
        .sampling = q->sampling,
        .options = {.tenant = tenant,
                    .salt = salt,
                    .priority = q->priority,
                    .deadline_ns = x->deadline_ns,
                    .ignore_eog = q->ignore_eos,
                    .want_logprobs = q->logprobs,
                    .n_top_logprobs = q->top_logprobs},
    };
    for (size_t i = 0; i < x->n_prompts; i++) {
        if (submit_prompt(x, i, &r, grammar, e) != 0) {
            return -1;
        }
        token_list_deinit(&x->prompts[i]);
    }
    return 0;
}

/* What logprobs tell of other tokens, and of those that filters take out, no filter has seen.
 */
static int check_logprobs(const struct exchange *x, struct err *e)
{
    if (!x->request.logprobs || !chain_has_side(x->chain, FILTER_OUTPUT)) {
        return 0;
    }
    return err_set_param(e, ERR_UNSUPPORTED, "logprobs",
                         "\"logprobs\" would show what the filters of this server take out of "
                         "answers; leave it out");
}

static int filter_input(struct exchange *x, struct err *e)
{
    const struct answer_moderation *m = &x->request.moderation;
    if (m->input == MODERATION_UNTOLD) {
        return conversation_filter_input(&x->request, x->chain, NULL, e);
    }
    if (filter_findings_begin(&x->found_input, x->chain) != 0 ||
        filter_findings_begin(&x->found_output, x->chain) != 0) {
        return err_nomem(e);
    }
    if (conversation_filter_input(&x->request, x->chain, &x->found_input, e) != 0) {
        return -1;
    }
    return m->input == MODERATION_BLOCK && moderation_result_flagged(&x->found_input)
               ? err_set_param(e, ERR_FILTERED, x->api->input,
                               "\"moderation\" asks to block what filters find, and they found "
                               "something in \"%s\"",
                               x->api->input)
               : 0;
}

static int prepare(struct exchange *x, struct err *e)
{
    const struct http_request *http = http_exchange_request(x->http);
    if (x->api->parse(&x->request, http->body, http->body_len, e) != 0 ||
        generation_check_name(x->generation, x->request.model, e) != 0 ||
        check_logprobs(x, e) != 0 || filter_input(x, e) != 0) {
        return -1;
    }
    apply_defaults(x, x->server);
    if (sampling_bind(&x->request.sampling, x->generation->model->tokenizer, e) != 0) {
        return -1;
    }
    if (x->request.deadline_ms > 0) {
        x->deadline_ns = clock_now_ns() + (uint64_t)x->request.deadline_ms * 1000000;
    }
    return reserve_answers(x, e) == 0 ? make_prompts(x, e) : -1;
}

/* --- text to bytes --- */

/* While a client reads slower than the model writes, its answers wait in the engine and not in
 * memory here. */
static void pause_engine(struct exchange *x, bool paused)
{
    if (x->paused == paused) {
        return;
    }
    x->paused = paused;
    for (size_t i = 0; i < x->n_choices; i++) {
        if (x->choices[i].engine_running) {
            engine_pause(x->generation->engine, x->choices[i].engine_id, paused);
        }
    }
}

static void write_stream(struct exchange *x, const void *data, size_t len)
{
    http_stream_write(x->http, data, len);
    x->sent_ns = clock_now_ns();
    if (http_exchange_queued_bytes(x->http) > PAUSE_BYTES) {
        pause_engine(x, true);
    }
}

/* Sends one JSON text as an event and releases it. A client that cannot be written to is seen
 * by exchange_abort, so failures need no handling here. */
static void send_event(void *ctx, const char *name, char *json, size_t len)
{
    struct exchange *x = ctx;
    struct buf event;
    buf_init(&event, EVENT_BYTES_MAX);
    if (!x->http) {
        /* An event before this one has ended it. */
    } else if (json && sse_append_event(&event, name, json, len) == 0) {
        write_stream(x, event.data, event.len);
    } else {
        /* A stream with a hole in it must not look complete. */
        struct http_exchange *http = x->http;
        leave_client(x);
        http_exchange_cut(http);
    }
    buf_deinit(&event);
    mem_free(json);
}

static void begin_stream(struct exchange *x)
{
    struct http_header headers[2 + PROVENANCE_HEADERS] = {{"Content-Type", "text/event-stream"},
                                                          {"Cache-Control", "no-cache"}};
    provenance_headers(&x->made_by, headers + 2);
    x->streaming = true;
    http_stream_begin(x->http, 200, headers, 2 + PROVENANCE_HEADERS);
    x->reply.format->begin(&x->reply);
}

/* Streams what has been released; a whole answer lets it gather. */
static void take_piece(void *user, const struct answer_piece *piece)
{
    struct choice *c = user;
    struct exchange *x = c->exchange;
    if (x->request.stream && x->http) {
        x->reply.format->piece(&x->reply, c->index, piece);
    }
}

static bool all_ended(const struct exchange *x)
{
    for (size_t i = 0; i < x->n_choices; i++) {
        if (!x->choices[i].ended) {
            return false;
        }
    }
    return true;
}

/* What the filters found, as the client wants to be told. Without memory it is not told. */
static void tell_findings(struct exchange *x)
{
    if (x->request.moderation.input == MODERATION_UNTOLD) {
        return;
    }
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < x->n_choices; i++) {
        filter_findings_take(&x->found_output, x->choices[i].text.filters);
    }
    buf_append_str(&text, "{\"input\":");
    moderation_append_side(&text, chain_name(x->chain), &x->found_input);
    buf_append_str(&text, ",\"output\":");
    moderation_append_side(&text, chain_name(x->chain), &x->found_output);
    buf_append_char(&text, '}');
    x->reply.moderation = x->moderation = text.failed ? NULL : buf_take(&text, NULL);
    buf_deinit(&text);
}

static void end_stream(struct exchange *x)
{
    x->reply.format->end(&x->reply);
    struct http_exchange *http = x->http;
    if (http) {
        const char *last = x->reply.format->last;
        http_stream_write(http, last, strlen(last));
        leave_client(x);
        http_stream_end(http);
    }
}

static void send_whole(struct exchange *x)
{
    struct http_header headers[PROVENANCE_HEADERS];
    size_t len = 0;
    char *json = x->reply.format->whole(&x->reply, &len);
    struct http_exchange *http = x->http;
    provenance_headers(&x->made_by, headers);
    leave_client(x);
    respond_json(http, 200, json, len, headers, PROVENANCE_HEADERS);
}

static enum answer_finish finish_of(const struct choice *c, enum answer_finish finish)
{
    if (c->text.state == ANSWER_FILTERED) {
        return ANSWER_FINISH_CONTENT_FILTER;
    }
    if (c->text.state == ANSWER_STOPPED) {
        finish = ANSWER_FINISH_STOP;
    }
    const struct answer_choice *answer = &c->exchange->answers[c->index];
    bool called = answer->n_calls > 0 && answer->calls[answer->n_calls - 1].complete;
    return finish == ANSWER_FINISH_STOP && called ? ANSWER_FINISH_TOOL_CALLS : finish;
}

static void end_choice(struct choice *c, enum answer_finish finish)
{
    struct exchange *x = c->exchange;
    x->answers[c->index].finish = finish_of(c, finish);
    c->ended = true;
    stop_engine(c);
    if (x->request.stream) {
        x->reply.format->finish(&x->reply, c->index);
    }
    if (x->http && all_ended(x)) {
        tell_findings(x);
        (x->request.stream ? end_stream : send_whole)(x);
    }
}

/* Something broke inside an answer: a whole one becomes an error. A streamed one gets an event
 * that says so, and no end that could be taken for a good one. */
static void fail_answer(struct exchange *x, const struct err *e)
{
    if (!x->streaming) {
        refuse(x, e);
        return;
    }
    log_error("a streamed answer was cut: %s", e->message);
    struct api_error error = api_error_from(e);
    x->reply.format->failed(&x->reply, &error);
    struct http_exchange *http = x->http;
    if (http) {
        leave_client(x);
        http_stream_end(http);
    }
}

/* --- the form of the answers --- */

/* Takes the grammar over. */
static int start(struct exchange *x, struct grammar *grammar, struct err *e)
{
    int rc = submit(x, grammar, e);
    grammar_release(grammar);
    if (rc == 0 && x->request.stream) {
        begin_stream(x);
    }
    return rc;
}

static void take_form(void *user, struct grammar *grammar, const struct err *why)
{
    struct exchange *x = user;
    struct err e = *why;
    x->compiling = false;
    if (grammar) {
        form_cache_add(&x->generation->forms, x->form_key, grammar);
    }
    if (!x->http) {
        grammar_release(grammar); /* the client did not wait */
    } else if (!grammar || start(x, grammar, &e) != 0) {
        refuse(x, &e);
    }
    destroy_if_done(x);
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
    x->compiling = rc == 0;
    return rc;
}

/* --- the way of a request --- */

void exchange_begin(struct server *s, struct http_exchange *http,
                    const struct exchange_api *api)
{
    struct err e = {0};
    /* In a flood most are refused, so that costs next to nothing. */
    if (engine_check_room(s->generation->engine, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct exchange *x = exchange_create(s, http, api);
    if (!x) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    if (prepare(x, &e) != 0 || find_form(x, &e) != 0) {
        refuse(x, &e);
        destroy_if_done(x);
    }
}

static void take_token(struct choice *c, const struct engine_event *ev)
{
    struct err e = {0};
    struct exchange *x = c->exchange;
    const struct answer_token token = {.token = ev->token, .logprob = ev->logprob};
    x->usage.completion_tokens++;
    struct answer_alternative tops[ENGINE_TOP_LOGPROBS_MAX];
    for (int i = 0; i < ev->n_top; i++) {
        tops[i] = (struct answer_alternative){ev->top[i].token, ev->top[i].logprob};
    }
    if (answer_text_feed(&c->text, &token, tops, (size_t)ev->n_top, &e) != 0) {
        fail_answer(x, &e);
        return;
    }
    x->usage.reasoning_tokens += c->text.reasoning;
    if (x->http && c->text.state != ANSWER_OPEN) {
        end_choice(c, ANSWER_FINISH_STOP);
    }
}

static void take_end(struct choice *c, enum engine_finish finish)
{
    struct err e = {0};
    struct exchange *x = c->exchange;
    if (finish == ENGINE_FINISH_DEADLINE) {
        err_set_param(&e, ERR_DEADLINE, "deadline_ms",
                      "the answer was not complete within the deadline of %lld ms",
                      (long long)x->request.deadline_ms);
        fail_answer(x, &e);
        return;
    }
    if (finish != ENGINE_FINISH_EOG && finish != ENGINE_FINISH_LENGTH) {
        err_set(&e, ERR_CANCELED, "the engine ended a request");
        fail_answer(x, &e);
        return;
    }
    if (answer_text_finish(&c->text, &e) != 0) {
        fail_answer(x, &e);
        return;
    }
    if (x->http) {
        end_choice(c,
                   finish == ENGINE_FINISH_LENGTH ? ANSWER_FINISH_LENGTH : ANSWER_FINISH_STOP);
    }
}

/* Of each prompt counts what its first answer found: the others share it. */
static void note_cached(struct choice *c, const struct engine_event *ev)
{
    if (c->index % (size_t)c->exchange->request.n_choices == 0) {
        c->exchange->usage.cached_tokens += (size_t)(ev->cached_tokens - c->cached_tokens);
        c->cached_tokens = ev->cached_tokens;
    }
}

void exchange_on_event(const struct engine_event *ev)
{
    struct choice *c = ev->user;
    if (!c) {
        return; /* a prompt was read ahead (shared_prefix.h): nobody waits for it */
    }
    struct exchange *x = c->exchange;
    c->engine_running = ev->finish == ENGINE_RUNNING;
    note_cached(c, ev);
    if (x->http && !c->ended && ev->token != TOKEN_NONE) {
        take_token(c, ev);
    }
    if (x->http && !c->ended && ev->finish != ENGINE_RUNNING) {
        take_end(c, ev->finish);
    }
    destroy_if_done(x);
}

void exchange_abort(struct http_exchange *http)
{
    struct exchange *x = http_exchange_data(http);
    if (x) {
        leave_client(x);
        destroy_if_done(x);
    }
}

void exchange_drained(struct http_exchange *http)
{
    struct exchange *x = http_exchange_data(http);
    if (x) {
        pause_engine(x, false);
    }
}

void exchange_ping_quiet(struct server *s, uint64_t quiet_ns)
{
    static const char ping[] = ": ping\n\n";
    uint64_t now = clock_now_ns();
    for (struct exchange *x = s->exchanges; x; x = x->next) {
        if (x->http && x->streaming && now - x->sent_ns >= quiet_ns) {
            write_stream(x, ping, sizeof(ping) - 1);
        }
    }
}

#include "runtime/serve/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "models/template/chat_prompt.h"
#include "runtime/api/chat_reply.h"
#include "runtime/api/chat_request.h"
#include "runtime/base/clock.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/net/sse.h"
#include "runtime/serve/answer_text.h"
#include "runtime/serve/conversation.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/respond.h"

#define EVENT_BYTES_MAX ((size_t)4 << 20)

/* Output that waits for a client: beyond this the engine makes no more of it for now. */
#define PAUSE_BYTES ((size_t)256 << 10)

/* More text than this for each token of the context is taken for too much. */
#define TOKEN_BYTES 64

/* One answer of a request. */
struct choice {
    struct exchange *exchange;
    int index;
    struct answer_text answer;
    bool answer_begun; /* `answer` is initialised */
    uint64_t engine_id;
    bool engine_running;
    bool ended; /* nothing more is said of it */
    enum chat_finish finish;
};

struct exchange {
    struct http_exchange *http; /* NULL when the client has its answer or is gone */
    struct server *server;
    struct exchange *next, **link; /* among all of the server */
    struct generation *generation;
    struct prompt *prompt;
    struct chain *chain;
    struct chat_request request;
    struct choice choices[CHAT_CHOICES_MAX]; /* (request.n_choices) */
    struct chat_usage usage;
    bool paused;
    uint64_t sent_ns; /* when the stream was last written to */
    uint64_t deadline_ns;
    char id[48];
    struct chat_reply reply;
    struct provenance made_by;
};

/* --- beginning and end --- */

static struct exchange *exchange_create(struct server *s, struct http_exchange *http)
{
    struct exchange *x = mem_zalloc(sizeof(*x));
    if (!x) {
        return NULL;
    }
    x->http = http;
    x->server = s;
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
    unsigned char random[12] = {0};
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) < 0) {
        log_warn("no random numbers for a request's id");
    }
    int at = snprintf(x->id, sizeof(x->id), "chatcmpl-");
    for (size_t i = 0; i < sizeof(random); i++) {
        at += snprintf(x->id + at, sizeof(x->id) - (size_t)at, "%02x", random[i]);
    }
    x->reply = (struct chat_reply){.id = x->id,
                                   .created = clock_unix_s(),
                                   .model = x->generation->id,
                                   .fingerprint = x->made_by.fingerprint};
    http_exchange_set_data(http, x);
    return x;
}

static void destroy(struct exchange *x)
{
    *x->link = x->next;
    if (x->next) {
        x->next->link = x->link;
    }
    for (int i = 0; i < CHAT_CHOICES_MAX; i++) {
        if (x->choices[i].answer_begun) {
            answer_text_deinit(&x->choices[i].answer);
        }
    }
    chat_request_deinit(&x->request);
    chain_unref(x->chain);
    prompt_unref(x->prompt);
    generation_unref(x->generation);
    mem_free(x);
}

static void destroy_if_done(struct exchange *x)
{
    for (int i = 0; i < CHAT_CHOICES_MAX; i++) {
        if (x->choices[i].engine_running) {
            return;
        }
    }
    if (!x->http) {
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
    for (int i = 0; i < CHAT_CHOICES_MAX; i++) {
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

/* `asked` names the generation as "name", "name@version" or "name@sha256:PREFIX". */
static bool names_generation(const struct generation *g, const char *asked)
{
    size_t name_len = strlen(g->model->name);
    if (strncmp(asked, g->model->name, name_len) != 0) {
        return false;
    }
    const char *pin = asked + name_len;
    if (*pin == '\0' || strcmp(asked, g->id) == 0) {
        return true;
    }
    const char *hash = strncmp(pin, "@sha256:", 8) == 0 ? pin + 8 : "";
    return strlen(hash) >= 8 && strncmp(g->model->sha256, hash, strlen(hash)) == 0;
}

static int check_model(const struct exchange *x, struct err *e)
{
    const char *asked = x->request.model;
    if (!asked || names_generation(x->generation, asked)) {
        return 0;
    }
    return err_set_param(e, ERR_NOT_FOUND, "model",
                         "the model \"%.100s\" does not exist here; \"%s\" is served", asked,
                         x->generation->model->name);
}

static void apply_defaults(struct exchange *x, const struct server *s)
{
    struct sampling *p = &x->request.sampling;
    const struct sampling *set = &s->set.sampling;
    unsigned given = x->request.given;
    if (!(given & CHAT_GIVEN_TEMPERATURE)) {
        p->temperature = set->temperature;
    }
    if (!(given & CHAT_GIVEN_SEED) && getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) < 0) {
        p->seed = clock_now_ns();
    }
}

/* The prompt's tokens, without the n_dropped oldest messages that are no system messages. */
static int render(const struct exchange *x, size_t n_dropped, struct token_list *tokens,
                  struct err *e)
{
    const struct model *m = x->generation->model;
    struct conversation c;
    tokens->count = 0;
    if (conversation_init(&c, x->prompt, x->request.messages, x->request.n_messages, e) != 0) {
        return -1;
    }
    conversation_drop_oldest(&c, n_dropped);
    int rc =
        chat_prompt_tokens(m->chat_template, m->tokenizer, c.messages, c.n_messages, tokens, e);
    conversation_deinit(&c);
    return rc;
}

/* "truncation": "auto": drops as few of the oldest messages as make room for the answer, but
 * never the last one. */
static int render_truncated(const struct exchange *x, struct token_list *tokens, struct err *e)
{
    size_t context = (size_t)engine_context(x->generation->engine);
    size_t wanted = x->request.max_tokens > 0 ? (size_t)x->request.max_tokens : 1;
    size_t room = wanted < context ? context - wanted : 1;
    const struct chat_message *messages = x->request.messages;
    size_t most = conversation_droppable(messages, x->request.n_messages);
    /* What cannot possibly fit is not made into tokens again and again. */
    size_t fewest = conversation_excess(messages, x->request.n_messages, room * TOKEN_BYTES);
    while (fewest < most) {
        size_t middle = fewest + (most - fewest) / 2;
        if (render(x, middle, tokens, e) != 0) {
            return -1;
        }
        if (tokens->count <= room) {
            most = middle;
        } else {
            fewest = middle + 1;
        }
    }
    return render(x, most, tokens, e);
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

static int submit_choices(struct exchange *x, const struct token_list *tokens, struct err *e)
{
    uint64_t tenant = access_tenant(&x->server->set.access, http_exchange_request(x->http));
    uint64_t salt;
    if (make_cache_salt(x, tenant, &salt, e) != 0) {
        return -1;
    }
    struct engine_request r = {
        .prompt = tokens->ids,
        .n_prompt = tokens->count,
        .max_tokens = x->request.max_tokens > 0 ? x->request.max_tokens
                                                : engine_context(x->generation->engine),
        .sampling = x->request.sampling,
        .options = {.tenant = tenant,
                    .salt = salt,
                    .n_shared = shared_tokens(x, tokens),
                    .priority = x->request.priority,
                    .deadline_ns = x->deadline_ns,
                    .ignore_eog = x->request.ignore_eos},
    };
    for (int i = 0; i < x->request.n_choices; i++) {
        struct choice *c = &x->choices[i];
        r.user = c;
        if (engine_submit(x->generation->engine, &r, &c->engine_id, e) != 0) {
            if (e->kind == ERR_LIMIT) {
                snprintf(e->param, sizeof(e->param), "messages");
            }
            return -1;
        }
        c->engine_running = true;
        r.options.follows = x->choices[0].engine_id;
        r.sampling.seed++; /* the answers shall differ, and be the same each time */
    }
    return 0;
}

/* Renders the conversation, with the owner's prompt in front, and hands it to the engine. */
static int submit(struct exchange *x, struct err *e)
{
    struct token_list tokens = {0};
    int rc = x->request.truncate ? render_truncated(x, &tokens, e) : render(x, 0, &tokens, e);
    if (rc == 0) {
        x->usage.prompt_tokens = tokens.count;
        rc = submit_choices(x, &tokens, e);
    }
    token_list_deinit(&tokens);
    return rc;
}

static int begin_answers(struct exchange *x, struct err *e)
{
    for (int i = 0; i < x->request.n_choices; i++) {
        struct choice *c = &x->choices[i];
        c->exchange = x;
        c->index = i;
        if (answer_text_init(&c->answer, x->generation->model->tokenizer, x->request.stop,
                             x->request.n_stop, x->chain, e) != 0) {
            return -1;
        }
        c->answer_begun = true;
    }
    return 0;
}

static int prepare(struct exchange *x, const struct server *s, struct err *e)
{
    const struct http_request *http = http_exchange_request(x->http);
    if (chat_request_parse(&x->request, http->body, http->body_len, e) != 0 ||
        check_model(x, e) != 0 || conversation_filter_input(&x->request, x->chain, e) != 0) {
        return -1;
    }
    apply_defaults(x, s);
    if (x->request.deadline_ms > 0) {
        x->deadline_ns = clock_now_ns() + (uint64_t)x->request.deadline_ms * 1000000;
    }
    return begin_answers(x, e) == 0 ? submit(x, e) : -1;
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
    for (int i = 0; i < x->request.n_choices; i++) {
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
static void send_event(struct exchange *x, char *json, size_t len)
{
    struct buf event;
    buf_init(&event, EVENT_BYTES_MAX);
    if (json && sse_append_event(&event, NULL, json, len) == 0) {
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
    http_stream_begin(x->http, 200, headers, 2 + PROVENANCE_HEADERS);
    for (int i = 0; x->http && i < x->request.n_choices; i++) {
        size_t len = 0;
        char *json = chat_chunk_role(&x->reply, x->request.include_usage, i, &len);
        send_event(x, json, len);
    }
}

/* Streams what the filters have released; a whole answer lets it gather. */
static void send_released(struct choice *c)
{
    struct exchange *x = c->exchange;
    struct buf *text = &c->answer.released;
    if (!x->request.stream || text->len == 0) {
        return;
    }
    size_t len = 0;
    char *json =
        chat_chunk_text(&x->reply, x->request.include_usage, c->index, text->data, &len);
    buf_clear(text);
    send_event(x, json, len);
}

static bool all_ended(const struct exchange *x)
{
    for (int i = 0; i < x->request.n_choices; i++) {
        if (!x->choices[i].ended) {
            return false;
        }
    }
    return true;
}

static void end_stream(struct exchange *x)
{
    size_t len = 0;
    if (x->request.include_usage) {
        char *json = chat_chunk_usage(&x->reply, &x->usage, &len);
        send_event(x, json, len);
    }
    if (x->http) {
        static const char done[] = "data: [DONE]\n\n";
        struct http_exchange *http = x->http;
        http_stream_write(http, done, sizeof(done) - 1);
        leave_client(x);
        http_stream_end(http);
    }
}

static void send_whole(struct exchange *x)
{
    struct http_header headers[PROVENANCE_HEADERS];
    struct chat_choice choices[CHAT_CHOICES_MAX];
    for (int i = 0; i < x->request.n_choices; i++) {
        const char *text = x->choices[i].answer.released.data;
        choices[i] =
            (struct chat_choice){.content = text ? text : "", .finish = x->choices[i].finish};
    }
    size_t len = 0;
    char *json =
        chat_reply_whole(&x->reply, choices, (size_t)x->request.n_choices, &x->usage, &len);
    struct http_exchange *http = x->http;
    provenance_headers(&x->made_by, headers);
    leave_client(x);
    respond_json(http, 200, json, len, headers, PROVENANCE_HEADERS);
}

static void end_choice(struct choice *c, enum chat_finish finish)
{
    struct exchange *x = c->exchange;
    if (c->answer.state == ANSWER_FILTERED) {
        finish = CHAT_FINISH_CONTENT_FILTER;
    } else if (c->answer.state == ANSWER_STOPPED) {
        finish = CHAT_FINISH_STOP;
    }
    c->finish = finish;
    c->ended = true;
    stop_engine(c);
    if (x->request.stream) {
        size_t len = 0;
        char *json =
            chat_chunk_finish(&x->reply, x->request.include_usage, c->index, finish, &len);
        send_event(x, json, len);
    }
    if (x->http && all_ended(x)) {
        (x->request.stream ? end_stream : send_whole)(x);
    }
}

/* Something broke inside an answer: a whole one becomes an error. A streamed one gets an event
 * that says so, and no end that could be taken for a good one. */
static void fail_answer(struct exchange *x, const struct err *e)
{
    if (!x->request.stream) {
        refuse(x, e);
        return;
    }
    log_error("request %s: a streamed answer was cut: %s", http_exchange_request(x->http)->id,
              e->message);
    struct api_error error = api_error_from(e);
    size_t len = 0;
    char *json = api_error_body(&error, &len);
    send_event(x, json, len);
    struct http_exchange *http = x->http;
    if (http) {
        leave_client(x);
        http_stream_end(http);
    }
}

/* --- the way of a request --- */

void exchange_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    /* In a flood most are refused, so that costs next to nothing. */
    if (engine_check_room(s->generation->engine, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct exchange *x = exchange_create(s, http);
    if (!x) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    if (prepare(x, s, &e) != 0) {
        refuse(x, &e);
        destroy_if_done(x);
        return;
    }
    if (x->request.stream) {
        begin_stream(x);
    }
}

static void take_token(struct choice *c, int32_t token)
{
    struct err e = {0};
    struct exchange *x = c->exchange;
    x->usage.completion_tokens++;
    if (answer_text_feed(&c->answer, token, &e) != 0) {
        fail_answer(x, &e);
        return;
    }
    send_released(c);
    if (x->http && c->answer.state != ANSWER_OPEN) {
        end_choice(c, CHAT_FINISH_STOP);
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
    if (answer_text_finish(&c->answer, &e) != 0) {
        fail_answer(x, &e);
        return;
    }
    send_released(c);
    if (x->http) {
        end_choice(c, finish == ENGINE_FINISH_LENGTH ? CHAT_FINISH_LENGTH : CHAT_FINISH_STOP);
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
    if (c->index == 0) {
        x->usage.cached_tokens = (size_t)ev->cached_tokens;
    }
    if (x->http && !c->ended && ev->token != TOKEN_NONE) {
        take_token(c, ev->token);
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
        if (x->http && x->request.stream && now - x->sent_ns >= quiet_ns) {
            write_stream(x, ping, sizeof(ping) - 1);
        }
    }
}

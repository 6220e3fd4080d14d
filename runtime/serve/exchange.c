#include "runtime/serve/exchange.h"

#include <stdio.h>
#include <string.h>

#include <sys/random.h>

#include "models/template/chat_prompt.h"
#include "runtime/api/chat_reply.h"
#include "runtime/api/chat_request.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/net/sse.h"
#include "runtime/serve/answer_text.h"
#include "runtime/serve/conversation.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/respond.h"

#define EVENT_BYTES_MAX ((size_t)4 << 20)

struct exchange {
    struct http_exchange *http; /* NULL when the client has its answer or is gone */
    struct generation *generation;
    struct prompt *prompt;
    struct chain *chain;
    struct chat_request request;
    struct answer_text answer;
    bool answer_begun; /* `answer` is initialised */
    uint64_t engine_id;
    bool engine_running;
    struct chat_usage usage;
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
    if (x->answer_begun) {
        answer_text_deinit(&x->answer);
    }
    chat_request_deinit(&x->request);
    chain_unref(x->chain);
    prompt_unref(x->prompt);
    generation_unref(x->generation);
    mem_free(x);
}

static void destroy_if_done(struct exchange *x)
{
    if (!x->http && !x->engine_running) {
        destroy(x);
    }
}

/* The client's side is over; the engine may have to be told. */
static void leave_client(struct exchange *x)
{
    if (x->http) {
        http_exchange_set_data(x->http, NULL);
        x->http = NULL;
    }
    if (x->engine_running) {
        engine_cancel(x->generation->engine, x->engine_id);
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

/* Renders the conversation, with the owner's prompt in front, and hands it to the engine. */
static int submit(struct exchange *x, struct err *e)
{
    const struct model *m = x->generation->model;
    struct conversation c;
    struct token_list tokens = {0};
    int rc = conversation_init(&c, x->prompt, x->request.messages, x->request.n_messages, e);
    if (rc != 0) {
        return -1;
    }
    rc = chat_prompt_tokens(m->chat_template, m->tokenizer, c.messages, c.n_messages, &tokens,
                            e);
    if (rc == 0) {
        x->usage.prompt_tokens = tokens.count;
        struct engine_request r = {
            .prompt = tokens.ids,
            .n_prompt = tokens.count,
            .max_tokens = x->request.max_tokens > 0 ? x->request.max_tokens : m->config.context,
            .sampling = x->request.sampling,
            .user = x,
        };
        rc = engine_submit(x->generation->engine, &r, &x->engine_id, e);
        if (rc != 0 && e->kind == ERR_LIMIT) {
            snprintf(e->param, sizeof(e->param), "messages");
        }
    }
    x->engine_running = rc == 0;
    token_list_deinit(&tokens);
    conversation_deinit(&c);
    return rc;
}

static int prepare(struct exchange *x, const struct server *s, struct err *e)
{
    const struct http_request *http = http_exchange_request(x->http);
    if (chat_request_parse(&x->request, http->body, http->body_len, e) != 0 ||
        check_model(x, e) != 0 || conversation_filter_input(&x->request, x->chain, e) != 0) {
        return -1;
    }
    apply_defaults(x, s);
    if (answer_text_init(&x->answer, x->generation->model->tokenizer, x->request.stop,
                         x->request.n_stop, x->chain, e) != 0) {
        return -1;
    }
    x->answer_begun = true;
    return submit(x, e);
}

/* --- text to bytes --- */

/* Sends one JSON text as an event and releases it. A client that cannot be written to is seen
 * by exchange_abort, so failures need no handling here. */
static void send_event(struct exchange *x, char *json, size_t len)
{
    struct buf event;
    buf_init(&event, EVENT_BYTES_MAX);
    if (json && sse_append_event(&event, NULL, json, len) == 0) {
        http_stream_write(x->http, event.data, event.len);
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
    size_t len = 0;
    char *json = chat_chunk_role(&x->reply, x->request.include_usage, &len);
    send_event(x, json, len);
}

/* Streams what the filters have released; a whole answer lets it gather. */
static void send_released(struct exchange *x)
{
    struct buf *text = &x->answer.released;
    if (!x->request.stream || text->len == 0) {
        return;
    }
    size_t len = 0;
    char *json = chat_chunk_text(&x->reply, x->request.include_usage, text->data, &len);
    buf_clear(text);
    send_event(x, json, len);
}

static void end_stream(struct exchange *x, enum chat_finish finish)
{
    size_t len = 0;
    char *json = chat_chunk_finish(&x->reply, x->request.include_usage, finish, &len);
    send_event(x, json, len);
    if (x->http && x->request.include_usage) {
        json = chat_chunk_usage(&x->reply, &x->usage, &len);
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

static void send_whole(struct exchange *x, enum chat_finish finish)
{
    struct http_header headers[PROVENANCE_HEADERS];
    size_t len = 0;
    const char *text = x->answer.released.data ? x->answer.released.data : "";
    char *json = chat_reply_whole(&x->reply, text, finish, &x->usage, &len);
    struct http_exchange *http = x->http;
    provenance_headers(&x->made_by, headers);
    leave_client(x);
    respond_json(http, 200, json, len, headers, PROVENANCE_HEADERS);
}

static void end_answer(struct exchange *x, enum chat_finish finish)
{
    if (x->answer.state == ANSWER_FILTERED) {
        finish = CHAT_FINISH_CONTENT_FILTER;
    } else if (x->answer.state == ANSWER_STOPPED) {
        finish = CHAT_FINISH_STOP;
    }
    if (x->request.stream) {
        end_stream(x, finish);
    } else {
        send_whole(x, finish);
    }
}

/* Something broke inside an answer: a whole one becomes an error, a streamed one is cut. */
static void fail_answer(struct exchange *x, const struct err *e)
{
    if (!x->request.stream) {
        refuse(x, e);
        return;
    }
    log_error("a streamed answer was cut: %s", e->message);
    struct http_exchange *http = x->http;
    leave_client(x);
    http_exchange_cut(http);
}

/* --- the way of a request --- */

void exchange_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
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

static void take_token(struct exchange *x, int32_t token)
{
    struct err e = {0};
    x->usage.completion_tokens++;
    if (answer_text_feed(&x->answer, token, &e) != 0) {
        fail_answer(x, &e);
        return;
    }
    send_released(x);
    if (x->http && x->answer.state != ANSWER_OPEN) {
        end_answer(x, CHAT_FINISH_STOP);
    }
}

static void take_end(struct exchange *x, enum engine_finish finish)
{
    struct err e = {0};
    if (finish == ENGINE_FINISH_FAILED || finish == ENGINE_FINISH_CANCELED) {
        err_set(&e, ERR_CANCELED, "the engine ended a request");
        fail_answer(x, &e);
        return;
    }
    if (answer_text_finish(&x->answer, &e) != 0) {
        fail_answer(x, &e);
        return;
    }
    send_released(x);
    if (x->http) {
        end_answer(x, finish == ENGINE_FINISH_LENGTH ? CHAT_FINISH_LENGTH : CHAT_FINISH_STOP);
    }
}

void exchange_on_event(const struct engine_event *ev)
{
    struct exchange *x = ev->user;
    x->engine_running = ev->finish == ENGINE_RUNNING;
    if (x->http && ev->token != TOKEN_NONE) {
        take_token(x, ev->token);
    }
    if (x->http && ev->finish != ENGINE_RUNNING) {
        take_end(x, ev->finish);
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

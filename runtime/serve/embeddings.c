#include "runtime/serve/embeddings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/tokenizer/decoder.h"
#include "models/tokenizer/whole_text.h"
#include "runtime/api/embeddings_reply.h"
#include "runtime/api/embeddings_request.h"
#include "runtime/base/mem.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/filter_run.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server_metrics.h"

struct embedding {
    struct embedder_job job;    /* first: what the embedder gives back */
    struct http_exchange *http; /* NULL when the client is gone */
    struct server *server;
    struct generation *generation;
    struct model_missing missing; /* what it may have to wait for */
    uint64_t tenant;
    struct embeddings_request request;
    struct filter_run input; /* texts through the filters, before the embedder has the job */
    struct chain *chain;
    struct provenance made_by;
    char *reply; /* NULL before it was written */
    size_t reply_len;
};

static void destroy(struct embedding *x)
{
    embeddings_request_deinit(&x->request);
    token_list_deinit(&x->job.tokens);
    mem_free(x->job.ends);
    mem_free(x->job.vectors);
    mem_free(x->reply);
    chain_unref(x->chain);
    generation_unref(x->generation);
    mem_free(x);
}

/* --- on the embedder's thread --- */

static int append_tokens(struct embedding *x, const struct embeddings_input *input,
                         struct err *e)
{
    struct token_list *tokens = &x->job.tokens;
    if (input->text) {
        return whole_text_encode(x->generation->model->tokenizer, input->text, input->text_len,
                                 false, tokens, e);
    }
    return token_list_append(tokens, x->request.tokens.ids + input->first,
                             input->end - input->first) == 0
               ? 0
               : err_nomem(e);
}

/* Cuts a text that is too long, if that was asked for; whether its length is right then. */
static int fit(struct embedding *x, size_t i, size_t begin, struct err *e)
{
    const struct tokenizer *t = x->generation->model->tokenizer;
    struct token_list *tokens = &x->job.tokens;
    size_t most = (size_t)embedder_context(x->generation->embedder);
    bool is_text = x->request.inputs[i].text != NULL;
    if (x->request.truncate && tokens->count - begin > most) {
        if (is_text && most > whole_text_around(t)) {
            whole_text_truncate(t, tokens, begin, most);
        } else {
            tokens->count = begin + most;
        }
    }
    size_t n = tokens->count - begin;
    if (n >= 1 && n <= most) {
        return 0;
    }
    char where[32];
    embeddings_request_name(&x->request, i, where);
    return err_set_param(e, ERR_LIMIT, where, "\"%s\" has %zu tokens, 1 to %zu are allowed",
                         where, n, most);
}

static int read_texts(struct embedder_job *job, struct err *e)
{
    struct embedding *x = (struct embedding *)job;
    size_t n = x->request.n_inputs;
    job->ends = mem_zarray(n, sizeof(*job->ends));
    for (size_t i = 0; job->ends && i < n; i++) {
        size_t begin = job->tokens.count;
        if (append_tokens(x, &x->request.inputs[i], e) != 0 || fit(x, i, begin, e) != 0) {
            return -1;
        }
        job->ends[i] = job->tokens.count;
        if (job->tokens.count > EMBEDDINGS_TOKENS_MAX) {
            return err_set_param(e, ERR_LIMIT, "input",
                                 "\"input\" has more than %d tokens together",
                                 EMBEDDINGS_TOKENS_MAX);
        }
    }
    size_t numbers = n * (size_t)x->generation->model->config.d_model;
    job->vectors = mem_array(numbers, sizeof(float));
    return job->ends && job->vectors ? 0 : err_nomem(e);
}

static int write_reply(struct embedder_job *job, struct err *e)
{
    struct embedding *x = (struct embedding *)job;
    size_t d = (size_t)x->generation->model->config.d_model;
    for (size_t i = 0; i < job->n_texts * d; i++) {
        if (!isfinite(job->vectors[i])) {
            return err_set(e, ERR_IO, "the model made a vector that is not finite");
        }
    }
    struct embeddings_reply reply = {
        .model = x->generation->id,
        .vectors = job->vectors,
        .n_vectors = job->n_texts,
        .d_model = d,
        .dimensions = x->request.dimensions > 0 ? (size_t)x->request.dimensions : d,
        .base64 = x->request.base64,
        .prompt_tokens = job->tokens.count,
    };
    x->reply = embeddings_reply_text(&reply, &x->reply_len);
    return x->reply ? 0 : err_nomem(e);
}

/* --- on the loop --- */

/* For what is told of the request when it is over. */
static void note(const struct embedding *x)
{
    struct request_record *r = x->http ? request_watch_record(x->http) : NULL;
    const struct model *model = x->generation ? x->generation->model : NULL;
    if (!r || !model) {
        return;
    }
    snprintf(r->model, sizeof(r->model), "%s", model->name);
    snprintf(r->version, sizeof(r->version), "%s", model->version);
    snprintf(r->answered_by, sizeof(r->answered_by), "%s", x->generation->id);
    r->prompt_tokens = x->job.tokens.count;
}

static void job_done(struct embedder_job *job)
{
    struct embedding *x = (struct embedding *)job;
    const struct model *model = x->generation->model;
    if (job->e.kind == ERR_NONE) {
        server_metrics_add_prompt(x->server->metrics, model->name, model->version,
                                  job->tokens.count);
        access_charge_tokens(&x->server->set.access, x->tenant, job->tokens.count);
    }
    note(x);
    if (x->http && job->e.kind != ERR_NONE) {
        respond_err(x->http, &job->e);
    } else if (x->http) {
        struct http_header headers[PROVENANCE_UNPROMPTED];
        provenance_headers_unprompted(&x->made_by, headers);
        respond_json(x->http, 200, x->reply, x->reply_len, headers, PROVENANCE_UNPROMPTED);
        x->reply = NULL;
    }
    destroy(x);
}

/* What tokens mean, as filters read text. */
static int decode_input(struct embedding *x, struct embeddings_input *input, struct err *e)
{
    struct decoder decoder;
    struct buf text;
    decoder_init(&decoder, x->generation->model->tokenizer);
    buf_init(&text, SIZE_MAX / 2);
    int rc = 0;
    for (size_t i = input->first; rc == 0 && i < input->end; i++) {
        rc = decoder_feed(&decoder, x->request.tokens.ids[i], &text);
    }
    rc = rc == 0 ? decoder_flush(&decoder, &text) : rc;
    input->owned = rc == 0 ? buf_take(&text, &input->text_len) : NULL;
    buf_deinit(&text);
    return input->owned ? 0 : err_nomem(e);
}

static int get_input(void *user, size_t index, struct filter_run_text *text, struct err *e)
{
    struct embedding *x = user;
    struct embeddings_input *input = &x->request.inputs[index];
    char name[32];
    embeddings_request_name(&x->request, index, name);
    snprintf(text->param, sizeof(text->param), "%s", name);
    if (!input->text && decode_input(x, input, e) != 0) {
        return -1;
    }
    text->text = input->text ? input->text : input->owned;
    text->len = input->text_len;
    return text->len > 0;
}

static int take_input(void *user, size_t index, char *text, size_t len, struct err *e)
{
    (void)e;
    const struct embedding *x = user;
    struct embeddings_input *input = &x->request.inputs[index];
    bool is_same =
        input->owned && len == input->text_len && memcmp(text, input->owned, len) == 0;
    mem_free(input->owned);
    input->owned = NULL;
    if (is_same) { /* tokens stay as they came */
        mem_free(text);
        return 0;
    }
    input->text = input->owned = text;
    input->text_len = len;
    return 0;
}

static int submit(struct embedding *x, struct err *e)
{
    provenance_fill(&x->made_by, x->generation, x->server->no_prompt, x->chain);
    x->job.n_texts = x->request.n_inputs;
    x->job.read = read_texts;
    x->job.write = write_reply;
    x->job.done = job_done;
    return embedder_submit(x->generation->embedder, &x->job, e);
}

static void refuse(struct embedding *x, const struct err *e)
{
    http_exchange_set_data(x->http, NULL);
    note(x);
    model_wait_or_refuse(x->server, x->http, &x->missing, 0, e);
    destroy(x);
}

/* A filter had to wait for somebody outside, and has ruled. */
static void input_done(void *user, struct err *why)
{
    struct embedding *x = user;
    struct err e = {0};
    if (why || submit(x, &e) != 0) {
        refuse(x, why ? why : &e);
    }
}

/* What it may say depends on the vocabulary and width of the model that it names. */
static int read_request(struct embedding *x, struct err *e)
{
    const struct http_request *http = http_exchange_request(x->http);
    if (embeddings_request_parse(&x->request, http->body, http->body_len, 0, 0, e) != 0) {
        return -1;
    }
    const struct served_adapter *adapter = NULL;
    const struct model_ask ask = {.http = http,
                                  .model = x->request.model,
                                  .sticky = x->tenant,
                                  .adapter = &adapter,
                                  .missing = &x->missing};
    struct generation *g = model_pick(x->server, &ask, e);
    if (!g) {
        return -1;
    }
    if (adapter) {
        return err_set_param(e, ERR_UNSUPPORTED, "model",
                             "\"%s\" is an adapter, which makes text and no embeddings; ask "
                             "for its base model \"%s\"",
                             adapter->name, g->model->name);
    }
    if (generation_check_vectors(g, e) != 0) {
        return -1;
    }
    x->generation = generation_ref(g);
    const struct llama_config *c = &g->model->config;
    return embeddings_request_check(&x->request, c->vocab, c->d_model, e);
}

static int prepare(struct embedding *x, struct err *e)
{
    static const struct filter_run_owner owner = {
        .get = get_input, .take = take_input, .done = input_done};
    struct chain *chain;
    if (read_request(x, e) != 0 ||
        chain_pick(x->server, x->http, x->generation->model->name, &chain, e) != 0) {
        return -1;
    }
    x->chain = chain_ref(chain);
    bool any = chain_has_side(x->chain, FILTER_INPUT);
    const struct filter_origin origin = {x->server, x->http, ""};
    int rc = filter_run_start(&x->input, &owner, x, x->chain, &origin,
                              any ? x->request.n_inputs : 0, e);
    return rc == FILTER_RUN_OVER ? submit(x, e) : rc;
}

void embeddings_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    /* In a flood most are refused, so that costs next to nothing. */
    const struct generation *only = model_pick_only(s);
    if (only && only->embedder && embedder_check_room(only->embedder, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct embedding *x = mem_zalloc(sizeof(*x));
    if (!x) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    x->http = http;
    x->server = s;
    x->tenant = access_tenant(&s->set.access, http_exchange_request(http));
    http_exchange_set_data(http, x);
    if (prepare(x, &e) < 0) {
        refuse(x, &e);
    }
}

void embeddings_abort(struct http_exchange *http)
{
    struct embedding *x = http_exchange_data(http);
    if (x && filter_run_is_waiting(&x->input)) {
        filter_run_cancel(&x->input);
        destroy(x);
    } else if (x) {
        x->http = NULL;
        embedder_cancel(x->generation->embedder, &x->job);
    }
}

#include "runtime/serve/tokens.h"

#include <stdint.h>

#include "models/template/chat_prompt.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/whole_text.h"
#include "runtime/api/chat_request.h"
#include "runtime/api/tokens_reply.h"
#include "runtime/api/tokens_request.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/provenance.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/sticky.h"

/* The client's messages as the template writes them, without the owner's prompt. */
static int encode_messages(const struct model *m, const struct answer_request *chat,
                           bool add_generation_prompt, struct token_list *out, struct err *e)
{
    if (!m->chat_template) {
        return err_set_param(e, ERR_UNSUPPORTED, "messages",
                             "\"messages\": the model has no chat template; send \"prompt\"");
    }
    struct chat_render in = {.messages = chat->messages,
                             .n_messages = chat->n_messages,
                             .add_generation_prompt = add_generation_prompt};
    struct chat_text text;
    int rc = chat_prompt_render(m->chat_template, m->tokenizer, &in, &text, e);
    if (rc == 0) {
        rc = chat_prompt_encode(m->tokenizer, &text, out, e);
        chat_text_deinit(&text);
    }
    return rc;
}

/* chat: the messages, where the request has no text. */
static int encode(const struct generation *g, const struct tokenize_request *r,
                  const struct answer_request *chat, struct token_list *out, struct err *e)
{
    if (!r->text) {
        return encode_messages(g->model, chat, r->add_generation_prompt, out, e);
    }
    return (r->add_special ? whole_text_encode : tokenizer_encode)(
        g->model->tokenizer, r->text, r->text_len, r->parse_special, out, e);
}

/* With the version that would answer the same caller, or the same text. */
static int tokenize(struct server *s, struct http_exchange *http,
                    const struct tokenize_request *r, const struct answer_request *chat,
                    struct model_missing *missing, struct err *e)
{
    const struct http_request *request = http_exchange_request(http);
    uint64_t tenant = access_tenant(&s->set.access, request);
    uint64_t conversation =
        r->text ? sticky_of_text(r->text, r->text_len) : sticky_of_conversation(chat);
    const struct model_ask ask = {.http = request,
                                  .model = r->model,
                                  .sticky = tenant != 0 ? tenant : conversation,
                                  .conversation = conversation,
                                  .missing = missing};
    const struct generation *g = model_pick(s, &ask, e);
    struct token_list tokens = {0};
    int rc = g ? encode(g, r, chat, &tokens, e) : -1;
    if (rc == 0) {
        struct tokenize_reply reply = {.tokenizer = g->model->tokenizer,
                                       .tokens = &tokens,
                                       .context = generation_context(g),
                                       .with_pieces = r->with_pieces,
                                       .with_names = r->with_names};
        struct provenance made_by;
        const struct http_header header = provenance_model(&made_by, g);
        size_t len = 0;
        char *text = tokenize_reply_text(&reply, &len);
        respond_json(http, 200, text, len, &header, 1);
    }
    token_list_deinit(&tokens);
    return rc;
}

void tokens_tokenize(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct tokenize_request r;
    struct answer_request chat = {0};
    const struct http_request *request = http_exchange_request(http);
    if (tokenize_request_parse(&r, request->body, request->body_len, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct model_missing missing = {0};
    if ((!r.text && chat_request_parse(&chat, request->body, request->body_len, &e) != 0) ||
        tokenize(s, http, &r, &chat, &missing, &e) != 0) {
        model_wait_or_refuse(s, http, &missing, 0, &e);
    }
    answer_request_deinit(&chat);
    tokenize_request_deinit(&r);
}

/* Of the caller's version; without a key nothing tells whose tokens they are. */
static int detokenize(struct server *s, struct http_exchange *http,
                      const struct detokenize_request *r, struct model_missing *missing,
                      struct buf *out, struct err *e)
{
    const struct http_request *request = http_exchange_request(http);
    const struct model_ask ask = {.http = request,
                                  .model = r->model,
                                  .sticky = access_tenant(&s->set.access, request),
                                  .missing = missing};
    const struct generation *g = model_pick(s, &ask, e);
    if (!g || detokenize_request_check(r, g->model->config.vocab, e) != 0) {
        return -1;
    }
    if (decoder_text(g->model->tokenizer, &r->tokens, out) != 0) {
        return err_nomem(e);
    }
    struct provenance made_by;
    const struct http_header header = provenance_model(&made_by, g);
    size_t len = 0;
    char *text = detokenize_reply_text(out->data ? out->data : "", out->len, &len);
    respond_json(http, 200, text, len, &header, 1);
    return 0;
}

void tokens_detokenize(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct detokenize_request r;
    struct buf out;
    const struct http_request *request = http_exchange_request(http);
    if (detokenize_request_parse(&r, request->body, request->body_len, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    buf_init(&out, SIZE_MAX / 2);
    struct model_missing missing = {0};
    if (detokenize(s, http, &r, &missing, &out, &e) != 0) {
        model_wait_or_refuse(s, http, &missing, 0, &e);
    }
    buf_deinit(&out);
    detokenize_request_deinit(&r);
}

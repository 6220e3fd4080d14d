#include "runtime/serve/tokens.h"

#include <stdint.h>

#include "models/template/chat_prompt.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/whole_text.h"
#include "runtime/api/chat_request.h"
#include "runtime/api/tokens_reply.h"
#include "runtime/api/tokens_request.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/respond.h"

/* The client's messages as the template writes them, without the owner's prompt. */
static int encode_messages(const struct model *m, const struct http_request *http,
                           bool add_generation_prompt, struct token_list *out, struct err *e)
{
    struct answer_request chat;
    if (!m->chat_template) {
        return err_set_param(e, ERR_UNSUPPORTED, "messages",
                             "\"messages\": the model has no chat template; send \"prompt\"");
    }
    if (chat_request_parse(&chat, http->body, http->body_len, e) != 0) {
        return -1;
    }
    struct chat_render in = {.messages = chat.messages,
                             .n_messages = chat.n_messages,
                             .add_generation_prompt = add_generation_prompt};
    struct chat_text text;
    int rc = chat_prompt_render(m->chat_template, m->tokenizer, &in, &text, e);
    if (rc == 0) {
        rc = chat_prompt_encode(m->tokenizer, &text, out, e);
        chat_text_deinit(&text);
    }
    answer_request_deinit(&chat);
    return rc;
}

static int encode(const struct generation *g, const struct tokenize_request *r,
                  const struct http_request *http, struct token_list *out, struct err *e)
{
    if (!r->text) {
        return encode_messages(g->model, http, r->add_generation_prompt, out, e);
    }
    return (r->add_special ? whole_text_encode : tokenizer_encode)(
        g->model->tokenizer, r->text, r->text_len, r->parse_special, out, e);
}

void tokens_tokenize(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct tokenize_request r;
    struct token_list tokens = {0};
    const struct http_request *request = http_exchange_request(http);
    if (tokenize_request_parse(&r, request->body, request->body_len, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct model_missing missing = {0};
    const struct model_ask ask = {.http = request, .model = r.model, .missing = &missing};
    const struct generation *g = model_pick(s, &ask, &e);
    if (!g || encode(g, &r, request, &tokens, &e) != 0) {
        model_wait_or_refuse(s, http, &missing, 0, &e);
    } else {
        struct tokenize_reply reply = {.tokenizer = g->model->tokenizer,
                                       .tokens = &tokens,
                                       .context = generation_context(g),
                                       .with_pieces = r.with_pieces,
                                       .with_names = r.with_names};
        size_t len = 0;
        char *text = tokenize_reply_text(&reply, &len);
        respond_json(http, 200, text, len, NULL, 0);
    }
    token_list_deinit(&tokens);
    tokenize_request_deinit(&r);
}

static int decode(const struct tokenizer *t, const struct token_list *tokens, struct buf *out,
                  struct err *e)
{
    struct decoder decoder;
    decoder_init(&decoder, t);
    for (size_t i = 0; i < tokens->count; i++) {
        if (decoder_feed(&decoder, tokens->ids[i], out) != 0) {
            return err_nomem(e);
        }
    }
    return decoder_flush(&decoder, out) == 0 ? 0 : err_nomem(e);
}

void tokens_detokenize(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct detokenize_request r;
    struct buf out;
    const struct http_request *request = http_exchange_request(http);
    if (detokenize_request_parse(&r, request->body, request->body_len, 0, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    buf_init(&out, SIZE_MAX / 2);
    struct model_missing missing = {0};
    const struct model_ask ask = {.http = request, .model = r.model, .missing = &missing};
    const struct generation *g = model_pick(s, &ask, &e);
    if (!g || detokenize_request_check(&r, g->model->config.vocab, &e) != 0 ||
        decode(g->model->tokenizer, &r.tokens, &out, &e) != 0) {
        model_wait_or_refuse(s, http, &missing, 0, &e);
    } else {
        size_t len = 0;
        char *text = detokenize_reply_text(out.data ? out.data : "", out.len, &len);
        respond_json(http, 200, text, len, NULL, 0);
    }
    buf_deinit(&out);
    detokenize_request_deinit(&r);
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "runtime/base/clock.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/conversation.h"
#include "runtime/serve/exchange_parts.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/sticky.h"

/* All prompts' answers together. */
#define CHOICES_MAX 128

/* Of the version's owner, for what the request does not say. */
static void apply_model_defaults(struct sampling *p, unsigned given,
                                 const struct model_defaults *d)
{
    const struct {
        enum model_default from;
        unsigned given;
        float *to;
    } numbers[] = {
        {MODEL_DEFAULT_TEMPERATURE, SAMPLING_GIVEN_TEMPERATURE, &p->temperature},
        {MODEL_DEFAULT_TOP_P, SAMPLING_GIVEN_TOP_P, &p->top_p},
        {MODEL_DEFAULT_MIN_P, SAMPLING_GIVEN_MIN_P, &p->min_p},
        {MODEL_DEFAULT_REPETITION_PENALTY, SAMPLING_GIVEN_REPETITION_PENALTY,
         &p->repetition_penalty},
        {MODEL_DEFAULT_PRESENCE_PENALTY, SAMPLING_GIVEN_PRESENCE_PENALTY, &p->presence_penalty},
        {MODEL_DEFAULT_FREQUENCY_PENALTY, SAMPLING_GIVEN_FREQUENCY_PENALTY,
         &p->frequency_penalty},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (d->set & 1u << numbers[i].from && !(given & numbers[i].given)) {
            *numbers[i].to = (float)d->values[numbers[i].from];
        }
    }
    if (d->set & 1u << MODEL_DEFAULT_TOP_K && !(given & SAMPLING_GIVEN_TOP_K)) {
        p->top_k = (int)d->values[MODEL_DEFAULT_TOP_K];
    }
}

static void apply_defaults(struct exchange *x, const struct server *s)
{
    struct sampling *p = &x->request.sampling;
    const struct sampling *set = &s->set.sampling;
    unsigned given = x->request.given;
    if (!(given & SAMPLING_GIVEN_TEMPERATURE)) {
        p->temperature = set->temperature;
    }
    if (x->generation->manifest) {
        apply_model_defaults(p, given, &x->generation->manifest->defaults);
    }
    if (!(given & SAMPLING_GIVEN_SEED) &&
        getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) < 0) {
        p->seed = clock_now_ns();
    }
}

/* Tokens that begin every prompt under the owner's present text. */
static size_t shared_tokens(const struct exchange *x, const struct token_list *tokens)
{
    const struct token_list *shared =
        prompt_set_prefix(&x->server->prompts, x->prompt, x->generation);
    size_t n = 0;
    while (shared && n < shared->count && n < tokens->count &&
           shared->ids[n] == tokens->ids[n]) {
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
        x->choices[i].user.on_event = exchange_on_event;
        answer_choice_init(&x->answers[i]);
    }
    return 0;
}

static bool is_json(const struct constraint *c)
{
    return c->kind == CONSTRAINT_JSON_OBJECT || c->kind == CONSTRAINT_JSON_SCHEMA;
}

static int begin_answers(struct exchange *x, size_t first, bool reasoning_open, struct err *e)
{
    struct answer_text_settings set = {.tokenizer = x->generation->model->tokenizer,
                                       .is_json = is_json(&x->request.constraint),
                                       .stops = x->request.stop,
                                       .n_stops = x->request.n_stop,
                                       .chain = x->chain,
                                       .prompt = x->prompt->text,
                                       .prompt_len = x->prompt->text_len,
                                       .format = x->form.form.format,
                                       .tools = x->tools,
                                       .n_tools = x->n_tools,
                                       .reasoning_open = reasoning_open,
                                       .keep_tokens = x->request.logprobs,
                                       .keep_fed = filter_record_wants_texts(x->server),
                                       .block =
                                           x->request.moderation.output == MODERATION_BLOCK,
                                       .piece = exchange_take_piece,
                                       .outside = &x->outside.face,
                                       .wake = exchange_on_wake};
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
    struct prompt_value values[ANSWER_VARIABLES_MAX];
    const struct answer_prompt_source source = {.generation = x->generation,
                                                .prompt = x->prompt,
                                                .values = values,
                                                .n_values =
                                                    answer_prompt_values(&x->request, values),
                                                .request = &x->request};
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
        r->options.want_entropy = x->server->drift && c->index == 0;
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

/* Tokens that an answer may have: of a request that says nothing what the version's owner has
 * set, and never more than the owner allows. */
static int answer_length(const struct exchange *x)
{
    const struct model_manifest *m = x->generation->manifest;
    bool has_default = m && m->defaults.set & 1u << MODEL_DEFAULT_MAX_TOKENS;
    int wanted = x->request.max_tokens > 0 ? x->request.max_tokens
                 : has_default             ? (int)m->defaults.values[MODEL_DEFAULT_MAX_TOKENS]
                                           : engine_context(x->generation->engine);
    return m && m->max_tokens > 0 && m->max_tokens < wanted ? m->max_tokens : wanted;
}

int exchange_submit(struct exchange *x, struct grammar *grammar, struct err *e)
{
    const struct answer_request *q = &x->request;
    uint64_t salt;
    x->tenant = access_tenant(&x->server->set.access, http_exchange_request(x->http));
    if (make_cache_salt(x, x->tenant, &salt, e) != 0) {
        return -1;
    }
    struct engine_request r = {
        .max_tokens = answer_length(x),
        .sampling = q->sampling,
        .options = {.tenant = x->tenant,
                    .salt = salt,
                    .priority = q->priority,
                    .deadline_ns = x->deadline_ns,
                    .adapter = x->adapter ? x->adapter->adapter : NULL,
                    .ignore_eog = q->ignore_eos,
                    .want_logprobs = q->logprobs,
                    .n_top_logprobs = q->top_logprobs},
    };
    uint64_t now = clock_now_ns();
    for (size_t i = 0; i < x->n_prompts; i++) {
        if (submit_prompt(x, i, &r, grammar, e) != 0) {
            return -1;
        }
        token_list_deinit(&x->prompts[i]);
    }
    x->times.submitted_ns = now; /* of a request that is refused nothing counts as read */
    access_charge_tokens(&x->server->set.access, x->tenant, x->usage.prompt_tokens);
    shadow_begin(x, r.max_tokens, grammar);
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

/* Which findings the client is told of must be known before there are any. */
static int begin_findings(struct exchange *x, struct err *e)
{
    if (x->request.moderation.input == MODERATION_UNTOLD) {
        return 0;
    }
    return filter_findings_begin(&x->found_input, x->chain) == 0 &&
                   filter_findings_begin(&x->found_output, x->chain) == 0
               ? 0
               : err_nomem(e);
}

int exchange_input_get(void *user, size_t index, struct filter_run_text *text, struct err *e)
{
    struct exchange *x = user;
    bool told = x->request.moderation.input != MODERATION_UNTOLD;
    if (exchange_check_deadline(x, e) != 0) {
        return -1;
    }
    text->findings = told ? &x->found_input : NULL;
    return input_texts_get(&x->input_texts, index, text);
}

int exchange_input_take(void *user, size_t index, char *text, size_t len, struct err *e)
{
    struct exchange *x = user;
    return input_texts_take(&x->input_texts, index, text, len, e);
}

int exchange_check_findings(const struct exchange *x, struct err *e)
{
    return x->request.moderation.input == MODERATION_BLOCK &&
                   moderation_result_flagged(&x->found_input)
               ? err_set_param(e, ERR_FILTERED, x->api->input,
                               "\"moderation\" asks to block what filters find, and they found "
                               "something in \"%s\"",
                               x->api->input)
               : 0;
}

static int find_generation(struct exchange *x, struct err *e)
{
    const struct model_ask ask = {.http = http_exchange_request(x->http),
                                  .model = x->request.model,
                                  .sticky = sticky_of(x->server, x->http, &x->request),
                                  .conversation = sticky_of_conversation(&x->request),
                                  .adapter = &x->adapter,
                                  .missing = &x->missing};
    struct generation *g = model_pick(x->server, &ask, e);
    if (!g || generation_check_text(g, e) != 0 ||
        engine_check_room(g->engine, g->n_coming, e) != 0) {
        return -1;
    }
    x->generation = generation_ref(g);
    x->caller = ask.sticky;
    x->conversation = ask.conversation;
    x->names_version = model_pick_names_version(x->server, &ask);
    x->reply.tokenizer = g->model->tokenizer;
    x->reply.model = x->adapter ? x->adapter->id : g->id;
    return 0;
}

static int find_chain(struct exchange *x, struct err *e)
{
    struct chain *chain;
    const char *model = x->generation->model->name;
    if (x->adapter && chain_pick_for_model(&x->server->set, x->adapter->name)) {
        model = x->adapter->name;
    }
    if (chain_pick(x->server, x->http, model, &chain, e) != 0) {
        return -1;
    }
    x->chain = chain_ref(chain);
    return 0;
}

int exchange_read(struct exchange *x, struct err *e)
{
    const struct http_request *http = http_exchange_request(x->http);
    if (x->api->parse(&x->request, http->body, http->body_len, e) != 0 ||
        find_generation(x, e) != 0 || find_chain(x, e) != 0 || check_logprobs(x, e) != 0 ||
        begin_findings(x, e) != 0) {
        return -1;
    }
    apply_defaults(x, x->server);
    if (x->request.deadline_ms > 0 && exchange_set_deadline(x, e) != 0) {
        return -1;
    }
    return sampling_bind(&x->request.sampling, x->generation->model->tokenizer, e);
}

int exchange_prepare(struct exchange *x, struct err *e)
{
    provenance_fill(&x->made_by, x->generation, x->prompt, x->chain);
    if (x->adapter) {
        provenance_add_adapter(&x->made_by, x->adapter);
    }
    return reserve_answers(x, e) == 0 ? make_prompts(x, e) : -1;
}

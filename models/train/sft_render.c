#include "models/train/sft_render.h"

#include <string.h>

#include "models/output/tool_messages.h"
#include "models/template/chat_prompt.h"
#include "models/train/dataset.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

/* One example on its way. */
struct rendering {
    struct sft_renderer *r;
    const struct sft_example *x;
    struct tool_messages fit; /* the conversation as the template is given it */
    struct token_list prompt; /* of the answer at hand */
    struct token_list answer;
    uint32_t *document; /* (count) what was not emitted yet */
    size_t count, cap;
    struct err *e;
};

/* --- texts --- */

static int render(struct rendering *w, size_t n_messages, bool prompt, struct chat_text *out)
{
    const struct chat_render in = {.messages = w->fit.messages,
                                   .n_messages = n_messages,
                                   .tools = w->fit.tools,
                                   .kwargs = w->x->kwargs,
                                   .add_generation_prompt = prompt,
                                   .unix_time = w->r->unix_time};
    return chat_prompt_render(w->r->chat_template, w->r->tokenizer, &in, out, w->e);
}

/* How many bytes, and whose they are, two texts have in common at their beginnings. */
static size_t common(const struct chat_text *a, const struct chat_text *b)
{
    size_t n = 0, most = a->len < b->len ? a->len : b->len;
    while (n < most && a->data[n] == b->data[n] && a->trusted[n] == b->trusted[n]) {
        n++;
    }
    return n;
}

/* How many bytes up to `end` the template wrote without a break. */
static size_t trusted_before(const struct chat_text *t, size_t end)
{
    size_t n = 0;
    while (n < end && t->trusted[end - 1 - n]) {
        n++;
    }
    return n;
}

/* Appends to a text that has room: whose bytes they are is in `trusted`, or all are `whose`. */
static void append(struct chat_text *out, const char *data, size_t len,
                   const unsigned char *trusted, unsigned char whose)
{
    for (size_t i = 0; i < len; i++) {
        out->data[out->len] = data[i];
        out->trusted[out->len++] = trusted ? trusted[i] : whose;
    }
}

/* Reasoning and what ends it, between a prompt that has opened it and an answer. */
struct thought {
    const char *text;  /* the message's */
    const char *close; /* the template's; NULL: neither */
};

/* out = prompt, thought, and `whole` from `from` on. */
static int join(struct chat_text *out, const struct chat_text *prompt,
                const struct thought *thought, const struct chat_text *whole, size_t from,
                struct err *e)
{
    size_t text = thought->close ? strlen(thought->text) : 0;
    size_t close = thought->close ? strlen(thought->close) : 0;
    size_t room = prompt->len + text + 1 + close + 2 + whole->len - from;
    *out = (struct chat_text){.data = mem_alloc(room), .trusted = mem_alloc(room)};
    if (!out->data || !out->trusted) {
        chat_text_deinit(out);
        return err_nomem(e);
    }
    append(out, prompt->data, prompt->len, prompt->trusted, 1);
    if (thought->close) {
        append(out, thought->text, text, NULL, 0);
        append(out, "\n", 1, NULL, 1);
        append(out, thought->close, close, NULL, 1);
        append(out, "\n\n", 2, NULL, 1);
    }
    append(out, whole->data + from, whole->len - from, whole->trusted + from, 1);
    return 0;
}

/* --- where the answer begins --- */

static int refuse(struct rendering *w, size_t k, const char *why)
{
    return err_set(w->e, ERR_UNSUPPORTED,
                   "the answer at message %zu (as the template is given "
                   "them): %s",
                   k, why);
}

/* Another answer in the place of message k: the texts differ from where it begins. */
static int find_by_other(struct rendering *w, size_t k, const struct chat_text *whole,
                         size_t *begin)
{
    struct chat_message *m = &w->fit.messages[k], kept = *m;
    size_t blanks = kept.content ? strspn(kept.content, " \t\r\n") : 0;
    struct chat_text other;
    m->content = kept.content && kept.content[blanks] == 'Q' ? "Z" : "Q";
    m->content_len = 1;
    int rc = render(w, k + 1, false, &other);
    *m = kept;
    if (rc) {
        return -1;
    }
    *begin = 0;
    while (*begin < whole->len && *begin < other.len &&
           whole->data[*begin] == other.data[*begin]) {
        ++*begin;
    }
    chat_text_deinit(&other);
    return 0;
}

static int find_by_ending(struct rendering *w, size_t k, const struct chat_text *prompt,
                          const struct chat_text *whole, size_t *begin)
{
    if (w->fit.messages[k].tool_calls || !w->fit.messages[k].content) {
        return refuse(w, k,
                      "the chat template writes a call in another place than where its "
                      "prompt ends, so it cannot be learnt");
    }
    if (find_by_other(w, k, whole, begin)) {
        return -1;
    }
    size_t n = trusted_before(prompt, prompt->len);
    if (n == 0 || trusted_before(whole, *begin) < n ||
        memcmp(prompt->data + prompt->len - n, whole->data + *begin - n, n) != 0) {
        return refuse(w, k,
                      "the chat template writes it in another place than where its prompt "
                      "ends, so it cannot be learnt");
    }
    return 0;
}

/* The text that the model reads and then writes: *out begins with the prompt. */
static int render_turn(struct rendering *w, size_t k, const struct chat_text *prompt,
                       const struct chat_text *whole, struct chat_text *out)
{
    const struct output_format *f = &w->r->format;
    const struct chat_message *m = &w->fit.messages[k];
    struct thought thought = {0};
    size_t begin = common(prompt, whole);
    bool open = begin < prompt->len && f->think_close &&
                trusted_before(prompt, prompt->len) >= prompt->len - begin &&
                output_format_prompt_open(f, prompt->data, prompt->len);
    if (open) {
        thought = (struct thought){m->reasoning ? m->reasoning : "", f->think_close};
    } else if (begin < prompt->len && find_by_ending(w, k, prompt, whole, &begin)) {
        return -1;
    }
    return join(out, prompt, &thought, whole, begin, w->e);
}

/* --- nothing may be missing --- */

/* Whether text, blanks at its ends aside, stands in t from `from` on. */
static bool contains(const struct chat_text *t, size_t from, const char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1])) {
        len--;
    }
    return len == 0 || memmem(t->data + from, t->len - from, text, len) != NULL;
}

static bool contains_calls(const struct chat_text *t, size_t from, const char *calls)
{
    cJSON *json = cJSON_Parse(calls);
    const cJSON *call;
    bool all = json;
    cJSON_ArrayForEach(call, json)
    {
        const cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
        const char *name =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(function, "name"));
        all = all && name && contains(t, from, name);
    }
    cJSON_Delete(json);
    return all;
}

static int check_whole(struct rendering *w, size_t k, const struct chat_text *turn, size_t from)
{
    const struct chat_message *m = &w->fit.messages[k];
    const char *close = w->r->format.think_close, *content = m->content ? m->content : "";
    const char *behind = close ? strstr(content, close) : NULL;
    /* Many templates set reasoning that stands in the content apart themselves. */
    if (!contains(turn, from, behind ? behind + strlen(close) : content)) {
        return refuse(w, k, "the chat template does not write its content as it is");
    }
    if (m->reasoning && !contains(turn, from, m->reasoning)) {
        return refuse(w, k, "the chat template leaves out its reasoning_content");
    }
    if (m->tool_calls && !contains_calls(turn, from, m->tool_calls)) {
        return refuse(w, k, "the chat template leaves out a call of its tool_calls");
    }
    return 0;
}

/* --- tokens --- */

/* answer = what follows the prompt's tokens in those of the turn. Where a merge goes across the
 * border (a line break of the prompt's with one of the answer's), the model will have the
 * prompt's own tokens before it, so the answer is encoded for itself. */
static int encode_answer(struct rendering *w, const struct chat_text *turn, size_t from)
{
    const struct tokenizer *t = w->r->tokenizer;
    size_t n = w->prompt.count;
    token_list_clear(&w->answer);
    if (chat_prompt_encode(t, turn, &w->answer, w->e)) {
        return -1;
    }
    if (w->answer.count >= n &&
        memcmp(w->answer.ids, w->prompt.ids, n * sizeof(*w->prompt.ids)) == 0) {
        memmove(w->answer.ids, w->answer.ids + n,
                (w->answer.count - n) * sizeof(*w->answer.ids));
        w->answer.count -= n;
        return 0;
    }
    const struct chat_text rest = {
        .data = turn->data + from, .trusted = turn->trusted + from, .len = turn->len - from};
    token_list_clear(&w->answer);
    return chat_prompt_encode_part(t, &rest, &w->answer, w->e);
}

/* Up to the first token that ends a generation. It is the template's, since no text of a
 * message becomes one. */
static bool cut_answer(struct rendering *w)
{
    for (size_t i = 0; i < w->answer.count; i++) {
        if (tokenizer_is_eog(w->r->tokenizer, w->answer.ids[i])) {
            w->answer.count = i + 1;
            return true;
        }
    }
    return false;
}

/* The template wrote no such token: eos takes the place of the blanks that it ends with. */
static int end_answer(struct rendering *w, size_t k, struct chat_text *turn, size_t from)
{
    const struct tokenizer *t = w->r->tokenizer;
    int32_t end = tokenizer_eos(t) != TOKEN_NONE ? tokenizer_eos(t) : tokenizer_eot(t);
    if (end == TOKEN_NONE) {
        return refuse(w, k, "nothing ends it: the vocabulary has no end-of-text token");
    }
    while (turn->len > from && turn->trusted[turn->len - 1] &&
           strchr(" \t\r\n", turn->data[turn->len - 1])) {
        turn->len--;
    }
    w->r->n_ends_added++;
    if (encode_answer(w, turn, from)) {
        return -1;
    }
    return token_list_push(&w->answer, end) ? err_nomem(w->e) : 0;
}

static int tokenize_turn(struct rendering *w, size_t k)
{
    struct chat_text prompt = {0}, whole = {0}, turn = {0};
    int rc = -1;
    token_list_clear(&w->prompt);
    if (render(w, k, true, &prompt) || render(w, k + 1, false, &whole) ||
        render_turn(w, k, &prompt, &whole, &turn) || check_whole(w, k, &turn, prompt.len) ||
        chat_prompt_encode(w->r->tokenizer, &prompt, &w->prompt, w->e) ||
        encode_answer(w, &turn, prompt.len)) {
        goto cleanup;
    }
    rc = cut_answer(w) ? 0 : end_answer(w, k, &turn, prompt.len);
cleanup:
    chat_text_deinit(&prompt);
    chat_text_deinit(&whole);
    chat_text_deinit(&turn);
    return rc;
}

/* --- documents --- */

static int push(struct rendering *w, const int32_t *ids, size_t n, uint32_t learn)
{
    if (w->count + n > w->cap) {
        size_t cap = (w->count + n) * 2;
        uint32_t *grown = mem_realloc_array(w->document, cap, sizeof(*grown));
        if (!grown) {
            return err_nomem(w->e);
        }
        w->document = grown;
        w->cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        w->document[w->count++] = (uint32_t)ids[i] | learn;
    }
    return 0;
}

/* Whether the prompt at hand goes on where the document ends. */
static bool continues(const struct rendering *w)
{
    if (w->prompt.count < w->count) {
        return false;
    }
    for (size_t i = 0; i < w->count; i++) {
        if ((w->document[i] & ~DATASET_LEARN) != (uint32_t)w->prompt.ids[i]) {
            return false;
        }
    }
    return true;
}

static int add_turn(struct rendering *w, sft_emit emit, void *ctx)
{
    if (w->count > 0 && !continues(w)) {
        if (emit(ctx, w->document, w->count, w->e)) {
            return -1;
        }
        w->count = 0;
    }
    return push(w, w->prompt.ids + w->count, w->prompt.count - w->count, 0) ||
                   push(w, w->answer.ids, w->answer.count, DATASET_LEARN)
               ? -1
               : 0;
}

/* How many messages an answer became (tool_messages.h). */
static size_t split_count(const struct rendering *w, const struct chat_message *m)
{
    if (!m->tool_calls || !w->r->format.one_call ||
        !output_format_template_has_tools(&w->r->format)) {
        return 1;
    }
    cJSON *calls = cJSON_Parse(m->tool_calls);
    int n = cJSON_GetArraySize(calls);
    cJSON_Delete(calls);
    return n > 1 ? (size_t)n : 1;
}

static int render_answers(struct rendering *w, sft_emit emit, void *ctx)
{
    const struct sft_example *x = w->x;
    size_t k = 0; /* in w->fit, whose answers stand in the same order */
    for (size_t i = 0; i < x->n_messages; i++) {
        if (strcmp(x->messages[i].role, "assistant") != 0) {
            continue;
        }
        for (size_t n = split_count(w, &x->messages[i]); n > 0; n--, k++) {
            while (k < w->fit.n_messages && strcmp(w->fit.messages[k].role, "assistant") != 0) {
                k++;
            }
            if (k == w->fit.n_messages) {
                return err_set(w->e, ERR_INVALID, "messages[%zu] is lost", i);
            }
            if (x->learn[i] && (tokenize_turn(w, k) || add_turn(w, emit, ctx))) {
                return -1;
            }
        }
    }
    return w->count > 0 ? emit(ctx, w->document, w->count, w->e) : 0;
}

int sft_render(struct sft_renderer *r, const struct sft_example *x, sft_emit emit, void *ctx,
               struct err *e)
{
    struct rendering w = {.r = r, .x = x, .e = e};
    if (tool_messages_init(&w.fit, &r->format, x->messages, x->n_messages, x->tools, e)) {
        return -1;
    }
    int rc = render_answers(&w, emit, ctx);
    tool_messages_deinit(&w.fit);
    token_list_deinit(&w.prompt);
    token_list_deinit(&w.answer);
    mem_free(w.document);
    return rc;
}

#include "runtime/cli/eval_jobs.h"

#include <string.h>

#include "models/template/chat_prompt.h"
#include "runtime/base/mem.h"

#define PROMPT_BYTES_MAX ((size_t)16 << 20)

void eval_jobs_init(struct eval_jobs *jobs, const struct eval_part *part,
                    const struct local_model *l)
{
    *jobs = (struct eval_jobs){.part = part, .model = l->model, .context = (size_t)l->context};
}

void eval_jobs_deinit(struct eval_jobs *jobs)
{
    token_list_deinit(&jobs->text);
}

int eval_item_failed(const struct eval_part *part, size_t item, struct err *e)
{
    const struct eval_item *it = &part->items[item];
    bool is_outside = part->kind == EVAL_DOMAIN && !it->is_inside;
    return err_prefix(e, "%s: line %zu", part->files[is_outside], it->line);
}

/* --- tokens --- */

static int chat_tokens(const struct eval_jobs *jobs, const struct chat_message *messages,
                       size_t n, struct token_list *out, struct err *e)
{
    const struct model *m = jobs->model;
    return m->chat_template
               ? chat_prompt_tokens(m->chat_template, m->tokenizer, messages, n, out, e)
               : err_set(e, ERR_UNSUPPORTED, "the model has no chat template, it cannot chat");
}

static int text_tokens(const struct eval_jobs *jobs, const char *text, size_t len,
                       struct token_list *out, struct err *e)
{
    const struct tokenizer *t = jobs->model->tokenizer;
    if (tokenizer_add_bos(t) && token_list_push(out, tokenizer_bos(t)) != 0) {
        return err_nomem(e);
    }
    return tokenizer_encode(t, text, len, false, out, e);
}

static int add_continuation(struct eval_job *job, const int32_t *ids, size_t n, struct err *e)
{
    struct eval_continuation *c = &job->continuations[job->n_continuations++];
    if (n == 0) {
        return err_set(e, ERR_FORMAT, "there is a text without tokens");
    }
    return token_list_append(&c->tokens, ids, n) == 0 ? 0 : err_nomem(e);
}

static int add_text(const struct eval_jobs *jobs, struct eval_job *job, const char *text,
                    struct err *e)
{
    struct token_list tokens = {0};
    int rc = tokenizer_encode(jobs->model->tokenizer, text, strlen(text), false, &tokens, e);
    rc = rc == 0 ? add_continuation(job, tokens.ids, tokens.count, e) : rc;
    token_list_deinit(&tokens);
    return rc;
}

/* --- multiple choice --- */

static bool is_chat(const struct eval_jobs *jobs, const struct eval_item *item)
{
    if (jobs->part->format != EVAL_FORMAT_BY_MODEL) {
        return jobs->part->format == EVAL_FORMAT_CHAT;
    }
    return jobs->model->chat_template && !item->is_begun;
}

static void write_question(const struct eval_jobs *jobs, const struct eval_item *item,
                           bool chat, struct buf *out)
{
    bool letters = jobs->part->letters;
    buf_printf(out, chat || letters || item->is_begun ? "%s" : "Question: %s", item->question);
    for (size_t i = 0; letters && i < item->n_choices; i++) {
        buf_printf(out, "\n%c. %s", (int)('A' + i), item->choices[i]);
    }
    if (chat && letters) {
        buf_append_str(out, "\nAnswer with the letter alone.");
    } else if (!chat && (letters || !item->is_begun)) {
        buf_append_str(out, "\nAnswer:");
    }
}

static void letter_or_text(const struct eval_jobs *jobs, const struct eval_item *item, size_t i,
                           struct buf *out)
{
    if (jobs->part->letters) {
        buf_append_char(out, (char)('A' + i));
    } else {
        buf_append_str(out, item->choices[i]);
    }
}

static int fill_chat_choice(const struct eval_jobs *jobs, const struct eval_item *item,
                            const struct buf *question, struct eval_job *job, struct err *e)
{
    const struct chat_message m = {
        .role = "user", .content = question->data, .content_len = question->len};
    int rc = chat_tokens(jobs, &m, 1, &job->prompt, e);
    for (size_t i = 0; rc == 0 && i < item->n_choices; i++) {
        struct buf text;
        buf_init(&text, PROMPT_BYTES_MAX);
        letter_or_text(jobs, item, i, &text);
        rc = text.failed ? err_nomem(e) : add_text(jobs, job, text.data, e);
        buf_deinit(&text);
    }
    return rc;
}

/* Question and choice are encoded as one text, as the model would have read them; the choice is
 * what is behind the tokens of the question alone. */
static int fill_plain_choice(const struct eval_jobs *jobs, const struct eval_item *item,
                             const struct buf *question, struct eval_job *job, struct err *e)
{
    int rc = text_tokens(jobs, question->data, question->len, &job->prompt, e);
    for (size_t i = 0; rc == 0 && i < item->n_choices; i++) {
        struct token_list both = {0};
        struct buf text;
        buf_init(&text, PROMPT_BYTES_MAX);
        buf_printf(&text, "%s ", question->data);
        letter_or_text(jobs, item, i, &text);
        rc = text.failed ? err_nomem(e) : text_tokens(jobs, text.data, text.len, &both, e);
        size_t n = job->prompt.count < both.count ? job->prompt.count : both.count - 1;
        rc = rc == 0 ? add_continuation(job, both.ids + n, both.count - n, e) : rc;
        token_list_deinit(&both);
        buf_deinit(&text);
    }
    return rc;
}

static int fill_choice(const struct eval_jobs *jobs, const struct eval_item *item,
                       struct eval_job *job, struct err *e)
{
    bool chat = is_chat(jobs, item);
    struct buf question;
    buf_init(&question, PROMPT_BYTES_MAX);
    write_question(jobs, item, chat, &question);
    int rc = question.failed ? err_nomem(e)
             : chat          ? fill_chat_choice(jobs, item, &question, job, e)
                             : fill_plain_choice(jobs, item, &question, job, e);
    buf_deinit(&question);
    return rc;
}

/* --- perplexity --- */

/* A whole conversation as the template writes it. */
static int conversation_tokens(struct eval_jobs *jobs, const struct eval_item *item,
                               struct err *e)
{
    const struct model *m = jobs->model;
    const struct chat_render in = {.messages = item->messages[0],
                                   .n_messages = item->n_messages};
    struct chat_text text = {0};
    if (!m->chat_template) {
        return err_set(e, ERR_UNSUPPORTED, "the model has no chat template, it cannot chat");
    }
    int rc = chat_prompt_render(m->chat_template, m->tokenizer, &in, &text, e);
    if (rc == 0) {
        rc = chat_prompt_encode(m->tokenizer, &text, &jobs->text, e);
        chat_text_deinit(&text);
    }
    return rc;
}

/* The next window of a text: at most `context` tokens, of which the first half has been scored
 * already, or is the first token alone. 0: the text is at its end. */
static int next_window(struct eval_jobs *jobs, struct eval_job *job, struct err *e)
{
    const struct token_list *text = &jobs->text;
    size_t at = jobs->text_at, before = at > jobs->context / 2 ? jobs->context / 2 : at;
    size_t n = text->count - at, most = jobs->context - before;
    if (n == 0) {
        return 0;
    }
    n = n < most ? n : most;
    if (token_list_append(&job->prompt, text->ids + at - before, before) != 0) {
        return err_nomem(e);
    }
    jobs->text_at += n;
    return add_continuation(job, text->ids + at, n, e) == 0 ? 1 : -1;
}

static int fill_text(struct eval_jobs *jobs, const struct eval_item *item, struct eval_job *job,
                     struct err *e)
{
    if (jobs->piece == 0) {
        token_list_clear(&jobs->text);
        jobs->text_at = 1; /* the first token has nothing before it */
        int rc = item->text ? text_tokens(jobs, item->text, strlen(item->text), &jobs->text, e)
                            : conversation_tokens(jobs, item, e);
        if (rc != 0 || jobs->text.count < 2) {
            return rc;
        }
    }
    return next_window(jobs, job, e);
}

/* The next of the assistant's turns, from message `piece` on. */
static int fill_turn(struct eval_jobs *jobs, const struct eval_item *item, struct eval_job *job,
                     struct err *e)
{
    const struct chat_message *m = item->messages[0];
    size_t i = jobs->piece;
    while (i < item->n_messages &&
           (i == 0 || strcmp(m[i].role, "assistant") != 0 || m[i].content_len == 0)) {
        i++;
    }
    jobs->piece = i;
    if (i == item->n_messages) {
        return 0;
    }
    return chat_tokens(jobs, m, i, &job->prompt, e) == 0 &&
                   add_text(jobs, job, m[i].content, e) == 0
               ? 1
               : -1;
}

/* --- all kinds --- */

static int fill_answer(const struct eval_jobs *jobs, const struct eval_item *item,
                       struct eval_job *job, struct err *e)
{
    job->max_tokens = jobs->part->max_tokens;
    job->want_logprob = jobs->part->kind == EVAL_CALIBRATION;
    if (chat_tokens(jobs, item->messages[job->part], item->n_messages, &job->prompt, e) != 0) {
        return -1;
    }
    return item->answer ? add_text(jobs, job, item->answer, e) : 0;
}

/* 1, 0 if the item has no more jobs, -1. */
static int fill(struct eval_jobs *jobs, struct eval_job *job, struct err *e)
{
    const struct eval_item *item = &jobs->part->items[jobs->item];
    if (jobs->part->kind == EVAL_PERPLEXITY) {
        return item->text || jobs->part->on_all ? fill_text(jobs, item, job, e)
                                                : fill_turn(jobs, item, job, e);
    }
    if (jobs->piece > (item->pair[0] ? 1u : 0u)) {
        return 0;
    }
    job->part = jobs->piece;
    int rc = item->question ? fill_choice(jobs, item, job, e) : fill_answer(jobs, item, job, e);
    return rc == 0 ? 1 : -1;
}

int eval_jobs_next(struct eval_jobs *jobs, struct eval_job *job, struct err *e)
{
    for (; jobs->item < jobs->part->n; jobs->item++, jobs->piece = 0) {
        job->item = jobs->item;
        int got = fill(jobs, job, e);
        if (got != 0) {
            jobs->piece++;
            return got > 0 ? 1 : eval_item_failed(jobs->part, jobs->item, e);
        }
    }
    return 0;
}

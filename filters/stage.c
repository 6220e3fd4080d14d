#include "filters/stage.h"

#include <stdio.h>
#include <string.h>

#include "filters/stage_text.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* Copies as much of `from` as fits, whole characters only; what is not UTF-8 ends it. */
static void copy_text(char *to, size_t max, const char *from)
{
    size_t len = strlen(from);
    len = utf8_valid_prefix(from, len < max ? len : max);
    memcpy(to, from, len);
    to[len] = '\0';
}

static struct stage *stage_of(struct filter_host *host)
{
    return (struct stage *)host;
}

static int refuse(struct stage *stage, const char *message)
{
    stage->has_failed = true;
    copy_text(stage->failure, FILTER_MAX_MESSAGE, message);
    return -1;
}

static int out_of_space(struct stage *stage)
{
    stage->out_of_space = true;
    return -1;
}

static struct chain_event make_event(const struct stage *stage, enum chain_event_kind kind,
                                     const char *code, const char *message, uint64_t from,
                                     uint64_t to)
{
    struct chain_event event = {
        .kind = kind,
        .filter = stage->index,
        .type = stage->filter->type->name,
        .name = stage->filter->name,
        .channel = (enum filter_channel)stage->text.channel,
        .ordinal = stage->text.ordinal,
        .from = from,
        .to = to,
        .is_recorded = stage->filter->is_recording,
    };
    copy_text(event.code, FILTER_MAX_CODE, code);
    copy_text(event.message, FILTER_MAX_MESSAGE, message);
    return event;
}

/* The event of a verb that concerns the text from the cursor to `upto`. */
static struct chain_event verb_event(const struct stage *stage, enum chain_event_kind kind,
                                     uint64_t upto, const struct filter_reason *why)
{
    const char *code = why && why->code ? why->code : stage->filter->type->name;
    const char *message = why && why->message ? why->message : "";
    uint64_t from = why ? why->from : stage_text_cursor(stage);
    uint64_t to = why ? why->to : upto;
    stage_text_locate(stage, upto, &from, &to);
    return make_event(stage, kind, code, message, from, to);
}

/* Only the first CHAIN_MAX_EVENTS of a filter are kept, and one more that says there were
 * others. */
static int send_event(struct stage *stage, const struct chain_event *event)
{
    size_t n = stage->account->events;
    if (n > CHAIN_MAX_EVENTS) {
        return 0;
    }
    stage->account->events++;
    struct chain_event sent = *event;
    if (n == CHAIN_MAX_EVENTS) {
        sent.type = NULL;
    }
    return flow_append_event(stage->out, &sent) == 0 ? 0 : out_of_space(stage);
}

bool stage_is_overflow(const struct chain_event *event)
{
    return !event->type;
}

/* ---- the verbs ---- */

static int check_verb(struct stage *stage, uint64_t upto, const struct filter_reason *why)
{
    if (stage->phase != STAGE_OPEN || stage->has_failed || stage->out_of_space) {
        return -1;
    }
    if (stage->asked) {
        return refuse(stage, "wrong call: nothing can be decided after a question");
    }
    uint64_t cursor = stage_text_cursor(stage);
    if (upto < cursor) {
        return refuse(stage, "wrong call: the offset lies before the cursor");
    }
    if (upto > stage->shown) {
        return refuse(stage, "wrong call: the offset lies after the end of the text");
    }
    if (upto < stage_text_end(stage) &&
        ((unsigned char)stage_text(stage)[upto - cursor] & 0xC0u) == 0x80u) {
        return refuse(stage, "wrong call: the offset lies inside a character");
    }
    if (why && why->size < sizeof(*why)) {
        return refuse(stage, "wrong call: size of the reason is not set");
    }
    if (why && (why->from > why->to || why->to > stage->shown)) {
        return refuse(stage, "wrong call: the reason's range is not part of the text");
    }
    return 0;
}

static int move_cursor(struct stage *stage, uint64_t upto)
{
    if (upto > stage_text_cursor(stage)) {
        stage->is_changing = false;
    }
    return stage_text_pass(stage, upto) == 0 ? 0 : out_of_space(stage);
}

static int verb_pass(struct filter_host *host, uint64_t upto)
{
    struct stage *stage = stage_of(host);
    return check_verb(stage, upto, NULL) == 0 ? move_cursor(stage, upto) : -1;
}

/* What a filter puts into JSON is escaped, as it would be in a string: it was shown no escapes.
 */
static int put_in(struct stage *stage, const char *text, size_t len)
{
    if (!stage->is_json) {
        return flow_append(stage->out, text, len);
    }
    struct buf escaped;
    buf_init(&escaped, JSON_ESCAPED_MAX(FILTER_MAX_REPLACE));
    int rc = json_append_escaped(&escaped, text, len) == 0
                 ? flow_append(stage->out, escaped.data ? escaped.data : "", escaped.len)
                 : -1;
    buf_deinit(&escaped);
    return rc;
}

static int verb_replace(struct filter_host *host, uint64_t upto, const char *text, size_t len,
                        const struct filter_reason *why)
{
    struct stage *stage = stage_of(host);
    if (check_verb(stage, upto, why) != 0) {
        return -1;
    }
    if (len > FILTER_MAX_REPLACE) {
        return refuse(stage, "wrong call: the replacement is too long");
    }
    if (len > 0 && !utf8_is_valid(text, len)) {
        return refuse(stage, "wrong call: the replacement is not UTF-8");
    }
    struct chain_event event = verb_event(stage, CHAIN_REPLACE, upto, why);
    event.put = stage->filter->is_recording ? 0 : (uint32_t)len;
    if (stage_text_replace(stage, upto) != 0) {
        return out_of_space(stage);
    }
    if ((why || !stage->is_changing) && send_event(stage, &event) != 0) {
        return -1;
    }
    stage->is_changing = true;
    if (stage->filter->is_recording) {
        return 0;
    }
    return put_in(stage, text, len) == 0 ? 0 : out_of_space(stage);
}

static int verb_note(struct filter_host *host, uint64_t upto, const struct filter_reason *why)
{
    struct stage *stage = stage_of(host);
    if (check_verb(stage, upto, why) != 0) {
        return -1;
    }
    struct chain_event event = verb_event(stage, CHAIN_NOTE, upto, why);
    return move_cursor(stage, upto) == 0 ? send_event(stage, &event) : -1;
}

/* Events of filters before this one that ride on the text which led to the stop are part of
 * the story; those behind it have not happened. A stop that is only recorded is an event, and
 * the filter has done what it had to do. */
static int stop_with(struct stage *stage, const struct chain_event *event)
{
    if (stage->filter->is_recording) {
        stage->phase = STAGE_BYPASSED;
        return send_event(stage, event);
    }
    stage->stop = *event;
    stage->phase = STAGE_STOPPED;
    return flow_move_events(stage->in, event->to, stage->out) == 0 ? 0 : out_of_space(stage);
}

static int verb_stop(struct filter_host *host, uint64_t at, const struct filter_reason *why)
{
    struct stage *stage = stage_of(host);
    if (check_verb(stage, at, why) != 0 || move_cursor(stage, at) != 0) {
        return -1;
    }
    struct chain_event event = verb_event(stage, CHAIN_STOP, at, why);
    return stop_with(stage, &event);
}

static int verb_fail(struct filter_host *host, const char *message)
{
    struct stage *stage = stage_of(host);
    return stage->has_failed ? -1 : refuse(stage, message ? message : "");
}

static void on_answer(void *user, const struct filter_answer *answer);

/* Types of an older header end before this field. */
bool stage_type_asks(const struct filter_type *type)
{
    return type->size >= offsetof(struct filter_type, answered) + sizeof(type->answered) &&
           type->answered;
}

static int verb_ask(struct filter_host *host, const struct filter_question *question)
{
    struct stage *stage = stage_of(host);
    if (check_verb(stage, stage_text_cursor(stage), NULL) != 0) {
        return -1;
    }
    if (question->size < sizeof(*question)) {
        return refuse(stage, "wrong call: size of the question is not set");
    }
    if (!stage_type_asks(stage->filter->type)) {
        return refuse(stage, "wrong call: a question, and the type takes no answers");
    }
    struct chain_outside *outside = stage->outside->outside;
    if (!outside) {
        return refuse(stage, "nothing is outside that could be asked here");
    }
    stage->asked = outside->ask(outside, question, on_answer, stage);
    return stage->asked ? 0 : refuse(stage, "the question could not be sent: too many wait");
}

static int verb_score(struct filter_host *host, const char *category, double score)
{
    struct stage *stage = stage_of(host);
    struct stage_account *account = stage->account;
    if (stage->has_failed || stage->phase != STAGE_OPEN) {
        return -1;
    }
    if (!(score >= 0 && score <= 1)) {
        return refuse(stage, "wrong call: the score is not in 0 to 1");
    }
    size_t i = 0;
    while (i < account->score_count && strcmp(account->scores[i].category, category) != 0) {
        i++;
    }
    if (i == FILTER_MAX_SCORES || strlen(category) > FILTER_MAX_CODE) {
        return refuse(stage, "wrong call: too many categories, or a name that is too long");
    }
    if (!account->scores) {
        account->scores = mem_zarray(FILTER_MAX_SCORES, sizeof(*account->scores));
        if (!account->scores) {
            return out_of_space(stage);
        }
    }
    struct chain_score *kept = &account->scores[i];
    if (i == account->score_count) {
        snprintf(kept->category, sizeof(kept->category), "%s", category);
        account->score_count++;
    }
    kept->score = score > kept->score ? score : kept->score;
    return 0;
}

void stage_account_deinit(struct stage_account *account)
{
    mem_free(account->scores);
}

/* ---- the callbacks ---- */

void stage_take_back(struct stage *stage)
{
    if (stage->asked) {
        struct chain_outside *outside = stage->outside->outside;
        outside->take_back(outside, stage->asked);
        stage->asked = NULL;
    }
}

/* What the operator chose for a filter that broke. */
static int fail_stage(struct stage *stage)
{
    uint64_t from = stage_text_cursor(stage);
    uint64_t to = from;
    stage_text_locate(stage, from, &from, &to);
    struct chain_event event =
        make_event(stage, CHAIN_FAIL, "filter_failed", stage->failure, from, to);
    if (!stage->filter->fails_open || stage->filter->is_recording) {
        return stop_with(stage, &event);
    }
    stage->phase = STAGE_BYPASSED;
    return send_event(stage, &event);
}

static int open_stage(struct stage *stage)
{
    const struct filter_type *type = stage->filter->type;
    if (stage_text_open(stage) != 0) {
        return out_of_space(stage);
    }
    if (type->open && type->open(&stage->state, stage->filter->config, &stage->text) != 0) {
        refuse(stage, "it could not begin");
        return fail_stage(stage);
    }
    stage->has_state = true;
    stage->phase = STAGE_OPEN;
    return 0;
}

typedef int (*callback_fn)(void *state, const struct filter_span *span,
                           struct filter_host *host);

/* What the filter is shown when the text up to `end` is. */
static struct filter_span show(struct stage *stage, uint64_t end)
{
    uint64_t start = stage_text_cursor(stage);
    struct filter_span span = {
        .size = sizeof(span),
        .text = stage_text(stage),
        .len = (size_t)(end - start),
        .fresh = (size_t)(stage->shown - start),
        .start = start,
    };
    stage->account->cost.bytes += end - stage->shown;
    stage->account->cost.calls++;
    stage->shown = end;
    return span;
}

/* A callback has returned `rc`. */
static int after_call(struct stage *stage, int rc)
{
    if (stage->out_of_space) {
        stage_take_back(stage);
        return -1;
    }
    if (stage->phase != STAGE_OPEN) {
        return 0; /* it stopped */
    }
    if (rc != 0 && !stage->has_failed) {
        refuse(stage, "it gave no reason");
    } else if (stage->shown - stage_text_cursor(stage) > FILTER_MAX_HOLD) {
        refuse(stage, "it holds too much text");
    }
    if (!stage->has_failed) {
        return 0;
    }
    stage_take_back(stage);
    return fail_stage(stage);
}

/* Calls feed or finish with the text up to `end`. */
static int call_filter(struct stage *stage, callback_fn callback, uint64_t end)
{
    struct filter_span span = show(stage, end);
    return after_call(stage, callback(stage->state, &span, &stage->host));
}

/* The stage may be gone when wake returns. */
static void on_answer(void *user, const struct filter_answer *answer)
{
    struct stage *stage = user;
    uint64_t began = clock_now_ns();
    struct filter_span span = show(stage, stage->shown);
    stage->asked = NULL;
    /* Running out of space is remembered, and found by the next call of the stage. */
    after_call(stage, stage->filter->type->answered(stage->state, &span, &stage->host, answer));
    stage->account->cost.ns += clock_now_ns() - began;
    stage->outside->wake(stage->outside->ctx);
}

/* The end of the next piece to show: one character, or all there is, but no more than what
 * must have made the filter decide something, so that its failure does not hang on the cut. */
static uint64_t next_end(const struct stage *stage)
{
    uint64_t cursor = stage_text_cursor(stage);
    uint64_t end = stage_text_end(stage);
    uint64_t next = stage->shown + 1;
    if (stage->filter->type->flags & FILTER_ANY_CUT) {
        next = cursor + FILTER_MAX_HOLD + 1;
    }
    if (next >= end) {
        return end;
    }
    const char *text = stage_text(stage);
    while (next < end && ((unsigned char)text[next - cursor] & 0xC0u) == 0x80u) {
        next++;
    }
    return next;
}

/* Whether the filter is at work and nothing is awaited. */
static bool is_ready(const struct stage *stage)
{
    return stage->phase == STAGE_OPEN && !stage->asked;
}

/* Shows the filter what it has not seen. */
static int show_text(struct stage *stage)
{
    while (is_ready(stage) && stage->shown < stage_text_end(stage)) {
        if (call_filter(stage, stage->filter->type->feed, next_end(stage)) != 0) {
            return -1;
        }
    }
    if (is_ready(stage) && stage_text_is_too_long(stage)) {
        refuse(stage, "it holds too much text");
        return fail_stage(stage);
    }
    return 0;
}

/* At the end of a word of a filter that only records the rest of the flow is yet to come; what
 * a question left unshown of that word comes first. */
static int read_text(struct stage *stage)
{
    bool more = true;
    if (stage->word_len == 0 && show_text(stage) != 0) {
        return -1;
    }
    while (more && is_ready(stage)) {
        if (stage_text_read(stage, &more) != 0) {
            return out_of_space(stage);
        }
        bool is_word_open = stage->filter->is_recording && !more;
        if (!is_word_open && show_text(stage) != 0) {
            return -1;
        }
        if (stage->view) {
            view_compact(stage->view);
        }
    }
    return 0;
}

static int feed_stage(struct stage *stage)
{
    if (stage->out_of_space) {
        return -1;
    }
    if (stage->phase == STAGE_NEW && flow_len(stage->in) > 0 && open_stage(stage) != 0) {
        return -1;
    }
    if (is_ready(stage) && read_text(stage) != 0) {
        return -1;
    }
    if (stage->phase == STAGE_BYPASSED && stage_text_pass_all(stage) != 0) {
        return out_of_space(stage);
    }
    return 0;
}

/* Called again after each question: goes on where that was asked. */
static int finish_filter(struct stage *stage)
{
    if (!stage->is_read) {
        stage->is_read = true;
        if (stage_text_end_reading(stage) != 0) {
            return out_of_space(stage);
        }
    }
    if (show_text(stage) != 0) {
        return -1;
    }
    const struct filter_type *type = stage->filter->type;
    if (is_ready(stage) && !stage->is_finishing) {
        stage->is_finishing = true;
        if (type->finish && call_filter(stage, type->finish, stage->shown) != 0) {
            return -1;
        }
    }
    return is_ready(stage) ? move_cursor(stage, stage_text_end(stage)) : 0;
}

static int finish_stage(struct stage *stage)
{
    if (is_ready(stage) && finish_filter(stage) != 0) {
        return -1;
    }
    if (stage->phase == STAGE_STOPPED || stage->asked || stage->is_done) {
        return 0;
    }
    int rc =
        stage->phase == STAGE_OPEN ? stage_text_pass_last(stage) : stage_text_pass_all(stage);
    if (rc != 0) {
        return out_of_space(stage);
    }
    stage->is_done = true;
    return flow_move_events(stage->in, UINT64_MAX, stage->out) == 0 ? 0 : out_of_space(stage);
}

/* Time since the last look at the clock belongs to a stage that called its filter since; the
 * others take none to speak of. */
static void charge(struct stage *stage, uint64_t calls_before, uint64_t *clock)
{
    if (stage->account->cost.calls == calls_before) {
        return;
    }
    uint64_t now = clock_now_ns();
    stage->account->cost.ns += now - *clock;
    *clock = now;
}

int stage_feed(struct stage *stage, uint64_t *clock)
{
    uint64_t calls = stage->account->cost.calls;
    int rc = feed_stage(stage);
    charge(stage, calls, clock);
    return rc;
}

int stage_finish(struct stage *stage, uint64_t *clock)
{
    uint64_t calls = stage->account->cost.calls;
    int rc = finish_stage(stage);
    charge(stage, calls, clock);
    return rc;
}

void stage_init(struct stage *stage, const struct chain_filter *filter, size_t index,
                const struct filter_text *text, struct flow *in, struct flow *out,
                struct stage_account *account, const struct stage_outside *outside)
{
    bool is_left_out = outside->is_left_out && stage_type_asks(filter->type);
    bool is_concerned = (filter->channels & 1u << text->channel) != 0 && !is_left_out;
    *stage = (struct stage){
        .host = {.size = sizeof(struct filter_host),
                 .pass = verb_pass,
                 .replace = verb_replace,
                 .note = verb_note,
                 .stop = verb_stop,
                 .fail = verb_fail,
                 .ask = verb_ask,
                 .score = verb_score},
        .filter = filter,
        .account = account,
        .in = in,
        .out = out,
        .outside = outside,
        .text = *text,
        .index = index,
        .phase = is_concerned ? STAGE_NEW : STAGE_BYPASSED,
    };
    stage->text.filter = (uint32_t)index;
}

void stage_deinit(struct stage *stage)
{
    const struct filter_type *type = stage->filter->type;
    stage_take_back(stage);
    if (stage->has_state && type->close) {
        type->close(stage->state);
    }
    stage->has_state = false;
    if (stage->view) {
        view_deinit(stage->view);
        mem_free(stage->view);
        stage->view = NULL;
    }
}

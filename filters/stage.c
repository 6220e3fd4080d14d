#include "filters/stage.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
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
        .channel = (enum filter_channel)stage->text.channel,
        .ordinal = stage->text.ordinal,
        .from = from,
        .to = to,
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
    return make_event(stage, kind, code, message, why ? why->from : stage->in->start,
                      why ? why->to : upto);
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
    if (stage->phase == STAGE_STOPPED || stage->has_failed || stage->out_of_space) {
        return -1;
    }
    if (upto < stage->in->start) {
        return refuse(stage, "wrong call: the offset lies before the cursor");
    }
    if (upto > stage->shown) {
        return refuse(stage, "wrong call: the offset lies after the end of the text");
    }
    size_t len = (size_t)(upto - stage->in->start);
    if (len < flow_len(stage->in) &&
        ((unsigned char)flow_text(stage->in)[len] & 0xC0u) == 0x80u) {
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
    if (upto > stage->in->start) {
        stage->is_changing = false;
    }
    size_t len = (size_t)(upto - stage->in->start);
    return flow_move(stage->in, len, stage->out) == 0 ? 0 : out_of_space(stage);
}

static int verb_pass(struct filter_host *host, uint64_t upto)
{
    struct stage *stage = stage_of(host);
    return check_verb(stage, upto, NULL) == 0 ? move_cursor(stage, upto) : -1;
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
    size_t gone = (size_t)(upto - stage->in->start);
    if (flow_skip(stage->in, gone, stage->out) != 0) {
        return out_of_space(stage);
    }
    if ((why || !stage->is_changing) && send_event(stage, &event) != 0) {
        return -1;
    }
    stage->is_changing = true;
    return flow_append(stage->out, text, len) == 0 ? 0 : out_of_space(stage);
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
 * the story; those behind it have not happened. */
static int stop_with(struct stage *stage, const struct chain_event *event)
{
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

/* What the operator chose for a filter that broke. */
static int fail_stage(struct stage *stage)
{
    struct chain_event event = make_event(stage, CHAIN_FAIL, "filter_failed", stage->failure,
                                          stage->in->start, stage->in->start);
    if (!stage->filter->fails_open) {
        return stop_with(stage, &event);
    }
    stage->phase = STAGE_BYPASSED;
    return send_event(stage, &event);
}

static int open_stage(struct stage *stage)
{
    const struct filter_type *type = stage->filter->type;
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

/* Calls feed or finish with the text up to `end`. */
static int call_filter(struct stage *stage, callback_fn callback, uint64_t end)
{
    uint64_t start = stage->in->start;
    struct filter_span span = {
        .size = sizeof(span),
        .text = flow_text(stage->in),
        .len = (size_t)(end - start),
        .fresh = (size_t)(stage->shown - start),
        .start = start,
    };
    stage->account->cost.bytes += end - stage->shown;
    stage->account->cost.calls++;
    stage->shown = end;
    int rc = callback(stage->state, &span, &stage->host);
    if (stage->out_of_space) {
        return -1;
    }
    if (stage->phase == STAGE_STOPPED) {
        return 0;
    }
    if (rc != 0 && !stage->has_failed) {
        refuse(stage, "it gave no reason");
    } else if (stage->shown - stage->in->start > FILTER_MAX_HOLD) {
        refuse(stage, "it holds too much text");
    }
    return stage->has_failed ? fail_stage(stage) : 0;
}

/* The end of the next piece to show: all there is, or one character. */
static uint64_t next_end(const struct stage *stage)
{
    uint64_t end = flow_end(stage->in);
    if (stage->filter->type->flags & FILTER_ANY_CUT) {
        return end;
    }
    const char *text = flow_text(stage->in) + (stage->shown - stage->in->start);
    size_t len = 1;
    while (stage->shown + len < end && ((unsigned char)text[len] & 0xC0u) == 0x80u) {
        len++;
    }
    return stage->shown + len;
}

static int feed_stage(struct stage *stage)
{
    if (stage->phase == STAGE_NEW && flow_len(stage->in) > 0 && open_stage(stage) != 0) {
        return -1;
    }
    while (stage->phase == STAGE_OPEN && stage->shown < flow_end(stage->in)) {
        if (call_filter(stage, stage->filter->type->feed, next_end(stage)) != 0) {
            return -1;
        }
    }
    if (stage->phase == STAGE_BYPASSED) {
        return move_cursor(stage, flow_end(stage->in));
    }
    return 0;
}

static int finish_stage(struct stage *stage)
{
    const struct filter_type *type = stage->filter->type;
    if (stage->phase == STAGE_OPEN && type->finish &&
        call_filter(stage, type->finish, stage->shown) != 0) {
        return -1;
    }
    if (stage->phase == STAGE_STOPPED) {
        return 0;
    }
    if (move_cursor(stage, flow_end(stage->in)) != 0) {
        return -1;
    }
    return flow_move_events(stage->in, UINT64_MAX, stage->out) == 0 ? 0 : out_of_space(stage);
}

int stage_feed(struct stage *stage)
{
    uint64_t began = clock_now_ns();
    int rc = feed_stage(stage);
    stage->account->cost.ns += clock_now_ns() - began;
    return rc;
}

int stage_finish(struct stage *stage)
{
    uint64_t began = clock_now_ns();
    int rc = finish_stage(stage);
    stage->account->cost.ns += clock_now_ns() - began;
    return rc;
}

void stage_init(struct stage *stage, const struct chain_filter *filter, size_t index,
                const struct filter_text *text, struct flow *in, struct flow *out,
                struct stage_account *account)
{
    *stage = (struct stage){
        .host = {.size = sizeof(struct filter_host),
                 .pass = verb_pass,
                 .replace = verb_replace,
                 .note = verb_note,
                 .stop = verb_stop,
                 .fail = verb_fail,
                 .score = verb_score},
        .filter = filter,
        .account = account,
        .in = in,
        .out = out,
        .text = *text,
        .index = index,
        .phase = STAGE_NEW,
    };
}

void stage_deinit(struct stage *stage)
{
    const struct filter_type *type = stage->filter->type;
    if (stage->has_state && type->close) {
        type->close(stage->state);
    }
    stage->has_state = false;
}

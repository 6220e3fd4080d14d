#include "filters/chain.h"

#include <string.h>

#include "filters/chain_config.h"
#include "filters/chain_queue.h"
#include "filters/flow.h"
#include "filters/stage.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* A long chunk goes through the whole chain in pieces, so that what lies between two filters
 * stays small however much a caller feeds at once. */
#define SLICE_BYTES ((size_t)4096)

/* One channel's way through the chain. */
struct lane {
    bool is_open; /* a text has begun */
    uint32_t ordinal;
    struct stage *stages; /* stage_count */
    struct flow *flows;   /* stage_count + 1: flows[i] leads into stages[i], the last one out */
};

enum stream_phase { STREAM_RUNNING, STREAM_STOPPED, STREAM_FINISHED, STREAM_BROKEN };

struct chain_stream {
    struct chain *chain;
    enum filter_side side;
    const char *prompt;
    size_t prompt_len;
    bool is_json; /* the content */
    struct chain_tap tap;
    enum stream_phase phase;
    struct err broken; /* STREAM_BROKEN: why */

    size_t stage_count;             /* filters of the chain that stand on this side */
    struct stage_account *accounts; /* chain->filter_count */
    struct lane lanes[FILTER_CHANNELS];

    struct stage_outside outside;
    struct lane *awaits;      /* the lane with a question under way; NULL: none waits */
    bool is_ending;           /* of that lane: its text has ended */
    bool is_finishing;        /* chain_finish was called, and waits */
    struct chain_queue queue; /* what came while a lane waits */

    struct chain_event *events;
    size_t event_count;
    size_t event_cap;
    bool is_truncated;
    struct chain_event stop;
};

/* Nothing is awaited any more, and nothing of what waits is wanted. */
static void drop_waiting(struct chain_stream *stream)
{
    for (size_t i = 0; i < FILTER_CHANNELS; i++) {
        const struct lane *lane = &stream->lanes[i];
        for (size_t k = 0; lane->is_open && k < stream->stage_count; k++) {
            stage_take_back(&lane->stages[k]);
        }
    }
    stream->awaits = NULL;
    chain_queue_deinit(&stream->queue);
}

static int break_stream(struct chain_stream *stream, struct err *e)
{
    drop_waiting(stream);
    stream->phase = STREAM_BROKEN;
    stream->broken = *e;
    return -1;
}

/* ---- lanes ---- */

static void close_lane(struct chain_stream *stream, struct lane *lane)
{
    if (!lane->is_open) {
        return;
    }
    for (size_t i = 0; i < stream->stage_count; i++) {
        stage_deinit(&lane->stages[i]);
    }
    for (size_t i = 0; i <= stream->stage_count; i++) {
        flow_deinit(&lane->flows[i]);
    }
    mem_free(lane->stages);
    mem_free(lane->flows);
    lane->stages = NULL;
    lane->flows = NULL;
    lane->is_open = false;
}

static int open_lane(struct chain_stream *stream, struct lane *lane, struct err *e)
{
    size_t n = stream->stage_count;
    struct stage *stages = mem_array(n, sizeof(*stages));
    struct flow *flows = mem_array(n + 1, sizeof(*flows));
    if (!stages || !flows) {
        mem_free(stages);
        mem_free(flows);
        return err_nomem(e);
    }
    struct filter_text text = {
        .size = sizeof(text),
        .side = stream->side,
        .channel = (uint32_t)(lane - stream->lanes),
        .ordinal = lane->ordinal,
        .prompt = stream->prompt,
        .prompt_len = stream->prompt_len,
        .chain = stream->chain->name,
        .chain_version = stream->chain->version,
    };
    for (size_t i = 0; i <= n; i++) {
        flow_init(&flows[i]);
    }
    size_t stage = 0;
    for (size_t i = 0; i < stream->chain->filter_count; i++) {
        const struct chain_filter *filter = &stream->chain->filters[i];
        if (filter->sides & stream->side) {
            stage_init(&stages[stage], filter, i, &text, &flows[stage], &flows[stage + 1],
                       &stream->accounts[i], &stream->outside);
            stages[stage].is_json = stream->is_json && text.channel == FILTER_CONTENT &&
                                    (filter->type->flags & FILTER_DECODED) != 0;
            stage++;
        }
    }
    lane->stages = stages;
    lane->flows = flows;
    lane->is_open = true;
    return 0;
}

static int space_error(const struct chain_stream *stream, const struct lane *lane,
                       struct err *e)
{
    for (size_t i = 0; i <= stream->stage_count; i++) {
        if (lane->flows[i].is_full) {
            return err_set(e, ERR_LIMIT,
                           "filter chain \"%s\": replacements made the text grow beyond %zu "
                           "bytes at once",
                           stream->chain->name, CHAIN_MAX_FLOW);
        }
    }
    return err_nomem(e);
}

/* What one run through a lane came to. */
struct run {
    const struct chain_event *stop; /* or NULL */
    bool waits;                     /* an answer is awaited before that is known */
};

/* Runs what is new in the first flow through all stages; `ends` says that nothing follows. A
 * stage that stops ends the text for those after it. If one of them then stops too it does
 * so earlier in the text, and would have done so before had the text come in smaller chunks:
 * the last stop in the chain counts. For the same reason a stop does not wait for what stages
 * before it have asked. */
static int advance_lane(const struct chain_stream *stream, struct lane *lane, bool ends,
                        struct run *run, struct err *e)
{
    uint64_t clock = clock_now_ns();
    *run = (struct run){0};
    for (size_t i = 0; i < stream->stage_count; i++) {
        struct stage *stage = &lane->stages[i];
        if (stage_feed(stage, &clock) != 0 || (ends && stage_finish(stage, &clock) != 0)) {
            return space_error(stream, lane, e);
        }
        if (stage->phase == STAGE_STOPPED) {
            *run = (struct run){.stop = &stage->stop};
            ends = true;
        } else if (stage->asked) {
            run->waits = true;
            ends = false;
        }
        flow_compact(stage->in);
    }
    return 0;
}

static int add_event(struct chain_stream *stream, const struct chain_event *event,
                     struct err *e)
{
    if (stage_is_overflow(event)) {
        stream->is_truncated = true;
        return 0;
    }
    if (stream->event_count == stream->event_cap) {
        size_t cap = stream->event_cap ? stream->event_cap * 2 : 8;
        struct chain_event *moved = mem_realloc_array(stream->events, cap, sizeof(*moved));
        if (!moved) {
            return err_nomem(e);
        }
        stream->events = moved;
        stream->event_cap = cap;
    }
    stream->events[stream->event_count++] = *event;
    return 0;
}

/* Hands out what has come through the last stage. */
static int release_lane(struct chain_stream *stream, struct lane *lane,
                        const struct chain_sink *sink, struct err *e)
{
    struct flow *flow = &lane->flows[stream->stage_count];
    size_t len = flow_len(flow);
    enum filter_channel channel = (enum filter_channel)(lane - stream->lanes);
    if (len > 0 && sink->emit(sink->context, channel, flow_text(flow), len) != 0) {
        return err_set(e, ERR_CANCELED, "the receiver of the filtered text gave up");
    }
    flow_consume(flow, len);
    for (const struct chain_event *event; (event = flow_take_event(flow)) != NULL;) {
        if (add_event(stream, event, e) != 0) {
            return -1;
        }
    }
    flow_compact(flow);
    return 0;
}

/* advance and release; on a stop everything ends here. When it is to wait, awaits says so. */
static int run_lane(struct chain_stream *stream, struct lane *lane, bool ends,
                    const struct chain_sink *sink, struct err *e)
{
    struct run run;
    if (advance_lane(stream, lane, ends, &run, e) != 0 ||
        release_lane(stream, lane, sink, e) != 0) {
        return break_stream(stream, e);
    }
    stream->awaits = run.waits ? lane : NULL;
    stream->is_ending = ends;
    if (run.waits || !run.stop) {
        return CHAIN_GOES_ON;
    }
    stream->stop = *run.stop;
    stream->stop.at = lane->flows[stream->stage_count].start;
    stream->phase = STREAM_STOPPED;
    drop_waiting(stream);
    if (add_event(stream, &stream->stop, e) != 0) {
        return break_stream(stream, e);
    }
    for (size_t i = 0; i < FILTER_CHANNELS; i++) {
        close_lane(stream, &stream->lanes[i]);
    }
    return CHAIN_STOPPED;
}

/* ---- the stream ---- */

struct chain_stream *chain_stream_create(struct chain *chain, enum filter_side side,
                                         struct err *e)
{
    struct chain_stream *stream = mem_zalloc(sizeof(*stream));
    struct stage_account *accounts = mem_zarray(chain->filter_count, sizeof(*accounts));
    if (!stream || !accounts) {
        mem_free(stream);
        mem_free(accounts);
        err_nomem(e);
        return NULL;
    }
    stream->chain = chain_ref(chain);
    stream->side = side;
    stream->prompt = "";
    stream->accounts = accounts;
    chain_queue_init(&stream->queue);
    for (size_t i = 0; i < chain->filter_count; i++) {
        stream->stage_count += (chain->filters[i].sides & side) != 0;
    }
    return stream;
}

void chain_stream_set_json(struct chain_stream *stream)
{
    stream->is_json = true;
}

void chain_stream_set_prompt(struct chain_stream *stream, const char *text, size_t len)
{
    stream->prompt = text;
    stream->prompt_len = len;
}

void chain_stream_set_tap(struct chain_stream *stream, struct chain_tap tap)
{
    stream->tap = tap;
}

void chain_stream_set_outside(struct chain_stream *stream, struct chain_outside *outside,
                              void (*wake)(void *ctx), void *ctx)
{
    stream->outside = (struct stage_outside){.outside = outside, .wake = wake, .ctx = ctx};
}

void chain_stream_leave_out_asking(struct chain_stream *stream)
{
    stream->outside = (struct stage_outside){.is_left_out = true};
}

void chain_stream_destroy(struct chain_stream *stream)
{
    if (!stream) {
        return;
    }
    for (size_t i = 0; i < FILTER_CHANNELS; i++) {
        close_lane(stream, &stream->lanes[i]);
    }
    chain_queue_deinit(&stream->queue);
    mem_free(stream->events);
    for (size_t i = 0; i < stream->chain->filter_count; i++) {
        stage_account_deinit(&stream->accounts[i]);
    }
    mem_free(stream->accounts);
    chain_unref(stream->chain);
    mem_free(stream);
}

/* What a call may do in this phase: CHAIN_GOES_ON, or what it returns at once. */
static int check_phase(struct chain_stream *stream, enum filter_channel channel, struct err *e)
{
    if (stream->phase == STREAM_BROKEN) {
        *e = stream->broken;
        return -1;
    }
    if (stream->phase == STREAM_STOPPED) {
        return CHAIN_STOPPED;
    }
    bool is_over = stream->phase == STREAM_FINISHED || stream->is_finishing;
    if (is_over || (unsigned)channel >= FILTER_CHANNELS) {
        err_set(e, ERR_INVALID, "filter chain \"%s\": %s", stream->chain->name,
                is_over ? "text after the end" : "no such channel");
        return break_stream(stream, e);
    }
    return CHAIN_GOES_ON;
}

/* ---- one step at a time ---- */

/* The length of the next piece of at most SLICE_BYTES; text is whole characters. */
static size_t slice_len(const char *text, size_t len)
{
    if (len <= SLICE_BYTES) {
        return len;
    }
    return SLICE_BYTES - utf8_incomplete_tail(text, SLICE_BYTES);
}

static int feed_slice(struct chain_stream *stream, enum filter_channel channel,
                      const char *text, size_t len, const struct chain_sink *sink,
                      struct err *e)
{
    struct lane *lane = &stream->lanes[channel];
    if (!lane->is_open && open_lane(stream, lane, e) != 0) {
        return break_stream(stream, e);
    }
    if (stream->tap.fed) {
        stream->tap.fed(stream->tap.context, channel, lane->ordinal, text, len);
    }
    if (flow_append(&lane->flows[0], text, len) != 0) {
        space_error(stream, lane, e);
        return break_stream(stream, e);
    }
    return run_lane(stream, lane, false, sink, e);
}

/* The text of the lane has ended, and is through. */
static void leave_text(struct chain_stream *stream, struct lane *lane)
{
    close_lane(stream, lane);
    lane->ordinal++;
}

static int end_text(struct chain_stream *stream, enum filter_channel channel,
                    const struct chain_sink *sink, struct err *e)
{
    struct lane *lane = &stream->lanes[channel];
    int status = lane->is_open ? run_lane(stream, lane, true, sink, e) : CHAIN_GOES_ON;
    if (!stream->awaits) {
        leave_text(stream, lane);
    }
    return status;
}

static int send_around(struct chain_stream *stream, uint64_t tag, const char *bytes, size_t len,
                       const struct chain_sink *sink, struct err *e)
{
    if (sink->around(sink->context, tag, bytes, len) != 0) {
        err_set(e, ERR_CANCELED, "the receiver of the filtered text gave up");
        return break_stream(stream, e);
    }
    return CHAIN_GOES_ON;
}

/* ---- while an answer is awaited ---- */

static int add_step(struct chain_stream *stream, const struct chain_step *step,
                    const char *bytes, struct err *e)
{
    if (chain_queue_add(&stream->queue, step, bytes) == 0) {
        return CHAIN_GOES_ON;
    }
    if (stream->queue.is_full) {
        err_set(e, ERR_LIMIT,
                "filter chain \"%s\": too much text came while it waits for an answer",
                stream->chain->name);
    } else {
        err_nomem(e);
    }
    return break_stream(stream, e);
}

static int take_step(struct chain_stream *stream, const struct chain_step *step,
                     const char *bytes, const struct chain_sink *sink, struct err *e)
{
    struct chain_queue *queue = &stream->queue;
    if (step->kind == CHAIN_STEP_TEXT && step->len > 0) {
        size_t n = slice_len(bytes, step->len);
        int status = feed_slice(stream, step->channel, bytes, n, sink, e);
        if (status == CHAIN_GOES_ON) {
            chain_queue_consume(queue, n);
        }
        return status;
    }
    int status = CHAIN_GOES_ON;
    if (step->kind == CHAIN_STEP_END) {
        status = end_text(stream, step->channel, sink, e);
    } else if (step->kind == CHAIN_STEP_AROUND) {
        status = send_around(stream, step->tag, bytes, step->len, sink, e);
    }
    if (status == CHAIN_GOES_ON) {
        chain_queue_drop(queue);
    }
    return status;
}

/* Takes what has gathered, until something of it has to wait again. */
static int take_steps(struct chain_stream *stream, const struct chain_sink *sink, struct err *e)
{
    int status = CHAIN_GOES_ON;
    const struct chain_step *step;
    const char *bytes;
    while (status == CHAIN_GOES_ON && !stream->awaits &&
           (step = chain_queue_first(&stream->queue, &bytes)) != NULL) {
        status = take_step(stream, step, bytes, sink, e);
    }
    if (status == CHAIN_GOES_ON && !stream->awaits && stream->is_finishing) {
        stream->phase = STREAM_FINISHED;
    }
    return status;
}

int chain_resume(struct chain_stream *stream, const struct chain_sink *sink, struct err *e)
{
    if (!stream->awaits) {
        return stream->phase == STREAM_FINISHED ? CHAIN_GOES_ON
                                                : check_phase(stream, FILTER_CONTENT, e);
    }
    struct lane *lane = stream->awaits;
    int status = run_lane(stream, lane, stream->is_ending, sink, e);
    if (status != CHAIN_GOES_ON || stream->awaits) {
        return status;
    }
    if (stream->is_ending) {
        leave_text(stream, lane);
    }
    return take_steps(stream, sink, e);
}

bool chain_stream_is_waiting(const struct chain_stream *stream)
{
    return stream->awaits != NULL;
}

/* ---- what is fed ---- */

int chain_feed(struct chain_stream *stream, enum filter_channel channel, const char *text,
               size_t len, const struct chain_sink *sink, struct err *e)
{
    int status = check_phase(stream, channel, e);
    if (status != CHAIN_GOES_ON || len == 0) {
        return status;
    }
    if (!utf8_is_valid(text, len)) {
        err_set(e, ERR_INVALID, "filter chain \"%s\": text is not whole UTF-8 characters",
                stream->chain->name);
        return break_stream(stream, e);
    }
    while (len > 0 && status == CHAIN_GOES_ON && !stream->awaits) {
        size_t n = slice_len(text, len);
        status = feed_slice(stream, channel, text, n, sink, e);
        text += n;
        len -= n;
    }
    if (len == 0 || status != CHAIN_GOES_ON) {
        return status;
    }
    const struct chain_step step = {.kind = CHAIN_STEP_TEXT, .channel = channel, .len = len};
    return add_step(stream, &step, text, e);
}

int chain_end_text(struct chain_stream *stream, enum filter_channel channel,
                   const struct chain_sink *sink, struct err *e)
{
    int status = check_phase(stream, channel, e);
    if (status != CHAIN_GOES_ON) {
        return status;
    }
    const struct chain_step step = {.kind = CHAIN_STEP_END, .channel = channel};
    return stream->awaits ? add_step(stream, &step, NULL, e)
                          : end_text(stream, channel, sink, e);
}

int chain_finish(struct chain_stream *stream, const struct chain_sink *sink, struct err *e)
{
    int status = check_phase(stream, FILTER_CONTENT, e);
    for (int channel = 0; channel < FILTER_CHANNELS && status == CHAIN_GOES_ON; channel++) {
        status = chain_end_text(stream, (enum filter_channel)channel, sink, e);
    }
    if (status != CHAIN_GOES_ON) {
        return status;
    }
    if (stream->awaits) {
        stream->is_finishing = true;
    } else {
        stream->phase = STREAM_FINISHED;
    }
    return status;
}

int chain_around(struct chain_stream *stream, uint64_t tag, const char *bytes, size_t len,
                 const struct chain_sink *sink, struct err *e)
{
    int status = check_phase(stream, FILTER_CONTENT, e);
    if (status != CHAIN_GOES_ON) {
        return status;
    }
    const struct chain_step step = {.kind = CHAIN_STEP_AROUND, .tag = tag, .len = len};
    return stream->awaits ? add_step(stream, &step, bytes, e)
                          : send_around(stream, tag, bytes, len, sink, e);
}

/* ---- what happened ---- */

const struct chain_event *chain_stream_stop(const struct chain_stream *stream)
{
    return stream->phase == STREAM_STOPPED ? &stream->stop : NULL;
}

const struct chain_event *chain_stream_events(const struct chain_stream *stream, size_t *count,
                                              bool *truncated)
{
    *count = stream->event_count;
    if (truncated) {
        *truncated = stream->is_truncated;
    }
    return stream->events;
}

size_t chain_stream_held(const struct chain_stream *stream)
{
    size_t held = chain_queue_bytes(&stream->queue);
    for (size_t i = 0; i < FILTER_CHANNELS; i++) {
        const struct lane *lane = &stream->lanes[i];
        for (size_t s = 0; lane->is_open && s < stream->stage_count; s++) {
            held += flow_len(&lane->flows[s]);
        }
    }
    return held;
}

int chain_stream_held_text(const struct chain_stream *stream, enum filter_channel channel,
                           struct buf *out)
{
    const struct lane *lane = &stream->lanes[channel];
    int rc = 0;
    for (size_t s = stream->stage_count; lane->is_open && s-- > 0 && rc == 0;) {
        rc = buf_append(out, flow_text(&lane->flows[s]), flow_len(&lane->flows[s]));
    }
    return rc;
}

const struct chain *chain_stream_chain(const struct chain_stream *stream)
{
    return stream->chain;
}

const struct chain_score *chain_stream_scores(const struct chain_stream *stream, size_t filter,
                                              size_t *count)
{
    *count = stream->accounts[filter].score_count;
    return stream->accounts[filter].scores;
}

const struct chain_cost *chain_stream_cost(const struct chain_stream *stream, size_t filter)
{
    return &stream->accounts[filter].cost;
}

static int emit_to_buf(void *context, enum filter_channel channel, const char *text, size_t len)
{
    (void)channel;
    return buf_append(context, text, len);
}

struct chain_sink chain_sink_buf(struct buf *out)
{
    return (struct chain_sink){.emit = emit_to_buf, .context = out};
}

const char *chain_channel_name(enum filter_channel channel)
{
    static const char *const names[FILTER_CHANNELS] = {"content", "reasoning", "tool_args"};
    return names[channel];
}

const char *chain_event_name(enum chain_event_kind kind)
{
    static const char *const names[] = {"note", "replace", "stop", "fail"};
    return names[kind];
}

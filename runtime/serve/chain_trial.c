#include "runtime/serve/chain_trial.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/utf8.h"

/* --- the request --- */

static int choose(const cJSON *body, const char *field, const char *const *names, int n,
                  int *chosen, struct err *e)
{
    const cJSON *item = json_field_get(body, field);
    const char *text = item ? cJSON_GetStringValue(item) : names[*chosen];
    for (int i = 0; text && i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *chosen = i;
            return 0;
        }
    }
    char wanted[96] = "one of";
    for (int i = 0; i < n; i++) {
        size_t used = strlen(wanted);
        snprintf(wanted + used, sizeof(wanted) - used, "%s \"%s\"", i > 0 ? "," : "", names[i]);
    }
    return json_field_wrong_type(field, wanted, e);
}

int chain_trial_read(struct chain_trial *t, const cJSON *body, struct err *e)
{
    static const char *const sides[] = {"output", "input"};
    const char *const channels[] = {[FILTER_CONTENT] = chain_channel_name(FILTER_CONTENT),
                                    [FILTER_REASONING] = chain_channel_name(FILTER_REASONING),
                                    [FILTER_TOOL_ARGS] = chain_channel_name(FILTER_TOOL_ARGS)};
    int side = 0;
    int channel = FILTER_CONTENT;
    double chunk = 1;
    if (!cJSON_IsObject(body)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    t->text = cJSON_GetStringValue(json_field_get(body, "text"));
    if (!t->text) {
        return json_field_wrong_type("text", "the text to try, a string", e);
    }
    if (choose(body, "side", sides, 2, &side, e) != 0 ||
        choose(body, "channel", channels, 3, &channel, e) != 0 ||
        json_field_integer(body, "chunk", 1, CHAIN_TRACE_TEXT_MAX, &chunk, e) != 0) {
        return -1;
    }
    t->side = side == 0 ? FILTER_OUTPUT : FILTER_INPUT;
    t->channel = (enum filter_channel)channel;
    t->chunk = (size_t)chunk;
    return 0;
}

/* Steps of a trace, without the last, which ends the text. */
static size_t count_steps(const char *text, size_t len, size_t chunk)
{
    size_t n = 0;
    for (size_t at = 0; at < len; n++) {
        at += utf8_chunk_len(text + at, len - at, chunk);
    }
    return n;
}

static int check_trace(const struct chain_trial *t, struct err *e)
{
    size_t len = strlen(t->text);
    if (len > CHAIN_TRACE_TEXT_MAX) {
        return err_set_param(e, ERR_INVALID, "text",
                             "\"text\" has %zu bytes, a trace may have %d", len,
                             CHAIN_TRACE_TEXT_MAX);
    }
    /* Characters stay whole, so that a step may have fewer bytes than `chunk`. */
    size_t least = t->chunk;
    while (count_steps(t->text, len, least) > CHAIN_TRACE_STEPS_MAX) {
        least++;
    }
    if (t->chunk < least) {
        return err_set_param(e, ERR_INVALID, "chunk",
                             "a trace may have %d steps; of this text of %zu bytes \"chunk\" "
                             "must be %zu at least",
                             CHAIN_TRACE_STEPS_MAX, len, least);
    }
    return 0;
}

/* --- the answer --- */

void chain_trial_add_chain(cJSON *root, const struct chain *chain)
{
    cJSON_AddNumberToObject(root, "version", chain_version(chain));
    cJSON_AddStringToObject(root, "sha256", chain_hash(chain));
    cJSON_AddNumberToObject(root, "filters", (double)chain_filter_count(chain));
}

/* The item becomes a part of the list; where there is no memory for the list it goes. */
static void append(cJSON *list, cJSON *item)
{
    if (!cJSON_AddItemToArray(list, item)) {
        cJSON_Delete(item);
    }
}

static cJSON *event_json(const struct chain_event *event)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "verdict", chain_event_name(event->kind));
    cJSON_AddNumberToObject(o, "filter", (double)event->filter);
    cJSON_AddStringToObject(o, "type", event->type);
    cJSON_AddStringToObject(o, "name", event->name);
    cJSON_AddStringToObject(o, "channel", chain_channel_name(event->channel));
    cJSON_AddNumberToObject(o, "from", (double)event->from);
    cJSON_AddNumberToObject(o, "to", (double)event->to);
    cJSON_AddNumberToObject(o, "at", (double)event->at);
    cJSON_AddStringToObject(o, "code", event->code);
    cJSON_AddStringToObject(o, "message", event->message);
    cJSON_AddBoolToObject(o, "recorded", event->is_recorded);
    return o;
}

/* Those from *shown on. */
static void add_events(cJSON *o, const struct chain_stream *stream, size_t *shown)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    cJSON *list = cJSON_AddArrayToObject(o, "events");
    for (; *shown < count; ++*shown) {
        append(list, event_json(&events[*shown]));
    }
}

/* A trial asks no services: it is off the loop, and a text to try is for nobody else. */
static void add_left_out(cJSON *root, const struct chain *chain)
{
    cJSON *list = cJSON_AddArrayToObject(root, "left_out");
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (chain_filter_asks(chain, i)) {
            append(list, cJSON_CreateNumber((double)i));
        }
    }
}

static cJSON *result_json(const struct chain_stream *stream, const struct buf *out,
                          struct err *e)
{
    const struct chain *chain = chain_stream_chain(stream);
    size_t shown = 0;
    bool truncated;
    chain_stream_events(stream, &shown, &truncated);
    shown = 0;
    cJSON *root = cJSON_CreateObject();
    if (!root) {
        err_nomem(e);
        return NULL;
    }
    cJSON_AddStringToObject(root, "name", chain_name(chain));
    chain_trial_add_chain(root, chain);
    cJSON_AddStringToObject(root, "text", out->data ? out->data : "");
    cJSON_AddBoolToObject(root, "stopped", chain_stream_stop(stream) != NULL);
    add_events(root, stream, &shown);
    cJSON_AddBoolToObject(root, "truncated", truncated);
    add_left_out(root, chain);
    return root;
}

/* --- the runs --- */

struct run {
    struct chain_stream *stream;
    struct buf out; /* what was released */
    struct chain_sink sink;
};

static int run_init(struct run *run, const struct chain_trial *t, struct chain *chain,
                    struct err *e)
{
    buf_init(&run->out, SIZE_MAX / 2);
    run->sink = chain_sink_buf(&run->out);
    run->stream = chain_stream_create(chain, t->side, e);
    if (run->stream) {
        chain_stream_leave_out_asking(run->stream);
    }
    return run->stream ? 0 : -1;
}

static void run_deinit(struct run *run)
{
    chain_stream_destroy(run->stream);
    buf_deinit(&run->out);
}

cJSON *chain_trial_result(const struct chain_trial *t, struct chain *chain, struct err *e)
{
    struct run run;
    int rc = run_init(&run, t, chain, e);
    rc = rc == 0 ? chain_feed(run.stream, t->channel, t->text, strlen(t->text), &run.sink, e)
                 : -1;
    if (rc == CHAIN_GOES_ON) {
        rc = chain_finish(run.stream, &run.sink, e);
    }
    cJSON *root = rc >= 0 ? result_json(run.stream, &run.out, e) : NULL;
    run_deinit(&run);
    return root;
}

/* What is held, its beginning alone where it is long; nothing of a stopped stream is held. */
static int add_held(cJSON *step, const struct chain_stream *stream, enum filter_channel channel,
                    struct err *e)
{
    struct buf held;
    buf_init(&held, SIZE_MAX / 2);
    bool is_over = chain_stream_stop(stream) != NULL;
    int rc = is_over ? 0 : chain_stream_held_text(stream, channel, &held);
    cJSON_AddNumberToObject(step, "held_bytes", (double)held.len);
    if (held.len > CHAIN_TRACE_HELD_MAX) {
        held.data[utf8_chunk_len(held.data, held.len, CHAIN_TRACE_HELD_MAX)] = '\0';
    }
    cJSON_AddStringToObject(step, "held", held.data ? held.data : "");
    buf_deinit(&held);
    return rc == 0 ? 0 : err_nomem(e);
}

/* Feeds what stands from `at` to `to`, or ends the text where both are its length, and adds a
 * step. As chain_feed. */
static int run_step(struct run *run, const struct chain_trial *t, size_t at, size_t to,
                    size_t *shown, cJSON *steps, struct err *e)
{
    size_t released = run->out.len;
    int status = at < to
                     ? chain_feed(run->stream, t->channel, t->text + at, to - at, &run->sink, e)
                     : chain_finish(run->stream, &run->sink, e);
    if (status < 0) {
        return status;
    }
    cJSON *step = cJSON_CreateObject();
    cJSON_AddNumberToObject(step, "fed", (double)to);
    cJSON_AddStringToObject(step, "released",
                            run->out.len > released ? run->out.data + released : "");
    if (add_held(step, run->stream, t->channel, e) != 0) {
        cJSON_Delete(step);
        return -1;
    }
    add_events(step, run->stream, shown);
    append(steps, step);
    return status;
}

static int run_steps(struct run *run, const struct chain_trial *t, cJSON *steps, struct err *e)
{
    size_t len = strlen(t->text);
    size_t shown = 0;
    int status = CHAIN_GOES_ON;
    for (size_t at = 0; at < len && status == CHAIN_GOES_ON;) {
        size_t to = at + utf8_chunk_len(t->text + at, len - at, t->chunk);
        status = run_step(run, t, at, to, &shown, steps, e);
        at = to;
    }
    return status == CHAIN_GOES_ON ? run_step(run, t, len, len, &shown, steps, e) : status;
}

cJSON *chain_trial_trace(const struct chain_trial *t, struct chain *chain, struct err *e)
{
    if (check_trace(t, e) != 0) {
        return NULL;
    }
    struct run run;
    cJSON *steps = cJSON_CreateArray();
    int rc = run_init(&run, t, chain, e);
    rc = rc == 0 ? run_steps(&run, t, steps, e) : -1;
    cJSON *root = rc >= 0 ? result_json(run.stream, &run.out, e) : NULL;
    if (!root || !cJSON_AddItemToObject(root, "steps", steps)) {
        cJSON_Delete(steps);
    }
    run_deinit(&run);
    return root;
}

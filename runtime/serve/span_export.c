#include "runtime/serve/span_export.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/hex.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/net/http_call.h"
#include "runtime/serve/span_json.h"

#define GATHER_MS    1000 /* from a first record to its sending */
#define RETRY_MS     1000 /* after a first failure; doubled with each */
#define RETRY_MAX_MS 5000
#define TIMEOUT_MS   10000
#define ANSWER_MAX   ((size_t)64 << 10)
#define DOCUMENT_MAX ((size_t)8 << 20)
#define URL_MAX      1024
#define HEADER_MAX   1024
#define TRACES_PATH  "/v1/traces"

struct span_export {
    struct span_settings set;
    char url[URL_MAX + sizeof(TRACES_PATH)];
    char instance[40];
    char header_lines[SPAN_HEADERS_MAX][HEADER_MAX];
    const char *headers[SPAN_HEADERS_MAX];
    size_t n_headers;
    uv_thread_t thread;
    uv_async_t wake; /* of the thread's loop */

    /* Shared, under the lock. */
    uv_mutex_t lock;
    struct request_record *queue; /* (count of SPAN_QUEUE_MAX) from first, round */
    size_t first, count;
    size_t n_batch; /* changed by the thread alone, which reads it without the lock */
    bool stops;
    struct span_stats stats;

    /* The thread's. */
    uv_loop_t loop;
    uv_timer_t timer; /* to the next sending, or to the end */
    struct http_calls *calls;
    struct request_record *batch; /* (n_batch of SPAN_BATCH_MAX) that is being sent */
    bool is_calling;
    bool has_left;
    bool is_failing; /* and the log has said so */
    uint32_t retry_ms;
    uint64_t give_up_ns; /* once it stops */
};

/* --- settings --- */

/* OTEL_EXPORTER_OTLP_HEADERS is a list as W3C Baggage has it (https://www.w3.org/TR/baggage),
 * but without properties: a semicolon is part of the value. */

/* Where what is left begins without the blanks on both sides. */
static const char *trim(const char *at, size_t *len)
{
    while (*len > 0 && (at[0] == ' ' || at[0] == '\t')) {
        at++;
        (*len)--;
    }
    while (*len > 0 && (at[*len - 1] == ' ' || at[*len - 1] == '\t')) {
        (*len)--;
    }
    return at;
}

static bool is_name(const char *at, size_t len)
{
    bool is_good = len > 0;
    for (size_t i = 0; i < len && is_good; i++) {
        is_good = (unsigned char)at[i] > 0x20 && at[i] != 0x7f && at[i] != ':';
    }
    return is_good;
}

/* Percent-encoded; whether it is a value as RFC 9110 5.5 has them. `to` has room for it. */
static bool decode_value(const char *at, size_t len, char *to)
{
    bool is_good = true;
    for (size_t i = 0; i < len && is_good; i++) {
        int byte = (unsigned char)at[i];
        if (byte == '%') {
            int high = len - i > 2 ? hex_value(at[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(at[i + 2]) : -1;
            byte = high >= 0 && low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        is_good = byte > 0x1f && byte != 0x7f;
        *to++ = (char)byte;
    }
    *to = '\0';
    return is_good;
}

/* "name=value" to "name: value". */
static bool make_header(char line[HEADER_MAX], const char *at, size_t len)
{
    const char *equals = memchr(at, '=', len);
    size_t name_len = equals ? (size_t)(equals - at) : 0;
    size_t value_len = equals ? len - name_len - 1 : 0;
    const char *name = trim(at, &name_len);
    if (!is_name(name, name_len) || name_len + value_len + sizeof(": ") > HEADER_MAX) {
        return false;
    }
    const char *value = trim(equals + 1, &value_len);
    int n = snprintf(line, HEADER_MAX, "%.*s: ", (int)name_len, name);
    return decode_value(value, value_len, line + n);
}

static int make_headers(struct span_export *x, const char *list, struct err *e)
{
    while (list && *list) {
        size_t len = strcspn(list, ",");
        if (x->n_headers == SPAN_HEADERS_MAX) {
            return err_set(e, ERR_LIMIT,
                           "OTEL_EXPORTER_OTLP_HEADERS: at most %d headers are allowed",
                           SPAN_HEADERS_MAX);
        }
        char *line = x->header_lines[x->n_headers];
        if (!make_header(line, list, len)) {
            return err_set(e, ERR_INVALID,
                           "OTEL_EXPORTER_OTLP_HEADERS: \"name=value,name=value\" is wanted, "
                           "with values percent-encoded");
        }
        x->headers[x->n_headers++] = line;
        list += len + (list[len] == ',');
    }
    return 0;
}

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int make_url(struct span_export *x, const char *endpoint, struct err *e)
{
    bool has_scheme = begins_with(endpoint, "http://") || begins_with(endpoint, "https://");
    const char *host = has_scheme ? strstr(endpoint, "//") + 2 : "";
    size_t len = strlen(endpoint);
    if (!host[0] || host[0] == '/' || strpbrk(endpoint, " \t\r\n@?#") || len > URL_MAX) {
        return err_set(e, ERR_INVALID,
                       "--otlp-endpoint: \"%.200s\" is none; http://127.0.0.1:4318 is "
                       "(" TRACES_PATH " is added; no user, query or fragment)",
                       endpoint);
    }
    while (endpoint[len - 1] == '/') {
        len--;
    }
    bool has_path = len > strlen(TRACES_PATH) &&
                    begins_with(endpoint + len - strlen(TRACES_PATH), TRACES_PATH);
    snprintf(x->url, sizeof(x->url), "%.*s%s", (int)len, endpoint, has_path ? "" : TRACES_PATH);
    return 0;
}

int span_settings_check(const struct span_settings *set, struct err *e)
{
    if (!set->endpoint) {
        return 0;
    }
    struct span_export *x = mem_zalloc(sizeof(*x));
    int rc = !x                                   ? err_nomem(e)
             : make_url(x, set->endpoint, e) == 0 ? make_headers(x, set->headers, e)
                                                  : -1;
    mem_free(x);
    return rc;
}

/* --- the queue --- */

void span_export_add(struct span_export *x, const struct request_record *record)
{
    uv_mutex_lock(&x->lock);
    bool is_full = x->count == SPAN_QUEUE_MAX;
    if (is_full) {
        x->stats.dropped_full++;
    } else {
        x->queue[(x->first + x->count++) % SPAN_QUEUE_MAX] = *record;
    }
    bool wakes = !is_full && (x->count == 1 || x->count == SPAN_BATCH_MAX);
    uv_mutex_unlock(&x->lock);
    if (wakes) {
        uv_async_send(&x->wake);
    }
}

static void take_batch(struct span_export *x)
{
    uv_mutex_lock(&x->lock);
    while (x->n_batch < SPAN_BATCH_MAX && x->count > 0) {
        x->batch[x->n_batch++] = x->queue[x->first];
        x->first = (x->first + 1) % SPAN_QUEUE_MAX;
        x->count--;
    }
    uv_mutex_unlock(&x->lock);
}

struct span_stats span_export_stats(struct span_export *x)
{
    uv_mutex_lock(&x->lock);
    struct span_stats stats = x->stats;
    stats.waiting = x->count + x->n_batch;
    uv_mutex_unlock(&x->lock);
    return stats;
}

static size_t count_waiting(struct span_export *x, bool *stops)
{
    uv_mutex_lock(&x->lock);
    size_t n = x->count;
    *stops = x->stops;
    uv_mutex_unlock(&x->lock);
    return n;
}

/* What becomes of the batch. */
static void settle(struct span_export *x, uint64_t *counter)
{
    uv_mutex_lock(&x->lock);
    *counter += x->n_batch;
    x->n_batch = 0;
    uv_mutex_unlock(&x->lock);
}

/* --- sending, on the thread --- */

static void send_batch(struct span_export *x);

static void on_timer(uv_timer_t *timer)
{
    send_batch(timer->data);
}

static void send_in(struct span_export *x, uint64_t ms)
{
    uv_update_time(&x->loop);
    uv_timer_start(&x->timer, on_timer, ms, 0);
}

static void leave(struct span_export *x)
{
    size_t n = span_export_stats(x).waiting;
    x->has_left = true;
    if (n > 0) {
        log_warn("traces: %zu were not taken before the end", n);
    }
    http_calls_close(x->calls);
    uv_close((uv_handle_t *)&x->timer, NULL);
    uv_close((uv_handle_t *)&x->wake, NULL);
}

/* Whether the same may work later (OTLP, "Failures"). */
static bool is_passing(int status)
{
    return status == 0 || status == 429 || (status >= 502 && status <= 504);
}

static void say_failing(struct span_export *x, const struct http_call_answer *answer)
{
    char status[16];
    snprintf(status, sizeof(status), "HTTP %d", answer->status);
    if (!x->is_failing) {
        log_warn("traces: the collector at %s takes none: %s; requests are served as before, "
                 "and their traces are dropped when %d wait",
                 x->url, answer->error ? answer->error : status, SPAN_QUEUE_MAX);
    }
    x->is_failing = true;
}

static void say_well(struct span_export *x)
{
    if (x->is_failing) {
        log_info("traces: the collector takes them again");
    }
    x->is_failing = false;
    x->retry_ms = RETRY_MS;
}

static void on_answer(void *user, const struct http_call_answer *answer)
{
    struct span_export *x = user;
    bool stops;
    x->is_calling = false;
    if (x->has_left) {
        return;
    }
    if (answer->status >= 200 && answer->status < 300) {
        settle(x, &x->stats.exported);
        say_well(x);
    } else {
        say_failing(x, answer);
        uv_mutex_lock(&x->lock);
        x->stats.failures++;
        uv_mutex_unlock(&x->lock);
        if (!is_passing(answer->status)) {
            settle(x, &x->stats.dropped_refused);
        }
    }
    size_t n = count_waiting(x, &stops);
    if (stops) {
        send_in(x, x->is_failing ? 100 : 0);
    } else if (x->is_failing) {
        send_in(x, x->retry_ms);
        x->retry_ms = 2 * x->retry_ms < RETRY_MAX_MS ? 2 * x->retry_ms : RETRY_MAX_MS;
    } else if (n > 0) {
        send_in(x, n >= SPAN_BATCH_MAX ? 0 : GATHER_MS);
    }
}

/* Once it stops. */
static uint64_t ms_left(const struct span_export *x)
{
    uint64_t now = clock_now_ns();
    return now < x->give_up_ns ? 1 + (x->give_up_ns - now) / 1000000 : 0;
}

static void call(struct span_export *x)
{
    const struct span_source source = {x->set.service, x->set.version, x->instance};
    struct buf text;
    buf_init(&text, DOCUMENT_MAX);
    bool is_made = span_json_append(&text, &source, x->batch, x->n_batch) == 0;
    const struct http_call_request request = {.url = x->url,
                                              .headers = x->headers,
                                              .header_count = x->n_headers,
                                              .body = text.data,
                                              .body_len = text.len,
                                              .timeout_ms = TIMEOUT_MS,
                                              .answer_max = ANSWER_MAX};
    x->is_calling = is_made && http_call_begin(x->calls, &request, on_answer, x);
    if (!x->is_calling) { /* no memory: later */
        send_in(x, RETRY_MS);
    }
    buf_deinit(&text);
}

static void send_batch(struct span_export *x)
{
    bool stops;
    size_t n = count_waiting(x, &stops);
    if (stops && x->give_up_ns == 0) {
        x->give_up_ns = clock_now_ns() + (uint64_t)SPAN_STOP_MS * 1000000;
    }
    bool is_over = stops && (ms_left(x) == 0 || (!x->is_calling && n + x->n_batch == 0));
    if (is_over) {
        leave(x);
    } else if (!x->is_calling) {
        take_batch(x);
    }
    if (!is_over && !x->is_calling && x->n_batch > 0) {
        call(x);
    }
    if (!is_over && stops && x->is_calling) {
        send_in(x, ms_left(x)); /* unless it is answered before */
    }
}

/* A record came, there are many of them, or it is to stop. While the collector fails its timer
 * decides when it is tried again; but with nothing to send that has run out. */
static void on_wake(uv_async_t *wake)
{
    struct span_export *x = wake->data;
    bool stops;
    size_t n = count_waiting(x, &stops);
    if (x->has_left) {
        return;
    }
    if (stops) {
        send_in(x, 0);
    } else if (!x->is_calling &&
               (!x->is_failing || !uv_is_active((const uv_handle_t *)&x->timer))) {
        send_in(x, n >= SPAN_BATCH_MAX ? 0 : GATHER_MS);
    }
}

static void run(void *user)
{
    struct span_export *x = user;
    uv_run(&x->loop, UV_RUN_DEFAULT);
}

/* --- beginning and end --- */

static void release(struct span_export *x)
{
    if (x) {
        mem_free(x->queue);
        mem_free(x->batch);
    }
    mem_free(x);
}

static struct span_export *create(const struct span_settings *set, struct err *e)
{
    struct span_export *x = mem_zalloc(sizeof(*x));
    if (x) {
        x->set = *set;
        x->retry_ms = RETRY_MS;
        x->queue = mem_array(SPAN_QUEUE_MAX, sizeof(*x->queue));
        x->batch = mem_array(SPAN_BATCH_MAX, sizeof(*x->batch));
        unique_id(x->instance, sizeof(x->instance), "");
    }
    if (!x || !x->queue || !x->batch) {
        err_nomem(e);
    } else if (make_url(x, set->endpoint, e) == 0 && make_headers(x, set->headers, e) == 0) {
        return x;
    }
    release(x);
    return NULL;
}

struct span_export *span_export_start(const struct span_settings *set, struct err *e)
{
    struct span_export *x = create(set, e);
    if (!x) {
        return NULL;
    }
    if (uv_loop_init(&x->loop) != 0) {
        release(x);
        err_set(e, ERR_IO, "cannot make an event loop for traces");
        return NULL;
    }
    uv_mutex_init(&x->lock);
    uv_timer_init(&x->loop, &x->timer);
    uv_async_init(&x->loop, &x->wake, on_wake);
    x->timer.data = x->wake.data = x;
    x->calls = http_calls_create(&x->loop, e);
    if (x->calls && uv_thread_create(&x->thread, run, x) == 0) {
        return x;
    }
    if (x->calls) {
        err_set(e, ERR_NOMEM, "cannot start the thread for traces");
    }
    leave(x);
    run(x);
    uv_loop_close(&x->loop);
    uv_mutex_destroy(&x->lock);
    release(x);
    return NULL;
}

void span_export_stop(struct span_export *x)
{
    if (!x) {
        return;
    }
    uv_mutex_lock(&x->lock);
    x->stops = true;
    uv_mutex_unlock(&x->lock);
    uv_async_send(&x->wake);
    uv_thread_join(&x->thread);
    uv_loop_close(&x->loop);
    uv_mutex_destroy(&x->lock);
    release(x);
}

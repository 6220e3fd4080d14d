#include "filters/webhook.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "filters/setting_checks.h"
#include "filters/webhook_answer.h"
#include "filters/webhook_batch.h"
#include "filters/webhook_breaker.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_URL     2048
#define MAX_HEADERS 16
#define MAX_HEADER  4096
#define MAX_TRUSTED ((size_t)1 << 20)
#define MAX_ANSWER  ((uint32_t)1 << 20)
#define MAX_QUESTION \
    ((size_t)1 << 20) /* 64 KiB of text in JSON, whatever it needs of escapes */
#define NS_PER_S 1000000000u
/* Between a failure and the next try; twice as much before each further one. */
#define FIRST_DELAY_MS 100u

static const char *const batch_names[] = {"sentence", "text", NULL};
enum { BATCH_SENTENCE, BATCH_TEXT };

enum {
    KEY_URL,
    KEY_HEADERS,
    KEY_TIMEOUT,
    KEY_RETRIES,
    KEY_BATCH,
    KEY_BATCH_BYTES,
    KEY_BREAKER_FAILURES,
    KEY_BREAKER_SECONDS,
    KEY_CA_FILE,
};
static const struct filter_key keys[] = {
    [KEY_URL] = {.name = "url",
                 .kind = FILTER_KEY_STRING,
                 .is_required = 1,
                 .help = "where the service listens, http or https"},
    [KEY_HEADERS] = {.name = "headers",
                     .kind = FILTER_KEY_LIST,
                     .help = "fields to send along, `Name: value`"},
    [KEY_TIMEOUT] = {.name = "timeout_ms",
                     .kind = FILTER_KEY_NUMBER,
                     .fallback = "2000",
                     .help = "so long one answer may take, 50 to 30,000"},
    [KEY_RETRIES] = {.name = "retries",
                     .kind = FILTER_KEY_NUMBER,
                     .fallback = "1",
                     .help = "further tries when there was no answer, 0 to 5"},
    [KEY_BATCH] = {.name = "batch",
                   .kind = FILTER_KEY_CHOICE,
                   .fallback = "sentence",
                   .choices = batch_names,
                   .help =
                       "what it is asked about at a time: a `sentence` or the whole `text`"},
    [KEY_BATCH_BYTES] = {.name = "max_batch_bytes",
                         .kind = FILTER_KEY_NUMBER,
                         .fallback = "1024",
                         .help = "sentences that are longer are cut, 64 to 16,384"},
    [KEY_BREAKER_FAILURES] = {.name = "breaker_failures",
                              .kind = FILTER_KEY_NUMBER,
                              .fallback = "5",
                              .help = "after so many failures in a row it is not asked for a "
                                      "while; 0: it always is"},
    [KEY_BREAKER_SECONDS] = {.name = "breaker_seconds",
                             .kind = FILTER_KEY_NUMBER,
                             .fallback = "30",
                             .help = "how long the while is, 1 to 3,600"},
    [KEY_CA_FILE] = {.name = "ca_file",
                     .kind = FILTER_KEY_FILE,
                     .help = "a file of PEM certificates to trust in place of the system's"},
    {.name = NULL},
};

/* The config. All but the breaker is read-only. */
struct webhook {
    char *url;
    char *headers[MAX_HEADERS]; /* (header_count) */
    size_t header_count;
    char *trusted; /* PEM, or NULL */
    size_t trusted_len;
    uint32_t timeout_ms;
    uint32_t retries;
    uint32_t batch_bytes; /* 0: the whole text */
    struct webhook_breaker breaker;
};

/* The state. */
struct webhook_text {
    struct webhook *hook;
    struct filter_text text;
    struct webhook_batch batch;
    uint64_t begin, end; /* of the piece that was asked about; nothing before begin is left */
    bool is_last;        /* the text ends with it */
    bool is_asking;
    bool is_trial;
    uint32_t tries; /* made for this piece */
};

/* ---- settings ---- */

static void webhook_release(void *config)
{
    struct webhook *hook = config;
    for (size_t i = 0; i < hook->header_count; i++) {
        mem_free(hook->headers[i]);
    }
    mem_free(hook->url);
    mem_free(hook->trusted);
    mem_free(hook);
}

/* Only what a line of HTTP may hold. */
static bool is_printable(const char *text, size_t len, char first)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < first || text[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

static size_t scheme_len(const char *url)
{
    return strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
}

static int read_url(struct webhook *hook, const struct filter_string *url,
                    struct filter_error *error)
{
    size_t scheme = scheme_len(url->data);
    size_t host = scheme ? strcspn(url->data + scheme, "/?#") : 0;
    if (host == 0 || url->len > MAX_URL || !is_printable(url->data, url->len, '!')) {
        return setting_refuse(error, "url",
                              "must be http://HOST/... or https://HOST/..., of at most 2,048 "
                              "characters of ASCII");
    }
    if (memchr(url->data + scheme, '@', host) || strchr(url->data, '#')) {
        return setting_refuse(
            error, "url", "may have neither a user before the host (send a header) nor \"#\"");
    }
    hook->url = mem_strdup(url->data);
    return hook->url ? 0 : setting_refuse(error, "", "out of memory");
}

static bool has_name(const char *header, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(header, name, len) == 0 && header[len] == ':';
}

/* "Name: value", with a name of RFC 9110's token characters. Values are secrets: nothing of
 * them is said. */
static bool is_header(const struct filter_string *h)
{
    size_t name = strspn(h->data, "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return h->len <= MAX_HEADER && name > 0 && h->data[name] == ':' &&
           h->data[name + 1] == ' ' && h->len > name + 2 &&
           is_printable(h->data, h->len, ' ') && !has_name(h->data, "content-type") &&
           !has_name(h->data, "content-length") && !has_name(h->data, "transfer-encoding");
}

static int read_headers(struct webhook *hook, const struct filter_value *value,
                        struct filter_error *error)
{
    if (value->count > MAX_HEADERS) {
        return setting_refuse(error, "headers", "may be at most 16");
    }
    for (size_t i = 0; i < value->count; i++) {
        if (!is_header(&value->strings[i])) {
            char key[32];
            snprintf(key, sizeof(key), "headers[%zu]", i);
            return setting_refuse(error, key,
                                  "must be \"Name: value\", of ASCII, and none that says how "
                                  "the body is sent");
        }
        hook->headers[i] = mem_strdup(value->strings[i].data);
        if (!hook->headers[i]) {
            return setting_refuse(error, "", "out of memory");
        }
        hook->header_count++;
    }
    return 0;
}

static int read_trusted(struct webhook *hook, const struct filter_value *value,
                        struct filter_error *error)
{
    if (value->count == 0) {
        return 0;
    }
    const struct filter_string *pem = value->strings;
    if (pem->len > MAX_TRUSTED || !strstr(pem->data, "-----BEGIN CERTIFICATE-----")) {
        return setting_refuse(error, "ca_file", "must hold PEM certificates, up to 1 MiB");
    }
    hook->trusted = mem_strndup(pem->data, pem->len);
    hook->trusted_len = pem->len;
    return hook->trusted ? 0 : setting_refuse(error, "", "out of memory");
}

static int read_batch(struct webhook *hook, const struct filter_value *values,
                      struct filter_error *error)
{
    if (values[KEY_BATCH].choice == BATCH_TEXT) {
        return values[KEY_BATCH_BYTES].is_set
                   ? setting_refuse(error, "max_batch_bytes",
                                    "has no effect with \"batch\": \"text\"")
                   : 0;
    }
    return setting_whole(&values[KEY_BATCH_BYTES], "max_batch_bytes", 64, 16384,
                         &hook->batch_bytes, error);
}

static int read_breaker(struct webhook_breaker *b, const struct filter_value *values,
                        struct filter_error *error)
{
    uint32_t seconds;
    if (setting_whole(&values[KEY_BREAKER_FAILURES], "breaker_failures", 0, 1000, &b->limit,
                      error) != 0 ||
        setting_whole(&values[KEY_BREAKER_SECONDS], "breaker_seconds", 1, 3600, &seconds,
                      error) != 0) {
        return -1;
    }
    b->pause_ns = (uint64_t)seconds * NS_PER_S;
    return 0;
}

static int webhook_configure(void **config, const struct filter_value *values,
                             struct filter_error *error)
{
    struct webhook *hook = mem_zalloc(sizeof(*hook));
    if (!hook) {
        return setting_refuse(error, "", "out of memory");
    }
    if (read_url(hook, values[KEY_URL].strings, error) != 0 ||
        read_headers(hook, &values[KEY_HEADERS], error) != 0 ||
        setting_whole(&values[KEY_TIMEOUT], "timeout_ms", 50, 30000, &hook->timeout_ms,
                      error) != 0 ||
        setting_whole(&values[KEY_RETRIES], "retries", 0, 5, &hook->retries, error) != 0 ||
        read_batch(hook, values, error) != 0 ||
        read_breaker(&hook->breaker, values, error) != 0 ||
        read_trusted(hook, &values[KEY_CA_FILE], error) != 0) {
        webhook_release(hook);
        return -1;
    }
    *config = hook;
    return 0;
}

/* ---- questions ---- */

/* {"chain": "default", "version": 3, "filter": 0, "side": "output", "channel": "content",
 *  "ordinal": 0, "offset": 0, "text": "...", "ended": true} */
static int write_question(const struct webhook_text *t, const char *piece, size_t len,
                          struct buf *out)
{
    static const char *const channels[FILTER_CHANNELS] = {"content", "reasoning", "tool_args"};
    buf_append_str(out, "{\"chain\":");
    json_append_string(out, t->text.chain, strlen(t->text.chain));
    buf_printf(out,
               ",\"version\":%u,\"filter\":%u,\"side\":\"%s\",\"channel\":\"%s\","
               "\"ordinal\":%u,\"offset\":%llu,\"ended\":%s,\"text\":",
               t->text.chain_version, t->text.filter,
               t->text.side == FILTER_INPUT ? "input" : "output", channels[t->text.channel],
               t->text.ordinal, (unsigned long long)t->begin, t->is_last ? "true" : "false");
    json_append_string(out, piece, len);
    buf_append_char(out, '}');
    return out->failed ? -1 : 0;
}

/* Asks about the piece, which the span begins with. */
static int ask(struct webhook_text *t, const struct filter_span *span, struct filter_host *host)
{
    const struct webhook *hook = t->hook;
    enum webhook_admission admission = webhook_breaker_admit(&t->hook->breaker, clock_now_ns());
    if (admission == WEBHOOK_REFUSE) {
        return host->fail(host, "the service failed too often and is not asked for now");
    }
    struct buf body;
    buf_init(&body, MAX_QUESTION);
    if (write_question(t, span->text, (size_t)(t->end - t->begin), &body) != 0) {
        buf_deinit(&body);
        return host->fail(host, "out of memory");
    }
    struct filter_question question = {
        .size = sizeof(question),
        .delay_ms = t->tries > 0 ? FIRST_DELAY_MS << (t->tries - 1) : 0,
        .timeout_ms = hook->timeout_ms,
        .max_answer = MAX_ANSWER,
        .url = hook->url,
        .headers = (const char *const *)hook->headers,
        .header_count = hook->header_count,
        .body = body.data,
        .body_len = body.len,
        .trusted = hook->trusted,
        .trusted_len = hook->trusted_len,
    };
    t->is_trial = admission == WEBHOOK_TRY;
    int rc = host->ask(host, &question);
    t->is_asking = rc == 0;
    buf_deinit(&body);
    return rc;
}

static int ask_about(struct webhook_text *t, uint64_t end, bool is_last,
                     const struct filter_span *span, struct filter_host *host)
{
    t->end = end;
    t->is_last = is_last;
    t->tries = 0;
    return ask(t, span, host);
}

static int webhook_open(void **state, const void *config, const struct filter_text *text)
{
    struct webhook_text *t = mem_zalloc(sizeof(*t));
    if (!t) {
        return -1;
    }
    /* Of the config only the breaker changes, which is made for several threads. */
    t->hook = (struct webhook *)(uintptr_t)config;
    t->text = *text;
    t->batch.max = t->hook->batch_bytes;
    *state = t;
    return 0;
}

static int webhook_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct webhook_text *t = state;
    uint64_t cut;
    return webhook_batch_feed(&t->batch, span->text + span->fresh, span->len - span->fresh,
                              &cut)
               ? ask_about(t, cut, false, span, host)
               : 0;
}

/* Blanks alone need no ruling. */
static int webhook_finish(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct webhook_text *t = state;
    uint64_t end = span->start + span->len;
    return t->batch.has_words ? ask_about(t, end, true, span, host) : host->pass(host, end);
}

/* ---- answers ---- */

/* A replacement may be longer than one call takes: the rest goes on with the same change. */
static int put(struct filter_host *host, uint64_t upto, const char *text,
               const struct filter_reason *why)
{
    size_t len = strlen(text);
    do {
        size_t n = len <= FILTER_MAX_REPLACE
                       ? len
                       : FILTER_MAX_REPLACE - utf8_incomplete_tail(text, FILTER_MAX_REPLACE);
        if (host->replace(host, upto, text, n, why) != 0) {
            return -1;
        }
        why = NULL;
        text += n;
        len -= n;
    } while (len > 0);
    return 0;
}

static int apply(const struct webhook_verdict *v, uint64_t begin, struct filter_host *host)
{
    struct filter_reason why = {.size = sizeof(why),
                                .code = v->code,
                                .message = v->message,
                                .from = begin + v->from,
                                .to = begin + v->to};
    switch (v->kind) {
    case WEBHOOK_PASS:
        return host->pass(host, why.to);
    case WEBHOOK_NOTE:
        return host->note(host, why.to, &why);
    case WEBHOOK_REPLACE:
        return host->pass(host, why.from) == 0 ? put(host, why.to, v->text, &why) : -1;
    case WEBHOOK_STOP:
        return host->stop(host, why.from, &why);
    }
    return -1;
}

/* What lies behind the last verdict passes. */
static int apply_all(struct webhook_text *t, const struct webhook_answer *a,
                     struct filter_host *host)
{
    for (size_t i = 0; i < a->count; i++) {
        if (apply(&a->verdicts[i], t->begin, host) != 0) {
            return -1;
        }
        if (a->verdicts[i].kind == WEBHOOK_STOP) {
            return 0;
        }
    }
    uint64_t end = t->end;
    t->begin = end;
    return host->pass(host, end);
}

/* Whether it may come out otherwise when the same is asked again. */
static bool may_pass(const struct filter_answer *answer)
{
    return answer->status == 0 || answer->status == 429 || answer->status >= 500;
}

/* The URL only up to its path: what comes behind may be a secret. */
static void log_pause(const struct webhook *hook, const char *what)
{
    size_t scheme = scheme_len(hook->url);
    size_t len = scheme + strcspn(hook->url + scheme, "/?");
    log_warn("filter webhook, %.*s: %u failures in a row (%s), it is not asked for %llu s",
             (int)len, hook->url, hook->breaker.limit, what,
             (unsigned long long)(hook->breaker.pause_ns / NS_PER_S));
}

static int take_failure(struct webhook_text *t, const struct filter_span *span,
                        struct filter_host *host, bool again, const char *what)
{
    struct webhook *hook = t->hook;
    bool pauses = webhook_breaker_failed(&hook->breaker, clock_now_ns());
    if (pauses) {
        log_pause(hook, what);
    }
    t->tries++;
    if (again && !pauses && t->tries <= hook->retries) {
        return ask(t, span, host);
    }
    char message[FILTER_MAX_MESSAGE + 1];
    int n = snprintf(message, sizeof(message), "%s", what);
    if (t->tries > 1 && n > 0 && (size_t)n < sizeof(message)) {
        snprintf(message + n, sizeof(message) - (size_t)n, " (%u tries)", t->tries);
    }
    return host->fail(host, message);
}

static int webhook_answered(void *state, const struct filter_span *span,
                            struct filter_host *host, const struct filter_answer *answer)
{
    struct webhook_text *t = state;
    t->is_asking = false;
    if (answer->status != 200) {
        char what[FILTER_MAX_MESSAGE + 1];
        snprintf(what, sizeof(what), "the service answered %u", answer->status);
        return take_failure(t, span, host, may_pass(answer),
                            answer->error ? answer->error : what);
    }
    struct webhook_answer read;
    const char *problem = "";
    int rc = webhook_answer_read(&read, answer->body, answer->len, span->text,
                                 (size_t)(t->end - t->begin), &problem);
    if (rc == 0) {
        webhook_breaker_succeeded(&t->hook->breaker);
        rc = apply_all(t, &read, host);
    } else {
        rc = take_failure(t, span, host, false, problem);
    }
    webhook_answer_deinit(&read);
    return rc;
}

static void webhook_close(void *state)
{
    struct webhook_text *t = state;
    if (t->is_asking && t->is_trial) {
        webhook_breaker_give_up_trial(&t->hook->breaker, clock_now_ns());
    }
    mem_free(t);
}

const struct filter_type filter_webhook = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "webhook",
    .summary = "lets a service of the operator's decide",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = keys,
    .configure = webhook_configure,
    .release = webhook_release,
    .open = webhook_open,
    .feed = webhook_feed,
    .finish = webhook_finish,
    .close = webhook_close,
    .answered = webhook_answered,
};

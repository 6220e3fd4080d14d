#include "runtime/serve/fleet_link.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/api/fleet_text.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/net/http_call.h"

#define ANSWER_MAX     ((size_t)64 << 20)
#define STEP_MS        5000
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS   2000
#define REVOKE_MS      500
#define LOOK_EVERY     5 /* beats */
#define LOOKS_BEHIND   2 /* in a row: the watch has lost something */
#define TOKEN_MAX      2048

enum told { TOLD_NOTHING, TOLD_CONNECTED, TOLD_LOST };

struct fleet_link {
    uv_timer_t timer; /* of the next beat, or the next try */
    const struct fleet_settings *set;
    char id[FLEET_ID_MAX + 1];
    const struct fleet_link_events *events;
    void *user;
    struct http_calls *calls;
    char endpoints[FLEET_ETCDS_MAX][FLEET_URL_MAX]; /* (n_endpoints) */
    size_t n_endpoints;
    size_t endpoint; /* in use */

    char config[ETCD_KEY_MAX]; /* the prefix */
    char token[TOKEN_MAX];     /* of the login; "" */
    bool token_is_new;         /* nothing was done with it yet */
    int64_t lease;             /* 0: none */
    int64_t revision;          /* all up to here is known */
    bool is_connected;
    bool is_closing;
    unsigned tries; /* since the last connection */
    unsigned beats;
    unsigned looks_behind;
    uint64_t failures;
    int64_t heard_ms;
    enum told told;
    size_t told_endpoint;
    char why[ERR_MESSAGE_MAX]; /* as it was told */

    /* Under way, or NULL. */
    struct http_call *step; /* of connecting */
    struct http_call *watch, *beat, *look, *put;
    struct buf line; /* of the watch, not complete yet */

    char *report; /* owned, or NULL */
    size_t report_len;
    bool report_is_due;
};

static void begin(struct fleet_link *l);

/* --- settings --- */

int fleet_endpoints_split(const char *endpoints, char out[FLEET_ETCDS_MAX][FLEET_URL_MAX],
                          size_t *n, struct err *e)
{
    const char *text = endpoints;
    *n = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        const char *next = text + len + (text[len] == ',');
        while (len > 0 && text[len - 1] == '/') {
            len--;
        }
        if (memchr(text, '@', len)) {
            return err_set_param(
                e, ERR_INVALID, "--etcd",
                "--etcd: an address has an \"@\" in it; who logs in is said by "
                "--etcd-user");
        }
        bool is_url = (strncmp(text, "http://", 7) == 0 && len > 7) ||
                      (strncmp(text, "https://", 8) == 0 && len > 8);
        if (!is_url || len >= FLEET_URL_MAX - 64 || *n == FLEET_ETCDS_MAX) {
            return err_set_param(e, ERR_INVALID, "--etcd",
                                 "--etcd: 1 to %d addresses are wanted, with commas between, "
                                 "each http://HOST:PORT or https://HOST:PORT",
                                 FLEET_ETCDS_MAX);
        }
        snprintf(out[(*n)++], FLEET_URL_MAX, "%.*s", (int)len, text);
        text = next;
    }
    return *n > 0 ? 0 : err_set_param(e, ERR_INVALID, "--etcd", "--etcd: no address is given");
}

static bool is_id(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= FLEET_ID_MAX && !strpbrk(id, "/\n") && utf8_is_valid(id, len);
}

int fleet_settings_check(const struct fleet_settings *set, struct err *e)
{
    char endpoints[FLEET_ETCDS_MAX][FLEET_URL_MAX];
    size_t n;
    if (fleet_endpoints_split(set->endpoints, endpoints, &n, e) != 0) {
        return -1;
    }
    if (version_name_check(set->name, "--fleet", e) != 0) {
        return err_prefix(e, "--fleet");
    }
    if (set->id && !is_id(set->id)) {
        return err_set_param(e, ERR_INVALID, "--fleet-id",
                             "--fleet-id: 1 to %d bytes of UTF-8 without a slash are wanted",
                             FLEET_ID_MAX);
    }
    return 0;
}

/* --- what is heard --- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Of the address that is in use. */
static void tell(struct fleet_link *l, enum told told, const char *why)
{
    bool is_known =
        told == l->told && l->endpoint == l->told_endpoint && strcmp(why, l->why) == 0;
    if (!is_known) {
        l->told = told;
        l->told_endpoint = l->endpoint;
        snprintf(l->why, sizeof(l->why), "%s", why);
        l->events->on_state(l->user, told == TOLD_CONNECTED, l->endpoints[l->endpoint], l->why);
    }
}

static void drop(struct http_call **call)
{
    if (*call) {
        http_call_cancel(*call);
        *call = NULL;
    }
}

static void drop_all(struct fleet_link *l)
{
    drop(&l->step);
    drop(&l->watch);
    drop(&l->beat);
    drop(&l->look);
    if (l->put) {
        drop(&l->put);
        l->report_is_due = true;
    }
    buf_clear(&l->line);
    uv_timer_stop(&l->timer);
    l->is_connected = false;
}

static void on_retry(uv_timer_t *timer)
{
    begin(timer->data);
}

static void fail(struct fleet_link *l, const struct err *e)
{
    bool has_expired = e->kind == ERR_DENIED && l->token[0] && !l->token_is_new;
    drop_all(l);
    if (l->is_closing) {
        return;
    }
    if (e->kind == ERR_DENIED) {
        l->token[0] = '\0';
    }
    if (has_expired) {
        begin(l);
        return;
    }
    l->failures++;
    /* All addresses are tried at once, then with pauses. */
    unsigned round = l->tries++ / (unsigned)l->n_endpoints;
    uint64_t pause = (uint64_t)RETRY_FIRST_MS << (round < 4 ? round : 4);
    uv_timer_start(&l->timer, on_retry, pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS, 0);
    tell(l, TOLD_LOST, e->message);
    l->endpoint = (l->endpoint + 1) % l->n_endpoints;
}

/* Begins anew with a new lease, as the old one is gone. */
static void renew(struct fleet_link *l)
{
    drop_all(l);
    l->lease = 0;
    l->report_is_due = l->report != NULL;
    begin(l);
}

/* 0: *out is to be released. Else the failure has been dealt with. */
static int take(struct fleet_link *l, const struct http_call_answer *answer,
                struct etcd_answer *out)
{
    struct err e = {0};
    int rc = answer->status == 0
                 ? err_set(&e, ERR_IO, "%s", answer->error)
                 : etcd_answer_read(out, answer->body ? answer->body : "", answer->len, &e);
    if (rc == 0 && answer->status / 100 != 2) {
        etcd_answer_deinit(out);
        rc = err_set(&e, ERR_IO, "it answers with status %d; is it etcd's client port?",
                     answer->status);
    }
    if (rc == 0) {
        l->heard_ms = now_ms();
    } else if (strstr(e.message, "requested lease not found")) {
        renew(l);
    } else {
        fail(l, &e);
    }
    return rc;
}

/* --- asking --- */

typedef void done_fn(void *user, const struct http_call_answer *answer);

/* Takes what is in `body`. on_data: of a stream, else NULL. *call is NULL on failure, which has
 * been dealt with. */
static void ask(struct fleet_link *l, struct http_call **call, const char *path,
                struct buf *body, uint32_t timeout_ms,
                void (*on_data)(void *user, const char *data, size_t len), done_fn *done)
{
    char url[FLEET_URL_MAX + 64];
    char token[TOKEN_MAX + 32];
    const char *const headers[] = {token};
    snprintf(url, sizeof(url), "%s%s", l->endpoints[l->endpoint], path);
    snprintf(token, sizeof(token), "Authorization: %s", l->token);
    const struct http_call_request request = {.url = url,
                                              .headers = headers,
                                              .header_count = l->token[0] ? 1 : 0,
                                              .body = body->data,
                                              .body_len = body->len,
                                              .trusted = l->set->trusted,
                                              .trusted_len = l->set->trusted_len,
                                              .certificate = l->set->certificate,
                                              .certificate_len = l->set->certificate_len,
                                              .key = l->set->key,
                                              .key_len = l->set->key_len,
                                              .timeout_ms = timeout_ms,
                                              .answer_max = ANSWER_MAX,
                                              .on_data = on_data};
    *call = body->failed ? NULL : http_call_begin(l->calls, &request, done, l);
    buf_deinit(body);
    if (!*call) {
        struct err e = {0};
        err_nomem(&e);
        fail(l, &e);
    }
}

static struct buf new_body(void)
{
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    return body;
}

/* --- what the replica says --- */

static void put_report(struct fleet_link *l);

static void on_put(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    l->put = NULL;
    if (take(l, answer, &a) == 0) {
        etcd_answer_deinit(&a);
        put_report(l);
    } else {
        l->report_is_due = true;
    }
}

static void put_report(struct fleet_link *l)
{
    char key[ETCD_KEY_MAX + FLEET_ID_MAX];
    if (!l->is_connected || !l->report_is_due || l->put) {
        return;
    }
    struct buf body = new_body();
    fleet_replica_prefix(key, l->set->name);
    size_t len = strlen(key);
    snprintf(key + len, sizeof(key) - len, "%s", l->id);
    etcd_put_text(&body, key, l->report, l->report_len, l->lease);
    l->report_is_due = false;
    ask(l, &l->put, ETCD_PUT_PATH, &body, FLEET_BEAT_MAX_MS, NULL, on_put);
}

void fleet_link_report(struct fleet_link *l, const char *text, size_t len)
{
    bool is_known = l->report && l->report_len == len && memcmp(l->report, text, len) == 0;
    char *copy = is_known ? NULL : mem_strndup(text, len);
    if (copy) {
        mem_free(l->report);
        l->report = copy;
        l->report_len = len;
        l->report_is_due = true;
        put_report(l);
    }
}

/* --- the beat --- */

static void read_all(struct fleet_link *l);

/* Something was changed that the watch has not told: it may just be on its way. */
static void on_look(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    l->look = NULL;
    if (take(l, answer, &a) != 0) {
        return;
    }
    bool is_behind = a.n_pairs > 0 && a.pairs[0].mod_revision > l->revision;
    etcd_answer_deinit(&a);
    l->looks_behind = is_behind ? l->looks_behind + 1 : 0;
    if (l->looks_behind >= LOOKS_BEHIND) {
        read_all(l);
    }
}

static void on_beat(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    l->beat = NULL;
    if (take(l, answer, &a) != 0) {
        return;
    }
    bool is_gone = a.ttl <= 0;
    etcd_answer_deinit(&a);
    if (is_gone) {
        renew(l);
    }
}

static void on_beat_timer(uv_timer_t *timer)
{
    struct fleet_link *l = timer->data;
    if (!l->beat) {
        struct buf body = new_body();
        etcd_lease_text(&body, l->lease);
        ask(l, &l->beat, ETCD_KEEPALIVE_PATH, &body, FLEET_BEAT_MAX_MS, NULL, on_beat);
    }
    if (l->is_connected && !l->look && ++l->beats % LOOK_EVERY == 0) {
        struct buf body = new_body();
        etcd_newest_text(&body, l->config);
        ask(l, &l->look, ETCD_RANGE_PATH, &body, FLEET_BEAT_MAX_MS, NULL, on_look);
    }
}

/* --- watching --- */

/* -1: the watch is over, which has been dealt with: by the report on what has changed, too, if
 * that cannot be sent. */
static int take_line(struct fleet_link *l, const char *text, size_t len)
{
    struct etcd_answer a;
    struct err e = {0};
    if (etcd_answer_read(&a, text, len, &e) != 0) {
        fail(l, &e);
        return -1;
    }
    l->heard_ms = now_ms();
    bool is_over = a.is_canceled;
    bool is_compacted = a.compact_revision > 0;
    if (!is_over && a.n_pairs > 0) {
        l->revision = a.revision;
        l->events->on_changes(l->user, &a);
    }
    etcd_answer_deinit(&a);
    if (is_over && is_compacted) {
        read_all(l);
    } else if (is_over) {
        err_set(&e, ERR_IO, "etcd has ended the watch");
        fail(l, &e);
    }
    return is_over || !l->watch ? -1 : 0;
}

static void on_watch_data(void *user, const char *data, size_t len)
{
    struct fleet_link *l = user;
    struct err e = {0};
    if (buf_append(&l->line, data, len) != 0) {
        err_set(&e, ERR_LIMIT, "a change is too long, or memory is short");
        fail(l, &e);
        return;
    }
    size_t from = 0;
    const char *end;
    while ((end = memchr(l->line.data + from, '\n', l->line.len - from)) != NULL) {
        size_t line_len = (size_t)(end - l->line.data) - from;
        if (line_len > 0 && take_line(l, l->line.data + from, line_len) != 0) {
            return; /* the line was cleared, or is another watch's */
        }
        from += line_len + 1;
    }
    buf_consume(&l->line, from);
}

static void on_watch_done(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    struct err e = {0};
    l->watch = NULL;
    if (answer->status / 100 != 2) {
        if (take(l, answer, &a) == 0) {
            etcd_answer_deinit(&a);
        }
        return;
    }
    err_set(&e, ERR_IO, "etcd has ended the watch");
    fail(l, &e);
}

static void watch(struct fleet_link *l)
{
    struct buf body = new_body();
    buf_clear(&l->line);
    etcd_watch_text(&body, l->config, l->revision + 1);
    ask(l, &l->watch, ETCD_WATCH_PATH, &body, 0, on_watch_data, on_watch_done);
}

/* --- connecting --- */

static void on_all(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    l->step = NULL;
    if (take(l, answer, &a) != 0) {
        return;
    }
    l->revision = a.revision;
    l->looks_behind = 0;
    l->token_is_new = false;
    l->tries = 0;
    l->is_connected = true;
    l->events->on_all(l->user, &a);
    etcd_answer_deinit(&a);
    if (!l->is_connected) {
        return; /* the report could not be sent, and that has been dealt with */
    }
    uv_timer_start(&l->timer, on_beat_timer, FLEET_BEAT_MS, FLEET_BEAT_MS);
    watch(l);
    if (l->is_connected) {
        tell(l, TOLD_CONNECTED, "");
        put_report(l);
    }
}

static void read_all(struct fleet_link *l)
{
    struct buf body = new_body();
    drop(&l->watch);
    drop(&l->step);
    buf_clear(&l->line);
    etcd_range_text(&body, l->config);
    ask(l, &l->step, ETCD_RANGE_PATH, &body, STEP_MS, NULL, on_all);
}

static void on_granted(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    l->step = NULL;
    if (take(l, answer, &a) == 0) {
        l->lease = a.lease;
        l->report_is_due = l->report != NULL;
        etcd_answer_deinit(&a);
        read_all(l);
    }
}

static void on_login(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    struct etcd_answer a;
    l->step = NULL;
    if (take(l, answer, &a) == 0) {
        const char *token = a.token ? a.token : "";
        bool is_whole = strlen(token) < sizeof(l->token);
        snprintf(l->token, sizeof(l->token), "%s", is_whole ? token : "");
        l->token_is_new = true;
        etcd_answer_deinit(&a);
        if (is_whole) {
            begin(l);
        } else {
            struct err e = {0};
            err_set(&e, ERR_LIMIT, "the login's token has more than %d bytes", TOKEN_MAX - 1);
            fail(l, &e);
        }
    }
}

static void begin(struct fleet_link *l)
{
    struct buf body = new_body();
    if (l->set->user && !l->token[0]) {
        etcd_login_text(&body, l->set->user, l->set->password ? l->set->password : "");
        ask(l, &l->step, ETCD_LOGIN_PATH, &body, STEP_MS, NULL, on_login);
    } else if (l->lease == 0) {
        etcd_grant_text(&body, FLEET_LEASE_S);
        ask(l, &l->step, ETCD_GRANT_PATH, &body, STEP_MS, NULL, on_granted);
    } else {
        read_all(l);
    }
}

/* --- life --- */

struct fleet_link *fleet_link_create(uv_loop_t *loop, const struct fleet_settings *set,
                                     const char *id, const struct fleet_link_events *events,
                                     void *user, struct err *e)
{
    struct fleet_link *l = mem_zalloc(sizeof(*l));
    if (!l) {
        err_nomem(e);
        return NULL;
    }
    if (fleet_endpoints_split(set->endpoints, l->endpoints, &l->n_endpoints, e) != 0 ||
        (l->calls = http_calls_create(loop, e)) == NULL) {
        mem_free(l);
        return NULL;
    }
    l->set = set;
    l->events = events;
    l->user = user;
    snprintf(l->id, sizeof(l->id), "%s", id);
    fleet_config_prefix(l->config, set->name);
    buf_init(&l->line, ANSWER_MAX);
    uv_timer_init(loop, &l->timer);
    l->timer.data = l;
    uv_timer_start(&l->timer, on_retry, 0, 0);
    return l;
}

int64_t fleet_link_heard_ms(const struct fleet_link *l)
{
    return l->heard_ms;
}

uint64_t fleet_link_failures(const struct fleet_link *l)
{
    return l->failures;
}

static void on_closed(uv_handle_t *handle)
{
    struct fleet_link *l = handle->data;
    buf_deinit(&l->line);
    mem_free(l->report);
    mem_free(l);
}

static void on_revoked(void *user, const struct http_call_answer *answer)
{
    struct fleet_link *l = user;
    (void)answer;
    l->step = NULL;
    http_calls_close(l->calls);
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

void fleet_link_close(struct fleet_link *l)
{
    if (!l || l->is_closing) {
        return;
    }
    bool has_report = l->is_connected && l->lease != 0;
    l->is_closing = true;
    drop_all(l);
    if (has_report) {
        struct buf body = new_body();
        etcd_lease_text(&body, l->lease);
        ask(l, &l->step, ETCD_REVOKE_PATH, &body, REVOKE_MS, NULL, on_revoked);
    }
    if (!l->step) {
        on_revoked(l, NULL);
    }
}

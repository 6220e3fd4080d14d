#include "runtime/net/http_call.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#define IDLE_CONNECTIONS 16L

enum call_state { CALL_DELAYED, CALL_WAITING, CALL_RUNNING, CALL_OVER };

struct http_call {
    uv_timer_t timer; /* first: of the delay, then of the whole call */
    struct http_calls *calls;
    struct http_call *next, **link; /* among all, the oldest first */
    enum call_state state;
    CURL *easy;
    struct curl_slist *headers;
    struct buf answer;
    uint32_t timeout_ms; /* 0: none */
    void (*on_data)(void *user, const char *data, size_t len);
    void (*done)(void *user, const struct http_call_answer *answer);
    void *user;
};

struct http_calls {
    uv_loop_t *loop;
    uv_timer_t timer; /* libcurl's own */
    CURLM *multi;     /* NULL when it is closed */
    bool is_closing;  /* no more calls begin */
    struct http_call *first, **last;
    size_t count;   /* of calls that are not over */
    size_t running; /* of these */
    bool has_data;  /* some call has bytes for its on_data */
};

/* A socket of libcurl's that the loop watches. */
struct watched {
    uv_poll_t poll; /* first */
    struct http_calls *calls;
    curl_socket_t socket;
};

/* ---- the list ---- */

static void link_call(struct http_calls *calls, struct http_call *call)
{
    call->link = calls->last;
    *calls->last = call;
    calls->last = &call->next;
    calls->count++;
}

static void unlink_call(struct http_call *call)
{
    struct http_calls *calls = call->calls;
    *call->link = call->next;
    if (call->next) {
        call->next->link = call->link;
    } else {
        calls->last = call->link;
    }
    calls->count--;
}

/* ---- the end of a call ---- */

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

/* Lets go of all but the answer, which done is still to see. */
static void leave(struct http_call *call)
{
    if (call->state == CALL_RUNNING) {
        curl_multi_remove_handle(call->calls->multi, call->easy);
        call->calls->running--;
    }
    call->state = CALL_OVER;
    unlink_call(call);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
}

static void release(struct http_call *call)
{
    buf_deinit(&call->answer);
    uv_close((uv_handle_t *)&call->timer, on_closed);
}

static void run_waiting(struct http_calls *calls);

static void finish(struct http_call *call, int status, const char *error)
{
    struct http_calls *calls = call->calls;
    const struct http_call_answer answer = {
        .status = status, .body = call->answer.data, .len = call->answer.len, .error = error};
    leave(call);
    call->done(call->user, &answer);
    release(call);
    run_waiting(calls);
}

void http_call_cancel(struct http_call *call)
{
    struct http_calls *calls = call->calls;
    leave(call);
    release(call);
    run_waiting(calls);
}

/* In words that may be shown: libcurl's own texts for a connection name hosts and ports. */
static const char *error_text(const struct http_call *call, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the service's host has no address";
    case CURLE_COULDNT_CONNECT:
        return "the service does not accept connections";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the service's certificate is not trusted";
    case CURLE_WRITE_ERROR:
        return call->answer.failed ? "the service's answer is too long" : "out of memory";
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return "the service hung up";
    case CURLE_SSL_CONNECT_ERROR:
        return "no TLS connection to the service came about";
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return "the service's URL is none";
    default:
        return curl_easy_strerror(code);
    }
}

/* Bytes for their on_data, which may change everything: then the list is walked anew. libcurl
 * takes no orders while it hands bytes out, so that is done behind its back. */
static void deliver(struct http_calls *calls)
{
    struct http_call *call = calls->first;
    calls->has_data = false;
    while (call && calls->multi) {
        long status = 0;
        if (call->on_data && call->answer.len > 0) {
            curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        }
        if (status / 100 != 2) {
            call = call->next;
            continue;
        }
        struct buf data = call->answer;
        buf_init(&call->answer, data.max);
        call->on_data(call->user, data.data, data.len);
        buf_deinit(&data);
        call = calls->first;
    }
}

/* What libcurl has brought to an end. done may change everything, so each is asked for anew. */
static void take_finished(struct http_calls *calls)
{
    int left;
    const CURLMsg *message;
    while (calls->multi && (message = curl_multi_info_read(calls->multi, &left)) != NULL) {
        struct http_call *call = NULL;
        long status = 0;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (code == CURLE_OK && status > 0) {
            finish(call, (int)status, NULL);
        } else {
            finish(call, 0, error_text(call, code));
        }
    }
}

/* ---- between libcurl and the loop ---- */

/* Whoever acts for libcurl may end up closing `calls`, which lives until its handles are
 * closed.
 */
static void act(struct http_calls *calls, curl_socket_t socket, int events)
{
    int running;
    if (calls->multi) {
        curl_multi_socket_action(calls->multi, socket, events, &running);
        if (calls->has_data) {
            deliver(calls);
        }
        take_finished(calls);
    }
}

static void on_curl_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_curl_timer(CURLM *multi, long timeout_ms, void *user)
{
    (void)multi;
    struct http_calls *calls = user;
    if (timeout_ms < 0) {
        uv_timer_stop(&calls->timer);
    } else {
        uv_timer_start(&calls->timer, on_curl_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct watched *w = poll->data;
    int ready = status < 0 ? CURL_CSELECT_ERR : 0;
    ready |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    ready |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(w->calls, w->socket, ready);
}

static struct watched *watch(struct http_calls *calls, curl_socket_t socket)
{
    struct watched *w = mem_zalloc(sizeof(*w));
    if (!w) {
        return NULL;
    }
    w->calls = calls;
    w->socket = socket;
    w->poll.data = w;
    if (uv_poll_init_socket(calls->loop, &w->poll, socket) != 0) {
        mem_free(w);
        return NULL;
    }
    curl_multi_assign(calls->multi, socket, w);
    return w;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *known)
{
    (void)easy;
    struct http_calls *calls = user;
    struct watched *w = known;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_close((uv_handle_t *)&w->poll, on_closed);
            if (calls->multi) {
                curl_multi_assign(calls->multi, socket, NULL);
            }
        }
        return 0;
    }
    w = w ? w : watch(calls, socket);
    int events = what & CURL_POLL_IN ? UV_READABLE : 0;
    events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
    /* To fail here would end all calls for good. Those that need the socket end by their time.
     */
    if (w) {
        uv_poll_start(&w->poll, events, on_socket);
    }
    return 0;
}

/* ---- the beginning of a call ---- */

static void on_timeout(uv_timer_t *timer)
{
    struct http_call *call = timer->data;
    char error[64];
    snprintf(error, sizeof(error), "the service gave no answer within %u ms", call->timeout_ms);
    finish(call, 0, error);
}

static void run(struct http_call *call)
{
    struct http_calls *calls = call->calls;
    call->state = CALL_RUNNING;
    calls->running++;
    if (curl_multi_add_handle(calls->multi, call->easy) != CURLM_OK) {
        /* Not from here: it is over at the next turn of the loop, by its time. */
        uv_timer_start(&call->timer, on_timeout, 0, 0);
    }
}

static void run_waiting(struct http_calls *calls)
{
    struct http_call *call = calls->is_closing ? NULL : calls->first;
    for (; call && calls->running < HTTP_CALLS_RUNNING; call = call->next) {
        if (call->state == CALL_WAITING) {
            run(call);
        }
    }
}

/* Its time begins. */
static void enqueue(struct http_call *call)
{
    call->state = CALL_WAITING;
    uv_update_time(call->calls->loop);
    if (call->timeout_ms > 0) {
        uv_timer_start(&call->timer, on_timeout, call->timeout_ms, 0);
    }
    run_waiting(call->calls);
}

static void on_delay(uv_timer_t *timer)
{
    enqueue(timer->data);
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    struct http_call *call = user;
    call->calls->has_data = call->calls->has_data || call->on_data;
    return buf_append(&call->answer, data, size * n) == 0 ? size * n : 0;
}

static int add_header(struct http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (!longer) {
        return -1;
    }
    call->headers = longer;
    return 0;
}

static int set_headers(struct http_call *call, const struct http_call_request *request)
{
    /* The last one: a body is not to wait for a "100 Continue". */
    static const char *const own[] = {"Content-Type: application/json",
                                      "Accept: application/json", "Expect:"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (add_header(call, own[i]) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < request->header_count; i++) {
        if (add_header(call, request->headers[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int set_blob(CURL *easy, CURLoption option, const char *pem, size_t len)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)pem, .len = len, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, &blob) == CURLE_OK ? 0 : -1;
}

/* Whom to believe, and who this is. */
static int set_certificates(CURL *easy, const struct http_call_request *r)
{
    if (r->trusted && (set_blob(easy, CURLOPT_CAINFO_BLOB, r->trusted, r->trusted_len) != 0 ||
                       curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK)) {
        return -1;
    }
    return !r->certificate || (set_blob(easy, CURLOPT_SSLCERT_BLOB, r->certificate,
                                        r->certificate_len) == 0 &&
                               set_blob(easy, CURLOPT_SSLKEY_BLOB, r->key, r->key_len) == 0)
               ? 0
               : -1;
}

/* What decides who is talked to, and how, must hold; a failure of the rest shows in the call.
 */
static int set_options(struct http_call *call, const struct http_call_request *request)
{
    CURL *easy = call->easy;
    if (curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK ||
        set_headers(call, request) != 0 || set_certificates(easy, request) != 0 ||
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body_len) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body) != CURLE_OK) {
        return -1;
    }
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    /* A call that is given up does not wait for the thread that resolves its host's name. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    return 0;
}

struct http_call *
http_call_begin(struct http_calls *calls, const struct http_call_request *request,
                void (*done)(void *user, const struct http_call_answer *answer), void *user)
{
    if (calls->is_closing || calls->count >= HTTP_CALLS_RUNNING + HTTP_CALLS_WAITING) {
        return NULL;
    }
    struct http_call *call = mem_zalloc(sizeof(*call));
    if (!call) {
        return NULL;
    }
    call->calls = calls;
    call->done = done;
    call->on_data = request->on_data;
    call->user = user;
    call->timeout_ms = request->timeout_ms;
    call->easy = curl_easy_init();
    if (!call->easy || set_options(call, request) != 0) {
        curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->headers);
        mem_free(call);
        return NULL;
    }
    buf_init(&call->answer, request->answer_max);
    uv_timer_init(calls->loop, &call->timer);
    call->timer.data = call;
    link_call(calls, call);
    if (request->delay_ms > 0) {
        uv_update_time(calls->loop);
        uv_timer_start(&call->timer, on_delay, request->delay_ms, 0);
    } else {
        enqueue(call);
    }
    return call;
}

/* ---- all of a loop ---- */

/* A connection that is gone is an error of the call, and no reason to end the program. */
static void ignore_sigpipe(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
}

struct http_calls *http_calls_create(uv_loop_t *loop, struct err *e)
{
    struct http_calls *calls = mem_zalloc(sizeof(*calls));
    if (!calls) {
        err_nomem(e);
        return NULL;
    }
    calls->multi = curl_multi_init();
    if (!calls->multi) {
        mem_free(calls);
        err_set(e, ERR_IO, "libcurl can not be used");
        return NULL;
    }
    ignore_sigpipe();
    calls->loop = loop;
    calls->last = &calls->first;
    uv_timer_init(loop, &calls->timer);
    calls->timer.data = calls;
    curl_multi_setopt(calls->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(calls->multi, CURLMOPT_SOCKETDATA, calls);
    curl_multi_setopt(calls->multi, CURLMOPT_TIMERFUNCTION, set_curl_timer);
    curl_multi_setopt(calls->multi, CURLMOPT_TIMERDATA, calls);
    curl_multi_setopt(calls->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
    return calls;
}

void http_calls_close(struct http_calls *calls)
{
    if (!calls || calls->is_closing) {
        return;
    }
    calls->is_closing = true;
    while (calls->first) {
        finish(calls->first, 0, "this server is stopping");
    }
    CURLM *multi = calls->multi;
    calls->multi = NULL; /* what the loop still has for it is not passed on */
    curl_multi_cleanup(multi);
    uv_close((uv_handle_t *)&calls->timer, on_closed);
}

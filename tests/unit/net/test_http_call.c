/* HTTP calls to others: every one ends within its time, whatever the other side does, and none
 * keeps the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/net/http_call.h"

/* ---- a resolver that hangs ---- */

/* In place of libc's, for libcurl too. */
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **result)
{
    typedef int resolver(const char *, const char *, const struct addrinfo *,
                         struct addrinfo **);
    if (node && strcmp(node, "slow.example") == 0) {
        usleep(3000 * 1000);
        return EAI_AGAIN;
    }
    if (node && strcmp(node, "none.example") == 0) {
        return EAI_NONAME;
    }
    union {
        void *symbol;
        resolver *call;
    } next = {.symbol = dlsym(RTLD_NEXT, "getaddrinfo")};
    return next.call(node, service, hints, result);
}

/* ---- a server that does as the path says ---- */

struct peer {
    uv_tcp_t tcp; /* first */
    uv_timer_t trickle;
    char in[4096];
    size_t len;
    char room[4096];
    int open_handles;
};

static uv_loop_t loop;
static uv_tcp_t listener;
static int port;
static size_t requests, connections;
static char last_request[4096];

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    if (--p->open_handles == 0) {
        connections--;
        free(p);
    }
}

static void close_peer(struct peer *p)
{
    if (!uv_is_closing((uv_handle_t *)&p->tcp)) {
        uv_close((uv_handle_t *)&p->tcp, on_peer_closed);
        uv_close((uv_handle_t *)&p->trickle, on_peer_closed);
    }
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void say(struct peer *p, const char *text)
{
    uv_write_t *request = calloc(1, sizeof(*request));
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
    uv_write(request, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
}

static void on_trickle(uv_timer_t *timer)
{
    say(timer->data, "x");
}

static void respond(struct peer *p)
{
    static char longest[64 + 3000];
    requests++;
    snprintf(last_request, sizeof(last_request), "%s", p->in);
    if (strncmp(p->in, "POST /ok", 8) == 0) {
        say(p, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    } else if (strncmp(p->in, "POST /500", 9) == 0) {
        say(p, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno");
    } else if (strncmp(p->in, "POST /redirect", 14) == 0) {
        say(p, "HTTP/1.1 302 X\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
    } else if (strncmp(p->in, "POST /half", 10) == 0) {
        say(p, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nhalf");
        close_peer(p);
    } else if (strncmp(p->in, "POST /close", 11) == 0) {
        close_peer(p);
    } else if (strncmp(p->in, "POST /noise", 11) == 0) {
        say(p, "SMTP? no.\r\n\r\n");
        close_peer(p);
    } else if (strncmp(p->in, "POST /long", 10) == 0) {
        int n = snprintf(longest, sizeof(longest),
                         "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
        memset(longest + n, 'x', 3000);
        longest[n + 3000] = '\0';
        say(p, longest);
    } else if (strncmp(p->in, "POST /stream", 12) == 0) {
        say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
        say(p, "4\r\ntwo\n\r\n");
    } else if (strncmp(p->in, "POST /trickle", 13) == 0) {
        say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        uv_timer_start(&p->trickle, on_trickle, 5, 5);
    } /* else it hangs */
    p->len = 0;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct peer *p = handle->data;
    *buf = uv_buf_init(p->room, sizeof(p->room));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    if (n < 0) {
        close_peer(p);
        return;
    }
    size_t len =
        (size_t)n < sizeof(p->in) - 1 - p->len ? (size_t)n : sizeof(p->in) - 1 - p->len;
    memcpy(p->in + p->len, buf->base, len);
    p->len += len;
    p->in[p->len] = '\0';
    const char *body = strstr(p->in, "\r\n\r\n");
    const char *length = strstr(p->in, "Content-Length: ");
    if (body && length && strlen(body + 4) >= (size_t)atoi(length + 16)) {
        respond(p);
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    assert_int_equal(status, 0);
    struct peer *p = calloc(1, sizeof(*p));
    uv_tcp_init(&loop, &p->tcp);
    uv_timer_init(&loop, &p->trickle);
    p->tcp.data = p->trickle.data = p;
    p->open_handles = 2;
    connections++;
    uv_accept(server, (uv_stream_t *)&p->tcp);
    uv_read_start((uv_stream_t *)&p->tcp, on_room, on_read);
}

static void close_if_peer(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (handle->type == UV_TCP && handle != (uv_handle_t *)&listener) {
        close_peer(handle->data);
    }
}

/* ---- around each test ---- */

static struct http_calls *calls;

static int begin(void **state)
{
    (void)state;
    struct err e;
    struct sockaddr_storage address;
    int len = sizeof(address);
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_tcp_init(&loop, &listener);
    struct sockaddr_in any;
    uv_ip4_addr("127.0.0.1", 0, &any);
    assert_int_equal(uv_tcp_bind(&listener, (struct sockaddr *)&any, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener, 4096, on_connection), 0);
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len);
    port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    requests = 0;
    calls = http_calls_create(&loop, &e);
    assert_non_null(calls);
    return 0;
}

static int end(void **state)
{
    (void)state;
    http_calls_close(calls);
    calls = NULL;
    uv_close((uv_handle_t *)&listener, NULL);
    uv_walk(&loop, close_if_peer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- calls ---- */

struct result {
    struct http_call *call;
    int done, status;
    char body[64], error[96];
};

static void take(void *user, const struct http_call_answer *answer)
{
    struct result *r = user;
    r->done++;
    r->status = answer->status;
    snprintf(r->body, sizeof(r->body), "%.*s", (int)answer->len,
             answer->len ? answer->body : "");
    snprintf(r->error, sizeof(r->error), "%s", answer->error ? answer->error : "");
    assert_int_equal(answer->status == 0, answer->error != NULL);
}

static struct http_call_request request_to(char *url, size_t room, const char *path)
{
    snprintf(url, room, "http://127.0.0.1:%d%s", port, path);
    return (struct http_call_request){
        .url = url, .body = "{\"a\":1}", .body_len = 7, .timeout_ms = 5000, .answer_max = 1000};
}

static void finish_all(struct result *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        while (!r[i].done) {
            uv_run(&loop, UV_RUN_ONCE);
        }
        assert_int_equal(r[i].done, 1);
    }
}

static struct result call_with(const struct http_call_request *request)
{
    struct result r = {0};
    r.call = http_call_begin(calls, request, take, &r);
    assert_non_null(r.call);
    assert_int_equal(r.done, 0); /* never from within */
    finish_all(&r, 1);
    return r;
}

static struct result call(const char *path, uint32_t timeout_ms)
{
    char url[128];
    struct http_call_request request = request_to(url, sizeof(url), path);
    request.timeout_ms = timeout_ms;
    return call_with(&request);
}

static void an_answer_comes_back(void **state)
{
    (void)state;
    char url[128];
    static const char *const headers[] = {"X-Key: secret", "User-Agent: t"};
    struct http_call_request request = request_to(url, sizeof(url), "/ok?a=b");
    request.headers = headers;
    request.header_count = 2;
    struct result r = call_with(&request);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "fine");
    assert_non_null(strstr(last_request, "POST /ok?a=b HTTP/1.1\r\n"));
    assert_non_null(strstr(last_request, "\r\nX-Key: secret\r\n"));
    assert_non_null(strstr(last_request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(last_request, "\r\n\r\n{\"a\":1}"));
    assert_null(strstr(last_request, "Expect"));
    size_t open = connections;
    assert_int_equal(call("/500", 5000).status, 500);
    assert_int_equal(connections, open); /* the connection serves again */
}

static void a_redirect_is_an_answer_like_others(void **state)
{
    (void)state;
    assert_int_equal(call("/redirect", 5000).status, 302);
    assert_int_equal(requests, 1);
}

static void what_goes_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *path, *error;
    } cases[] = {
        {"/half", "the service hung up"},
        {"/close", "the service hung up"},
        {"/long", "the service's answer is too long"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result r = call(cases[i].path, 5000);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.error, cases[i].error);
    }
    assert_int_equal(call("/noise", 5000).status, 0);
    struct http_call_request request = {
        .url = "http://127.0.0.1:1/", .body = "", .timeout_ms = 5000, .answer_max = 10};
    assert_string_equal(call_with(&request).error, "the service does not accept connections");
    request.url = "http://none.example/";
    assert_string_equal(call_with(&request).error, "the service's host has no address");
    request.url = "ftp://127.0.0.1/";
    assert_string_equal(call_with(&request).error, "the service's URL is none");
    request.url = "file:///etc/passwd";
    assert_string_equal(call_with(&request).error, "the service's URL is none");
}

/* The environment's proxy would see every text. */
static void no_proxy_is_taken_from_the_environment(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    assert_int_equal(call("/ok", 5000).status, 200);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static void a_call_ends_within_its_time(void **state)
{
    (void)state;
    static const char *const paths[] = {"/hang", "/trickle"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t began = clock_now_ns();
        struct result r = call(paths[i], 150);
        uint64_t ms = (clock_now_ns() - began) / 1000000;
        assert_string_equal(r.error, "the service gave no answer within 150 ms");
        assert_in_range(ms, 149, 3000);
    }
    /* A delay comes before, and is not part of it. */
    char url[128];
    struct http_call_request request = request_to(url, sizeof(url), "/ok");
    request.delay_ms = 120;
    request.timeout_ms = 100;
    uint64_t began = clock_now_ns();
    assert_int_equal(call_with(&request).status, 200);
    assert_in_range((clock_now_ns() - began) / 1000000, 119, 3000);
}

static uint64_t longest_gap_ms, last_tick;

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    uint64_t now = clock_now_ns();
    uint64_t gap = (now - last_tick) / 1000000;
    longest_gap_ms = gap > longest_gap_ms ? gap : longest_gap_ms;
    last_tick = now;
}

/* Neither waiting for it nor giving it up keeps the loop. */
static void a_name_that_is_not_resolved_keeps_nobody(void **state)
{
    (void)state;
    struct http_call_request request = {
        .url = "http://slow.example/", .body = "", .timeout_ms = 100, .answer_max = 10};
    static uv_timer_t ticker; /* the loop closes it after this test */
    uv_timer_init(&loop, &ticker);
    last_tick = clock_now_ns();
    longest_gap_ms = 0;
    uv_timer_start(&ticker, on_tick, 5, 5);
    struct result r = call_with(&request);
    assert_string_equal(r.error, "the service gave no answer within 100 ms");
    struct result canceled = {0};
    canceled.call = http_call_begin(calls, &request, take, &canceled);
    uv_run(&loop, UV_RUN_ONCE);
    http_call_cancel(canceled.call);
    for (int i = 0; i < 5; i++) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(canceled.done, 0);
    assert_in_range(longest_gap_ms, 0, 2500);
    uv_close((uv_handle_t *)&ticker, NULL);
    usleep(3100 * 1000); /* the threads that were left end before the sanitizer looks */
}

static void many_calls_take_turns(void **state)
{
    (void)state;
    enum { N = 300 };
    static struct result r[N];
    memset(r, 0, sizeof(r));
    char url[128];
    struct http_call_request request = request_to(url, sizeof(url), "/ok");
    for (size_t i = 0; i < N; i++) {
        r[i].call = http_call_begin(calls, &request, take, &r[i]);
        assert_non_null(r[i].call);
    }
    size_t most = 0;
    for (size_t i = 0; i < N; i++) {
        while (!r[i].done) {
            uv_run(&loop, UV_RUN_ONCE);
            most = connections > most ? connections : most;
        }
        assert_int_equal(r[i].status, 200);
    }
    assert_in_range(most, 2, HTTP_CALLS_RUNNING);
    assert_int_equal(requests, N);
}

/* Time runs for those that wait too, and beyond the bound calls are refused. */
static void the_queue_is_bounded_and_its_time_runs(void **state)
{
    (void)state;
    enum { N = HTTP_CALLS_RUNNING + HTTP_CALLS_WAITING };
    static struct result r[N + 1];
    memset(r, 0, sizeof(r));
    char url[128];
    struct http_call_request request = request_to(url, sizeof(url), "/hang");
    request.timeout_ms = 1000;
    for (size_t i = 0; i < N; i++) {
        r[i].call = http_call_begin(calls, &request, take, &r[i]);
        assert_non_null(r[i].call);
    }
    assert_null(http_call_begin(calls, &request, take, &r[N]));
    uint64_t began = clock_now_ns();
    size_t most = 0;
    while (!r[N - 1].done) {
        uv_run(&loop, UV_RUN_ONCE);
        most = connections > most ? connections : most;
    }
    finish_all(r, N);
    assert_in_range((clock_now_ns() - began) / 1000000, 0, 10000);
    /* When many end at once the service learns of it a few rounds later. */
    assert_in_range(most, 1, 8 * HTTP_CALLS_RUNNING);
}

static struct result other;

static void cancel_the_other(void *user, const struct http_call_answer *answer)
{
    take(user, answer);
    if (other.call && !other.done) {
        http_call_cancel(other.call);
        other.call = NULL;
    }
}

static void a_call_may_be_canceled_at_any_time(void **state)
{
    (void)state;
    static const char *const paths[] = {"/ok", "/hang", "/trickle", "/long", "/half"};
    struct rng rng;
    rng_seed(&rng, 3);
    char url[128];
    for (int i = 0; i < 300; i++) {
        struct http_call_request request =
            request_to(url, sizeof(url), paths[rng_below(&rng, 5)]);
        request.delay_ms = rng_below(&rng, 3);
        struct result r = {0};
        r.call = http_call_begin(calls, &request, take, &r);
        for (uint32_t turns = rng_below(&rng, 8); turns > 0 && !r.done; turns--) {
            uv_run(&loop, UV_RUN_NOWAIT);
        }
        if (!r.done) {
            http_call_cancel(r.call);
            uv_run(&loop, UV_RUN_NOWAIT);
            assert_int_equal(r.done, 0);
        }
    }
    for (int i = 0; i < 50; i++) {
        struct result r = {0};
        struct http_call_request request = request_to(url, sizeof(url), "/ok");
        memset(&other, 0, sizeof(other));
        other.call = http_call_begin(calls, &request, take, &other);
        r.call = http_call_begin(calls, &request, cancel_the_other, &r);
        finish_all(&r, 1);
        assert_true(other.done == 1 || !other.call);
    }
}

static struct http_call *begun_while_closing;

static void begin_another(void *user, const struct http_call_answer *answer)
{
    take(user, answer);
    char url[128];
    struct http_call_request request = request_to(url, sizeof(url), "/ok");
    begun_while_closing = http_call_begin(calls, &request, take, user);
}

static void closing_ends_all_that_is_left(void **state)
{
    (void)state;
    enum { N = 100 };
    static struct result r[N];
    memset(r, 0, sizeof(r));
    char url[128];
    for (size_t i = 0; i < N; i++) {
        struct http_call_request request = request_to(url, sizeof(url), "/hang");
        request.delay_ms = i % 3 ? 0 : 1000;
        r[i].call = http_call_begin(calls, &request, begin_another, &r[i]);
    }
    for (int i = 0; i < 20; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    http_calls_close(calls);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(r[i].done, 1);
        assert_string_equal(r[i].error, "this server is stopping");
    }
    assert_null(begun_while_closing);
    calls = NULL;
}

/* Each allocation of ours in turn fails: a call is refused, or ends as any other. */
static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    bool reached = true;
    for (size_t nth = 1; reached; nth++) {
        char url[128];
        struct http_call_request request = request_to(url, sizeof(url), "/ok");
        request.timeout_ms = 200;
        struct result r = {0};
        mem_fail_at(nth);
        r.call = http_call_begin(calls, &request, take, &r);
        if (r.call) {
            finish_all(&r, 1);
        }
        reached = mem_fail_reached();
        mem_fail_at(0);
        assert_true(reached || r.status == 200);
    }
}

/* ---- streams ---- */

struct stream {
    struct result end; /* first */
    char text[64];
    bool is_canceled; /* when all that was said has come */
};

static void take_data(void *user, const char *data, size_t len)
{
    struct stream *s = user;
    size_t had = strlen(s->text);
    assert_true(had + len < sizeof(s->text));
    memcpy(s->text + had, data, len);
    if (s->is_canceled && strcmp(s->text, "one\ntwo\n") == 0) {
        http_call_cancel(s->end.call);
        s->end.call = NULL;
    }
}

/* Until what was wanted has come, or the call is over. */
static struct stream stream_from(const char *path, uint32_t timeout_ms, bool is_canceled)
{
    char url[128];
    struct http_call_request request = request_to(url, sizeof(url), path);
    struct stream s = {.is_canceled = is_canceled};
    request.timeout_ms = timeout_ms;
    request.on_data = take_data;
    s.end.call = http_call_begin(calls, &request, take, &s);
    assert_non_null(s.end.call);
    while (!s.end.done && s.end.call) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    return s;
}

static void a_stream_is_told_as_it_comes_until_it_is_canceled(void **state)
{
    (void)state;
    struct stream s = stream_from("/stream", 0, true);
    assert_string_equal(s.text, "one\ntwo\n");
    assert_int_equal(s.end.done, 0);
}

static void a_stream_ends_by_its_time_and_by_its_peer(void **state)
{
    (void)state;
    struct stream s = stream_from("/stream", 300, false);
    assert_string_equal(s.text, "one\ntwo\n");
    assert_int_equal(s.end.status, 0);
    assert_non_null(strstr(s.end.error, "300 ms"));
    s = stream_from("/half", 0, false);
    assert_string_equal(s.text, "half");
    assert_string_equal(s.end.error, "the service hung up");
    s = stream_from("/ok", 0, false);
    assert_string_equal(s.text, "fine");
    assert_int_equal(s.end.status, 200);
    assert_string_equal(s.end.body, "");
}

static void an_error_in_place_of_a_stream_is_kept(void **state)
{
    (void)state;
    struct stream s = stream_from("/500", 0, false);
    assert_string_equal(s.text, "");
    assert_int_equal(s.end.status, 500);
    assert_string_equal(s.end.body, "no");
}

#define CALL_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(an_answer_comes_back),
        CALL_TEST(a_redirect_is_an_answer_like_others),
        CALL_TEST(what_goes_wrong_is_said),
        CALL_TEST(no_proxy_is_taken_from_the_environment),
        CALL_TEST(a_call_ends_within_its_time),
        CALL_TEST(a_name_that_is_not_resolved_keeps_nobody),
        CALL_TEST(many_calls_take_turns),
        CALL_TEST(the_queue_is_bounded_and_its_time_runs),
        CALL_TEST(a_call_may_be_canceled_at_any_time),
        CALL_TEST(closing_ends_all_that_is_left),
        CALL_TEST(a_stream_is_told_as_it_comes_until_it_is_canceled),
        CALL_TEST(a_stream_ends_by_its_time_and_by_its_peer),
        CALL_TEST(an_error_in_place_of_a_stream_is_kept),
        CALL_TEST(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What becomes of clients that send too much, too slowly, nonsense, or do not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/net/http_client.h"
#include "tests/unit/net/http_corpus.h"
#include "tests/unit/net/http_fixture.h"
#include "tests/unit/net/http_transport.h"

#define CORPUS WEIR_SOURCE_DIR "/../shared/data/http/test/request"

static struct http_fixture fixture;

static int start(void **state)
{
    (void)state;
    http_fixture_start(&fixture, NULL);
    return 0;
}

/* Timeouts short enough to wait for, far enough apart to tell which one it was. */
static int start_impatient(void **state)
{
    (void)state;
    struct http_server_settings s = http_server_settings_default();
    s.header_timeout_ms = 150;
    s.body_idle_timeout_ms = 150;
    s.body_timeout_ms = 400;
    s.keep_alive_timeout_ms = 150;
    s.write_stall_timeout_ms = 150;
    s.linger_timeout_ms = 150;
    http_fixture_start(&fixture, &s);
    return 0;
}

static int start_small(void **state)
{
    (void)state;
    struct http_server_settings s = http_server_settings_default();
    s.connections_max = 2;
    s.write_queue_bytes_max = 512 * 1024;
    s.linger_timeout_ms = 200;
    http_fixture_start(&fixture, &s);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_fixture_stop(&fixture);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The body that OpenAI's clients expect of an error: four keys, three of them set. */
static void check_error_body(const char *body, const char *type, const char *code)
{
    struct err e;
    cJSON *root = json_parse(body, strlen(body), &e);
    assert_non_null(root);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    assert_int_equal(cJSON_GetArraySize(error), 4);
    assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(error, "message")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(error, "param")));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(error, "type")->valuestring, type);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(error, "code")->valuestring, code);
    cJSON_Delete(root);
}

static void expect_refusal(struct http_client *c, int status, const char *type,
                           const char *code)
{
    struct http_reply reply;
    http_client_receive(c, &reply, false);
    assert_true(reply.is_complete);
    assert_int_equal(reply.status, status);
    assert_non_null(strstr(reply.head, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(reply.head, "\r\nContent-Type: application/json\r\n"));
    check_error_body(reply.body, type, code);
    http_reply_free(&reply);
    assert_true(http_client_is_closed(c));
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: test\r\n\r\n"

static void each_refusal_has_its_status_and_body(void **state)
{
    (void)state;
    static const struct {
        const char *wire;
        int status;
        const char *type;
        const char *code;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400, "invalid_request_error", "bad_http_request"},
        {"\x16\x03\x01", 400, "invalid_request_error", "bad_http_request"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388609\r\n\r\n", 413,
         "invalid_request_error", "body_too_large"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
         413, "invalid_request_error", "body_too_large"},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "invalid_request_error",
         "expectation_failed"},
        {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "server_error", "method_not_implemented"},
        {"GET / HTTP/3.0\r\n", 505, "server_error", "http_version_not_supported"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_client c;
        http_client_open(&c, fixture.port, 0);
        http_client_send_str(&c, cases[i].wire);
        expect_refusal(&c, cases[i].status, cases[i].type, cases[i].code);
        http_client_close(&c);
    }
    assert_int_equal(http_fixture_stats(&fixture).requests_refused,
                     sizeof(cases) / sizeof(cases[0]));
    assert_int_equal(atomic_load(&fixture.requests), 0);
}

static void nothing_behind_a_refused_request_is_read_as_one(void **state)
{
    (void)state;
    static const char *const wires[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n" GET("/info"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" GET(
            "/info"),
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\n" GET("/info"),
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n" GET("/info"),
    };
    for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
        struct http_client c;
        http_client_open(&c, fixture.port, 0);
        http_client_send_str(&c, wires[i]);
        expect_refusal(&c, 400, "invalid_request_error", "bad_http_request");
        http_client_close(&c);
    }
    assert_int_equal(atomic_load(&fixture.requests), 0);
}

/* Where two readers of one stream of bytes could disagree about where a request ends: each is
 * refused, and what an attacker put behind it is never taken for a request. */
static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
#define POST(fields) "POST /info HTTP/1.1\r\nHost: a\r\n" fields "\r\n\r\n"
#define CHUNKED      POST("Transfer-Encoding: chunked")
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {POST("Transfer-Encoding: chunked\r\nContent-Length: 4") "0\r\n\r\n", 400},
        {POST("Content-Length: 4\r\nTransfer-Encoding: chunked") "0\r\n\r\n", 400},
        {POST("Content-Length: 0\r\nContent-Length: 44"), 400},
        {POST("Content-Length: 44\r\nContent-Length: 44"), 400},
        {POST("Content-Length: 0, 44"), 400},
        {POST("Content-Length: +4"), 400},
        {POST("Content-Length: 0x4"), 400},
        {POST("Content-Length: 4 4"), 400},
        {POST("Content-Length: -1"), 400},
        {POST("Content-Length:"), 400},
        {POST("Content-Length: 18446744073709551617"), 400},
        {POST("Content-Length : 44"), 400},
        {POST("Transfer-Encoding : chunked") "0\r\n\r\n", 400},
        {POST(" Content-Length: 44"), 400},
        {POST("X: a\r\n Content-Length: 44"), 400},
        {POST("X: a\r\n\tTransfer-Encoding: chunked"), 400},
        {POST("X: a\nContent-Length: 44"), 400},
        {POST("X: a\rContent-Length: 44"), 400},
        {POST("Transfer-Encoding: identity"), 501},
        {POST("Transfer-Encoding: gzip"), 501},
        {POST("Transfer-Encoding: gzip, chunked"), 501},
        {POST("Transfer-Encoding: chunked, identity"), 400},
        {POST("Transfer-Encoding: chunked, chunked") "0\r\n\r\n", 400},
        {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked") "0\r\n\r\n", 400},
        {POST("Transfer-Encoding: xchunked"), 501},
        {POST("Transfer-Encoding: \x0b chunked"), 400},
        {POST("Transfer-Encoding:"), 501},
        {"POST /info HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {CHUNKED "0x2\r\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "-2\r\nab\r\n0\r\n\r\n", 400},
        {CHUNKED " 2\r\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "2\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "2;ext\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "2\r\nabc\r\n0\r\n\r\n", 400},
        {CHUNKED "2\r\nab0\r\n\r\n", 400},
        {CHUNKED "10000000000000002\r\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "0\r\n\n", 400},
        {"GET /info HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET /info HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET /info  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /info HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET /info\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /info HTTP/0.9\r\n\r\n", 505},
        {"GET /info\r\n\r\n", 400},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_client c;
        struct http_reply reply;
        http_client_open(&c, fixture.port, 0);
        http_client_send_str(&c, cases[i].head);
        http_client_send_str(&c, GET("/hang"));
        http_client_receive(&c, &reply, false);
        if (reply.status != cases[i].status) {
            print_error("%d instead of %d for\n%s\n", reply.status, cases[i].status,
                        cases[i].head);
        }
        wrong += reply.status != cases[i].status;
        http_reply_free(&reply);
        assert_true(http_client_is_closed(&c));
        http_client_close(&c);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(atomic_load(&fixture.requests), 0);
}

static void a_client_still_sending_its_body_can_read_the_refusal(void **state)
{
    (void)state;
    static char junk[1024 * 1024];
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c,
                         "POST /info HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        assert_true(http_client_send(&c, junk, sizeof(junk)));
    }
    expect_refusal(&c, 413, "invalid_request_error", "body_too_large");
    http_client_close(&c);
}

static void an_endless_header_line_is_refused_while_it_comes(void **state)
{
    (void)state;
    static char as[64 * 1024];
    memset(as, 'a', sizeof(as));
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    http_client_send(&c, as, sizeof(as));
    expect_refusal(&c, 431, "invalid_request_error", "headers_too_large");
    http_client_close(&c);
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "GET /");
    http_client_send(&c, as, sizeof(as));
    expect_refusal(&c, 414, "invalid_request_error", "target_too_long");
    http_client_close(&c);
}

static void a_hundred_thousand_chunks_of_one_byte_are_served(void **state)
{
    (void)state;
    enum { COUNT = 100000, CHUNK = 6 };
    static char chunks[COUNT * CHUNK + 1];
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(chunks + i * CHUNK, "1\r\na\r\n", CHUNK);
    }
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(
        &c, "POST /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_client_send(&c, chunks, COUNT * CHUNK);
    http_client_send_str(&c, "0\r\n\r\n");
    http_client_receive(&c, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "body=100000:aaaa"));
    http_reply_free(&reply);
    http_client_close(&c);
}

/* ---- time ---- */

static void a_slow_head_times_out_however_it_drips(void **state)
{
    (void)state;
    struct http_client c;
    uint64_t begin = now_ms();
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 12 && now_ms() - begin < 140; i++) {
        http_client_send(&c, "X", 1);
        usleep(10000);
    }
    expect_refusal(&c, 408, "timeout", "request_timeout");
    assert_true(now_ms() - begin >= 140);
    http_client_close(&c);
}

static void a_silent_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
}

static void an_idle_kept_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/three"));
    http_client_receive(&c, &reply, false);
    assert_int_equal(reply.status, 200);
    http_reply_free(&reply);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    assert_int_equal(http_fixture_stats(&fixture).requests_refused, 0);
}

static void a_body_that_stops_times_out_and_the_handler_hears_of_it(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "POST /info HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
    expect_refusal(&c, 408, "timeout", "request_timeout");
    http_client_close(&c);
    http_fixture_wait(&fixture.aborts, 1);
    assert_int_equal(atomic_load(&fixture.requests), 0);
}

static void a_body_that_drips_times_out_as_a_whole(void **state)
{
    (void)state;
    struct http_client c;
    uint64_t begin = now_ms();
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "POST /info HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n");
    while (now_ms() - begin < 380) {
        http_client_send(&c, "x", 1);
        usleep(20000);
    }
    expect_refusal(&c, 408, "timeout", "request_timeout");
    assert_true(now_ms() - begin >= 380);
    http_client_close(&c);
}

static void a_computation_may_take_longer_than_every_timeout(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/hang"));
    http_fixture_wait(&fixture.requests, 1);
    usleep(600 * 1000);
    assert_int_equal(atomic_load(&fixture.aborts), 0);
    assert_int_equal(http_fixture_stats(&fixture).connections_open, 1);
    http_client_close(&c);
    http_fixture_wait(&fixture.aborts, 1);
}

static void a_refused_client_that_never_closes_is_left_behind(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "nonsense\r\n\r\n");
    http_client_wait_for(&c, "bad_http_request");
    http_fixture_wait_open(&fixture, 0);
    http_client_close(&c);
}

static void a_reader_that_stalls_is_cut_off(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 4096);
    http_client_send_str(&c, GET("/gentle"));
    http_fixture_wait(&fixture.aborts, 1);
    assert_int_equal(http_fixture_stats(&fixture).connections_stalled, 1);
    http_client_close(&c);
}

/* ---- size ---- */

static void a_reader_slower_than_its_stream_is_cut_off_at_the_cap(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 4096);
    http_client_send_str(&c, GET("/flood"));
    http_fixture_wait(&fixture.aborts, 1);
    assert_int_equal(atomic_load(&fixture.failed_writes), 1);
    /* The cap, one piece of the handler's more, and what TLS adds. */
    assert_in_range(atomic_load(&fixture.queued_peak), 512 * 1024, (512 + 64 + 8) * 1024);
    assert_int_equal(http_fixture_stats(&fixture).connections_stalled, 1);
    http_client_close(&c);
}

static void connections_over_the_limit_are_told_so(void **state)
{
    (void)state;
    if (http_transport == HTTP_OVER_TLS) {
        skip(); /* it would take a handshake: closed without a word */
    }
    struct http_client held[2];
    struct http_client c;
    for (int i = 0; i < 2; i++) {
        http_client_open(&held[i], fixture.port, 0);
        http_client_send_str(&held[i], GET("/hang"));
    }
    http_fixture_wait(&fixture.requests, 2);
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/info"));
    expect_refusal(&c, 503, "server_error", "too_many_connections");
    http_client_close(&c);
    assert_int_equal(http_fixture_stats(&fixture).connections_refused, 1);
    assert_int_equal(atomic_load(&fixture.requests), 2);

    http_client_close(&held[0]);
    http_fixture_wait_open(&fixture, 1);
    assert_int_equal(http_client_ask(fixture.port, GET("/later"), NULL), 200);
    http_client_close(&held[1]);
}

static void even_refusals_are_bounded(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct http_client c[COUNT];
    for (int i = 0; i < COUNT; i++) {
        http_client_open(&c[i], fixture.port, 0);
    }
    time_t begin = time(NULL);
    while (http_fixture_stats(&fixture).connections_total < COUNT) {
        assert_true(time(NULL) - begin < 20);
    }
    assert_true(http_fixture_stats(&fixture).connections_open <= 2 + 64 + 1);
    for (int i = 0; i < COUNT; i++) {
        http_client_close(&c[i]);
    }
    http_fixture_wait_open(&fixture, 0);
}

/* ---- nonsense ---- */

/* Sends, closes the sending side, reads to the end; 0 or the status of the first response. */
static int send_and_drain(const char *wire, size_t len)
{
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send(&c, wire, len);
    shutdown(c.fd, SHUT_WR);
    http_client_receive(&c, &reply, false);
    int status = reply.status;
    http_reply_free(&reply);
    http_client_close(&c);
    return status;
}

static void check_corpus_case(void *ctx, const struct http_corpus_case *one)
{
    static const int sane[] = {0, 100, 200, 400, 413, 417, 431, 501, 505};
    (void)ctx;
    int status = send_and_drain(one->wire, one->len);
    for (size_t i = 0; i < sizeof(sane) / sizeof(sane[0]); i++) {
        if (sane[i] == status) {
            return;
        }
    }
    print_error("status %d for\n%.*s\n", status, (int)one->len, one->wire);
    fail();
}

static void llhttps_corpus_gets_sane_answers(void **state)
{
    (void)state;
    if (http_corpus_visit(CORPUS, check_corpus_case, NULL) == 0) {
        print_message("skipped: no corpus at %s\n", CORPUS);
        skip();
    }
    assert_int_equal(http_client_ask(fixture.port, GET("/later"), NULL), 200);
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 300; round++) {
        char wire[512] = "GET / HTTP/1.1\r\nHost: a\r\n";
        size_t at = rng_below(&rng, 2) ? strlen(wire) : rng_below(&rng, 24);
        size_t len = at + rng_below(&rng, (uint32_t)(sizeof(wire) - at));
        for (size_t i = at; i < len; i++) {
            wire[i] = (char)rng_next(&rng);
        }
        int status = send_and_drain(wire, len);
        assert_true(status == 0 || status >= 200);
    }
    assert_int_equal(http_client_ask(fixture.port, GET("/later"), NULL), 200);
}

/* ---- memory ---- */

static void answer(void *ctx, struct http_exchange *ex)
{
    static const struct http_header header = {"X-A", "b"};
    (void)ctx;
    if (http_stream_begin(ex, 200, &header, 1) == 0) {
        http_stream_write(ex, "hello", 5);
    }
    http_stream_end(ex);
}

static void ignore(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    (void)ex;
}

static void set_flag(void *ctx)
{
    *(int *)ctx = 1;
}

/* One request on a loop in this thread, with the nth allocation failing. True when the server
 * answered or closed; *reached says whether the failure happened. */
static bool serve_one(size_t nth, bool *reached)
{
    static const struct http_handler handler = {.on_request = answer, .on_abort = ignore};
    struct http_server_settings settings = http_server_settings_default();
    uv_loop_t loop;
    struct err e;
    assert_int_equal(uv_loop_init(&loop), 0);
    mem_fail_at(nth);
    struct http_server *server = http_server_create(&loop, &settings, &handler, NULL, &e);
    bool is_served = !server;
    struct http_client c = {.fd = -1};
    if (server) {
        assert_int_equal(http_server_listen(server, "127.0.0.1", 0, NULL, &e), 0);
        http_client_open(&c, http_server_port(server), 0);
        http_client_send_str(&c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
    }
    uint64_t begin = now_ms();
    while (!is_served && now_ms() - begin < 5000) {
        char byte;
        uv_run(&loop, UV_RUN_NOWAIT);
        is_served = recv(c.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno == ECONNRESET;
    }
    *reached = mem_fail_reached();
    mem_fail_at(0);
    int closed = !server;
    if (server) {
        http_client_close(&c);
        http_server_close(server, 0, set_flag, &closed);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    return is_served;
}

static void a_failed_allocation_costs_at_most_its_connection(void **state)
{
    (void)state;
    size_t before = mem_live();
    bool reached = true;
    for (size_t nth = 1; reached; nth++) {
        assert_true(serve_one(nth, &reached));
        assert_int_equal(mem_live(), before);
        assert_true(reached || nth > 6);
    }
}

#define SERVER_TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(each_refusal_has_its_status_and_body, start),
        SERVER_TEST(nothing_behind_a_refused_request_is_read_as_one, start),
        SERVER_TEST(what_could_be_read_in_two_ways_is_refused, start),
        SERVER_TEST(a_client_still_sending_its_body_can_read_the_refusal, start),
        SERVER_TEST(an_endless_header_line_is_refused_while_it_comes, start),
        SERVER_TEST(a_hundred_thousand_chunks_of_one_byte_are_served, start),
        SERVER_TEST(a_slow_head_times_out_however_it_drips, start_impatient),
        SERVER_TEST(a_silent_connection_is_closed_without_a_word, start_impatient),
        SERVER_TEST(an_idle_kept_connection_is_closed_without_a_word, start_impatient),
        SERVER_TEST(a_body_that_stops_times_out_and_the_handler_hears_of_it, start_impatient),
        SERVER_TEST(a_body_that_drips_times_out_as_a_whole, start_impatient),
        SERVER_TEST(a_computation_may_take_longer_than_every_timeout, start_impatient),
        SERVER_TEST(a_refused_client_that_never_closes_is_left_behind, start_impatient),
        SERVER_TEST(a_reader_that_stalls_is_cut_off, start_impatient),
        SERVER_TEST(a_reader_slower_than_its_stream_is_cut_off_at_the_cap, start_small),
        SERVER_TEST(connections_over_the_limit_are_told_so, start_small),
        SERVER_TEST(even_refusals_are_bounded, start_small),
        SERVER_TEST(llhttps_corpus_gets_sane_answers, start),
        SERVER_TEST(random_bytes_do_no_harm, start),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(a_failed_allocation_costs_at_most_its_connection),
    };
    return http_transport_run(tests) + cmocka_run_group_tests(once, NULL, NULL);
}

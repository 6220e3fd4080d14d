/* What a client sees of a server that runs as it should: requests, responses, connections.
 * Limits and attacks are in test_http_limits.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/rng.h"
#include "tests/unit/net/http_client.h"
#include "tests/unit/net/http_fixture.h"
#include "tests/unit/net/http_transport.h"

static struct http_fixture fixture;

static int start(void **state)
{
    (void)state;
    http_fixture_start(&fixture, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_fixture_stop(&fixture);
    return 0;
}

static void expect_reply(struct http_client *c, int status, const char *body)
{
    struct http_reply reply;
    http_client_receive(c, &reply, false);
    assert_true(reply.is_complete);
    assert_int_equal(reply.status, status);
    assert_string_equal(reply.body, body);
    http_reply_free(&reply);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: test\r\n\r\n"

static void a_request_is_answered_and_the_connection_kept(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    for (int i = 0; i < 3; i++) {
        http_client_send_str(
            &c, "POST /info?q=1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello");
        expect_reply(&c, 200, "POST /info ?q=1 host=a:1 headers=2 body=5:hello");
    }
    http_client_close(&c);
    http_fixture_wait_open(&fixture, 0);
    struct http_server_stats stats = http_fixture_stats(&fixture);
    assert_int_equal(stats.connections_total, 1);
    assert_int_equal(stats.requests_total, 3);
    assert_int_equal(stats.requests_aborted, 0);
    assert_int_equal(stats.requests_refused, 0);
}

static void a_response_has_the_fields_it_needs_and_no_others(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/info"));
    http_client_receive(&c, &reply, false);
    int day, year, hour, minute, second;
    char weekday[4], month[4], type[32];
    size_t length;
    assert_int_equal(sscanf(reply.head,
                            "HTTP/1.1 200 OK\r\nDate: %3s, %d %3s %d %d:%d:%d GMT\r\n"
                            "Content-Length: %zu\r\nContent-Type: %31s",
                            weekday, &day, month, &year, &hour, &minute, &second, &length,
                            type),
                     9);
    assert_int_equal(length, reply.body_len);
    assert_string_equal(type, "text/plain");
    assert_null(strstr(reply.head, "Connection:"));
    http_reply_free(&reply);
    http_client_close(&c);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    static const char wire[] =
        "POST /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    for (size_t i = 0; i < sizeof(wire) - 1; i++) {
        http_client_send(&c, wire + i, 1);
        usleep(200);
    }
    expect_reply(&c, 200, "POST /info ? host=a headers=2 body=5:abcde");
    http_client_close(&c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(
        &c,
        GET("/later") GET("/three") GET("/later") GET("/empty")
            GET("/info") "POST /info HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n12" GET(
                "/later"));
    expect_reply(&c, 200, "later");
    expect_reply(&c, 200, "one two three");
    expect_reply(&c, 200, "later");
    expect_reply(&c, 204, "");
    expect_reply(&c, 200, "GET /info ? host=test headers=1 body=0:");
    expect_reply(&c, 200, "POST /info ? host=a headers=2 body=2:12");
    expect_reply(&c, 200, "later");
    http_client_close(&c);
}

static void more_pipelined_requests_than_fit_the_buffer_are_all_answered(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static const char one[] = GET("/info");
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/later"));
    /* Sending blocks at times while the server holds back, so reading goes on in between. */
    for (int sent = 0; sent < COUNT; sent += 1000) {
        for (int i = 0; i < 1000; i++) {
            http_client_send(&c, one, sizeof(one) - 1);
        }
        if (sent == 0) {
            expect_reply(&c, 200, "later");
        }
        for (int i = 0; i < 1000; i++) {
            expect_reply(&c, 200, "GET /info ? host=test headers=1 body=0:");
        }
    }
    http_client_close(&c);
    assert_int_equal(atomic_load(&fixture.requests), COUNT + 1);
}

/* Many requests of every kind in one stream of bytes, cut anywhere: each answer belongs to its
 * request. */
static void however_pipelined_requests_are_cut_each_gets_its_own_answer(void **state)
{
    (void)state;
    enum { ROUNDS = 20, COUNT = 60 };
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < ROUNDS; round++) {
        struct buf wire;
        char wanted[COUNT][160];
        buf_init(&wire, 1 << 20);
        for (int i = 0; i < COUNT; i++) {
            int id = round * COUNT + i;
            uint32_t kind = rng_below(&rng, 3);
            char body[64];
            int len = snprintf(body, sizeof(body), "body of %d%.*s", id,
                               (int)rng_below(&rng, 30), "..............................");
            if (kind == 0) {
                buf_printf(&wire, "GET /info?%d HTTP/1.1\r\nHost: h%d\r\n\r\n", id, id);
                len = 0;
            } else if (kind == 1) {
                buf_printf(
                    &wire,
                    "POST /info?%d HTTP/1.1\r\nHost: h%d\r\nContent-Length: %d\r\n\r\n%s", id,
                    id, len, body);
            } else {
                int first = 1 + (int)rng_below(&rng, (uint32_t)len - 1);
                buf_printf(&wire,
                           "POST /info?%d HTTP/1.1\r\nHost: h%d\r\nTransfer-Encoding: "
                           "chunked\r\n\r\n%x;e=1\r\n%.*s\r\n%x\r\n%s\r\n0\r\n\r\n",
                           id, id, first, first, body, len - first, body + first);
            }
            snprintf(wanted[i], sizeof(wanted[i]),
                     "%s /info ?%d host=h%d headers=%d body=%d:%.*s",
                     kind == 0 ? "GET" : "POST", id, id, kind == 0 ? 1 : 2, len, len, body);
        }
        struct http_client c;
        http_client_open(&c, fixture.port, 0);
        for (size_t at = 0; at < wire.len;) {
            size_t n = 1 + rng_below(&rng, round % 2 ? 7 : 2000);
            n = n < wire.len - at ? n : wire.len - at;
            assert_true(http_client_send(&c, wire.data + at, n));
            at += n;
        }
        for (int i = 0; i < COUNT; i++) {
            expect_reply(&c, 200, wanted[i]);
        }
        http_client_close(&c);
        buf_deinit(&wire);
    }
}

static void a_request_is_named_by_its_client_or_by_us(void **state)
{
    (void)state;
    static const struct {
        const char *sent;
        bool is_kept;
    } cases[] = {{"abc-123", true}, {"two words", false}, {"\xc3\xa4", false}, {"", false}};
    char longest[HTTP_REQUEST_ID_MAX + 2];
    char last[64] = "";
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 0; i < 6; i++) {
        char wire[400];
        char line[200];
        const char *sent = i < 4 ? cases[i].sent : longest;
        longest[HTTP_REQUEST_ID_MAX + (i == 5)] = '\0';
        bool is_kept = i < 4 ? cases[i].is_kept : i == 4;
        snprintf(wire, sizeof(wire),
                 "GET /info HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\n\r\n", sent);
        snprintf(line, sizeof(line), "\r\nx-request-id: %s\r\n", sent);
        struct http_client c;
        struct http_reply reply;
        http_client_open(&c, fixture.port, 0);
        http_client_send_str(&c, wire);
        http_client_receive(&c, &reply, false);
        assert_int_equal(strstr(reply.head, line) != NULL, is_kept);
        if (!is_kept) {
            char made[64];
            const char *at = strstr(reply.head, "\r\nx-request-id: req_");
            assert_non_null(at);
            assert_int_equal(sscanf(at, "\r\nx-request-id: %63s", made), 1);
            assert_int_equal(strlen(made), 36);
            assert_string_not_equal(made, last);
            strcpy(last, made);
        }
        http_reply_free(&reply);
        http_client_close(&c);
        longest[HTTP_REQUEST_ID_MAX] = 'a';
    }
    char *body;
    assert_int_equal(http_client_ask(fixture.port, "nonsense\r\n\r\n", &body), 400);
    free(body);
}

static void the_handler_hears_once_of_each_exchange_s_end(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c,
                         GET("/info") GET("/later") GET("/three") GET("/refuse") GET("/cut"));
    http_client_wait_for(&c, "half");
    http_client_close(&c);
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/hang"));
    http_fixture_wait(&fixture.requests, 5);
    assert_int_equal(atomic_load(&fixture.ends), 5);
    http_client_close(&c);
    http_fixture_wait(&fixture.ends, 6);
    http_fixture_wait_open(&fixture, 0);
    assert_int_equal(atomic_load(&fixture.ends), 6);
    assert_int_equal(http_fixture_stats(&fixture).requests_total, 6);
}

static void the_peer_is_named(void **state)
{
    (void)state;
    char *body;
    assert_int_equal(http_client_ask(fixture.port, GET("/peer"), &body), 200);
    const char *wanted = http_transport == HTTP_OVER_UNIX ? "unix" : "127.0.0.1:";
    assert_memory_equal(body, wanted, strlen(wanted));
    free(body);
}

static void a_client_that_wishes_to_close_is_closed(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(
        &c, "GET /info HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/info"));
    http_client_receive(&c, &reply, false);
    assert_non_null(strstr(reply.head, "\r\nConnection: close\r\n"));
    http_reply_free(&reply);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    assert_int_equal(atomic_load(&fixture.requests), 1);
}

static void http_1_0_closes_unless_asked_to_keep_alive(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "GET /info HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    http_client_receive(&c, &reply, false);
    assert_non_null(strstr(reply.head, "\r\nConnection: keep-alive\r\n"));
    http_reply_free(&reply);
    http_client_send_str(&c, "GET /info HTTP/1.0\r\n\r\n");
    expect_reply(&c, 200, "GET /info ? host= headers=0 body=0:");
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
}

static void a_stream_to_http_1_0_ends_with_the_connection(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "GET /three HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    http_client_receive(&c, &reply, false);
    assert_string_equal(reply.body, "one two three");
    assert_null(strstr(reply.head, "Transfer-Encoding"));
    assert_null(strstr(reply.head, "Content-Length"));
    assert_non_null(strstr(reply.head, "\r\nConnection: close\r\n"));
    http_reply_free(&reply);
    http_client_close(&c);
}

static void head_gets_the_fields_of_get_and_no_body(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "HEAD /info HTTP/1.1\r\nHost: a\r\n\r\n");
    http_client_receive(&c, &reply, true);
    assert_non_null(strstr(reply.head, "\r\nContent-Length: 37\r\n"));
    http_reply_free(&reply);
    http_client_send_str(&c, "HEAD /three HTTP/1.1\r\nHost: a\r\n\r\n");
    http_client_receive(&c, &reply, true);
    assert_non_null(strstr(reply.head, "\r\nTransfer-Encoding: chunked\r\n"));
    http_reply_free(&reply);
    http_client_send_str(&c, GET("/empty"));
    http_client_receive(&c, &reply, false);
    assert_int_equal(reply.status, 204);
    assert_null(strstr(reply.head, "Content-Length"));
    http_reply_free(&reply);
    http_client_close(&c);
}

static void a_value_cannot_add_a_field(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/inject"));
    http_client_receive(&c, &reply, false);
    assert_non_null(strstr(reply.head, "\r\nX-Echo: a  Set-Cookie: b\r\n"));
    assert_null(strstr(reply.head, "\r\nSet-Cookie"));
    http_reply_free(&reply);
    http_client_close(&c);
}

static void continue_is_sent_to_those_who_wait_for_it(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "POST /info HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                             "Content-Length: 2\r\n\r\n");
    http_client_receive(&c, &reply, false);
    assert_int_equal(reply.status, 100);
    http_reply_free(&reply);
    http_client_send_str(&c, "ok");
    expect_reply(&c, 200, "POST /info ? host=a headers=3 body=2:ok");
    http_client_close(&c);
}

static void a_handler_may_refuse_before_the_body_is_sent(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, "POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                             "Content-Length: 2000\r\n\r\n");
    expect_reply(&c, 401, "no");
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    /* Without a body there is nothing left unread, and the connection lives on. */
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/refuse") GET("/info"));
    expect_reply(&c, 401, "no");
    expect_reply(&c, 200, "GET /info ? host=test headers=1 body=0:");
    http_client_close(&c);
    assert_int_equal(atomic_load(&fixture.requests), 1);
    assert_int_equal(atomic_load(&fixture.aborts), 0);
}

static void a_client_that_leaves_while_it_waits_is_noticed(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/hang"));
    http_fixture_wait(&fixture.requests, 1);
    assert_int_equal(atomic_load(&fixture.aborts), 0);
    http_client_close(&c);
    http_fixture_wait(&fixture.aborts, 1);
    http_fixture_wait_open(&fixture, 0);
}

static void a_client_that_leaves_a_stream_is_noticed(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/ticks"));
    http_client_wait_for(&c, "tick\n");
    http_client_close(&c);
    http_fixture_wait(&fixture.aborts, 1);
}

static void a_client_that_leaves_with_a_reset_is_noticed(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/ticks"));
    http_client_wait_for(&c, "tick\n");
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    http_client_close(&c);
    http_fixture_wait(&fixture.aborts, 1);
}

static void a_client_that_pipelined_and_leaves_is_noticed(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/hang") GET("/info") GET("/info"));
    http_fixture_wait(&fixture.requests, 1);
    http_client_close(&c);
    http_fixture_wait(&fixture.aborts, 1);
    http_fixture_wait_open(&fixture, 0);
    assert_int_equal(atomic_load(&fixture.requests), 1);
}

static void a_client_that_closes_its_side_after_an_answered_request_gets_all_of_it(void **state)
{
    (void)state;
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/three"));
    http_client_wait_for(&c, "three");
    shutdown(c.fd, SHUT_WR);
    expect_reply(&c, 200, "one two three");
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    assert_int_equal(atomic_load(&fixture.aborts), 0);
}

static void a_cut_stream_cannot_be_taken_for_a_whole_one(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/cut"));
    http_client_receive(&c, &reply, false);
    assert_false(reply.is_complete);
    http_reply_free(&reply);
    http_client_close(&c);
    assert_int_equal(atomic_load(&fixture.aborts), 0);
}

static void a_large_stream_arrives_whole_and_is_held_back_meanwhile(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, fixture.port, 0);
    http_client_send_str(&c, GET("/gentle"));
    http_client_receive(&c, &reply, false);
    assert_true(reply.is_complete);
    assert_int_equal(reply.body_len, FIXTURE_GENTLE_BYTES);
    assert_true(atomic_load(&fixture.queued_peak) < 256 * 1024);
    http_reply_free(&reply);
    http_client_close(&c);
}

/* Both ends of every connection are in this process. */
static void raise_file_limit(rlim_t wanted)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    if (limit.rlim_cur < wanted) {
        print_message("skipped: only %lu files may be open\n", (unsigned long)limit.rlim_cur);
        skip();
    }
}

static void a_thousand_idle_connections_do_not_disturb_another(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    raise_file_limit(2 * COUNT + 100);
    static struct http_client idle[COUNT];
    for (int i = 0; i < COUNT; i++) {
        http_client_open(&idle[i], fixture.port, 0);
        http_client_send_str(&idle[i], i % 2 ? "G" : "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (int i = 0; i < 50; i++) {
        char *body;
        assert_int_equal(http_client_ask(fixture.port, GET("/later"), &body), 200);
        assert_string_equal(body, "later");
        free(body);
    }
    for (int i = 0; i < COUNT; i++) {
        http_client_close(&idle[i]);
    }
    http_fixture_wait(&fixture.aborts, COUNT / 2);
    http_fixture_wait_open(&fixture, 0);
}

static void closing_lets_running_exchanges_finish_and_ends_idle_connections(void **state)
{
    (void)state;
    struct http_client idle;
    struct http_client busy;
    struct http_reply reply;
    http_client_open(&idle, fixture.port, 0);
    http_client_send_str(&idle, GET("/info"));
    http_client_receive(&idle, &reply, false);
    http_reply_free(&reply);
    http_client_open(&busy, fixture.port, 0);
    http_client_send_str(&busy, GET("/later"));
    http_fixture_wait(&fixture.requests, 2);
    http_fixture_close(&fixture);
    assert_true(http_client_is_closed(&idle));
    http_client_receive(&busy, &reply, false);
    assert_string_equal(reply.body, "later");
    http_reply_free(&reply);
    assert_true(http_client_is_closed(&busy));
    http_client_close(&idle);
    http_client_close(&busy);
    assert_int_equal(atomic_load(&fixture.aborts), 0);
}

static void assert_answered_and_closed(struct http_client *c)
{
    struct http_reply reply;
    assert_true(http_client_send_str(c, GET("/later")));
    http_client_receive(c, &reply, false);
    assert_string_equal(reply.body, "later");
    assert_non_null(strstr(reply.head, "Connection: close"));
    http_reply_free(&reply);
    assert_true(http_client_is_closed(c));
    http_client_close(c);
}

static void closing_answers_one_more_request_of_who_was_not_told(void **state)
{
    (void)state;
    struct http_client fresh;
    struct http_client idle;
    struct http_client busy;
    struct http_reply reply;
    http_client_open(&fresh, fixture.port, 0);
    http_client_open(&idle, fixture.port, 0);
    http_client_send_str(&idle, GET("/info"));
    http_client_receive(&idle, &reply, false);
    http_reply_free(&reply);
    http_client_open(&busy, fixture.port, 0);
    http_client_send_str(&busy, GET("/gentle"));
    http_client_wait_for(&busy, "HTTP/1.1 200"); /* the head has promised to stay */
    http_fixture_wait_open(&fixture, 3);
    fixture.close_idle_ms = 15000;
    http_fixture_close(&fixture);
    http_client_receive(&busy, &reply, false);
    assert_true(reply.is_complete);
    http_reply_free(&reply);
    assert_answered_and_closed(&busy);
    assert_answered_and_closed(&idle);
    assert_answered_and_closed(&fresh);
}

static void closing_waits_for_more_requests_only_so_long(void **state)
{
    (void)state;
    struct http_client idle;
    http_client_open(&idle, fixture.port, 0);
    http_fixture_wait_open(&fixture, 1);
    fixture.close_idle_ms = 50;
    http_fixture_close(&fixture);
    assert_true(http_client_is_closed(&idle));
    http_client_close(&idle);
}

static void cutting_ends_what_would_not_end_by_itself(void **state)
{
    (void)state;
    struct http_client hanging;
    struct http_client streaming;
    http_client_open(&hanging, fixture.port, 0);
    http_client_send_str(&hanging, GET("/hang"));
    http_client_open(&streaming, fixture.port, 0);
    http_client_send_str(&streaming, GET("/ticks"));
    http_client_wait_for(&streaming, "tick\n");
    http_fixture_wait(&fixture.requests, 2);
    http_fixture_cut(&fixture);
    http_fixture_wait(&fixture.aborts, 2);
    http_fixture_wait_open(&fixture, 0);
    http_client_close(&hanging);
    http_client_close(&streaming);
}

static void on_request_unused(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    (void)ex;
}

static const struct http_handler unused_handler = {
    .on_request = on_request_unused,
    .on_abort = on_request_unused,
};

static void set_flag(void *ctx)
{
    *(int *)ctx = 1;
}

static void run_until_closed(uv_loop_t *loop, struct http_server *server)
{
    int closed = 0;
    http_server_close(server, 0, set_flag, &closed);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void a_port_in_use_is_named(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct err e;
    struct http_server_settings settings = http_server_settings_default();
    assert_int_equal(uv_loop_init(&loop), 0);
    struct http_server *server =
        http_server_create(&loop, &settings, &unused_handler, NULL, &e);
    assert_non_null(server);
    assert_int_equal(http_server_listen(server, "127.0.0.1", 0, NULL, &e), 0);
    uint16_t port = http_server_port(server);
    assert_int_equal(http_server_listen(server, "127.0.0.1", port, NULL, &e), -1);
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%u is already in use", port);
    assert_non_null(strstr(e.message, wanted));
    assert_int_equal(http_server_listen(server, "not a host", 0, NULL, &e), -1);
    assert_non_null(strstr(e.message, "\"not a host\""));
    assert_int_equal(http_server_port(server), port);
    run_until_closed(&loop, server);
}

static void a_server_listens_on_ipv6_too(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct err e;
    struct http_server_settings settings = http_server_settings_default();
    assert_int_equal(uv_loop_init(&loop), 0);
    struct http_server *server =
        http_server_create(&loop, &settings, &unused_handler, NULL, &e);
    assert_non_null(server);
    if (http_server_listen(server, "::1", 0, NULL, &e) != 0) {
        print_message("no IPv6 here: %s\n", e.message);
    } else {
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                       .sin6_port = htons(http_server_port(server)),
                                       .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd);
    }
    run_until_closed(&loop, server);
}

static void a_server_that_never_listened_closes(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct err e;
    struct http_server_settings settings = http_server_settings_default();
    assert_int_equal(uv_loop_init(&loop), 0);
    struct http_server *server =
        http_server_create(&loop, &settings, &unused_handler, NULL, &e);
    assert_non_null(server);
    run_until_closed(&loop, server);
}

static void a_setting_of_zero_is_refused_by_name(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct err e;
    struct http_server_settings settings = http_server_settings_default();
    settings.body_bytes_max = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_null(http_server_create(&loop, &settings, &unused_handler, NULL, &e));
    assert_string_equal(e.param, "body_bytes_max");
    assert_int_equal(uv_loop_close(&loop), 0);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_request_is_answered_and_the_connection_kept),
        SERVER_TEST(a_response_has_the_fields_it_needs_and_no_others),
        SERVER_TEST(a_request_may_come_byte_by_byte),
        SERVER_TEST(pipelined_requests_are_answered_in_order),
        SERVER_TEST(more_pipelined_requests_than_fit_the_buffer_are_all_answered),
        SERVER_TEST(however_pipelined_requests_are_cut_each_gets_its_own_answer),
        SERVER_TEST(a_request_is_named_by_its_client_or_by_us),
        SERVER_TEST(the_handler_hears_once_of_each_exchange_s_end),
        SERVER_TEST(the_peer_is_named),
        SERVER_TEST(a_client_that_wishes_to_close_is_closed),
        SERVER_TEST(http_1_0_closes_unless_asked_to_keep_alive),
        SERVER_TEST(a_stream_to_http_1_0_ends_with_the_connection),
        SERVER_TEST(head_gets_the_fields_of_get_and_no_body),
        SERVER_TEST(a_value_cannot_add_a_field),
        SERVER_TEST(continue_is_sent_to_those_who_wait_for_it),
        SERVER_TEST(a_handler_may_refuse_before_the_body_is_sent),
        SERVER_TEST(a_client_that_leaves_while_it_waits_is_noticed),
        SERVER_TEST(a_client_that_leaves_a_stream_is_noticed),
        SERVER_TEST(a_client_that_leaves_with_a_reset_is_noticed),
        SERVER_TEST(a_client_that_pipelined_and_leaves_is_noticed),
        SERVER_TEST(a_client_that_closes_its_side_after_an_answered_request_gets_all_of_it),
        SERVER_TEST(a_cut_stream_cannot_be_taken_for_a_whole_one),
        SERVER_TEST(a_large_stream_arrives_whole_and_is_held_back_meanwhile),
        SERVER_TEST(a_thousand_idle_connections_do_not_disturb_another),
        SERVER_TEST(closing_lets_running_exchanges_finish_and_ends_idle_connections),
        SERVER_TEST(closing_answers_one_more_request_of_who_was_not_told),
        SERVER_TEST(closing_waits_for_more_requests_only_so_long),
        SERVER_TEST(cutting_ends_what_would_not_end_by_itself),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_server_listens_on_ipv6_too),
        cmocka_unit_test(a_server_that_never_listened_closes),
        cmocka_unit_test(a_setting_of_zero_is_refused_by_name),
    };
    return http_transport_run(tests) + cmocka_run_group_tests(once, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/net/http_parser.h"
#include "tests/unit/net/http_corpus.h"
#include "tests/unit/net/http_transcript.h"

#define CORPUS WEIR_SOURCE_DIR "/../shared/data/http/test/request"

/* Asserts that cutting changes nothing; leaves the outcome in out. */
static void parse_every_way(struct buf *out, const char *wire, size_t len)
{
    buf_init(out, 4 * 1024 * 1024);
    http_transcript(out, wire, len, HTTP_CUT_NOT, 0);
    assert_false(out->failed);
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct buf other;
        buf_init(&other, 4 * 1024 * 1024);
        http_transcript(&other, wire, len, seed == 0 ? HTTP_CUT_BYTES : HTTP_CUT_RANDOM, seed);
        assert_string_equal(other.data, out->data);
        buf_deinit(&other);
    }
}

static void expect(const char *wire, const char *outcome)
{
    struct buf out;
    parse_every_way(&out, wire, strlen(wire));
    assert_string_equal(out.data, outcome);
    buf_deinit(&out);
}

/* The outcome must end so; what came before it is not looked at. */
static void expect_refusal(const char *wire, const char *refusal)
{
    struct buf out;
    parse_every_way(&out, wire, strlen(wire));
    size_t len = strlen(refusal);
    if (out.len < len || strcmp(out.data + out.len - len, refusal) != 0) {
        print_error("for %s\ngot %s\nwanted %s\n", wire, out.data, refusal);
        fail();
    }
    buf_deinit(&out);
}

#define BAD "refused 400 bad_http_request"

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    expect("GET /v1/models?limit=2&a=%20 HTTP/1.1\r\nHost: Example.com:80\r\nX-Empty:\r\n"
           "X-Spaces: \t a b \t \r\n\r\n",
           "GET /v1/models?limit=2&a=%20 [/v1/models][limit=2&a=%20][Example.com:80] 1.1\n"
           "Host=Example.com:80\nX-Empty=\nX-Spaces=a b\nbody 0:\nmore");
    expect("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na\r\n",
           "POST / [/][][a] 1.1\nhost=a\ncontent-length=3\nbody 3:a\r\n\nmore");
    expect("\r\n\r\nGET / HTTP/1.0\r\n\r\n", "GET / [/][][] 1.0\nbody 0:\nclosed");
    expect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
           "GET / [/][][] 1.0\nConnection=keep-alive\nbody 0:\nmore");
    expect("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\nGET",
           "GET / [/][][a] 1.1\nHost=a\nConnection=x, close\nbody 0:\nclosed");
    expect("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
           "OPTIONS * [*][][a] 1.1\nHost=a\nbody 0:\nmore");
    expect("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
           "GET / [/][][a] 1.1\nHost=a\nConnection=upgrade\nUpgrade=h2c\nbody 0:\nmore");
}

static void the_path_is_decoded_once(void **state)
{
    (void)state;
    expect("GET /a%2Fb%25%32%35?x=%2F HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /a%2Fb%25%32%35?x=%2F [/a/b%25][x=%2F][a] 1.1\nHost=a\nbody 0:\nmore");
    expect_refusal("GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET /%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
}

static void an_absolute_target_names_the_host(void **state)
{
    (void)state;
    expect("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET http://b:81/x?y [/x][y][b:81] 1.1\nHost=a\nbody 0:\nmore");
    expect("GET HTTPS://b?y HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET HTTPS://b?y [/][y][b] 1.1\nHost=a\nbody 0:\nmore");
    expect_refusal("GET http://user@b/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET b/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
}

static void a_request_line_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / http/1",
        "GET / HTTP/1.10",
        "GET\t/ HTTP/1.1",
        "GET / ICE/1.0",
        "G(T / HTTP/1.1",
        "/ HTTP/1.1",
        "GET /\x80 HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET / HTTP/1,1",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char wire[128];
        snprintf(wire, sizeof(wire), "%s\r\nHost: a\r\n\r\n", lines[i]);
        expect_refusal(wire, BAD);
    }
}

static void other_versions_and_methods_are_named(void **state)
{
    (void)state;
    expect_refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n",
                   "refused 505 http_version_not_supported");
    expect_refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                   "refused 505 http_version_not_supported");
    expect_refusal("GET / HTTP/0.9\r\n\r\n", "refused 505 http_version_not_supported");
    expect_refusal("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 501 method_not_implemented");
    expect_refusal("get / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 501 method_not_implemented");
    expect_refusal("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
                   "refused 501 method_not_implemented");
}

static void a_tls_hello_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    expect_refusal("\x16\x03\x01\x02", BAD);
}

static void line_ends_other_than_crlf_are_refused(void **state)
{
    (void)state;
    expect_refusal("GET / HTTP/1.1\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\n\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\n\rX", BAD);
    expect_refusal("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD);
}

static void malformed_fields_are_refused(void **state)
{
    (void)state;
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost : a\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", BAD);
}

static void a_nul_in_the_head_is_refused(void **state)
{
    (void)state;
    static const char wire[] = "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n";
    struct buf out;
    parse_every_way(&out, wire, sizeof(wire) - 1);
    assert_string_equal(out.data, BAD);
    buf_deinit(&out);
}

static void exactly_one_clean_host_is_wanted(void **state)
{
    (void)state;
    expect_refusal("GET / HTTP/1.1\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD);
    expect_refusal("GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", BAD);
    expect("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / [/][][] 1.1\nHost=\nbody 0:\nmore");
    expect("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
           "GET / [/][][[::1]:8080] 1.1\nHost=[::1]:8080\nbody 0:\nmore");
}

/* Request smuggling: whatever leaves two readers in doubt about the end of a body. */
static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: 3 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length: 3.0",
        "Content-Length:",
        "Content-Length: 18446744073709551619",
        "Content-Length : 3",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\rX: y",
        "Transfer-Encoding\x0b: chunked",
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char wire[256];
        snprintf(wire, sizeof(wire),
                 "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n3\r\nabc\r\n0\r\n\r\n", fields[i]);
        expect_refusal(wire, BAD);
    }
    expect_refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD);
}

static void other_transfer_codings_are_not_implemented(void **state)
{
    (void)state;
    static const char *const codings[] = {
        "gzip, chunked",    "gzip",        "identity",    "xchunked",
        "chunked, chunked", "\"chunked\"", "chunked;a=b", ""};
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        char wire[256];
        snprintf(wire, sizeof(wire),
                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %s\r\n\r\n0\r\n\r\n",
                 codings[i]);
        struct buf out;
        parse_every_way(&out, wire, strlen(wire));
        assert_true(strncmp(out.data, "refused 501", 11) == 0 || strcmp(out.data, BAD) == 0);
        buf_deinit(&out);
    }
}

#define CHUNKED      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "POST / [/][][a] 1.1\nHost=a\nTransfer-Encoding=chunked\n"

static void a_chunked_body_is_joined(void **state)
{
    (void)state;
    expect(CHUNKED "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n",
           CHUNKED_HEAD "body 13:abc0123456789\nmore");
    expect(CHUNKED "3;name=\"a value\"\r\nabc\r\n0;last\r\n\r\n",
           CHUNKED_HEAD "body 3:abc\nmore");
    expect(CHUNKED "0\r\n\r\n", CHUNKED_HEAD "body 0:\nmore");
}

static void trailers_are_dropped(void **state)
{
    (void)state;
    expect(CHUNKED "1\r\na\r\n0\r\nHost: evil\r\nContent-Length: 9\r\n\r\n",
           CHUNKED_HEAD "body 1:a\nmore");
    expect(CHUNKED "1\r\na\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
           CHUNKED_HEAD "body 1:a\nGET / [/][][b] 1.1\nHost=b\nbody 0:\nmore");
}

static void malformed_chunks_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "\r\nabc\r\n0\r\n\r\n",
        "g\r\n",
        "0x3\r\nabc\r\n",
        "-3\r\nabc\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcXX",
        "3\r\nabc\n0",
        "3 \r\nabc\r\n",
        "3\r\nabc\r\n0\n\r\n",
        "3\rabc",
        " 3\r\nabc",
        "3;a\nb\r\nabc",
        "3\r\nabc\r\n0\r\n\n",
        "3;a=\x01\r\n",
        "3\r\nabc\r\n0\r\nX: y\n\r\n",
        "3\r\nabc\r\n0\r\nX\r\n",
        "3\r\nabc0\r\n",
        "1\r\nab\r\n",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char wire[256];
        snprintf(wire, sizeof(wire), CHUNKED "%s", bodies[i]);
        expect_refusal(wire, BAD);
    }
}

static void a_chunk_size_beyond_the_limit_is_refused_before_its_data(void **state)
{
    (void)state;
    expect_refusal(CHUNKED "ffffffffffffffff\r\n", "refused 413 body_too_large");
    expect_refusal(CHUNKED "40001\r\n", "refused 413 body_too_large");
    expect_refusal(CHUNKED "1\r\na\r\n40000\r\n", "refused 413 body_too_large");
    expect_refusal(CHUNKED "10000000000000000\r\n", BAD);
    expect_refusal(CHUNKED "10000000000000001\r\n", BAD);
}

static void a_content_length_beyond_the_limit_is_refused_before_the_body(void **state)
{
    (void)state;
    expect_refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\n\r\n",
                   "refused 413 body_too_large");
    expect_refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
                   "refused 413 body_too_large");
}

static void a_hundred_thousand_chunks_of_one_byte_are_a_body(void **state)
{
    (void)state;
    struct buf wire;
    buf_init(&wire, 1024 * 1024);
    buf_append_str(&wire, CHUNKED);
    for (int i = 0; i < 100000; i++) {
        buf_append_str(&wire, "1\r\na\r\n");
    }
    buf_append_str(&wire, "0\r\n\r\n");
    struct buf out;
    buf_init(&out, 1024 * 1024);
    http_transcript(&out, wire.data, wire.len, HTTP_CUT_RANDOM, 1);
    assert_non_null(strstr(out.data, "body 100000:aaa"));
    buf_deinit(&out);
    buf_deinit(&wire);
}

static void expect_refusal_of_long(const char *prefix, const char *repeated, size_t times,
                                   const char *refusal)
{
    struct buf wire;
    buf_init(&wire, 4 * 1024 * 1024);
    buf_append_str(&wire, prefix);
    for (size_t i = 0; i < times; i++) {
        buf_append_str(&wire, repeated);
    }
    expect_refusal(wire.data, refusal);
    buf_deinit(&wire);
}

static void what_is_skipped_in_a_body_is_bounded(void **state)
{
    (void)state;
    expect_refusal_of_long(CHUNKED "1;", "extension", 8000, "refused 431 headers_too_large");
    expect_refusal_of_long(CHUNKED "1;a=", "extension", 8000, "refused 431 headers_too_large");
    expect_refusal_of_long(CHUNKED, "1;abcdef\r\na\r\n", 8000, "refused 431 headers_too_large");
    expect_refusal_of_long(CHUNKED "0\r\n", "X: trailer\r\n", 8000,
                           "refused 431 headers_too_large");
}

static void each_limit_of_the_head_has_its_status(void **state)
{
    (void)state;
    expect_refusal_of_long("GET /", "a", 9000, "refused 414 target_too_long");
    expect_refusal_of_long("GET /", "a", 100000, "refused 414 target_too_long");
    expect_refusal_of_long("", "A", 100000, "refused 414 target_too_long");
    expect_refusal_of_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", "a", 20000,
                           "refused 431 headers_too_large");
    expect_refusal_of_long("GET / HTTP/1.1\r\nHost: a\r\n", "X: a\r\n", 100,
                           "refused 431 headers_too_large");
    expect_refusal_of_long("", "\r\n", 20000, "refused 431 headers_too_large");
}

static void a_request_at_its_limits_is_accepted(void **state)
{
    (void)state;
    struct http_server_settings s = http_transcript_settings();
    struct buf wire;
    buf_init(&wire, 1024 * 1024);
    buf_append_str(&wire, "GET /");
    for (size_t i = 1; i < s.target_bytes_max; i++) {
        buf_append_char(&wire, 'a');
    }
    buf_append_str(&wire, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 1; i < s.header_count_max; i++) {
        buf_append_str(&wire, "X: a\r\n");
    }
    buf_append_str(&wire, "Y: ");
    wire.len -= 3;
    wire.data[wire.len] = '\0';
    buf_append_str(&wire, "\r\n");
    struct buf out;
    parse_every_way(&out, wire.data, wire.len);
    assert_non_null(strstr(out.data, "body 0:\nmore"));
    buf_deinit(&out);
    buf_deinit(&wire);
}

static void only_100_continue_can_be_expected(void **state)
{
    (void)state;
    expect_refusal("POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n",
                   "refused 417 expectation_failed");
    expect(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
        "POST / [/][][a] 1.1\nHost=a\nExpect=100-Continue\nContent-Length=1\nbody 1:a\nmore");
}

static void pipelined_requests_never_mix(void **state)
{
    (void)state;
    expect("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nGET /x HTTP/1.1\n"
           "\r\n" CHUNKED "5\r\nGET /\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
           "POST /1 [/1][][a] 1.1\nHost=a\nContent-Length=16\nbody 16:GET /x "
           "HTTP/1.1\n\n" CHUNKED_HEAD
           "body 5:GET /\nGET /3 [/3][][a] 1.1\nHost=a\nbody 0:\nmore");
}

static void all_bodies_together_are_bounded(void **state)
{
    (void)state;
    static const char wire[] =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n12345678";
    struct http_server_settings settings = http_transcript_settings();
    settings.bodies_bytes_max = 10;
    size_t bodies_total = 0;
    struct http_parser first;
    struct http_parser second;
    http_parser_init(&first, &settings, &bodies_total);
    http_parser_init(&second, &settings, &bodies_total);
    size_t used;
    assert_int_equal(http_parser_feed(&first, wire, sizeof(wire) - 1, &used), HTTP_PARSER_HEAD);
    size_t at = used;
    assert_int_equal(http_parser_feed(&first, wire + at, 8, &used), HTTP_PARSER_DONE);
    assert_int_equal(http_parser_feed(&second, wire, sizeof(wire) - 1, &used),
                     HTTP_PARSER_HEAD);
    assert_int_equal(http_parser_feed(&second, wire + at, 8, &used), HTTP_PARSER_FAILED);
    assert_int_equal(second.refusal.status, 503);
    http_parser_deinit(&second);
    http_parser_deinit(&first);
    assert_int_equal(bodies_total, 0);
}

/* Fails the 1st, 2nd, ... allocation until a run needs no more. */
static void every_failed_allocation_is_a_503(void **state)
{
    (void)state;
    static const char wire[] = CHUNKED "5\r\nhello\r\n0\r\n\r\n";
    struct http_server_settings settings = http_transcript_settings();
    size_t before = mem_live();
    for (size_t nth = 1;; nth++) {
        size_t bodies_total = 0;
        struct http_parser p;
        http_parser_init(&p, &settings, &bodies_total);
        mem_fail_at(nth);
        size_t at = 0;
        size_t used;
        enum http_parser_event event;
        do {
            event = http_parser_feed(&p, wire + at, sizeof(wire) - 1 - at, &used);
            at += used;
        } while (event == HTTP_PARSER_HEAD);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        int status = p.refusal.status;
        http_parser_deinit(&p);
        assert_int_equal(mem_live(), before);
        assert_int_equal(bodies_total, 0);
        if (!reached) {
            assert_int_equal(event, HTTP_PARSER_DONE);
            assert_true(nth > 4);
            return;
        }
        assert_int_equal(event, HTTP_PARSER_FAILED);
        assert_int_equal(status, 503);
    }
}

/* llhttp's own verdict, for a strict parser: what it refuses, we refuse. We refuse more. Since
 * our guard waits for the end of a head before llhttp sees it, an end is supplied. */
static void check_corpus_case(void *ctx, const struct http_corpus_case *one)
{
    size_t *wrong = ctx;
    struct buf wire;
    struct buf out;
    buf_init(&wire, 1024 * 1024);
    buf_append(&wire, one->wire, one->len);
    parse_every_way(&out, wire.data, wire.len);
    buf_deinit(&out);
    buf_append_str(&wire, "\r\n\r\n");
    parse_every_way(&out, wire.data, wire.len);
    if (one->has_error && !one->is_lenient && !strstr(out.data, "refused ")) {
        print_error("accepted, though malformed:\n%.*s\n-> %s\n", (int)one->len, one->wire,
                    out.data);
        (*wrong)++;
    }
    buf_deinit(&out);
    buf_deinit(&wire);
}

static void llhttps_own_corpus_is_judged_at_least_as_strictly(void **state)
{
    (void)state;
    size_t wrong = 0;
    size_t count = http_corpus_visit(CORPUS, check_corpus_case, &wrong);
    if (count == 0) {
        print_message("skipped: no corpus at %s\n", CORPUS);
        skip();
    }
    assert_true(count > 160); /* of all its files */
    assert_int_equal(wrong, 0);
}

/* Random damage to real requests: nothing may crash, and cutting may not change the outcome. */
static void damaged_requests_are_read_the_same_however_cut(void **state)
{
    (void)state;
    static const char whole[] =
        "POST /v1/chat/completions?a=%41 HTTP/1.1\r\nHost: localhost:8080\r\n"
        "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";
    static const char interesting[] = "\r\n :;,0123fF/%\t\"\0\x7f\x80\xff";
    struct rng rng;
    rng_seed(&rng, 42);
    for (int round = 0; round < 3000; round++) {
        char wire[sizeof(whole)];
        memcpy(wire, whole, sizeof(whole));
        size_t len = sizeof(whole) - 1;
        for (uint32_t n = 1 + rng_below(&rng, 3); n > 0; n--) {
            size_t at = rng_below(&rng, (uint32_t)len);
            if (rng_below(&rng, 3) == 0) {
                memmove(wire + at, wire + at + 1, len - at);
                len--;
            } else {
                wire[at] = interesting[rng_below(&rng, sizeof(interesting) - 1)];
            }
        }
        struct buf out;
        parse_every_way(&out, wire, len);
        buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(the_path_is_decoded_once),
        cmocka_unit_test(an_absolute_target_names_the_host),
        cmocka_unit_test(a_request_line_that_is_none_is_refused),
        cmocka_unit_test(other_versions_and_methods_are_named),
        cmocka_unit_test(a_tls_hello_is_refused_at_its_first_byte),
        cmocka_unit_test(line_ends_other_than_crlf_are_refused),
        cmocka_unit_test(malformed_fields_are_refused),
        cmocka_unit_test(a_nul_in_the_head_is_refused),
        cmocka_unit_test(exactly_one_clean_host_is_wanted),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(other_transfer_codings_are_not_implemented),
        cmocka_unit_test(a_chunked_body_is_joined),
        cmocka_unit_test(trailers_are_dropped),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(a_chunk_size_beyond_the_limit_is_refused_before_its_data),
        cmocka_unit_test(a_content_length_beyond_the_limit_is_refused_before_the_body),
        cmocka_unit_test(a_hundred_thousand_chunks_of_one_byte_are_a_body),
        cmocka_unit_test(what_is_skipped_in_a_body_is_bounded),
        cmocka_unit_test(each_limit_of_the_head_has_its_status),
        cmocka_unit_test(a_request_at_its_limits_is_accepted),
        cmocka_unit_test(only_100_continue_can_be_expected),
        cmocka_unit_test(pipelined_requests_never_mix),
        cmocka_unit_test(all_bodies_together_are_bounded),
        cmocka_unit_test(every_failed_allocation_is_a_503),
        cmocka_unit_test(llhttps_own_corpus_is_judged_at_least_as_strictly),
        cmocka_unit_test(damaged_requests_are_read_the_same_however_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

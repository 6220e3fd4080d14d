/* TLS as its clients see it: who gets in, what becomes of those who do not, new certificates.
 * That requests are answered over it as over TCP is in test_http_server.c and
 * test_http_limits.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "runtime/base/rng.h"
#include "tests/unit/net/http_client.h"
#include "tests/unit/net/http_fixture.h"
#include "tests/unit/net/http_transport.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: test\r\n\r\n"

static struct http_fixture fixture;

static int start(void **state)
{
    (void)state;
    http_transport = HTTP_OVER_TLS;
    http_fixture_start(&fixture, NULL);
    return 0;
}

static int start_impatient(void **state)
{
    (void)state;
    struct http_server_settings s = http_server_settings_default();
    s.header_timeout_ms = 300;
    s.linger_timeout_ms = 300;
    http_transport = HTTP_OVER_TLS;
    http_fixture_start(&fixture, &s);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_fixture_stop(&fixture);
    return 0;
}

/* A connection to the TLS port without TLS. */
static void open_plain(struct http_client *c)
{
    http_transport = HTTP_OVER_TCP;
    http_client_open(c, fixture.port, 0);
    http_transport = HTTP_OVER_TLS;
}

static void http_on_the_tls_port_is_told_so(void **state)
{
    (void)state;
    struct http_client c;
    struct http_reply reply;
    open_plain(&c);
    http_client_send_str(&c, GET("/info"));
    http_client_receive(&c, &reply, false);
    assert_int_equal(reply.status, 400);
    assert_non_null(strstr(reply.body, "\"https_required\""));
    assert_non_null(strstr(reply.head, "\r\nConnection: close\r\n"));
    http_reply_free(&reply);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    assert_int_equal(atomic_load(&fixture.requests), 0);
}

/* One handshake; what `prepare` sets on the client's side decides. True when it worked. */
static bool shake_hands(void (*prepare)(SSL *ssl), char chosen[16], char subject[64])
{
    struct http_client c;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    /* Old versions would not even be tried at the distribution's level. */
    SSL_CTX_set_security_level(context, 0);
    SSL *ssl = SSL_new(context);
    open_plain(&c);
    SSL_set_fd(ssl, c.fd);
    if (prepare) {
        prepare(ssl);
    }
    bool worked = SSL_connect(ssl) == 1;
    const unsigned char *name = NULL;
    unsigned int len = 0;
    SSL_get0_alpn_selected(ssl, &name, &len);
    if (chosen) {
        snprintf(chosen, 16, "%.*s", (int)len, name ? (const char *)name : "");
    }
    if (worked && subject) {
        const X509 *cert = SSL_get0_peer_certificate(ssl);
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, subject, 64);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    http_client_close(&c);
    return worked;
}

static void offer_1_1_at_most(SSL *ssl)
{
    SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
}

static void offer_1_2(SSL *ssl)
{
    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
}

static void offer_1_3(SSL *ssl)
{
    SSL_set_min_proto_version(ssl, TLS1_3_VERSION);
}

static void offer_no_forward_secrecy(SSL *ssl)
{
    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    SSL_set_cipher_list(ssl, "kRSA:AES128-SHA:ECDHE-ECDSA-AES128-SHA");
}

static void offer_http_2_alone(SSL *ssl)
{
    SSL_set_alpn_protos(ssl, (const unsigned char *)"\x02h2", 3);
}

static void offer_http_2_and_1_1(SSL *ssl)
{
    SSL_set_alpn_protos(ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
}

static void old_versions_and_weak_ciphers_are_refused(void **state)
{
    (void)state;
    assert_true(shake_hands(offer_1_2, NULL, NULL));
    assert_true(shake_hands(offer_1_3, NULL, NULL));
    assert_false(shake_hands(offer_1_1_at_most, NULL, NULL));
    assert_false(shake_hands(offer_no_forward_secrecy, NULL, NULL));
    http_fixture_wait_open(&fixture, 0);
    assert_int_equal(http_fixture_stats(&fixture).tls_failures, 2);
}

static void http_1_1_is_the_protocol_agreed_on(void **state)
{
    (void)state;
    char chosen[16];
    assert_true(shake_hands(NULL, chosen, NULL));
    assert_string_equal(chosen, "");
    assert_true(shake_hands(offer_http_2_and_1_1, chosen, NULL));
    assert_string_equal(chosen, "http/1.1");
    assert_false(shake_hands(offer_http_2_alone, chosen, NULL));
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct http_client c;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL *ssl = SSL_new(context);
    open_plain(&c);
    SSL_set_fd(ssl, c.fd);
    assert_int_equal(SSL_connect(ssl), 1);
    SSL_renegotiate(ssl);
    assert_int_not_equal(SSL_do_handshake(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    http_client_close(&c);
}

static void a_handshake_that_drips_is_closed_at_the_head_s_deadline(void **state)
{
    (void)state;
    static const char begin[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    struct http_client c;
    open_plain(&c);
    for (size_t i = 0; i < sizeof(begin) - 1; i++) {
        if (!http_client_send(&c, begin + i, 1)) {
            break;
        }
        usleep(50 * 1000);
    }
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    http_fixture_wait_open(&fixture, 0);
}

static void a_client_that_never_begins_is_closed(void **state)
{
    (void)state;
    struct http_client c;
    open_plain(&c);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
}

static void noise_instead_of_a_handshake_does_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int round = 0; round < 100; round++) {
        unsigned char noise[600];
        for (size_t i = 0; i < sizeof(noise); i++) {
            noise[i] = (unsigned char)rng_next(&rng);
        }
        memcpy(noise, "\x16\x03\x01", 3);
        noise[3] = round % 2 ? 0 : noise[3];
        struct http_client c;
        open_plain(&c);
        http_client_send(&c, noise, sizeof(noise));
        http_client_close(&c);
    }
    http_fixture_wait_open(&fixture, 0);
    assert_int_equal(http_client_ask(fixture.port, GET("/later"), NULL), 200);
}

/* A record that was changed on its way ends the connection and reaches no handler. */
static void noise_after_a_handshake_ends_the_connection(void **state)
{
    (void)state;
    static const char record[] = "\x17\x03\x03\x00\x20"
                                 "0123456789abcdef0123456789abcdef";
    struct http_client c;
    http_client_open(&c, fixture.port, 0);
    assert_int_equal(write(c.fd, record, sizeof(record) - 1), sizeof(record) - 1);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    http_fixture_wait_open(&fixture, 0);
    assert_int_equal(atomic_load(&fixture.requests), 0);
    assert_int_equal(http_fixture_stats(&fixture).tls_failures, 1);
}

/* ---- certificates ---- */

static char cert[80];
static char key[80];

static void copy_file(const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof(command), "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int name_files(void **state)
{
    (void)state;
    snprintf(cert, sizeof(cert), "%s.2", http_transport_cert_path());
    snprintf(key, sizeof(key), "%s.2", http_transport_key_path());
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(cert);
    unlink(key);
    return 0;
}

static void a_pair_that_cannot_serve_is_refused_by_the_file_s_name(void **state)
{
    (void)state;
    struct err e;
    assert_null(tls_context_create("/nonexistent.pem", http_transport_key_path(), &e));
    assert_non_null(strstr(e.message, "/nonexistent.pem: no certificate"));
    write_text(key, "no key\n");
    assert_null(tls_context_create(http_transport_cert_path(), key, &e));
    assert_non_null(strstr(e.message, key));
    http_transport_make_certificate(cert, key, "other");
    assert_null(tls_context_create(http_transport_cert_path(), key, &e));
    assert_non_null(strstr(e.message, "the key is that of another certificate"));
    /* A password would be asked for on the terminal, and the server would hang. */
    char command[400];
    snprintf(command, sizeof(command),
             "openssl pkey -aes128 -passout pass:secret -in %s -out %s 2>/dev/null",
             http_transport_key_path(), key);
    assert_int_equal(system(command), 0);
    assert_null(tls_context_create(http_transport_cert_path(), key, &e));
    assert_non_null(strstr(e.message, "without a password"));
}

static void a_broken_new_certificate_leaves_the_old_one(void **state)
{
    (void)state;
    struct err e;
    copy_file(http_transport_cert_path(), cert);
    copy_file(http_transport_key_path(), key);
    struct tls_context *t = tls_context_create(cert, key, &e);
    assert_non_null(t);
    write_text(cert, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    assert_int_equal(tls_context_reload(t, &e), -1);
    assert_non_null(strstr(e.message, cert));
    http_transport_make_certificate(cert, key, "new");
    assert_int_equal(tls_context_reload(t, &e), 0);
    tls_context_destroy(t);
}

#define SERVER_TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(http_on_the_tls_port_is_told_so, start),
        SERVER_TEST(old_versions_and_weak_ciphers_are_refused, start),
        SERVER_TEST(http_1_1_is_the_protocol_agreed_on, start),
        SERVER_TEST(renegotiation_is_refused, start),
        SERVER_TEST(a_handshake_that_drips_is_closed_at_the_head_s_deadline, start_impatient),
        SERVER_TEST(a_client_that_never_begins_is_closed, start_impatient),
        SERVER_TEST(noise_instead_of_a_handshake_does_no_harm, start),
        SERVER_TEST(noise_after_a_handshake_ends_the_connection, start),
    };
    const struct CMUnitTest certificates[] = {
        cmocka_unit_test_setup_teardown(a_pair_that_cannot_serve_is_refused_by_the_file_s_name,
                                        name_files, remove_files),
        cmocka_unit_test_setup_teardown(a_broken_new_certificate_leaves_the_old_one, name_files,
                                        remove_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) +
           cmocka_run_group_tests(certificates, NULL, NULL);
}

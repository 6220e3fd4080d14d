#include "runtime/net/tls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"

/* A record's worth: small pieces are put together, so that each does not cost a record. */
#define RECORD_BYTES SSL3_RT_MAX_PLAIN_LENGTH

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio_method;
    char *cert_path;
    char *key_path;
};

struct tls_session {
    SSL *ssl;
    tls_send send;
    void *ctx;
    const char *in; /* (in_len), lent */
    size_t in_len;
    bool failed;
    unsigned long failure; /* OpenSSL's code */
};

/* ---- the network as OpenSSL sees it ---- */

static int bio_read(BIO *bio, char *out, int cap)
{
    struct tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (s->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)cap < s->in_len ? (size_t)cap : s->in_len;
    memcpy(out, s->in, n);
    s->in += n;
    s->in_len -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return len > 0 && s->send(s->ctx, data, (size_t)len) == 0 ? len : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is held back */
}

static BIO_METHOD *make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "connection");
    if (m && (BIO_meth_set_read(m, bio_read) != 1 || BIO_meth_set_write(m, bio_write) != 1 ||
              BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
        BIO_meth_free(m);
        m = NULL;
    }
    return m;
}

/* ---- certificates ---- */

/* A key with a password would otherwise be asked for on the terminal. */
static int no_password(char *out, int cap, int is_writing, void *ctx)
{
    (void)out;
    (void)cap;
    (void)is_writing;
    (void)ctx;
    return -1;
}

/* Clients that offer protocols and not this one are told so; those that offer none are taken.
 */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned int offered_len, void *ctx)
{
    static const unsigned char http_1_1[] = "\x08http/1.1";
    (void)ssl;
    (void)ctx;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, http_1_1, sizeof(http_1_1) - 1, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static const char *reason(unsigned long code)
{
    const char *text = ERR_reason_error_string(code);
    return text ? text : "an error without a name";
}

static int configure(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* An idle connection holds no record buffers; the server holds no sessions. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(ssl, CIPHERS) == 1
               ? 0
               : -1;
}

static int load_files(SSL_CTX *ssl, const struct tls_context *t, struct err *e)
{
    if (SSL_CTX_use_certificate_chain_file(ssl, t->cert_path) != 1) {
        return err_set(e, ERR_FORMAT, "%s: no certificate in PEM can be read: %s", t->cert_path,
                       reason(ERR_peek_last_error()));
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, t->key_path, SSL_FILETYPE_PEM) != 1) {
        bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
        return err_set(e, ERR_FORMAT,
                       is_other ? "%s: the key is that of another certificate (%s)"
                                : "%s: no key in PEM without a password can be read: %s",
                       t->key_path, reason(ERR_peek_last_error()));
    }
    return 0;
}

static SSL_CTX *load(const struct tls_context *t, struct err *e)
{
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (!ssl || configure(ssl) != 0) {
        err_set(e, ERR_IO, "TLS cannot be set up: %s", reason(ERR_peek_last_error()));
    } else if (load_files(ssl, t, e) == 0) {
        return ssl;
    }
    SSL_CTX_free(ssl);
    return NULL;
}

/* Says until when it is valid; one that is not is served all the same, its owner may know. */
static void log_certificate(const struct tls_context *t)
{
    const X509 *cert = SSL_CTX_get0_certificate(t->ssl);
    struct tm end = {0};
    char day[16] = "?";
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1) {
        strftime(day, sizeof(day), "%Y-%m-%d", &end);
    }
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        log_warn("TLS: the certificate of %s has expired on %s", t->cert_path, day);
    } else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        log_warn("TLS: the certificate of %s is not valid yet", t->cert_path);
    } else {
        log_info("TLS: the certificate of %s is served, valid until %s", t->cert_path, day);
    }
}

struct tls_context *tls_context_create(const char *cert_path, const char *key_path,
                                       struct err *e)
{
    struct tls_context *t = mem_zalloc(sizeof(*t));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    t->cert_path = mem_strdup(cert_path);
    t->key_path = mem_strdup(key_path);
    t->bio_method = make_bio_method();
    if (!t->cert_path || !t->key_path || !t->bio_method) {
        err_nomem(e);
    } else {
        t->ssl = load(t, e);
    }
    if (!t->ssl) {
        tls_context_destroy(t);
        return NULL;
    }
    log_certificate(t);
    return t;
}

void tls_context_destroy(struct tls_context *t)
{
    if (!t) {
        return;
    }
    SSL_CTX_free(t->ssl);
    BIO_meth_free(t->bio_method);
    mem_free(t->cert_path);
    mem_free(t->key_path);
    mem_free(t);
}

int tls_context_reload(struct tls_context *t, struct err *e)
{
    SSL_CTX *ssl = load(t, e);
    if (!ssl) {
        return -1;
    }
    SSL_CTX_free(t->ssl); /* sessions have a reference of their own */
    t->ssl = ssl;
    log_certificate(t);
    return 0;
}

/* ---- sessions ---- */

struct tls_session *tls_session_create(struct tls_context *t, tls_send send, void *ctx)
{
    struct tls_session *s = mem_zalloc(sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->send = send;
    s->ctx = ctx;
    s->ssl = SSL_new(t->ssl);
    BIO *bio = s->ssl ? BIO_new(t->bio_method) : NULL;
    if (!bio) {
        tls_session_destroy(s);
        return NULL;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_accept_state(s->ssl);
    return s;
}

void tls_session_destroy(struct tls_session *s)
{
    if (s) {
        SSL_free(s->ssl);
        mem_free(s);
    }
}

void tls_session_lend(struct tls_session *s, const void *data, size_t len)
{
    s->in = data;
    s->in_len = len;
}

static void note_failure(struct tls_session *s)
{
    s->failed = true;
    s->failure = ERR_peek_last_error();
}

enum tls_result tls_session_read(struct tls_session *s, char *out, size_t cap, size_t *n)
{
    *n = 0;
    if (s->failed) {
        return TLS_FAILED;
    }
    ERR_clear_error();
    if (SSL_read_ex(s->ssl, out, cap, n) == 1) {
        return TLS_DATA;
    }
    switch (SSL_get_error(s->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_END;
    default:
        note_failure(s);
        return TLS_FAILED;
    }
}

static int write_record(struct tls_session *s, const char *data, size_t len)
{
    size_t written;
    ERR_clear_error();
    if (SSL_write_ex(s->ssl, data, len, &written) != 1) {
        note_failure(s);
        return -1;
    }
    return 0;
}

int tls_session_write(struct tls_session *s, const uv_buf_t *bufs, unsigned count)
{
    char record[RECORD_BYTES];
    size_t filled = 0;
    for (unsigned i = 0; i < count && !s->failed; i++) {
        for (size_t at = 0; at < bufs[i].len;) {
            size_t left = bufs[i].len - at;
            size_t n = left < sizeof(record) - filled ? left : sizeof(record) - filled;
            memcpy(record + filled, bufs[i].base + at, n);
            filled += n;
            at += n;
            if (filled == sizeof(record)) {
                if (write_record(s, record, filled) != 0) {
                    return -1;
                }
                filled = 0;
            }
        }
    }
    if (filled > 0 && !s->failed) {
        write_record(s, record, filled);
    }
    return s->failed ? -1 : 0;
}

void tls_session_end(struct tls_session *s)
{
    if (!s->failed && SSL_is_init_finished(s->ssl)) {
        ERR_clear_error();
        SSL_shutdown(s->ssl);
    }
}

const char *tls_session_failure(const struct tls_session *s)
{
    return reason(s->failure);
}

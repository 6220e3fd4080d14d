/* tls.h: TLS for connections (RFC 8446, RFC 5246), by OpenSSL. Internal to runtime/net, but for
 * tls_context, which the program makes and lends to http_server_listen.
 *
 * A session turns bytes of the network into bytes of HTTP and back; it owns no socket. What
 * comes in is lent to it and read from there, what goes out is handed to a callback at once.
 * So nothing waits in here but what is not a complete record yet, 16 KiB at the most, and all
 * output that a client does not take stands in the connection's own queue, where the limits of
 * http_server.h count it.
 *
 * TLS 1.2 and 1.3 with forward secrecy and authenticated encryption; no renegotiation, no
 * compression, no early data. ALPN (RFC 7301) is http/1.1.
 *
 * Threads: one thread, the loop's.
 */
#pragma once

#include <stddef.h>

#include <uv.h>

#include "runtime/base/err.h"

struct tls_context; /* a certificate with its key; opaque */
struct tls_session; /* one connection's; opaque */

/* ---- certificates ---- */

/* Both files are PEM; the first holds the certificate and then those of its issuers. The key
 * must not be encrypted: nobody is there to be asked. The paths are copied. NULL on failure. */
struct tls_context *tls_context_create(const char *cert_path, const char *key_path,
                                       struct err *e);

/* Sessions keep what they began with, but must have ended. Accepts NULL. */
void tls_context_destroy(struct tls_context *t);

/* Reads both files again. New sessions get the new certificate; on failure all stays as it was.
 */
int tls_context_reload(struct tls_context *t, struct err *e);

/* ---- sessions ---- */

enum tls_result {
    TLS_DATA,   /* bytes were read */
    TLS_MORE,   /* all input is used up */
    TLS_END,    /* the peer has said that nothing more comes */
    TLS_FAILED, /* not TLS, or no agreement; an alert was sent if there was one to send */
};

/* Takes bytes for the network. -1 when they cannot be sent any more. */
typedef int (*tls_send)(void *ctx, const void *data, size_t len);

/* The server's end of a new connection. ctx is borrowed. NULL when memory ran out. */
struct tls_session *tls_session_create(struct tls_context *t, tls_send send, void *ctx);
void tls_session_destroy(struct tls_session *s); /* accepts NULL */

/* Lends what came from the network. Read until TLS_MORE, TLS_END or TLS_FAILED before the
 * memory is used for anything else. */
void tls_session_lend(struct tls_session *s, const void *data, size_t len);

/* Up to cap bytes of the peer's. The handshake goes on in here too. *n is 0 unless TLS_DATA. */
enum tls_result tls_session_read(struct tls_session *s, char *out, size_t cap, size_t *n);

/* Encrypts and sends all of bufs, only after something was read. */
int tls_session_write(struct tls_session *s, const uv_buf_t *bufs, unsigned count);

/* Tells the peer that nothing more comes, so that a cut can be told from an end. */
void tls_session_end(struct tls_session *s);

/* Why the last call failed, in OpenSSL's words; valid until its next call. */
const char *tls_session_failure(const struct tls_session *s);

/* certificate.h: the TLS certificate of a running server, and how it is replaced.
 *
 * Both files are looked at every few seconds and read again when they have changed and then
 * stood still, so that a pair which is replaced one file after the other, by rename or in
 * place, is taken as a pair. A pair that cannot serve leaves the old one serving; the log says
 * why.
 *
 * Threads: the loop. */
#pragma once

#include <uv.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/net/tls.h"

/* How the certificate's file and the key's are. */
struct certificate_stamp {
    struct file_stamp files[2];
};

struct certificate {
    struct tls_context *tls; /* NULL: no TLS, and nothing else is set */
    const char *cert_path;
    const char *key_path;
    struct certificate_stamp loaded;
    struct certificate_stamp seen; /* at the last look */
    uv_timer_t timer;
};

/* Paths are borrowed. */
int certificate_open(struct certificate *c, uv_loop_t *loop, const char *cert_path,
                     const char *key_path, struct err *e);

/* Reads the files now. Nothing without TLS. */
void certificate_reload(struct certificate *c);

/* Lets go of the loop; later, when no connection is left, of the rest. */
void certificate_stop_watching(struct certificate *c);
void certificate_deinit(struct certificate *c);

/* etcd_text.h: what is said to etcd, and what it says: the JSON form of its v3 API
 * (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway, etcdserver/etcdserverpb/rpc.proto).
 * Keys and values are bytes, in base64 there and plain here; 64-bit numbers are strings there.
 *
 * Each *_PATH is where a body is sent with POST; etcd_answer_read reads the answer to any of
 * them. Functions that write append to `out` and return 0, or -1 as buf.h.
 *
 * Threads: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define ETCD_RANGE_PATH     "/v3/kv/range"
#define ETCD_PUT_PATH       "/v3/kv/put"
#define ETCD_TXN_PATH       "/v3/kv/txn"
#define ETCD_WATCH_PATH     "/v3/watch"
#define ETCD_GRANT_PATH     "/v3/lease/grant"
#define ETCD_KEEPALIVE_PATH "/v3/lease/keepalive"
#define ETCD_REVOKE_PATH    "/v3/lease/revoke"
#define ETCD_LOGIN_PATH     "/v3/auth/authenticate"

#define ETCD_KEY_MAX 512

/* --- asking --- */

/* All keys that begin with `prefix`. */
int etcd_range_text(struct buf *out, const char *prefix);

/* Of these only the one that was changed last, without its value. */
int etcd_newest_text(struct buf *out, const char *prefix);

/* One key. */
int etcd_get_text(struct buf *out, const char *key);

/* lease 0: it stays. */
int etcd_put_text(struct buf *out, const char *key, const char *value, size_t len,
                  int64_t lease);

/* What a transaction does if all its conditions hold: mod_revision of a key is that of the
 * condition, 0: the key is not there. */
struct etcd_condition {
    const char *key;
    int64_t mod_revision;
};

struct etcd_write {
    const char *key;
    const char *value; /* NULL: the key is deleted */
};

int etcd_txn_text(struct buf *out, const struct etcd_condition *conditions, size_t n_conditions,
                  const struct etcd_write *writes, size_t n_writes);

/* Changes of keys that begin with `prefix`, from this revision on. The answer has no end: it is
 * one line of JSON after the other. */
int etcd_watch_text(struct buf *out, const char *prefix, int64_t revision);

int etcd_grant_text(struct buf *out, int64_t seconds);
int etcd_lease_text(struct buf *out, int64_t lease); /* for keepalive and revoke */
int etcd_login_text(struct buf *out, const char *user, const char *password);

/* --- answers --- */

struct etcd_pair {
    char *key;   /* NUL-terminated; keys with a NUL inside are passed over */
    char *value; /* (len), NUL-terminated; NULL where the key was deleted */
    size_t len;
    int64_t mod_revision;
};

/* What there was; 0, NULL or false what was not. */
struct etcd_answer {
    int64_t revision; /* of the whole store, when it answered */
    struct etcd_pair *pairs;
    size_t n_pairs;
    bool succeeded;           /* a transaction's conditions held */
    bool is_canceled;         /* a watch is over, */
    int64_t compact_revision; /* since what it wants is older than this */
    int64_t lease, ttl;       /* seconds */
    char *token;              /* of a login */
};

/* `text` is an answer, or a line of a watch's. -1: it is none (ERR_FORMAT), or says that it
 * failed: ERR_DENIED for a login or a token that does not count, else ERR_IO. Nothing is to be
 * released then. */
int etcd_answer_read(struct etcd_answer *out, const char *text, size_t len, struct err *e);
void etcd_answer_deinit(struct etcd_answer *a);

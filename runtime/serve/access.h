/* access.h: who may call a route, how often, and under which names of the server.
 *
 * The admin key is needed for every admin route; one of the API keys, when there are any, for
 * the public ones, if it has their scope. A key comes as `Authorization: Bearer KEY` or
 * `x-api-key: KEY`. Of all keys only the SHA-256 is kept; hashes are compared in constant time,
 * each with all.
 *
 * A server on a loopback address also checks the Host and Origin fields, so that a web page can
 * reach it neither by rebinding its own name to 127.0.0.1 (CVE-2024-28224 is such a case) nor
 * by a request that browsers send without asking first. Unix sockets need no such check.
 *
 * Threads: the loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/api/api_error.h"
#include "runtime/api/routes.h"
#include "runtime/base/buf.h"
#include "runtime/net/http_request.h"
#include "runtime/serve/key_file.h"

struct access_table; /* opaque: keys and names */
struct access_key;   /* opaque: one caller, with what it has used */

/* Copies share the table; one of them is deinitialised. */
struct access {
    struct access_table *table;
    bool loopback_only; /* bound to a loopback address */
};

int access_init(struct access *a, struct err *e);
void access_deinit(struct access *a);

/* ---- keys ---- */

/* An API key in plain text, with all scopes and no limits. */
int access_add_key(struct access *a, const char *key, size_t len, struct err *e);

/* Those of a file (key_file.h), which must hold one. The path is borrowed. Once. */
int access_add_key_file(struct access *a, const char *path, struct err *e);

/* Reads the file again, if there is one: keys that are not in it any more are refused from now
 * on, also when it holds none. On failure nothing changes. */
int access_reload_key_file(struct access *a, struct err *e);

/* One of them must be called before access_check. The file holds one key, in one of the forms
 * of key_file.h. The last makes a key and shows it. */
int access_set_admin_key(struct access *a, const char *key, struct err *e);
int access_set_admin_key_file(struct access *a, const char *path, struct err *e);
int access_make_admin_key(struct access *a, char shown[KEY_MADE_LEN + 1], struct err *e);

/* The hash of the admin key, for a process that takes over a key that was made; and that. */
const char *access_admin_sha256(const struct access *a);
int access_set_admin_sha256(struct access *a, const char *sha256, struct err *e);

/* ---- names ---- */

/* A further name that a server on a loopback address answers to. Copied. */
int access_allow_host(struct access *a, const char *name, struct err *e);

/* "127.0.0.1", "::1", "localhost" */
bool access_host_is_loopback(const char *host);

/* True where any Origin may ask (no loopback address, a unix socket, no such field) or when the
 * Origin is on this machine or one of the allowed hosts. */
bool access_origin_is_near(const struct access *a, const struct http_request *r);

/* ---- a request ---- */

/* True if the request may go on; else *refusal says what to answer. */
bool access_check(const struct access *a, const struct route *route,
                  const struct http_request *r, struct api_error *refusal);

/* Whose API key it is; NULL where none is needed, or it is not known. Lives as long as `a`. */
struct access_key *access_key_of(const struct access *a, const struct http_request *r);

/* Whether its API key has the scope; where no keys are set, nobody has it. */
bool access_has_scope(const struct access *a, const struct http_request *r,
                      enum route_scope scope);

/* The name of its API key, or NULL. Lives as long as `a`. */
const char *access_key_name(const struct access *a, const struct http_request *r);

/* The prompt that its API key is for, or NULL. Lives as long as `a`. */
const char *access_prompt_of(const struct access *a, const struct http_request *r);

/* The filter chain that its requests go through, or NULL. Likewise. */
const char *access_filters_of(const struct access *a, const struct http_request *r);

/* The model that it gets, and all that it may ask for (key_file.h), or NULL. Likewise. */
const char *access_model_of(const struct access *a, const struct http_request *r);

/* A number for each API key, the same after every start: 0 where access_key_of is NULL. */
uint64_t access_tenant(const struct access *a, const struct http_request *r);

/* A request of that key begins: false when it is over one of its limits. Either way
 * access_leave must follow once. */
bool access_enter(struct access_key *key, uint64_t now_ns, struct api_error *refusal);
void access_leave(struct access_key *key);

/* Tokens that were read and made for that tenant. Unknown ones are nobody's. */
void access_charge_tokens(const struct access *a, uint64_t tenant, uint64_t n_tokens);

/* Adds x-ratelimit-{limit,remaining,reset}-{requests,tokens} for limits that the key has. */
void access_add_limit_fields(struct access_key *key, uint64_t now_ns, struct buf *head);

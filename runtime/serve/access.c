#include "runtime/serve/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/rate_limit.h"

#define HOSTS_MAX 32

struct access_key {
    struct key_record record;
    uint64_t tenant;
    bool is_of_file;
    bool is_revoked; /* kept all the same: requests of it may be under way */
    uint32_t running;
    struct rate_limit requests;
    struct rate_limit tokens;
};

struct access_table {
    struct access_key **keys; /* (n_keys), each owned and never moved */
    size_t n_keys;
    const char *key_path;         /* borrowed, or NULL */
    char admin[HASH_HEX_LEN + 1]; /* SHA-256 of the admin key, "" before it is set */
    char *hosts[HOSTS_MAX];       /* (n_hosts), owned */
    size_t n_hosts;
};

int access_init(struct access *a, struct err *e)
{
    *a = (struct access){.table = mem_zalloc(sizeof(*a->table))};
    return a->table ? 0 : err_nomem(e);
}

void access_deinit(struct access *a)
{
    struct access_table *t = a->table;
    for (size_t i = 0; t && i < t->n_keys; i++) {
        mem_free(t->keys[i]);
    }
    for (size_t i = 0; t && i < t->n_hosts; i++) {
        mem_free(t->hosts[i]);
    }
    if (t) {
        mem_free(t->keys);
    }
    mem_free(t);
    *a = (struct access){0};
}

/* ---- keys ---- */

static struct access_key *find_hash(const struct access_table *t, const char *sha256)
{
    struct access_key *found = NULL;
    /* All are compared, so that the time does not tell which it is. */
    for (size_t i = 0; i < t->n_keys; i++) {
        bool is_same = CRYPTO_memcmp(t->keys[i]->record.sha256, sha256, HASH_HEX_LEN) == 0;
        found = is_same ? t->keys[i] : found;
    }
    return found;
}

static uint64_t tenant_of_hash(const char *sha256)
{
    char digits[17];
    memcpy(digits, sha256, 16);
    digits[16] = '\0';
    uint64_t tenant = strtoull(digits, NULL, 16);
    return tenant ? tenant : 1;
}

static struct access_key *append_key(struct access_table *t, const char *sha256)
{
    struct access_key **moved =
        mem_realloc_array(t->keys, t->n_keys + 1, sizeof(struct access_key *));
    if (!moved) {
        return NULL;
    }
    t->keys = moved;
    struct access_key *key = mem_zalloc(sizeof(*key));
    if (key) {
        key->tenant = tenant_of_hash(sha256);
        moved[t->n_keys++] = key;
    }
    return key;
}

/* Adds the key, or changes the one that it is. */
static int put_key(struct access_table *t, const struct key_record *record, bool is_of_file,
                   struct err *e)
{
    uint64_t now = clock_now_ns();
    struct access_key *key = find_hash(t, record->sha256);
    if (!key) {
        key = append_key(t, record->sha256);
    }
    if (!key) {
        return err_nomem(e);
    }
    key->record = *record;
    key->is_of_file = key->is_of_file && is_of_file;
    key->is_revoked = false;
    rate_limit_set(&key->requests, record->limits.requests_per_minute, now);
    rate_limit_set(&key->tokens, record->limits.tokens_per_minute, now);
    return 0;
}

int access_add_key(struct access *a, const char *key, size_t len, struct err *e)
{
    struct key_record record;
    return key_record_make(&record, "option", key, len, e) == 0
               ? put_key(a->table, &record, false, e)
               : -1;
}

/* ---- key files ---- */

struct key_list {
    struct key_record *records; /* (count) */
    size_t count;
};

static int append_record(void *ctx, const struct key_record *k, struct err *e)
{
    struct key_list *list = ctx;
    struct key_record *moved =
        mem_realloc_array(list->records, list->count + 1, sizeof(*moved));
    if (!moved) {
        return err_nomem(e);
    }
    list->records = moved;
    moved[list->count++] = *k;
    return 0;
}

/* *list is the caller's (mem_free), also on failure. */
static int read_key_file(struct key_list *list, const char *path, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, KEY_FILE_MAX, &len, e);
    *list = (struct key_list){0};
    if (!text) {
        return -1;
    }
    int rc = key_file_visit(text, len, append_record, list, e);
    OPENSSL_cleanse(text, len); /* it may hold keys in plain text */
    mem_free(text);
    return rc == 0 ? 0 : err_prefix(e, "%s", path);
}

/* What cannot fail comes last: a file is taken whole or not at all. */
static int take_key_file(struct access_table *t, const struct key_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *sha256 = list->records[i].sha256;
        if (!find_hash(t, sha256)) {
            struct access_key *key = append_key(t, sha256);
            if (!key) {
                return err_nomem(e);
            }
            memcpy(key->record.sha256, sha256, sizeof(key->record.sha256));
            key->is_of_file = true;
            key->is_revoked = true;
        }
    }
    for (size_t i = 0; i < t->n_keys; i++) {
        t->keys[i]->is_revoked = t->keys[i]->is_of_file;
    }
    for (size_t i = 0; i < list->count; i++) {
        put_key(t, &list->records[i], true, e);
    }
    return 0;
}

int access_add_key_file(struct access *a, const char *path, struct err *e)
{
    struct key_list list;
    int rc = read_key_file(&list, path, e);
    if (rc == 0 && list.count == 0) {
        rc = err_set(e, ERR_INVALID,
                     "%s: no key is in it; one a line is wanted (`weir keys add` makes one)",
                     path);
    }
    if (rc == 0) {
        a->table->key_path = path;
        rc = take_key_file(a->table, &list, e);
    }
    mem_free(list.records);
    return rc;
}

int access_reload_key_file(struct access *a, struct err *e)
{
    struct key_list list;
    if (!a->table->key_path) {
        return 0;
    }
    int rc = read_key_file(&list, a->table->key_path, e);
    if (rc == 0) {
        rc = take_key_file(a->table, &list, e);
    }
    if (rc == 0) {
        log_info("%zu API keys are read from %s", list.count, a->table->key_path);
    }
    mem_free(list.records);
    return rc;
}

/* ---- the admin key ---- */

int access_set_admin_key(struct access *a, const char *key, struct err *e)
{
    struct key_record record;
    if (key_record_make(&record, "admin", key, strlen(key), e) != 0) {
        return -1;
    }
    memcpy(a->table->admin, record.sha256, sizeof(a->table->admin));
    return 0;
}

int access_set_admin_key_file(struct access *a, const char *path, struct err *e)
{
    struct key_list list;
    int rc = read_key_file(&list, path, e);
    if (rc == 0 && list.count != 1) {
        rc = err_set(e, ERR_INVALID, "%s: %zu keys are in it; one admin key is wanted", path,
                     list.count);
    }
    if (rc == 0) {
        memcpy(a->table->admin, list.records[0].sha256, sizeof(a->table->admin));
    }
    mem_free(list.records);
    return rc;
}

const char *access_admin_sha256(const struct access *a)
{
    return a->table->admin;
}

int access_set_admin_sha256(struct access *a, const char *sha256, struct err *e)
{
    if (strlen(sha256) != HASH_HEX_LEN) {
        return err_set(e, ERR_INVALID, "a hash of an admin key has %d digits", HASH_HEX_LEN);
    }
    memcpy(a->table->admin, sha256, HASH_HEX_LEN + 1);
    return 0;
}

int access_make_admin_key(struct access *a, char shown[KEY_MADE_LEN + 1], struct err *e)
{
    return key_generate(shown, e) == 0 ? access_set_admin_key(a, shown, e) : -1;
}

/* ---- names ---- */

bool access_host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    /* As addresses, not by their beginning: 127.0.0.1.example.org is anybody's. */
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcasecmp(host, "localhost") == 0;
}

int access_allow_host(struct access *a, const char *name, struct err *e)
{
    struct access_table *t = a->table;
    struct in6_addr v6;
    bool is_v6 = inet_pton(AF_INET6, name, &v6) == 1;
    if (name[0] == '\0' || strpbrk(name, "/ []*") || (strchr(name, ':') && !is_v6)) {
        return err_set(e, ERR_INVALID,
                       "\"%.100s\": a host name or an address is wanted, without port or "
                       "brackets",
                       name);
    }
    if (t->n_hosts == HOSTS_MAX) {
        return err_set(e, ERR_LIMIT, "at most %d hosts can be allowed", HOSTS_MAX);
    }
    t->hosts[t->n_hosts] = mem_strdup(name);
    return t->hosts[t->n_hosts++] ? 0 : err_nomem(e);
}

/* Whether "name:port" or "[v6]:port" names this server. */
static bool names_this_server(const struct access *a, const char *field)
{
    char name[256];
    size_t len = field[0] == '[' ? strcspn(field, "]") : strcspn(field, ":");
    const char *from = field[0] == '[' ? field + 1 : field;
    len -= field[0] == '[' ? 1 : 0;
    if (len >= sizeof(name)) {
        return false;
    }
    memcpy(name, from, len);
    name[len] = '\0';
    bool is_near = access_host_is_loopback(name);
    for (size_t i = 0; i < a->table->n_hosts; i++) {
        is_near = is_near || strcasecmp(name, a->table->hosts[i]) == 0;
    }
    return is_near;
}

bool access_origin_is_near(const struct access *a, const struct http_request *r)
{
    const char *origin = http_request_header(r, "origin");
    if (!a->loopback_only || r->is_unix || !origin) {
        return true;
    }
    const char *host = strstr(origin, "://");
    return host && names_this_server(a, host + 3);
}

/* ---- a request ---- */

/* The SHA-256 of the key that was sent; false when there is none that could be one. */
static bool hash_sent_key(const struct http_request *r, char sha256[HASH_HEX_LEN + 1])
{
    const char *authorization = http_request_header(r, "authorization");
    const char *key = http_request_header(r, "x-api-key");
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0) {
        key = authorization + 7;
    }
    size_t len = key ? strlen(key) : 0;
    return len > 0 && len <= KEY_MAX && hash_sha256_hex(key, len, sha256) == 0;
}

struct access_key *access_key_of(const struct access *a, const struct http_request *r)
{
    char sha256[HASH_HEX_LEN + 1];
    if (a->table->n_keys == 0 || !hash_sent_key(r, sha256)) {
        return NULL;
    }
    struct access_key *key = find_hash(a->table, sha256);
    return key && !key->is_revoked ? key : NULL;
}

uint64_t access_tenant(const struct access *a, const struct http_request *r)
{
    const struct access_key *key = access_key_of(a, r);
    return key ? key->tenant : 0;
}

bool access_has_scope(const struct access *a, const struct http_request *r,
                      enum route_scope scope)
{
    const struct access_key *key = access_key_of(a, r);
    return key && (key->record.scopes & (1u << scope));
}

const char *access_key_name(const struct access *a, const struct http_request *r)
{
    const struct access_key *key = access_key_of(a, r);
    return key ? key->record.name : NULL;
}

const char *access_prompt_of(const struct access *a, const struct http_request *r)
{
    const struct access_key *key = access_key_of(a, r);
    return key && key->record.prompt[0] ? key->record.prompt : NULL;
}

const char *access_filters_of(const struct access *a, const struct http_request *r)
{
    const struct access_key *key = access_key_of(a, r);
    return key && key->record.filters[0] ? key->record.filters : NULL;
}

const char *access_model_of(const struct access *a, const struct http_request *r)
{
    const struct access_key *key = access_key_of(a, r);
    return key && key->record.model[0] ? key->record.model : NULL;
}

static bool is_admin(const struct access *a, const struct http_request *r)
{
    char sha256[HASH_HEX_LEN + 1];
    return a->table->admin[0] && hash_sent_key(r, sha256) &&
           CRYPTO_memcmp(sha256, a->table->admin, HASH_HEX_LEN) == 0;
}

static bool refuse_key(struct api_error *refusal, const char *message)
{
    *refusal = api_error_make(401, "invalid_request_error", "invalid_api_key", NULL, message);
    return false;
}

/* A key that is known, for a route that is not one of its own. */
static bool check_scope(const struct access_key *key, const struct route *route,
                        struct api_error *refusal)
{
    if (key->record.scopes & (1u << route->scope)) {
        return true;
    }
    char message[160];
    snprintf(message, sizeof(message), "this API key has not the scope \"%s\"",
             route_scope_name(route->scope));
    *refusal = api_error_make(403, "permission_error", "missing_scope", NULL, message);
    return false;
}

static bool check_key(const struct access *a, const struct route *route,
                      const struct http_request *r, struct api_error *refusal)
{
    if (route->auth == ROUTE_OPEN) {
        return true;
    }
    if (route->auth == ROUTE_ADMIN) {
        return is_admin(a, r) ||
               refuse_key(refusal,
                          "admin routes need the admin key: Authorization: Bearer KEY");
    }
    if (a->table->n_keys == 0) {
        return true;
    }
    const struct access_key *key = access_key_of(a, r);
    return key ? check_scope(key, route, refusal)
               : refuse_key(refusal, "a valid API key is needed: Authorization: Bearer KEY");
}

bool access_check(const struct access *a, const struct route *route,
                  const struct http_request *r, struct api_error *refusal)
{
    if (a->loopback_only && !r->is_unix && r->host[0] && !names_this_server(a, r->host)) {
        *refusal =
            api_error_make(403, "permission_error", "host_not_allowed", NULL,
                           "this server is bound to a loopback address and answers only to "
                           "that name; start it with --allow-host for another name, or with "
                           "--host to serve others");
        return false;
    }
    return check_key(a, route, r, refusal);
}

/* ---- limits ---- */

static bool refuse_rate(struct api_error *refusal, const char *what, uint32_t limit,
                        uint64_t wait_ms)
{
    char message[160];
    snprintf(message, sizeof(message), "this API key may have %u %s; try again later", limit,
             what);
    *refusal = api_error_make(429, "rate_limit_error", "rate_limit_exceeded", NULL, message);
    refusal->retry_after_s = wait_ms > 1000 ? (int)((wait_ms + 999) / 1000) : 1;
    return false;
}

bool access_enter(struct access_key *key, uint64_t now_ns, struct api_error *refusal)
{
    const struct key_limits *limits = &key->record.limits;
    key->running++;
    if (limits->concurrent > 0 && key->running > limits->concurrent) {
        return refuse_rate(refusal, "requests at a time", limits->concurrent, 0);
    }
    if (!rate_limit_allows(&key->requests, now_ns)) {
        return refuse_rate(refusal, "requests a minute", limits->requests_per_minute,
                           rate_limit_wait_ms(&key->requests, now_ns));
    }
    if (!rate_limit_allows(&key->tokens, now_ns)) {
        return refuse_rate(refusal, "tokens a minute", limits->tokens_per_minute,
                           rate_limit_wait_ms(&key->tokens, now_ns));
    }
    rate_limit_take(&key->requests, 1, now_ns);
    return true;
}

void access_leave(struct access_key *key)
{
    key->running--;
}

void access_charge_tokens(const struct access *a, uint64_t tenant, uint64_t n_tokens)
{
    for (size_t i = 0; tenant != 0 && i < a->table->n_keys; i++) {
        if (a->table->keys[i]->tenant == tenant) {
            rate_limit_take(&a->table->keys[i]->tokens, n_tokens, clock_now_ns());
        }
    }
}

static void add_limit(struct rate_limit *l, const char *what, uint64_t now_ns, struct buf *head)
{
    char name[64];
    char value[32];
    if (l->per_minute == 0) {
        return;
    }
    snprintf(name, sizeof(name), "x-ratelimit-limit-%s", what);
    snprintf(value, sizeof(value), "%u", l->per_minute);
    http_field_add(head, name, value);
    snprintf(name, sizeof(name), "x-ratelimit-remaining-%s", what);
    snprintf(value, sizeof(value), "%u", rate_limit_remaining(l, now_ns));
    http_field_add(head, name, value);
    /* As OpenAI writes durations: "850ms", "12.5s". */
    uint64_t ms = rate_limit_reset_ms(l, now_ns);
    snprintf(name, sizeof(name), "x-ratelimit-reset-%s", what);
    snprintf(value, sizeof(value), ms < 1000 ? "%gms" : "%gs",
             ms < 1000 ? (double)ms : (double)ms / 1000);
    http_field_add(head, name, value);
}

void access_add_limit_fields(struct access_key *key, uint64_t now_ns, struct buf *head)
{
    add_limit(&key->requests, "requests", now_ns, head);
    add_limit(&key->tokens, "tokens", now_ns, head);
}

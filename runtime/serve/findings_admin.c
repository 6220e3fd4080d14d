#include "runtime/serve/findings_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/api/finding_reply.h"
#include "runtime/base/mem.h"
#include "runtime/serve/query_field.h"
#include "runtime/serve/respond.h"

#define PAGE_DEFAULT    100
#define REPLY_BYTES_MAX ((size_t)128 << 20)

struct findings_request {
    struct finding_wait wait; /* first */
    uv_work_t work;
    struct server *server;
    struct http_exchange *http; /* NULL: nobody waits */
    struct finding_store *store;
    struct finding_query query;
    bool with_texts;

    struct err e;
    bool failed;
    struct buf reply;
};

/* --- what was asked for --- */

/* NAME or NAME@VERSION */
static int read_chain(struct finding_query *q, const char *query, struct err *e)
{
    char text[FINDING_NAME_SIZE + 16];
    if (query_field_text(query, "chain", text, sizeof(text), e) != 0) {
        return -1;
    }
    char *at = strchr(text, '@');
    char *end = NULL;
    unsigned long version = at ? strtoul(at + 1, &end, 10) : 0;
    if (at) {
        *at = '\0';
    }
    if ((at && (*end || at[1] < '0' || at[1] > '9' || version > UINT32_MAX)) ||
        strlen(text) >= sizeof(q->chain)) {
        return err_set_param(e, ERR_INVALID, "chain",
                             "\"chain\" must be a name, or NAME@VERSION");
    }
    memcpy(q->chain, text, strlen(text) + 1);
    q->version = (uint32_t)version;
    return 0;
}

static int read_query(struct findings_request *r, const char *query, struct err *e)
{
    struct finding_query *q = &r->query;
    unsigned long long limit = PAGE_DEFAULT, before = 0;
    char texts[8];
    if (read_chain(q, query, e) != 0 ||
        query_field_text(query, "code", q->code, sizeof(q->code), e) != 0 ||
        query_field_text(query, "verdict", q->verdict, sizeof(q->verdict), e) != 0 ||
        query_field_text(query, "side", q->side, sizeof(q->side), e) != 0 ||
        query_field_text(query, "request", q->request, sizeof(q->request), e) != 0 ||
        query_field_text(query, "texts", texts, sizeof(texts), e) != 0 ||
        query_field_number(query, "limit", 1, FINDING_PAGE_MAX, &limit, e) != 0 ||
        query_field_number(query, "before", 0, INT64_MAX, &before, e) != 0) {
        return -1;
    }
    q->limit = (size_t)limit;
    q->before = before;
    r->with_texts = strcmp(texts, "true") == 0;
    return 0;
}

/* --- on a worker --- */

static int append_one(struct findings_request *r, const struct finding *f, struct err *e)
{
    size_t len = 0;
    char *text = NULL;
    if (r->with_texts && f->text) {
        text = finding_store_text(r->store, f->text, &len, e);
        if (!text && e->kind != ERR_NOT_FOUND) {
            return -1; /* one that has left meanwhile is left out */
        }
    }
    int rc = finding_reply_append(&r->reply, f, text, len);
    mem_free(text);
    return rc == 0 ? 0
                   : err_set_param(e, ERR_LIMIT, "limit",
                                   "the answer has more than %zu bytes; ask for fewer findings",
                                   REPLY_BYTES_MAX);
}

static int list(struct findings_request *r, struct err *e)
{
    struct finding *items = NULL;
    size_t n = 0;
    int rc = finding_store_list(r->store, &r->query, &items, &n, e);
    buf_append_str(&r->reply, "{\"findings\":[");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        buf_append_str(&r->reply, i ? "," : "");
        rc = append_one(r, &items[i], e);
    }
    buf_append_str(&r->reply, "]}");
    mem_free(items);
    return rc;
}

static void run_on_worker(uv_work_t *work)
{
    struct findings_request *r = work->data;
    r->failed = list(r, &r->e) != 0 || r->reply.failed;
    if (r->failed && r->e.kind == ERR_NONE) {
        err_nomem(&r->e);
    }
}

/* --- on the loop --- */

static void destroy(struct findings_request *r)
{
    buf_deinit(&r->reply);
    mem_free(r);
}

static void after_work(uv_work_t *work, int status)
{
    struct findings_request *r = work->data;
    (void)status;
    if (r->http && r->failed) {
        respond_err(r->http, &r->e);
    } else if (r->http) {
        static const struct http_header headers[] = {{"Content-Type", "application/json"}};
        http_respond(r->http, 200, headers, 1, r->reply.data, r->reply.len);
    }
    destroy(r);
}

static void refuse(struct findings_request *r, const struct err *e)
{
    if (r->http) {
        http_exchange_set_data(r->http, NULL);
        respond_err(r->http, e);
    }
    destroy(r);
}

static void read_store(struct finding_wait *wait)
{
    struct findings_request *r = (struct findings_request *)wait;
    struct err e = {0};
    r->work.data = r;
    if (uv_queue_work(&r->server->loop, &r->work, run_on_worker, after_work) != 0) {
        err_nomem(&e);
        refuse(r, &e);
    }
}

void findings_admin_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct findings_request *r = mem_zalloc(sizeof(*r));
    if (!r) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    r->server = s;
    r->http = http;
    r->store = finding_log_store(s->findings);
    buf_init(&r->reply, REPLY_BYTES_MAX);
    if (read_query(r, http_exchange_request(http)->query, &e) != 0) {
        refuse(r, &e);
        return;
    }
    http_exchange_set_data(http, r);
    r->wait.done = read_store;
    finding_log_wait(s->findings, &r->wait);
}

void findings_admin_abort(struct http_exchange *http)
{
    struct findings_request *r = http_exchange_data(http);
    if (r) {
        r->http = NULL;
    }
}

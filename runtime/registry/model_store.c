#include "runtime/registry/model_store.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/model_store_parts.h"

/* --- records --- */

void model_record_deinit(struct model_record *r)
{
    mem_free(r->canary_plan);
    mem_free(r->canary_report);
    *r = (struct model_record){0};
}

static void read_share(const struct query *q, int column, struct model_store_share *out)
{
    query_copy(q, column, out->version, sizeof(out->version));
    out->percent = (int)query_int(q, column + 1);
}

static int read_row(const struct query *q, int64_t *id, struct model_record *r, struct err *e)
{
    *id = query_int(q, 0);
    r->revision = (uint64_t)query_int(q, 1);
    r->updated = query_int(q, 2);
    query_copy(q, 3, r->active.version, sizeof(r->active.version));
    query_copy(q, 4, r->active.sha256, sizeof(r->active.sha256));
    r->is_chosen = query_int(q, 5) != 0;
    read_share(q, 6, &r->split);
    r->split.is_by_conversation = query_int(q, 13) != 0;
    read_share(q, 8, &r->shadow);
    query_copy(q, 10, r->canary, sizeof(r->canary));
    r->canary_plan = mem_strdup(query_text(q, 11));
    r->canary_report = mem_strdup(query_text(q, 12));
    return r->canary_plan && r->canary_report ? 0 : err_nomem(e);
}

int model_store_find(struct database *d, const char *name, int64_t *id, struct model_record *r,
                     struct err *e)
{
    *id = 0;
    *r = (struct model_record){0};
    snprintf(r->name, sizeof(r->name), "%s", name);
    struct query q;
    query_begin(&q, d, e,
                "SELECT id, revision, updated, active, sha256, is_chosen, split, split_percent,"
                " shadow, shadow_percent, canary, canary_plan, canary_report,"
                " split_by_text FROM model WHERE name = ?1",
                "t", name);
    bool is_there = query_next(&q);
    if (is_there && read_row(&q, id, r, e) != 0) {
        q.failed = true;
    }
    int rc = query_end(&q);
    if (rc == 0 && !is_there) {
        r->canary_plan = mem_strdup("");
        r->canary_report = mem_strdup("");
        rc = r->canary_plan && r->canary_report ? 0 : err_nomem(e);
    }
    if (rc != 0) {
        model_record_deinit(r);
    }
    return rc;
}

int model_store_read_lists(struct database *d, int64_t id, struct model_record *r,
                           struct err *e)
{
    struct query q;
    r->n_past = r->n_labels = 0;
    query_begin(&q, d, e,
                "SELECT version, sha256 FROM (SELECT id, version, sha256 FROM model_past"
                " WHERE model = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id",
                "ii", id, (int64_t)MODEL_STORE_PAST_MAX);
    while (query_next(&q)) {
        struct model_store_version *p = &r->past[r->n_past++];
        query_copy(&q, 0, p->version, sizeof(p->version));
        query_copy(&q, 1, p->sha256, sizeof(p->sha256));
    }
    if (query_end(&q) != 0) {
        return -1;
    }
    query_begin(&q, d, e,
                "SELECT name, version FROM model_label WHERE model = ?1 ORDER BY name LIMIT ?2",
                "ii", id, (int64_t)MODEL_STORE_LABELS_MAX);
    while (query_next(&q)) {
        struct model_store_label *l = &r->labels[r->n_labels++];
        query_copy(&q, 0, l->name, sizeof(l->name));
        query_copy(&q, 1, l->version, sizeof(l->version));
    }
    return query_end(&q);
}

int model_store_load(struct version_database *d, const char *name, struct model_record *out,
                     struct err *e)
{
    int64_t id;
    *out = (struct model_record){0};
    pthread_mutex_lock(&d->lock);
    /* A snapshot: another process may write in between. */
    int rc = database_run(&d->database, e, "BEGIN", "");
    if (rc == 0) {
        rc = model_store_find(&d->database, name, &id, out, e);
        rc = rc == 0 ? model_store_read_lists(&d->database, id, out, e) : -1;
        database_rollback(&d->database);
    }
    pthread_mutex_unlock(&d->lock);
    if (rc != 0) {
        model_record_deinit(out);
    }
    return rc;
}

/* --- versions that are known --- */

void model_store_known_free(struct model_store_known *known, size_t n)
{
    for (size_t i = 0; known && i < n; i++) {
        mem_free(known[i].problem);
        mem_free(known[i].report);
    }
    mem_free(known);
}

static int read_known(struct query *q, struct model_store_known *rows, size_t *n, struct err *e)
{
    while (*n < MODEL_STORE_KNOWN_MAX && query_next(q)) {
        struct model_store_known *k = &rows[(*n)++];
        query_copy(q, 0, k->version, sizeof(k->version));
        k->stamp = (uint64_t)query_int(q, 1);
        k->problem = mem_strdup(query_text(q, 2));
        k->report = mem_strdup(query_text(q, 3));
        if (!k->problem || !k->report) {
            q->failed = true;
            return err_nomem(e);
        }
    }
    return 0;
}

int model_store_known(struct version_database *d, const char *name,
                      struct model_store_known **out, size_t *n, struct err *e)
{
    *n = 0;
    *out = NULL;
    struct model_store_known *rows = mem_zarray(MODEL_STORE_KNOWN_MAX, sizeof(*rows));
    if (!rows) {
        return err_nomem(e);
    }
    struct query q;
    pthread_mutex_lock(&d->lock);
    query_begin(&q, &d->database, e,
                "SELECT k.version, k.stamp, k.problem, k.report FROM model_known k"
                " JOIN model m ON m.id = k.model WHERE m.name = ?1 ORDER BY k.id",
                "t", name);
    read_known(&q, rows, n, e);
    int rc = query_end(&q);
    pthread_mutex_unlock(&d->lock);
    if (rc != 0 || *n == 0) {
        model_store_known_free(rows, *n);
        rows = NULL;
        *n = 0;
    }
    *out = rows;
    return rc;
}

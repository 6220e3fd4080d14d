/* The lists of version_store.h, and the walk over what is active. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/version_store_parts.h"

/* Room for a page; *limit is brought to what it may be. */
static void *make_page(size_t *limit, size_t size, struct err *e)
{
    *limit = *limit < VERSION_PAGE_MAX ? *limit : VERSION_PAGE_MAX;
    void *page = mem_zarray(*limit, size);
    if (!page) {
        err_nomem(e);
    }
    return page;
}

/* The page for the caller; NULL, and released, where there is nothing to hand over. */
static void *end_page(int rc, void *page, size_t count, size_t *n)
{
    *n = rc == 0 ? count : 0;
    if (*n > 0) {
        return page;
    }
    mem_free(page);
    return NULL;
}

/* Keys of pages: 0 is "with the newest". */
static int64_t below(uint64_t key)
{
    return key == 0 || key > INT64_MAX ? INT64_MAX : (int64_t)key;
}

/* --- objects --- */

int version_store_objects(struct version_store *s, const char *after, size_t limit,
                          struct version_state **out, size_t *n, struct err *e)
{
    *out = NULL;
    *n = 0;
    struct version_state *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    size_t count = 0;
    struct query q;
    pthread_mutex_lock(&s->file->lock);
    query_begin(&q, &s->file->database, e,
                "SELECT " STORE_OBJECT_COLUMNS
                " FROM profile p WHERE p.kind = ?3 AND p.name > ?1 AND NOT p.deleted"
                " ORDER BY p.name LIMIT ?2",
                "tit", after ? after : "", (int64_t)limit, s->words->kind);
    while (query_next(&q)) {
        struct object_row row;
        store_read_object(&q, &row);
        page[count++] = row.state;
    }
    int rc = query_end(&q);
    pthread_mutex_unlock(&s->file->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

static int call_active(struct version_store *s, const char *name, version_active_fn *fn,
                       void *ctx, struct err *e)
{
    struct version_state state;
    struct version_text active = {.number = 0};
    struct version_text split = {.number = 0};
    if (version_store_load(s, name, &state, &active, &split, e) != 0) {
        /* Deleted by another thread since it was listed. */
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    int rc = active.number ? fn(ctx, &state, &active, split.number ? &split : NULL, e) : 0;
    version_text_deinit(&active);
    version_text_deinit(&split);
    return rc;
}

int version_store_load_active(struct version_store *s, version_active_fn *fn, void *ctx,
                              struct err *e)
{
    char last[VERSION_NAME_MAX + 1] = "";
    size_t n;
    do {
        struct version_state *page;
        int rc = version_store_objects(s, last, VERSION_PAGE_MAX, &page, &n, e);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            rc = call_active(s, page[i].name, fn, ctx, e);
        }
        if (n > 0) {
            memcpy(last, page[n - 1].name, sizeof(last));
        }
        mem_free(page);
        if (rc != 0) {
            return -1;
        }
    } while (n == VERSION_PAGE_MAX);
    return 0;
}

/* --- versions and labels --- */

static size_t read_versions(struct query *q, struct version_info *page)
{
    size_t count = 0;
    while (query_next(q)) {
        struct version_info *v = &page[count++];
        v->version = (uint64_t)query_int(q, 0);
        query_copy(q, 1, v->sha256, sizeof(v->sha256));
        v->created = query_int(q, 2);
        v->detail = (int)query_int(q, 3);
        v->size = (size_t)query_int(q, 4);
        query_copy(q, 5, v->author, sizeof(v->author));
        query_copy(q, 6, v->note, sizeof(v->note));
    }
    return count;
}

int version_store_versions(struct version_store *s, const char *name, uint64_t before,
                           size_t limit, struct version_info **out, size_t *n, struct err *e)
{
    *out = NULL;
    *n = 0;
    struct version_info *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    size_t count = 0;
    struct object_row row;
    pthread_mutex_lock(&s->file->lock);
    int rc = store_require_object(s, name, &row, e);
    if (rc == 0) {
        struct query q;
        query_begin(&q, &s->file->database, e,
                    "SELECT number, sha256, created, mode, text_len, author, note FROM version"
                    " WHERE profile = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
                    "iii", row.id, below(before), (int64_t)limit);
        count = read_versions(&q, page);
        rc = query_end(&q);
    }
    pthread_mutex_unlock(&s->file->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

int version_store_labels(struct version_store *s, const char *name, struct version_label **out,
                         size_t *n, struct err *e)
{
    size_t limit = VERSION_LABELS_MAX;
    *out = NULL;
    *n = 0;
    struct version_label *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    size_t count = 0;
    struct object_row row;
    pthread_mutex_lock(&s->file->lock);
    int rc = store_require_object(s, name, &row, e);
    if (rc == 0) {
        struct query q;
        query_begin(&q, &s->file->database, e,
                    "SELECT name, version FROM label WHERE profile = ?1 ORDER BY name LIMIT ?2",
                    "ii", row.id, (int64_t)limit);
        while (query_next(&q)) {
            query_copy(&q, 0, page[count].name, sizeof(page[count].name));
            page[count++].version = (uint64_t)query_int(&q, 1);
        }
        rc = query_end(&q);
    }
    pthread_mutex_unlock(&s->file->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

/* --- audit --- */

static size_t read_audit(struct query *q, struct version_audit *page)
{
    size_t count = 0;
    while (query_next(q)) {
        struct version_audit *a = &page[count++];
        a->id = (uint64_t)query_int(q, 0);
        a->time = query_int(q, 1);
        query_copy(q, 2, a->actor, sizeof(a->actor));
        query_copy(q, 3, a->action, sizeof(a->action));
        query_copy(q, 4, a->name, sizeof(a->name));
        query_copy(q, 5, a->subject, sizeof(a->subject));
        query_copy(q, 6, a->before, sizeof(a->before));
        query_copy(q, 7, a->after, sizeof(a->after));
        a->revision = (uint64_t)query_int(q, 8);
        a->kind = version_kind_named(query_text(q, 9));
        query_copy(q, 10, a->reason, sizeof(a->reason));
    }
    return count;
}

#define AUDIT_ROWS                                                               \
    "SELECT id, time, actor, action, profile, subject, before, after, revision," \
    " kind, reason FROM audit WHERE id < ?1 AND (?4 IS NULL OR kind = ?4) AND "
#define AUDIT_ORDER " ORDER BY id DESC LIMIT ?2"

int version_database_audit(struct version_database *d,
                           const struct version_audit_filter *filter, uint64_t before,
                           size_t limit, struct version_audit **out, size_t *n, struct err *e)
{
    *out = NULL;
    *n = 0;
    struct version_audit *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    const char *kind = filter->kind < VERSION_KINDS ? version_kind_name(filter->kind) : NULL;
    struct query q;
    pthread_mutex_lock(&d->lock);
    /* Without a name it goes through the newest rows, whatever they are of. */
    query_begin(&q, &d->database, e,
                filter->name ? AUDIT_ROWS "profile = ?3" AUDIT_ORDER
                             : AUDIT_ROWS "?3 IS NULL" AUDIT_ORDER,
                "iitt", below(before), (int64_t)limit, filter->name, kind);
    size_t count = read_audit(&q, page);
    int rc = query_end(&q);
    pthread_mutex_unlock(&d->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

/* The lists of prompt_store.h, and the walk over what is active. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/prompt_store_parts.h"

/* Room for a page; *limit is brought to what it may be. */
static void *make_page(size_t *limit, size_t size, struct err *e)
{
    *limit = *limit < PROMPT_PAGE_MAX ? *limit : PROMPT_PAGE_MAX;
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

/* --- profiles --- */

int prompt_store_profiles(struct prompt_store *s, const char *after, size_t limit,
                          struct prompt_profile **out, size_t *n, struct err *e)
{
    *out = NULL;
    *n = 0;
    struct prompt_profile *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    size_t count = 0;
    struct query q;
    pthread_mutex_lock(&s->lock);
    query_begin(&q, &s->database, e,
                "SELECT " STORE_PROFILE_COLUMNS
                " FROM profile p WHERE p.name > ?1 AND NOT p.deleted ORDER BY p.name LIMIT ?2",
                "ti", after ? after : "", (int64_t)limit);
    while (query_next(&q)) {
        struct profile_row row;
        store_read_profile(&q, &row);
        page[count++] = row.profile;
    }
    int rc = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

static int call_active(struct prompt_store *s, const char *name, prompt_active_fn *fn,
                       void *ctx, struct err *e)
{
    struct prompt_profile profile;
    struct prompt *active;
    struct prompt *split;
    if (prompt_store_load(s, name, &profile, &active, &split, e) != 0) {
        /* Deleted by another thread since it was listed. */
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    int rc = active ? fn(ctx, &profile, active, split, e) : 0;
    prompt_unref(active);
    prompt_unref(split);
    return rc;
}

int prompt_store_load_active(struct prompt_store *s, prompt_active_fn *fn, void *ctx,
                             struct err *e)
{
    char last[PROMPT_NAME_MAX + 1] = "";
    size_t n;
    do {
        struct prompt_profile *page;
        int rc = prompt_store_profiles(s, last, PROMPT_PAGE_MAX, &page, &n, e);
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
    } while (n == PROMPT_PAGE_MAX);
    return 0;
}

/* --- versions and labels --- */

static size_t read_versions(struct query *q, struct prompt_version_info *page)
{
    size_t count = 0;
    while (query_next(q)) {
        struct prompt_version_info *v = &page[count++];
        v->version = (uint64_t)query_int(q, 0);
        query_copy(q, 1, v->sha256, sizeof(v->sha256));
        v->created = query_int(q, 2);
        v->mode = (enum prompt_mode)query_int(q, 3);
        v->text_len = (size_t)query_int(q, 4);
        query_copy(q, 5, v->author, sizeof(v->author));
        query_copy(q, 6, v->note, sizeof(v->note));
    }
    return count;
}

int prompt_store_versions(struct prompt_store *s, const char *profile, uint64_t before,
                          size_t limit, struct prompt_version_info **out, size_t *n,
                          struct err *e)
{
    *out = NULL;
    *n = 0;
    struct prompt_version_info *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    size_t count = 0;
    struct profile_row row;
    pthread_mutex_lock(&s->lock);
    int rc = store_require_profile(s, profile, &row, e);
    if (rc == 0) {
        struct query q;
        query_begin(&q, &s->database, e,
                    "SELECT number, sha256, created, mode, text_len, author, note FROM version"
                    " WHERE profile = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
                    "iii", row.id, below(before), (int64_t)limit);
        count = read_versions(&q, page);
        rc = query_end(&q);
    }
    pthread_mutex_unlock(&s->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

int prompt_store_labels(struct prompt_store *s, const char *profile, struct prompt_label **out,
                        size_t *n, struct err *e)
{
    size_t limit = PROMPT_LABELS_MAX;
    *out = NULL;
    *n = 0;
    struct prompt_label *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    size_t count = 0;
    struct profile_row row;
    pthread_mutex_lock(&s->lock);
    int rc = store_require_profile(s, profile, &row, e);
    if (rc == 0) {
        struct query q;
        query_begin(&q, &s->database, e,
                    "SELECT name, version FROM label WHERE profile = ?1 ORDER BY name LIMIT ?2",
                    "ii", row.id, (int64_t)limit);
        while (query_next(&q)) {
            query_copy(&q, 0, page[count].name, sizeof(page[count].name));
            page[count++].version = (uint64_t)query_int(&q, 1);
        }
        rc = query_end(&q);
    }
    pthread_mutex_unlock(&s->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

/* --- audit --- */

static size_t read_audit(struct query *q, struct prompt_audit *page)
{
    size_t count = 0;
    while (query_next(q)) {
        struct prompt_audit *a = &page[count++];
        a->id = (uint64_t)query_int(q, 0);
        a->time = query_int(q, 1);
        query_copy(q, 2, a->actor, sizeof(a->actor));
        query_copy(q, 3, a->action, sizeof(a->action));
        query_copy(q, 4, a->profile, sizeof(a->profile));
        query_copy(q, 5, a->subject, sizeof(a->subject));
        query_copy(q, 6, a->before, sizeof(a->before));
        query_copy(q, 7, a->after, sizeof(a->after));
        a->revision = (uint64_t)query_int(q, 8);
    }
    return count;
}

#define AUDIT_COLUMNS "id, time, actor, action, profile, subject, before, after, revision"

int prompt_store_audit(struct prompt_store *s, const char *profile, uint64_t before,
                       size_t limit, struct prompt_audit **out, size_t *n, struct err *e)
{
    *out = NULL;
    *n = 0;
    struct prompt_audit *page = make_page(&limit, sizeof(*page), e);
    if (!page) {
        return -1;
    }
    struct query q;
    pthread_mutex_lock(&s->lock);
    if (profile) {
        query_begin(&q, &s->database, e,
                    "SELECT " AUDIT_COLUMNS " FROM audit WHERE id < ?1 AND profile = ?3"
                    " ORDER BY id DESC LIMIT ?2",
                    "iit", below(before), (int64_t)limit, profile);
    } else {
        query_begin(&q, &s->database, e,
                    "SELECT " AUDIT_COLUMNS " FROM audit WHERE id < ?1"
                    " ORDER BY id DESC LIMIT ?2",
                    "ii", below(before), (int64_t)limit);
    }
    size_t count = read_audit(&q, page);
    int rc = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    *out = end_page(rc, page, count, n);
    return rc;
}

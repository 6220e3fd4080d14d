#include "runtime/registry/prompt_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/prompt_store_parts.h"

/* A deleted profile keeps its row: "support@3" and an ETag never come to mean something else.
 * `activation` is a chain: `previous` is what a rollback goes back to. */
static const char *const schema_steps[] = {
    "CREATE TABLE profile("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " revision INTEGER NOT NULL,"
    " latest INTEGER NOT NULL,"
    " active INTEGER,"
    " split INTEGER,"
    " split_percent INTEGER NOT NULL DEFAULT 0,"
    " activation INTEGER REFERENCES activation(id),"
    " updated INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL DEFAULT 0,"
    " FOREIGN KEY(id, active) REFERENCES version(profile, number),"
    " FOREIGN KEY(id, split) REFERENCES version(profile, number)) STRICT;"
    "CREATE TABLE version("
    " profile INTEGER NOT NULL REFERENCES profile(id),"
    " number INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " created INTEGER NOT NULL,"
    " mode INTEGER NOT NULL,"
    " text_len INTEGER NOT NULL,"
    " author TEXT NOT NULL,"
    " note TEXT NOT NULL,"
    " content TEXT NOT NULL,"
    " PRIMARY KEY(profile, number)) STRICT;"
    "CREATE TABLE label("
    " profile INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " version INTEGER NOT NULL,"
    " PRIMARY KEY(profile, name),"
    " FOREIGN KEY(profile, version) REFERENCES version(profile, number))"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX label_version ON label(profile, version);"
    "CREATE TABLE activation("
    " id INTEGER PRIMARY KEY,"
    " profile INTEGER NOT NULL REFERENCES profile(id),"
    " version INTEGER NOT NULL,"
    " previous INTEGER REFERENCES activation(id),"
    " time INTEGER NOT NULL) STRICT;"
    "CREATE TABLE audit("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time INTEGER NOT NULL,"
    " actor TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " profile TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " before TEXT NOT NULL,"
    " after TEXT NOT NULL,"
    " revision INTEGER NOT NULL) STRICT;"
    "CREATE INDEX audit_profile ON audit(profile, id);",
};

static const struct database_schema schema = {
    .application_id = 0x57656972, /* "Weir" */
    .steps = schema_steps,
    .n_steps = sizeof(schema_steps) / sizeof(schema_steps[0]),
};

struct prompt_store *prompt_store_open(const char *path, struct err *e)
{
    struct prompt_store *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    if (database_open(&s->database, path, &schema, e) != 0) {
        mem_free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void prompt_store_close(struct prompt_store *s)
{
    if (s) {
        database_close(&s->database);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
    }
}

/* --- rows --- */

void store_read_profile(const struct query *q, struct profile_row *row)
{
    *row = (struct profile_row){
        .id = query_int(q, 0), .deleted = query_int(q, 1) != 0, .activation = query_int(q, 2)};
    struct prompt_profile *p = &row->profile;
    query_copy(q, 3, p->name, sizeof(p->name));
    p->revision = (uint64_t)query_int(q, 4);
    p->latest = (uint64_t)query_int(q, 5);
    p->active = (uint64_t)query_int(q, 6);
    p->split = (uint64_t)query_int(q, 7);
    p->split_percent = (int)query_int(q, 8);
    p->updated = query_int(q, 9);
    p->n_versions = (uint64_t)query_int(q, 10);
}

int store_find_profile(struct prompt_store *s, const char *name, struct profile_row *row,
                       struct err *e)
{
    *row = (struct profile_row){0};
    struct query q;
    query_begin(&q, &s->database, e,
                "SELECT " STORE_PROFILE_COLUMNS " FROM profile p WHERE p.name = ?1", "t", name);
    if (query_next(&q)) {
        store_read_profile(&q, row);
    }
    return query_end(&q);
}

int store_require_profile(struct prompt_store *s, const char *name, struct profile_row *row,
                          struct err *e)
{
    if (store_find_profile(s, name, row, e) != 0) {
        return -1;
    }
    return row->id != 0 && !row->deleted
               ? 0
               : err_set_param(e, ERR_NOT_FOUND, "profile", "there is no prompt profile \"%s\"",
                               name);
}

static int no_version(const struct profile_row *row, const char *which, struct err *e)
{
    return err_set_param(e, ERR_NOT_FOUND, "version", "prompt profile \"%s\" has no version %s",
                         row->profile.name, which);
}

int store_require_version(struct prompt_store *s, const struct profile_row *row,
                          uint64_t version, struct err *e)
{
    struct query q;
    query_begin(&q, &s->database, e, "SELECT 1 FROM version WHERE profile = ?1 AND number = ?2",
                "ii", row->id, (int64_t)version);
    bool found = query_next(&q);
    if (query_end(&q) != 0) {
        return -1;
    }
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)version);
    return found ? 0 : no_version(row, number, e);
}

int store_find_label(struct prompt_store *s, const struct profile_row *row, const char *label,
                     uint64_t *version, struct err *e)
{
    struct query q;
    query_begin(&q, &s->database, e,
                "SELECT version FROM label WHERE profile = ?1 AND name = ?2", "it", row->id,
                label);
    *version = query_next(&q) ? (uint64_t)query_int(&q, 0) : 0;
    return query_end(&q);
}

int store_no_label(const struct profile_row *row, const char *label, struct err *e)
{
    return err_set_param(e, ERR_NOT_FOUND, "label", "prompt profile \"%s\" has no label \"%s\"",
                         row->profile.name, label);
}

/* --- versions --- */

/* A row of the table version, read with the lock held and made a prompt without it. */
struct stored {
    uint64_t number; /* 0: none */
    int64_t created;
    char sha256[HASH_HEX_LEN + 1];
    char *content; /* mem_free */
};

static int read_stored(struct prompt_store *s, const struct profile_row *row, uint64_t version,
                       struct stored *out, struct err *e)
{
    *out = (struct stored){0};
    struct query q;
    query_begin(&q, &s->database, e,
                "SELECT number, created, sha256, content FROM version"
                " WHERE profile = ?1 AND number = ?2",
                "ii", row->id, (int64_t)version);
    if (query_next(&q)) {
        out->number = (uint64_t)query_int(&q, 0);
        out->created = query_int(&q, 1);
        query_copy(&q, 2, out->sha256, sizeof(out->sha256));
        out->content = mem_strdup(query_text(&q, 3));
        if (!out->content) {
            err_nomem(e);
            q.failed = true;
        }
    }
    return query_end(&q);
}

/* Releases what was read. */
static struct prompt *make_prompt(const struct prompt_store *s, const char *name,
                                  struct stored *from, struct err *e)
{
    struct prompt *p = prompt_from_json(from->content, strlen(from->content), e);
    if (p && strcmp(p->sha256, from->sha256) != 0) {
        prompt_unref(p);
        p = NULL;
        err_set(e, ERR_FORMAT, "its text does not match its SHA-256");
    }
    if (p) {
        prompt_set_version(p, name, from->number, from->created);
    } else if (e->kind != ERR_NOMEM) {
        /* The message is of the file, not of a request. */
        e->kind = ERR_IO;
        e->param[0] = '\0';
        err_prefix(e, "%s: prompt %s@%llu is damaged", s->database.path, name,
                   (unsigned long long)from->number);
    }
    mem_free(from->content);
    from->content = NULL;
    return p;
}

static int newest_version(struct prompt_store *s, const struct profile_row *row,
                          uint64_t *version, struct err *e)
{
    struct query q;
    query_begin(&q, &s->database, e, "SELECT max(number) FROM version WHERE profile = ?1", "i",
                row->id);
    *version = query_next(&q) ? (uint64_t)query_int(&q, 0) : 0;
    return query_end(&q);
}

/* *version is 0 where there is none. */
static int resolve(struct prompt_store *s, const struct profile_row *row, const char *which,
                   uint64_t *version, struct err *e)
{
    if (!which || strcmp(which, "active") == 0) {
        *version = row->profile.active;
        return 0;
    }
    if (strcmp(which, "latest") == 0) {
        return newest_version(s, row, version, e);
    }
    if (which[0] != '\0' && strspn(which, "0123456789") == strlen(which)) {
        /* What is too great for a number is none of a version either. */
        *version = strlen(which) < 19 ? strtoull(which, NULL, 10) : 0;
        return 0;
    }
    if (store_find_label(s, row, which, version, e) != 0) {
        return -1;
    }
    return *version ? 0 : store_no_label(row, which, e);
}

static int find_stored(struct prompt_store *s, const char *profile, const char *which,
                       struct stored *out, struct err *e)
{
    struct profile_row row;
    uint64_t version;
    if (store_require_profile(s, profile, &row, e) != 0 ||
        resolve(s, &row, which, &version, e) != 0 ||
        read_stored(s, &row, version, out, e) != 0) {
        return -1;
    }
    if (out->number == 0) {
        return which && strcmp(which, "active") != 0
                   ? no_version(&row, which, e)
                   : err_set_param(e, ERR_NOT_FOUND, "version",
                                   "prompt profile \"%s\" has no active version: activate one",
                                   row.profile.name);
    }
    return 0;
}

struct prompt *prompt_store_get(struct prompt_store *s, const char *profile, const char *which,
                                struct err *e)
{
    struct stored found;
    pthread_mutex_lock(&s->lock);
    int rc = find_stored(s, profile, which, &found, e);
    pthread_mutex_unlock(&s->lock);
    return rc == 0 ? make_prompt(s, profile, &found, e) : NULL;
}

/* The profile, what is active [0] and what is split off [1]. */
static int find_state(struct prompt_store *s, const char *profile, struct profile_row *row,
                      struct stored found[2], struct err *e)
{
    /* A snapshot: another process may write in between. */
    if (database_run(&s->database, e, "BEGIN", "") != 0) {
        return -1;
    }
    int rc = store_require_profile(s, profile, row, e);
    if (rc == 0) {
        rc = read_stored(s, row, row->profile.active, &found[0], e);
    }
    if (rc == 0) {
        rc = read_stored(s, row, row->profile.split, &found[1], e);
    }
    database_rollback(&s->database);
    return rc;
}

int prompt_store_load(struct prompt_store *s, const char *profile, struct prompt_profile *state,
                      struct prompt **active, struct prompt **split, struct err *e)
{
    struct prompt **const wanted[2] = {active, split};
    struct prompt *made[2] = {NULL, NULL};
    struct stored found[2] = {{0}, {0}};
    struct profile_row row;
    pthread_mutex_lock(&s->lock);
    int rc = find_state(s, profile, &row, found, e);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        if (found[i].number && wanted[i]) {
            made[i] = make_prompt(s, profile, &found[i], e);
            rc = made[i] ? 0 : -1;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        mem_free(found[i].content);
        if (rc != 0) {
            prompt_unref(made[i]);
        } else if (wanted[i]) {
            *wanted[i] = made[i];
        }
    }
    if (rc == 0 && state) {
        *state = row.profile;
    }
    return rc;
}

#include "runtime/registry/version_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/version_store_parts.h"

/* The table profile has the objects of all kinds; its name is as old as prompts, and so are
 * `mode` and `text_len`, a draft's detail and size. A deleted object keeps its row: "support@3"
 * and an ETag never come to mean something else. `activation` is a chain: `previous` is what a
 * rollback goes back to. */
static const char *const schema_steps[] = {
    /* 1: prompts. */
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
    /* 2: other kinds of objects, whose names are names of their own; and a hash of each new
     * content. A constraint can only be changed with its table, which is made anew. */
    "CREATE TABLE profile_of_kind("
    " id INTEGER PRIMARY KEY,"
    " kind TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " revision INTEGER NOT NULL,"
    " latest INTEGER NOT NULL,"
    " active INTEGER,"
    " split INTEGER,"
    " split_percent INTEGER NOT NULL DEFAULT 0,"
    " activation INTEGER REFERENCES activation(id),"
    " updated INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(kind, name),"
    " FOREIGN KEY(id, active) REFERENCES version(profile, number),"
    " FOREIGN KEY(id, split) REFERENCES version(profile, number)) STRICT;"
    "INSERT INTO profile_of_kind SELECT id, 'prompt', name, revision, latest, active, split,"
    " split_percent, activation, updated, deleted FROM profile;"
    "DROP TABLE profile;"
    "ALTER TABLE profile_of_kind RENAME TO profile;"
    "ALTER TABLE version ADD COLUMN content_sha256 TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT 'prompt';"
    "DROP INDEX audit_profile;"
    "CREATE INDEX audit_object ON audit(profile, kind, id);",
    /* 3: models, whose versions are folders elsewhere: here they are names. */
    "CREATE TABLE model("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " revision INTEGER NOT NULL,"
    " updated INTEGER NOT NULL,"
    " active TEXT NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " is_chosen INTEGER NOT NULL,"
    " split TEXT NOT NULL,"
    " split_percent INTEGER NOT NULL,"
    " split_by_text INTEGER NOT NULL,"
    " shadow TEXT NOT NULL,"
    " shadow_percent INTEGER NOT NULL,"
    " canary TEXT NOT NULL,"
    " canary_plan TEXT NOT NULL,"
    " canary_report TEXT NOT NULL) STRICT;"
    "CREATE TABLE model_past("
    " id INTEGER PRIMARY KEY,"
    " model INTEGER NOT NULL REFERENCES model(id),"
    " version TEXT NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " time INTEGER NOT NULL) STRICT;"
    "CREATE INDEX model_past_model ON model_past(model, id);"
    "CREATE TABLE model_label("
    " model INTEGER NOT NULL REFERENCES model(id),"
    " name TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " PRIMARY KEY(model, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE model_known("
    " id INTEGER PRIMARY KEY,"
    " model INTEGER NOT NULL REFERENCES model(id),"
    " version TEXT NOT NULL,"
    " stamp INTEGER NOT NULL,"
    " problem TEXT NOT NULL,"
    " report TEXT NOT NULL,"
    " UNIQUE(model, version)) STRICT;"
    "ALTER TABLE audit ADD COLUMN reason TEXT NOT NULL DEFAULT '';",
};

static const struct database_schema schema = {
    .application_id = 0x57656972, /* "Weir" */
    .steps = schema_steps,
    .n_steps = sizeof(schema_steps) / sizeof(schema_steps[0]),
};

/* --- kinds --- */

static const struct version_words words[VERSION_KINDS] = {
    [VERSION_PROMPTS] = {"prompt", "prompt profile", "profile",
                         "put a version with an empty text"},
    [VERSION_FILTERS] = {"filters", "filter chain", "chain", "put a version without filters"},
    [VERSION_MODELS] = {"model", "model", "model", ""},
};

const char *version_kind_name(enum version_kind kind)
{
    return words[kind].kind;
}

enum version_kind version_kind_named(const char *name)
{
    int kind = 0;
    while (kind < VERSION_KINDS && strcmp(words[kind].kind, name) != 0) {
        kind++;
    }
    return (enum version_kind)kind;
}

/* --- the file --- */

struct version_database *version_database_open(const char *path, struct err *e)
{
    struct version_database *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    if (database_open(&d->database, path, &schema, e) != 0) {
        mem_free(d);
        return NULL;
    }
    pthread_mutex_init(&d->lock, NULL);
    for (size_t i = 0; i < VERSION_KINDS; i++) {
        d->stores[i] = (struct version_store){.file = d, .words = &words[i]};
    }
    return d;
}

void version_database_close(struct version_database *d)
{
    if (d) {
        database_close(&d->database);
        pthread_mutex_destroy(&d->lock);
        mem_free(d);
    }
}

struct version_store *version_database_store(struct version_database *d, enum version_kind kind)
{
    return &d->stores[kind];
}

/* --- rows --- */

void store_read_object(const struct query *q, struct object_row *row)
{
    *row = (struct object_row){
        .id = query_int(q, 0), .deleted = query_int(q, 1) != 0, .activation = query_int(q, 2)};
    struct version_state *o = &row->state;
    query_copy(q, 3, o->name, sizeof(o->name));
    o->revision = (uint64_t)query_int(q, 4);
    o->latest = (uint64_t)query_int(q, 5);
    o->active = (uint64_t)query_int(q, 6);
    o->split = (uint64_t)query_int(q, 7);
    o->split_percent = (int)query_int(q, 8);
    o->updated = query_int(q, 9);
    o->n_versions = (uint64_t)query_int(q, 10);
}

int store_find_object(struct version_store *s, const char *name, struct object_row *row,
                      struct err *e)
{
    *row = (struct object_row){0};
    struct query q;
    query_begin(&q, &s->file->database, e,
                "SELECT " STORE_OBJECT_COLUMNS
                " FROM profile p WHERE p.kind = ?1 AND p.name = ?2",
                "tt", s->words->kind, name);
    if (query_next(&q)) {
        store_read_object(&q, row);
    }
    return query_end(&q);
}

int store_require_object(struct version_store *s, const char *name, struct object_row *row,
                         struct err *e)
{
    if (store_find_object(s, name, row, e) != 0) {
        return -1;
    }
    return row->id != 0 && !row->deleted
               ? 0
               : err_set_param(e, ERR_NOT_FOUND, s->words->param, "there is no %s \"%s\"",
                               s->words->noun, name);
}

static int no_version(const struct version_store *s, const struct object_row *row,
                      const char *which, struct err *e)
{
    return err_set_param(e, ERR_NOT_FOUND, "version", "%s \"%s\" has no version %s",
                         s->words->noun, row->state.name, which);
}

int store_require_version(struct version_store *s, const struct object_row *row,
                          uint64_t version, struct err *e)
{
    struct query q;
    query_begin(&q, &s->file->database, e,
                "SELECT 1 FROM version WHERE profile = ?1 AND number = ?2", "ii", row->id,
                (int64_t)version);
    bool found = query_next(&q);
    if (query_end(&q) != 0) {
        return -1;
    }
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)version);
    return found ? 0 : no_version(s, row, number, e);
}

int store_find_label(struct version_store *s, const struct object_row *row, const char *label,
                     uint64_t *version, struct err *e)
{
    struct query q;
    query_begin(&q, &s->file->database, e,
                "SELECT version FROM label WHERE profile = ?1 AND name = ?2", "it", row->id,
                label);
    *version = query_next(&q) ? (uint64_t)query_int(&q, 0) : 0;
    return query_end(&q);
}

int store_no_label(const struct version_store *s, const struct object_row *row,
                   const char *label, struct err *e)
{
    return err_set_param(e, ERR_NOT_FOUND, "label", "%s \"%s\" has no label \"%s\"",
                         s->words->noun, row->state.name, label);
}

/* --- versions --- */

void version_text_deinit(struct version_text *t)
{
    mem_free(t->content);
    mem_free(t->author);
    mem_free(t->note);
    *t = (struct version_text){0};
}

int version_store_damaged(const struct version_store *s, const struct version_text *t,
                          struct err *e)
{
    if (e->kind == ERR_NOMEM) {
        return -1;
    }
    e->kind = ERR_IO;
    e->param[0] = '\0';
    return err_prefix(e, "%s: %s %s@%llu is damaged", s->file->database.path, s->words->kind,
                      t->name, (unsigned long long)t->number);
}

/* `wanted` is "" for contents that an older Weir stored. */
static int check_content(const struct version_store *s, const struct version_text *t,
                         const char *wanted, struct err *e)
{
    char sha256[HASH_HEX_LEN + 1];
    if (wanted[0] == '\0') {
        return 0;
    }
    if (hash_sha256_hex(t->content, strlen(t->content), sha256) != 0) {
        return err_set(e, ERR_IO, "SHA-256 is not available");
    }
    if (strcmp(sha256, wanted) == 0) {
        return 0;
    }
    err_set(e, ERR_FORMAT, "its content does not match its SHA-256");
    return version_store_damaged(s, t, e);
}

static int copy_row(const struct version_store *s, const struct query *q,
                    struct version_text *out, struct err *e)
{
    out->number = (uint64_t)query_int(q, 0);
    out->created = query_int(q, 1);
    query_copy(q, 2, out->sha256, sizeof(out->sha256));
    out->content = mem_strdup(query_text(q, 3));
    out->author = mem_strdup(query_text(q, 4));
    out->note = mem_strdup(query_text(q, 5));
    return out->content && out->author && out->note ? check_content(s, out, query_text(q, 6), e)
                                                    : err_nomem(e);
}

/* Number 0 where there is no such version. After a failure there is nothing to release. */
static int read_version(struct version_store *s, const struct object_row *row, uint64_t version,
                        struct version_text *out, struct err *e)
{
    *out = (struct version_text){0};
    memcpy(out->name, row->state.name, sizeof(out->name));
    struct query q;
    query_begin(&q, &s->file->database, e,
                "SELECT number, created, sha256, content, author, note, content_sha256"
                " FROM version WHERE profile = ?1 AND number = ?2",
                "ii", row->id, (int64_t)version);
    if (query_next(&q) && copy_row(s, &q, out, e) != 0) {
        q.failed = true;
    }
    if (query_end(&q) != 0) {
        version_text_deinit(out);
        return -1;
    }
    return 0;
}

static int newest_version(struct version_store *s, const struct object_row *row,
                          uint64_t *version, struct err *e)
{
    struct query q;
    query_begin(&q, &s->file->database, e, "SELECT max(number) FROM version WHERE profile = ?1",
                "i", row->id);
    *version = query_next(&q) ? (uint64_t)query_int(&q, 0) : 0;
    return query_end(&q);
}

/* *version is 0 where there is none. */
static int resolve(struct version_store *s, const struct object_row *row, const char *which,
                   uint64_t *version, struct err *e)
{
    if (!which || strcmp(which, "active") == 0) {
        *version = row->state.active;
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
    return *version ? 0 : store_no_label(s, row, which, e);
}

static int find_version(struct version_store *s, const char *name, const char *which,
                        struct version_text *out, struct err *e)
{
    struct object_row row;
    uint64_t version;
    if (store_require_object(s, name, &row, e) != 0 ||
        resolve(s, &row, which, &version, e) != 0 ||
        read_version(s, &row, version, out, e) != 0) {
        return -1;
    }
    if (out->number == 0) {
        return which && strcmp(which, "active") != 0
                   ? no_version(s, &row, which, e)
                   : err_set_param(e, ERR_NOT_FOUND, "version",
                                   "%s \"%s\" has no active version: activate one",
                                   s->words->noun, row.state.name);
    }
    return 0;
}

int version_store_get(struct version_store *s, const char *name, const char *which,
                      struct version_text *out, struct err *e)
{
    pthread_mutex_lock(&s->file->lock);
    int rc = find_version(s, name, which, out, e);
    pthread_mutex_unlock(&s->file->lock);
    return rc;
}

/* The object, what is active [0] and what is split off [1]; NULL is not wanted. */
static int find_state(struct version_store *s, const char *name, struct object_row *row,
                      struct version_text *const wanted[2], struct err *e)
{
    struct database *d = &s->file->database;
    /* A snapshot: another process may write in between. */
    if (database_run(d, e, "BEGIN", "") != 0) {
        return -1;
    }
    int rc = store_require_object(s, name, row, e);
    const uint64_t numbers[2] = {row->state.active, row->state.split};
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        rc = wanted[i] ? read_version(s, row, numbers[i], wanted[i], e) : 0;
        if (rc != 0 && i == 1 && wanted[0]) {
            version_text_deinit(wanted[0]);
        }
    }
    database_rollback(d);
    return rc;
}

int version_store_load(struct version_store *s, const char *name, struct version_state *state,
                       struct version_text *active, struct version_text *split, struct err *e)
{
    struct version_text *const wanted[2] = {active, split};
    struct object_row row;
    pthread_mutex_lock(&s->file->lock);
    int rc = find_state(s, name, &row, wanted, e);
    pthread_mutex_unlock(&s->file->lock);
    if (rc == 0 && state) {
        *state = row.state;
    }
    return rc;
}

/* The changes of version_store.h. Each is one transaction: the object is read, changed in
 * memory and in its other tables, and written back with its next revision and an audit row. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/registry/version_store_parts.h"

struct transaction {
    struct version_store *store;
    struct database *db;
    const struct version_change *change;
    struct err *e;
    struct object_row row; /* as it was found; then as it shall be */
    bool is_there;
    bool unchanged; /* it is so already: nothing is written */
    int64_t now;
    /* For the audit; changes of labels write their own. */
    char before[VERSION_STATE_MAX];
    char after[VERSION_STATE_MAX];
};

/* --- frame --- */

static void describe_state(const struct version_state *p, char out[VERSION_STATE_MAX])
{
    if (p->split) {
        snprintf(out, VERSION_STATE_MAX, "%" PRIu64 " and %d%% %" PRIu64, p->active,
                 p->split_percent, p->split);
    } else if (p->active) {
        snprintf(out, VERSION_STATE_MAX, "%" PRIu64, p->active);
    } else {
        out[0] = '\0';
    }
}

static const char *actor_of(const struct version_change *change)
{
    return change->actor ? change->actor : "";
}

static int check_actor(const struct version_change *change, struct err *e)
{
    const char *actor = actor_of(change);
    return strlen(actor) <= VERSION_ACTOR_MAX && utf8_is_valid(actor, strlen(actor))
               ? 0
               : err_set_param(e, ERR_INVALID, "actor",
                               "the actor must be UTF-8 of at most %d bytes",
                               VERSION_ACTOR_MAX);
}

static int check_conditions(const struct transaction *t)
{
    const struct version_state *p = &t->row.state;
    const struct version_change *c = t->change;
    const char *noun = t->store->words->noun;
    if (c->if_new && t->is_there) {
        return err_set_param(t->e, ERR_CONFLICT, "if-none-match", "%s \"%s\" exists already",
                             noun, p->name);
    }
    if (c->if_match && !t->is_there) {
        return err_set_param(t->e, ERR_CONFLICT, "if-match", "the %s does not exist any more",
                             noun);
    }
    if (c->if_match && c->if_match != p->revision) {
        return err_set_param(t->e, ERR_CONFLICT, "if-match",
                             "%s \"%s\" is at revision %" PRIu64 ", not %" PRIu64
                             ": read it again",
                             noun, p->name, p->revision, c->if_match);
    }
    return 0;
}

/* Takes the lock and begins. After a failure nothing is to be ended. */
static int begin(struct transaction *t, struct version_store *s, const char *name,
                 bool must_be_there, const struct version_change *change, struct err *e)
{
    *t = (struct transaction){
        .store = s, .db = &s->file->database, .change = change, .e = e, .now = clock_unix_s()};
    if (check_actor(change, e) != 0) {
        return -1;
    }
    pthread_mutex_lock(&s->file->lock);
    if (database_begin(t->db, e) != 0) {
        pthread_mutex_unlock(&s->file->lock);
        return -1;
    }
    int rc = must_be_there ? store_require_object(s, name, &t->row, e)
                           : store_find_object(s, name, &t->row, e);
    t->is_there = t->row.id != 0 && !t->row.deleted;
    if (rc == 0) {
        rc = check_conditions(t);
    }
    if (rc != 0) {
        database_rollback(t->db);
        pthread_mutex_unlock(&s->file->lock);
        return -1;
    }
    describe_state(&t->row.state, t->before);
    return 0;
}

static int write_object(const struct transaction *t)
{
    const struct version_state *p = &t->row.state;
    return database_run(t->db, t->e,
                        "UPDATE profile SET deleted = ?2, revision = ?3, latest = ?4,"
                        " active = nullif(?5, 0), split = nullif(?6, 0), split_percent = ?7,"
                        " activation = nullif(?8, 0), updated = ?9 WHERE id = ?1",
                        "iiiiiiiii", t->row.id, (int64_t)t->row.deleted, (int64_t)p->revision,
                        (int64_t)p->latest, (int64_t)p->active, (int64_t)p->split,
                        (int64_t)p->split_percent, t->row.activation, p->updated);
}

static int write_audit(const struct transaction *t, const char *action, const char *subject)
{
    const struct version_state *p = &t->row.state;
    return database_run(
        t->db, t->e,
        "INSERT INTO audit(time, actor, action, profile, subject, before, after,"
        " revision, kind) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        "ittttttit", t->now, actor_of(t->change), action, p->name, subject, t->before, t->after,
        (int64_t)p->revision, t->store->words->kind);
}

/* Commits if rc is 0, else undoes all; releases the lock. */
static int end(struct transaction *t, int rc, const char *action, const char *subject,
               struct version_state *after)
{
    struct version_state *p = &t->row.state;
    if (rc == 0 && !t->unchanged) {
        p->revision++;
        p->updated = t->now;
        rc = write_object(t) != 0 || write_audit(t, action, subject) != 0 ||
                     database_commit(t->db, t->e) != 0
                 ? -1
                 : 0;
    }
    /* After a commit it does nothing. */
    database_rollback(t->db);
    pthread_mutex_unlock(&t->store->file->lock);
    if (rc == 0 && after) {
        *after = *p;
    }
    return rc;
}

/* The same, of a change of what is active: the audit says so. */
static int end_state(struct transaction *t, int rc, const char *action, uint64_t version,
                     struct version_state *after)
{
    char subject[24];
    snprintf(subject, sizeof(subject), "%" PRIu64, version);
    describe_state(&t->row.state, t->after);
    return end(t, rc, action, subject, after);
}

/* --- what is active --- */

/* `previous`: what a rollback from here goes back to. */
static int make_active(struct transaction *t, uint64_t version, int64_t previous)
{
    if (database_run(t->db, t->e,
                     "INSERT INTO activation(profile, version, previous, time)"
                     " VALUES(?1, ?2, nullif(?3, 0), ?4)",
                     "iiii", t->row.id, (int64_t)version, previous, t->now) != 0) {
        return -1;
    }
    t->row.activation = sqlite3_last_insert_rowid(t->db->handle);
    t->row.state.active = version;
    t->row.state.split = 0;
    t->row.state.split_percent = 0;
    return 0;
}

static int activate(struct transaction *t, uint64_t version)
{
    struct version_state *p = &t->row.state;
    if (store_require_version(t->store, &t->row, version, t->e) != 0) {
        return -1;
    }
    if (p->active != version) {
        return make_active(t, version, t->row.activation);
    }
    t->unchanged = p->split == 0;
    p->split = 0;
    p->split_percent = 0;
    return 0;
}

int version_store_activate(struct version_store *s, const char *name, uint64_t version,
                           const struct version_change *change, struct version_state *after,
                           struct err *e)
{
    struct transaction t;
    if (begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    return end_state(&t, activate(&t, version), "activate", version, after);
}

static int roll_back(struct transaction *t)
{
    struct query q;
    /* The chain is walked one by one, nearest first, and only as far as needed. */
    query_begin(&q, t->db, t->e,
                "WITH RECURSIVE way(version, previous) AS ("
                " SELECT version, previous FROM activation WHERE id = ?1"
                " UNION ALL SELECT a.version, a.previous FROM way w"
                " JOIN activation a ON a.id = w.previous)"
                " SELECT version, ifnull(previous, 0) FROM way WHERE version <> ?3 AND EXISTS("
                "  SELECT 1 FROM version v WHERE v.profile = ?2 AND v.number = way.version)"
                " LIMIT 1",
                "iii", t->row.activation, t->row.id, (int64_t)t->row.state.active);
    uint64_t version = 0;
    int64_t previous = 0;
    if (query_next(&q)) {
        version = (uint64_t)query_int(&q, 0);
        previous = query_int(&q, 1);
    }
    if (query_end(&q) != 0) {
        return -1;
    }
    if (version == 0) {
        return err_set_param(t->e, ERR_INVALID, "version",
                             "%s \"%s\" has no earlier version to go back to: activate one "
                             "by its number",
                             t->store->words->noun, t->row.state.name);
    }
    return make_active(t, version, previous);
}

int version_store_rollback(struct version_store *s, const char *name,
                           const struct version_change *change, struct version_state *after,
                           struct err *e)
{
    struct transaction t;
    if (begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    int rc = roll_back(&t);
    return end_state(&t, rc, "rollback", t.row.state.active, after);
}

static int split(struct transaction *t, uint64_t version, int percent)
{
    struct version_state *p = &t->row.state;
    if (percent < 0 || percent > 99) {
        return err_set_param(t->e, ERR_INVALID, "percent",
                             "\"percent\" is %d; 1 to 99, or 0 to end the split", percent);
    }
    if (percent == 0) {
        t->unchanged = p->split == 0;
        p->split = 0;
        p->split_percent = 0;
        return 0;
    }
    if (store_require_version(t->store, &t->row, version, t->e) != 0) {
        return -1;
    }
    if (p->active == 0 || p->active == version) {
        return err_set_param(t->e, ERR_INVALID, "version",
                             "a split needs an active version and another one beside it");
    }
    t->unchanged = p->split == version && p->split_percent == percent;
    p->split = version;
    p->split_percent = percent;
    return 0;
}

int version_store_split(struct version_store *s, const char *name, uint64_t version,
                        int percent, const struct version_change *change,
                        struct version_state *after, struct err *e)
{
    struct transaction t;
    if (begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    return end_state(&t, split(&t, version, percent), "split", version, after);
}

/* --- versions --- */

/* A new object, or one that was deleted and comes back with its numbers. */
static int ensure_object(struct transaction *t, const char *name)
{
    const struct version_words *words = t->store->words;
    if (t->is_there) {
        return 0;
    }
    struct query q;
    query_begin(&q, t->db, t->e, "SELECT count(*) FROM profile WHERE kind = ?1 AND NOT deleted",
                "t", words->kind);
    bool is_full = query_next(&q) && query_int(&q, 0) >= VERSION_OBJECTS_MAX;
    if (query_end(&q) != 0) {
        return -1;
    }
    if (is_full) {
        return err_set_param(t->e, ERR_LIMIT, words->param,
                             "there are %d %ss, which is the most: delete one",
                             VERSION_OBJECTS_MAX, words->noun);
    }
    if (t->row.id == 0) {
        if (database_run(t->db, t->e,
                         "INSERT INTO profile(kind, name, revision, latest, updated)"
                         " VALUES(?1, ?2, 0, 0, ?3)",
                         "tti", words->kind, name, t->now) != 0) {
            return -1;
        }
        t->row.id = sqlite3_last_insert_rowid(t->db->handle);
        snprintf(t->row.state.name, sizeof(t->row.state.name), "%s", name);
    }
    t->row.deleted = false;
    return 0;
}

/* The number of a version that is to be inserted: one that was given elsewhere, or the next. */
static int choose_number(struct transaction *t, const struct version_draft *draft,
                         uint64_t given, uint64_t *number)
{
    const struct version_state *o = &t->row.state;
    *number = given ? given : (o->latest > draft->above ? o->latest : draft->above) + 1;
    if (given == 0 || given > o->latest) {
        return 0;
    }
    struct query q;
    query_begin(&q, t->db, t->e, "SELECT 1 FROM version WHERE profile = ?1 AND number = ?2",
                "ii", t->row.id, (int64_t)given);
    bool is_taken = query_next(&q);
    if (query_end(&q) != 0) {
        return -1;
    }
    return is_taken ? err_set_param(t->e, ERR_CONFLICT, "version",
                                    "%s \"%s\" has a version %" PRIu64 " already",
                                    t->store->words->noun, o->name, given)
                    : 0;
}

static int insert_version(struct transaction *t, const struct version_draft *draft,
                          uint64_t number)
{
    struct version_state *o = &t->row.state;
    char content_sha256[HASH_HEX_LEN + 1];
    if (o->n_versions >= VERSION_COUNT_MAX) {
        return err_set_param(t->e, ERR_LIMIT, "version",
                             "%s \"%s\" has %d versions, which is the most: delete old ones",
                             t->store->words->noun, o->name, VERSION_COUNT_MAX);
    }
    if (hash_sha256_hex(draft->content, strlen(draft->content), content_sha256) != 0) {
        return err_set(t->e, ERR_IO, "SHA-256 is not available");
    }
    o->latest = o->latest > number ? o->latest : number;
    o->n_versions++;
    return database_run(t->db, t->e,
                        "INSERT INTO version(profile, number, sha256, created, mode, text_len,"
                        " author, note, content, content_sha256)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                        "iitiiitttt", t->row.id, (int64_t)number, draft->sha256, t->now,
                        (int64_t)draft->detail, (int64_t)draft->size, draft->author,
                        draft->note, draft->content, content_sha256);
}

int version_store_put(struct version_store *s, const char *name,
                      const struct version_draft *draft, bool activates,
                      const struct version_change *change, struct version_stored *stored,
                      struct version_state *after, struct err *e)
{
    struct transaction t;
    if (version_name_check(name, s->words->param, e) != 0 ||
        begin(&t, s, name, false, change, e) != 0) {
        return -1;
    }
    uint64_t number = 0;
    int rc = ensure_object(&t, name);
    if (rc == 0) {
        rc = choose_number(&t, draft, change ? change->number : 0, &number);
    }
    if (rc == 0) {
        rc = insert_version(&t, draft, number);
    }
    const struct version_stored made = {number, t.now};
    if (rc == 0 && activates) {
        rc = make_active(&t, made.number, t.row.activation);
    }
    rc = end_state(&t, rc, "put", made.number, after);
    if (rc == 0 && stored) {
        *stored = made;
    }
    return rc;
}

static int check_unused(struct transaction *t, uint64_t version)
{
    const struct version_state *p = &t->row.state;
    if (version == p->active) {
        return err_set_param(t->e, ERR_INVALID, "version",
                             "version %" PRIu64 " is active: activate another one first",
                             version);
    }
    if (version == p->split) {
        return err_set_param(t->e, ERR_INVALID, "version",
                             "version %" PRIu64 " gets a share of the requests: end the split "
                             "first",
                             version);
    }
    struct query q;
    query_begin(&q, t->db, t->e,
                "SELECT name FROM label WHERE profile = ?1 AND version = ?2 LIMIT 1", "ii",
                t->row.id, (int64_t)version);
    if (query_next(&q)) {
        q.failed = true;
        err_set_param(t->e, ERR_INVALID, "version",
                      "version %" PRIu64 " has the label \"%s\": remove or move it first",
                      version, query_text(&q, 0));
    }
    return query_end(&q);
}

static int delete_version(struct transaction *t, uint64_t version)
{
    if (store_require_version(t->store, &t->row, version, t->e) != 0 ||
        check_unused(t, version) != 0) {
        return -1;
    }
    t->row.state.n_versions--;
    return database_run(t->db, t->e, "DELETE FROM version WHERE profile = ?1 AND number = ?2",
                        "ii", t->row.id, (int64_t)version);
}

int version_store_delete_version(struct version_store *s, const char *name, uint64_t version,
                                 const struct version_change *change,
                                 struct version_state *after, struct err *e)
{
    struct transaction t;
    if (begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    return end_state(&t, delete_version(&t, version), "delete_version", version, after);
}

static int delete_object(struct transaction *t)
{
    static const char *const tables[] = {
        "DELETE FROM label WHERE profile = ?1",
        "DELETE FROM version WHERE profile = ?1",
        "UPDATE activation SET previous = NULL WHERE profile = ?1",
        "DELETE FROM activation WHERE profile = ?1",
    };
    struct version_state *p = &t->row.state;
    if (strcmp(p->name, VERSION_DEFAULT_NAME) == 0) {
        return err_set_param(t->e, ERR_INVALID, t->store->words->param,
                             "the %s \"default\" cannot be deleted: %s", t->store->words->param,
                             t->store->words->empty);
    }
    p->active = 0;
    p->split = 0;
    p->split_percent = 0;
    p->n_versions = 0;
    t->row.activation = 0;
    t->row.deleted = true;
    /* First: what is active may not be deleted. */
    int rc = write_object(t);
    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        rc = database_run(t->db, t->e, tables[i], "i", t->row.id);
    }
    return rc;
}

int version_store_delete(struct version_store *s, const char *name,
                         const struct version_change *change, struct version_state *after,
                         struct err *e)
{
    struct transaction t;
    if (begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    char action[VERSION_ACTION_MAX + 1];
    snprintf(action, sizeof(action), "delete_%s", s->words->param);
    return end(&t, delete_object(&t), action, "", after);
}

/* --- labels --- */

/* A label can be told from the other ways to name a version. */
static int check_label(const char *label, struct err *e)
{
    if (version_name_check(label, "label", e) != 0) {
        return -1;
    }
    bool is_number = strspn(label, "0123456789") == strlen(label);
    return is_number || strcmp(label, "active") == 0 || strcmp(label, "latest") == 0
               ? err_set_param(e, ERR_INVALID, "label",
                               "\"%s\" cannot be a label: it names a version already", label)
               : 0;
}

static int check_room_for_label(struct transaction *t)
{
    struct query q;
    query_begin(&q, t->db, t->e, "SELECT count(*) FROM label WHERE profile = ?1", "i",
                t->row.id);
    bool is_full = query_next(&q) && query_int(&q, 0) >= VERSION_LABELS_MAX;
    if (query_end(&q) != 0) {
        return -1;
    }
    return is_full ? err_set_param(t->e, ERR_LIMIT, "label",
                                   "%s \"%s\" has %d labels, which is the most: remove one",
                                   t->store->words->noun, t->row.state.name, VERSION_LABELS_MAX)
                   : 0;
}

static void describe_label(uint64_t version, char out[VERSION_STATE_MAX])
{
    if (version) {
        snprintf(out, VERSION_STATE_MAX, "%" PRIu64, version);
    } else {
        out[0] = '\0';
    }
}

static int set_label(struct transaction *t, const char *label, uint64_t version)
{
    uint64_t old;
    if (store_require_version(t->store, &t->row, version, t->e) != 0 ||
        store_find_label(t->store, &t->row, label, &old, t->e) != 0 ||
        (old == 0 && check_room_for_label(t) != 0)) {
        return -1;
    }
    t->unchanged = old == version;
    describe_label(old, t->before);
    describe_label(version, t->after);
    return database_run(t->db, t->e,
                        "INSERT INTO label(profile, name, version) VALUES(?1, ?2, ?3)"
                        " ON CONFLICT DO UPDATE SET version = excluded.version",
                        "iti", t->row.id, label, (int64_t)version);
}

int version_store_set_label(struct version_store *s, const char *name, const char *label,
                            uint64_t version, const struct version_change *change,
                            struct version_state *after, struct err *e)
{
    struct transaction t;
    if (check_label(label, e) != 0 || begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    return end(&t, set_label(&t, label, version), "label", label, after);
}

static int remove_label(struct transaction *t, const char *label)
{
    uint64_t old;
    if (store_find_label(t->store, &t->row, label, &old, t->e) != 0) {
        return -1;
    }
    if (old == 0) {
        return store_no_label(t->store, &t->row, label, t->e);
    }
    describe_label(old, t->before);
    return database_run(t->db, t->e, "DELETE FROM label WHERE profile = ?1 AND name = ?2", "it",
                        t->row.id, label);
}

int version_store_remove_label(struct version_store *s, const char *name, const char *label,
                               const struct version_change *change, struct version_state *after,
                               struct err *e)
{
    struct transaction t;
    if (begin(&t, s, name, true, change, e) != 0) {
        return -1;
    }
    return end(&t, remove_label(&t, label), "unlabel", label, after);
}

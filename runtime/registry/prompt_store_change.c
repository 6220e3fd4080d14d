/* The changes of prompt_store.h. Each is one transaction: the profile is read, changed in
 * memory and in its other tables, and written back with its next revision and an audit row. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/registry/prompt_store_parts.h"

struct transaction {
    struct prompt_store *store;
    struct database *db;
    const struct prompt_change *change;
    struct err *e;
    struct profile_row row; /* as it was found; then as it shall be */
    bool is_there;
    bool unchanged; /* it is so already: nothing is written */
    int64_t now;
    /* For the audit; changes of labels write their own. */
    char before[PROMPT_STATE_MAX];
    char after[PROMPT_STATE_MAX];
};

/* --- frame --- */

static void describe_state(const struct prompt_profile *p, char out[PROMPT_STATE_MAX])
{
    if (p->split) {
        snprintf(out, PROMPT_STATE_MAX, "%" PRIu64 " and %d%% %" PRIu64, p->active,
                 p->split_percent, p->split);
    } else if (p->active) {
        snprintf(out, PROMPT_STATE_MAX, "%" PRIu64, p->active);
    } else {
        out[0] = '\0';
    }
}

static const char *actor_of(const struct prompt_change *change)
{
    return change->actor ? change->actor : "";
}

static int check_actor(const struct prompt_change *change, struct err *e)
{
    const char *actor = actor_of(change);
    return strlen(actor) <= PROMPT_ACTOR_MAX && utf8_is_valid(actor, strlen(actor))
               ? 0
               : err_set_param(e, ERR_INVALID, "actor",
                               "the actor must be UTF-8 of at most %d bytes", PROMPT_ACTOR_MAX);
}

static int check_conditions(const struct transaction *t)
{
    const struct prompt_profile *p = &t->row.profile;
    const struct prompt_change *c = t->change;
    if (c->if_new && t->is_there) {
        return err_set_param(t->e, ERR_CONFLICT, "if-none-match",
                             "prompt profile \"%s\" exists already", p->name);
    }
    if (c->if_match && !t->is_there) {
        return err_set_param(t->e, ERR_CONFLICT, "if-match",
                             "the prompt profile does not exist any more");
    }
    if (c->if_match && c->if_match != p->revision) {
        return err_set_param(t->e, ERR_CONFLICT, "if-match",
                             "prompt profile \"%s\" is at revision %" PRIu64 ", not %" PRIu64
                             ": read it again",
                             p->name, p->revision, c->if_match);
    }
    return 0;
}

/* Takes the lock and begins. After a failure nothing is to be ended. */
static int begin(struct transaction *t, struct prompt_store *s, const char *profile,
                 bool must_be_there, const struct prompt_change *change, struct err *e)
{
    *t = (struct transaction){
        .store = s, .db = &s->database, .change = change, .e = e, .now = clock_unix_s()};
    if (check_actor(change, e) != 0) {
        return -1;
    }
    pthread_mutex_lock(&s->lock);
    if (database_begin(t->db, e) != 0) {
        pthread_mutex_unlock(&s->lock);
        return -1;
    }
    int rc = must_be_there ? store_require_profile(s, profile, &t->row, e)
                           : store_find_profile(s, profile, &t->row, e);
    t->is_there = t->row.id != 0 && !t->row.deleted;
    if (rc == 0) {
        rc = check_conditions(t);
    }
    if (rc != 0) {
        database_rollback(t->db);
        pthread_mutex_unlock(&s->lock);
        return -1;
    }
    describe_state(&t->row.profile, t->before);
    return 0;
}

static int write_profile(const struct transaction *t)
{
    const struct prompt_profile *p = &t->row.profile;
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
    const struct prompt_profile *p = &t->row.profile;
    return database_run(
        t->db, t->e,
        "INSERT INTO audit(time, actor, action, profile, subject, before, after,"
        " revision) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        "itttttti", t->now, actor_of(t->change), action, p->name, subject, t->before, t->after,
        (int64_t)p->revision);
}

/* Commits if rc is 0, else undoes all; releases the lock. */
static int end(struct transaction *t, int rc, const char *action, const char *subject,
               struct prompt_profile *after)
{
    struct prompt_profile *p = &t->row.profile;
    if (rc == 0 && !t->unchanged) {
        p->revision++;
        p->updated = t->now;
        rc = write_profile(t) != 0 || write_audit(t, action, subject) != 0 ||
                     database_commit(t->db, t->e) != 0
                 ? -1
                 : 0;
    }
    /* After a commit it does nothing. */
    database_rollback(t->db);
    pthread_mutex_unlock(&t->store->lock);
    if (rc == 0 && after) {
        *after = *p;
    }
    return rc;
}

/* The same, of a change of what is active: the audit says so. */
static int end_state(struct transaction *t, int rc, const char *action, uint64_t version,
                     struct prompt_profile *after)
{
    char subject[24];
    snprintf(subject, sizeof(subject), "%" PRIu64, version);
    describe_state(&t->row.profile, t->after);
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
    t->row.profile.active = version;
    t->row.profile.split = 0;
    t->row.profile.split_percent = 0;
    return 0;
}

static int activate(struct transaction *t, uint64_t version)
{
    struct prompt_profile *p = &t->row.profile;
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

int prompt_store_activate(struct prompt_store *s, const char *profile, uint64_t version,
                          const struct prompt_change *change, struct prompt_profile *after,
                          struct err *e)
{
    struct transaction t;
    if (begin(&t, s, profile, true, change, e) != 0) {
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
                "iii", t->row.activation, t->row.id, (int64_t)t->row.profile.active);
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
                             "prompt profile \"%s\" has no earlier version to go back to: "
                             "activate one by its number",
                             t->row.profile.name);
    }
    return make_active(t, version, previous);
}

int prompt_store_rollback(struct prompt_store *s, const char *profile,
                          const struct prompt_change *change, struct prompt_profile *after,
                          struct err *e)
{
    struct transaction t;
    if (begin(&t, s, profile, true, change, e) != 0) {
        return -1;
    }
    int rc = roll_back(&t);
    return end_state(&t, rc, "rollback", t.row.profile.active, after);
}

static int split(struct transaction *t, uint64_t version, int percent)
{
    struct prompt_profile *p = &t->row.profile;
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

int prompt_store_split(struct prompt_store *s, const char *profile, uint64_t version,
                       int percent, const struct prompt_change *change,
                       struct prompt_profile *after, struct err *e)
{
    struct transaction t;
    if (begin(&t, s, profile, true, change, e) != 0) {
        return -1;
    }
    return end_state(&t, split(&t, version, percent), "split", version, after);
}

/* --- versions --- */

/* A new profile, or one that was deleted and comes back with its numbers. */
static int ensure_profile(struct transaction *t, const char *name)
{
    if (t->is_there) {
        return 0;
    }
    struct query q;
    query_begin(&q, t->db, t->e, "SELECT count(*) FROM profile WHERE NOT deleted", "");
    bool is_full = query_next(&q) && query_int(&q, 0) >= PROMPT_PROFILES_MAX;
    if (query_end(&q) != 0) {
        return -1;
    }
    if (is_full) {
        return err_set_param(t->e, ERR_LIMIT, "profile",
                             "there are %d prompt profiles, which is the most: delete one",
                             PROMPT_PROFILES_MAX);
    }
    if (t->row.id == 0) {
        if (database_run(t->db, t->e,
                         "INSERT INTO profile(name, revision, latest, updated)"
                         " VALUES(?1, 0, 0, ?2)",
                         "ti", name, t->now) != 0) {
            return -1;
        }
        t->row.id = sqlite3_last_insert_rowid(t->db->handle);
        snprintf(t->row.profile.name, sizeof(t->row.profile.name), "%s", name);
    }
    t->row.deleted = false;
    return 0;
}

static int insert_version(struct transaction *t, const struct prompt *draft,
                          const char *content)
{
    struct prompt_profile *p = &t->row.profile;
    if (p->n_versions >= PROMPT_VERSIONS_MAX) {
        return err_set_param(t->e, ERR_LIMIT, "version",
                             "prompt profile \"%s\" has %d versions, which is the most: delete "
                             "old ones",
                             p->name, PROMPT_VERSIONS_MAX);
    }
    p->latest++;
    p->n_versions++;
    return database_run(t->db, t->e,
                        "INSERT INTO version(profile, number, sha256, created, mode, text_len,"
                        " author, note, content) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                        "iitiiittt", t->row.id, (int64_t)p->latest, draft->sha256, t->now,
                        (int64_t)draft->mode, (int64_t)draft->text_len, draft->author,
                        draft->note, content);
}

static int put(struct transaction *t, const char *profile, struct prompt *draft, bool activates,
               const char *content, struct prompt_profile *after)
{
    int rc = ensure_profile(t, profile);
    if (rc == 0) {
        rc = insert_version(t, draft, content);
    }
    uint64_t version = t->row.profile.latest;
    if (rc == 0 && activates) {
        rc = make_active(t, version, t->row.activation);
    }
    rc = end_state(t, rc, "put", version, after);
    if (rc == 0) {
        prompt_set_version(draft, profile, version, t->now);
    }
    return rc;
}

int prompt_store_put(struct prompt_store *s, const char *profile, struct prompt *draft,
                     bool activates, const struct prompt_change *change,
                     struct prompt_profile *after, struct err *e)
{
    if (prompt_name_check(profile, "profile", e) != 0 || prompt_check(draft, e) != 0) {
        return -1;
    }
    size_t len;
    char *content = prompt_content_json(draft, &len);
    if (!content) {
        return err_nomem(e);
    }
    struct transaction t;
    int rc = begin(&t, s, profile, false, change, e);
    if (rc == 0) {
        rc = put(&t, profile, draft, activates, content, after);
    }
    mem_free(content);
    return rc;
}

static int check_unused(struct transaction *t, uint64_t version)
{
    const struct prompt_profile *p = &t->row.profile;
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
    t->row.profile.n_versions--;
    return database_run(t->db, t->e, "DELETE FROM version WHERE profile = ?1 AND number = ?2",
                        "ii", t->row.id, (int64_t)version);
}

int prompt_store_delete_version(struct prompt_store *s, const char *profile, uint64_t version,
                                const struct prompt_change *change,
                                struct prompt_profile *after, struct err *e)
{
    struct transaction t;
    if (begin(&t, s, profile, true, change, e) != 0) {
        return -1;
    }
    return end_state(&t, delete_version(&t, version), "delete_version", version, after);
}

static int delete_profile(struct transaction *t)
{
    static const char *const tables[] = {
        "DELETE FROM label WHERE profile = ?1",
        "DELETE FROM version WHERE profile = ?1",
        "UPDATE activation SET previous = NULL WHERE profile = ?1",
        "DELETE FROM activation WHERE profile = ?1",
    };
    struct prompt_profile *p = &t->row.profile;
    if (strcmp(p->name, "default") == 0) {
        return err_set_param(t->e, ERR_INVALID, "profile",
                             "the profile \"default\" cannot be deleted: put a version with an "
                             "empty text");
    }
    p->active = 0;
    p->split = 0;
    p->split_percent = 0;
    p->n_versions = 0;
    t->row.activation = 0;
    t->row.deleted = true;
    /* First: what is active may not be deleted. */
    int rc = write_profile(t);
    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        rc = database_run(t->db, t->e, tables[i], "i", t->row.id);
    }
    return rc;
}

int prompt_store_delete_profile(struct prompt_store *s, const char *profile,
                                const struct prompt_change *change,
                                struct prompt_profile *after, struct err *e)
{
    struct transaction t;
    if (begin(&t, s, profile, true, change, e) != 0) {
        return -1;
    }
    return end(&t, delete_profile(&t), "delete_profile", "", after);
}

/* --- labels --- */

/* A label can be told from the other ways to name a version. */
static int check_label(const char *label, struct err *e)
{
    if (prompt_name_check(label, "label", e) != 0) {
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
    bool is_full = query_next(&q) && query_int(&q, 0) >= PROMPT_LABELS_MAX;
    if (query_end(&q) != 0) {
        return -1;
    }
    return is_full ? err_set_param(t->e, ERR_LIMIT, "label",
                                   "prompt profile \"%s\" has %d labels, which is the most: "
                                   "remove one",
                                   t->row.profile.name, PROMPT_LABELS_MAX)
                   : 0;
}

static void describe_label(uint64_t version, char out[PROMPT_STATE_MAX])
{
    if (version) {
        snprintf(out, PROMPT_STATE_MAX, "%" PRIu64, version);
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

int prompt_store_set_label(struct prompt_store *s, const char *profile, const char *label,
                           uint64_t version, const struct prompt_change *change,
                           struct prompt_profile *after, struct err *e)
{
    struct transaction t;
    if (check_label(label, e) != 0 || begin(&t, s, profile, true, change, e) != 0) {
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
        return store_no_label(&t->row, label, t->e);
    }
    describe_label(old, t->before);
    return database_run(t->db, t->e, "DELETE FROM label WHERE profile = ?1 AND name = ?2", "it",
                        t->row.id, label);
}

int prompt_store_remove_label(struct prompt_store *s, const char *profile, const char *label,
                              const struct prompt_change *change, struct prompt_profile *after,
                              struct err *e)
{
    struct transaction t;
    if (begin(&t, s, profile, true, change, e) != 0) {
        return -1;
    }
    return end(&t, remove_label(&t, label), "unlabel", label, after);
}

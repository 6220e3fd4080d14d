/* The changes of model_store.h. Each is one transaction: the model is read, changed in memory
 * and in its other tables, and written back with its next revision and an audit row. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/registry/model_store_parts.h"

#define SERVER_ITSELF "weir"

struct transaction {
    struct database *db;
    const struct model_change *change;
    struct err *e;
    int64_t id;
    struct model_record record; /* as it was found; then as it shall be */
    int64_t now;
    char before[VERSION_STATE_MAX];
    char after[VERSION_STATE_MAX];
};

static const char *const names[MODEL_ACTIONS] = {
    [MODEL_ACTION_PUBLISH] = "publish",
    [MODEL_ACTION_ACTIVATE] = "activate",
    [MODEL_ACTION_ROLLBACK] = "rollback",
    [MODEL_ACTION_RELOAD] = "reload",
    [MODEL_ACTION_FALLBACK] = "fallback",
    [MODEL_ACTION_LOAD] = "load",
    [MODEL_ACTION_UNLOAD] = "unload",
    [MODEL_ACTION_LOAD_FAILED] = "load_failed",
    [MODEL_ACTION_GATE_FAILED] = "gate_failed",
    [MODEL_ACTION_SPLIT] = "split",
    [MODEL_ACTION_SHADOW] = "shadow",
    [MODEL_ACTION_LABEL] = "label",
    [MODEL_ACTION_UNLABEL] = "unlabel",
    [MODEL_ACTION_CANARY_BEGIN] = "canary_begin",
    [MODEL_ACTION_CANARY_PROGRESS] = "canary_progress",
    [MODEL_ACTION_CANARY_PROMOTE] = "canary_promote",
    [MODEL_ACTION_CANARY_ROLLBACK] = "canary_rollback",
    [MODEL_ACTION_CANARY_END] = "canary_end",
};

const char *model_action_name(enum model_action action)
{
    return names[action];
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* --- what the audit says --- */

/* "3 and 10% 4, shadow 5% 5, canary 4" */
static void describe(const struct model_record *r, char out[VERSION_STATE_MAX])
{
    size_t len = (size_t)snprintf(out, VERSION_STATE_MAX, "%s", r->active.version);
    if (r->split.percent > 0) {
        len += (size_t)snprintf(out + len, VERSION_STATE_MAX - len, " and %d%% %s",
                                r->split.percent, r->split.version);
    }
    if (r->shadow.percent > 0) {
        len += (size_t)snprintf(out + len, VERSION_STATE_MAX - len, ", shadow %d%% %s",
                                r->shadow.percent, r->shadow.version);
    }
    if (r->canary[0]) {
        snprintf(out + len, VERSION_STATE_MAX - len, ", canary %s", r->canary);
    }
}

/* A label's or version's name, whichever it is about. */
static const char *subject_of(const struct model_change *c)
{
    return c->label ? c->label : or_empty(c->version);
}

/* Whole characters of the first VERSION_REASON_MAX bytes. */
static void cut_reason(const char *reason, char out[VERSION_REASON_MAX + 1])
{
    size_t len = strlen(reason);
    len = len < VERSION_REASON_MAX ? len : VERSION_REASON_MAX;
    while (len > 0 && ((unsigned char)reason[len] & 0xC0) == 0x80) {
        len--;
    }
    memcpy(out, reason, len);
    out[len] = '\0';
}

static int write_audit(const struct transaction *t)
{
    const struct model_change *c = t->change;
    char reason[VERSION_REASON_MAX + 1];
    cut_reason(or_empty(c->reason), reason);
    return database_run(t->db, t->e,
                        "INSERT INTO audit(time, actor, action, profile, subject, before,"
                        " after, revision, kind, reason)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                        "ittttttitt", t->now, c->who ? c->who : SERVER_ITSELF, names[c->action],
                        t->record.name, subject_of(c), t->before, t->after,
                        (int64_t)t->record.revision, version_kind_name(VERSION_MODELS), reason);
}

/* --- checks --- */

static int check_name(const char *name, const char *param, bool is_needed, struct err *e)
{
    return name        ? version_name_check(name, param, e)
           : is_needed ? err_set_param(e, ERR_INVALID, param, "the change needs \"%s\"", param)
                       : 0;
}

static int check(const char *name, const struct model_change *c, struct err *e)
{
    const char *who = or_empty(c->who);
    if (strlen(who) > VERSION_ACTOR_MAX || !utf8_is_valid(who, strlen(who))) {
        return err_set_param(e, ERR_INVALID, "actor",
                             "the actor must be UTF-8 of at most %d bytes", VERSION_ACTOR_MAX);
    }
    bool has_share = c->action == MODEL_ACTION_SPLIT || c->action == MODEL_ACTION_SHADOW;
    if (has_share && (c->percent < 0 || c->percent > 100)) {
        return err_set_param(e, ERR_INVALID, "percent", "\"percent\" is %d; 0 to 100",
                             c->percent);
    }
    bool is_label = c->action == MODEL_ACTION_LABEL || c->action == MODEL_ACTION_UNLABEL;
    bool ends_canary =
        c->action == MODEL_ACTION_CANARY_PROMOTE || c->action == MODEL_ACTION_CANARY_ROLLBACK;
    bool needs_version =
        ends_canary || c->action < MODEL_ACTION_LOAD || c->action == MODEL_ACTION_LOAD_FAILED ||
        c->action == MODEL_ACTION_GATE_FAILED || c->action == MODEL_ACTION_LABEL ||
        c->action == MODEL_ACTION_CANARY_BEGIN || (has_share && c->percent > 0);
    return check_name(name, "model", true, e) == 0 &&
                   check_name(c->version, "version", needs_version, e) == 0 &&
                   check_name(c->replaced, "replaced", false, e) == 0
               ? check_name(c->label, "label", is_label, e)
               : -1;
}

/* --- what serves --- */

static int push_past(const struct transaction *t)
{
    const struct model_change *c = t->change;
    if (database_run(t->db, t->e,
                     "INSERT INTO model_past(model, version, sha256, time)"
                     " VALUES(?1, ?2, ?3, ?4)",
                     "itti", t->id, c->replaced, or_empty(c->replaced_sha256), t->now) != 0) {
        return -1;
    }
    return database_run(t->db, t->e,
                        "DELETE FROM model_past WHERE model = ?1 AND id NOT IN (SELECT id FROM"
                        " model_past WHERE model = ?1 ORDER BY id DESC LIMIT ?2)",
                        "ii", t->id, (int64_t)MODEL_STORE_PAST_MAX);
}

/* The latest time that it served, and what came after. */
static int pop_past(const struct transaction *t)
{
    return database_run(t->db, t->e,
                        "DELETE FROM model_past WHERE model = ?1 AND id >= (SELECT max(id) FROM"
                        " model_past WHERE model = ?1 AND version = ?2)",
                        "it", t->id, t->change->version);
}

/* `problem` is "" where it can serve. */
static int know(const struct transaction *t, const char *problem, const char *report)
{
    const struct model_change *c = t->change;
    if (c->stamp == 0) {
        return 0;
    }
    if (database_run(t->db, t->e,
                     "INSERT INTO model_known(model, version, stamp, problem, report)"
                     " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(model, version) DO UPDATE SET"
                     " stamp = ?3, problem = ?4, report = ?5",
                     "ititt", t->id, c->version, (int64_t)c->stamp, problem, report) != 0) {
        return -1;
    }
    return database_run(t->db, t->e,
                        "DELETE FROM model_known WHERE model = ?1 AND id NOT IN (SELECT id FROM"
                        " model_known WHERE model = ?1 ORDER BY id DESC LIMIT ?2)",
                        "ii", t->id, (int64_t)MODEL_STORE_KNOWN_MAX);
}

/* What is known of files that have not changed stays. */
static int see_all(const struct transaction *t)
{
    const struct model_change *c = t->change;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->n_seen; i++) {
        rc = database_run(t->db, t->e,
                          "INSERT INTO model_known(model, version, stamp, problem, report)"
                          " VALUES(?1, ?2, ?3, '', '') ON CONFLICT(model, version) DO UPDATE"
                          " SET stamp = ?3, problem = '', report = '' WHERE stamp <> ?3",
                          "iti", t->id, c->seen[i].version, (int64_t)c->seen[i].stamp);
    }
    return rc;
}

static int serve(struct transaction *t)
{
    const struct model_change *c = t->change;
    struct model_record *r = &t->record;
    bool is_other = strcmp(r->active.version, c->version) != 0;
    if (c->action == MODEL_ACTION_RELOAD && is_other && r->active.version[0]) {
        return know(
            t, "",
            c->action == MODEL_ACTION_CANARY_PROMOTE
                ? ""
                : or_empty(c->text)); /* of one that serves in the place of what is wanted */
    }
    /* A canary that somebody has activated is counted as promoted afterwards. */
    bool was_served = c->action == MODEL_ACTION_CANARY_PROMOTE && !is_other;
    bool pushes = c->action != MODEL_ACTION_ROLLBACK && c->replaced && !was_served &&
                  strcmp(c->replaced, c->version) != 0;
    if ((pushes && push_past(t) != 0) ||
        (c->action == MODEL_ACTION_ROLLBACK && is_other && pop_past(t) != 0) ||
        see_all(t) != 0) {
        return -1;
    }
    snprintf(r->active.version, sizeof(r->active.version), "%s", c->version);
    snprintf(r->active.sha256, sizeof(r->active.sha256), "%s", or_empty(c->sha256));
    bool is_automatic = c->action == MODEL_ACTION_PUBLISH ||
                        (c->action == MODEL_ACTION_CANARY_PROMOTE && !c->who);
    if (c->action != MODEL_ACTION_RELOAD && !was_served) {
        r->is_chosen = !is_automatic;
    }
    return know(t, "", c->action == MODEL_ACTION_CANARY_PROMOTE ? "" : or_empty(c->text));
}

/* --- traffic, labels, canaries --- */

static void set_share(struct model_store_share *share, const struct model_change *c)
{
    share->percent = c->percent;
    share->is_by_conversation = c->percent > 0 && c->is_by_conversation;
    snprintf(share->version, sizeof(share->version), "%s", c->percent > 0 ? c->version : "");
}

/* The audit says what the label stood for and stands for. */
static int set_label(struct transaction *t)
{
    const struct model_change *c = t->change;
    struct query q;
    int64_t n = 0;
    query_begin(&q, t->db, t->e,
                "SELECT (SELECT version FROM model_label WHERE model = ?1 AND name = ?2),"
                " (SELECT count(*) FROM model_label WHERE model = ?1)",
                "it", t->id, c->label);
    t->before[0] = '\0';
    if (query_next(&q)) {
        query_copy(&q, 0, t->before, sizeof(t->before));
        n = query_int(&q, 1);
    }
    if (query_end(&q) != 0) {
        return -1;
    }
    const char *version = c->action == MODEL_ACTION_LABEL ? c->version : "";
    snprintf(t->after, sizeof(t->after), "%s", version);
    if (c->action == MODEL_ACTION_UNLABEL) {
        return database_run(t->db, t->e,
                            "DELETE FROM model_label WHERE model = ?1 AND name = ?2", "it",
                            t->id, c->label);
    }
    if (!t->before[0] && n >= MODEL_STORE_LABELS_MAX) {
        return err_set_param(t->e, ERR_LIMIT, "label",
                             "%s has %d labels, which is the most: remove one", t->record.name,
                             MODEL_STORE_LABELS_MAX);
    }
    return database_run(t->db, t->e,
                        "INSERT INTO model_label(model, name, version) VALUES(?1, ?2, ?3)"
                        " ON CONFLICT(model, name) DO UPDATE SET version = ?3",
                        "itt", t->id, c->label, version);
}

static int replace(char **text, const char *by, struct err *e)
{
    char *copy = mem_strdup(or_empty(by));
    if (!copy) {
        return err_nomem(e);
    }
    mem_free(*text);
    *text = copy;
    return 0;
}

/* Its share takes the place of another. */
static int begin_canary(struct transaction *t)
{
    struct model_record *r = &t->record;
    snprintf(r->canary, sizeof(r->canary), "%s", t->change->version);
    r->split = (struct model_store_share){.percent = 0};
    if (know(t, "", "") != 0) {
        return -1;
    }
    return replace(&r->canary_plan, t->change->text, t->e) == 0
               ? replace(&r->canary_report, "", t->e)
               : -1;
}

/* Its report stays to be read. */
static int end_canary(struct transaction *t)
{
    struct model_record *r = &t->record;
    r->canary[0] = '\0';
    if (t->change->percent > 0) {
        set_share(&r->split, t->change);
    }
    return replace(&r->canary_plan, "", t->e) == 0 &&
                   (!t->change->text || replace(&r->canary_report, t->change->text, t->e) == 0)
               ? 0
               : -1;
}

/* --- the frame --- */

static int apply(struct transaction *t)
{
    const struct model_change *c = t->change;
    switch (c->action) {
    case MODEL_ACTION_PUBLISH:
    case MODEL_ACTION_ACTIVATE:
    case MODEL_ACTION_ROLLBACK:
    case MODEL_ACTION_RELOAD:
        return serve(t);
    case MODEL_ACTION_LOAD_FAILED:
    case MODEL_ACTION_GATE_FAILED:
        return know(t, c->reason && c->reason[0] ? c->reason : "it could not be loaded",
                    or_empty(c->text));
    case MODEL_ACTION_SPLIT:
        set_share(&t->record.split, c);
        return 0;
    case MODEL_ACTION_SHADOW:
        set_share(&t->record.shadow, c);
        return 0;
    case MODEL_ACTION_LABEL:
    case MODEL_ACTION_UNLABEL:
        return set_label(t);
    case MODEL_ACTION_CANARY_BEGIN:
        return begin_canary(t);
    case MODEL_ACTION_CANARY_PROGRESS:
        return replace(&t->record.canary_plan, c->text, t->e);
    case MODEL_ACTION_CANARY_PROMOTE:
        return serve(t) == 0 ? end_canary(t) : -1;
    case MODEL_ACTION_CANARY_ROLLBACK:
        return know(t, or_empty(c->reason), "") == 0 ? end_canary(t) : -1;
    case MODEL_ACTION_CANARY_END:
        return end_canary(t);
    case MODEL_ACTION_FALLBACK:
    case MODEL_ACTION_LOAD:
    case MODEL_ACTION_UNLOAD:
    case MODEL_ACTIONS:
        break;
    }
    return 0;
}

static void describe_after(struct transaction *t)
{
    enum model_action action = t->change->action;
    if (action == MODEL_ACTION_FALLBACK) {
        snprintf(t->after, sizeof(t->after), "%s", t->change->version);
    } else if (action != MODEL_ACTION_LABEL && action != MODEL_ACTION_UNLABEL) {
        describe(&t->record, t->after);
    }
}

static int ensure_row(struct transaction *t)
{
    if (t->id != 0) {
        return 0;
    }
    if (database_run(t->db, t->e,
                     "INSERT INTO model(name, revision, updated, active, sha256, is_chosen,"
                     " split, split_percent, split_by_text, shadow, shadow_percent, canary,"
                     " canary_plan, canary_report)"
                     " VALUES(?1, 0, ?2, '', '', 0, '', 0, 0, '', 0, '', '', '')",
                     "ti", t->record.name, t->now) != 0) {
        return -1;
    }
    t->id = sqlite3_last_insert_rowid(t->db->handle);
    return 0;
}

static int write_row(const struct transaction *t)
{
    const struct model_record *r = &t->record;
    return database_run(
        t->db, t->e,
        "UPDATE model SET revision = ?2, updated = ?3, active = ?4, sha256 = ?5,"
        " is_chosen = ?6, split = ?7, split_percent = ?8, shadow = ?9, shadow_percent = ?10,"
        " canary = ?11, canary_plan = ?12, canary_report = ?13, split_by_text = ?14"
        " WHERE id = ?1",
        "iiittititittti", t->id, (int64_t)r->revision, t->now, r->active.version,
        r->active.sha256, (int64_t)r->is_chosen, r->split.version, (int64_t)r->split.percent,
        r->shadow.version, (int64_t)r->shadow.percent, r->canary, r->canary_plan,
        r->canary_report, (int64_t)r->split.is_by_conversation);
}

static int change_found(struct transaction *t, struct model_record *after)
{
    describe(&t->record, t->before);
    if (ensure_row(t) != 0 || apply(t) != 0) {
        return -1;
    }
    describe_after(t);
    t->record.revision++;
    t->record.updated = t->now;
    if (write_row(t) != 0 ||
        (t->change->action != MODEL_ACTION_CANARY_PROGRESS && write_audit(t) != 0)) {
        return -1;
    }
    return after ? model_store_read_lists(t->db, t->id, &t->record, t->e) : 0;
}

int model_store_change(struct version_database *d, const char *name,
                       const struct model_change *change, struct model_record *after,
                       struct err *e)
{
    struct transaction t = {
        .db = &d->database, .change = change, .e = e, .now = clock_unix_s()};
    if (check(name, change, e) != 0) {
        return -1;
    }
    pthread_mutex_lock(&d->lock);
    int rc = database_begin(t.db, e);
    if (rc == 0) {
        rc = model_store_find(t.db, name, &t.id, &t.record, e);
        rc = rc == 0 ? change_found(&t, after) : -1;
        rc = database_end(t.db, rc, e);
    }
    pthread_mutex_unlock(&d->lock);
    if (rc == 0 && after) {
        *after = t.record;
    } else {
        model_record_deinit(&t.record);
    }
    return rc;
}

#include "runtime/serve/fleet.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/fleet_parts.h"

#define KEPT_SUFFIX    ".fleet"
#define KEPT_BYTES_MAX ((size_t)4 << 20)
#define BUSY_MS        20   /* between looks at what is under way */
#define IDLE_MS        1000 /* at what should not have changed */

/* --- the things --- */

struct fleet_item *fleet_item_get(struct fleet *f, enum fleet_kind kind, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->items[i]->kind == kind && strcmp(f->items[i]->name, name) == 0) {
            return f->items[i];
        }
    }
    if (f->n == FLEET_ITEMS_MAX) {
        return NULL;
    }
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 16;
        struct fleet_item **more = mem_realloc_array(f->items, cap, sizeof(*more));
        if (!more) {
            return NULL;
        }
        f->items = more;
        f->cap = cap;
    }
    struct fleet_item *item = mem_zalloc(sizeof(*item));
    if (item) {
        item->fleet = f;
        item->kind = kind;
        snprintf(item->name, sizeof(item->name), "%s", name);
        f->items[f->n++] = item;
    }
    return item;
}

static bool has_state(const struct fleet *f, enum fleet_item_state a, enum fleet_item_state b)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_item *item = f->items[i];
        if (!item->is_gone && (item->state == a || item->state == b)) {
            return true;
        }
    }
    return false;
}

static bool is_busy(const struct fleet *f)
{
    return has_state(f, FLEET_ITEM_PENDING, FLEET_ITEM_APPLYING);
}

/* --- what is kept --- */

static void save(struct fleet *f);

static void save_on_worker(uv_work_t *work)
{
    struct fleet *f = work->data;
    if (file_write_atomic(f->kept_path, f->save_text, f->save_len, &f->save_error) != 0 &&
        f->save_error.kind == ERR_NONE) {
        err_set(&f->save_error, ERR_IO, "%s: it cannot be written", f->kept_path);
    }
}

static void after_save(uv_work_t *work, int status)
{
    struct fleet *f = work->data;
    (void)status; /* it is never cancelled */
    bool has_failed = f->save_error.kind != ERR_NONE;
    if (has_failed && !f->save_has_failed) {
        log_error("fleet %s: after a restart without etcd it will not be known what the fleet "
                  "has decided: %s",
                  f->set->name, f->save_error.message);
    }
    f->save_has_failed = has_failed;
    mem_free(f->save_text);
    f->save_text = NULL;
    f->is_saving = false;
    if (f->save_is_due) {
        save(f);
    }
}

static void save(struct fleet *f)
{
    f->save_is_due = true;
    if (!f->kept_path || !f->was_heard || f->is_saving) {
        return; /* the file says that the fleet was heard */
    }
    f->save_text = fleet_kept_text(f, &f->save_len);
    f->save_error = (struct err){0};
    f->save.data = f;
    f->is_saving = f->save_text &&
                   uv_queue_work(&f->server->loop, &f->save, save_on_worker, after_save) == 0;
    f->save_is_due = false;
    if (!f->is_saving) {
        mem_free(f->save_text);
        f->save_text = NULL;
    }
}

static int read_kept(struct fleet *f, struct err *e)
{
    size_t len = 0;
    struct buf path;
    if (!f->server->set.state_path) {
        return 0;
    }
    buf_init(&path, 4096);
    buf_printf(&path, "%s" KEPT_SUFFIX, f->server->set.state_path);
    f->kept_path = buf_take(&path, NULL);
    buf_deinit(&path);
    if (!f->kept_path) {
        return err_nomem(e);
    }
    char *text = file_read_regular(f->kept_path, KEPT_BYTES_MAX, &len, e);
    if (!text) {
        bool is_first = e->kind == ERR_NOT_FOUND;
        if (is_first) {
            *e = (struct err){0};
        }
        return is_first ? 0 : -1;
    }
    int rc = fleet_kept_read(f, text, len, e);
    mem_free(text);
    return rc == 0 ? 0 : err_prefix(e, "%s: remove the file to begin anew", f->kept_path);
}

/* --- the timer --- */

static void advance_all(struct fleet *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->items[i]->state != FLEET_ITEM_KEPT) {
            fleet_item_advance(f->items[i]);
        }
    }
}

static void report(struct fleet *f)
{
    size_t len = 0;
    char *text = f->link ? fleet_report_text(f, &len) : NULL;
    if (text) {
        fleet_link_report(f->link, text, len);
        mem_free(text);
    }
}

/* Some item's state has changed, or etcd's: that is kept and told. Of all items, so not for
 * each one while many are on their way. */
static void settle(struct fleet *f)
{
    if (f->is_connected && !is_busy(f)) {
        f->has_joined = true;
    }
    f->is_due = false;
    save(f);
    report(f);
}

static void on_timer(uv_timer_t *timer)
{
    struct fleet *f = timer->data;
    advance_all(f);
    if (f->is_due) {
        settle(f);
    } else if (!is_busy(f)) {
        report(f); /* of what comes and goes by itself */
    }
    uv_timer_start(&f->timer, on_timer, is_busy(f) ? BUSY_MS : IDLE_MS, 0);
}

void fleet_changed(struct fleet *f)
{
    f->is_due = true;
}

void fleet_item_is_done(struct fleet *f)
{
    if (f->is_due && !is_busy(f)) {
        settle(f);
    }
}

void fleet_note_change(struct fleet *f)
{
    if (f && !is_busy(f)) { /* else it is told with what is on its way */
        report(f);
    } else if (f) {
        f->is_due = true;
    }
}

/* --- what is heard --- */

static void take_out(struct fleet_item *item)
{
    if (!item->is_gone) {
        item->is_gone = true;
        item->revision = 0;
        log_info("fleet %s: %s %s is not the fleet's any more; version %s stays",
                 item->fleet->set->name, fleet_kind_name(item->kind), item->name,
                 item->change.version);
    }
}

/* The revision alone does not tell: an etcd that has lost its data counts anew. */
static bool is_known(const struct fleet_item *item, const struct fleet_change *change,
                     int64_t revision)
{
    return item->revision == revision && item->state != FLEET_ITEM_KEPT && !item->is_broken &&
           strcmp(item->change.version, change->version) == 0 &&
           strcmp(item->change.sha256, change->sha256) == 0;
}

static void want(struct fleet_item *item, const struct etcd_pair *pair)
{
    struct err e = {0};
    struct fleet_change change;
    item->is_gone = false;
    item->is_heard = true;
    if (fleet_change_read(&change, item->kind, pair->value, pair->len, &e) != 0) {
        item->revision = pair->mod_revision;
        item->is_broken = true;
        fleet_item_refuse(item, e.message, false);
        return;
    }
    if (is_known(item, &change, pair->mod_revision)) {
        fleet_change_deinit(&change);
        return;
    }
    item->revision = pair->mod_revision;
    item->applying = 0; /* what is under way is another one */
    item->is_broken = false;
    fleet_change_deinit(&item->change);
    item->change = change;
    if (item->state != FLEET_ITEM_APPLYING) {
        item->is_ordered = false;
        item->state = FLEET_ITEM_PENDING;
    }
}

static void take_pair(struct fleet *f, const struct etcd_pair *pair)
{
    enum fleet_kind kind;
    char name[VERSION_NAME_MAX + 1];
    if (!fleet_config_key_read(pair->key, f->set->name, &kind, name)) {
        log_warn("fleet %s: the key %.200s means nothing to this version of the program",
                 f->set->name, pair->key);
        return;
    }
    struct fleet_item *item = fleet_item_get(f, kind, name);
    if (!item) {
        log_error("fleet %s: %s %s: no memory, or there are more than %d names", f->set->name,
                  fleet_kind_name(kind), name, FLEET_ITEMS_MAX);
    } else if (pair->value) {
        want(item, pair);
    } else {
        take_out(item);
    }
}

static void take_changes(struct fleet *f, const struct etcd_answer *a)
{
    for (size_t i = 0; i < a->n_pairs; i++) {
        take_pair(f, &a->pairs[i]);
    }
    f->revision = a->revision;
    f->was_heard = true;
    advance_all(f);
    settle(f);
    uv_timer_start(&f->timer, on_timer, is_busy(f) ? BUSY_MS : IDLE_MS, 0);
}

static void on_changes(void *user, const struct etcd_answer *a)
{
    take_changes(user, a);
}

static void on_all(void *user, const struct etcd_answer *a)
{
    struct fleet *f = user;
    f->is_connected = true;
    for (size_t i = 0; i < f->n; i++) {
        f->items[i]->is_heard = false;
    }
    for (size_t i = 0; i < a->n_pairs; i++) {
        take_pair(f, &a->pairs[i]);
    }
    for (size_t i = 0; i < f->n; i++) {
        if (!f->items[i]->is_heard) {
            take_out(f->items[i]);
        }
    }
    const struct etcd_answer none = {.revision = a->revision};
    take_changes(f, &none);
}

static void on_state(void *user, bool is_connected, const char *address, const char *why)
{
    struct fleet *f = user;
    f->is_connected = is_connected;
    snprintf(f->why, sizeof(f->why), "%s", why);
    if (is_connected) {
        log_info("fleet %s: etcd is reached, at revision %lld; this is replica %s",
                 f->set->name, (long long)f->revision, f->id);
        f->lost_ms = 0;
    } else {
        log_warn("fleet %s: etcd is not reached, %s: %s: %s", f->set->name,
                 f->was_heard    ? "the last that was heard stays in force"
                 : f->set->waits ? "and never was: this replica is not ready (--fleet-start)"
                                 : "and never was: what the options say is in force",
                 address, f->why);
        f->lost_ms = f->lost_ms ? f->lost_ms : clock_unix_s() * 1000;
        f->has_failed = true;
    }
    settle(f);
}

static const struct fleet_link_events link_events = {
    .on_all = on_all, .on_changes = on_changes, .on_state = on_state};

/* --- what others ask --- */

enum fleet_state fleet_state(const struct fleet *f)
{
    if (!f->is_connected) {
        return !f->has_failed ? FLEET_JOINING
               : f->was_heard ? FLEET_PARTITIONED
                              : FLEET_NEVER_HEARD;
    }
    if (is_busy(f)) {
        return f->has_joined ? FLEET_CHANGING : FLEET_JOINING;
    }
    return has_state(f, FLEET_ITEM_REFUSED, FLEET_ITEM_REFUSED) ? FLEET_REFUSES : FLEET_IN_STEP;
}

/* What was refused, also while it is tried again; or what an earlier process had refused. A
 * name that is new here is no lack: nobody has had it yet. */
static bool lacks_something(const struct fleet *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_item *item = f->items[i];
        bool was_refused = item->refused != 0 || item->state == FLEET_ITEM_KEPT;
        if (!item->is_gone && was_refused && !fleet_item_has_something(item)) {
            return true;
        }
    }
    return false;
}

bool fleet_is_ready(const struct fleet *f)
{
    if (!f || !f->has_timer) {
        return true; /* it is in none, or has left it: that is another's to say */
    }
    enum fleet_state state = fleet_state(f);
    bool is_joining = state == FLEET_JOINING || (is_busy(f) && !f->has_joined);
    return !is_joining && !(state == FLEET_NEVER_HEARD && f->set->waits) && !lacks_something(f);
}

bool fleet_governs(const struct fleet *f, enum fleet_kind kind, const char *name, struct err *e)
{
    for (size_t i = 0; f && i < f->n; i++) {
        const struct fleet_item *item = f->items[i];
        if (!item->is_gone && item->kind == kind && strcmp(item->name, name) == 0) {
            err_set(e, ERR_CONFLICT,
                    "%s \"%s\" is the same in all of the fleet \"%s\"; change it there: weir "
                    "ctl fleet %s",
                    fleet_kind_name(kind), name, f->set->name, fleet_kind_name(kind));
            return true;
        }
    }
    return false;
}

/* --- life --- */

struct fleet *fleet_start(struct server *s, struct err *e)
{
    struct fleet *f = mem_zalloc(sizeof(*f));
    if (!f) {
        err_nomem(e);
        return NULL;
    }
    f->server = s;
    f->set = &s->set.fleet;
    if (read_kept(f, e) != 0) {
        fleet_destroy(f);
        return NULL;
    }
    uv_timer_init(&s->loop, &f->timer);
    f->timer.data = f;
    f->has_timer = true;
    return f;
}

/* By default the machine and where it listens. */
static void choose_id(struct fleet *f)
{
    const struct server *s = f->server;
    char host[128] = "localhost";
    gethostname(host, sizeof(host) - 1);
    if (f->set->id) {
        snprintf(f->id, sizeof(f->id), "%s", f->set->id);
    } else if (s->set.unix_path && !s->set.host) {
        const char *slash = strrchr(s->set.unix_path, '/');
        snprintf(f->id, sizeof(f->id), "%s:%.100s", host, slash ? slash + 1 : s->set.unix_path);
    } else {
        snprintf(f->id, sizeof(f->id), "%s:%u", host, http_server_port(s->http));
    }
}

int fleet_join(struct fleet *f, struct err *e)
{
    if (!f || f->link) {
        return 0;
    }
    choose_id(f);
    f->link = fleet_link_create(&f->server->loop, f->set, f->id, &link_events, f, e);
    if (!f->link) {
        return err_prefix(e, "--etcd");
    }
    report(f);
    return 0;
}

void fleet_leave(struct fleet *f)
{
    if (!f || !f->has_timer) {
        return;
    }
    fleet_link_close(f->link);
    f->link = NULL;
    f->is_connected = false;
    f->has_timer = false;
    uv_close((uv_handle_t *)&f->timer, NULL);
}

void fleet_destroy(struct fleet *f)
{
    if (!f) {
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        fleet_change_deinit(&f->items[i]->change);
        mem_free(f->items[i]);
    }
    mem_free(f->items);
    mem_free(f->kept_path);
    mem_free(f);
}

/* weir ctl fleet: what the replicas say. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/ctl_fleet.h"
#include "runtime/cli/ctl_print.h"

#define LOOK_EVERY_NS 25000000L

/* The report, which has an id; or of one that cannot be read, that this is so. */
static cJSON *read_report(const struct etcd_pair *pair, const char *id)
{
    struct err ignored = {0};
    cJSON *report = json_parse(pair->value, pair->len, &ignored);
    if (!ctl_text(report, "id")[0]) {
        cJSON_Delete(report);
        report = cJSON_CreateObject();
        cJSON_AddStringToObject(report, "id", id);
        cJSON_AddStringToObject(report, "state", "unreadable");
    }
    return report;
}

cJSON *ctl_fleet_replicas(struct ctl_fleet *c, struct err *e)
{
    char prefix[ETCD_KEY_MAX];
    struct etcd_answer a;
    fleet_replica_prefix(prefix, c->set.name);
    etcd_range_text(&c->remote.body, prefix);
    if (etcd_remote_ask(&c->remote, ETCD_RANGE_PATH, true, &a, e) != 0) {
        return NULL;
    }
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < a.n_pairs; i++) {
        cJSON_AddItemToArray(list, read_report(&a.pairs[i], a.pairs[i].key + strlen(prefix)));
    }
    etcd_answer_deinit(&a);
    if (!list) {
        err_nomem(e);
    }
    return list;
}

/* --- status --- */

static cJSON *read_config(struct ctl_fleet *c, struct err *e)
{
    char prefix[ETCD_KEY_MAX];
    struct etcd_answer a;
    fleet_config_prefix(prefix, c->set.name);
    etcd_range_text(&c->remote.body, prefix);
    if (etcd_remote_ask(&c->remote, ETCD_RANGE_PATH, true, &a, e) != 0) {
        return NULL;
    }
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < a.n_pairs; i++) {
        enum fleet_kind kind;
        char name[VERSION_NAME_MAX + 1];
        struct fleet_change change;
        struct err ignored = {0};
        const struct etcd_pair *p = &a.pairs[i];
        if (!fleet_config_key_read(p->key, c->set.name, &kind, name) ||
            fleet_change_read(&change, kind, p->value, p->len, &ignored) != 0) {
            continue;
        }
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(list, o);
        cJSON_AddStringToObject(o, "kind", fleet_kind_name(kind));
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddStringToObject(o, "version", change.version);
        cJSON_AddStringToObject(o, "sha256", change.sha256);
        cJSON_AddNumberToObject(o, "revision", (double)p->mod_revision);
        cJSON_AddStringToObject(o, "actor", change.actor);
        fleet_change_deinit(&change);
    }
    etcd_answer_deinit(&a);
    if (!list) {
        err_nomem(e);
    }
    return list;
}

static const cJSON *find_item(const cJSON *replica, const char *kind, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(replica, "items"))
    {
        if (strcmp(ctl_text(item, "kind"), kind) == 0 &&
            strcmp(ctl_text(item, "name"), name) == 0) {
            return item;
        }
    }
    return NULL;
}

static double number_of(const cJSON *object, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* A replica has a row for each thing that the fleet has. */
static int print_replica(struct text_table *t, const cJSON *replica, const cJSON *config)
{
    const cJSON *wanted;
    int n_behind = strcmp(ctl_text(replica, "state"), "in_step") != 0;
    cJSON_ArrayForEach(wanted, config)
    {
        const cJSON *item =
            find_item(replica, ctl_text(wanted, "kind"), ctl_text(wanted, "name"));
        bool is_behind = number_of(item, "revision") < number_of(wanted, "revision") ||
                         strcmp(ctl_text(item, "state"), "applied") != 0;
        n_behind += is_behind;
        text_table_add(t, ctl_text(replica, "id"));
        text_table_add(t, ctl_text(replica, "state"));
        text_table_add(t, ctl_text(wanted, "kind"));
        text_table_add(t, ctl_text(wanted, "name"));
        text_table_add(t, item ? ctl_text(item, "version") : "");
        text_table_add(t, item ? ctl_text(item, "state") : "not heard");
        text_table_add_whole(t, item ? ctl_text(item, "problem") : "");
        text_table_end_row(t);
    }
    if (!config || !config->child) {
        text_table_add(t, ctl_text(replica, "id"));
        text_table_add(t, ctl_text(replica, "state"));
        for (int i = 0; i < 5; i++) {
            text_table_add(t, "");
        }
        text_table_end_row(t);
    }
    return n_behind;
}

/* Things in force that are called alike and are not. */
static int print_differences(const cJSON *replicas, bool is_shown)
{
    int n = 0;
    const cJSON *first = replicas->child;
    const cJSON *model, *replica, *other;
    cJSON_ArrayForEach(model, cJSON_GetObjectItemCaseSensitive(first, "models"))
    {
        cJSON_ArrayForEach(replica, replicas)
        {
            cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(replica, "models"))
            {
                bool is_same_name =
                    strcmp(ctl_text(model, "name"), ctl_text(other, "name")) == 0 &&
                    strcmp(ctl_text(model, "version"), ctl_text(other, "version")) == 0;
                bool differs = is_same_name && strcmp(ctl_text(model, "sha256"),
                                                      ctl_text(other, "sha256")) != 0;
                n += differs;
                if (differs && is_shown) {
                    printf("model %s@%s is another file on %s than on %s\n",
                           ctl_text(model, "name"), ctl_text(model, "version"),
                           ctl_text(replica, "id"), ctl_text(first, "id"));
                }
            }
        }
    }
    return n;
}

static int print_tables(const cJSON *config, const cJSON *replicas, struct err *e)
{
    static const char *const header[] = {"REPLICA", "STATE", "KIND",   "NAME",
                                         "VERSION", "IS",    "PROBLEM"};
    struct text_table t;
    int n_behind = 0;
    const cJSON *replica, *wanted;
    cJSON_ArrayForEach(wanted, config)
    {
        printf("%s %s: version %s, revision %.0f%s%s\n", ctl_text(wanted, "kind"),
               ctl_text(wanted, "name"), ctl_text(wanted, "version"),
               number_of(wanted, "revision"), ctl_text(wanted, "actor")[0] ? ", by " : "",
               ctl_text(wanted, "actor"));
    }
    if (!replicas->child) {
        printf("no replica is there\n");
        return 1;
    }
    printf("%s", config->child ? "\n" : "the fleet says nothing yet\n\n");
    text_table_init(&t);
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        text_table_add(&t, header[i]);
    }
    text_table_end_row(&t);
    cJSON_ArrayForEach(replica, replicas)
    {
        n_behind += print_replica(&t, replica, config);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc != 0 ? -1 : n_behind + print_differences(replicas, true) > 0;
}

static int print_json(cJSON *config, cJSON *replicas, struct err *e)
{
    const cJSON *replica;
    int n_behind = print_differences(replicas, false);
    cJSON_ArrayForEach(replica, replicas)
    {
        n_behind += strcmp(ctl_text(replica, "state"), "in_step") != 0;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON_AddItemReferenceToObject(root, "config", config);
    cJSON_AddItemReferenceToObject(root, "replicas", replicas);
    int rc = cli_print_json(root, e);
    cJSON_Delete(root);
    return rc != 0 ? -1 : n_behind > 0 || !replicas->child;
}

int ctl_fleet_status(struct ctl_fleet *c, struct err *e)
{
    cJSON *config = read_config(c, e);
    cJSON *replicas = config ? ctl_fleet_replicas(c, e) : NULL;
    int rc = !replicas ? -1
             : c->json ? print_json(config, replicas, e)
                       : print_tables(config, replicas, e);
    cJSON_Delete(config);
    cJSON_Delete(replicas);
    return rc;
}

/* --- waiting --- */

struct wait {
    struct ctl_fleet *c;
    const struct ctl_fleet_written *w;
    cJSON *done; /* an object: by id what became of it there */
    int n_waiting, n_refused;
    char waits_for[256]; /* ids of some that have not told yet */
    char refused[ERR_MESSAGE_MAX];
};

static void take_item(struct wait *w, const char *id, const cJSON *item)
{
    double seconds = clock_now_s() - w->w->began_s;
    const char *state = ctl_text(item, "state");
    bool is_refused = strcmp(state, "refused") == 0;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(w->done, id, o);
    cJSON_AddStringToObject(o, "state", state);
    cJSON_AddNumberToObject(o, "seconds", seconds);
    if (is_refused) {
        w->n_refused++;
        cJSON_AddStringToObject(o, "problem", ctl_text(item, "problem"));
        snprintf(w->refused, sizeof(w->refused), "%s: %.400s", id, ctl_text(item, "problem"));
    }
    if (!w->c->json) {
        printf("%s: %s %s version %s is %s after %.2f s\n", id, fleet_kind_name(w->w->kind),
               w->w->name, w->w->version, state, seconds);
        fflush(stdout);
    }
}

static int look(struct wait *w, struct err *e)
{
    const cJSON *replica;
    cJSON *replicas = ctl_fleet_replicas(w->c, e);
    if (!replicas) {
        return -1;
    }
    w->n_waiting = 0;
    w->waits_for[0] = '\0';
    cJSON_ArrayForEach(replica, replicas)
    {
        const char *id = ctl_text(replica, "id");
        const cJSON *item = find_item(replica, fleet_kind_name(w->w->kind), w->w->name);
        bool is_over = number_of(item, "revision") >= (double)w->w->revision &&
                       strcmp(ctl_text(item, "state"), "applying") != 0;
        bool is_told = cJSON_GetObjectItemCaseSensitive(w->done, id) != NULL;
        if (is_over && !is_told) {
            take_item(w, id, item);
        } else if (!is_told) {
            size_t len = strlen(w->waits_for);
            snprintf(w->waits_for + len, sizeof(w->waits_for) - len, "%s%s", len ? ", " : "",
                     id);
            w->n_waiting++;
        }
    }
    cJSON_Delete(replicas);
    return 0;
}

static int print_outcome(struct wait *w, struct err *e)
{
    double seconds = clock_now_s() - w->w->began_s;
    int n = cJSON_GetArraySize(w->done);
    if (!w->c->json) {
        printf("%s %s: version %s, revision %" PRId64 ": %d of %d replicas in %.2f s\n",
               fleet_kind_name(w->w->kind), w->w->name, w->w->version, w->w->revision,
               n - w->n_refused, n + w->n_waiting, seconds);
        return 0;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", fleet_kind_name(w->w->kind));
    cJSON_AddStringToObject(root, "name", w->w->name);
    cJSON_AddStringToObject(root, "version", w->w->version);
    cJSON_AddNumberToObject(root, "revision", (double)w->w->revision);
    cJSON_AddNumberToObject(root, "seconds", seconds);
    cJSON_AddItemReferenceToObject(root, "replicas", w->done);
    int rc = cli_print_json(root, e);
    cJSON_Delete(root);
    return rc;
}

int ctl_fleet_wait(struct ctl_fleet *c, const struct ctl_fleet_written *written, struct err *e)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    double until = written->began_s + (double)c->wait_s;
    struct wait w = {.c = c, .w = written, .done = cJSON_CreateObject()};
    if (!w.done) {
        return err_nomem(e);
    }
    /* An etcd that does not answer for a moment ends no wait: the change is written. */
    int rc = look(&w, e);
    while ((rc != 0 || w.n_waiting > 0) && clock_now_s() < until) {
        nanosleep(&pause, NULL);
        *e = (struct err){0};
        rc = look(&w, e);
    }
    if (rc != 0) {
        err_prefix(e, "it is stored; whether it is in force could not be asked");
    } else {
        rc = print_outcome(&w, e);
    }
    if (rc == 0 && w.n_refused > 0) {
        rc = err_set(e, ERR_INVALID,
                     "it is stored, and %d of the replicas refuse it and keep what they have; "
                     "set another one. %s",
                     w.n_refused, w.refused);
    } else if (rc == 0 && !w.done->child && w.n_waiting == 0 && c->wait_s > 0) {
        rc = err_set(e, ERR_NOT_FOUND,
                     "it is stored, and no replica is there; those that come will have it");
    } else if (rc == 0 && w.n_waiting > 0 && c->wait_s > 0) {
        rc = err_set(e, ERR_DEADLINE,
                     "it is stored, and these have not told in %ld s that it is in force: %s",
                     c->wait_s, w.waits_for);
    }
    cJSON_Delete(w.done);
    return rc;
}

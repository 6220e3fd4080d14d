/* weir ctl fleet: what several servers have alike, by writing it to etcd. */
#include "runtime/cli/ctl_fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/ctl.h"
#include "runtime/registry/chain_store.h"
#include "runtime/registry/prompt.h"

#define OPTIONS_MAX  16
#define VALUE_MAX    ((size_t)16 << 20)
#define WAIT_S       30
#define WAIT_MODEL_S 600

/* --- what is there --- */

/* The value of a key and its revision, 0: there is none. *change is to be released.
 * is_replaced: then one that is broken counts as one that says nothing. */
static int read_change(struct ctl_fleet *c, const char *key, enum fleet_kind kind,
                       bool is_replaced, struct fleet_change *change, int64_t *revision,
                       struct err *e)
{
    struct etcd_answer a;
    *change = (struct fleet_change){0};
    *revision = 0;
    etcd_get_text(&c->remote.body, key);
    if (etcd_remote_ask(&c->remote, ETCD_RANGE_PATH, true, &a, e) != 0) {
        return -1;
    }
    int rc = 0;
    if (a.n_pairs > 0) {
        rc = fleet_change_read(change, kind, a.pairs[0].value, a.pairs[0].len, e);
        *revision = a.pairs[0].mod_revision;
        if (rc != 0) {
            err_prefix(e, "%s", key);
        }
        if (rc != 0 && is_replaced) {
            fprintf(stderr, "weir ctl fleet: what is there is replaced: %s\n", e->message);
            *e = (struct err){0};
            rc = 0;
        }
    }
    etcd_answer_deinit(&a);
    return rc;
}

/* The greatest number that any replica has for the name. */
static int greatest_number(struct ctl_fleet *c, enum fleet_kind kind, const char *name,
                           uint64_t *number, struct err *e)
{
    const cJSON *replica;
    cJSON *replicas = ctl_fleet_replicas(c, e);
    if (!replicas) {
        return -1;
    }
    cJSON_ArrayForEach(replica, replicas)
    {
        const cJSON *names = cJSON_GetObjectItemCaseSensitive(
            replica, kind == FLEET_PROMPT ? "prompts" : "filters");
        double n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(names, name));
        if (n > (double)*number && n < 1e15) {
            *number = (uint64_t)n;
        }
    }
    cJSON_Delete(replicas);
    return 0;
}

/* --- what is to be --- */

/* Its hash, by the code that will read it on the replicas: what they would refuse at once is
 * refused here. */
static int check_content(struct fleet_change *change, enum fleet_kind kind, const char *name,
                         struct err *e)
{
    if (kind == FLEET_PROMPT) {
        struct prompt *p = prompt_from_json(change->content, change->content_len, e);
        if (p) {
            snprintf(change->sha256, sizeof(change->sha256), "%s", p->sha256);
        }
        prompt_unref(p);
        return p ? 0 : -1;
    }
    struct chain_draft draft;
    if (chain_draft_parse(&draft, name, change->content, change->content_len, e) != 0) {
        return -1;
    }
    snprintf(change->sha256, sizeof(change->sha256), "%s", chain_hash(draft.chain));
    chain_draft_deinit(&draft);
    return 0;
}

static int read_file(struct ctl_fleet *c, enum fleet_kind kind, const char *path,
                     struct fleet_change *change, struct err *e)
{
    cJSON *root = kind == FLEET_PROMPT ? ctl_prompts_read(path, e) : ctl_filters_read(path, e);
    if (!root) {
        return -1;
    }
    if (c->note) {
        cJSON_DeleteItemFromObjectCaseSensitive(root, "note");
        cJSON_AddStringToObject(root, "note", c->note);
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (text) {
        change->content_len = strlen(text);
        change->content = mem_strndup(text, change->content_len);
        cJSON_free(text);
    }
    return change->content ? 0 : err_nomem(e);
}

static void set_number(struct fleet_change *change, uint64_t number)
{
    change->number = number;
    change->latest = number;
    snprintf(change->version, sizeof(change->version), "%" PRIu64, number);
}

/* A new version, above all that there was. */
static int make_new(struct ctl_fleet *c, enum fleet_kind kind, const char *name,
                    const char *path, uint64_t latest, struct fleet_change *change,
                    struct err *e)
{
    if (read_file(c, kind, path, change, e) != 0 || check_content(change, kind, name, e) != 0 ||
        greatest_number(c, kind, name, &latest, e) != 0) {
        return -1;
    }
    set_number(change, latest + 1);
    return 0;
}

/* One that was. */
static int make_old(struct ctl_fleet *c, enum fleet_kind kind, const char *name,
                    uint64_t latest, struct fleet_change *change, struct err *e)
{
    char key[ETCD_KEY_MAX];
    int64_t revision;
    fleet_history_key(key, c->set.name, kind, name, (uint64_t)c->version);
    if (read_change(c, key, kind, false, change, &revision, e) != 0) {
        return -1;
    }
    if (revision == 0) {
        return err_set(e, ERR_NOT_FOUND,
                       "the fleet has no version %ld of %s \"%s\" (the last %d are kept)",
                       c->version, fleet_kind_name(kind), name, FLEET_HISTORY_MAX);
    }
    change->latest = latest > change->number ? latest : change->number;
    return 0;
}

/* --- writing --- */

/* If nobody else has changed it meanwhile. */
static int write_change(struct ctl_fleet *c, enum fleet_kind kind, const char *name,
                        const struct fleet_change *change, int64_t found, int64_t *revision,
                        struct err *e)
{
    char keys[3][ETCD_KEY_MAX];
    struct buf value;
    struct etcd_answer a;
    bool has_history = kind != FLEET_MODEL;
    bool is_full = change->number > FLEET_HISTORY_MAX;
    buf_init(&value, VALUE_MAX);
    fleet_change_write(change, &value);
    fleet_config_key(keys[0], c->set.name, kind, name);
    fleet_history_key(keys[1], c->set.name, kind, name, change->number);
    fleet_history_key(keys[2], c->set.name, kind, name,
                      is_full ? change->number - FLEET_HISTORY_MAX : 0);
    const struct etcd_condition condition = {
        .key = keys[0], .mod_revision = c->if_revision >= 0 ? c->if_revision : found};
    const struct etcd_write writes[] = {
        {keys[0], value.data}, {keys[1], value.data}, {keys[2], NULL}};
    int rc = value.failed ? err_nomem(e) : 0;
    if (rc == 0) {
        etcd_txn_text(&c->remote.body, &condition, 1, writes,
                      !has_history ? 1
                      : is_full    ? 3
                                   : 2);
        rc = etcd_remote_ask(&c->remote, ETCD_TXN_PATH, false, &a, e);
    }
    buf_deinit(&value);
    if (rc != 0) {
        return -1;
    }
    *revision = a.revision;
    bool is_written = a.succeeded;
    etcd_answer_deinit(&a);
    return is_written ? 0
                      : err_set(e, ERR_CONFLICT,
                                "%s \"%s\" is not at revision %" PRId64
                                " any more: somebody else has changed it; nothing was written",
                                fleet_kind_name(kind), name, condition.mod_revision);
}

static int show(const struct ctl_fleet *c, enum fleet_kind kind, const char *name,
                const struct fleet_change *change, int64_t revision)
{
    if (!c->json) {
        fprintf(stderr, "%s %s: version %s, revision %" PRId64 "%s%s\n", fleet_kind_name(kind),
                name, change->version, revision, change->actor[0] ? ", by " : "",
                change->actor);
    }
    printf("%s\n", change->content ? change->content : change->version);
    return 0;
}

static int run_change(struct ctl_fleet *c, enum fleet_kind kind, const char *name,
                      const char *what, struct err *e)
{
    char key[ETCD_KEY_MAX];
    struct fleet_change now = {0}, next = {0};
    struct ctl_fleet_written w = {.kind = kind, .name = name};
    int64_t found = 0;
    fleet_config_key(key, c->set.name, kind, name);
    bool is_shown = !what && c->version == 0;
    int rc = read_change(c, key, kind, !is_shown, &now, &found, e);
    uint64_t latest = now.latest;
    if (rc == 0 && is_shown) {
        rc = found ? show(c, kind, name, &now, found)
                   : err_set(e, ERR_NOT_FOUND, "the fleet says nothing of %s \"%s\"",
                             fleet_kind_name(kind), name);
        fleet_change_deinit(&now);
        return rc;
    }
    fleet_change_deinit(&now);
    if (rc == 0 && kind == FLEET_MODEL) {
        rc = version_name_check(what, "VERSION", e);
        snprintf(next.version, sizeof(next.version), "%s", what);
    } else if (rc == 0) {
        rc = what ? make_new(c, kind, name, what, latest, &next, e)
                  : make_old(c, kind, name, latest, &next, e);
    }
    if (rc == 0) {
        snprintf(next.actor, sizeof(next.actor), "%s", c->actor ? c->actor : "");
        w.began_s = clock_now_s();
        w.version = next.version;
        rc = write_change(c, kind, name, &next, found, &w.revision, e);
    }
    if (rc == 0) {
        rc = ctl_fleet_wait(c, &w, e);
    }
    fleet_change_deinit(&next);
    return rc;
}

/* --- commands --- */

struct command {
    const char *name, *arguments;
    int min, max;
    int kind; /* -1: status */
    const char *summary;
};

static const struct command commands[] = {
    {"status", "", 0, 0, -1, "what the fleet has, and what each replica has of it"},
    {"prompt", "NAME [FILE]", 1, 2, FLEET_PROMPT,
     "a new version of a system prompt on all replicas; without FILE or --version: what there "
     "is"},
    {"filters", "NAME [FILE]", 1, 2, FLEET_FILTERS, "the same of a filter chain"},
    {"model", "NAME [VERSION]", 1, 2, FLEET_MODEL,
     "the version of a model that serves on all replicas, out of their repositories"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void fill_options(struct option table[OPTIONS_MAX], struct ctl_fleet *c, int kind)
{
    const struct option more[] = {
        {"json", 0, OPTION_FLAG, &c->json, NULL, "print JSON", 0, 0},
        {"actor", 0, OPTION_STRING, &c->actor, "NAME", "who does it ($USER)", 0, 0},
        {"wait", 0, OPTION_INT, &c->wait_s, "S",
         kind == FLEET_MODEL ? "how long the replicas may take; 0: do not wait (600)"
                             : "how long the replicas may take; 0: do not wait (30)",
         0, 86400},
        {"if-revision", 0, OPTION_INT, &c->if_revision, "N",
         "only if it was last changed at this revision; 0: if it was never set", 0, 1L << 52},
        {"version", 0, OPTION_INT, &c->version, "N", "go back to a version that was", 1,
         999999999},
        {"note", 0, OPTION_STRING, &c->note, "TEXT", "what is new in this version", 0, 0},
    };
    size_t n = ETCD_OPTIONS;
    etcd_options_fill(table, &c->etcd);
    size_t n_more = kind < 0 ? 1 : kind == FLEET_MODEL ? 4 : 6;
    for (size_t i = 0; i < n_more; i++) {
        table[n++] = more[i];
    }
    table[n] = (struct option){0};
}

static int check_actor(struct ctl_fleet *c, struct err *e)
{
    size_t len = c->actor ? strlen(c->actor) : 0;
    c->is_usage = len > FLEET_ACTOR_MAX || !utf8_is_valid(c->actor ? c->actor : "", len);
    return !c->is_usage
               ? 0
               : err_set(e, ERR_INVALID, "--actor: at most %d bytes of UTF-8 are wanted",
                         FLEET_ACTOR_MAX);
}

static int run(struct ctl_fleet *c, const struct command *command, char **arguments, int n,
               struct err *e)
{
    const char *what = n > 1 ? arguments[1] : NULL;
    if (!c->etcd.fleet || !c->etcd.endpoints) {
        c->is_usage = true;
        return err_set(e, ERR_INVALID, "--etcd and --fleet are needed");
    }
    if (what && c->version > 0) {
        c->is_usage = true;
        return err_set(e, ERR_INVALID, "FILE and --version exclude each other");
    }
    if (check_actor(c, e) != 0) {
        return -1;
    }
    if (etcd_options_read(&c->etcd, &c->set, e) != 0 ||
        (n > 0 && version_name_check(arguments[0], "NAME", e) != 0)) {
        c->is_usage = e->kind == ERR_INVALID;
        return -1;
    }
    if (etcd_remote_open(&c->remote, &c->set, e) != 0) {
        return -1;
    }
    return command->kind < 0
               ? ctl_fleet_status(c, e)
               : run_change(c, (enum fleet_kind)command->kind, arguments[0], what, e);
}

static int parse_and_run(const struct command *command, int argc, char **argv)
{
    char name[64], usage[128];
    struct option table[OPTIONS_MAX];
    struct err e = {0};
    struct ctl_fleet c = {.if_revision = -1,
                          .actor = getenv("USER"),
                          .wait_s = command->kind == FLEET_MODEL ? WAIT_MODEL_S : WAIT_S};
    fill_options(table, &c, command->kind);
    snprintf(name, sizeof(name), "ctl fleet %s", command->name);
    snprintf(usage, sizeof(usage), "weir %s %s --etcd URL --fleet NAME [options]", name,
             command->arguments);
    const struct options options = {usage, command->summary, table};
    int positional;
    argv[0] = name;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional < command->min || positional > command->max) {
        fprintf(stderr, "weir %s: too %s arguments\nusage: %s\n", name,
                positional < command->min ? "few" : "many", usage);
        return 2;
    }
    rc = run(&c, command, argv + 1, positional, &e);
    etcd_remote_close(&c.remote);
    etcd_options_release(&c.set);
    if (rc >= 0) {
        return rc;
    }
    return c.is_usage ? cli_fail(name, &e) + 1 : cli_fail(name, &e);
}

static void print_commands(FILE *to)
{
    fprintf(to,
            "usage: weir ctl fleet COMMAND --etcd URL --fleet NAME [options]\n\n"
            "What several servers have alike (weir serve --fleet), by writing it to etcd.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].arguments);
        fprintf(to, "  %-24s %s\n", left, commands[i].summary);
    }
    fprintf(to, "\n`weir ctl fleet COMMAND --help` tells more.\n");
}

int ctl_fleet(int argc, char **argv)
{
    bool is_help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc < 2 || is_help) {
        print_commands(is_help ? stdout : stderr);
        return is_help ? 0 : 2;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return parse_and_run(&commands[i], argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "weir ctl fleet: unknown command \"%s\" (see weir ctl fleet --help)\n",
            argv[1]);
    return 2;
}

#include <stdio.h>
#include <sys/resource.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/serve_config.h"
#include "runtime/net/passed_sockets.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/rank_orders.h"
#include "runtime/serve/server.h"

#define SETTINGS_TEXT_MAX ((size_t)1 << 20)

/* A common soft limit of 1,024 open files would be a limit of connections. */
static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Without a word about where, on what the process was given, or on this machine alone; a unix
 * socket is such a word. True: on what it was given. */
static bool choose_address(struct serve_options *o, const struct passed_sockets *passed)
{
    if (passed->count > 0 && !o->unix_path && !o->host && o->port < 0) {
        return true;
    }
    if (o->unix_path && !o->host && o->port < 0 && !o->tls_cert) {
        return false;
    }
    o->host = o->host ? o->host : "127.0.0.1";
    o->port = o->port < 0 ? 8080 : o->port;
    return false;
}

static int run(struct server_settings *set, struct err *e)
{
    mem_keep_large_apart();
    struct server *s = mem_zalloc(sizeof(*s));
    if (!s) {
        return err_nomem(e);
    }
    raise_open_files();
    int rc = server_run(s, set, e);
    set->cors = s->set.cors; /* which may be other ones by now */
    mem_free(s);
    return rc;
}

/* Those that were read later, and whose strings the server held. */
static void drop_rereads(struct serve_reread *r)
{
    while (r->now != r->first) {
        struct serve_config *c = r->now;
        r->now = c->older;
        serve_config_deinit(c);
        mem_free(c);
    }
}

static int serve(struct serve_config *c, int argc, char **argv, struct err *e)
{
    struct passed_sockets passed;
    struct serve_reread reread = {.argc = argc, .argv = argv, .first = c, .now = c};
    const int predecessor = handover_inherited();
    if (passed_sockets_receive(&passed, predecessor >= 0, e) != 0) {
        return -1;
    }
    struct serve_options chosen = c->o; /* what was not given stays so in the settings */
    c->set.listens_on_passed = choose_address(&chosen, &passed);
    c->set.host = chosen.host;
    c->set.port = (uint16_t)chosen.port;
    c->set.command = argv - 1; /* the program's name is before the subcommand's */
    c->set.passed = &passed;
    c->set.predecessor = predecessor;
    if (c->o.config) {
        c->set.reread = serve_config_reread;
        c->set.reread_ctx = &reread;
    }
    const char *warning = serve_config_warning(c);
    if (warning) {
        log_warn("%s: %s", c->o.config, warning);
    }
    int rc = etcd_options_read(&c->o.etcd, &c->set.fleet, e);
    rc = rc == 0 ? serve_config_set_access(c, e) : rc;
    rc = rc == 0 ? run(&c->set, e) : rc;
    etcd_options_release(&c->set.fleet);
    access_deinit(&c->set.access);
    drop_rereads(&reread);
    return rc;
}

/* A model that is shared out is computed by all ranks and served by the first. */
static int lead(struct serve_config *c, int argc, char **argv, struct err *e)
{
    struct generation_settings *g = &c->set.generation;
    if (c->ranks) {
        g->ranks = rank_orders_create(c->ranks, e);
        if (!g->ranks) {
            return -1;
        }
        log_info("the model is shared out among %d ranks, %d of them on this machine, each "
                 "with %d threads",
                 rank_group_size(c->ranks), rank_group_size_here(c->ranks), g->threads);
    }
    int rc = serve(c, argc, argv, e);
    rank_orders_destroy(g->ranks);
    return rc;
}

static int follow(const struct serve_config *c, struct err *e)
{
    const struct generation_settings *g = &c->set.generation;
    const struct rank_follow_settings s = {.threads = g->threads,
                                           .cpu_features = g->cpu_features};
    return rank_follow(c->ranks, &s, e);
}

/* Alone, or as one of several processes. */
static int take_part(struct serve_config *c, int argc, char **argv, struct err *e)
{
    serve_config_set_log(c); /* of all ranks */
    if (cli_ranks_open(&c->o.ranks, &c->ranks, e) != 0) {
        return -1;
    }
    int rc = serve_config_build(c, e);
    if (rc == 0) {
        rc = rank_group_rank(c->ranks) > 0 ? follow(c, e) : lead(c, argc, argv, e);
    }
    rank_group_close(c->ranks);
    return rc;
}

static void print_mistake(const char *mistake)
{
    fprintf(stderr, "weir serve: %s\n", mistake);
}

static int refuse(const struct serve_config *c)
{
    serve_config_tell(c, print_mistake);
    if (c->settings.n_mistakes > 1) {
        fprintf(stderr, "weir serve: %zu mistakes\n", c->settings.n_mistakes);
    }
    return 2;
}

static int print_schema(void)
{
    cJSON *schema = config_schema(&serve_settings);
    char *text = cJSON_Print(schema);
    int rc = text && puts(text) >= 0 ? 0 : 1;
    cJSON_free(text);
    cJSON_Delete(schema);
    return rc;
}

static int print_settings(void)
{
    struct buf text;
    buf_init(&text, SETTINGS_TEXT_MAX);
    int rc = config_markdown(&serve_settings, &text) == 0 ? 0 : 1;
    fwrite(text.data, 1, text.len, stdout);
    buf_deinit(&text);
    return rc;
}

/* What a start makes of the settings before it opens anything. */
static int check_start(struct serve_config *c, struct err *e)
{
    int rc = serve_config_build(c, e);
    rc = rc == 0 ? etcd_options_read(&c->o.etcd, &c->set.fleet, e) : rc;
    etcd_options_release(&c->set.fleet);
    return rc;
}

static int check_config(struct serve_config *c)
{
    struct err e = {0};
    serve_config_check_files(c);
    if (c->settings.n_mistakes > 0) {
        return refuse(c);
    }
    if (check_start(c, &e) != 0) {
        print_mistake(e.message);
        return 2;
    }
    const char *warning = serve_config_warning(c);
    if (warning) {
        fprintf(stderr, "weir serve: %s: warning: %s\n", c->o.config, warning);
    }
    printf("%s: ok\n", c->o.config ? c->o.config : "command line");
    return 0;
}

static int read_and_serve(struct serve_config *c, int argc, char **argv)
{
    struct err e = {0};
    int rc = serve_config_read(c, argc, argv, &e);
    if (rc == 1) {
        return 0;
    }
    if (rc == -1) {
        fprintf(stderr, "weir serve: %s\nusage: %s\n", e.message, serve_settings.usage);
        return 2;
    }
    if (c->o.print_schema || c->o.print_settings) {
        return c->o.print_schema ? print_schema() : print_settings();
    }
    if (c->o.check_config) {
        return check_config(c);
    }
    if (rc == -2) {
        return refuse(c);
    }
    return take_part(c, argc, argv, &e) == 0 ? 0 : cli_fail("serve", &e);
}

int cli_serve(int argc, char **argv)
{
    struct serve_config *c = mem_zalloc(sizeof(*c));
    if (!c) {
        fputs("weir serve: out of memory\n", stderr);
        return 1;
    }
    int rc = read_and_serve(c, argc, argv);
    serve_config_deinit(c);
    mem_free(c);
    return rc;
}

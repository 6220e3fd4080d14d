/* weir ctl: commands to a running server, by its admin routes. */
#include "runtime/cli/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

#define PATH_BYTES_MAX   ((size_t)4096)
#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define KEY_FILE_BYTES   4096
#define OPTIONS_MAX      20

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} groups[] = {
    {"audit", ctl_audit, "who has changed what"},
    {"drift", ctl_drift, "whether answers stay as they were"},
    {"feedback", ctl_feedback, "what users said of answers"},
    {"fleet", ctl_fleet, "what several servers have alike, through etcd"},
    {"findings", ctl_findings, "what filters found, and what others would"},
    {"models", ctl_models, "models: their versions, and which of them serve"},
    {"prompts", ctl_prompts, "system prompts: profiles and their versions"},
    {"filters", ctl_filters, "filter chains and their versions"},
    {"server", ctl_server, "the process that serves, and a new one in its place"},
};

#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

/* --- asking --- */

void ctl_escape(struct buf *path, const char *text)
{
    for (const char *c = text; *c; c++) {
        bool is_plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
                        (*c >= 'a' && *c <= 'z') || strchr("-._~", *c);
        if (is_plain) {
            buf_append_char(path, *c);
        } else {
            buf_printf(path, "%%%02X", (unsigned char)*c);
        }
    }
}

void ctl_path_of(struct ctl *c, const char *const *parts)
{
    buf_clear(&c->path);
    buf_append_str(&c->path, parts[0]);
    for (parts++; *parts; parts++) {
        buf_append_char(&c->path, '/');
        ctl_escape(&c->path, *parts);
    }
}

int ctl_ask(struct ctl *c, const char *method, const char *body, struct err *e)
{
    if (c->path.failed) {
        return err_set(e, ERR_INVALID, "a name or version is too long");
    }
    return remote_request(&c->remote, method, c->path.data, body, &c->answer, e);
}

cJSON *ctl_ask_json(struct ctl *c, const char *method, const char *body, struct err *e)
{
    if (ctl_ask(c, method, body, e) != 0) {
        return NULL;
    }
    cJSON *root = json_parse(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        err_prefix(e, "the server's answer");
    }
    return root;
}

int ctl_send(struct ctl *c, const char *method, cJSON *body, struct err *e)
{
    char *text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    int rc = text ? ctl_ask(c, method, text, e) : err_nomem(e);
    cJSON_free(text);
    return rc;
}

void ctl_print_answer(const struct ctl *c)
{
    if (c->answer.len > 0) {
        printf("%s%s", c->answer.data, c->answer.data[c->answer.len - 1] == '\n' ? "" : "\n");
    }
}

/* --- options --- */

int ctl_usage(struct ctl *c, struct err *e, const char *message)
{
    c->is_usage = true;
    return err_set(e, ERR_INVALID, "%s", message);
}

/* The common options, and of the others those that the command has. */
static void choose_options(struct option out[OPTIONS_MAX], const struct ctl_command *command,
                           struct ctl *c)
{
    const struct option all[] = {
        {"url", 'u', OPTION_STRING, &c->url, "URL",
         "the server (http://127.0.0.1:8080), or unix:PATH", 0, 0},
        {"admin-key", 0, OPTION_STRING, &c->admin_key, "KEY",
         "its admin key (WEIR_ADMIN_KEY); other users of this machine can see it here", 0, 0},
        {"admin-key-file", 0, OPTION_STRING, &c->admin_key_file, "FILE",
         "the same, the file's first line", 0, 0},
        {"actor", 0, OPTION_STRING, &c->actor, "NAME", "who is named in the audit log ($USER)",
         0, 0},
        {"json", 0, OPTION_FLAG, &c->json, NULL, "print the server's JSON", 0, 0},
        {"model", 'm', OPTION_STRING, &c->model, "NAME",
         "of this model (the default: that of requests which name none)", 0, 0},
        {"note", 0, OPTION_STRING, &c->note, "TEXT", "what is new in this version", 0, 0},
        {"no-activate", 0, OPTION_FLAG, &c->no_activate, NULL,
         "only store it; the active version stays", 0, 0},
        {"if-match", 0, OPTION_INT, &c->if_match, "N", "only if it is at this revision still",
         0, 1L << 52},
        {"limit", 0, OPTION_INT, &c->limit, "N", "how many at the most (50)", 1, 1000},
        {"chain", 0, OPTION_STRING, &c->chain, "CHAIN",
         "of findings: only those of this chain; of a text: a file with one that is not stored",
         0, 0},
        {"code", 0, OPTION_STRING, &c->code, "CODE", "only those with this code", 0, 0},
        {"verdict", 0, OPTION_STRING, &c->verdict, "WORD", "only note, replace, stop or fail",
         0, 0},
        {"side", 0, OPTION_STRING, &c->side, "SIDE", "input or output", 0, 0},
        {"request", 0, OPTION_STRING, &c->request, "ID", "only those of this x-request-id", 0,
         0},
        {"before", 0, OPTION_INT, &c->before, "ID", "only older ones than this", 1, 1L << 52},
        {"kind", 0, OPTION_STRING, &c->kind, "KIND", "only those of prompt, filters or model",
         0, 0},
        {"with-texts", 0, OPTION_FLAG, &c->with_texts, NULL,
         "as JSON, with the texts that the server keeps (--filter-log-text)", 0, 0},
        {"against", 0, OPTION_STRING, &c->against, "CHAIN",
         "compare with FILE.json or NAME[@VERSION] (what requests get)", 0, 0},
        {"texts", 0, OPTION_STRING, &c->texts, "FILE",
         "a text a line, or JSON if it ends in .jsonl", 0, 0},
        {"stored", 0, OPTION_INT, &c->stored, "N", "the last N texts that the server keeps", 1,
         10000},
        {"percent", 0, OPTION_INT, &c->percent, "N", "of the requests (10)", 1, 99},
        {"plan", 0, OPTION_STRING, &c->plan, "JSON",
         "more of how it is tried, as \"canary\" in model.json has it", 0, 0},
        {"show-text", 0, OPTION_FLAG, &c->show_text, NULL,
         "quote some of the texts where they differ", 0, 0},
        {"prompts", 0, OPTION_STRING, &c->prompts, "FILE",
         "a prompt a line: text, or JSON with messages or prompt", 0, 0},
        {"n", 0, OPTION_INT, &c->n, "N", "ask the first N of them (all)", 1, 1L << 30},
        {"parallel", 0, OPTION_INT, &c->parallel, "N", "requests at a time (4)", 1, 64},
        {"max-tokens", 0, OPTION_INT, &c->max_tokens, "N", "of an answer (128)", 1, 1L << 20},
        {"show", 0, OPTION_INT, &c->show, "N", "show the first N changed answers (10)", 0,
         1L << 30},
        {"out", 0, OPTION_STRING, &c->out, "FILE",
         "write all of it there: Markdown, or JSON if it ends in .json", 0, 0},
        {"fail-above", 0, OPTION_DOUBLE, &c->fail_above, "PERCENT",
         "fail if more of the answers have changed", 0, 0},
        {"load", 0, OPTION_FLAG, &c->load, NULL, "load versions that are not loaded", 0, 0},
        {"user", 0, OPTION_STRING, &c->user, "USER", "only what this user has said", 0, 0},
        {"key", 0, OPTION_STRING, &c->key, "NAME", "only with this API key", 0, 0},
        {"answer", 0, OPTION_STRING, &c->answer_id, "ID", "only of this answer", 0, 0},
        {"pairs", 0, OPTION_FLAG, &c->pairs, NULL, "pairs alone", 0, 0},
        {"prompt", 0, OPTION_STRING, &c->prompt, "NAME@VERSION", "only with this prompt", 0, 0},
        {"next", 0, OPTION_FLAG, &c->next, NULL, "take the answers that come, not the newest",
         0, 0},
        {"from", 0, OPTION_STRING, &c->from, "MODEL[@VERSION]", "take its baseline", 0, 0},
        {"from-prompt", 0, OPTION_STRING, &c->from_prompt, "NAME@VERSION",
         "take the baseline with this prompt", 0, 0},
        {"api-key", 0, OPTION_STRING, &c->api_key, "KEY",
         "an API key of the server, if it wants one (WEIR_API_KEY)", 0, 0},
    };
    const size_t n_common = 5;
    size_t n = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), " %s ", all[i].name);
        if (i < n_common || strstr(command->options, wanted)) {
            out[n++] = all[i];
        }
    }
    out[n] = (struct option){0};
}

/* The first line that is not a comment, as `weir serve --admin-key-file` reads it too. */
static char *read_key(const char *path, struct err *e)
{
    size_t len = 0;
    char *key = NULL;
    char *text = file_read(path, KEY_FILE_BYTES, &len, e);
    if (!text) {
        return NULL;
    }
    const char *line = text;
    while (*line == '#' || *line == '\n' || *line == '\r') {
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    size_t n = strcspn(line, "\r\n");
    if (n == 0) {
        err_set(e, ERR_INVALID, "%s: no key is in it", path);
    } else if (memchr(line, ':', n)) {
        err_set(e, ERR_INVALID, "%s: a key's hash is in it; the key itself is wanted", path);
    } else {
        key = mem_strndup(line, n);
        if (!key) {
            err_nomem(e);
        }
    }
    mem_free(text);
    return key;
}

/* --- running --- */

static int open_server(struct ctl *c, struct err *e)
{
    char revision[32];
    char *from_file = NULL;
    const char *key = c->admin_key;
    if (!key && c->admin_key_file) {
        key = from_file = read_key(c->admin_key_file, e);
        if (!key) {
            return -1;
        }
    }
    int rc = remote_open(&c->remote, c->url, key ? key : getenv("WEIR_ADMIN_KEY"), e);
    mem_free(from_file);
    if (rc == 0 && c->actor && c->actor[0]) {
        rc = remote_add_header(&c->remote, "weir-actor", c->actor, e);
    }
    if (rc == 0 && c->if_match >= 0) {
        snprintf(revision, sizeof(revision), "\"%ld\"", c->if_match);
        rc = remote_add_header(&c->remote, "If-Match", revision, e);
    }
    return rc;
}

static int run_command(const struct ctl_command *command, struct ctl *c, const char *name,
                       char **arguments, int n)
{
    struct err e = {0};
    buf_init(&c->path, PATH_BYTES_MAX);
    buf_init(&c->answer, ANSWER_BYTES_MAX);
    int rc = open_server(c, &e);
    if (rc == 0) {
        rc = command->run(c, arguments, n, &e);
    }
    remote_close(&c->remote);
    buf_deinit(&c->path);
    buf_deinit(&c->answer);
    if (rc == 0) {
        return 0;
    }
    return c->is_usage ? cli_fail(name, &e) + 1 : cli_fail(name, &e);
}

static int parse_and_run(const struct ctl_group *group, const struct ctl_command *command,
                         int argc, char **argv)
{
    char name[64];
    char usage[160];
    struct ctl c = {.things = group->things,
                    .url = "http://127.0.0.1:8080",
                    .actor = getenv("USER"),
                    .if_match = -1,
                    .limit = 50,
                    .parallel = 4,
                    .max_tokens = 128,
                    .show = 10,
                    .fail_above = -1};
    struct option table[OPTIONS_MAX];
    choose_options(table, command, &c);
    snprintf(name, sizeof(name), "ctl %s%s%s", group->name, command->name[0] ? " " : "",
             command->name);
    snprintf(usage, sizeof(usage), "weir %s%s%s [options]", name,
             command->arguments[0] ? " " : "", command->arguments);
    const struct options options = {usage, command->summary, table};
    int positional;
    argv[0] = name;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional < command->min || positional > command->max) {
        fprintf(stderr, "weir %s: %s arguments\nusage: %s\n", name,
                positional < command->min ? "too few" : "too many", usage);
        return 2;
    }
    return run_command(command, &c, name, argv + 1, positional);
}

static void print_table(FILE *to, const struct ctl_command *commands)
{
    for (; commands->name; commands++) {
        char left[64];
        snprintf(left, sizeof(left), "%s %s", commands->name, commands->arguments);
        fprintf(to, "  %-34s %.*s\n", left, (int)strcspn(commands->summary, "\n"),
                commands->summary);
    }
}

static const struct ctl_command *find_command(const struct ctl_command *commands,
                                              const char *name)
{
    for (; commands->name; commands++) {
        if (strcmp(name, commands->name) == 0) {
            return commands;
        }
    }
    return NULL;
}

static void print_commands(FILE *to, const struct ctl_group *group)
{
    fprintf(to, "usage: weir ctl %s COMMAND [options]\n\n%s\n\n", group->name, group->summary);
    print_table(to, group->common);
    print_table(to, group->commands);
    fprintf(to, "\n`weir ctl %s COMMAND --help` tells more.\n", group->name);
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

int ctl_run(const struct ctl_group *group, int argc, char **argv)
{
    if (argc < 2 || is_help(argv[1])) {
        print_commands(argc < 2 ? stderr : stdout, group);
        return argc < 2 ? 2 : 0;
    }
    const struct ctl_command *command = find_command(group->common, argv[1]);
    command = command ? command : find_command(group->commands, argv[1]);
    if (command) {
        return parse_and_run(group, command, argc - 1, argv + 1);
    }
    fprintf(stderr, "weir ctl %s: unknown command \"%s\" (see weir ctl %s --help)\n",
            group->name, argv[1], group->name);
    return 2;
}

int ctl_run_only(const struct ctl_group *group, int argc, char **argv)
{
    return parse_and_run(group, group->commands, argc, argv);
}

static void print_groups(FILE *to)
{
    fprintf(to, "usage: weir ctl GROUP COMMAND [options]\n\n"
                "Commands to a running server, by its admin routes.\n\n");
    for (size_t i = 0; i < N_GROUPS; i++) {
        fprintf(to, "  %-10s %s\n", groups[i].name, groups[i].summary);
    }
    fprintf(to, "\n`weir ctl GROUP --help` tells more.\n");
}

int cli_ctl(int argc, char **argv)
{
    if (argc < 2 || is_help(argv[1])) {
        print_groups(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < N_GROUPS; i++) {
        if (strcmp(argv[1], groups[i].name) == 0) {
            return groups[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "weir ctl: unknown group \"%s\" (see weir ctl --help)\n", argv[1]);
    return 2;
}

/* weir keys: API keys in a file. A key is shown once, when it is made; the file holds its hash.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/registry/version_name.h"
#include "runtime/serve/key_file.h"

struct keys_options {
    const char *file;
    const char *name;
    const char *scopes;
    long requests;
    long tokens;
    long concurrent;
    const char *prompt;
    const char *filters;
    const char *model;
    bool json;
};

static int usage(const char *message)
{
    fprintf(stderr, "weir keys: %s (see weir keys --help)\n", message);
    return 2;
}

/* The file's text, "" when there is none yet. */
static char *read_text(const char *path, size_t *len, struct err *e)
{
    char *text = file_read(path, KEY_FILE_MAX, len, e);
    if (!text && e->kind == ERR_NOT_FOUND) {
        *len = 0;
        text = mem_strdup("");
        if (!text) {
            err_nomem(e);
        }
    }
    return text;
}

/* ---- add ---- */

static int refuse_same_name(void *ctx, const struct key_record *k, struct err *e)
{
    const char *name = ctx;
    return strcmp(k->name, name) == 0
               ? err_set(e, ERR_INVALID, "the name \"%s\" is taken; remove that key first",
                         name)
               : 0;
}

static int make_record(struct key_record *k, char key[KEY_MADE_LEN + 1],
                       const struct keys_options *o, struct err *e)
{
    if (key_generate(key, e) != 0 || key_record_make(k, o->name, key, strlen(key), e) != 0) {
        return -1;
    }
    k->limits = (struct key_limits){.requests_per_minute = (uint32_t)o->requests,
                                    .tokens_per_minute = (uint32_t)o->tokens,
                                    .concurrent = (uint32_t)o->concurrent};
    if ((o->prompt && version_name_check(o->prompt, "--prompt", e) != 0) ||
        (o->filters && version_name_check(o->filters, "--filters", e) != 0)) {
        return -1;
    }
    if (o->model && key_pin_parse(k->model, o->model, strlen(o->model), e) != 0) {
        return err_prefix(e, "--model");
    }
    snprintf(k->prompt, sizeof(k->prompt), "%s", o->prompt ? o->prompt : "");
    snprintf(k->filters, sizeof(k->filters), "%s", o->filters ? o->filters : "");
    return key_scopes_parse(&k->scopes, o->scopes, strlen(o->scopes), e);
}

static int append_to(const char *path, const char *name, const struct key_record *k,
                     struct err *e)
{
    size_t len = 0;
    struct buf out;
    char *text = read_text(path, &len, e);
    if (!text) {
        return -1;
    }
    buf_init(&out, KEY_FILE_MAX);
    int rc = key_file_visit(text, len, refuse_same_name, (void *)name, e);
    if (rc == 0) {
        buf_append(&out, text, len);
        if (len > 0 && text[len - 1] != '\n') {
            buf_append_char(&out, '\n');
        }
        rc = key_record_format(k, &out) == 0
                 ? file_write_atomic(path, out.data, out.len, e)
                 : err_set(e, ERR_LIMIT, "the file would be larger than %zu bytes",
                           KEY_FILE_MAX);
    }
    buf_deinit(&out);
    mem_free(text);
    return rc;
}

static int add(const struct keys_options *o)
{
    struct err e = {0};
    struct key_record k;
    char key[KEY_MADE_LEN + 1];
    if (make_record(&k, key, o, &e) != 0 || append_to(o->file, o->name, &k, &e) != 0) {
        return cli_fail("keys", &e);
    }
    printf("%s\n", key);
    OPENSSL_cleanse(key, sizeof(key));
    fprintf(stderr, "This is the only time that the key of \"%s\" is shown.\n", o->name);
    return 0;
}

/* ---- list ---- */

static int print_row(void *ctx, const struct key_record *k, struct err *e)
{
    struct buf scopes;
    struct buf limits;
    (void)e;
    buf_init(&scopes, 1024);
    buf_init(&limits, 1024);
    key_scopes_format(k->scopes, &scopes);
    key_limits_format(&k->limits, &limits);
    const struct keys_options *o = ctx;
    const char *shown_limits = limits.data ? limits.data : "";
    /* None of the fields can hold a character that JSON escapes. */
    if (o->json) {
        printf("{\"name\":\"%s\",\"sha256\":\"%.12s\",\"scopes\":\"%s\",\"limits\":\"%s\","
               "\"prompt\":\"%s\",\"filters\":\"%s\",\"model\":\"%s\"}\n",
               k->name, k->sha256, scopes.data, shown_limits, k->prompt, k->filters, k->model);
    } else {
        printf("%-24s %.12s  %-24s %s%s%s%s%s%s%s\n", k->name, k->sha256, scopes.data,
               shown_limits, k->prompt[0] ? " prompt=" : "", k->prompt,
               k->filters[0] ? " filters=" : "", k->filters, k->model[0] ? " model=" : "",
               k->model);
    }
    buf_deinit(&scopes);
    buf_deinit(&limits);
    return 0;
}

static int list(const struct keys_options *o)
{
    struct err e = {0};
    size_t len = 0;
    char *text = file_read(o->file, KEY_FILE_MAX, &len, &e);
    int rc = text ? key_file_visit(text, len, print_row, (void *)o, &e) : -1;
    if (text) {
        OPENSSL_cleanse(text, len);
        if (rc != 0) {
            err_prefix(&e, "%s", o->file);
        }
    }
    mem_free(text);
    return rc == 0 ? 0 : cli_fail("keys", &e);
}

/* ---- remove ---- */

struct removal {
    const char *name;
    size_t count;
    struct buf kept;
};

/* Copies the lines that stay, comments among them. */
static int copy_lines(struct removal *r, const char *text, size_t len, struct err *e)
{
    size_t number = 1;
    for (const char *line = text, *end = text + len; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop + 1 : end) - line);
        size_t bare = n - (stop != NULL);
        bare -= bare > 0 && line[bare - 1] == '\r';
        struct key_record k = {0};
        if (bare > 0 && line[0] != '#' && key_record_parse(&k, line, bare, number, e) != 0) {
            return err_prefix(e, "line %zu", number);
        }
        if (strcmp(k.name, r->name) == 0) {
            r->count++;
        } else if (buf_append(&r->kept, line, n) != 0) {
            return err_nomem(e);
        }
        line += n;
    }
    return 0;
}

static int remove_key(const struct keys_options *o)
{
    struct err e = {0};
    struct removal r = {.name = o->name};
    size_t len = 0;
    buf_init(&r.kept, KEY_FILE_MAX);
    char *text = file_read(o->file, KEY_FILE_MAX, &len, &e);
    int rc = text ? copy_lines(&r, text, len, &e) : -1;
    if (rc == 0 && r.count == 0) {
        rc = err_set(&e, ERR_NOT_FOUND, "%s: there is no key \"%s\"", o->file, o->name);
    }
    if (rc == 0) {
        rc = file_write_atomic(o->file, r.kept.data ? r.kept.data : "", r.kept.len, &e);
    }
    buf_deinit(&r.kept);
    mem_free(text);
    return rc == 0 ? 0 : cli_fail("keys", &e);
}

int cli_keys(int argc, char **argv)
{
    struct keys_options o = {.scopes = "*"};
    umask(0077); /* a new file is its owner's alone */
    const long max = UINT32_MAX;
    const struct option table[] = {
        {"file", 'f', OPTION_STRING, &o.file, "FILE", "the key file", 0, 0},
        {"name", 'n', OPTION_STRING, &o.name, "NAME", "whose key it is: letters, digits, ._-",
         0, 0},
        {"scopes", 0, OPTION_STRING, &o.scopes, "LIST",
         "what it opens: chat, embeddings, moderations, tokenize, models, feedback, prompts "
         "(all)",
         0, 0},
        {"requests", 0, OPTION_INT, &o.requests, "N", "requests a minute (any number)", 0, max},
        {"tokens", 0, OPTION_INT, &o.tokens, "N",
         "tokens a minute, read and made together (any number)", 0, max},
        {"concurrent", 0, OPTION_INT, &o.concurrent, "N", "requests at a time (any number)", 0,
         max},
        {"prompt", 0, OPTION_STRING, &o.prompt, "NAME",
         "the prompt that its requests get (that of the server)", 0, 0},
        {"filters", 0, OPTION_STRING, &o.filters, "NAME",
         "the filter chain that its requests must pass (that of the server)", 0, 0},
        {"model", 0, OPTION_STRING, &o.model, "NAME[@VERSION]",
         "what its requests get, and all that they may ask for: NAME@VERSION, NAME@LABEL, "
         "NAME@sha256:PREFIX (any)",
         0, 0},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "list: one JSON object a line", 0, 0},
        {0},
    };
    const struct options options = {
        "weir keys add|list|remove --file FILE [options]",
        "API keys for `weir serve --api-key-file FILE`. `add` makes a key, prints it once and\n"
        "stores its SHA-256; a running server reads the file again on SIGHUP.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional != 1 || !o.file) {
        return usage("one of add, list and remove is wanted, and --file FILE");
    }
    if (strcmp(argv[1], "list") == 0) {
        return list(&o);
    }
    if (!o.name) {
        return usage("--name NAME is wanted");
    }
    if (strcmp(argv[1], "add") == 0) {
        return add(&o);
    }
    return strcmp(argv[1], "remove") == 0 ? remove_key(&o)
                                          : usage("there are add, list and remove");
}

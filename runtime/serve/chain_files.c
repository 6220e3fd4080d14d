#include "runtime/serve/chain_files.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "filters/registry.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/registry/chain_store.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/chain_work.h"
#include "runtime/serve/version_admin.h"
#include "runtime/serve/watched_dir.h"

#define FOLDER_ACTOR "filters-dir"

/* --- reading, on a worker --- */

static int add_other(struct watched_content *out, const char *folder, const char *name,
                     struct err *e)
{
    char path[PATH_MAX];
    bool is_absolute = name[0] == '/';
    int len = snprintf(path, sizeof(path), "%s%s%s", is_absolute ? "" : folder,
                       is_absolute ? "" : "/", name);
    if (out->n_others == WATCHED_OTHERS_MAX || len >= (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "a chain may name %d files", WATCHED_OTHERS_MAX);
    }
    out->others[out->n_others] = mem_strdup(path);
    return out->others[out->n_others++] ? 0 : err_nomem(e);
}

/* The files that a filter names: by its type's keys, and a plugin itself. */
static int add_files_of(struct watched_content *out, const char *folder, const cJSON *filter,
                        const struct filter_type *type, struct err *e)
{
    int rc = 0;
    const struct filter_key *key = type ? type->keys : NULL;
    for (; rc == 0 && key && key->name; key++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(filter, key->name);
        if (key->kind == FILTER_KEY_FILE && cJSON_IsString(item)) {
            rc = add_other(out, folder, item->valuestring, e);
        }
    }
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(filter, "type"));
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(filter, "path"));
    if (rc == 0 && name && path && strcmp(name, "plugin") == 0) {
        rc = add_other(out, folder, path, e);
    }
    return rc;
}

/* c: NULL where the chain did not compile, perhaps because a file is missing. */
static int add_files(struct watched_content *out, const char *folder, const char *text,
                     size_t len, const struct chain *c, struct err *e)
{
    cJSON *root = json_parse_large(text, len, e);
    const cJSON *filter;
    size_t i = 0;
    int rc = root ? 0 : -1;
    cJSON_ArrayForEach(filter, cJSON_GetObjectItemCaseSensitive(root, "filters"))
    {
        const char *name =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(filter, "type"));
        const struct filter_type *type =
            c ? chain_filter_type(c, i++)
              : filter_registry_find(filter_registry_builtin, name ? name : "");
        rc = rc == 0 ? add_files_of(out, folder, filter, type, e) : -1;
    }
    cJSON_Delete(root);
    return rc;
}

/* What makes it another content: the text, and what the chain does, its files among that. */
static int set_hash(struct watched_content *out, const struct chain *c, struct err *e)
{
    struct buf all;
    buf_init(&all, SIZE_MAX / 2);
    buf_append_str(&all, chain_hash(c));
    buf_append(&all, out->json, out->json_len);
    int rc = all.failed ? err_nomem(e)
             : hash_sha256_hex(all.data, all.len, out->sha256) == 0
                 ? 0
                 : err_set(e, ERR_IO, "SHA-256 is not available");
    buf_deinit(&all);
    return rc;
}

static int compile(const char *name, const char *folder, const char *text, size_t len,
                   struct watched_content *out, struct err *e)
{
    const struct chain_options options = {.folder = folder, .name = name};
    struct chain *c = chain_from_json(text, len, &options, e);
    if (!c) {
        struct err ignored = {0}; /* what is wrong is said already */
        add_files(out, folder, text, len, NULL, &ignored);
        return -1;
    }
    out->made = c;
    out->json = mem_strndup(text, len);
    out->json_len = len;
    if (!out->json) {
        return err_nomem(e);
    }
    return add_files(out, folder, text, len, c, e) == 0 ? set_hash(out, c, e) : -1;
}

/* name: the chain's; NULL: as the file says. */
static int read_chain(const char *name, const char *path, const char *text, size_t len,
                      struct watched_content *out, struct err *e)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int folder_len = slash && slash > path ? (int)(slash - path) : 1;
    snprintf(folder, sizeof(folder), "%.*s", folder_len, slash ? path : ".");
    return compile(name, folder, text, len, out, e) == 0 ? 0 : err_prefix(e, "%s", path);
}

static int read_named(const char *name, const char *path, const char *text, size_t len,
                      struct watched_content *out, struct err *e)
{
    return read_chain(name, path, text, len, out, e);
}

static int read_single(const char *name, const char *path, const char *text, size_t len,
                       struct watched_content *out, struct err *e)
{
    (void)name;
    return read_chain(NULL, path, text, len, out, e);
}

static void release_chain(void *made)
{
    chain_unref(made);
}

static const struct watched_reader folder_reader = {.suffix = ".json",
                                                    .noun = "filter chain",
                                                    .option = "--filters-dir",
                                                    .bytes_max = CHAIN_MAX_JSON,
                                                    .read = read_named,
                                                    .release = release_chain};

/* --- publishing --- */

static struct version_store *store_of(struct server *s)
{
    return version_database_store(s->database, VERSION_FILTERS);
}

static int put_at_start(struct server *s, const char *name,
                        const struct watched_content *content, struct err *e)
{
    const struct version_change change = {.actor = FOLDER_ACTOR};
    struct version_state after;
    struct chain_draft draft;
    if (chain_draft_parse(&draft, name, content->json, content->json_len, e) != 0) {
        return -1;
    }
    int rc = chain_store_put(store_of(s), name, &draft, 0, true, &change, &after, e);
    if (rc == 0) {
        rc = chain_set_publish(&s->chains, &after, draft.chain, true, e);
    }
    chain_draft_deinit(&draft);
    return rc;
}

/* A file of --filters-dir has this content now. */
static int put_from_folder(void *ctx, const char *name, const struct watched_content *content,
                           struct err *e)
{
    struct server *s = ctx;
    struct chain *chain = content->made;
    if (version_name_check(name, "name", e) != 0) {
        return -1;
    }
    const struct served_chain *served = chain_set_find(&s->chains, name);
    bool is_served = served && served->origin != CHAIN_OF_NOBODY &&
                     strcmp(chain_hash(served->chain), chain_hash(chain)) == 0;
    if (is_served) {
        return 0;
    }
    if (content->n_others > 0) {
        return chain_set_publish_file(&s->chains, name, chain, e);
    }
    return s->is_ready ? version_admin_put(s, &chain_work_api, name, content->json,
                                           content->json_len, FOLDER_ACTOR, e)
                       : put_at_start(s, name, content, e);
}

/* The file of --filters has this content now. */
static int put_from_file(void *ctx, const char *name, const struct watched_content *content,
                         struct err *e)
{
    struct server *s = ctx;
    const struct served_chain *served = chain_set_find(&s->chains, VERSION_DEFAULT_NAME);
    if (served->origin == CHAIN_OF_STORE) {
        log_info("%s: not read, the filter chain \"default\" has version %u already", name,
                 chain_version(served->chain));
        return 0;
    }
    return chain_set_publish_file(&s->chains, VERSION_DEFAULT_NAME, content->made, e);
}

static int add_stored(void *ctx, const struct version_state *state, struct chain *active,
                      struct err *e)
{
    struct server *s = ctx;
    return chain_set_publish(&s->chains, state, active, true, e);
}

/* --- life --- */

static int watch_file(struct server *s, struct err *e)
{
    char *path = mem_strdup(s->set.filters_path);
    if (!path) {
        return err_nomem(e);
    }
    char *slash = strrchr(path, '/');
    s->filters_path = path;
    s->filters_reader = (struct watched_reader){.suffix = "",
                                                .only = slash ? slash + 1 : path,
                                                .noun = "filter chain of",
                                                .option = "--filters",
                                                .bytes_max = CHAIN_MAX_JSON,
                                                .read = read_single,
                                                .release = release_chain};
    const char *folder = ".";
    if (slash) {
        *slash = '\0';
        folder = slash == path ? "/" : path;
    }
    s->filters_file =
        watched_dir_start(&s->loop, folder, &s->filters_reader, put_from_file, s, e);
    return s->filters_file ? 0 : -1;
}

/* What comes over a pipe comes once. */
static int read_once(struct server *s, struct err *e)
{
    struct chain *c = chain_from_file(s->set.filters_path, e);
    const struct watched_content content = {.made = c};
    int rc = c ? put_from_file(s, "standard input", &content, e) : -1;
    chain_unref(c);
    return rc;
}

int chain_files_load(struct server *s, struct err *e)
{
    if (chain_set_init(&s->chains, e) != 0 ||
        chain_store_load_active(store_of(s), add_stored, s, e) != 0) {
        return -1;
    }
    const char *path = s->set.filters_path;
    if (path && (strcmp(path, "-") == 0 ? read_once(s, e) : watch_file(s, e)) != 0) {
        return -1;
    }
    if (s->set.filters_dir) {
        s->filters_dir = watched_dir_start(&s->loop, s->set.filters_dir, &folder_reader,
                                           put_from_folder, s, e);
    }
    return s->set.filters_dir && !s->filters_dir ? -1 : 0;
}

void chain_files_look(struct server *s)
{
    watched_dir_look(s->filters_file);
    watched_dir_look(s->filters_dir);
}

void chain_files_stop(struct server *s)
{
    watched_dir_stop(s->filters_file);
    watched_dir_stop(s->filters_dir);
    s->filters_file = NULL;
    s->filters_dir = NULL;
}
